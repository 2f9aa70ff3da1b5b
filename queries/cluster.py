"""What a server tells of the cluster it is part of: who manages it, and Citus's nodes."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class Traits:
    """By what a managed server is recognised."""

    cluster_name: str
    has_cnpg_setting: bool
    """CloudNativePG's instance manager writes a setting of its own into the configuration."""
    command_line: list[str]
    """The names of the settings that were given on the server's command line."""
    has_patroni_session: bool
    """A session calls itself Patroni's (`Patroni heartbeat`), as any session could."""
    allows_alter_system: bool
    """False where allow_alter_system is off (PostgreSQL 17 and later)."""
    citus_version: str | None
    """None without the extension in this database."""


@dataclass(frozen=True, slots=True)
class CitusNode:
    name: str
    port: int
    is_coordinator: bool
    role: str
    """primary, secondary or unavailable, in the words of Citus."""
    is_active: bool
    takes_shards: bool
    shards: int


@dataclass(frozen=True, slots=True)
class CitusSize:
    """What one node holds; None when Citus knows no size."""

    name: str
    port: int
    bytes: int | None


TRAITS = Query("cluster_traits", Traits)
CITUS_NODES = Query("citus_nodes", CitusNode)
CITUS_SIZES = Query("citus_sizes", CitusSize)
