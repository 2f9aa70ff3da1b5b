"""Read WAL with pg_waldump: whether every record is whole, and what happened in it.

pg_waldump checks each record's CRC and its link to the record before. Its words are those of
PostgreSQL 13 to 18.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from console.pitr.names import lsn
from console.process import run
from console.tools import Tools

_LSN_FIELD = re.compile(rb"tx: +(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), prev")
_LENGTH = re.compile(rb"len \(rec/tot\): *\d+/ *(\d+)")
_RELATION = re.compile(rb"blkref #0: rel \d+/(\d+)/(\d+)")
_TIME = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) ([A-Z]+)")
_FILES = re.compile(rb"; rels: ([^;]+)")
_FILE = re.compile(rb"/(\d+)/(\d+)$")
_SUBTRANSACTIONS = re.compile(rb"; subxacts: ([\d ]+)")
_PREPARED = re.compile(rb"(?:COMMIT|ABORT)_PREPARED (\d+)[:;]")
_PARAMETERS = re.compile(rb"(max_\w+)=(\d+)")
_FIRST_USER_FILE = 16384
"""Files with lower numbers are system catalogs' (FirstNormalObjectId)."""

Relation = tuple[int, int]
"""(database's oid, file's number)."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth knowing, at the record that begins at `lsn`."""

    kind: str
    """restore point, delete, insert, drop, truncate, drop database, shutdown, promotion or
    parameters."""
    lsn: int
    at: datetime | None
    """The commit's own time, or that of the last commit before it."""
    xid: int = 0
    name: str = ""
    """A restore point's name, or a parameter change."""
    relation: Relation | None = None
    rows: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """The end of a transaction: what a recovery target stops before or after."""

    lsn: int
    at: datetime
    xid: int
    committed: bool


@dataclass(slots=True)
class Scan:
    """What one reading of some WAL found."""

    records: int = 0
    last: int | None = None
    """Where the last whole record begins."""
    last_bytes: int = 0
    """How long that record is, without the page headers in it."""
    ends: list[End] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    open_deletes: Counter[tuple[int, Relation]] = field(default_factory=Counter)
    """Rows deleted by transactions that have not ended: (xid, relation) to rows."""
    problem: str = ""
    """Why reading stopped; '' when it came to the end."""


async def scan(
    tools: Tools,
    first: Path,
    last: Path | None = None,
    *,
    start: str | None = None,
    watched: frozenset[Relation] = frozenset(),
    open_deletes: Counter[tuple[int, Relation]] | None = None,
) -> Scan:
    """Read segment files (plain, under their own names, in one directory) from first to last.

    `start` is the position of a record that was taken before: reading goes on after it. Inserts
    into `watched` relations become events. What cannot be read further is `problem`, and never
    raised.
    """
    reading = _Reading(watched, Counter(open_deletes or {}), repeats_first=start is not None)
    words = [str(first)] + ([str(last)] if last is not None and last != first else [])
    options = [f"--start={start}"] if start else []
    with tools.command(None, "pg_waldump", *options, *words) as command:
        in_utc = replace(command, environment={**(command.environment or {}), "TZ": "UTC"})
        finished = await run(in_utc, consume=reading.read)
    found = reading.found
    found.open_deletes = +reading.open_deletes
    if finished.returncode != 0:
        found.problem = finished.complaint
    return found


