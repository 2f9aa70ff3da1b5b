"""What a live database is made of, in the words of a profile."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from console import profile as expected
from console.errors import ActionRefused
from console.identifiers import TableName
from console.key_definition import ForeignKey
from console.names import quoted
from console.profile import Migrations, PrimaryKey, Profile, ProfileLimits, Table
from console.session import Session
from queries.catalog import INDEX_DEFINITIONS, Catalog, Column, Constraint, Relation, read_catalog
from queries.definitions import CONSTRAINT_DEFINITIONS, TABLE_SHAPES, TableShape
from queries.migrations import MIGRATION_HISTORY, history_of

HISTORY_TABLE = "_prisma_migrations"

_NAME = r'"(?:[^"]|"")*+"|[^\s."]+'
_INDEX_DEFINITION = re.compile(
    rf"CREATE (?:UNIQUE )?INDEX (?:{_NAME}) ON (?:ONLY )?(?:{_NAME})\.(?:{_NAME}) USING (.*)",
    re.DOTALL,
)
_IDENTITIES = {"a": "always", "d": "by default"}


class _Described(Mapping[TableName, Table]):
    """Each table is described when it is first looked at: of thousands, a profile names few."""

    def __init__(
        self, relations: Mapping[TableName, Relation], describe: Callable[[Relation], Table]
    ) -> None:
        self._relations = relations
        self._describe = describe
        self._known: dict[TableName, Table] = {}

    def __getitem__(self, name: TableName) -> Table:
        if name not in self._known:
            self._known[name] = self._describe(self._relations[name])
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._relations

    def __iter__(self) -> Iterator[TableName]:
        return iter(self._relations)

    def __len__(self) -> int:
        return len(self._relations)


@dataclass(frozen=True)
class Structure:
    """One reading of the catalogs with definitions; locked parts are missing from the latter."""

    catalog: Catalog
    defined: frozenset[int]
    """Oids of the tables whose definitions were read."""
    shapes: Mapping[int, TableShape]
    constraint_definitions: Mapping[int, str | None]
    index_definitions: Mapping[int, str]

    @cached_property
    def relations(self) -> dict[TableName, Relation]:
        """Tables by name: ordinary and partitioned ones, no partitions."""
        return {
            TableName(relation.schema, relation.name): relation
            for relation in self.catalog.relations
            if relation.kind in "rp" and not relation.is_partition
        }

    @cached_property
    def tables(self) -> Mapping[TableName, Table]:
        """Every table as a profile would describe it, the migrations' among them."""
        return _Described(self.relations, self._table)

    @cached_property
    def locked(self) -> frozenset[TableName]:
        """Tables under an ACCESS EXCLUSIVE lock, whose expressions could not be read."""
        oids = {index.table_oid for index in self.catalog.indexes if index.locked}
        oids |= {column.relation_oid for column in self.catalog.columns if column.default_unread}
        oids |= {c.table_oid for c in self.catalog.constraints if c.locked and c.type != "f"}
        oids |= {
            index.table_oid
            for index in self.catalog.indexes
            if index.table_oid in self.defined and index.oid not in self.index_definitions
        }
        oids |= {c.table_oid for c in self.catalog.constraints
                 if c.oid in self.constraint_definitions
                 and self.constraint_definitions[c.oid] is None}  # fmt: skip
        return frozenset(name for name, rel in self.relations.items() if rel.oid in oids)

    def history(self, schema: str | None = None) -> TableName | None:
        """Where Prisma's history is: in `schema`, else in the first schema that has one."""
        found = sorted(name for name in self.relations if name.name == HISTORY_TABLE)
        return next((name for name in found if name.schema == schema), next(iter(found), None))

    def _table(self, relation: Relation) -> Table:
        constraints = self.catalog.constraints_of.get(relation.oid, [])
        shape = self.shapes.get(relation.oid)
        return Table(
            columns={
                column.name: _column(column)
                for column in self.catalog.columns_of.get(relation.oid, [])
            },
            primary_key=next(self._primary_keys(constraints), None),
            indexes=dict(self._indexes(relation)),
            foreign_keys=dict(self._foreign_keys(constraints)),
            partition_by=shape.partition_key if shape else None,
            inherits=tuple(map(TableName.from_text, shape.parents)) if shape else (),
        )

    def _primary_keys(self, constraints: list[Constraint]) -> Iterator[PrimaryKey]:
        for constraint in constraints:
            definition = self.constraint_definitions.get(constraint.oid)
            if constraint.type == "p" and definition is not None:
                yield PrimaryKey(constraint.name, definition.removeprefix("PRIMARY KEY "))

    def _indexes(self, relation: Relation) -> Iterator[tuple[str, expected.Index]]:
        constraint_of = {
            constraint.index_oid: constraint
            for constraint in self.catalog.constraints_of.get(relation.oid, [])
            if constraint.type in "ux"
        }
        for index in self.catalog.indexes_of.get(relation.oid, []):
            if index.is_primary:
                continue
            constraint = constraint_of.get(index.oid)
            if constraint is not None:
                definition = self.constraint_definitions.get(constraint.oid)
            else:
                definition = _after_using(self.index_definitions.get(index.oid))
            if definition is not None:
                yield (
                    index.name,
                    expected.Index(definition, index.is_unique, constraint is not None),
                )

    def _foreign_keys(self, constraints: list[Constraint]) -> Iterator[tuple[str, ForeignKey]]:
        for constraint in constraints:
            definition = self.constraint_definitions.get(constraint.oid)
            if constraint.type == "f" and definition is not None:
                yield constraint.name, ForeignKey.from_text(definition)


