"""Tables, their columns and their primary keys against the profile."""

from __future__ import annotations

from collections.abc import Iterator

from console import ddl
from console.checks.check import Comparison, Examination, Outcome, limited, unknown
from console.findings import Evidence, Finding, Severity
from console.identifiers import TableName
from console.names import quoted
from console.profile import Column, PrimaryKey, Table

TABLES = "schema.tables"
COLUMNS = "schema.columns"
PRIMARY_KEYS = "schema.primary-keys"


async def tables(examination: Examination) -> Outcome:
    """A missing table is one finding; nothing of what was on it is reported again."""
    comparison = await examination.comparison()
    wanted = len(comparison.profile.tables)
    there = wanted - len(comparison.missing_tables)
    findings = [
        *(_missing_table(comparison, name) for name in comparison.missing_tables),
        *limited(map(_extra_table, comparison.extra_tables), "tables"),
    ]
    return Outcome(f"{there}/{wanted} tables", tuple(findings))


def _missing_table(comparison: Comparison, name: TableName) -> Finding:
    instead = _what_has_its_name(comparison, name)
    return Finding(
        TABLES,
        Severity.FAILURE,
        str(name),
        "The table is missing" + (f"; there is {instead} of its name." if instead else "."),
        Evidence(f"pg_class: a table {name}", instead or "no row"),
        ddl.create_table(name, comparison.profile.tables[name]),
    )


def _what_has_its_name(comparison: Comparison, name: TableName) -> str:
    kinds = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence"}
    for relation in comparison.structure.catalog.relations:
        if (relation.schema, relation.name) == (name.schema, name.name):
            return kinds.get(relation.kind, "a partition")
    return ""


def _extra_table(name: TableName) -> Finding:
    return Finding(TABLES, Severity.INFO, str(name), "The table is not in the profile.")


async def columns(examination: Examination) -> Outcome:
    """Every column's type, nullability, default, collation, identity and generation."""
    comparison = await examination.comparison()
    findings: list[Finding] = []
    extras: list[Finding] = []
    for name, wanted, found in comparison.pairs:
        locked = name in comparison.structure.locked
        findings += _table_columns(name, wanted, found, locked=locked)
        extras += _extra_columns(name, wanted, found)
    total = sum(len(table.columns) for table in comparison.profile.tables.values())
    absent = sum(len(comparison.profile.tables[name].columns) for name in comparison.missing_tables)
    wrong = sum(finding.severity is Severity.FAILURE for finding in findings)
    return Outcome(
        f"{total - absent - wrong}/{total} columns as expected",
        (*findings, *limited(extras, "columns")),
        is_complete=not absent,
    )


def _table_columns(
    name: TableName, wanted: Table, found: Table, *, locked: bool
) -> Iterator[Finding]:
    for column_name, column in wanted.columns.items():
        there = found.columns.get(column_name)
        if there is None:
            yield _missing_column(name, column_name, wanted)
        elif locked and there.type == column.type and there.not_null == column.not_null:
            if column.default is not None or column.generated is not None:
                yield unknown(
                    COLUMNS,
                    f"{name}.{quoted(column_name)}",
                    "Its default could not be read: the table is locked (ACCESS EXCLUSIVE).",
                )
        elif there != column:
            yield _different_column(name, column_name, column, there)


def _missing_column(name: TableName, column_name: str, table: Table) -> Finding:
    """What stood on the column went with it, so that is made again by the same fix."""
    statements = [ddl.add_column(name, column_name, table.columns[column_name])]
    key = table.primary_key
    if key is not None and ddl.mentions(key.definition, column_name):
        statements.append(ddl.add_primary_key(name, key))
    at_once = table.partition_by is not None
    statements += [
        ddl.create_index(name, index_name, index, concurrently=False)
        for index_name, index in table.indexes.items()
        if ddl.mentions(index.definition, column_name)
    ]
    statements += [
        ddl.add_foreign_key(name, key_name, foreign_key, at_once=at_once)
        for key_name, foreign_key in table.foreign_keys.items()
        if column_name in foreign_key.columns
    ]
    return Finding(
        COLUMNS,
        Severity.FAILURE,
        f"{name}.{quoted(column_name)}",
        "The column is missing.",
        Evidence(f"pg_attribute: column {quoted(column_name)} of {name}", "no row"),
        "\n".join(statements),
    )


