"""Deterministic sample data for MediaNest, streamed into it by COPY.

The same size gives the same rows, whenever and wherever: only the timestamps move with `now`, so
that the data looks current. Rows are made one at a time in the order of their creation, so memory
grows with the number of users alone.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from random import Random
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from console.demo import words

SIZES = {"small": 5_000, "medium": 200_000, "large": 5_000_000}
"""Rows of all eleven tables together."""

Progress = Callable[[str, float | None], None]
"""Told what is being done, and how much of it is done (0 to 1, None when that is unknown)."""

_Choice = TypeVar("_Choice")

_SEED = "medianest"
_DAY = 86_400
_SPAN_SECONDS = 730 * _DAY
_ID_EPOCH_MILLISECONDS = 1_700_000_000_000
_ROWS_PER_COPY = 50_000
_NULL = r"\N"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_TO_BCRYPT = bytes.maketrans(b"+", b".")

# Shares of the total; error_logs takes what is left over.
_SHARES = {
    "users": 0.02,
    "accounts": 0.015,
    "sessions": 0.04,
    "session_tokens": 0.09,
    "verification_tokens": 0.005,
    "media_requests": 0.40,
    "youtube_downloads": 0.06,
    "rate_limits": 0.05,
}


@dataclass(slots=True)
class _World:
    """What the rows of one table need to know of the others, and of chance."""

    now: float
    """Seconds since 1970."""
    random: Random
    users: list[str] = field(default_factory=list)
    by_activity: list[str] = field(default_factory=list)
    """The users once more, the most active first."""

    def identifier(self, age: float, number: int) -> str:
        """A cuid's shape: c, milliseconds in base 36, a counter, chance; 25 characters."""
        stamp = _base36(_ID_EPOCH_MILLISECONDS + int((_SPAN_SECONDS - age) * 1000), 8)
        chance = _base36(self.random.getrandbits(62), 12)
        return f"c{stamp}{_base36(number, 4)[-4:]}{chance[-12:]}"

    def age(self, number: int, count: int) -> float:
        """Seconds since the numbered of `count` rows: oldest first, recent days denser."""
        remaining = 1 - (number + self.random.random()) / count
        return _SPAN_SECONDS * remaining * remaining

    def at(self, age: float) -> str:
        """A timestamp `age` seconds ago (in UTC; COPY ignores the zone for plain timestamps)."""
        return datetime.fromtimestamp(self.now - age, UTC).isoformat(" ", "milliseconds")

    def rank_users(self) -> None:
        """Decide who is active, once all users are known."""
        self.by_activity = list(self.users)
        self.random.shuffle(self.by_activity)

    def active_user(self) -> str:
        """Few users do most of what is done: the busiest tenth about half of it."""
        return self.by_activity[int(len(self.users) * self.random.random() ** 3.3)]


def _base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _BASE36[digit] + digits
    return digits.rjust(width, "0")


