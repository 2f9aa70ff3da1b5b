"""Columns and foreign keys whose types or names will trouble somebody later."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable

from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import counted, grouped
from console.checks.health import note, own_columns, own_tables, warning
from console.findings import Finding, Severity
from console.names import listed, qualified, quoted
from queries.catalog import Catalog, Column, Constraint
from queries.health import TableHealth

TYPES = "foreign-key.types"
DUPLICATE = "foreign-key.duplicate"
OVERLAPPING = "foreign-key.overlapping"
NULLABLE = "foreign-key.nullable-member"
MISSING = "foreign-key.missing"

_LONGEST_NAME = 63
_INTERCHANGEABLE = ({"text", "character varying"}, {"numeric"})
"""Types of which PostgreSQL compares one with the other by the same index."""


def _column(table: TableHealth, column: Column) -> str:
    return f"{qualified(table.schema, table.name)}.{quoted(column.name)}"


def _of_type(
    check: str, pattern: str, message: str, fix: str, severity: Severity = Severity.INFO
) -> Callable[[Examination], Awaitable[Outcome]]:
    """The check that gives one finding about all columns whose type matches."""

    async def run(examination: Examination) -> Outcome:
        columns = await own_columns(examination)
        # Of hundreds of thousands of columns only a few types differ.
        types = {column.type for _, column in columns}
        matching = {name for name in types if re.fullmatch(pattern, name)}
        names = [_column(table, column) for table, column in columns if column.type in matching]
        if not names:
            return Outcome("0 columns")
        many = counted(len(names), "column")
        finding = grouped(
            check, severity, names, f"{many}: {message}", "format_type of pg_attribute", [fix]
        )
        return Outcome(many, (finding,))

    return run


async def keys_of_own(examination: Examination) -> tuple[Catalog, list[Constraint]]:
    """The foreign keys as declared, without extensions' tables."""
    own = {table.oid for table in await own_tables(examination)}
    catalog = (await examination.structure()).catalog
    return catalog, [key for key in catalog.foreign_keys if key.table_oid in own]


def _subject(key: Constraint) -> str:
    return f"{quoted(key.name)} on {qualified(key.schema, key.table)}"


async def key_types(examination: Examination) -> Outcome:
    """Keys whose columns have another type or length than those they point to."""
    catalog, keys = await keys_of_own(examination)
    types = {
        (column.relation_oid, column.name): column.type
        for key in keys
        for oid in (key.table_oid, key.target_oid or 0)
        for column in catalog.columns_of.get(oid, [])
    }
    findings = []
    for key in keys:
        pairs = [
            (name, types.get((key.table_oid, name)), types.get((key.target_oid or 0, target)))
            for name, target in zip(key.columns, key.target_columns, strict=False)
        ]
        for name, own, other in pairs:
            if own is None or other is None or own == other:
                continue
            alike = _alike(own, other)
            findings.append(
                (note if alike else warning)(
                    TYPES,
                    _subject(key),
                    f"{quoted(name)} is {own}, what it points to is {other}: "
                    + (
                        "values of one may not fit the other."
                        if alike
                        else "each lookup converts, and values of one may not fit the other."
                    ),
                    "format_type of both columns",
                    f"{own}; {other}",
                    f"ALTER TABLE {qualified(key.schema, key.table)}"
                    f" ALTER COLUMN {quoted(name)} TYPE {other};",
                )
            )
    return Outcome(f"{counted(len(keys), 'foreign key')}, {len(findings)} differ", tuple(findings))


def _alike(own: str, other: str) -> bool:
    """One type in two lengths, or two that share an index."""
    first, second = (re.sub(r"\(.*?\)", "", text).strip() for text in (own, other))
    return first == second or any({first, second} <= kinds for kinds in _INTERCHANGEABLE)


