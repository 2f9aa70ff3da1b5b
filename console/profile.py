"""What a database is expected to be: a profile, its YAML, and the words it is written in.

A profile reads like SQL: a column is `text not null default 'USER'::text`, an index `unique btree
(email)`, a foreign key `(user_id) REFERENCES users(id) ON DELETE CASCADE`, each as PostgreSQL
itself writes it. Table names are taken as they stand; write `schema.table` outside the profile's
own schema, and double quotes around a name that holds a dot or a quote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Self

import yaml

from console import documents
from console.errors import SettingsError
from console.identifiers import TableName
from console.key_definition import ForeignKey

_OUTSIDE_QUOTES = r'(?:[^"]|"(?:[^"]|"")*+")*?'
_COLUMN = re.compile(
    rf"(?P<type>{_OUTSIDE_QUOTES})"
    rf"(?: collate (?P<collation>{_OUTSIDE_QUOTES}))?"
    r"(?P<not_null> not null)?"
    r"(?: generated (?P<identity>always|by default) as identity"
    r"| generated always as \((?P<generated>.*)\) (?P<kind>stored|virtual)"
    r"| default (?P<default>.+))?",
    re.DOTALL,
)
_PRIMARY_KEY = re.compile(
    r'(?P<definition>\(.*\).*) named (?P<name>"(?:[^"]|"")+"|[^\s"]+)', re.DOTALL
)
_INDEX = re.compile(
    r"(?P<critical>critical )?"
    r"(?:constraint (?P<constraint>(?:UNIQUE|EXCLUDE) .+)|(?P<unique>unique )?(?P<index>\w+ \(.+))",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Column:
    type: str
    """As format_type writes it, e.g. timestamp(3) without time zone."""
    not_null: bool = False
    default: str | None = None
    collation: str | None = None
    """Quoted as SQL writes it; None for the type's own."""
    identity: str | None = None
    """always or by default."""
    generated: str | None = None
    """The expression of a generated column."""
    is_virtual: bool = False

    @classmethod
    def from_text(cls, text: str) -> Self:
        found = _COLUMN.fullmatch(text)
        if found is None or not found["type"].strip():
            raise ValueError("a type, then 'not null' and 'default EXPRESSION' where they apply")
        return cls(
            type=found["type"],
            not_null=found["not_null"] is not None,
            default=found["default"],
            collation=found["collation"],
            identity=found["identity"],
            generated=found["generated"],
            is_virtual=found["kind"] == "virtual",
        )

    def __str__(self) -> str:
        parts = [self.type]
        if self.collation is not None:
            parts.append(f"collate {self.collation}")
        if self.not_null:
            parts.append("not null")
        if self.identity is not None:
            parts.append(f"generated {self.identity} as identity")
        elif self.generated is not None:
            kind = "virtual" if self.is_virtual else "stored"
            parts.append(f"generated always as ({self.generated}) {kind}")
        elif self.default is not None:
            parts.append(f"default {self.default}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class PrimaryKey:
    name: str
    definition: str
    """What follows PRIMARY KEY: (id), (a, b) INCLUDE (c) DEFERRABLE ..."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        found = _PRIMARY_KEY.fullmatch(text)
        if found is None:
            raise ValueError("(COLUMN, ...) named NAME")
        name = found["name"]
        if name.startswith('"'):
            name = name[1:-1].replace('""', '"')
        return cls(name, found["definition"])

    def __str__(self) -> str:
        plain = re.fullmatch(r'[^\s"]+', self.name)
        name = self.name if plain else '"' + self.name.replace('"', '""') + '"'
        return f"{self.definition} named {name}"


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is no primary key."""

    definition: str
    """What follows USING, as pg_get_indexdef writes it; of a constraint, the constraint."""
    is_unique: bool = False
    is_constraint: bool = False
    """It stands for a UNIQUE or EXCLUDE constraint of the same name."""
    is_critical: bool = False
    """The application is unusable without it; not compared with a database."""

    @classmethod
    def from_text(cls, text: str) -> Self:
        found = _INDEX.fullmatch(text)
        if found is None:
            raise ValueError("[critical] [unique] METHOD (COLUMN, ...), or constraint UNIQUE (...)")
        constraint = found["constraint"]
        return cls(
            definition=constraint or found["index"],
            is_unique=(constraint or "").startswith("UNIQUE") or found["unique"] is not None,
            is_constraint=constraint is not None,
            is_critical=found["critical"] is not None,
        )

    def __str__(self) -> str:
        critical = "critical " if self.is_critical else ""
        if self.is_constraint:
            return f"{critical}constraint {self.definition}"
        return f"{critical}{'unique ' if self.is_unique else ''}{self.definition}"


@dataclass(frozen=True, slots=True)
class Table:
    columns: Mapping[str, Column]
    primary_key: PrimaryKey | None = None
    indexes: Mapping[str, Index] = field(default_factory=dict)
    foreign_keys: Mapping[str, ForeignKey] = field(default_factory=dict)
    partition_by: str | None = None
    """A partitioned table's key, e.g. RANGE (created_at); its partitions are not listed."""
    inherits: tuple[TableName, ...] = ()


_HISTORY = TableName("", "_prisma_migrations")
_HISTORY_KEY = PrimaryKey("_prisma_migrations_pkey", "(id)")


@dataclass(frozen=True, slots=True)
class Migrations:
    """Prisma's migrations that must have been applied, in their order."""

    names: tuple[str, ...]
    table: TableName = _HISTORY
    primary_key: PrimaryKey | None = _HISTORY_KEY


@dataclass(frozen=True, slots=True)
class ProfileLimits:
    connection_ms: float = 250.0
    """Median time to a usable connection."""
    mean_query_ms: float = 50.0
    """Mean execution time over all statements counted."""
    connections: int = 20
    """How many must be had at once."""

    def __post_init__(self) -> None:
        if self.connection_ms <= 0 or self.mean_query_ms <= 0:
            raise ValueError("limits in milliseconds above 0")
        if not 1 <= self.connections <= 1000:
            raise ValueError("connections between 1 and 1000")


@dataclass(frozen=True, slots=True)
class WorkloadQuery:
    """One statement as the application sends it."""

    sql: str
    """With $1, $2, ... for what varies; its names are of the profile's schema."""
    values: str = ""
    """A query whose rows give $1, $2, ...: some of them are tried."""
    weight: float = 1.0
    """How often it runs, against the others."""

    def __post_init__(self) -> None:
        if not self.sql.strip():
            raise ValueError("a statement")
        if not 0 < self.weight < math.inf:
            raise ValueError("a weight above 0")


@dataclass(frozen=True, slots=True)
class Workload:
    """What the application asks, and the indexes that are there to make it quick."""

    queries: Mapping[str, WorkloadQuery]
    indexes: tuple[str, ...] = ()
    """By name; empty stands for every index that is neither unique nor a constraint's."""

    def __post_init__(self) -> None:
        if not self.queries:
            raise ValueError("at least one query")


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    title: str = ""
    schema: str = "public"
    """Where tables named without a schema are."""
    tables: Mapping[TableName, Table] = field(default_factory=dict)
    migrations: Migrations | None = None
    limits: ProfileLimits = ProfileLimits()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings the server should have, as postgresql.conf writes them."""
    workload: Workload | None = None
    """What `index-lab` measures."""

    @property
    def schemas(self) -> frozenset[str]:
        return frozenset(table.schema for table in self.tables) | {self.schema}

    @property
    def critical_indexes(self) -> frozenset[tuple[str, str]]:
        """Schema and name of each."""
        return frozenset(
            (name.schema, index_name)
            for name, table in self.tables.items()
            for index_name, index in table.indexes.items()
            if index.is_critical
        )

    @property
    def indexes_for_speed(self) -> frozenset[str]:
        """Names of those that guard nothing: what the workload names, else all of that kind."""
        if self.workload is not None and self.workload.indexes:
            return frozenset(self.workload.indexes)
        return frozenset(
            name
            for table in self.tables.values()
            for name, index in table.indexes.items()
            if not (index.is_unique or index.is_constraint)
        )

    @property
    def index_count(self) -> int:
        """All indexes, those of primary keys and of the migrations' table among them."""
        own = sum(
            len(table.indexes) + (table.primary_key is not None) for table in self.tables.values()
        )
        history = self.migrations is not None and self.migrations.primary_key is not None
        return own + history


def parse(content: str, source: str) -> Profile:
    """A profile from YAML text; `source` names it in errors. Raises SettingsError (FILE:LINE)."""
    return _resolved(documents.parse(content, Profile, source))


def load(name_or_path: str) -> Profile:
    """A bundled profile by its name, or a profile file. Raises SettingsError."""
    if name_or_path in bundled_names():
        return bundled(name_or_path)
    try:
        path = Path(name_or_path).expanduser()
    except RuntimeError:
        path = Path(name_or_path)  # ~NAME of nobody: a file that is not there
    if not path.exists() and path.suffix not in (".yaml", ".yml") and "/" not in name_or_path:
        raise SettingsError(
            f"There is no profile '{name_or_path}'.",
            f"Bundled: {', '.join(bundled_names())}; or give the path of a profile file.",
        )
    return _resolved(documents.load(path, Profile))


def bundled_names() -> tuple[str, ...]:
    entries = files("console").joinpath("profiles").iterdir()
    return tuple(sorted(e.name.removesuffix(".yaml") for e in entries if e.name.endswith(".yaml")))


@cache
def bundled(name: str) -> Profile:
    """A profile that comes with the console; medianest is one."""
    entry = files("console").joinpath("profiles", f"{name}.yaml")
    return parse(entry.read_text("utf-8"), f"{name}.yaml")


def dump(profile: Profile) -> str:
    """The profile as YAML; parsing it gives an equal profile."""
    document: dict[str, object] = {"name": profile.name}
    if profile.title:
        document["title"] = profile.title
    if profile.schema != "public":
        document["schema"] = profile.schema
    document["limits"] = {f.name: getattr(profile.limits, f.name) for f in fields(profile.limits)}
    if profile.settings:
        document["settings"] = dict(profile.settings)
    if profile.migrations is not None:
        document["migrations"] = _migrations_document(profile.migrations, profile.schema)
    document["tables"] = {
        name.relative_to(profile.schema): _table_document(table, profile.schema)
        for name, table in profile.tables.items()
    }
    if profile.workload is not None:
        document["workload"] = _workload_document(profile.workload)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=2**31)