def _users(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number in range(count):
        age = world.age(number, count)
        identifier = world.identifier(age, number)
        world.users.append(identifier)
        first, last = random.choice(words.FIRST_NAMES), random.choice(words.LAST_NAMES)
        handle = f"{first}.{last}{number}".lower()
        plex = random.random() < 0.75
        role = "ADMIN" if number < 2 or random.random() < 0.002 else "USER"
        status = _choose(random, words.USER_STATUSES)
        seen = world.at(age * random.random() ** 3) if random.random() < 0.9 else _NULL
        yield "\t".join(
            (
                identifier,
                str(10_000_000 + number * 7) if plex else _NULL,
                handle if plex else _NULL,
                f"{handle}@example.org",
                f"{first} {last}",
                role,
                random.randbytes(10).hex() if plex else _NULL,
                f"https://plex.example.org/users/{number}/avatar" if plex else _NULL,
                "t" if not plex and random.random() < 0.05 else "f",
                world.at(age),
                seen,
                status,
                _NULL if plex else _bcrypt(random),
            )
        )


def _bcrypt(random: Random) -> str:
    """The shape of a bcrypt hash of cost 12; no password has it."""
    return "$2b$12$" + base64.b64encode(random.randbytes(40))[:53].translate(_TO_BCRYPT).decode()


def _accounts(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number, user in enumerate(world.users[:count]):
        age = world.age(number, count)
        expires = int(world.now - age + 90 * _DAY)
        yield (
            f"{world.identifier(age, number)}\t{user}\toauth\tplex\t{10_000_000 + number * 7}\t"
            f"{random.randbytes(20).hex()}\t{random.randbytes(20).hex()}\t{expires}\t"
            f"Bearer\tread\t{_NULL}\t{_NULL}"
        )


def _sessions(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number in range(count):
        age = world.age(number, count) / 12
        token = random.randbytes(32).hex()
        expires = world.at(age - 30 * _DAY)
        yield f"{world.identifier(age, number)}\t{token}\t{world.active_user()}\t{expires}"


def _session_tokens(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number in range(count):
        age = world.age(number, count) / 4
        used = world.at(age * random.random()) if random.random() < 0.8 else _NULL
        yield (
            f"{world.identifier(age, number)}\t{world.active_user()}\t{random.randbytes(32).hex()}"
            f"\t{world.at(age - 90 * _DAY)}\t{world.at(age)}\t{used}"
        )


def _verification_tokens(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number in range(count):
        age = world.age(number, count) / 24
        address = f"invited{number}@example.org"
        yield f"{address}\t{random.randbytes(32).hex()}\t{world.at(age - _DAY)}"


def _media_requests(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number in range(count):
        age = world.age(number, count)
        # Some titles are asked for again and again.
        title = int(60_000 * random.random() ** 4)
        kind = "movie" if title % 5 < 3 else "tv"
        status = _choose(random, words.REQUEST_STATUSES) if age > 2 * _DAY else "pending"
        done = status in ("completed", "available")
        completed = world.at(age - min(age, random.expovariate(1 / 40_000))) if done else _NULL
        yield (
            f"{world.identifier(age, number)}\t{world.active_user()}\t{words.title(title)}\t{kind}"
            f"\t{1000 + title * 13}\t{status}\t{number + 1 if status != 'pending' else _NULL}"
            f"\t{world.at(age)}\t{completed}"
        )


def _youtube_downloads(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number in range(count):
        age = world.age(number, count)
        status = _choose(random, words.DOWNLOAD_STATUSES) if age > _DAY else "queued"
        key = _base36(random.getrandbits(52), 11)
        done = status == "completed"
        videos = 1 + int(random.expovariate(0.2)) if done else 0
        paths = json.dumps([f"/youtube/{key}/{video:03}.mp4" for video in range(min(videos, 40))])
        completed = world.at(age - min(age, random.expovariate(1 / 3_000))) if done else _NULL
        yield (
            f"{world.identifier(age, number)}\t{world.active_user()}\t"
            f"https://www.youtube.com/playlist?list=PL{key}\t{words.title(number * 7)} playlist\t"
            f"{status}\t{paths if done else _NULL}\t{number + 100 if done else _NULL}\t"
            f"{world.at(age)}\t{completed}"
        )


def _service_status(world: _World, count: int) -> Iterator[str]:
    for number, name in enumerate(words.SERVICES[:count]):
        up = name != "uptime-kuma"
        yield (
            f"{name}\t{'up' if up else 'degraded'}\t{12 + number * 17}\t"
            f"{world.at(20 + number)}\t{99.98 - number * 0.11:.2f}"
        )


def _rate_limits(world: _World, count: int) -> Iterator[str]:
    random = world.random
    for number in range(count):
        age = world.age(number, count) / 360
        endpoint = _choose(random, words.ENDPOINTS)
        requests = 1 + int(random.expovariate(0.1))
        yield f"{world.active_user()}\t{endpoint}\t{requests}\t{world.at(age)}"


def _service_config(world: _World, count: int) -> Iterator[str]:
    for number, name in enumerate(words.SERVICES[:count]):
        settings = json.dumps({"timeout_ms": 5000, "retries": number % 4, "tls": number % 2 == 0})
        yield (
            f"{name}\thttp://{name}.home.example.org:{8000 + number}\t"
            f"{world.random.randbytes(16).hex()}\tt\t{settings}\t{world.at((number + 3) * _DAY)}\t"
            f"{world.users[0] if number % 3 else _NULL}"
        )


def _error_logs(world: _World, count: int) -> Iterator[str]:
    random = world.random
    correlation = ""
    for number in range(count):
        age = world.age(number, count)
        # Errors come in bursts: one request fails in several places.
        if not correlation or random.random() < 0.7:
            correlation = random.randbytes(16).hex()
        failure = _choose(random, words.ERRORS)
        code, message, status, path, method = failure
        trace = words.stack_trace(code) if status >= 500 else _NULL
        metadata = f'{{"attempt": {1 + number % 3}, "duration_ms": {random.getrandbits(11)}}}'
        yield (
            f"{world.identifier(age, number)}\t{correlation}\t{world.active_user()}\t{code}\t"
            f"{message}\t{trace}\t{path}\t{method}\t{status}\t{metadata}\t{world.at(age)}"
        )


def _choose(random: Random, weighted: tuple[_Choice, ...]) -> _Choice:
    return weighted[int(len(weighted) * random.random())]


_TABLES: dict[str, Callable[[_World, int], Iterator[str]]] = {
    "users": _users,
    "accounts": _accounts,
    "sessions": _sessions,
    "session_tokens": _session_tokens,
    "verification_tokens": _verification_tokens,
    "service_status": _service_status,
    "service_config": _service_config,
    "rate_limits": _rate_limits,
    "youtube_downloads": _youtube_downloads,
    "media_requests": _media_requests,
    "error_logs": _error_logs,
}
_NUMBERED_BY_DEFAULT = ("service_status", "service_config", "rate_limits")


def row_counts(size: str) -> dict[str, int]:
    """How many rows each table gets at `size`; together exactly SIZES[size]."""
    total = SIZES[size]
    counts = {table: int(total * share) for table, share in _SHARES.items()}
    counts["service_status"] = counts["service_config"] = len(words.SERVICES)
    counts["error_logs"] = total - sum(counts.values())
    return {table: counts[table] for table in _TABLES}


def fill(
    connection: psycopg.Connection[Any],
    size: str,
    on_progress: Progress = lambda _what, _fraction: None,
    *,
    now: float | None = None,
) -> None:
    """Fill MediaNest's empty tables at `size`, then VACUUM and ANALYZE them.

    Needs an autocommit connection as the tables' owner. `now`, in seconds since 1970, is the
    moment the data looks current at.
    """
    world = _World(time.time() if now is None else now, Random())
    written = 0
    for table, count in row_counts(size).items():
        world.random.seed(f"{_SEED} {table}")
        rows = _TABLES[table](world, count)
        for start in range(0, count, _ROWS_PER_COPY):
            on_progress(f"filling {table}", (written + start) / SIZES[size])
            _copy(connection, table, islice(rows, _ROWS_PER_COPY))
        if table == "users":
            world.rank_users()
        written += count
    if connection.info.server_version >= 150000:
        # Counts still unreported when VACUUM sets the live rows would be added to them again.
        connection.execute("SELECT pg_stat_force_next_flush()")
    for table in _TABLES:
        on_progress(f"analysing {table}", None)
        connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(sql.Identifier(table)))
    connection.execute("ANALYZE _prisma_migrations")


def _copy(connection: psycopg.Connection[Any], table: str, rows: Iterator[str]) -> None:
    target = sql.Identifier(table)
    columns = connection.execute(sql.SQL("SELECT * FROM {} WHERE false").format(target)).description
    names = [column.name for column in columns or ()]
    if table in _NUMBERED_BY_DEFAULT:
        names.remove("id")
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        target, sql.SQL(", ").join(map(sql.Identifier, names))
    )
    with connection.cursor().copy(statement) as copy:
        # In small pieces, so that the server stores while we make the next.
        while piece := list(islice(rows, 200)):
            copy.write("\n".join(piece) + "\n")
