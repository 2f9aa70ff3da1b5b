"""Rows whose foreign key points nowhere.

The server keeps them out while a key is validated and its triggers fire, except from superusers
and replication, who may write past them. So keys it does not hold to are always counted, the
others where that is cheap or when the check was asked for by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from psycopg import sql

from console.capture import Structure, grant_to_read
from console.checks.check import Comparison, Examination, Outcome, unknown
from console.errors import ConsoleError, PrivilegeMissing
from console.findings import Evidence, Finding, Severity
from console.identifiers import TableName
from console.key_definition import ForeignKey
from console.names import quoted
from console.orphans import count_orphans
from console.session import Connection
from queries.catalog import Constraint
from queries.definitions import DISABLED_KEY_TRIGGERS
from queries.orphans import ForeignKeyJoin, orphan_count

ORPHANS = "data.orphans"

COUNTED_UP_TO = 1000
"""More orphans than this are given as 'at least'."""

CHEAP_ROWS = 200_000
"""Up to so many estimated rows a table is counted though the server vouches for its key."""


CHEAP_SECONDS = 1.0
"""Keys that the server vouches for are counted for so long together; the summary names the rest."""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A foreign key that is there, or one that only the profile has (oid 0)."""

    oid: int
    schema: str
    table: str
    name: str
    columns: tuple[str, ...]
    target_schema: str
    target_table: str
    target_columns: tuple[str, ...]
    match_type: str
    is_vouched_for: bool
    """The server holds to it now."""
    estimated_rows: int

    @property
    def child(self) -> TableName:
        return TableName(self.schema, self.table)

    @property
    def target(self) -> TableName:
        return TableName(self.target_schema, self.target_table)

    @property
    def subject(self) -> str:
        return f"{quoted(self.name)} on {self.child}"


async def orphans(examination: Examination) -> Outcome:
    structure = await examination.structure()
    disabled = await examination.session.fetch(DISABLED_KEY_TRIGGERS)
    distrusted = {oid for row in disabled for oid in row.key_oids}
    keys = [_existing(structure, key, distrusted) for key in structure.catalog.foreign_keys]
    if examination.profile is not None:
        keys += _absent(Comparison(examination.profile, structure))
    keys.sort(key=lambda key: key.is_vouched_for)
    thorough = ORPHANS in examination.asked_for
    counted = 0
    findings: list[Finding] = []
    end = monotonic() + CHEAP_SECONDS
    for key in keys:
        must = thorough or not key.is_vouched_for
        if not must and (key.estimated_rows > CHEAP_ROWS or monotonic() > end):
            continue
        try:
            number = await _count(examination, structure, key)
        except ConsoleError as error:
            if must:
                findings.append(_uncounted(examination, key, error))
            continue
        counted += 1
        if number:
            findings.append(_found(structure, key, number))
    return Outcome(_summary(keys, counted, findings), tuple(findings))


def _summary(keys: list[Relationship], counted: int, findings: list[Finding]) -> str:
    if not keys:
        return "no foreign keys"
    bad = sum(finding.severity is Severity.FAILURE for finding in findings)
    text = f"{bad or 'no'} foreign key{'' if bad == 1 else 's'} with orphans; {counted} counted"
    left = len(keys) - counted - sum(f.severity is Severity.UNKNOWN for f in findings)
    return text + (f", {left} more enforced by the server" if left else "")


def _existing(structure: Structure, key: Constraint, distrusted: set[int]) -> Relationship:
    relation = structure.catalog.relation_by_oid.get(key.table_oid)
    return Relationship(
        key.oid,
        key.schema,
        key.table,
        key.name,
        tuple(key.columns),
        key.target_schema or "",
        key.target_table or "",
        tuple(key.target_columns),
        key.match_type,
        key.is_validated and key.is_enforced and key.oid not in distrusted,
        relation.estimated_rows if relation is not None else 0,
    )


