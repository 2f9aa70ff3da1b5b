"""A Citus cluster as one of its nodes knows it: the other nodes, and what each of them holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from psycopg import sql

import queries
from console.errors import ConsoleError
from console.session import Connection, Limits, Session, connect
from console.target import Target
from queries.cluster import CITUS_NODES, CITUS_SIZES, CitusNode, CitusSize

SIZES_SECONDS = 60.0
"""How long sizes are good for: every node is asked for them."""

_PATIENCE_SECONDS = 2.0
_LIMITS = Limits(statement_ms=2_000, lock_ms=300, connect_s=2)

# Citus creates its tables elsewhere and moves them here, so they are system objects by name.
_NODES = {
    "nodes": sql.Identifier("pg_catalog", "pg_dist_node"),
    "placements": sql.Identifier("pg_catalog", "pg_dist_placement"),
}
_SHARDS = {"shards": sql.Identifier("pg_catalog", "citus_shards")}

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Member:
    """A node, and the bytes of its shards; None when they are not known."""

    node: CitusNode
    bytes: int | None = None

    @property
    def place(self) -> str:
        return f"{self.node.name}:{self.node.port}"


@dataclass(frozen=True, slots=True)
class Citus:
    version: str
    members: tuple[Member, ...]
    problem: str = ""
    """Why the nodes could not be read; '' when they were."""

    def with_sizes(self, sizes: Mapping[Address, int]) -> Citus:
        members = (replace(m, bytes=sizes.get((m.node.name, m.node.port))) for m in self.members)
        return replace(self, members=tuple(members))


async def read_nodes(session: Session, version: str) -> Citus:
    """The nodes by the metadata of this one, which asks no other; sizes are not known yet."""
    try:
        nodes = await session.fetch(CITUS_NODES, relations=_NODES)
    except ConsoleError as error:
        return Citus(version, (), error.message)
    return Citus(version, tuple(Member(node) for node in nodes))


class ShardSizes:
    """What each node holds, remembered for a minute; a node that is mute holds up nobody."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Mapping[Address, int]]] = {}

    async def of(self, target: Target) -> Mapping[Address, int]:
        """Bytes by the node's address; empty when they are not had within two seconds.

        The question has a session of its own, since Citus lets it wait for every node.
        """
        asked_at, sizes = self._known.get(target.name, (float("-inf"), {}))
        if time.monotonic() - asked_at < SIZES_SECONDS:
            return sizes
        asking = asyncio.ensure_future(_ask(target))
        try:
            done, _ = await asyncio.wait({asking}, timeout=_PATIENCE_SECONDS)
        finally:
            # To await its end would be to wait for the node after all.
            asking.cancel()
        sizes = asking.result() if done else {}
        self._known[target.name] = (time.monotonic(), sizes)
        return sizes


async def _ask(target: Target) -> Mapping[Address, int]:
    try:
        async with connect(target, limits=_LIMITS) as connection:
            rows = await _sizes(connection)
    except ConsoleError:
        # A node that is down, or a Citus older than citus_shards: the sizes stay unknown.
        return {}
    return {(row.name, row.port): row.bytes for row in rows if row.bytes is not None}


async def _sizes(connection: Connection) -> list[CitusSize]:
    return await queries.fetch(connection, CITUS_SIZES, relations=_SHARDS)
