"""Whether the server answers at all: asked first, since half of the way can be gone without it."""

from __future__ import annotations

from dataclasses import dataclass

from console.errors import ConsoleError
from console.findings import Severity
from console.restore.swap import by_name, maintenance
from console.target import Target

WITHOUT = (
    "Without it a backup can be chosen and read to its end (1, and part of 2);"
    " everything after needs the server."
)


@dataclass(frozen=True, slots=True)
class Reach:
    """How the server of a target stands."""

    severity: Severity
    message: str
    hint: str = ""

    @property
    def answers(self) -> bool:
        return self.severity is not Severity.FAILURE


async def reach(target: Target) -> Reach:
    """Ask the target's server, from any database of it; what it refuses is told, never raised."""
    name = target.dbname
    try:
        async with maintenance(target, avoiding=[name], read_only=True) as connection:
            live = await by_name(connection, name)
            version = connection.info.server_version // 10000
    except ConsoleError as error:
        return Reach(Severity.FAILURE, error.message, error.hint)
    place = f"PostgreSQL {version} at {target.place} answers"
    if live is None:
        return Reach(Severity.WARNING, f"{place}; it has no database '{name}': it is made anew.")
    return Reach(Severity.OK, f"{place}; '{name}' is there and is kept until you say otherwise.")