def _after_using(definition: str | None) -> str | None:
    found = _INDEX_DEFINITION.fullmatch(definition) if definition is not None else None
    return found[1] if found is not None else None


def _column(column: Column) -> expected.Column:
    generated = column.default_expression if column.generated else None
    return expected.Column(
        type=column.type,
        not_null=column.not_null,
        default=None if column.generated else column.default_expression,
        collation=column.collation,
        identity=_IDENTITIES.get(column.identity),
        generated=generated,
        is_virtual=column.generated == "v",
    )


async def read_structure(
    session: Session, defined: Collection[TableName] | None = None
) -> Structure:
    """Read the catalogs of all user schemas. Raises ConsoleError kinds.

    `defined` are the tables whose indexes and keys are needed as the server writes them, or None
    for all: writing them is the dearest part of it for the server.
    """
    catalog = await session.ask(read_catalog)
    tables = frozenset(
        relation.oid
        for relation in catalog.relations
        if not relation.is_partition
        and (defined is None or TableName(relation.schema, relation.name) in defined)
    )
    oids = [index.oid for index in catalog.indexes if index.table_oid in tables]
    constraints = await session.fetch(CONSTRAINT_DEFINITIONS, {"tables": list(tables)})
    indexes = await session.fetch(INDEX_DEFINITIONS, {"oids": oids})
    return Structure(
        catalog,
        tables,
        {shape.oid: shape for shape in await session.fetch(TABLE_SHAPES)},
        {row.oid: row.definition for row in constraints},
        {row.oid: row.definition for row in indexes},
    )


def capture(
    structure: Structure,
    name: str,
    *,
    migrations: tuple[str, ...] = (),
    schema: str = "public",
) -> Profile:
    """The profile that this database fits exactly.

    `migrations` are those applied; `schema` is where Prisma's history is looked for first and the
    one left out of names. Raises ActionRefused while a table is locked: it would be incomplete.
    """
    if structure.locked:
        table = min(structure.locked)
        raise ActionRefused(
            f"Table {table} is locked (ACCESS EXCLUSIVE), so it cannot be described.",
            "Wait until the lock is gone, and capture again.",
        )
    tables = dict(structure.tables)
    history = structure.history(schema)
    described = None
    if history is not None:
        described = Migrations(migrations, history, tables.pop(history).primary_key)
    return Profile(
        name=name,
        schema=schema,
        tables=tables,
        migrations=described,
        limits=ProfileLimits(),
    )


async def capture_from(session: Session, name: str, schema: str = "public") -> Profile:
    """Read a live database and capture it. Raises ConsoleError kinds, also for a missing SELECT."""
    structure = await read_structure(session)
    history = structure.history(schema)
    applied: tuple[str, ...] = ()
    if history is not None:
        rows = await session.fetch(
            MIGRATION_HISTORY, relations=history_of(history.schema, history.name)
        )
        counted = {row.name for row in rows if row.rolled_back_at is None and row.finished_at}
        applied = tuple(sorted(counted))
    return capture(structure, name, migrations=applied, schema=schema)


def grant_to_read(role: str, tables: list[TableName]) -> str:
    """The GRANTs by which a role may read tables."""
    schemas = sorted({table.schema for table in tables})
    return "\n".join(
        [
            f"GRANT USAGE ON SCHEMA {', '.join(map(quoted, schemas))} TO {quoted(role)};",
            f"GRANT SELECT ON {', '.join(map(str, tables))} TO {quoted(role)};",
        ]
    )
