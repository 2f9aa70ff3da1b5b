"""The SQL that would make an object of a profile, or make an existing one agree with it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from console.identifiers import TableName, unquoted
from console.key_definition import ForeignKey
from console.names import listed, qualified, quoted
from console.profile import Column, Index, PrimaryKey, Table

_SEQUENCE = re.compile(
    r"nextval\('(?P<name>(?:(?:\"(?:[^\"]|\"\")*\"|[^'\".]+)\.)?(?:\"(?:[^\"]|\"\")*\"|[^'\".]+))'"
    r"::regclass\)"
)


def create_table(name: TableName, table: Table) -> str:
    """Statements for a table with everything on it, foreign keys last.

    A sequence that a default draws from is made too, when it is not there.
    """
    lines = [f"    {column_definition(n, column)}" for n, column in table.columns.items()]
    if table.primary_key is not None:
        lines.append(f"    {_primary_key_clause(table.primary_key)}")
    statement = f"CREATE TABLE {name} (\n" + ",\n".join(lines) + "\n)"
    if table.inherits:
        statement += f" INHERITS ({', '.join(map(str, table.inherits))})"
    if table.partition_by is not None:
        statement += f" PARTITION BY {table.partition_by}"
    statements = [
        *_sequences(table),
        statement + ";",
        *_sequence_owners(name, table),
        *(create_index(name, n, index, concurrently=False) for n, index in table.indexes.items()),
        *(add_foreign_key(name, n, key, at_once=True) for n, key in table.foreign_keys.items()),
    ]
    return "\n".join(statements)


def column_definition(name: str, column: Column) -> str:
    """A column as CREATE TABLE and ADD COLUMN take it."""
    parts = [quoted(name), column.type]
    if column.collation is not None:
        parts.append(f"COLLATE {column.collation}")
    if column.identity is not None:
        parts.append(f"GENERATED {column.identity.upper()} AS IDENTITY")
    elif column.generated is not None:
        kind = "VIRTUAL" if column.is_virtual else "STORED"
        parts.append(f"GENERATED ALWAYS AS ({column.generated}) {kind}")
    elif column.default is not None:
        parts.append(f"DEFAULT {column.default}")
    if column.not_null:
        parts.append("NOT NULL")
    return " ".join(parts)


def add_column(table: TableName, name: str, column: Column) -> str:
    """ADD COLUMN; one that is not null without a default needs an empty table or a default."""
    return f"ALTER TABLE {table} ADD COLUMN {column_definition(name, column)};"


def alter_column(table: TableName, name: str, wanted: Column, found: Column) -> str:
    """ALTER COLUMN for each difference; a generated column or identity is left to the reader."""
    if (wanted.identity, wanted.generated) != (found.identity, found.generated):
        return (
            f"-- {table}.{quoted(name)} should be: {wanted}\n"
            "-- Identity and generated columns are best made anew by a migration."
        )
    column = f"ALTER COLUMN {quoted(name)}"
    changes = []
    retyped = (wanted.type, wanted.collation) != (found.type, found.collation)
    if retyped:
        if found.default is not None:
            changes.append(f"{column} DROP DEFAULT")
        collation = f" COLLATE {wanted.collation}" if wanted.collation is not None else ""
        changes.append(
            f"{column} TYPE {wanted.type}{collation} USING {quoted(name)}::{wanted.type}"
        )
    if wanted.default is not None and (retyped or wanted.default != found.default):
        changes.append(f"{column} SET DEFAULT {wanted.default}")
    elif wanted.default is None and found.default is not None and not retyped:
        changes.append(f"{column} DROP DEFAULT")
    if wanted.not_null != found.not_null:
        changes.append(f"{column} {'SET' if wanted.not_null else 'DROP'} NOT NULL")
    return f"ALTER TABLE {table} {', '.join(changes)};"


def add_primary_key(table: TableName, key: PrimaryKey) -> str:
    return f"ALTER TABLE {table} ADD {_primary_key_clause(key)};"


def _primary_key_clause(key: PrimaryKey) -> str:
    return f"CONSTRAINT {quoted(key.name)} PRIMARY KEY {key.definition}"


def drop_constraint(table: TableName, name: str) -> str:
    return f"ALTER TABLE {table} DROP CONSTRAINT {quoted(name)};"


def create_index(table: TableName, name: str, index: Index, *, concurrently: bool = True) -> str:
    """CREATE INDEX, or ADD CONSTRAINT for one that stands for a constraint.

    CONCURRENTLY lets writes go on, but not inside a transaction nor on a partitioned table.
    """
    if index.is_constraint:
        return f"ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} {index.definition};"
    unique = "UNIQUE " if index.is_unique else ""
    how = "CONCURRENTLY " if concurrently else ""
    return f"CREATE {unique}INDEX {how}{quoted(name)} ON {table} USING {index.definition};"


def drop_index(table: TableName, name: str, index: Index, *, concurrently: bool = True) -> str:
    if index.is_constraint:
        return drop_constraint(table, name)
    how = "CONCURRENTLY " if concurrently else ""
    return f"DROP INDEX {how}{qualified(table.schema, name)};"


def rename_index(schema: str, name: str, wanted: str) -> str:
    return f"ALTER INDEX {qualified(schema, name)} RENAME TO {quoted(wanted)};"


def rename_constraint(table: TableName, name: str, wanted: str) -> str:
    return f"ALTER TABLE {table} RENAME CONSTRAINT {quoted(name)} TO {quoted(wanted)};"


def add_foreign_key(table: TableName, name: str, key: ForeignKey, *, at_once: bool = False) -> str:
    """ADD FOREIGN KEY first, then validate: writes are kept out for a moment only.

    `at_once` is for partitioned tables, which take NOT VALID from 18 on only, and for new ones.
    """
    add = f"ALTER TABLE {table} ADD CONSTRAINT {quoted(name)} FOREIGN KEY {key}"
    if at_once or not key.is_validated:
        return f"{add};"
    return f"{add} NOT VALID;\n{validate_constraint(table, name)}"


def validate_constraint(table: TableName, name: str) -> str:
    return f"ALTER TABLE {table} VALIDATE CONSTRAINT {quoted(name)};"


def delete_rules(key: ForeignKey) -> str:
    """What a foreign key does, in a few words."""
    return f"ON UPDATE {key.on_update} ON DELETE {key.on_delete}"


def mentions(definition: str, column: str) -> bool:
    """Whether a definition names a column; text in single quotes does not count."""
    outside = re.sub(r"'(?:[^']|'')*'", "''", definition)
    words = re.findall(r'"(?:[^"]|"")*"|[\w$]+', outside)
    return any(unquoted(word) == column for word in words)


def _drawn_from(table: Table) -> Iterator[tuple[str, Column, str]]:
    for name, column in table.columns.items():
        found = _SEQUENCE.fullmatch(column.default or "")
        if found is not None:
            yield name, column, found["name"].replace("''", "'")


def _sequences(table: Table) -> Iterator[str]:
    for _name, column, sequence in _drawn_from(table):
        yield f"CREATE SEQUENCE IF NOT EXISTS {sequence} AS {column.type};"


def _sequence_owners(table_name: TableName, table: Table) -> Iterator[str]:
    for name, _column, sequence in _drawn_from(table):
        yield f"ALTER SEQUENCE {sequence} OWNED BY {table_name}.{listed([name])};"
