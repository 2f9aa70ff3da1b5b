"""Whether pg_stat_statements can be asked; when not, the one thing that would mend it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from console.names import qualified, quoted
from queries.statements import Installation

_LITERAL = re.compile(r"'(?:[^']|'')*'|\$([A-Za-z_]*)\$.*?\$\1\$", re.DOTALL)


class State(StrEnum):
    USABLE = "usable"
    NOT_PRELOADED = "not preloaded"
    NOT_CREATED = "not created"
    """Preloaded, but the extension is not in this database."""
    SCHEMA_CLOSED = "schema closed"
    NOT_READABLE = "not readable"
    TOO_OLD = "too old"
    """The extension is 1.7 or older: it lacks what PostgreSQL 13 and later count."""
    OUTDATED = "outdated"
    """Usable, though the server has a newer version of the extension."""


@dataclass(frozen=True, slots=True)
class Readiness:
    state: State
    message: str
    """One sentence."""
    fix: str
    """SQL, or a setting and a restart; '' when there is nothing to do."""

    @property
    def is_usable(self) -> bool:
        return self.state in (State.USABLE, State.OUTDATED)


def readiness(found: Installation) -> Readiness:
    """The first obstacle on the way from the server's settings to the view, if there is one."""
    if not found.is_preloaded:
        return Readiness(
            State.NOT_PRELOADED,
            "pg_stat_statements is not preloaded, so the server counts no statements.",
            "-- in postgresql.conf, then restart the server:\n"
            "-- shared_preload_libraries = 'pg_stat_statements'   (added to what is there)",
        )
    if found.schema is None or found.version is None:
        return Readiness(
            State.NOT_CREATED,
            "pg_stat_statements is preloaded, but the extension is not in this database.",
            "CREATE EXTENSION pg_stat_statements;",
        )
    if not found.uses_schema:
        return Readiness(
            State.SCHEMA_CLOSED,
            f"Role {quoted(found.role)} may not use schema {quoted(found.schema)},"
            " where pg_stat_statements is.",
            f"GRANT USAGE ON SCHEMA {quoted(found.schema)} TO {quoted(found.role)};",
        )
    if not found.reads_view:
        view = qualified(found.schema, "pg_stat_statements")
        return Readiness(
            State.NOT_READABLE,
            f"Role {quoted(found.role)} may not read {view}.",
            f"GRANT SELECT ON {view} TO {quoted(found.role)};",
        )
    return _by_version(found.version, found.available_version)


def _by_version(version: str, available: str | None) -> Readiness:
    update = "ALTER EXTENSION pg_stat_statements UPDATE;"
    if _number(version) < (1, 8):
        return Readiness(
            State.TOO_OLD, f"pg_stat_statements {version} is older than the server needs.", update
        )
    if available is not None and _number(version) < _number(available):
        return Readiness(
            State.OUTDATED,
            f"pg_stat_statements is {version} though the server has {available}.",
            update,
        )
    return Readiness(State.USABLE, f"pg_stat_statements {version} can be read.", "")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def without_literals(text: str) -> str:
    """A statement with quoted literals masked: under pressure the view may keep them.

    >>> without_literals("SELECT * FROM users WHERE email = 'a@b.c' AND id = $1")
    "SELECT * FROM users WHERE email = '…' AND id = $1"
    """
    return _LITERAL.sub("'…'", text)
