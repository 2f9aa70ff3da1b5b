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