async def duplicate_keys(examination: Examination) -> Outcome:
    """Foreign keys that say the same twice: each write is checked twice."""
    _, keys = await keys_of_own(examination)
    groups: defaultdict[object, list[Constraint]] = defaultdict(list)
    for key in keys:
        pairs = frozenset(zip(key.columns, key.target_columns, strict=False))
        groups[(key.table_oid, key.target_oid, pairs)].append(key)
    findings = tuple(
        warning(
            DUPLICATE,
            _subject(key),
            f"It says the same as {quoted(same[0].name)}: each write is checked twice.",
            "pg_constraint: conrelid, conkey, confrelid, confkey",
            ", ".join(quoted(one.name) for one in same),
            f"ALTER TABLE {qualified(key.schema, key.table)} DROP CONSTRAINT {quoted(key.name)};"
            + (" -- their rules differ: keep the one that is meant" if _differ(same) else ""),
        )
        for same in groups.values()
        for key in same[1:]
    )
    return Outcome(counted(len(findings), "foreign key"), findings)


def _differ(keys: Iterable[Constraint]) -> bool:
    return len({(key.on_update, key.on_delete, key.match_type) for key in keys}) > 1


async def overlapping_keys(examination: Examination) -> Outcome:
    """Foreign keys of a table that share columns, but not all."""
    _, keys = await keys_of_own(examination)
    by_table: defaultdict[int, list[Constraint]] = defaultdict(list)
    for key in keys:
        by_table[key.table_oid].append(key)
    findings = [
        note(
            OVERLAPPING,
            _subject(key),
            f"It shares columns with {quoted(other.name)}.",
            "pg_constraint.conkey",
            f"({listed(key.columns)}), ({listed(other.columns)})",
        )
        for of_table in by_table.values()
        for position, other in enumerate(of_table)
        for key in of_table[position + 1 :]
        if set(key.columns) & set(other.columns) and set(key.columns) != set(other.columns)
    ]
    return Outcome(counted(len(findings), "pair"), tuple(findings))


async def nullable_members(examination: Examination) -> Outcome:
    """Keys of several columns that a null in one of them switches off (MATCH SIMPLE)."""
    catalog, keys = await keys_of_own(examination)
    findings = []
    for key in keys:
        required = {c.name for c in catalog.columns_of.get(key.table_oid, []) if c.not_null}
        missing = [name for name in key.columns if name not in required]
        if len(key.columns) > 1 and missing and key.match_type == "s":
            findings.append(
                note(
                    NULLABLE,
                    _subject(key),
                    f"A null in {listed(missing)} lets the rest point nowhere (MATCH SIMPLE).",
                    "pg_constraint.confmatchtype; attnotnull",
                    f"s; nullable: {listed(missing)}",
                )
            )
    return Outcome(counted(len(findings), "foreign key"), tuple(findings))


async def missing_keys(examination: Examination) -> Outcome:
    """Columns named after a table's key (user_id, userId) that no foreign key holds to it."""
    _, keys = await keys_of_own(examination)
    held = {(key.table_oid, name) for key in keys for name in key.columns}
    tables = {table.name.lower(): table for table in await own_tables(examination)}
    findings = []
    for table, column in await own_columns(examination):
        match = re.fullmatch(r"(.+?)_?id", column.name, re.IGNORECASE)
        if match is None or (table.oid, column.name) in held:
            continue
        base = match[1].lower()
        other = next((tables[n] for n in (base, base + "s", base + "es") if n in tables), None)
        if other is not None and other.oid != table.oid:
            findings.append(
                note(
                    MISSING,
                    _column(table, column),
                    f"Its name points to {qualified(other.schema, other.name)}, but no foreign key"
                    " does.",
                    "names; pg_constraint, contype f",
                    "no row",
                )
            )
    return Outcome(counted(len(findings), "column"), tuple(findings))


