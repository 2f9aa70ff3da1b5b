"""The cut-over: the live name passes from one database to another in one transaction.

The door is closed (no new sessions), the sessions are ended until none is left, and one transaction
changes both names and opens both databases again. Until that transaction commits nothing has
changed but the door, and `open_door` heals that from any point. Databases are told apart by OID,
never by what they happen to be called.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import errors as pg

import queries
from console.errors import ActionRefused, ConsoleError, PrivilegeMissing
from console.session import Connection, Limits, connect
from console.target import Target
from console.tools import with_database
from queries import cut_over as ddl
from queries.database import drop_database
from queries.restore import (
    DATABASE_NAMES,
    DATABASE_SESSIONS,
    DATABASES_KNOWN,
    ENDED_SESSIONS,
    PREPARED_TRANSACTIONS,
    KnownDatabase,
)

PATIENCE_SECONDS = 20.0
"""How long the door stays closed at most before the cut-over gives up and opens it again."""

_HEAL_SECONDS = 60.0
_POLL_SECONDS = 0.005
_ACTION = Limits(statement_ms=8_000, lock_ms=2_000)
"""RENAME itself waits up to 5 s for sessions to go, and then says who stays."""

_STANDING = ("postgres", "template1")


@dataclass(frozen=True, slots=True)
class Swap:
    """`entering` gets the live name; `leaving`, when there is one, gets `leaving_becomes`."""

    name: str
    entering: int
    leaving: int | None = None
    leaving_becomes: str = ""

    @property
    def oids(self) -> list[int]:
        return [self.entering] if self.leaving is None else [self.entering, self.leaving]


Step = Callable[[str], AbstractContextManager[dict[str, Any] | None]]
"""Opens a journalled step; what is put into its dict is journalled with it."""


@dataclass(frozen=True, slots=True)
class Swapped:
    downtime_seconds: float
    """From just before the door closed until the new names were committed, open."""
    sessions_ended: int


@asynccontextmanager
async def maintenance(
    target: Target, *, avoiding: Sequence[str] = (), read_only: bool = False
) -> AsyncIterator[Connection]:
    """A session in a database that is not to be renamed. Raises ConsoleError kinds."""
    name = await standing_database(target, avoiding)
    async with connect(with_database(target, name), read_only=read_only, limits=_ACTION) as session:
        yield session


async def standing_database(target: Target, avoiding: Sequence[str] = ()) -> str:
    """A database to stand in: postgres, template1, else any other that lets us in.

    Raises the reason why none does.
    """
    avoided = {target.dbname, *avoiding}
    refusal: ConsoleError | None = None
    for name in (*_STANDING, target.dbname, *avoiding):
        try:
            async with connect(with_database(target, name)) as connection:
                if name not in avoided:
                    return name
                others = [row.name for row in await queries.fetch(connection, DATABASE_NAMES)]
        except ConsoleError as error:
            refusal = refusal or error
            continue
        for other in others:
            if other not in avoided and await _lets_in(target, other):
                return other
    raise refusal or ActionRefused(
        "There is no other database to stand in while this one is renamed.",
        "Create one: CREATE DATABASE postgres.",
    )


async def _lets_in(target: Target, name: str) -> bool:
    try:
        async with connect(with_database(target, name)):
            return True
    except ConsoleError:
        return False


async def known(
    connection: Connection, *, oids: Sequence[int] = (), names: Sequence[str] = ()
) -> list[KnownDatabase]:
    return await queries.fetch(
        connection, DATABASES_KNOWN, {"oids": list(oids), "names": list(names)}
    )


async def by_oid(connection: Connection, oid: int) -> KnownDatabase | None:
    return next(iter(await known(connection, oids=[oid])), None)


async def by_name(connection: Connection, name: str) -> KnownDatabase | None:
    return next(iter(await known(connection, names=[name])), None)


async def is_done(connection: Connection, swap: Swap) -> bool:
    """Whether the entering database has the name already."""
    entering = await by_oid(connection, swap.entering)
    return entering is not None and entering.name == swap.name


async def refuse_if_impossible(connection: Connection, swap: Swap) -> None:
    """Raises ActionRefused for what would make the renaming fail; changes nothing."""
    rows = {row.oid: row for row in await known(connection, oids=swap.oids, names=_names(swap))}
    by_its_name = {row.name: row.oid for row in rows.values()}
    if swap.entering not in rows:
        raise ActionRefused(
            "The restored database is gone.", "Abort this restore, and begin another."
        )
    holder = by_its_name.get(swap.name)
    if holder != swap.leaving and holder != swap.entering:
        raise ActionRefused(
            f"'{swap.name}' is not the database it was when the restore began.",
            "Somebody else renamed or created one: look at the databases, then abort.",
        )
    if swap.leaving_becomes in by_its_name and by_its_name[swap.leaving_becomes] != swap.leaving:
        raise ActionRefused(
            f"A database '{swap.leaving_becomes}' exists already.", "Rename or drop it first."
        )
    for name in (rows[oid].name for oid in swap.oids if oid in rows):
        await refuse_prepared(connection, name)


def _names(swap: Swap) -> list[str]:
    return [name for name in (swap.name, swap.leaving_becomes) if name]


async def refuse_prepared(connection: Connection, name: str) -> None:
    """Raises ActionRefused when prepared transactions hold the database."""
    prepared = await queries.fetch(connection, PREPARED_TRANSACTIONS, {"name": name})
    if prepared:
        gids = ", ".join(f"'{row.gid}'" for row in prepared[:5])
        raise ActionRefused(
            f"{len(prepared)} prepared transaction(s) hold '{name}': {gids}.",
            "In that database, COMMIT PREPARED or ROLLBACK PREPARED each, then go on.",
        )


async def close_door(connection: Connection, swap: Swap) -> None:
    """No new sessions in either database, from one commit on. Raises ConsoleError kinds."""
    async with connection.transaction():
        for row in await known(connection, oids=swap.oids):
            await connection.execute(ddl.allow_connections(row.name, False))


async def open_door(target: Target, swap: Swap, *, patience: float = _HEAL_SECONDS) -> str:
    """Let sessions in again, whichever database has which name now; who has the live name.

    Tries until `patience` seconds are over, also while the server restarts. Raises the last reason.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            async with maintenance(target, avoiding=[swap.name]) as connection:
                return await _open_both(connection, swap)
        except ConsoleError as error:
            if isinstance(error, PrivilegeMissing) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.2)


