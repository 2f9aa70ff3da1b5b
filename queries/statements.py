"""What pg_stat_statements counted, and what stands in the way of asking it."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from queries import Query


@dataclass(frozen=True, slots=True)
class Installation:
    """pg_stat_statements as this session finds it; names and versions are None when absent."""

    is_preloaded: bool
    schema: str | None
    """Where the extension is in this database."""
    version: str | None
    available_version: str | None
    """What CREATE EXTENSION and ALTER EXTENSION UPDATE would give on this server."""
    uses_schema: bool
    reads_view: bool
    reads_all_stats: bool
    """Other roles' statements are shown with their text."""
    role: str


@dataclass(frozen=True, slots=True)
class StatementTotals:
    calls: int
    total_ms: float
    """Execution time, without planning."""
    statements: int


@dataclass(frozen=True, slots=True)
class Statement:
    id: int | None
    text: str | None
    """Normalised; None for kinds whose literals are kept (utility statements) and hidden ones."""
    calls: int
    mean_ms: float
    total_ms: float


INSTALLATION = Query("statements_installation", Installation)
STATEMENT_TOTALS = Query("statement_totals", StatementTotals)
SLOWEST_STATEMENTS = Query("slowest_statements", Statement)


def statements_in(schema: str) -> dict[str, sql.Identifier]:
    """`relations` for the questions to the view."""
    return {"statements": sql.Identifier(schema, "pg_stat_statements")}