@dataclass(slots=True)
class _Reading:
    watched: frozenset[Relation]
    open_deletes: Counter[tuple[int, Relation]]
    repeats_first: bool
    found: Scan = field(default_factory=Scan)
    inserts: Counter[tuple[int, Relation]] = field(default_factory=Counter)
    at: datetime | None = None

    def read(self, stream: BinaryIO) -> None:
        line = b""
        for line in _lines(stream):
            self.found.records += 1
            if self.found.records > 1 or not self.repeats_first:
                self._take(line)
        if line:
            self.found.last = _position(line)
            length = _LENGTH.search(line)
            self.found.last_bytes = int(length[1]) if length else 0

    def _take(self, line: bytes) -> None:
        manager = line[6:10]
        if manager == b"Heap":
            description = line.partition(b"desc: ")[2]
            if description.startswith(b"DELETE"):
                self._changed(line, self.open_deletes)
            elif self.watched and description.startswith(b"INSERT"):
                self._changed(line, self.inserts)
        elif manager == b"Tran":
            self._transaction(line, line.partition(b"desc: ")[2])
        elif manager == b"XLOG":
            self._control(line, line.partition(b"desc: ")[2])
        elif manager == b"Data" and b"desc: DROP" in line:
            self._event(line, "drop database", name=_text(line.partition(b"desc: DROP ")[2]))

    def _changed(self, line: bytes, counted: Counter[tuple[int, Relation]]) -> None:
        relation, xid = _RELATION.search(line), _LSN_FIELD.search(line)
        if relation is None or xid is None or int(relation[2]) < _FIRST_USER_FILE:
            return
        changed = (int(relation[1]), int(relation[2]))
        if counted is self.open_deletes or changed in self.watched:
            counted[int(xid[1]), changed] += 1

    def _transaction(self, line: bytes, description: bytes) -> None:
        committed = description.startswith(b"COMMIT")
        if not committed and not description.startswith(b"ABORT"):
            return
        time, numbers = _TIME.search(description), _LSN_FIELD.search(line)
        if time is None or numbers is None:
            return
        prepared = _PREPARED.match(description)
        xid = int(prepared[1]) if prepared else int(numbers[1])
        self.at = _utc(time[1])
        self.found.ends.append(End(lsn(_text(numbers[2])), self.at, xid, committed))
        family = _SUBTRANSACTIONS.search(description)
        members = {xid, *(int(word) for word in (family[1].split() if family else ()))}
        for counted, kind in ((self.open_deletes, "delete"), (self.inserts, "insert")):
            for relation, rows in _taken(counted, members).items():
                if committed:
                    self._event(line, kind, xid=xid, relation=relation, rows=rows)
        files = _FILES.search(description)
        if committed and files is not None:
            kind = "drop" if b"dropped stats: " in description else "truncate"
            for relation in _relations(files[1]):
                self._event(line, kind, xid=xid, relation=relation)

    def _control(self, line: bytes, description: bytes) -> None:
        if description.startswith(b"RESTORE_POINT "):
            self._event(line, "restore point", name=_text(description[len(b"RESTORE_POINT ") :]))
        elif description.startswith(b"CHECKPOINT_SHUTDOWN"):
            self._event(line, "shutdown")
        elif description.startswith(b"END_OF_RECOVERY"):
            self._event(line, "promotion", name=_text(description))
        elif description.startswith(b"PARAMETER_CHANGE"):
            values = " ".join(f"{_text(n)}={_text(v)}" for n, v in _PARAMETERS.findall(description))
            self._event(line, "parameters", name=values)

    def _event(
        self,
        line: bytes,
        kind: str,
        *,
        xid: int = 0,
        name: str = "",
        relation: Relation | None = None,
        rows: int = 0,
    ) -> None:
        position = _position(line)
        self.found.events.append(Event(kind, position, self.at, xid, name, relation, rows))


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(1 << 20):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _position(line: bytes) -> int:
    match = _LSN_FIELD.search(line)
    return lsn(_text(match[2])) if match else 0


def _utc(text: bytes) -> datetime:
    return datetime.fromisoformat(_text(text)).replace(tzinfo=UTC)


def _taken(counted: Counter[tuple[int, Relation]], members: set[int]) -> Counter[Relation]:
    """What the transactions changed, removed from `counted`."""
    taken: Counter[Relation] = Counter()
    for key in [key for key in counted if key[0] in members]:
        taken[key[1]] += counted.pop(key)
    return taken


def _relations(files: bytes) -> Iterable[Relation]:
    for word in files.split():
        match = _FILE.search(word)
        if match is not None and int(match[2]) >= _FIRST_USER_FILE:
            yield int(match[1]), int(match[2])


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").strip()
