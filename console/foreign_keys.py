"""Foreign keys: what each demands, whether the server upholds it, and which index it leans on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psycopg

from console.findings import Evidence, Finding, Severity
from console.names import listed, qualified, quoted
from console.orphans import count_orphans
from console.session import Limits, Session, connect, explain
from console.target import Target
from queries import fetch
from queries.catalog import Catalog, Constraint, Index, read_catalog
from queries.orphans import FOREIGN_KEY_COLLATIONS

LARGE_TABLE_ROWS = 10_000
"""From here on, a lookup without an index is felt."""

ACTIONS = {
    "a": "no action",
    "r": "restrict",
    "c": "cascade",
    "n": "set null",
    "d": "set default",
}
TRIGGER_STATES = {
    "O": "O (enabled)",
    "D": "D (disabled)",
    "R": "R (on replicas only)",
    "A": "A (always)",
}
MATCHES = {"s": "simple", "f": "full", "p": "partial"}


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key as declared, with what stands by it."""

    constraint: Constraint
    supporting_index: Index | None
    """The index that finds the referencing rows when the target changes."""
    rows: int | None
    """Estimated rows of the referencing table; None when never analyzed."""
    findings: tuple[Finding, ...]

    @property
    def key(self) -> str:
        """Stable over refreshes."""
        return str(self.constraint.oid)

    @property
    def table(self) -> str:
        return short_name(self.constraint.schema, self.constraint.table)

    @property
    def target(self) -> str:
        c = self.constraint
        return short_name(c.target_schema or "", c.target_table or "")

    @property
    def is_self(self) -> bool:
        return self.constraint.table_oid == self.constraint.target_oid

    @property
    def columns(self) -> str:
        return listed(self.constraint.columns)

    @property
    def target_columns(self) -> str:
        return listed(self.constraint.target_columns)

    @property
    def on_delete(self) -> str:
        return ACTIONS.get(self.constraint.on_delete, "")

    @property
    def on_update(self) -> str:
        return ACTIONS.get(self.constraint.on_update, "")

    @property
    def match(self) -> str:
        return MATCHES.get(self.constraint.match_type, "")

    @property
    def deferrable(self) -> str:
        if not self.constraint.is_deferrable:
            return "not deferrable"
        return "initially deferred" if self.constraint.is_deferred else "deferrable"

    @property
    def state(self) -> str:
        """In the order of what undoes the key most."""
        if not self.constraint.is_enforced:
            return "not enforced"
        if triggers_off(self.constraint):
            return "trigger off"
        return "valid" if self.constraint.is_validated else "not validated"

    @property
    def verdict(self) -> Severity:
        return min((f.severity for f in self.findings), key=lambda s: s.rank, default=Severity.OK)


@dataclass(frozen=True, slots=True)
class ForeignKeyOverview:
    keys: tuple[ForeignKey, ...]
    findings: tuple[Finding, ...]
    """Worst first."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class OrphanCount:
    rows: int
    limit: int
    seconds: float
    at: datetime

    @property
    def is_complete(self) -> bool:
        """The table was read to its end; otherwise there may be more."""
        return self.rows < self.limit


def short_name(schema: str, name: str) -> str:
    """As a person says it: the schema public goes without saying."""
    return quoted(name) if schema == "public" else qualified(schema, name)


def triggers_off(key: Constraint) -> bool:
    """Some of its triggers do not fire in an ordinary session (D disabled, R replica only)."""
    return any(state in "DR" for state in key.trigger_states or "")


async def read_foreign_keys(session: Session) -> ForeignKeyOverview:
    """Every foreign key of the user's schemas with its findings. Raises ConsoleError kinds."""
    connection = await session.connection()
    try:
        catalog = await read_catalog(connection)
        collations = await fetch(connection, FOREIGN_KEY_COLLATIONS)
    except psycopg.Error as error:
        raise explain(error, session.target) from error
    return judge_foreign_keys(catalog, {row.oid: row.collations for row in collations})


def judge_foreign_keys(
    catalog: Catalog, collations: Mapping[int, Sequence[int]]
) -> ForeignKeyOverview:
    """`collations` are those of each key's columns, by the key's oid."""
    keys = []
    for constraint in catalog.foreign_keys:
        index = supporting_index(catalog, constraint, collations.get(constraint.oid))
        rows = estimated_rows(catalog, constraint.table_oid)
        findings = (
            *state_findings(constraint),
            *unindexed_findings(catalog, constraint, index, rows),
        )
        keys.append(ForeignKey(constraint, index, rows, findings))
    found = sorted((f for key in keys for f in key.findings), key=lambda f: f.severity.rank)
    return ForeignKeyOverview(tuple(keys), tuple(found))


def estimated_rows(catalog: Catalog, table_oid: int) -> int | None:
    """The planner's estimate, summed over partitions; None when one was never analyzed."""
    relation = catalog.relation_by_oid.get(table_oid)
    if relation is None:
        return None
    if relation.kind != "p":
        return relation.estimated_rows if relation.estimated_rows >= 0 else None
    parts = [estimated_rows(catalog, r.oid) for r in catalog.relations if r.parent_oid == table_oid]
    known = [rows for rows in parts if rows is not None]
    return sum(known) if len(known) == len(parts) else None


