"""Ask the server for a plan without changing anything, or, confirmed, in what is rolled back.

The operator's text reaches the server once, as `PREPARE ... AS text` through the extended protocol:
that takes exactly one statement, and only of the kinds that have a plan. What is explained is that
prepared statement. The connection is fresh, its transaction begins with our own query (after which
nothing can make it READ WRITE) and is always rolled back, and it is closed afterwards, with all
that hung on it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

import queries
from console.errors import ActionRefused, PrivilegeMissing, QueryFailed, ReadOnlyRefused
from console.plans import words
from console.plans.hazards import Hazards, hazards_of, unknown_functions
from console.plans.judge import Judgement, judge, never_run, plan_calls, plan_writes
from console.plans.remark import Indexes
from console.plans.tables import read_indexes
from console.plans.tree import Plan, build
from console.session import Connection, Limits, connect
from console.target import Target
from queries.plans import PREPARED_STATEMENT

NAME = "medianest_plan"


@dataclass(frozen=True, slots=True)
class Options:
    """What to ask of EXPLAIN; those that a server does not know are left out."""

    analyze: bool = False
    """Run it and measure."""
    verbose: bool = True
    buffers: bool = True
    settings: bool = True
    wal: bool = False
    """Only with analyze."""
    timing: bool = True
    """Only with analyze; off costs less where the clock is slow."""
    serialize: bool = False
    """Only with analyze, PostgreSQL 17 and later."""
    memory: bool = False
    """PostgreSQL 17 and later."""
    timeout_s: float = 30.0
    """statement_timeout of the run."""
    lock_timeout_s: float = 1.0
    search_path: str | None = None
    """As SET search_path takes it; None leaves the role's own."""

    def switched(self, on: Collection[str]) -> Options:
        """With these switches on, by name, and all others off."""
        return replace(
            self,
            analyze="analyze" in on,
            verbose="verbose" in on,
            buffers="buffers" in on,
            settings="settings" in on,
            wal="wal" in on,
            timing="timing" in on,
            serialize="serialize" in on,
            memory="memory" in on,
        )

    def clause(self, server_version: int, *, generic: bool, analyze: bool) -> str:
        """The list in parentheses; every option is said, no default relied on."""
        major = server_version // 10000
        given: dict[str, bool | str] = {
            "ANALYZE": analyze,
            "VERBOSE": self.verbose,
            "BUFFERS": self.buffers,
            "SETTINGS": self.settings,
            "FORMAT": "JSON",
        }
        if analyze:
            given |= {"WAL": self.wal, "TIMING": self.timing}
        if major >= 17:
            given["MEMORY"] = self.memory
            if analyze and self.serialize:
                given["SERIALIZE"] = "TEXT"
        if generic and major >= 16:
            given["GENERIC_PLAN"] = True
        return ", ".join(
            f"{name} {value if isinstance(value, str) else 'ON' if value else 'OFF'}"
            for name, value in given.items()
        )


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan, with how it was had."""

    plan: Plan
    text: str
    """The statement as the operator wrote it."""
    at: datetime
    server_version: int
    is_generic: bool
    """Planned without values for its parameters."""
    was_rolled_back: bool
    """It wrote, and what can be undone was undone."""
    notes: tuple[str, ...]
    """What to know when reading it, a sentence each."""
    indexes: Indexes
    """Those of the plan's tables."""


class ConfirmationNeeded(ActionRefused):
    """The statement writes: it runs only when the operator says so, knowing the hazards."""

    title = "It writes"

    def __init__(self, hazards: Hazards) -> None:
        super().__init__(
            "This statement would change something: " + " ".join(hazards.reasons),
            "Explain it without ANALYZE, or confirm a run that is rolled back.",
        )
        self.hazards = hazards


async def explain(
    target: Target,
    text: str,
    options: Options,
    *,
    values: Sequence[str | None] = (),
    write: bool = False,
) -> Explained:
    """The plan of one statement; with `options.analyze` it is run and measured.

    `values` are those of its $n, as text. `write` says that the operator has confirmed a run of a
    statement that writes. Raises ConfirmationNeeded, ActionRefused, QueryFailed, TimedOut,
    PrivilegeMissing and the kinds of ConnectionFailed.
    """
    try:
        return await _answer(target, text, options, values, write=write)
    except PrivilegeMissing as error:
        raise PrivilegeMissing(
            error.message,
            "A plan needs the rights of its statement: connect as a role that has them.",
        ) from error


