"""Everything about one relation, asked for when somebody looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from console.errors import QueryFailed
from console.session import Session
from queries.catalog import (
    COLUMNS,
    CONSTRAINTS,
    INDEXES,
    RELATION_SIZES,
    Column,
    Constraint,
    Index,
    Relation,
    RelationSize,
)
from queries.objects import (
    COLUMN_STORAGE,
    PARTITIONS,
    RELATION_EXTRAS,
    RELATION_FORM,
    SEQUENCES,
    TABLE_CONSTRAINTS,
    ColumnStorage,
    Extra,
    Partition,
    RelationForm,
    SequenceForm,
    TableConstraint,
)

TABLE_KINDS = ("r", "p", "f")
VIEW_KINDS = ("v", "m")


@dataclass(frozen=True)
class RelationDetails:
    """A relation and what hangs on it, read in one round."""

    relation: Relation
    form: RelationForm
    columns: Sequence[Column]
    storage: Sequence[ColumnStorage]
    constraints: Sequence[Constraint]
    definitions: Sequence[TableConstraint]
    indexes: Sequence[Index]
    extras: Sequence[Extra]
    partitions: Sequence[Partition]
    sequences: Sequence[SequenceForm]
    """A sequence itself, or those of a table's columns."""
    sizes: dict[int, RelationSize]
    """Of the relation, its indexes and its partitions, as far as no lock is in the way."""

    def extras_of(self, kind: str) -> list[Extra]:
        return [extra for extra in self.extras if extra.kind == kind]

    @cached_property
    def definition_by_oid(self) -> dict[int, TableConstraint]:
        return {definition.oid: definition for definition in self.definitions}

    @cached_property
    def size(self) -> tuple[int, int] | None:
        """(bytes of rows, bytes of indexes), partitions included; None when not to be had."""
        tables = [self.relation.oid, *(p.oid for p in self.partitions if p.bound is not None)]
        known = [self.sizes[oid] for oid in tables if oid in self.sizes]
        if not known:
            return None
        return sum(size.bytes for size in known), sum(size.index_bytes for size in known)


async def read_relation(session: Session, relation: Relation) -> RelationDetails:
    """Read one relation. Raises ConsoleError; QueryFailed when it is gone."""
    this = {"relation": relation.oid}
    here = {**this, "schemas": [relation.schema]}
    forms = await session.fetch(RELATION_FORM, this)
    if not forms:
        raise QueryFailed(
            f"{relation.schema}.{relation.name} no longer exists.", "Read the schema again with r."
        )
    is_sequence = relation.kind == "S"
    by_sequence = {
        "sequence": relation.oid if is_sequence else None,
        "table": None if is_sequence else relation.oid,
    }
    indexes = await session.fetch(INDEXES, here)
    partitions = await session.fetch(PARTITIONS, this)
    oids = [relation.oid, *(i.oid for i in indexes), *(p.oid for p in partitions)]
    stored = [] if relation.kind in "vf" else await session.fetch(RELATION_SIZES, {"oids": oids})
    return RelationDetails(
        relation=relation,
        form=forms[0],
        columns=await session.fetch(COLUMNS, here),
        storage=await session.fetch(COLUMN_STORAGE, this),
        constraints=await session.fetch(CONSTRAINTS, here),
        definitions=await session.fetch(TABLE_CONSTRAINTS, this),
        indexes=indexes,
        extras=await session.fetch(RELATION_EXTRAS, this),
        partitions=partitions,
        sequences=await session.fetch(SEQUENCES, by_sequence),
        sizes={size.oid: size for size in stored},
    )