def supporting_index(
    catalog: Catalog, key: Constraint, collations: Sequence[int] | None = None
) -> Index | None:
    """The index that finds rows by the key's columns, in whatever order it has them first.

    Its first columns must be the key's, under the same collations; where it is partial, only for
    not being null. A covering index, a primary key, a unique or an exclusion index serve as well.
    """
    serving = [
        index
        for index in catalog.indexes_of.get(key.table_oid, [])
        if _serves(index, key, collations)
    ]
    return min(serving, key=lambda index: (index.key_count, index.name), default=None)


def _serves(index: Index, key: Constraint, collations: Sequence[int] | None) -> bool:
    count = len(key.columns)
    if not index.is_valid or index.method not in ("btree", "hash", "gist"):
        return False
    if set(index.keys[:count]) != set(key.columns) or index.key_count < count:
        return False
    if collations is not None:
        wanted = dict(zip(key.columns, collations, strict=True))
        pairs = zip(index.keys[:count], index.collations, strict=False)
        if any(wanted[name or ""] != collation for name, collation in pairs):
            return False
    return not index.is_partial or _only_not_null(index.predicate, key.columns)


def _only_not_null(predicate: str | None, columns: Iterable[str]) -> bool:
    """The predicate says only that some of the columns are not null, as every lookup implies."""
    if predicate is None:
        return False
    allowed = {f"{name} IS NOT NULL" for c in columns for name in (c, quoted(c))}
    parts = predicate.replace("(", "").replace(")", "").split(" AND ")
    return all(part in allowed for part in parts)


def state_findings(key: Constraint) -> tuple[Finding, ...]:
    """What keeps the key from holding for every row: triggers off, not validated, not enforced."""
    subject = f"{qualified(key.schema, key.table)}.{quoted(key.name)}"
    found = []
    if not key.is_enforced:
        found.append(
            _finding(
                "foreign-key.not-enforced",
                Severity.WARNING,
                subject,
                f"{key.name} is declared NOT ENFORCED: the server does not uphold it.",
                Evidence("pg_constraint.conenforced", "false"),
                f"ALTER TABLE {qualified(key.schema, key.table)}"
                f" ALTER CONSTRAINT {quoted(key.name)} ENFORCED;",
            )
        )
    elif not key.is_validated:
        found.append(
            _finding(
                "foreign-key.not-validated",
                Severity.WARNING,
                subject,
                f"{key.name} holds for new rows only: rows from before were never checked.",
                Evidence("pg_constraint.convalidated", "false"),
                validate_statement(key),
            )
        )
    if key.is_enforced and triggers_off(key):
        found.append(_trigger_finding(key, subject))
    return tuple(found)


def _trigger_finding(key: Constraint, subject: str) -> Finding:
    tables = dict.fromkeys(
        [
            qualified(key.schema, key.table),
            qualified(key.target_schema or "", key.target_table or ""),
        ]
    )
    return _finding(
        "foreign-key.trigger-off",
        Severity.FAILURE,
        subject,
        f"{key.name} is not upheld: its triggers are disabled; rows without a target get in.",
        Evidence(
            "pg_trigger.tgenabled of its triggers",
            ", ".join(TRIGGER_STATES.get(state, state) for state in key.trigger_states or ""),
        ),
        "\n".join(f"ALTER TABLE {table} ENABLE TRIGGER ALL;" for table in tables),
    )


def validate_statement(key: Constraint) -> str:
    table = qualified(key.schema, key.table)
    return f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted(key.name)};"


def unindexed_findings(
    catalog: Catalog, key: Constraint, index: Index | None, rows: int | None
) -> tuple[Finding, ...]:
    """A key without a supporting index: a warning where the table is large or of unknown size."""
    if index is not None or not key.is_enforced:
        return ()
    small = rows is not None and rows < LARGE_TABLE_ROWS
    table = qualified(key.schema, key.table)
    partitioned = catalog.relation_by_oid[key.table_oid].kind == "p"
    # CREATE INDEX CONCURRENTLY is not to be had on a partitioned table.
    create = "CREATE INDEX" if partitioned else "CREATE INDEX CONCURRENTLY"
    fix = f"{create} ON {table} ({listed(key.columns)});"
    if "_prisma_migrations" in catalog.relation_names:
        fix += "\n-- and @@index([...]) in schema.prisma: Prisma does not index relation fields"
    return (
        _finding(
            "foreign-key.unindexed",
            Severity.INFO if small else Severity.WARNING,
            f"{table}.{quoted(key.name)}",
            f"No index finds the rows of {short_name(key.schema, key.table)} by"
            f" {listed(key.columns)}: each delete or key change in"
            f" {short_name(key.target_schema or '', key.target_table or '')} reads all of it.",
            Evidence(
                "indexes of the table whose first columns are the key's, in any order",
                f"none; about {rows} rows" if rows is not None else "none; never analyzed",
            ),
            fix,
        ),
    )


def _finding(
    check: str, severity: Severity, subject: str, message: str, evidence: Evidence, fix: str
) -> Finding:
    return Finding(check, severity, subject, message, evidence, fix)


async def orphans_of(
    target: Target, key: ForeignKey, limit: int = 10_000, seconds: int = 300
) -> OrphanCount:
    """Count on a read-only connection of its own, for at most `seconds` on the server.

    Cancelling the task cancels the statement. Raises PrivilegeMissing with the GRANTs, TimedOut,
    and other ConsoleError kinds.
    """
    started = time.monotonic()
    async with connect(target, limits=Limits(statement_ms=seconds * 1000)) as connection:
        rows = await count_orphans(connection, key.constraint, limit)
    return OrphanCount(rows, limit, time.monotonic() - started, datetime.now(UTC))
