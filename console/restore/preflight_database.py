"""The database that is to be replaced, and the locale of the one that takes its place."""

from __future__ import annotations

from dataclasses import replace

import queries
from console.backup.manifest import Manifest
from console.errors import ConsoleError
from console.findings import Severity
from console.restore.looking import Looking
from console.session import Connection, connect
from console.target import Target
from console.tools import with_database
from queries.backup import DATABASE_PROPERTIES, DatabaseProperties
from queries.restore import (
    COLLATIONS_KNOWN,
    DATABASE_SESSIONS,
    DATABASE_SLOTS,
    DATABASE_SUBSCRIPTIONS,
    PREPARED_TRANSACTIONS,
    ROLES_KNOWN,
    KnownDatabase,
)

_EVERYWHERE = frozenset({"C", "POSIX", "C.UTF-8", "C.utf8", ""})


async def original_properties(
    target: Target, manifest: Manifest | None, database: str, locale: str
) -> DatabaseProperties | None:
    """What the new database is created like: as recorded, else as the live one is, with `locale`.

    None when neither tells.
    """
    like = manifest.properties if manifest else None
    if like is None:
        like = await _live_properties(target, database)
    return with_locale(like, locale) if like is not None and locale else like


async def _live_properties(target: Target, database: str) -> DatabaseProperties | None:
    try:
        async with connect(with_database(target, database)) as connection:
            return await queries.fetch_one(connection, DATABASE_PROPERTIES)
    except ConsoleError:
        return None  # it may be what has to be restored; the server's defaults then serve


async def look_at_locale(looking: Looking, connection: Connection) -> None:
    """Whether the server has the encoding and locale that the original had."""
    wish = looking.wish
    like = await original_properties(
        looking.target, looking.source.manifest, wish.database, wish.locale
    )
    if like is not None:
        await _locale(looking, connection, like)
        return
    if wish.locale:
        looking.add(
            "restore.locale", Severity.FAILURE, wish.database,
            "The original's encoding is not recorded, so no other locale can be chosen for it.",
            fix="Leave --locale away: the server's own are used.",
        )  # fmt: skip
        return
    looking.add(
        "restore.locale", Severity.INFO, wish.database,
        "Encoding and locale of the original are not recorded; the server's own are used.",
    )  # fmt: skip


async def _locale(looking: Looking, connection: Connection, like: DatabaseProperties) -> None:
    major = connection.info.server_version // 10000
    remedy = "Name another with --locale, such as --locale C.UTF-8; sort order may change."
    if like.provider == "b" and major < 17:
        looking.add(
            "restore.locale", Severity.FAILURE, looking.wish.database,
            f"PostgreSQL {major} has no builtin locale provider, which the original uses.",
            fix=remedy,
        )  # fmt: skip
        return
    if like.provider == "i" and major < 15:
        looking.add(
            "restore.locale", Severity.FAILURE, looking.wish.database,
            f"PostgreSQL {major} has no databases with an ICU locale, as the original is.",
            fix=remedy,
        )  # fmt: skip
        return
    wanted = {like.collate, like.ctype} - _EVERYWHERE
    unknown = [
        locale
        for locale in sorted(wanted)
        if not await queries.fetch(connection, COLLATIONS_KNOWN, {"locale": locale})
    ]
    if unknown:
        looking.add(
            "restore.locale", Severity.FAILURE, looking.wish.database,
            f"The server does not know the locale {', '.join(unknown)}.",
            asked="pg_collation", answer="no row", fix=remedy,
        )  # fmt: skip
    else:
        looking.add(
            "restore.locale", Severity.OK, looking.wish.database,
            f"Encoding {like.encoding} and locale {like.locale or like.collate} are there.",
        )  # fmt: skip


async def look_at_live_database(
    looking: Looking, connection: Connection, live: KnownDatabase
) -> None:
    given = {"name": live.name}
    for prepared in await queries.fetch(connection, PREPARED_TRANSACTIONS, given):
        looking.add(
            "restore.prepared", Severity.FAILURE, prepared.gid,
            f"The prepared transaction '{prepared.gid}' holds '{live.name}': it cannot be"
            " renamed.",
            asked="pg_prepared_xacts", answer=f"prepared {prepared.prepared_at:%Y-%m-%d %H:%M}",
            fix="In that database: COMMIT PREPARED or ROLLBACK PREPARED.",
        )  # fmt: skip
    for slot in await queries.fetch(connection, DATABASE_SLOTS, given):
        looking.add(
            "restore.slots", Severity.WARNING, slot.name,
            f"The logical replication slot '{slot.name}' stays with the old database: its"
            " subscriber gets nothing from the restored one.",
            asked="pg_replication_slots", answer="active" if slot.is_active else "inactive",
            fix="After the cut-over create the slot again and let the subscriber copy anew.",
        )  # fmt: skip
    for subscription in await queries.fetch(connection, DATABASE_SUBSCRIPTIONS, given):
        looking.add(
            "restore.subscriptions", Severity.WARNING, subscription.name,
            f"The subscription '{subscription.name}' stays with the old database and writes"
            " there.",
            fix="After the cut-over disable it there and create it in the restored database.",
        )  # fmt: skip
    await _own_rights(looking, connection, live)


async def _own_rights(looking: Looking, connection: Connection, live: KnownDatabase) -> None:
    abilities = looking.abilities
    if abilities is None or abilities.is_superuser:
        return
    owner = await queries.fetch(connection, ROLES_KNOWN, {"names": [live.owner]})
    if not owner or not owner[0].is_ours:
        looking.add(
            "restore.rights", Severity.FAILURE, abilities.role,
            f"Role '{abilities.role}' does not own '{live.name}' and may not rename it.",
            fix=f"Use its owner '{live.owner}' with CREATEDB, or a superuser.",
        )  # fmt: skip
    sessions = await queries.fetch(connection, DATABASE_SESSIONS, {"oids": [live.oid]})
    others = {row.role for row in sessions if row.role} - {abilities.role}
    known = await queries.fetch(connection, ROLES_KNOWN, {"names": sorted(others)})
    held = [
        row.name
        for row in known
        if row.is_superuser or not (row.is_ours or abilities.ends_sessions)
    ]
    if held:
        looking.add(
            "restore.rights", Severity.FAILURE, abilities.role,
            f"Role '{abilities.role}' may not end the sessions of {', '.join(held)}.",
            fix="Use a superuser, or close these sessions; pg_signal_backend ends those of"
            " ordinary roles.",
        )  # fmt: skip


def with_locale(like: DatabaseProperties, locale: str) -> DatabaseProperties:
    """The same, with a libc locale instead of its own."""
    return replace(like, provider="c", collate=locale, ctype=locale, locale=None, rules=None)
