"""Everything that could stop a restore, asked before anything is changed; each with its remedy."""

from __future__ import annotations

import shutil
from pathlib import Path

import queries
from console.backup.archive import require_readable_format
from console.backup.manifest import Check, Verdict
from console.errors import ConsoleError
from console.findings import Severity
from console.restore.integrity import read_whole
from console.restore.looking import Looking, Preflight, Wish
from console.restore.preflight_database import look_at_live_database, look_at_locale
from console.restore.preflight_needs import look_at_needs
from console.restore.source import Source
from console.restore.swap import by_name, maintenance
from console.session import Connection
from console.target import Target
from console.tools import ToolSettings, find_tools
from console.units import size
from queries.restore import RESTORE_ABILITIES, RestoreAbilities

_GROWTH = 1.2
_GUESSED_RATIO = 6
"""Database bytes an archive byte, where nothing better is known."""


async def preflight(
    target: Target, source: Source, wish: Wish, tool_settings: ToolSettings
) -> Preflight:
    """Ask everything; changes nothing. What could not be asked is a finding, not an error."""
    looking = Looking(target, source, wish, tool_settings)
    try:
        async with maintenance(target, avoiding=[wish.database], read_only=True) as connection:
            await _at_server(looking, connection)
    except ConsoleError as error:
        looking.add("restore.server", Severity.FAILURE, target.place, error.message, fix=error.hint)
    await _at_archive(looking)
    return looking.result()


async def _at_server(looking: Looking, connection: Connection) -> None:
    looking.abilities = await queries.fetch_one(connection, RESTORE_ABILITIES)
    looking.live = await by_name(connection, looking.wish.database)
    _rights(looking, looking.abilities)
    await _choose_tools(looking, looking.abilities)
    await look_at_locale(looking, connection)
    await _names(looking, connection)
    if looking.live is not None and looking.wish.replaces:
        await look_at_live_database(looking, connection, looking.live)
    if looking.tools is not None:
        await look_at_needs(looking, connection, looking.tools)
    _space(looking, looking.abilities)


def _rights(looking: Looking, abilities: RestoreAbilities) -> None:
    role = abilities.role
    if abilities.in_recovery:
        looking.add(
            "restore.standby", Severity.FAILURE, looking.target.place,
            "The server is a standby; nothing can be created on it.",
            asked="pg_is_in_recovery()", answer="true", fix="Name the primary with --target.",
        )  # fmt: skip
    if not abilities.creates_databases:
        looking.add(
            "restore.rights", Severity.FAILURE, role,
            f"Role '{role}' may not create databases.",
            asked="pg_roles.rolcreatedb", answer="false",
            fix=f"ALTER ROLE {role} CREATEDB, or use a superuser.",
        )  # fmt: skip
        return
    words = "is a superuser" if abilities.is_superuser else "may create databases"
    looking.add("restore.rights", Severity.OK, role, f"Role '{role}' {words}.")


async def _choose_tools(looking: Looking, abilities: RestoreAbilities) -> None:
    wanted = max(abilities.server_major, looking.source.reader_major)
    try:
        tools = await find_tools(wanted, looking.tool_settings, target=looking.target)
        require_readable_format(tools, looking.source.opened, looking.source.name)
    except ConsoleError as error:
        message = error.message
        if wanted > abilities.server_major:
            message += (
                f" (The archive needs pg_restore {wanted} or newer;"
                f" the server is {abilities.server_version}.)"
            )
        looking.add("restore.tools", Severity.FAILURE, looking.source.name, message, fix=error.hint)
        return
    looking.tools = tools
    words = f"pg_restore {tools.version} of {tools.place} ({tools.reason})."
    if tools.major > abilities.server_major:
        looking.add(
            "restore.tools", Severity.WARNING, looking.source.name,
            f"{words} It is newer than the server {abilities.server_version}: only the one"
            " setting that such a server does not know is passed over.",
            fix=f"Install postgresql-client-{abilities.server_major}"
            if looking.source.reader_major <= abilities.server_major else "",
        )  # fmt: skip
    else:
        looking.add("restore.tools", Severity.OK, looking.source.name, words)
    manifest = looking.source.manifest
    if manifest is not None and manifest.server_major > abilities.server_major:
        looking.add(
            "restore.version", Severity.WARNING, looking.source.name,
            f"The backup is of PostgreSQL {manifest.server_major}, the server is"
            f" {abilities.server_major}: what only the newer one has cannot be restored.",
            fix=f"Restore to PostgreSQL {manifest.server_major} or newer.",
        )  # fmt: skip


async def _names(looking: Looking, connection: Connection) -> None:
    if looking.live is not None and not looking.wish.replaces:
        looking.add(
            "restore.names", Severity.FAILURE, looking.wish.database,
            f"There is a database '{looking.wish.database}' already.",
            fix="Choose another name with --into.",
        )  # fmt: skip
    for name in looking.wish.names:
        if name and await by_name(connection, name) is not None:
            looking.add(
                "restore.names", Severity.FAILURE, name,
                f"There is a database '{name}' already.", fix="Begin again in a second.",
            )  # fmt: skip


def _space(looking: Looking, abilities: RestoreAbilities) -> None:
    manifest = looking.source.manifest
    known = manifest.database_bytes if manifest else None
    archive = manifest.bytes if manifest else _bytes_of(looking.source.path)
    looking.expected = known or archive * _GUESSED_RATIO
    needed = int(looking.expected * _GROWTH)
    basis = "" if known else " (guessed from the archive's size)"
    directory = abilities.data_directory
    if not directory or not _is_local(looking.target) or not Path(directory).exists():
        looking.add(
            "restore.space", Severity.UNKNOWN, looking.target.place,
            f"The restore needs about {size(needed)}{basis}; the server's disk cannot be seen"
            " from here.",
            fix="Check with df on the server's machine.",
        )  # fmt: skip
        return
    free = shutil.disk_usage(directory).free
    enough = free >= needed
    looking.add(
        "restore.space", Severity.OK if enough else Severity.FAILURE, directory,
        f"The restore needs about {size(needed)}{basis}; {size(free)} are free.",
        asked=f"free space of {directory}", answer=size(free),
        fix="" if enough else "Free space, or restore to another server.",
    )  # fmt: skip


def _is_local(target: Target) -> bool:
    host = target.effective.get("host") or "/"
    return host.startswith(("/", "@")) or host in ("localhost", "127.0.0.1", "::1")


async def _at_archive(looking: Looking) -> None:
    checks, looking.rows = await read_whole(looking.source, looking.tools, looking.tool_settings)
    for check in checks:
        _judge(looking, check)


def _judge(looking: Looking, check: Check) -> None:
    severity = {
        Verdict.PASS: Severity.OK,
        Verdict.FAIL: Severity.FAILURE,
        Verdict.COULD_NOT_VERIFY: Severity.UNKNOWN,
    }[check.verdict]
    looking.add(
        "restore.archive", severity, looking.source.name, f"{check.what}: {check.answer}.",
        asked=check.what, answer=check.answer,
        fix="" if severity is Severity.OK else "Choose another backup.",
    )  # fmt: skip


def _bytes_of(path: Path) -> int:
    if path.is_dir():
        return sum(inner.stat().st_size for inner in path.iterdir())
    return path.stat().st_size
