"""What the server knows of the statement that a plan is wanted for, and of the tables in it."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class PreparedStatement:
    parameter_types: list[str]
    """As regtype writes them, in the order of $1, $2, ..."""


@dataclass(frozen=True, slots=True)
class CalledFunction:
    """A function of a name that a statement calls; overloads are rows of their own."""

    schema: str
    name: str
    is_volatile: bool
    language: str


@dataclass(frozen=True, slots=True)
class WriteEffect:
    """Something of a table written to that a rollback does not undo, or that acts outside."""

    kind: str
    """'trigger', 'foreign key', 'sequence' or 'foreign table'."""
    name: str
    detail: str
    """A trigger's function and language; a key's table and action; a sequence's column."""


@dataclass(frozen=True, slots=True)
class TableIndex:
    schema: str
    table: str
    name: str
    columns: list[str]
    """Plain columns in order; an expression is ''."""


PREPARED_STATEMENT = Query("prepared_statement", PreparedStatement)
CALLED_FUNCTIONS = Query("called_functions", CalledFunction)
WRITE_EFFECTS = Query("write_effects", WriteEffect)
TABLE_INDEXES = Query("table_indexes", TableIndex)
