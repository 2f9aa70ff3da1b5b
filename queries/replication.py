"""What part a server has in replication, and who follows it."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class Place:
    """Primary or standby, and how far a standby is behind what it received."""

    in_recovery: bool
    bytes_to_replay: int | None
    """WAL received and not replayed yet; None on a primary, and without streaming."""
    seconds_behind: float | None
    """Age of the last transaction replayed, 0 when all that was received is; None on a primary."""
    receives: bool
    """A WAL receiver is connected to the server it follows."""


PLACE = Query("replication_place", Place)


@dataclass(frozen=True, slots=True)
class Follower:
    """Who receives WAL from a server; what the role may not see is None."""

    name: str | None
    """Its application_name."""
    role: str | None
    address: str | None
    """None over a unix socket."""
    state: str | None
    """startup, catchup, streaming, backup or stopping."""
    sync: str | None
    """async, potential, sync or quorum."""
    bytes_behind: int | None
    """WAL it has not replayed, or not stored where it replays none; None before it told."""
    seconds_behind: float | None
    """How long the last WAL took to be replayed there; None once it idles or replays none."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Queries that replay ended on a standby, for one cause."""

    cause: str
    number: int


FOLLOWERS = Query("followers", Follower)
CONFLICTS = Query("recovery_conflicts", Conflict)
