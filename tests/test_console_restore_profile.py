"""What the target's profile says of a restored database, before the cut-over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import Database, run_sql
from restores import Restoring

from console.restore.status import Phase
from console.target import Target


@dataclass(frozen=True)
class Profiled(Restoring):
    profile: str = "medianest"

    @property
    def target(self) -> Target:
        return replace(super().target, profile=self.profile)


@pytest.mark.slow
async def test_a_failure_that_the_source_had_is_told_and_holds_nothing_up(
    medianest_db: Database, tmp_path: Path
) -> None:
    media = Profiled(medianest_db, tmp_path / "backups")
    run_sql(medianest_db, "DROP TABLE public.media_requests CASCADE")
    await media.backup()
    done = await media.restore()
    assert done.state.failure == {}
    assert done.phase is Phase.DONE
    (warning,) = [text for text in done.state.warnings if "true copy" in text]
    assert "media_requests" in warning


async def test_a_sound_database_passes_its_profile_without_a_word(
    medianest_db: Database, tmp_path: Path
) -> None:
    media = Profiled(medianest_db, tmp_path / "backups")
    await media.backup()
    done = await media.restore()
    assert done.phase is Phase.DONE
    assert list(done.state.warnings) == []


@pytest.mark.slow
async def test_a_profile_that_cannot_be_read_holds_nothing_up(
    medianest_db: Database, tmp_path: Path
) -> None:
    media = Profiled(medianest_db, tmp_path / "backups", profile=str(tmp_path / "none.yaml"))
    await media.backup()
    done = await media.restore()
    assert done.phase is Phase.DONE
    assert any("Not checked: the profile's checks" in text for text in done.state.warnings)
