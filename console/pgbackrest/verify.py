"""Have pgBackRest read all of a repository, and take what it says for what it proves.

Its `verify` ends with exit code 0 whatever it finds, also when it could read nothing, and does not
hold the WAL against the backups that need it. So its words are read, and the WAL is held here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from console.backup.manifest import Check, Proof, Verdict, proof
from console.errors import ActionRefused, CommandFailed
from console.pgbackrest.backrest import Backrest
from console.pgbackrest.info import Backup, Stanza
from console.pgbackrest.proofs import Proofs, keep_verified

_BACKUP = re.compile(
    r"^ *backup: (\S+), status: ([^,]+), total files checked: (\d+), total valid files: (\d+)"
)
_STATUS = re.compile(r"^status: (\w+)$", re.MULTILINE)
_NO_FILE = re.compile(r"^ *(No usable \S+ file|no archives or backups exist.*)$", re.MULTILINE)
_RANGE = re.compile(r"archiveId: \S+-(\d+), wal start: ([0-9A-F]{24}), wal stop: ([0-9A-F]{24})$")
_BAD_FILE = re.compile(r"(?:invalid \w+|file missing) '?([^':]+)'?")
_SEGMENT = re.compile(r"^[\d.]+-(\d+)/.*/([0-9A-F]{24})[-.]")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FileCount:
    """What `verify` says of one backup, the files it shares with earlier ones included."""

    status: str
    checked: int
    valid: int


@dataclass(frozen=True, slots=True)
class WalSpan:
    """Segments without a gap, of one cluster of the stanza's history; of one timeline."""

    database: int
    first: str
    last: str

    @property
    def timeline(self) -> str:
        return self.first[:8]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of one repository."""

    sound: bool
    """pgBackRest found nothing wrong, as far as it looks."""
    backups: Mapping[str, FileCount]
    spans: tuple[WalSpan, ...]
    """None when this version does not tell."""
    bad_files: tuple[str, ...]

    def bad_segments(self, database: int) -> list[str]:
        """In their order."""
        found = (_SEGMENT.search(name) for name in self.bad_files)
        return sorted(match[2] for match in found if match and match[1] == str(database))


async def verify(backrest: Backrest, target: str, stanza: Stanza, tell: Tell) -> Proofs:
    """Read every repository of the stanza; what is proven of its backups, kept for later.

    Raises ActionRefused when there is no backup, CommandFailed when nothing could be verified.
    """
    if not stanza.backups:
        raise ActionRefused(
            f"The stanza {stanza.name} holds no backup to verify.",
            "medianest-console pgbackrest backup --type full",
        )
    repositories = sorted({backup.repo for backup in stanza.backups})
    proofs: dict[str, Proof] = {}
    for key in repositories:
        began = time.monotonic()
        options = (f"--repo={key}",) if len(stanza.repositories) > 1 else ()
        finished, output = await backrest.drive(
            "verify", "--output=text", "--verbose", *options, tell=tell
        )
        reading = read(output, finished.lines)
        seconds = time.monotonic() - began
        of_it = [backup for backup in stanza.backups if backup.repo == key]
        proofs |= {b.label: proof("verify", checks_of(b, reading), seconds) for b in of_it}
    return keep_verified(target, stanza, proofs)


def read(output: str, lines: Sequence[str]) -> Reading:
    """What `verify --output=text --verbose` wrote, and told on standard error.

    Raises CommandFailed when it speaks of no reading at all.
    """
    status, nothing = _STATUS.search(output), _NO_FILE.search(output)
    if status is None or nothing is not None:
        reason = nothing[1] if nothing else "its answer is not understood"
        raise CommandFailed(
            f"pgBackRest could verify nothing: {reason}.",
            "Run it as the account that owns the repository: `user` or `command` in settings.",
        )
    backups = {
        match[1]: FileCount(match[2], int(match[3]), int(match[4]))
        for line in output.splitlines()
        if (match := _BACKUP.match(line))
    }
    spans = tuple(
        WalSpan(int(match[1]), match[2], match[3])
        for line in lines
        if (match := _RANGE.search(line))
    )
    bad = tuple(
        match[1]
        for line in lines
        if line.startswith(("INFO:", "WARN:")) and (match := _BAD_FILE.search(line))
    )
    return Reading(status[1] == "ok", backups, spans, bad)


def checks_of(backup: Backup, reading: Reading) -> list[Check]:
    """What a reading proves of one backup: its files, and the WAL that it needs."""
    return [_files(backup, reading), _wal(backup, reading)]


def _files(backup: Backup, reading: Reading) -> Check:
    what = "every file against its checksum"
    found = reading.backups.get(backup.label)
    if found is None or found.status == "in-progress":
        return Check(what, Verdict.COULD_NOT_VERIFY, "pgBackRest did not look at it")
    good = found.status == "valid" and found.valid == found.checked > 0
    answer = f"{found.valid} of {found.checked} files are as they were copied"
    bad = [name for name in reading.bad_files if name.split("/")[0] in _needed(backup)]
    if bad:
        answer = f"{answer}; bad: {', '.join(bad[:3])}{' ...' if len(bad) > 3 else ''}"
    elif not good:
        answer = f"{answer} ({found.status})"
    return Check(what, Verdict.PASS if good else Verdict.FAIL, answer)


def _needed(backup: Backup) -> set[str]:
    return {backup.label, *backup.references}


def _wal(backup: Backup, reading: Reading) -> Check:
    """Without the WAL from its beginning to its end no backup becomes consistent."""
    what = "the WAL that it cannot start without"
    start, stop = backup.wal_start, backup.wal_stop
    spans = [span for span in reading.spans if span.database == backup.database]
    if start is None or stop is None or not spans:
        return Check(what, Verdict.COULD_NOT_VERIFY, "pgBackRest does not tell it")
    named = start if start == stop else f"{start} to {stop}"
    bad = [name for name in reading.bad_segments(backup.database) if start <= name]
    if bad and bad[0] <= stop:
        return Check(what, Verdict.FAIL, f"segment {bad[0]} is damaged")
    span = next((span for span in spans if span.first <= start and stop <= span.last), None)
    if span is None:
        return Check(what, Verdict.FAIL, f"{named} is not whole in the archive")
    return Check(what, Verdict.PASS, f"{named} is whole{_onwards(span, spans, bad)}")


def _onwards(own: WalSpan, spans: Sequence[WalSpan], bad: Sequence[str]) -> str:
    """Where recovery from a backup ends before the archive of its timeline does."""
    if bad and bad[0] <= own.last:
        return f"; recovery leads on to {bad[0]} only, which is damaged"
    goes_on = any(s.timeline == own.timeline and s.first > own.last for s in spans)
    return f"; recovery leads on to {own.last} only: the next is missing" if goes_on else ""