def _absent(comparison: Comparison) -> Iterator[Relationship]:
    """Keys that only the profile has, between tables and columns that are there."""
    found = comparison.structure.tables
    for name, wanted, actual in comparison.pairs:
        for key_name, key in wanted.foreign_keys.items():
            target = found.get(key.target)
            if _is_there(key, actual.foreign_keys) or target is None or key.has_period:
                continue
            if set(key.columns) <= set(actual.columns) and set(key.target_columns) <= set(
                target.columns
            ):
                yield Relationship(
                    0,
                    name.schema,
                    name.name,
                    key_name,
                    key.columns,
                    key.target.schema,
                    key.target.name,
                    key.target_columns,
                    "f" if key.match_full else "s",
                    False,
                    0,
                )


def _is_there(key: ForeignKey, found: object) -> bool:
    """The same relation is held by a key of whatever name and rules."""
    values = found.values() if isinstance(found, dict) else ()
    return any(
        (other.columns, other.target, other.target_columns)
        == (key.columns, key.target, key.target_columns)
        for other in values
    )


async def _count(examination: Examination, structure: Structure, key: Relationship) -> int:
    """Orphans up to COUNTED_UP_TO and one more. Raises ConsoleError kinds."""
    limit = COUNTED_UP_TO + 1
    if key.oid:
        return await examination.session.ask(lambda c: count_orphans(c, key, limit))
    statement = _statement(structure, key, limit)

    async def ask(connection: Connection) -> int:
        async with connection.transaction():
            # Rows that a policy hides must be an error, not a smaller number.
            await connection.execute("SET LOCAL row_security = off")
            cursor = await connection.execute(statement)
            row = await cursor.fetchone()
        return int(row[0]) if row is not None else 0

    return await examination.session.ask(ask)


def _statement(structure: Structure, key: Relationship, limit: int) -> sql.Composed:
    """The count for a key that is not there: by =, as no constraint names the operators."""
    width = len(key.columns)
    join = ForeignKeyJoin(
        is_partitioned=structure.relations[key.child].kind == "p",
        target_is_partitioned=structure.relations[key.target].kind == "p",
        has_period=False,
        operators=["="] * width,
        operator_schemas=["pg_catalog"] * width,
        collations=[None] * width,
        collation_schemas=[None] * width,
        row_security=False,
        missing_grants=[],
    )
    return orphan_count(key, join, limit)


def _uncounted(examination: Examination, key: Relationship, error: ConsoleError) -> Finding:
    fix = ""
    if isinstance(error, PrivilegeMissing):
        fix = grant_to_read(examination.role, sorted({key.child, key.target}))
    return unknown(ORPHANS, key.subject, f"Orphans could not be counted. {error.message}", fix)


def _found(structure: Structure, key: Relationship, number: int) -> Finding:
    at_least = number > COUNTED_UP_TO
    how_many = f"At least {COUNTED_UP_TO:,}" if at_least else f"{number:,}"
    rows = "row points" if number == 1 else "rows point"
    where = _orphan_rows(structure, key)
    return Finding(
        ORPHANS,
        Severity.FAILURE,
        key.subject,
        f"{how_many} {rows} to no row of {key.target}.",
        Evidence(f"SELECT count(*) {' '.join(where.split())};", f"{how_many.lower()} rows"),
        f"-- Look at them, then bring back the rows they need, or delete them:\n"
        f"SELECT child.* {where};",
    )


def _orphan_rows(structure: Structure, key: Relationship) -> str:
    """FROM and WHERE of the orphans, for a person to use; types' own = is meant."""
    together = " OR " if key.match_type == "f" else " AND "
    present = together.join(f"child.{quoted(column)} IS NOT NULL" for column in key.columns)
    equal = " AND ".join(
        f"target.{quoted(target)} = child.{quoted(column)}"
        for column, target in zip(key.columns, key.target_columns, strict=True)
    )
    relation = structure.relations.get(key.child)
    only = "" if relation is None or relation.kind == "p" else "ONLY "
    return (
        f"FROM {only}{key.child} AS child\nWHERE ({present})\n"
        f"  AND NOT EXISTS (SELECT FROM {key.target} AS target WHERE {equal})"
    )
