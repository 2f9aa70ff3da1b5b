"""Indexes that cost more than they give, and foreign keys that lack one: the Indexes tab's verdicts
as checks, and what the spread of values says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

from console import units
from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import counted
from console.checks.health import own_tables
from console.findings import Evidence, Finding, Severity
from console.index_health import IndexOverview, critical_of, read_indexes
from console.index_use import IndexLimits
from console.names import listed, qualified, quoted
from queries.catalog import Index
from queries.health import LEADING_COLUMNS, LeadingColumn

LOW_CARDINALITY = "index.low-cardinality"
NULLS = "index.nulls"
SIZE = "index.size"
BOOLEAN = "index.boolean"
ARRAY = "index.array"
PREDICATE = "index.needless-predicate"

_KINDS = {
    "index.invalid": ("index.invalid", "index.incomplete", "index.leftover", "index.building"),
    "index.duplicate": ("index.duplicate",),
    "index.redundant": ("index.redundant",),
    "index.unused": ("index.unused",),
    "index.bloat": ("index.bloat",),
    "foreign-key.unindexed": ("foreign-key.unindexed",),
}
"""The Indexes tab's own findings that each check gathers."""


async def _overview(examination: Examination) -> IndexOverview:
    critical = critical_of(examination.profile) if examination.profile is not None else None
    limits = IndexLimits(
        timedelta(days=examination.threshold("index.unused.days")),
        int(examination.threshold("index.unused.megabytes") * 1024**2),
        examination.threshold("index.bloat.percent") / 100,
        int(examination.threshold("index.bloat.megabytes") * 1024**2),
    )
    catalog = (await examination.structure()).catalog
    return await examination.once(
        "indexes",
        lambda: read_indexes(examination.session, critical, limits, known=catalog),
    )


def _gathered(check: str) -> Callable[[Examination], Awaitable[Outcome]]:
    """The check that tells the index findings of its kind, extensions' indexes left out."""

    async def run(examination: Examination) -> Outcome:
        overview = await _overview(examination)
        own = {table.oid for table in await own_tables(examination)}
        foreign = {
            qualified(record.index.schema, record.index.name)
            for record in overview.records
            if record.index.table_oid not in own
        }
        findings = [
            Finding(check, found.severity, found.subject, found.message, found.evidence, found.fix)
            for found in overview.findings
            if found.check in _KINDS[check] and found.subject not in foreign
        ]
        if check in _NEEDS:
            findings += [
                Finding(check, Severity.UNKNOWN, "", reason, None, "GRANT pg_monitor TO the role;")
                for reason in overview.not_read
                if reason.startswith(_NEEDS[check])
            ]
        return Outcome(_summary(check, overview, findings), tuple(findings))

    return run


_NEEDS = {"index.unused": "Use is", "index.bloat": "Bloat is"}


def _summary(check: str, overview: IndexOverview, findings: list[Finding]) -> str:
    bad = sum(bool(finding.subject) for finding in findings)
    if check == "foreign-key.unindexed":
        return f"{counted(bad, 'foreign key')} without an index"
    word = {"index.invalid": "not valid", "index.bloat": "bloated (estimate)"}.get(
        check, check.partition(".")[2]
    )
    return f"{bad} of {counted(len(overview.records), 'index', 'indexes')} {word}"


async def _leading(examination: Examination) -> list[LeadingColumn]:
    rows = min(
        examination.threshold("index.low-cardinality.rows"),
        examination.threshold("index.nulls.rows"),
    )
    return await examination.once(
        "leading columns",
        lambda: examination.session.fetch(LEADING_COLUMNS, {"least_rows": rows}),
    )


async def low_cardinality(examination: Examination) -> Outcome:
    """Indexes whose only column has hardly any different values."""
    rows = examination.threshold("index.low-cardinality.rows")
    most = examination.threshold("index.low-cardinality.values")
    found = [
        Finding(
            LOW_CARDINALITY,
            Severity.INFO,
            qualified(row.schema, row.name),
            f"{quoted(row.name)} is on {quoted(row.column)} of {quoted(row.table)} alone, which has"
            f" {counted(int(row.distinct_values), 'value')}: it helps only for a rare one, which a"
            " partial index finds in less space.",
            Evidence(
                "pg_stats.n_distinct; pg_class.reltuples",
                f"{row.distinct_values:g}; {row.rows:.0f} rows",
            ),
            f"-- CREATE INDEX CONCURRENTLY ON {qualified(row.schema, row.table)} (...)"
            f" WHERE {quoted(row.column)} = the rare value;",
        )
        for row in await _leading(examination)
        if row.rows >= rows and 0 < row.distinct_values <= most
    ]
    return Outcome(counted(len(found), "index", "indexes"), tuple(found))


async def nulls(examination: Examination) -> Outcome:
    """Indexes that mostly hold nulls, which a partial one would leave out."""
    rows = examination.threshold("index.nulls.rows")
    share = examination.threshold("index.nulls.percent") / 100
    found = [
        Finding(
            NULLS,
            Severity.INFO,
            qualified(row.schema, row.name),
            f"{units.percent(row.null_fraction)} of {quoted(row.column)} is null: an index only of"
            " the others is smaller, and serves the same searches.",
            Evidence("pg_stats.null_frac", f"{row.null_fraction:g} of {row.rows:.0f} rows"),
            f"CREATE INDEX CONCURRENTLY ON {qualified(row.schema, row.table)}"
            f" ({quoted(row.column)}) WHERE {quoted(row.column)} IS NOT NULL;\n"
            f"DROP INDEX CONCURRENTLY {qualified(row.schema, row.name)};",
        )
        for row in await _leading(examination)
        if row.rows >= rows and row.null_fraction >= share
    ]
    return Outcome(counted(len(found), "index", "indexes"), tuple(found))


