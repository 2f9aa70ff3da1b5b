"""What the health checks share: the tables that are the user's own, read once."""

from __future__ import annotations

from console.checks.check import Examination
from console.findings import Evidence, Finding, Severity
from queries.catalog import Column
from queries.health import TABLE_HEALTH, TableHealth


async def all_tables(examination: Examination) -> list[TableHealth]:
    session = examination.session
    return await examination.once("table health", lambda: session.fetch(TABLE_HEALTH))


async def own_tables(examination: Examination) -> list[TableHealth]:
    """Tables, partitions and materialized views, without those that an extension owns."""
    return [table for table in await all_tables(examination) if not table.is_of_extension]


async def own_columns(examination: Examination) -> list[tuple[TableHealth, Column]]:
    """Columns of tables as declared: a partition's or child's are its parent's."""
    return await examination.once("own columns", lambda: _own_columns(examination))


async def _own_columns(examination: Examination) -> list[tuple[TableHealth, Column]]:
    tables = {
        table.oid: table
        for table in await own_tables(examination)
        if table.kind in "rp" and not table.is_child
    }
    catalog = (await examination.structure()).catalog
    return [
        (tables[column.relation_oid], column)
        for column in catalog.columns
        if column.relation_oid in tables
    ]


def note(check: str, subject: str, message: str, asked: str, answer: str, fix: str = "") -> Finding:
    """A finding for information."""
    return Finding(check, Severity.INFO, subject, message, Evidence(asked, answer), fix)


def warning(
    check: str, subject: str, message: str, asked: str, answer: str, fix: str = ""
) -> Finding:
    return Finding(check, Severity.WARNING, subject, message, Evidence(asked, answer), fix)