def _different_column(name: TableName, column: str, wanted: Column, found: Column) -> Finding:
    return Finding(
        COLUMNS,
        Severity.FAILURE,
        f"{name}.{quoted(column)}",
        f"The column's {_differences(wanted, found)} not as expected.",
        Evidence(f"{name}.{quoted(column)}: {wanted}", str(found)),
        ddl.alter_column(name, column, wanted, found),
    )


def _differences(wanted: Column, found: Column) -> str:
    words = {
        "type": wanted.type != found.type,
        "collation": wanted.collation != found.collation,
        "nullability": wanted.not_null != found.not_null,
        "default": wanted.default != found.default,
        "identity": wanted.identity != found.identity,
        "generation": (wanted.generated, wanted.is_virtual) != (found.generated, found.is_virtual),
    }
    different = [word for word, differs in words.items() if differs]
    if len(different) == 1:
        return f"{different[0]} is"
    return f"{', '.join(different[:-1])} and {different[-1]} are"


def _extra_columns(name: TableName, wanted: Table, found: Table) -> Iterator[Finding]:
    for column_name, column in found.columns.items():
        if column_name not in wanted.columns:
            subject = f"{name}.{quoted(column_name)}"
            yield Finding(
                COLUMNS,
                Severity.INFO,
                subject,
                "The column is not in the profile.",
                Evidence(f"pg_attribute: columns of {name}", f"{subject} {column}"),
            )


async def primary_keys(examination: Examination) -> Outcome:
    comparison = await examination.comparison()
    total = sum(table.primary_key is not None for table in comparison.profile.tables.values())
    absent = sum(
        comparison.profile.tables[name].primary_key is not None
        for name in comparison.missing_tables
    )
    findings: list[Finding] = []
    for name, wanted, found in comparison.pairs:
        if wanted.primary_key is None:
            findings += _extra_primary_key(name, found.primary_key)
        elif any(ddl.mentions(wanted.primary_key.definition, column)
                 for column in comparison.missing_columns(name)):  # fmt: skip
            absent += 1
        elif wanted.primary_key != found.primary_key:
            findings.append(_wrong_primary_key(name, wanted.primary_key, found.primary_key))
    wrong = sum(finding.severity is Severity.FAILURE for finding in findings)
    return Outcome(
        f"{total - absent - wrong}/{total} primary keys", tuple(findings), is_complete=not absent
    )


def _extra_primary_key(name: TableName, found: PrimaryKey | None) -> Iterator[Finding]:
    if found is not None:
        message = "The primary key is not in the profile."
        evidence = Evidence(f"pg_constraint: primary key of {name}", str(found))
        yield Finding(PRIMARY_KEYS, Severity.INFO, str(name), message, evidence)


def _wrong_primary_key(name: TableName, wanted: PrimaryKey, found: PrimaryKey | None) -> Finding:
    evidence = Evidence(
        f"pg_constraint: primary key of {name}, expected {wanted}",
        "no row" if found is None else str(found),
    )
    if found is None:
        fix = ddl.add_primary_key(name, wanted)
        message = "The primary key is missing."
        return Finding(PRIMARY_KEYS, Severity.FAILURE, str(name), message, evidence, fix)
    if found.definition == wanted.definition:
        fix = ddl.rename_constraint(name, found.name, wanted.name)
        message = f"The primary key has another name ({quoted(found.name)})."
        return Finding(PRIMARY_KEYS, Severity.WARNING, str(name), message, evidence, fix)
    drop = ddl.drop_constraint(name, found.name)
    return Finding(
        PRIMARY_KEYS,
        Severity.FAILURE,
        str(name),
        "The primary key is another one.",
        evidence,
        f"{drop}\n{ddl.add_primary_key(name, wanted)}",
    )
