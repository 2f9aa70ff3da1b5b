"""What surrounds one server: who follows it, what is kept for them, and who manages it.

A manager is recognised by what SQL shows: CloudNativePG by a setting of its own; Patroni by the
settings that it gives on the command line, and surely when one of its sessions is there as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.citus import Citus, read_nodes
from console.findings import Finding, Severity
from console.session import Session
from queries.cluster import TRAITS, Traits
from queries.health import REPLICATION_SLOTS, ReplicationSlot
from queries.replication import CONFLICTS, FOLLOWERS, Conflict, Follower

_PATRONI_COMMAND_LINE = frozenset(
    {
        "cluster_name",
        "hot_standby",
        "listen_addresses",
        "max_connections",
        "max_locks_per_transaction",
        "max_prepared_transactions",
        "max_replication_slots",
        "max_wal_senders",
        "max_worker_processes",
        "port",
        "track_commit_timestamp",
        "wal_level",
        "wal_log_hints",
    }
)
"""What Patroni always gives on the command line, so that ALTER SYSTEM cannot change it."""


@dataclass(frozen=True, slots=True)
class Manager:
    """A program that starts, configures and promotes the server in the operator's stead."""

    name: str
    cluster: str
    is_certain: bool
    """False: it looks like it, and another program could look the same."""
    evidence: str
    advice: str
    """What not to do to it, and what to do instead."""


@dataclass(frozen=True, slots=True)
class Cluster:
    followers: tuple[Follower, ...] = ()
    slots: tuple[ReplicationSlot, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    """Of queries in the target's database with replay; a primary has none."""
    manager: Manager | None = None
    citus: Citus | None = None
    """None without the extension in the target's database."""


async def read_cluster(session: Session) -> Cluster:
    """Asks only the session's own server. Raises ConsoleError kinds."""
    traits = await session.fetch_one(TRAITS)
    return Cluster(
        tuple(await session.fetch(FOLLOWERS)),
        tuple(await session.fetch(REPLICATION_SLOTS)),
        tuple(await session.fetch(CONFLICTS)),
        recognise(traits),
        None if traits.citus_version is None else await read_nodes(session, traits.citus_version),
    )


def recognise(traits: Traits) -> Manager | None:
    """Who manages the server, as far as its settings tell; None when nothing points at anyone."""
    if traits.has_cnpg_setting:
        return Manager(
            "CloudNativePG",
            traits.cluster_name,
            is_certain=True,
            evidence="cnpg.config_sha256 is set",
            advice=_CNPG if traits.allows_alter_system else f"{_CNPG} The server refuses it.",
        )
    if traits.cluster_name and set(traits.command_line) >= _PATRONI_COMMAND_LINE:
        return Manager(
            "Patroni",
            traits.cluster_name,
            is_certain=traits.has_patroni_session,
            evidence=_PATRONI_SEEN if traits.has_patroni_session else _PATRONI_LIKELY,
            advice=_PATRONI,
        )
    return None


_PATRONI_LIKELY = "the server's command line gives the settings that Patroni gives"
_PATRONI_SEEN = f"{_PATRONI_LIKELY}, and a session of Patroni is there"
_CNPG = "Change settings in its Cluster resource, not by ALTER SYSTEM."
_PATRONI = (
    "Change settings by patronictl edit-config: ALTER SYSTEM cannot change those on the command"
    " line. Before the server is stopped by hand: patronictl pause."
)


def judge(cluster: Cluster) -> list[Finding]:
    """A warning for each node of Citus that is out of use, and when they could not be read."""
    citus = cluster.citus
    if citus is None:
        return []
    if citus.problem:
        message = f"The nodes of Citus cannot be read: {citus.problem}"
        return [Finding("fleet.citus", Severity.UNKNOWN, "", message)]
    return [
        Finding("fleet.citus", Severity.WARNING, member.place, "Citus has this node out of use.")
        for member in citus.members
        if not member.node.is_active
    ]