def _workload_document(workload: Workload) -> dict[str, object]:
    return {
        "indexes": list(workload.indexes),
        "queries": {
            name: {"sql": query.sql, "values": query.values, "weight": query.weight}
            for name, query in workload.queries.items()
        },
    }


def _migrations_document(migrations: Migrations, schema: str) -> dict[str, object]:
    key = migrations.primary_key
    return {
        "table": migrations.table.relative_to(schema),
        "primary_key": None if key is None else str(key),
        "names": list(migrations.names),
    }


def _table_document(table: Table, schema: str) -> dict[str, object]:
    document: dict[str, object] = {}
    if table.partition_by is not None:
        document["partition_by"] = table.partition_by
    if table.inherits:
        document["inherits"] = [parent.relative_to(schema) for parent in table.inherits]
    document["columns"] = {name: str(column) for name, column in table.columns.items()}
    if table.primary_key is not None:
        document["primary_key"] = str(table.primary_key)
    if table.indexes:
        document["indexes"] = {name: str(index) for name, index in table.indexes.items()}
    if table.foreign_keys:
        document["foreign_keys"] = {
            name: key.text(relative_to=schema) for name, key in table.foreign_keys.items()
        }
    return document


def _resolved(profile: Profile) -> Profile:
    """The profile with its own schema written into names that have none."""
    schema = profile.schema
    migrations = profile.migrations
    if migrations is not None:
        migrations = replace(migrations, table=migrations.table.within(schema))
    return replace(
        profile,
        migrations=migrations,
        tables={
            name.within(schema): replace(
                table,
                inherits=tuple(parent.within(schema) for parent in table.inherits),
                foreign_keys={
                    key_name: replace(key, target=key.target.within(schema))
                    for key_name, key in table.foreign_keys.items()
                },
            )
            for name, table in profile.tables.items()
        },
    )


def relocated(profile: Profile, schema: str) -> Profile:
    """The profile for an application that lives in another schema (Prisma's ?schema=)."""
    if schema == profile.schema:
        return profile

    def moved(name: TableName) -> TableName:
        return TableName(schema, name.name) if name.schema == profile.schema else name

    sequence = f"nextval('{TableName(profile.schema, '').prefix}"
    moved_sequence = f"nextval('{TableName(schema, '').prefix}"
    tables = {}
    for name, table in profile.tables.items():
        tables[moved(name)] = replace(
            table,
            inherits=tuple(moved(parent) for parent in table.inherits),
            columns={
                column_name: replace(
                    column, default=column.default.replace(sequence, moved_sequence)
                )
                if column.default is not None
                else column
                for column_name, column in table.columns.items()
            },
            foreign_keys={
                key_name: replace(key, target=moved(key.target))
                for key_name, key in table.foreign_keys.items()
            },
        )
    migrations = profile.migrations
    if migrations is not None:
        migrations = replace(migrations, table=moved(migrations.table))
    return replace(profile, schema=schema, tables=tables, migrations=migrations)
