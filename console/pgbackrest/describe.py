"""A stanza in words and as JSON, for the command line and the screens."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import datetime
from typing import Any

from console.backup import jsonfile
from console.backup.describe import proof_lines, verified
from console.findings import Severity, in_brief, worst
from console.pgbackrest.info import Backup, Stanza
from console.pgbackrest.proofs import Proofs
from console.pgbackrest.status import Status
from console.pitr.side import Side
from console.units import age, counted, duration, size

KIND_WORDS = {
    "full": "all files of the cluster",
    "diff": "what changed since the last full one",
    "incr": "what changed since the one before",
}


def status_text(status: Status) -> str:
    """Verdict first, then what it rests on, the backups, the WAL and the repositories."""
    stanza = status.stanza
    lines = [headline(status), ""]
    for finding in status.findings:
        lines.append(f"  {finding.severity}: {finding.message}")
        lines += [f"    → {finding.fix}"] * bool(finding.fix)
    lines += ["", "Backups of the whole cluster, newest first"]
    lines += [
        f"  {backup_line(backup, status.proofs, status.at)}" for backup in stanza.backups
    ] or ["  none"]
    lines += ["", "WAL", *(f"  {line}" for line in wal_lines(status))]
    lines += ["", "Repositories"]
    lines += [f"  repo{r.key}: {r.message}, cipher {r.cipher}" for r in stanza.repositories]
    return "\n".join(lines) + "\n"


def headline(status: Status) -> str:
    """One line: whether the cluster can be had back, and from when."""
    verdict = worst(status.findings)
    if verdict in (Severity.FAILURE, Severity.UNKNOWN):
        words = "Not well" if verdict is Severity.FAILURE else "Not known"
        return f"{words}: {status.findings[0].message}"
    newest = status.stanza.newest()
    made = age(newest.stopped_at, status.at) if newest else "never"
    return f"The stanza {status.stanza.name} can be restored: its newest backup was made {made}."


def backup_line(backup: Backup, proofs: Proofs, now: datetime) -> str:
    """Label, kind, age, the cluster's size, what it added to the repository, its proof."""
    added = f"+{size(backup.repo_delta_bytes)}" if backup.repo_delta_bytes is not None else "-"
    errors = ", page checksum errors" if backup.page_errors else ""
    proven = verified(proofs.verified.get(backup.label))
    return (
        f"{backup.label:<33} {backup.kind} {age(backup.stopped_at, now):>13}"
        f" {size(backup.bytes):>8} {added:>9}  {proven}{errors}"
    )


def wal_lines(status: Status) -> list[str]:
    ranges = [r for r in status.stanza.wal if r.min and r.max]
    lines = [f"repo{r.repo}: {r.min} to {r.max}" for r in ranges] or ["nothing is archived"]
    behind = status.behind
    if behind is not None:
        lines.append(f"the server is at {status.server.lsn if status.server else '-'},"
                     f" {counted(behind, 'finished segment')} ahead")  # fmt: skip
    return lines


def details(backup: Backup, proofs: Proofs, now: datetime) -> str:
    """Several lines: what it holds, what it needs, and each proof line by line."""
    lines = [
        f"{backup.label}: pgBackRest",
        f"physical     {backup.kind}: {KIND_WORDS[backup.kind]}",
        f"taken        {backup.started_at:%Y-%m-%d %H:%M:%S %Z} ({age(backup.stopped_at, now)})",
        f"took         {duration(backup.seconds)}",
        f"cluster      {size(backup.bytes)}, copied {size(backup.copied_bytes)}",
        f"repository   repo{backup.repo}: {size(backup.repo_bytes)} to restore it,"
        f" {size(backup.repo_delta_bytes)} of its own",
        f"WAL          {backup.wal_start or '-'} to {backup.wal_stop or '-'}",
        f"pages        {_pages(backup)}",
    ]
    lines += [f"databases    {', '.join(backup.databases)}"] * bool(backup.databases)
    lines += [f"needs        {label}" for label in backup.references]
    verification, drill = proofs.verified.get(backup.label), proofs.drilled.get(backup.label)
    lines += proof_lines(verification, now) if verification else ["verify       not from here yet"]
    lines += proof_lines(drill, now) if drill else ["drill        not from here yet"]
    return "\n".join(lines) + "\n"