async def long_names(examination: Examination) -> Outcome:
    """Names of 63 bytes, which PostgreSQL may have cut."""
    catalog = (await examination.structure()).catalog
    named = [(qualified(i.schema, i.name), i.name) for i in catalog.indexes]
    named += [(qualified(r.schema, r.name), r.name) for r in catalog.relations]
    named += [(f"{quoted(c.name)} on {qualified(c.schema, c.table)}", c.name)
              for c in catalog.constraints if c.index_oid is None]  # fmt: skip
    long = sorted({full for full, name in named if len(name.encode()) >= _LONGEST_NAME})
    findings = tuple(
        note(
            "column.long-names",
            name,
            "The name has PostgreSQL's 63 bytes: a longer one was cut, and the next may collide.",
            "octet_length of the name",
            str(_LONGEST_NAME),
        )
        for name in long
    )
    return Outcome(counted(len(long), "name"), findings)


async def differing_types(examination: Examination) -> Outcome:
    """One column name with several types in a schema."""
    types: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for table, column in await own_columns(examination):
        types[(table.schema, column.name)].add(column.type)
    findings: list[Finding] = [
        note(
            "column.differing-types",
            f"{quoted(schema)}: {quoted(name)}",
            "The column has another type in another table.",
            "format_type of columns of that name",
            ", ".join(sorted(found)),
        )
        for (schema, name), found in sorted(types.items())
        if len(found) > 1
    ]
    return Outcome(counted(len(findings), "name"), tuple(findings))


CHECKS = (
    Check(TYPES, "Key types", "A foreign key has the type of what it points to.", key_types),
    Check(DUPLICATE, "Duplicate keys", "No foreign key is there twice.", duplicate_keys),
    Check("column.json", "json columns", "Documents are kept as jsonb.",
          _of_type("column.json", r"json", "json keeps text and cannot be indexed; jsonb can.",
                   "-- ALTER TABLE ... ALTER COLUMN ... TYPE jsonb;")),
    Check("column.char", "char columns", "No text is padded with blanks.",
          _of_type("column.char", r"character\(.*", "char(n) pads with blanks; text does not.",
                   "-- ALTER TABLE ... ALTER COLUMN ... TYPE text;")),
    Check("column.money", "money columns", "Amounts are numeric.",
          _of_type("column.money", "money", "what money means depends on lc_monetary.",
                   "-- ALTER TABLE ... ALTER COLUMN ... TYPE numeric(12, 2);")),
    Check("column.timestamp", "Times without zone", "Times know their zone.",
          _of_type("column.timestamp", r"timestamp(\(\d\))? without time zone"
                   r"|time(\(\d\))? with time zone",
                   "no time zone is kept (Prisma's DateTime is so; it writes UTC).",
                   "-- in schema.prisma: @db.Timestamptz(3)")),
    Check("column.reg-types", "OID columns", "No column keeps an object's number.",
          _of_type("column.reg-types", r"reg(?!class$|role$|type$)\w+",
                   "pg_upgrade refuses a database with such columns.",
                   "-- ALTER TABLE ... ALTER COLUMN ... TYPE text;")),
    Check("column.long-names", "Long names", "No name was cut at 63 bytes.", long_names),
    Check("column.varchar", "varchar limits", "Lengths are limited where a rule wants it.",
          _of_type("column.varchar", r"character varying\(\d+\)",
                   "changing the limit later needs an ALTER TABLE; text with a CHECK is easier.",
                   "-- ALTER TABLE ... ALTER COLUMN ... TYPE text;"), by_default=False),
    Check("column.large-objects", "Large objects", "No column points to large objects.",
          _of_type("column.large-objects", "oid|lo", "pg_dump carries large objects apart, and"
                   " nothing removes those nobody points to.", "-- bytea, or vacuumlo"),
          by_default=False),
    Check("column.differing-types", "One name, two types", "A column's name has one type.",
          differing_types, by_default=False),
    Check(OVERLAPPING, "Overlapping keys", "No two foreign keys share a part.", overlapping_keys,
          by_default=False),
    Check(NULLABLE, "Keys with nulls", "No null switches a foreign key off.", nullable_members,
          by_default=False),
    Check(MISSING, "Missing keys", "Columns named like a key are one.", missing_keys,
          by_default=False),
)  # fmt: skip