async def _answer(
    target: Target, text: str, options: Options, values: Sequence[str | None], *, write: bool
) -> Explained:
    judged = judge(text)
    planned = await _planned(target, judged, options, values)
    if not options.analyze:
        return replace(planned, indexes=await read_indexes(target, planned.plan))
    if planned.is_generic:
        raise ActionRefused(
            f"The statement has {judged.parameters} parameters without values.",
            "Fill in their values for a real run, or leave ANALYZE off for a generic plan.",
        )
    reasons = await _checked(target, judged, planned.plan)
    if reasons and not write:
        raise ConfirmationNeeded(await hazards_of(target, planned.plan, reasons))
    measured = await _measured(target, judged, options, values, writes=bool(reasons))
    return replace(measured, indexes=await read_indexes(target, measured.plan))


async def _checked(target: Target, judged: Judgement, plan: Plan) -> tuple[str, ...]:
    """Why a run needs confirming; empty when it only reads. Raises ActionRefused for never."""
    calls = judged.functions | plan_calls(plan)
    never = never_run(calls)
    if never:
        raise ActionRefused(
            f"It calls {never[0]}(), which does things that no transaction undoes.",
            "Explain it without ANALYZE; run it in psql if you mean it.",
        )
    unknown = await unknown_functions(target, calls)
    return tuple(dict.fromkeys((*plan_writes(plan), *judged.writes, *unknown)))


async def _planned(
    target: Target, judged: Judgement, options: Options, values: Sequence[str | None]
) -> Explained:
    """The plan without running it, always read-only."""
    async with _session(target, options) as connection:
        await _begin(connection, options, target, write=False)
        types, notes = await _prepare(connection, judged.text)
        generic = bool(types or judged.parameters) and not values
        if values and len(values) != len(types):
            raise ActionRefused(
                f"The statement has {len(types)} parameters and {len(values)} values.",
                "Give a value for each, NULL where there is none.",
            )
        if generic:
            document = await _generic(connection, judged.text, options, len(types))
            notes += _generic_notes(judged.text, connection.info.server_version)
        else:
            document = await _explain_execute(connection, options, values, analyze=False)
        return _explained(connection, judged.text, document, notes, is_generic=generic)


async def _measured(
    target: Target,
    judged: Judgement,
    options: Options,
    values: Sequence[str | None],
    *,
    writes: bool,
) -> Explained:
    async with _session(target, options, write=writes) as connection:
        await _begin(connection, options, target, write=writes)
        _types, notes = await _prepare(connection, judged.text)
        document = await _explain_execute(connection, options, values, analyze=True)
        await connection.execute("ROLLBACK")
        if connection.info.parameter_status("is_superuser") == "on":
            notes += (
                "It ran as a superuser: a role with pg_read_all_data and pg_monitor is safer.",
            )
        found = _explained(connection, judged.text, document, notes, is_generic=False)
        return replace(found, was_rolled_back=writes)


def _session(target: Target, options: Options, *, write: bool = False) -> Any:
    limits = Limits(
        statement_ms=max(1, round(options.timeout_s * 1000)),
        lock_ms=max(1, round(options.lock_timeout_s * 1000)),
    )
    return connect(target, read_only=not write, limits=limits, plans_as_usual=True)


async def _begin(connection: Connection, options: Options, target: Target, *, write: bool) -> None:
    try:
        await connection.execute("BEGIN READ WRITE" if write else "BEGIN READ ONLY")
    except pg.FeatureNotSupported as error:
        raise ActionRefused(
            "This server is a standby: nothing can be written on it.",
            "Explain it without ANALYZE, or run it on the primary.",
        ) from error
    # The first query takes the snapshot: from here on READ WRITE cannot be had any more.
    cursor = await connection.execute("SELECT pg_catalog.current_setting('transaction_read_only')")
    row = await cursor.fetchone()
    if not write and (row is None or row[0] != "on"):
        raise ReadOnlyRefused(
            "The server did not make this transaction read-only.",
            "Connect to PostgreSQL directly, without a pooler.",
        )
    path = options.search_path
    if path is None and target.schema:
        path = sql.Identifier(target.schema).as_string(connection)
    if path is not None:
        await connection.execute(
            "SELECT pg_catalog.set_config('search_path', %(path)s, true)", {"path": path}
        )


