"""Tables that lack a key, statistics or room: what their catalog rows and counters say."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from console import units
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import counted, grouped
from console.checks.health import note, own_tables, warning
from console.findings import Evidence, Finding, Severity
from console.names import qualified, quoted
from queries.catalog import Constraint
from queries.health import (
    DISABLED_TRIGGERS,
    SEQUENCE_USE,
    TABLE_LAYOUT,
    SequenceUse,
    TableHealth,
    TableLayout,
)
from queries.objects import VACUUM_DUE

KEY = "table.primary-key"
EXHAUSTED = "table.keys-exhausted"
ANALYZED = "table.never-analyzed"
BLOAT = "table.bloat"
TOAST = "table.toast"
AUTOVACUUM = "table.autovacuum-off"
VACUUM = "table.vacuum-due"
UNLOGGED = "table.unlogged"
SCANS = "table.missing-index"
NOT_VALIDATED = "table.not-validated"
TRIGGERS = "table.disabled-triggers"
EMPTY = "table.empty"
FEW_COLUMNS = "table.few-columns"
INHERITANCE = "table.inheritance"

_PAGE_HEADER = 24
_LINE_POINTER = 4
_TUPLE_HEADER = 23
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}


def _name(table: TableHealth) -> str:
    return qualified(table.schema, table.name)


async def primary_key(examination: Examination) -> Outcome:
    """Tables without a primary key; a partition has its parent's, a materialized view none."""
    catalog = (await examination.structure()).catalog
    tables = [t for t in await own_tables(examination) if t.kind in "rp" and not t.is_partition]
    findings = []
    for table in tables:
        if any(c.type == "p" for c in catalog.constraints_of.get(table.oid, [])):
            continue
        required = {c.name for c in catalog.columns_of.get(table.oid, []) if c.not_null}
        identified = any(
            i.is_unique and i.is_valid and not i.is_partial and set(i.keys) <= required
            for i in catalog.indexes_of.get(table.oid, [])
        )
        if identified or table.is_child:
            why = "a unique index over NOT NULL columns" if identified else "it inherits"
            message = f"It has no primary key; {why}."
            findings.append(note(KEY, _name(table), message, "pg_constraint, contype p", "no row"))
            continue
        findings.append(
            warning(
                KEY,
                _name(table),
                "It has no primary key: a row cannot be named, nor replicated by its key.",
                "pg_constraint, contype p",
                "no row",
                f"ALTER TABLE {_name(table)} ADD PRIMARY KEY (...);"
                " -- or a column: id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            )
        )
    return Outcome(f"{len(tables) - len(findings)}/{len(tables)} tables", tuple(findings))


async def keys_exhausted(examination: Examination) -> Outcome:
    """Sequences near their end, or near the largest number of the column they feed."""
    rows = await examination.session.fetch(SEQUENCE_USE)
    hidden = [row.name for row in rows if not row.is_readable]
    findings = [_hidden_sequences(hidden)] if hidden else []
    warn = examination.threshold("table.keys-exhausted.warn-percent") / 100
    fail = examination.threshold("table.keys-exhausted.fail-percent") / 100
    near = 0
    for row in rows:
        share, limit = _used(row)
        if share >= warn:
            near += 1
            findings.append(
                Finding(
                    EXHAUSTED,
                    Severity.FAILURE if share >= fail else Severity.WARNING,
                    row.name,
                    f"It has given out {units.percent(share)} of the numbers that"
                    f" {'column ' + row.column if row.column else 'it'} can hold; after the last"
                    " every INSERT fails.",
                    Evidence(
                        "pg_sequence_last_value; the end of the sequence and of the column's type",
                        f"{row.last_value} of {limit}",
                    ),
                    _larger(row),
                )
            )
    return Outcome(f"{counted(len(rows), 'sequence')}, {near} near the end", tuple(findings))


def _hidden_sequences(names: list[str]) -> Finding:
    return grouped(
        EXHAUSTED,
        Severity.UNKNOWN,
        names,
        f"This role may not read {counted(len(names), 'sequence')}.",
        "has_sequence_privilege",
        (f"GRANT SELECT ON SEQUENCE {name} TO CURRENT_USER;" for name in names),
    )


def _larger(row: SequenceUse) -> str:
    if row.column is None or row.table is None:
        return f"ALTER SEQUENCE {row.name} AS bigint MAXVALUE {_LARGEST['bigint']};"
    return (
        f"ALTER TABLE {row.table} ALTER COLUMN {quoted(row.column)} TYPE bigint;"
        f" -- rewrites the table under a lock\nALTER SEQUENCE {row.name} AS bigint;"
    )


def _used(row: SequenceUse) -> tuple[float, int]:
    """The part of one that is given out, and the last number there is."""
    if row.last_value is None:
        return 0.0, row.maximum
    if row.increment < 0:
        length = row.start_value - row.minimum
        return ((row.start_value - row.last_value) / length if length else 1.0), row.minimum
    limit = min(row.maximum, _LARGEST.get(row.column_type or "", row.maximum))
    length = limit - row.minimum
    return ((row.last_value - row.minimum) / length if length > 0 else 1.0), limit


async def never_analyzed(examination: Examination) -> Outcome:
    """Tables with rows of which the planner knows nothing."""
    least = examination.threshold("table.never-analyzed.rows")
    tables = [t for t in await own_tables(examination) if t.kind in "rm"]
    findings = [
        warning(
            ANALYZED,
            _name(table),
            f"It has some {table.live_rows:,} rows and no statistics: the planner guesses.",
            "pg_stat_user_tables: last_analyze, last_autoanalyze; pg_class.reltuples",
            f"never; {table.estimated_rows:g}",
            f"ANALYZE {_name(table)};",
        )
        for table in tables
        if table.last_analyze is None and table.live_rows >= least and table.estimated_rows <= 0
    ]
    return Outcome(counted(len(findings), "table"), tuple(findings))


async def bloat(examination: Examination) -> Outcome:
    """Tables that take many more pages than their rows need: an estimate from statistics."""
    least_bytes = examination.threshold("table.bloat.megabytes") * 1024**2
    least_share = examination.threshold("table.bloat.percent") / 100
    layouts = await examination.session.fetch(
        TABLE_LAYOUT, {"least_pages": int(least_bytes / 8192)}
    )
    tables = {table.oid: table for table in await own_tables(examination)}
    known = [(layout, tables[layout.oid]) for layout in layouts if layout.oid in tables]
    findings = []
    for layout, table in known:
        needed = expected_pages(layout)
        if needed is None:
            message = "Its bloat is not known: it has no statistics that this role may see."
            fix = f"ANALYZE {_name(table)}; GRANT SELECT ON {_name(table)} TO the role;"
            findings.append(unknown(BLOAT, _name(table), message, fix))
            continue
        wasted = (layout.pages - needed) * layout.page_bytes
        if wasted >= least_bytes and wasted >= least_share * layout.pages * layout.page_bytes:
            findings.append(_bloated(table, layout, needed, wasted))
    return Outcome(
        f"{counted(len(findings), 'table')} (estimate); {len(known)} large enough",
        tuple(findings),
    )


def _bloated(table: TableHealth, layout: TableLayout, needed: int, wasted: int) -> Finding:
    share = wasted / (layout.pages * layout.page_bytes)
    return warning(
        BLOAT,
        _name(table),
        f"About {units.percent(round(share, 2))} of it is empty (estimate):"
        f" {units.size(wasted)} that new rows may use, and nothing else.",
        "pages at the last VACUUM or ANALYZE, and those its rows need (from pg_stats)",
        f"{layout.pages}, {needed}",
        f"VACUUM {_name(table)}; -- frees it for new rows\n"
        f"-- VACUUM FULL {_name(table)}; gives it back to the disk, and locks the table meanwhile",
    )


def expected_pages(layout: TableLayout) -> int | None:
    """Pages that the rows would fill (bufpage.h, htup_details.h); None without statistics."""
    if layout.width is None or layout.rows < 0:
        return None
    header = _TUPLE_HEADER + (ceil(layout.columns / 8) if layout.has_nulls else 0)
    # A column's alignment costs a few bytes at most; half an alignment each is usual.
    item = ceil(header / 8) * 8 + ceil((layout.width + 2 * layout.columns) / 8) * 8 + _LINE_POINTER
    room = (layout.page_bytes - _PAGE_HEADER) * layout.fill_percent / 100
    return ceil(layout.rows / max(1.0, room // item))


async def toast(examination: Examination) -> Outcome:
    """Tables that are mostly long values kept aside."""
    least = examination.threshold("table.toast.megabytes") * 1024**2
    findings = [
        note(
            TOAST,
            _name(table),
            "Most of it is long values (TOAST), which every SELECT * reads too.",
            "pg_class.relpages of the table and its TOAST table",
            f"{units.size(table.estimated_bytes)}, {units.size(table.toast_bytes)}",
        )
        for table in await own_tables(examination)
        if table.toast_bytes >= least and table.toast_bytes > 2 * table.estimated_bytes
    ]
    return Outcome(counted(len(findings), "table"), tuple(findings))


async def autovacuum_off(examination: Examination) -> Outcome:
    """Tables that autovacuum was told to leave alone."""
    findings = [
        warning(
            AUTOVACUUM,
            _name(table),
            "Autovacuum is switched off for it: dead rows stay, statistics grow old.",
            "pg_class.reloptions",
            "autovacuum_enabled=false",
            f"ALTER TABLE {_name(table)} RESET (autovacuum_enabled);",
        )
        for table in await own_tables(examination)
        if table.own_autovacuum is False
    ]
    return Outcome(counted(len(findings), "table"), tuple(findings))


async def vacuum_due(examination: Examination) -> Outcome:
    """Tables with twice the dead rows at which autovacuum should have come."""
    least = examination.threshold("table.vacuum-due.rows")
    tables = {table.oid: table for table in await own_tables(examination)}
    findings = [
        warning(
            VACUUM,
            _name(tables[row.oid]),
            f"Autovacuum is behind: {row.dead_rows:,} dead rows.",
            "n_dead_tup; autovacuum's threshold for this table",
            f"{row.dead_rows}; {row.allowed_rows}",
            f"VACUUM (ANALYZE) {_name(tables[row.oid])};",
        )
        for row in await examination.session.fetch(VACUUM_DUE)
        if row.oid in tables and row.dead_rows >= max(least, 2 * row.allowed_rows)
    ]
    return Outcome(counted(len(findings), "table"), tuple(findings))


async def unlogged(examination: Examination) -> Outcome:
    """Tables that a crash empties, and that no standby has."""
    findings = [
        note(
            UNLOGGED,
            _name(table),
            "It is unlogged: a crash empties it, and no standby or base backup has its rows.",
            "pg_class.relpersistence",
            "u",
            f"ALTER TABLE {_name(table)} SET LOGGED;",
        )
        for table in await own_tables(examination)
        if table.persistence == "u" and not table.is_partition
    ]
    return Outcome(counted(len(findings), "table"), tuple(findings))


async def missing_index(examination: Examination) -> Outcome:
    """Large tables that are read whole again and again."""
    least = examination.threshold("table.missing-index.rows")
    findings = [
        note(
            SCANS,
            _name(table),
            f"It was read whole {table.sequential_scans:,} times, {units.count(per_scan)} rows"
            " each: a statement may lack an index (see the Timings and Plans tabs).",
            "pg_stat_user_tables: seq_scan, seq_tup_read, n_live_tup",
            f"{table.sequential_scans}, {table.sequential_rows}, {table.live_rows}",
        )
        for table in await own_tables(examination)
        if table.kind != "p"
        and table.live_rows >= least
        and table.sequential_scans >= 100
        and (per_scan := table.sequential_rows // table.sequential_scans) >= table.live_rows // 2
    ]
    return Outcome(counted(len(findings), "table"), tuple(findings))


async def not_validated(examination: Examination) -> Outcome:
    """CHECK constraints that only new rows must keep; foreign keys have a check of their own."""
    own = {table.oid for table in await own_tables(examination)}
    catalog = (await examination.structure()).catalog
    findings = tuple(_unvalidated(c for c in catalog.constraints if c.table_oid in own))
    return Outcome(counted(len(findings), "constraint"), findings)


def _unvalidated(constraints: Iterator[Constraint]) -> Iterator[Finding]:
    for one in constraints:
        if one.type != "c" or one.is_validated or one.is_inherited or not one.is_enforced:
            continue
        table = qualified(one.schema, one.table)
        yield warning(
            NOT_VALIDATED,
            f"{quoted(one.name)} on {table}",
            "It is NOT VALID: rows from before it were never looked at.",
            "pg_constraint.convalidated",
            "false",
            f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted(one.name)};",
        )


async def disabled_triggers(examination: Examination) -> Outcome:
    """Triggers that are there and do not fire."""
    found = await examination.session.fetch(DISABLED_TRIGGERS)
    findings = tuple(
        warning(
            TRIGGERS,
            f"{row.name} on {row.table}",
            "The trigger is disabled.",
            "pg_trigger.tgenabled",
            "D",
            f"ALTER TABLE {row.table} ENABLE TRIGGER {row.name};",
        )
        for row in found
    )
    return Outcome(counted(len(found), "trigger"), findings)


async def empty(examination: Examination) -> Outcome:
    """Tables without a row."""
    findings = tuple(
        note(EMPTY, _name(t), "It has no row.", "n_live_tup; pg_class.reltuples", "0; 0")
        for t in await own_tables(examination)
        if t.kind == "r" and t.live_rows == 0 and t.estimated_rows <= 0 and not t.is_parent
    )
    return Outcome(counted(len(findings), "table"), findings)


async def few_columns(examination: Examination) -> Outcome:
    """Tables with one column or none."""
    columns = (await examination.structure()).catalog.columns_of
    findings = tuple(
        note(FEW_COLUMNS, _name(t), "It has one column or none.", "pg_attribute", str(number))
        for t in await own_tables(examination)
        if t.kind == "r" and (number := len(columns.get(t.oid, []))) <= 1
    )
    return Outcome(counted(len(findings), "table"), findings)


async def inheritance(examination: Examination) -> Outcome:
    """Tables that inherit in the old way."""
    findings = tuple(
        note(
            INHERITANCE,
            _name(t),
            "It inherits: keys and unique indexes of the parent do not hold in it.",
            "pg_inherits; pg_class.relispartition",
            "a parent; false",
        )
        for t in await own_tables(examination)
        if t.is_child and not t.is_partition
    )
    return Outcome(counted(len(findings), "table"), findings)


CHECKS = (
    Check(KEY, "Rows without a key", "Every table has a primary key.", primary_key),
    Check(EXHAUSTED, "Numbers left", "No sequence or integer key comes to its end.",
          keys_exhausted, privileges="SELECT or USAGE on the sequences"),
    Check(ANALYZED, "Statistics", "The planner has statistics of every table.", never_analyzed),
    Check(BLOAT, "Table bloat", "No table is much larger than its rows need.", bloat,
          privileges="SELECT on the tables, for their statistics"),
    Check(AUTOVACUUM, "Autovacuum off", "Autovacuum cares for every table.", autovacuum_off),
    Check(VACUUM, "Vacuum due", "Autovacuum keeps up with every table.", vacuum_due),
    Check(UNLOGGED, "Unlogged tables", "A crash empties no table.", unlogged),
    Check(SCANS, "Whole reads", "No large table is read whole again and again.", missing_index),
    Check(NOT_VALIDATED, "Unvalidated", "Every CHECK constraint holds for every row.",
          not_validated),
    Check(TRIGGERS, "Triggers", "Every trigger fires.", disabled_triggers),
    Check(TOAST, "Long values", "No table is mostly long values.", toast, by_default=False),
    Check(EMPTY, "Empty tables", "Every table has rows.", empty, by_default=False),
    Check(FEW_COLUMNS, "Narrow tables", "Every table has two columns or more.", few_columns,
          by_default=False),
    Check(INHERITANCE, "Inheritance", "No table inherits in the old way.", inheritance,
          by_default=False),
)  # fmt: skip
