"""Whether the server has the roles and the extensions that a dump needs."""

from __future__ import annotations

import queries
from console.errors import ConsoleError
from console.findings import Severity
from console.restore.looking import Looking
from console.restore.source import Needs, needs_of
from console.session import Connection
from console.tools import Tools
from console.units import count
from queries.restore import AVAILABLE_EXTENSIONS, ROLES_KNOWN


async def look_at_needs(looking: Looking, connection: Connection, tools: Tools) -> None:
    try:
        needs = await needs_of(looking.source, tools)
    except (ConsoleError, OSError) as error:
        looking.add(
            "restore.roles", Severity.UNKNOWN, looking.source.name,
            f"What roles and extensions the dump needs could not be read: {error}.",
        )  # fmt: skip
        return
    await _roles(looking, connection, needs)
    await _extensions(looking, connection, needs)


async def _roles(looking: Looking, connection: Connection, needs: Needs) -> None:
    wanted = set(needs.roles)
    if looking.wish.owner:
        wanted = {looking.wish.owner} | (wanted if looking.wish.privileges else set())
    rows = await queries.fetch(connection, ROLES_KNOWN, {"names": sorted(wanted)})
    known = {row.name for row in rows}
    missing = sorted(wanted - known)
    abilities = looking.abilities
    if missing:
        may = abilities is not None and abilities.creates_roles and looking.wish.create_roles
        named = ", ".join(missing)
        looking.add(
            "restore.roles", Severity.WARNING if may else Severity.FAILURE, named,
            f"The server has no role {named}."
            + (" They are created without the right to log in." if may else ""),
            asked="pg_roles", answer="no row",
            fix="Or give everything to one role: --owner ROLE --no-privileges.",
        )  # fmt: skip
        looking.missing = tuple(missing) if may else ()
    else:
        looking.add("restore.roles", Severity.OK, "", f"{count(len(wanted))} roles are there.")
    foreign = [row.name for row in rows if not row.is_ours]
    if foreign and abilities is not None and not abilities.is_superuser:
        looking.add(
            "restore.owners", Severity.FAILURE, ", ".join(foreign),
            f"Role '{abilities.role}' may not give objects to {', '.join(foreign)}.",
            fix=f"Use a superuser, or --owner {abilities.role} --no-privileges.",
        )  # fmt: skip


async def _extensions(looking: Looking, connection: Connection, needs: Needs) -> None:
    rows = await queries.fetch(
        connection, AVAILABLE_EXTENSIONS, {"names": sorted(needs.extensions)}
    )
    available = {row.name: row for row in rows}
    absent = sorted(needs.extensions - set(available))
    for name in absent:
        looking.add(
            "restore.extensions", Severity.FAILURE, name,
            f"The extension {name} is not installed on the server.",
            asked="pg_available_extension_versions", answer="no row",
            fix=f"Install the package that brings {name} on the server's machine.",
        )  # fmt: skip
    if not await _superuser_creates(looking, connection):
        for row in rows:
            if row.needs_superuser and row.name != "plpgsql":
                looking.add(
                    "restore.extensions", Severity.FAILURE, row.name,
                    f"Only a superuser may create the extension {row.name}.",
                    fix="Use a superuser, and leave --owner away." if looking.wish.owner
                    else "Use a superuser.",
                )  # fmt: skip
    if not absent:
        named = ", ".join(sorted(needs.extensions)) or "none needed"
        looking.add("restore.extensions", Severity.OK, "", f"Extensions available: {named}.")


async def _superuser_creates(looking: Looking, connection: Connection) -> bool:
    """Whether what is restored is created by a superuser: with an owner named, he creates it."""
    if looking.wish.owner:
        rows = await queries.fetch(connection, ROLES_KNOWN, {"names": [looking.wish.owner]})
        return bool(rows) and rows[0].is_superuser
    return looking.abilities is not None and looking.abilities.is_superuser
