"""What belongs to a database's OID and not to its name: settings, grants, owner, limit, comment."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

import queries
from console.backup.manifest import Manifest
from console.errors import ActionRefused
from console.restore.swap import by_oid
from console.session import Connection
from queries import cut_over as ddl
from queries.restore import DATABASE_ACL, DATABASE_OWN_SETTINGS, DatabaseGrant, OwnSetting


@dataclass(frozen=True, slots=True)
class Properties:
    """As far as they are copied; the locale is chosen when a database is created."""

    owner: str
    comment: str | None
    connection_limit: int
    is_template: bool
    settings: tuple[OwnSetting, ...]
    grants: frozenset[DatabaseGrant]

    def differences(self, other: Properties) -> tuple[str, ...]:
        """What is not the same, in words; empty when a copy is whole."""
        found = []
        for name in ("owner", "comment", "connection_limit", "is_template"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                found.append(f"{name.replace('_', ' ')}: {mine} and {theirs}")
        if set(self.settings) != set(other.settings):
            names = sorted({row.name for row in set(self.settings) ^ set(other.settings)})
            found.append(f"settings: {', '.join(names)}")
        if self.grants != other.grants:
            roles = sorted({row.grantee or "PUBLIC" for row in self.grants ^ other.grants})
            found.append(f"grants of {', '.join(roles)}")
        return tuple(found)


async def read_properties(connection: Connection, oid: int) -> Properties:
    """Raises ActionRefused when the database is gone, or psycopg.Error."""
    row = await by_oid(connection, oid)
    if row is None:
        raise ActionRefused("The database is gone.", "Look at `restore status`.")
    settings = await queries.fetch(connection, DATABASE_OWN_SETTINGS, {"oid": oid})
    grants = await queries.fetch(connection, DATABASE_ACL, {"oid": oid})
    return Properties(
        row.owner,
        row.comment,
        row.connection_limit,
        row.is_template,
        tuple(settings),
        frozenset(grants),
    )


_ACL_ITEM = re.compile(r'("(?:[^"]|"")*"|[^"=]*)=([CTc*]*)/("(?:[^"]|"")*"|[^"]+)')
_PRIVILEGES = {"C": "CREATE", "T": "TEMPORARY", "c": "CONNECT"}


def recorded_properties(manifest: Manifest, owner: str, *, privileges: bool) -> Properties | None:
    """What a backup recorded of its database; None where it recorded nothing (an adopted file).

    Another `owner`, or no `privileges`, leaves the grants as a new database has them.
    """
    known = manifest.properties
    if known is None:
        return None
    settings = []
    for setting in manifest.settings:
        name, _, value = setting.setting.partition("=")
        settings.append(OwnSetting(setting.role, name, value))
    owned = owner or known.owner
    as_recorded = privileges and not owner and known.grants
    grants = _recorded_grants(known.grants, owned) if as_recorded else _usual_grants(owned)
    return Properties(
        owned, known.comment, known.connection_limit, known.is_template, tuple(settings), grants
    )


def _usual_grants(owner: str) -> frozenset[DatabaseGrant]:
    everyone = [("", "TEMPORARY"), ("", "CONNECT")]
    own = [(owner, privilege) for privilege in _PRIVILEGES.values()]
    return frozenset(
        DatabaseGrant(owner, grantee, privilege, False, True)
        for grantee, privilege in (*everyone, *own)
    )


def _recorded_grants(items: Sequence[str], owner: str) -> frozenset[DatabaseGrant]:
    """Grants of aclitem's own writing: grantee=letters/grantor, * for the grant option."""
    found = set()
    for item in items:
        match = _ACL_ITEM.fullmatch(item)
        if match is None:
            raise ActionRefused(
                f"The recorded grant {item} is not understood.", "Restore with --no-privileges."
            )
        grantee, grantor = _bare(match[1]), _bare(match[3])
        for letter, option in re.findall(r"([CTc])(\*?)", match[2]):
            found.add(
                DatabaseGrant(grantor, grantee, _PRIVILEGES[letter], bool(option), grantor == owner)
            )
    return frozenset(found)


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


async def copy_properties(connection: Connection, source: int, to: int) -> None:
    """Give one database all that another has, and prove it; idempotent. Raises as below."""
    await apply_properties(connection, await read_properties(connection, source), to)


async def apply_properties(connection: Connection, wanted: Properties, to: int) -> None:
    """Give a database all that `wanted` says, and prove it by reading it again; idempotent.

    Raises ActionRefused when it is not the same then, or psycopg.Error where the role may not.
    """
    present = await read_properties(connection, to)
    row = await by_oid(connection, to)
    name = row.name if row is not None else ""
    async with connection.transaction():
        if present.owner != wanted.owner:
            await connection.execute(ddl.own_database(name, wanted.owner))
        if present.connection_limit != wanted.connection_limit:
            await connection.execute(ddl.limit_connections(name, wanted.connection_limit))
        if present.is_template != wanted.is_template:
            await connection.execute(ddl.mark_template(name, wanted.is_template))
        if present.comment != wanted.comment:
            await connection.execute(ddl.comment_database(name, wanted.comment))
        if set(present.settings) != set(wanted.settings):
            await _copy_settings(connection, name, present, wanted)
    async with connection.transaction():
        present = await read_properties(connection, to)
        if present.grants != wanted.grants:
            await _copy_grants(connection, name, present, wanted)
    different = wanted.differences(await read_properties(connection, to))
    if different:
        raise ActionRefused(
            f"The restored database did not take everything over: {'; '.join(different)}.",
            "Use a superuser, who may set and grant everything.",
        )


async def _copy_settings(
    connection: Connection, name: str, present: Properties, wanted: Properties
) -> None:
    for role in {row.role for row in present.settings}:
        await connection.execute(ddl.forget_settings(name, role))
    for row in wanted.settings:
        for statement in ddl.keep_setting(name, row.role, row.name, row.value):
            await connection.execute(statement)


async def _copy_grants(
    connection: Connection, name: str, present: Properties, wanted: Properties
) -> None:
    """Take every privilege back, then grant as the other has it, each by its own grantor."""
    everyone = {row.grantee for row in present.grants | wanted.grants} | {"", wanted.owner}
    await _act_as(connection, wanted.owner)
    for grantee in sorted(everyone):
        await connection.execute(ddl.revoke_database(name, grantee))
    waiting = sorted(wanted.grants, key=lambda row: (not row.is_from_owner, row.grantor))
    # A grant needs its grantor's grant option first; each round grants at least one more.
    while waiting:
        later = [row for row in waiting if not await _granted(connection, name, row)]
        if len(later) == len(waiting):
            break
        waiting = later
    await connection.execute(ddl.act_as_oneself())


async def _granted(connection: Connection, name: str, row: DatabaseGrant) -> bool:
    try:
        async with connection.transaction():
            await _act_as(connection, row.grantor)
            await connection.execute(
                ddl.grant_database(name, row.privilege, row.grantee, row.is_grantable)
            )
    except psycopg.errors.InsufficientPrivilege:
        return False
    return True


async def _act_as(connection: Connection, role: str) -> None:
    await connection.execute(ddl.act_as(role))