async def _prepare(connection: Connection, text: str) -> tuple[list[str], tuple[str, ...]]:
    """Prepare the statement as NAME; its parameters' types, and a note where it was adapted."""
    adapted = words.plannable(text)
    try:
        # binary makes it the extended protocol, which takes one statement and no more.
        await connection.execute(f"PREPARE {NAME} AS {adapted}".encode(), binary=True)
    except psycopg.Error as error:
        raise _unplannable(error, adapted) from error
    found = await queries.fetch_one(connection, PREPARED_STATEMENT, {"name": NAME})
    if adapted == text:
        return found.parameter_types, ()
    return found.parameter_types, ("Forms like `interval $1` were read as `$1::interval`.",)


def _unplannable(error: psycopg.Error, text: str) -> Exception:
    """What keeps a statement from being prepared, with its place in the operator's text."""
    if isinstance(error, pg.InvalidPreparedStatementDefinition):
        return ActionRefused(
            "The server has no plan for such a statement.",
            "SELECT INTO and CREATE TABLE AS: explain the query alone.",
        )
    if not (error.sqlstate or "").startswith("42") or isinstance(error, pg.InsufficientPrivilege):
        return error
    position = int(error.diag.statement_position or 0) - len(f"PREPARE {NAME} AS ")
    place = ""
    if 0 < position <= len(text) + 1:
        before = text[: position - 1]
        place = (
            f" (line {before.count(chr(10)) + 1}, column {position - 1 - before.rfind(chr(10))})"
        )
    hint = error.diag.message_hint or ""
    if words.parameters(text) and isinstance(
        error, pg.AmbiguousFunction | pg.IndeterminateDatatype | pg.GroupingError
    ):
        hint = "A $n has no type here: write a cast, for example $1::integer, or fill in a value."
    message = error.diag.message_primary or "it cannot be prepared"
    return QueryFailed(f"{message[:1].upper()}{message[1:]}{place}.", hint)


async def _generic(
    connection: Connection, text: str, options: Options, parameters: int
) -> dict[str, Any]:
    """The plan for any values. The server has found the text to be one statement before."""
    version = connection.info.server_version
    if version >= 160000:
        clause = options.clause(version, generic=True, analyze=False)
        return await _document(connection, f"EXPLAIN ({clause})\n{words.plannable(text)}".encode())
    await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    return await _explain_execute(connection, options, [None] * parameters, analyze=False)


async def _explain_execute(
    connection: Connection, options: Options, values: Sequence[str | None], *, analyze: bool
) -> dict[str, Any]:
    clause = options.clause(connection.info.server_version, generic=False, analyze=analyze)
    given: sql.Composable = sql.SQL("")
    if values:
        given = sql.SQL("({})").format(sql.SQL(", ").join(sql.Literal(one) for one in values))
    statement = sql.SQL("EXPLAIN ({}) EXECUTE {}{}").format(
        sql.SQL(clause),
        sql.Identifier(NAME),
        given,
    )
    return await _document(connection, statement)


async def _document(connection: Connection, statement: bytes | sql.Composed) -> dict[str, Any]:
    cursor = await connection.execute(statement)
    row = await cursor.fetchone()
    if row is None or not isinstance(row[0], list) or not row[0]:
        raise ActionRefused(
            "The server has no plan for this statement.", "A rule may have left nothing to do."
        )
    document: dict[str, Any] = row[0][0]
    if "Plan" not in document:
        raise ActionRefused("The server has no plan for this statement.")
    return document


def _generic_notes(text: str, server_version: int) -> tuple[str, ...]:
    notes: tuple[str, ...] = (
        "A generic plan, made without the parameters' values: the application may get another.",
    )
    if "/*, ... */" in text:
        notes += ("A list was shortened to one element: its row estimate is too low.",)
    if server_version < 160000:
        notes += ("Partitions may be left out as if the parameters were NULL.",)
    return notes


def _explained(
    connection: Connection,
    text: str,
    document: dict[str, Any],
    notes: tuple[str, ...],
    *,
    is_generic: bool,
) -> Explained:
    document.setdefault("Query Text", text)
    return Explained(
        build(document),
        text,
        datetime.now(UTC),
        connection.info.server_version,
        is_generic,
        False,
        notes,
        {},
    )
