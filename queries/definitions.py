"""Definitions in the server's own words, for what must be compared or made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class ConstraintDefinition:
    oid: int
    definition: str | None
    """As pg_get_constraintdef writes it; None where a lock would have made us wait."""


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table that is partitioned or inherits."""

    oid: int
    partition_key: str | None
    """RANGE (created_at), as PARTITION BY takes it."""
    parents: Sequence[str]
    """The tables it inherits from, schema-qualified and quoted as SQL writes them, in order."""


@dataclass(frozen=True, slots=True)
class DisabledKeyTriggers:
    """A table, on either side of foreign keys, where their triggers do not fire."""

    table_oid: int
    schema: str
    table: str
    keys: Sequence[str]
    key_oids: Sequence[int]


CONSTRAINT_DEFINITIONS = Query("constraint_definitions", ConstraintDefinition)
TABLE_SHAPES = Query("table_shapes", TableShape)
DISABLED_KEY_TRIGGERS = Query("disabled_key_triggers", DisabledKeyTriggers)
