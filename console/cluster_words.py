"""What surrounds a server, in words: a name and a few lines for each thing there is."""

from __future__ import annotations

from collections.abc import Sequence

from console.citus import Citus, Member
from console.cluster import Cluster, Manager
from console.units import counted, duration, size
from queries.health import ReplicationSlot
from queries.replication import Conflict, Follower, Place

MOST_LINES = 6
"""Lines of one thing on a screen; the others are in `fleet --json`."""


def facts(place: Place, cluster: Cluster) -> list[tuple[str, str]]:
    """A name and its lines, only for what there is: nothing for a server alone."""
    told: list[tuple[str, str]] = []
    if cluster.manager is not None:
        told.append(("managed", manager(cluster.manager)))
    if place.in_recovery:
        told.append(("replay", replay(place)))
        told.append(("conflicts", conflicts(cluster.conflicts)))
    if cluster.followers:
        told.append(("followers", _lines([follower(one) for one in cluster.followers])))
    if cluster.slots:
        told.append(("slots", _lines([slot(one) for one in cluster.slots])))
    if cluster.citus is not None:
        told.append(("Citus", citus(cluster.citus)))
    return told


def manager(found: Manager) -> str:
    name = found.name if found.is_certain else f"looks like {found.name}"
    cluster = f", cluster {found.cluster}" if found.cluster else ""
    return f"{name}{cluster}. {found.advice}"


def replay(place: Place) -> str:
    """A standby may live by an archive alone, so one that receives nothing is not yet wrong."""
    source = "streams" if place.receives else "no server streams to it"
    if not place.bytes_to_replay:
        return f"{source}, all received is replayed"
    return f"{source}, {size(place.bytes_to_replay)} to replay"


def conflicts(found: Sequence[Conflict]) -> str:
    if not found:
        return "none"
    causes = ", ".join(f"{one.number} {one.cause}" for one in found)
    total = sum(one.number for one in found)
    return f"{counted(total, 'query', 'queries')} ended by replay: {causes}"


def follower(one: Follower) -> str:
    """Name, where, how it follows, how far behind.

    >>> follower(Follower("spare", "postgres", "10.0.0.7", "streaming", "async", 50331648, 12.0))
    'spare at 10.0.0.7: streaming, async, 48 MB and 12 s behind'
    >>> follower(Follower("spare", "postgres", None, "streaming", "sync", 0, None))
    'spare: streaming, sync, nothing behind'
    >>> follower(Follower("pg_basebackup", "postgres", None, "backup", "async", None, None))
    'pg_basebackup: backup'
    >>> follower(Follower(None, None, None, None, None, None, None))
    'one that your role may not see; GRANT pg_monitor shows it'
    """
    if one.state is None:
        return "one that your role may not see; GRANT pg_monitor shows it"
    where = f" at {one.address}" if one.address else ""
    return f"{one.name or one.role}{where}: {', '.join(_course(one))}"


def _course(one: Follower) -> list[str]:
    said = [one.state or ""]
    if one.bytes_behind is None:
        return said
    said.append(one.sync or "")
    if one.bytes_behind == 0:
        return [*said, "nothing behind"]
    late = f" and {duration(one.seconds_behind)}" if one.seconds_behind is not None else ""
    return [*said, f"{size(one.bytes_behind)}{late} behind"]


def slot(one: ReplicationSlot) -> str:
    """
    >>> slot(ReplicationSlot("spare", "physical", True, "reserved", 16777216))
    'spare: active, holds 16 MB of WAL'
    >>> slot(ReplicationSlot("old", "logical", False, "lost", None))
    'old: logical, inactive, its WAL is lost'
    """
    said = [] if one.type == "physical" else [one.type]
    said.append("active" if one.is_active else "inactive")
    if one.wal_status == "lost":
        said.append("its WAL is lost")
    elif one.retained_bytes is not None:
        said.append(f"holds {size(one.retained_bytes)} of WAL")
    return f"{one.name}: {', '.join(said)}"


def citus(found: Citus) -> str:
    if found.problem:
        return f"{found.version}, its nodes cannot be read: {found.problem}"
    head = f"{found.version}, {counted(len(found.members), 'node')}"
    return "\n".join([head, _lines([citus_node(member) for member in found.members])]).rstrip()


def citus_node(member: Member) -> str:
    node = member.node
    part = "coordinator" if node.is_coordinator else "worker"
    said = [part if node.role == "primary" else f"{part}, {node.role}"]
    if not node.is_active:
        said.append("out of use")
    said.append(counted(node.shards, "shard"))
    if member.bytes is not None:
        said.append(size(member.bytes))
    elif node.shards:
        said.append("size not known")
    if not node.takes_shards and not node.is_coordinator:
        said.append("takes none of distributed tables")
    return f"{member.place}: {', '.join(said)}"


def _lines(lines: Sequence[str]) -> str:
    if len(lines) <= MOST_LINES:
        return "\n".join(lines)
    shown = lines[: MOST_LINES - 1]
    return "\n".join([*shown, f"and {len(lines) - len(shown)} more: fleet --json"])