def _pages(backup: Backup) -> str:
    if backup.page_errors is None:
        return "whether their checksums hold is not told"
    return "some failed their checksums" if backup.page_errors else "no checksum failed"


def restored_text(side: Side, label: str, seconds: float) -> str:
    """A restored copy: what it is of, how to look at it and how to drop it."""
    info = side.info
    end = "it came to the end of the archived WAL" if info.promoted else "paused there"
    directory = shlex.quote(str(side.directory))
    lines = [
        f"{info.target} as of {info.asked}, from {label or 'its newest backup'}",
        f"  at {info.lsn or '-'}, timeline {info.timeline}: {end}; readable after"
        f" {duration(seconds)}",
        "  It is read-only, on a private socket, and archives nothing.",
        f"  medianest-console --read-only --dsn '{side.dsn}'",
        f"  medianest-console pgbackrest drop {directory}",
    ]
    return "\n".join(lines) + "\n"


def proofs_text(stanza: Stanza, proofs: Proofs) -> str:
    """Every backup's verdict, with its checks."""
    lines = []
    for backup in stanza.backups:
        found = proofs.verified.get(backup.label)
        lines.append(f"{backup.label}: {found.verdict if found else 'not verified'}")
        if found:
            lines += [f"  {check.verdict}: {check.what}: {check.answer}" for check in found.checks]
    return "\n".join(lines) + "\n"


def as_json(status: Status) -> dict[str, Any]:
    """Everything, for scripts; sizes in bytes, times with their zone."""
    return {
        "target": status.target,
        "at": status.at.isoformat(),
        "verdict": str(worst(status.findings)),
        "stanza": status.stanza.name,
        "status": {"code": status.stanza.code, "message": status.stanza.message},
        "running": status.stanza.busy,
        "wal_behind_segments": status.behind,
        "server": jsonfile.encode(status.server) if status.server else None,
        "repositories": jsonfile.encode(status.stanza.repositories),
        "clusters": jsonfile.encode(status.stanza.clusters),
        "wal": jsonfile.encode(status.stanza.wal),
        "backups": [backup_json(backup, status.proofs) for backup in status.stanza.backups],
        "findings": in_brief(status.findings),
    }


def backup_json(backup: Backup, proofs: Proofs) -> dict[str, Any]:
    verification, drill = proofs.verified.get(backup.label), proofs.drilled.get(backup.label)
    return {
        "id": backup.label,
        "tool": "pgBackRest",
        **jsonfile.encode(backup),
        "verdict": verified(verification) if verification else "could not verify",
        "verification": jsonfile.encode(verification) if verification else None,
        "drill": jsonfile.encode(drill) if drill else None,
    }


def _is_noise(words: str) -> bool:
    """All options at the beginning, and a result that is written when it ends."""
    return " command begin " in words or words.startswith("stanza: ")


class Lines:
    """pgBackRest's lines as a person wants them: what it does, and how far it has come.

    `tell` gets them without levels and options; a file's line becomes a tenth that was reached.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._tenth = 0

    def __call__(self, line: str) -> None:
        level, _, words = line.partition(": ")
        if level == "DETAIL":
            self._progress(words)
        elif level == "INFO" and not _is_noise(words):
            self._tell(words)
        elif level == "WARN":
            self._tell(f"warning: {words}")

    def _progress(self, words: str) -> None:
        _, found, rest = words.rpartition(" (")
        share = rest.partition(")")[0].rpartition(", ")[2]
        if not found or not share.endswith("%"):
            return
        try:
            tenth = int(float(share[:-1]) // 10)
        except ValueError:
            return
        if tenth > self._tenth:
            self._tenth = tenth
            self._tell(f"copied {tenth * 10}%")
