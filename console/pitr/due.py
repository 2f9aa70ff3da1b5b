"""When the next base backup is due; asked by `pitr base --if-due` and by an agent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from console.backup.manifest import Verdict
from console.pitr.archive import Archive
from console.pitr.audit import look
from console.pitr.base import bases
from console.pitr.policy import PitrSettings
from console.pitr.window import begins_in


def base_is_due(archive: Archive, settings: PitrSettings, now: datetime | None = None) -> bool:
    """The newest good base is too old, or leads into no WAL that is here (after a gap).

    Raises CommandFailed when the archive cannot be read.
    """
    moment = now or datetime.now(UTC)
    good = [base for base in bases(archive) if base.verdict is not Verdict.FAIL]
    if not good or good[0].manifest is None:
        return True
    if moment - good[0].manifest.ended_at >= timedelta(days=settings.base_every_days):
        return True
    runs = look(archive).runs
    return bool(runs) and not begins_in(runs[-1], good[0])
