"""The programs for base backups and WAL: they must be of the server's own major version."""

from __future__ import annotations

from console.errors import ActionRefused
from console.settings import Settings
from console.target import Target
from console.tools import Tools, find_tools

PROGRAMS = ("pg_basebackup", "pg_receivewal", "pg_verifybackup", "pg_waldump", "psql")


async def tools_for(major: int, settings: Settings, target: Target | None = None) -> Tools:
    """Tools of exactly this major version, on this machine. Raises ActionRefused.

    pg_waldump and pg_verifybackup read no other version's WAL.
    """
    tools = await find_tools(major, settings.tools, target=target, programs=PROGRAMS)
    if tools.major != major or tools.in_container:
        raise ActionRefused(
            f"Point-in-time recovery needs the programs of PostgreSQL {major} itself on this"
            f" machine (found: {tools.version} in {tools.place}).",
            f"Install the package postgresql-{major}.",
        )
    return tools
