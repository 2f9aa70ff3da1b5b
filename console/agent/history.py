"""The agent's memory: one SQLite file of figures, events and what was done, bounded in size.

Figures are kept as they came for two days, then as means, lows and highs of five minutes for
90 days and of an hour for two years. Readers (the app's charts) open it read-only at any time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import RLock

from console.errors import CommandFailed
from console.settings import state_directory

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY, target TEXT NOT NULL, name TEXT NOT NULL, UNIQUE (target, name));
CREATE TABLE IF NOT EXISTS point (
    series INTEGER NOT NULL, step INTEGER NOT NULL, at INTEGER NOT NULL,
    low REAL NOT NULL, mean REAL NOT NULL, high REAL NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (step, series, at)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, at INTEGER NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL,
    severity TEXT NOT NULL, subject TEXT NOT NULL, message TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_by_target ON event (target, at);
CREATE TABLE IF NOT EXISTS remembered (
    target TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (target, name)) WITHOUT ROWID;
"""
_VERSION = 1

RAW, MINUTES, HOURS = 0, 300, 3600
"""Steps of a point in seconds; RAW is as it came."""
_KEPT = {RAW: timedelta(days=2), MINUTES: timedelta(days=90), HOURS: timedelta(days=730)}
_EVENTS_KEPT = timedelta(days=730)
_LOOKED_BACK = timedelta(hours=3)
"""How far a roll-up goes back: points do not come later than this."""