async def _open_both(connection: Connection, swap: Swap) -> str:
    holder = ""
    async with connection.transaction():
        for row in await known(connection, oids=swap.oids):
            if not row.allows_connections:
                await connection.execute(ddl.allow_connections(row.name, True))
            if row.name == swap.name:
                holder = "entering" if row.oid == swap.entering else "leaving"
    return holder


@dataclass(slots=True)
class _Ender:
    """Ends sessions again and again from a connection of its own, while another renames."""

    connection: Connection
    oids: list[int]
    told: int = 0
    free: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the last look saw nobody."""

    async def keep_ending(self) -> None:
        ended: set[int] = set()
        while True:
            rows = await queries.fetch(self.connection, ENDED_SESSIONS, {"oids": self.oids})
            ended |= {row.pid for row in rows}
            self.told = len(ended)
            if rows:
                self.free.clear()
            else:
                self.free.set()
            await asyncio.sleep(_POLL_SECONDS)


async def _rename_when_free(
    connection: Connection, ender: _Ender, ending: asyncio.Task[None], swap: Swap, patience: float
) -> None:
    deadline = time.monotonic() + patience
    while True:
        waiting = asyncio.create_task(ender.free.wait())
        await asyncio.wait(
            {waiting, ending},
            timeout=max(deadline - time.monotonic(), 0),
            return_when=asyncio.FIRST_COMPLETED,
        )
        waiting.cancel()
        if ending.done():
            await ending
        try:
            await _change_names(connection, swap)
            return
        except (pg.ObjectInUse, pg.LockNotAvailable, pg.QueryCanceled) as error:
            for row in await known(connection, oids=swap.oids):
                await refuse_prepared(connection, row.name)
            if time.monotonic() > deadline:
                raise await _who_stays(connection, swap, error) from error


async def _change_names(connection: Connection, swap: Swap) -> None:
    rows = {row.oid: row for row in await known(connection, oids=swap.oids)}
    if swap.entering not in rows:
        raise ActionRefused("The restored database is gone.", "Abort, and restore again.")
    async with connection.transaction():
        if swap.leaving is not None and swap.leaving in rows:
            leaving = rows[swap.leaving].name
            if leaving != swap.leaving_becomes:
                await connection.execute(ddl.rename_database(leaving, swap.leaving_becomes))
            await connection.execute(ddl.allow_connections(swap.leaving_becomes, True))
        await connection.execute(ddl.rename_database(rows[swap.entering].name, swap.name))
        await connection.execute(ddl.allow_connections(swap.name, True))


async def _who_stays(connection: Connection, swap: Swap, error: psycopg.Error) -> ConsoleError:
    rows = await queries.fetch(connection, DATABASE_SESSIONS, {"oids": swap.oids})
    who = ", ".join(
        f"pid {row.pid} ({row.backend_type}{' of ' + row.role if row.role else ''})"
        for row in rows[:5]
    )
    reason = error.diag.message_detail or error.diag.message_primary or str(error)
    return ActionRefused(
        f"'{swap.name}' could not be freed: {reason.rstrip('.')}" + (f"; {who}." if who else "."),
        "Nothing was changed and sessions are let in again; stop what stays, then resume.",
    )


def _unjournalled(name: str) -> AbstractContextManager[None]:
    return nullcontext()


def _unnoticed() -> None:
    """Nobody keeps a journal."""


async def cut_over(
    target: Target,
    swap: Swap,
    *,
    step: Step = _unjournalled,
    opened: Callable[[], None] = _unnoticed,
    patience: float = PATIENCE_SECONDS,
) -> Swapped:
    """Close, end, rename and open; the door is opened again whatever goes wrong.

    `step` is entered around each of its two halves, "close" and "swap" (a journal). The door
    stays closed for at most about `patience` seconds; `opened` is called when it was opened again
    because nothing came of it. Raises ConsoleError kinds; ActionRefused names the sessions that
    would not go.
    """
    async with (
        maintenance(target, avoiding=[swap.name]) as connection,
        maintenance(target, avoiding=[swap.name]) as second,
    ):
        await refuse_if_impossible(connection, swap)
        began = time.monotonic()
        try:
            with step("close"):
                await close_door(connection, swap)
            with step("swap") as made:
                ended = await _rename(connection, second, swap, patience)
                swapped = Swapped(time.monotonic() - began, ended)
                if made is not None:
                    made["downtime_seconds"] = round(swapped.downtime_seconds, 4)
                    made["sessions_ended"] = ended
            return swapped
        except BaseException:
            # What failed may have been only the journal's last word, with the names changed.
            if await asyncio.shield(open_door(target, swap)) != "entering":
                opened()
            raise


async def _rename(connection: Connection, second: Connection, swap: Swap, patience: float) -> int:
    """End all sessions and change the names, in one transaction; how many sessions were ended."""
    ender = _Ender(second, swap.oids)
    ending = asyncio.create_task(ender.keep_ending())
    try:
        await _rename_when_free(connection, ender, ending, swap, patience)
    finally:
        ending.cancel()
        with contextlib.suppress(asyncio.CancelledError, psycopg.Error):
            await ending
    return ender.told


async def drop(connection: Connection, oid: int, *, but_never: str) -> str:
    """Drop the database with this OID, its sessions too; its name, '' when it was gone already.

    Raises ActionRefused when it bears the name `but_never`, or ConsoleError kinds.
    """
    row = await by_oid(connection, oid)
    if row is None:
        return ""
    if row.name == but_never:
        raise ActionRefused(
            f"'{row.name}' is the live database; it is not dropped.", "Look at `restore status`."
        )
    await refuse_prepared(connection, row.name)
    if row.is_template:
        await connection.execute(ddl.mark_template(row.name, False))
    await connection.execute("SET statement_timeout = 0")
    await connection.execute(drop_database(row.name))
    return row.name
