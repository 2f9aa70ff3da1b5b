"""What a repository holds, as pgBackRest's `info --output=json` tells it.

Its JSON has grown from version to version (2.27 to 2.59): what is missing is None, what is new is
passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, cast

from console.backup import jsonfile
from console.errors import CommandFailed
from console.pgbackrest.backrest import READ_SECONDS, Backrest
from console.pitr.names import SEGMENT_NAME

Kind = Literal["full", "diff", "incr"]

OK, MISSING_PATH, NO_BACKUP, MISSING_DATA, MIXED = range(5)
"""Status codes of a stanza and of its repositories (pgBackRest, src/command/info/info.c)."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup of the whole cluster; sizes in bytes."""

    label: str
    kind: Kind
    started_at: datetime
    stopped_at: datetime
    bytes: int | None
    """Of the cluster, unpacked."""
    copied_bytes: int | None
    """What this one had to copy of it."""
    repo_bytes: int | None
    """All that a restore of it reads, packed; None for block-incremental ones."""
    repo_delta_bytes: int | None
    """What this one added to the repository."""
    wal_start: str | None
    wal_stop: str | None
    page_errors: bool | None
    """Pages failed their checksums while it was copied; None when not told."""
    references: tuple[str, ...]
    """Backups that a restore of it needs too."""
    repo: int
    database: int
    """The id of the cluster's history that it is of."""
    databases: tuple[str, ...] = ()
    """Their names, where the answer holds them: only one about a single backup does."""

    @property
    def seconds(self) -> float:
        return (self.stopped_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Repository:
    key: int
    code: int
    message: str
    cipher: str


@dataclass(frozen=True, slots=True)
class WalRange:
    """The oldest and newest segment of one cluster in one repository; gaps are not told."""

    repo: int
    database: int
    min: str | None
    max: str | None


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL that the stanza was made or upgraded for."""

    id: int
    repo: int
    system_identifier: str
    version: str


@dataclass(frozen=True, slots=True)
class Stanza:
    name: str
    code: int
    message: str
    busy: bool
    """A backup or an expire runs on the host that was asked."""
    fraction: float | None
    """How far that backup is, where this version tells."""
    repositories: tuple[Repository, ...]
    clusters: tuple[Cluster, ...]
    wal: tuple[WalRange, ...]
    backups: tuple[Backup, ...]
    """The newest first."""

    @property
    def cluster(self) -> Cluster | None:
        """The one it backs up now."""
        return max(self.clusters, key=lambda cluster: cluster.id, default=None)

    @property
    def wal_ends(self) -> dict[int, str]:
        """The newest segment of the current cluster, by the repositories that hold any."""
        return {
            found.repo: found.max
            for found in self.wal
            if found.max and found.database == self._current(found.repo)
        }

    def _current(self, repo: int) -> int | None:
        return max((cluster.id for cluster in self.clusters if cluster.repo == repo), default=None)

    def newest(self, kind: Kind | None = None) -> Backup | None:
        return next((b for b in self.backups if kind is None or b.kind == kind), None)


async def read_stanza(backrest: Backrest, seconds: float = READ_SECONDS) -> Stanza:
    """Ask for the stanza. Raises CommandFailed when it cannot be told, also after `seconds`."""
    return parse(await backrest.read("info", "--output=json", seconds=seconds), backrest.stanza)


def parse(text: str, name: str) -> Stanza:
    """The stanza `name` of an answer. Raises CommandFailed for anything else."""
    try:
        answer = jsonfile.parsed(text.encode())
    except ValueError as error:
        raise _unreadable(str(error)) from error
    entries = _objects(answer)
    found = next((entry for entry in entries if entry.get("name") == name), None)
    if found is None:
        raise _unreadable(f"it does not speak of the stanza {name}")
    return _stanza(found, name)


def _unreadable(reason: str) -> CommandFailed:
    return CommandFailed(
        f"pgBackRest's answer is not understood: {reason}.",
        "Run `pgbackrest info --output=json` by hand, as the same account.",
    )


def _stanza(entry: dict[str, Any], name: str) -> Stanza:
    status = _object(entry.get("status"))
    lock = _object(_object(status.get("lock")).get("backup"))
    backups = [b for item in _objects(entry.get("backup")) if (b := _backup(item)) is not None]
    return Stanza(
        name=name,
        code=_number(status.get("code")) or 0,
        message=str(status.get("message", "")),
        busy=lock.get("held") is True,
        fraction=_fraction(lock),
        repositories=tuple(map(_repository, _objects(entry.get("repo")))),
        clusters=tuple(map(_cluster, _objects(entry.get("db")))),
        wal=tuple(map(_wal_range, _objects(entry.get("archive")))),
        backups=tuple(sorted(backups, key=lambda b: (b.stopped_at, b.label), reverse=True)),
    )


def _backup(entry: dict[str, Any]) -> Backup | None:
    """None for one without a name or times: nothing can be said of it."""
    times = _object(entry.get("timestamp"))
    start, stop = _time(times.get("start")), _time(times.get("stop"))
    label, kind = _text(entry.get("label")), entry.get("type")
    if not label or kind not in ("full", "diff", "incr") or start is None or stop is None:
        return None
    sizes = _object(entry.get("info"))
    packed = _object(sizes.get("repository"))
    wal = _object(entry.get("archive"))
    error = entry.get("error")
    references = entry.get("reference")
    return Backup(
        label=label,
        kind=cast(Kind, kind),
        started_at=start,
        stopped_at=stop,
        bytes=_number(sizes.get("size")),
        copied_bytes=_number(sizes.get("delta")),
        repo_bytes=_number(packed.get("size")),
        repo_delta_bytes=_number(packed.get("delta")),
        wal_start=_segment(wal.get("start")),
        wal_stop=_segment(wal.get("stop")),
        page_errors=error if isinstance(error, bool) else None,
        references=tuple(map(str, references)) if isinstance(references, list) else (),
        repo=_repo_key(entry.get("database")),
        database=_number(_object(entry.get("database")).get("id")) or 0,
        databases=tuple(
            name
            for item in _objects(entry.get("database-ref"))
            if (name := _text(item.get("name")))
        ),
    )


def _repository(entry: dict[str, Any]) -> Repository:
    status = _object(entry.get("status"))
    return Repository(
        key=_number(entry.get("key")) or 1,
        code=_number(status.get("code")) or 0,
        message=str(status.get("message", "")),
        cipher=str(entry.get("cipher", "none")),
    )


def _cluster(entry: dict[str, Any]) -> Cluster:
    return Cluster(
        id=_number(entry.get("id")) or 0,
        repo=_number(entry.get("repo-key")) or 1,
        system_identifier=str(entry.get("system-id", "")),
        version=str(entry.get("version", "")),
    )


def _wal_range(entry: dict[str, Any]) -> WalRange:
    database = _object(entry.get("database"))
    return WalRange(
        repo=_repo_key(database),
        database=_number(database.get("id")) or 0,
        min=_segment(entry.get("min")),
        max=_segment(entry.get("max")),
    )


def _fraction(lock: dict[str, Any]) -> float | None:
    total, done = _number(lock.get("size")), _number(lock.get("size-cplt"))
    return min(1.0, max(0.0, done / total)) if total and done is not None else None


def _repo_key(database: Any) -> int:
    return _number(_object(database).get("repo-key")) or 1


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _segment(value: Any) -> str | None:
    """The name of a WAL segment; anything else is none."""
    return value if isinstance(value, str) and SEGMENT_NAME.fullmatch(value) else None


def _time(value: Any) -> datetime | None:
    """Seconds since 1970, as far as a clock goes."""
    seconds = _number(value)
    try:
        return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
    except (OverflowError, OSError, ValueError):
        return None