@dataclass(frozen=True, slots=True)
class Point:
    """One figure over a step: its lowest, mean and highest value."""

    at: datetime
    low: float
    mean: float
    high: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a target."""

    at: datetime
    target: str
    kind: str
    severity: str
    subject: str
    message: str


def history_path() -> Path:
    """The file of this state directory; it need not be there."""
    return state_directory() / "history.sqlite"


class AgentHistory:
    """The file, opened to write by the one agent. Methods block for milliseconds: use a thread.

    Raises CommandFailed when the file cannot be made, read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._file = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=10
            )
            self._one_at_a_time = RLock()
            self._file.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")
            self._file.execute("PRAGMA cache_size = -2000")
            self._file.executescript(_SCHEMA)
            self._file.execute(f"PRAGMA user_version = {_VERSION}")
        self._series: dict[tuple[str, str], int] = {}

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Threads take turns: a transaction belongs to the one that began it."""
        with self._one_at_a_time, _explained(self.path):
            yield

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._asking():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")

    def add(self, target: str, at: datetime, figures: Mapping[str, float | None]) -> None:
        """Write figures of one moment down; those that are None are left out."""
        with self._writing() as file:
            file.executemany(
                "INSERT OR REPLACE INTO point VALUES (?, 0, ?, ?, ?, ?, 1)",
                [
                    (self._id(target, name), _seconds(at), value, value, value)
                    for name, value in figures.items()
                    if value is not None
                ],
            )

    def _id(self, target: str, name: str) -> int:
        known = self._series.get((target, name))
        if known is None:
            self._file.execute(
                "INSERT OR IGNORE INTO series (target, name) VALUES (?, ?)", (target, name)
            )
            (known,) = self._file.execute(
                "SELECT id FROM series WHERE target = ? AND name = ?", (target, name)
            ).fetchone()
            self._series[target, name] = known
        return int(known)

    def note(self, event: Event) -> None:
        """Write down that something happened."""
        with self._writing() as file:
            file.execute(
                "INSERT INTO event (at, target, kind, severity, subject, message)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    _seconds(event.at),
                    event.target,
                    event.kind,
                    event.severity,
                    event.subject,
                    event.message,
                ),
            )

    def remember(self, documents: Mapping[str, Mapping[str, object]]) -> None:
        """Keep JSON documents by target and name, in place of those before: all or none."""
        with self._writing() as file:
            file.executemany(
                "INSERT OR REPLACE INTO remembered VALUES (?, ?, ?)",
                [
                    (target, name, json.dumps(document, ensure_ascii=False))
                    for target, named in documents.items()
                    for name, document in named.items()
                ],
            )

    def recall(self, target: str, name: str) -> object:
        """The document kept under a name; None when there is none."""
        with self._asking():
            row = self._file.execute(
                "SELECT document FROM remembered WHERE target = ? AND name = ?", (target, name)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def tidy(self, now: datetime, megabytes: float) -> None:
        """Roll points up, let old ones go, and keep the file below a size."""
        with self._writing() as file:
            for source, step in ((RAW, MINUTES), (MINUTES, HOURS)):
                file.execute(_ROLL_UP, {"source": source, "step": step, **_since(now, step)})
            for step, kept in _KEPT.items():
                file.execute(
                    "DELETE FROM point WHERE step = ? AND at < ?", (step, _seconds(now - kept))
                )
            file.execute("DELETE FROM event WHERE at < ?", (_seconds(now - _EVENTS_KEPT),))
        with self._asking():
            for step in (RAW, MINUTES, HOURS):
                while self._bytes() > megabytes * 1e6 and self._drop_oldest(step):
                    pass
            # Each step of the vacuum frees one page, and only a script takes all of them.
            self._file.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")

    def amounts(self) -> dict[int, int]:
        """Points by step."""
        with self._asking():
            rows = self._file.execute("SELECT step, count(*) FROM point GROUP BY step").fetchall()
        return dict(rows)

    def _bytes(self) -> int:
        pages, free, size = (
            self._file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _drop_oldest(self, step: int) -> bool:
        """Let the older half of a step's points go; False when there are none left."""
        oldest, newest = self._file.execute(
            "SELECT min(at), max(at) FROM point WHERE step = ?", (step,)
        ).fetchone()
        if oldest is None:
            return False
        with self._writing() as file:
            file.execute(
                "DELETE FROM point WHERE step = ? AND at <= ?", (step, (oldest + newest) // 2)
            )
        return True


_ROLL_UP = """
INSERT OR REPLACE INTO point
SELECT series, :step, at / :step * :step, min(low), sum(mean * amount) / sum(amount), max(high),
       sum(amount)
FROM point WHERE step = :source AND at >= :since AND at < :until
GROUP BY series, at / :step
"""


def _since(now: datetime, step: int) -> dict[str, int]:
    """Whole steps only: a step that is not over would be rolled up again without its beginning."""
    until = _seconds(now) // step * step
    return {"since": (until - int(_LOOKED_BACK.total_seconds())) // step * step, "until": until}


class HistoryReader:
    """What the app reads of the agent's history. Methods block for milliseconds: use a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        return self.path.exists()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with _explained(self.path):
            file = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=2)
            try:
                yield file
            finally:
                file.close()

    def names(self, target: str) -> tuple[str, ...]:
        with self._reading() as file:
            rows = file.execute(
                "SELECT name FROM series WHERE target = ? ORDER BY name", (target,)
            ).fetchall()
        return tuple(name for (name,) in rows)

    def points(self, target: str, name: str, since: datetime, until: datetime) -> list[Point]:
        """A figure's points, the oldest first, at the finest step that goes back to `since`."""
        step = next((step for step, kept in _KEPT.items() if until - since <= kept), max(_KEPT))
        with self._reading() as file:
            rows = file.execute(
                "SELECT at, low, mean, high FROM point"
                " WHERE step = ? AND series = (SELECT id FROM series WHERE target = ? AND name = ?)"
                " AND at BETWEEN ? AND ? ORDER BY at",
                (step, target, name, _seconds(since), _seconds(until)),
            ).fetchall()
        return [Point(_time(at), low, mean, high) for at, low, mean, high in rows]

    def recall(self, target: str, name: str) -> object:
        """The document kept under a name; None when there is none."""
        with self._reading() as file:
            row = file.execute(
                "SELECT document FROM remembered WHERE target = ? AND name = ?", (target, name)
            ).fetchone()
        return None if row is None else json.loads(row[0])

    def events(self, target: str, since: datetime, limit: int = 200) -> Sequence[Event]:
        """What happened, the newest first."""
        with self._reading() as file:
            rows = file.execute(
                "SELECT at, target, kind, severity, subject, message FROM event"
                " WHERE target = ? AND at >= ? ORDER BY at DESC, id DESC LIMIT ?",
                (target, _seconds(since), limit),
            ).fetchall()
        return [Event(_time(at), *texts) for at, *texts in rows]


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise CommandFailed(
            f"The history in {path} cannot be used: {error}.",
            "Check the state directory's room and permissions, or move the file away.",
        ) from error
