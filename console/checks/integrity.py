"""Whether what is stored is what the catalogs promise: rows against constraints, pages and indexes.

These read whole tables, so they run when they are named.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import counted
from console.checks.health import own_tables
from console.errors import ConsoleError
from console.findings import Evidence, Finding, Severity
from console.index_rules import build_of
from console.names import listed, qualified, quoted
from console.session import Connection, Limits, connect
from queries.catalog import Index
from queries.health import AMCHECK, CHECKABLE_RELATIONS, Amcheck, CheckableRelation
from queries.integrity import (
    HeapDamage,
    check_index,
    duplicate_count,
    heap_damage,
    violation_count,
)
from queries.progress import CREATE_INDEX_PROGRESS

VIOLATIONS = "integrity.violations"
DUPLICATES = "integrity.duplicates"
CORRUPTION = "integrity.corruption"
UNLOGGED = "integrity.unlogged"

COUNTED_UP_TO = 1000
_SHOWN_DAMAGE = 10
_PATIENT = Limits(statement_ms=0)


async def violations(examination: Examination) -> Outcome:
    """Rows that break a CHECK constraint which is NOT VALID; foreign keys are data.orphans."""
    own = {table.oid for table in await own_tables(examination)}
    catalog = (await examination.structure()).catalog
    open_ones = [
        c
        for c in catalog.constraints
        if c.type == "c" and not c.is_validated and not c.is_inherited and c.table_oid in own
    ]
    findings = []
    for number, constraint in enumerate(open_ones, 1):
        table = qualified(constraint.schema, constraint.table)
        subject = f"{quoted(constraint.name)} on {table}"
        examination.step(f"{number}/{len(open_ones)} {subject}")
        if constraint.expression is None:
            findings.append(unknown(VIOLATIONS, subject, "The table is locked."))
            continue
        statement = violation_count(
            constraint.schema, constraint.table, constraint.expression, COUNTED_UP_TO
        )
        count = await _counted(examination, VIOLATIONS, subject, statement)
        if isinstance(count, Finding):
            findings.append(count)
        elif count:
            findings.append(
                Finding(
                    VIOLATIONS,
                    Severity.FAILURE,
                    subject,
                    f"{_many(count)} rows break it; it is NOT VALID, so nobody looked.",
                    Evidence(statement.as_string(None), str(count)),
                    f"-- mend rows of {table} where this is false: {constraint.expression}\n"
                    f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted(constraint.name)};",
                )
            )
    return Outcome(f"{counted(len(open_ones), 'constraint')} looked at", tuple(findings))


async def duplicates(examination: Examination) -> Outcome:
    """Keys that are there twice where a unique index could not be built."""
    own = {table.oid for table in await own_tables(examination)}
    catalog = (await examination.structure()).catalog
    builds = await examination.session.fetch(CREATE_INDEX_PROGRESS)
    broken = [
        i
        for i in catalog.indexes
        if i.is_unique
        and not i.is_valid
        and not i.is_partitioned
        and i.table_oid in own
        and build_of(i, builds) is None
    ]
    findings = []
    for index in broken:
        found = await _duplicates_of(examination, index)
        if found is not None:
            findings.append(found)
    return Outcome(f"{counted(len(broken), 'unique index', 'unique indexes')} not valid",
                   tuple(findings))  # fmt: skip


async def _duplicates_of(examination: Examination, index: Index) -> Finding | None:
    subject = qualified(index.schema, index.name)
    if index.has_expressions or index.locked:
        why = "the table is locked" if index.locked else "it is over an expression"
        return unknown(DUPLICATES, subject, f"Its duplicates were not counted: {why}.")
    columns = [key for key in index.keys if key is not None]
    statement = duplicate_count(
        index.schema,
        index.table,
        columns,
        index.predicate,
        COUNTED_UP_TO,
        nulls_differ=not index.nulls_not_distinct,
    )
    count = await _counted(examination, DUPLICATES, subject, statement)
    if isinstance(count, Finding):
        return count
    if not count:
        return None
    keys, table = listed(columns), qualified(index.schema, index.table)
    return Finding(
        DUPLICATES,
        Severity.FAILURE,
        subject,
        f"{_many(count)} keys ({keys}) are there twice or more, so the index failed.",
        Evidence(statement.as_string(None), str(count)),
        f"-- remove what {table} has twice by ({keys}), then\n"
        f"REINDEX INDEX CONCURRENTLY {subject};",
    )


async def _counted(
    examination: Examination, check: str, subject: str, statement: sql.Composed
) -> int | Finding:
    async def ask(connection: Connection) -> int:
        row = await (await connection.execute(statement)).fetchone()
        return int(row[0]) if row is not None else 0

    try:
        return await examination.session.ask(ask)
    except ConsoleError as error:
        return unknown(check, subject, f"{error.message} {error.hint}".rstrip())


def _many(count: int) -> str:
    return f"At least {count}" if count >= COUNTED_UP_TO else str(count)


@dataclass(slots=True)
class _Reading:
    """One pass over everything that amcheck can look into."""

    examination: Examination
    amcheck: Amcheck
    findings: list[Finding] = field(default_factory=list)

    async def look_into(self, relation: CheckableRelation) -> None:
        name = qualified(relation.schema, relation.name)
        try:
            async with connect(self.examination.target, limits=_PATIENT) as connection:
                await self._ask(connection, relation, name)
        except ConsoleError as error:
            self.findings.append(unknown(CORRUPTION, name, f"{error.message} {error.hint}"))

    async def _ask(self, connection: Connection, relation: CheckableRelation, name: str) -> None:
        statement = (
            check_index(self.amcheck.schema, relation.oid)
            if relation.is_index
            else heap_damage(self.amcheck.schema, relation.oid, _SHOWN_DAMAGE)
        )
        try:
            if relation.is_index:
                await connection.execute(statement)
                return
            async with connection.cursor(row_factory=class_row(HeapDamage)) as cursor:
                await cursor.execute(statement)
                places = await cursor.fetchall()
        except psycopg.errors.UndefinedTable:
            return  # dropped since it was listed
        except psycopg.Error as error:
            if not (error.sqlstate or "").startswith("XX"):
                raise
            self._damaged(relation, name, statement, error.diag.message_primary or str(error))
            return
        if places:
            told = "; ".join(f"block {p.block} item {p.item}: {p.message}" for p in places)
            self._damaged(relation, name, statement, told)

    def _damaged(
        self, relation: CheckableRelation, name: str, statement: sql.Composed, answer: str
    ) -> None:
        heal = (
            f"REINDEX INDEX CONCURRENTLY {name};"
            + (" -- after removing what is there twice" if relation.is_unique else "")
            if relation.is_index
            else "-- stop the applications, take a copy of the data directory, and restore this"
            " table from the newest sound backup"
        )
        self.findings.append(
            Finding(
                CORRUPTION,
                Severity.FAILURE,
                name,
                f"The {'index' if relation.is_index else 'table'} is damaged.",
                Evidence(statement.as_string(None), answer),
                heal,
            )
        )


async def corruption(examination: Examination) -> Outcome:
    """amcheck over every B-tree (with every row of its table) and, from 14 on, every table."""
    found = await examination.session.fetch(AMCHECK)
    if not found or not found[0].is_allowed:
        what = "this role may not call its functions" if found else "it is not in this database"
        fix = (
            "GRANT EXECUTE ON FUNCTION bt_index_check(regclass, boolean) TO CURRENT_USER;"
            if found
            else "CREATE EXTENSION amcheck; -- as superuser; it comes with PostgreSQL's contrib"
        )
        message = f"Pages were not looked into: it takes the extension amcheck, and {what}."
        return Outcome("could not be checked", (unknown(CORRUPTION, "amcheck", message, fix),))
    listed_ones = await examination.session.fetch(CHECKABLE_RELATIONS)
    relations = [r for r in listed_ones if r.is_index or found[0].has_heap]
    total = max(1, sum(relation.estimated_bytes for relation in relations))
    reading, done = _Reading(examination, found[0]), 0
    for number, relation in enumerate(relations, 1):
        name = qualified(relation.schema, relation.name)
        examination.step(f"{done * 100 // total} %, {number}/{len(relations)} {name}")
        await reading.look_into(relation)
        done += relation.estimated_bytes
    indexes = sum(relation.is_index for relation in relations)
    tables = counted(len(relations) - indexes, "table") if found[0].has_heap else "no table (14+)"
    return Outcome(f"{counted(indexes, 'index', 'indexes')}, {tables} read",
                   tuple(reading.findings))  # fmt: skip


async def unlogged(examination: Examination) -> Outcome:
    """Unlogged tables that are empty: after a crash they are."""
    tables = [t for t in await own_tables(examination) if t.persistence == "u" and t.kind == "r"]
    findings = []
    for table in tables:
        name = qualified(table.schema, table.name)
        statement = sql.SQL("SELECT count(*) FROM (SELECT FROM {} LIMIT 1) AS one").format(
            sql.Identifier(table.schema, table.name)
        )
        count = await _counted(examination, UNLOGGED, name, statement)
        if isinstance(count, Finding):
            findings.append(count)
        elif not count:
            message = "It is unlogged and empty, as a crash leaves it."
            proof = Evidence(statement.as_string(None), "0")
            fix = f"-- fill it again, or: ALTER TABLE {name} SET LOGGED;"
            findings.append(Finding(UNLOGGED, Severity.WARNING, name, message, proof, fix))
    return Outcome(counted(len(tables), "unlogged table"), tuple(findings))


CHECKS = (
    Check(VIOLATIONS, "Violations", "No row breaks a CHECK constraint that is NOT VALID.",
          violations, privileges="SELECT on the tables", by_default=False),
    Check(DUPLICATES, "Duplicates", "No key is there twice under a unique index not yet valid.",
          duplicates, privileges="SELECT on the tables", by_default=False),
    Check(CORRUPTION, "Corruption", "Every page and index is as PostgreSQL wrote it.", corruption,
          privileges="the extension amcheck and EXECUTE on its functions", by_default=False),
    Check(UNLOGGED, "After a crash", "No unlogged table was emptied.", unlogged,
          privileges="SELECT on the tables", by_default=False),
)  # fmt: skip
