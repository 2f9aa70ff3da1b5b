"""What is being built right now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class IndexBuild:
    """A running CREATE INDEX or REINDEX; totals are 0 where the phase has none."""

    pid: int
    hidden: bool
    """The role may not see whose relation it is."""
    table_oid: int | None
    index_oid: int | None
    """The new index, once it exists in the catalog."""
    command: str
    phase: str
    lockers_total: int
    lockers_done: int
    locker_pid: int | None
    """The backend whose transaction is waited for."""
    blocks_total: int
    blocks_done: int
    tuples_total: int
    tuples_done: int


CREATE_INDEX_PROGRESS = Query("create_index_progress", IndexBuild)


@dataclass(frozen=True, slots=True)
class ObjectIdentity:
    """An index or a constraint as it is at this moment."""

    schema: str
    name: str
    table: str
    is_valid: bool
    owner: str
    """Of the table."""
    role: str
    """Who asks."""


OBJECT_IDENTITY = Query("object_identity", ObjectIdentity)


@dataclass(frozen=True, slots=True)
class IndexLeftover:
    """An invalid index with one of the names that REINDEX CONCURRENTLY gives."""

    oid: int
    schema: str
    name: str


INDEX_LEFTOVERS = Query("index_leftovers", IndexLeftover)


@dataclass(frozen=True, slots=True)
class Blockers:
    pids: Sequence[int]


BLOCKERS = Query("blockers", Blockers)