async def size(examination: Examination) -> Outcome:
    """Tables whose indexes together take more than the table itself."""
    structure = await examination.structure()
    findings = []
    for table in await own_tables(examination):
        indexes = structure.catalog.indexes_of.get(table.oid, [])
        taken = sum(index.estimated_bytes for index in indexes)
        heap = table.estimated_bytes + table.toast_bytes
        if table.estimated_bytes >= 10 * 1024**2 and taken > heap:
            findings.append(
                Finding(
                    SIZE,
                    Severity.INFO,
                    qualified(table.schema, table.name),
                    f"Its {len(indexes)} indexes take more room than its rows.",
                    Evidence(
                        "pg_class.relpages", f"indexes {units.size(taken)}, rows {units.size(heap)}"
                    ),
                )
            )
    return Outcome(counted(len(findings), "table"), tuple(findings))


async def _plain_indexes(examination: Examination) -> Iterator[Index]:
    own = {table.oid for table in await own_tables(examination)}
    catalog = (await examination.structure()).catalog
    return (i for i in catalog.indexes if i.table_oid in own and i.parent_oid is None)


async def _types(examination: Examination) -> dict[tuple[int, str], tuple[str, bool]]:
    """The type and NOT NULL of each column, by table and name."""
    catalog = (await examination.structure()).catalog
    return {(c.relation_oid, c.name): (c.type, c.not_null) for c in catalog.columns}


async def boolean(examination: Examination) -> Outcome:
    """Plain indexes on one boolean column."""
    types = await _types(examination)
    found = [
        Finding(
            BOOLEAN,
            Severity.INFO,
            qualified(index.schema, index.name),
            "An index on one boolean column seldom helps; a partial one does for the rare value.",
            Evidence("pg_index, pg_attribute", f"({listed(key or '' for key in index.keys)})"),
        )
        for index in await _plain_indexes(examination)
        if index.key_count == 1
        and not index.is_partial
        and not index.is_unique
        and types.get((index.table_oid, index.keys[0] or ""), ("", False))[0] == "boolean"
    ]
    return Outcome(counted(len(found), "index", "indexes"), tuple(found))


async def array(examination: Examination) -> Outcome:
    """B-tree indexes on arrays, which cannot search for an element."""
    types = await _types(examination)
    found = [
        Finding(
            ARRAY,
            Severity.INFO,
            qualified(index.schema, index.name),
            "A B-tree finds whole arrays only; GIN finds their elements (@>, &&).",
            Evidence("pg_index, pg_attribute", f"({listed(key or '' for key in index.keys)})"),
            f"CREATE INDEX CONCURRENTLY ON {qualified(index.schema, index.table)}"
            f" USING gin ({quoted(index.keys[0] or '')});",
        )
        for index in await _plain_indexes(examination)
        if index.method == "btree"
        and not index.is_unique
        and types.get((index.table_oid, index.keys[0] or ""), ("", False))[0].endswith("[]")
    ]
    return Outcome(counted(len(found), "index", "indexes"), tuple(found))


async def needless_predicate(examination: Examination) -> Outcome:
    """Partial indexes that leave out nulls which the column cannot hold."""
    types = await _types(examination)
    found = []
    for index in await _plain_indexes(examination):
        match = re.fullmatch(r'\("?([^"]+?)"? IS NOT NULL\)', index.predicate or "")
        if match and types.get((index.table_oid, match[1]), ("", False))[1]:
            found.append(
                Finding(
                    PREDICATE,
                    Severity.INFO,
                    qualified(index.schema, index.name),
                    f"WHERE {quoted(match[1])} IS NOT NULL leaves nothing out: the column is"
                    " NOT NULL.",
                    Evidence("pg_get_expr(indpred); attnotnull", f"{index.predicate}; true"),
                )
            )
    return Outcome(counted(len(found), "index", "indexes"), tuple(found))


CHECKS = (
    Check("index.invalid", "Invalid indexes", "Every index was built to its end.",
          _gathered("index.invalid")),
    Check("index.duplicate", "Duplicate indexes", "No index is there twice.",
          _gathered("index.duplicate")),
    Check("index.redundant", "Redundant indexes", "No index is the beginning of another.",
          _gathered("index.redundant")),
    Check("index.unused", "Unused indexes", "Every index that guards nothing is used.",
          _gathered("index.unused")),
    Check("index.bloat", "Index bloat", "No index is much larger than its rows need.",
          _gathered("index.bloat"), privileges="SELECT on the tables, for their statistics"),
    Check("foreign-key.unindexed", "Keys without index", "Rows of every foreign key are found by"
          " an index.", _gathered("foreign-key.unindexed")),
    Check(LOW_CARDINALITY, "Few values", "No index is on a column with hardly any values.",
          low_cardinality, privileges="SELECT on the tables, for their statistics"),
    Check(NULLS, "Null-heavy indexes", "No index is mostly of nulls.", nulls,
          privileges="SELECT on the tables, for their statistics"),
    Check(SIZE, "Index size", "Indexes take less room than their table.", size, by_default=False),
    Check(BOOLEAN, "Boolean indexes", "No index is on one boolean column.", boolean,
          by_default=False),
    Check(ARRAY, "Array indexes", "Arrays are indexed by element.", array, by_default=False),
    Check(PREDICATE, "Needless predicates", "No partial index leaves out what cannot be.",
          needless_predicate, by_default=False),
)  # fmt: skip
