"""A statement laid out for the eye; what is run or copied is always the server's own text."""

from __future__ import annotations

import logging
import re

from console.statements import without_literals

LONGEST = 8_000
"""Characters beyond which a statement is shown as it is: laying it out would take seconds."""

_PARAMETER = re.compile(r"(\$\d+)(?=[^\s\d])")
_KEEPS_NO_LITERALS = re.compile(
    r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*"
    r"(select|insert|update|delete|merge|with|values)\b",
    re.IGNORECASE | re.DOTALL,
)


def laid_out(text: str) -> str:
    """The statement over several lines, or as it is where it cannot be understood."""
    if len(text) > LONGEST:
        return text
    # Imported here: sqlglot takes longer to load than the rest of the console.
    import sqlglot
    from sqlglot.errors import SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    try:
        # sqlglot does not split "$1,$2" as Prisma writes it.
        parsed = sqlglot.parse_one(_PARAMETER.sub(r"\1 ", text), read="postgres")
        return parsed.sql(dialect="postgres", pretty=True, comments=False)
    except (SqlglotError, RecursionError, ValueError):
        return text


def safe(text: str) -> str:
    """The text with literals masked where pg_stat_statements keeps them (CREATE ROLE, SET ...)."""
    return text if _KEEPS_NO_LITERALS.match(text) else without_literals(text)


def one_line(text: str) -> str:
    """For a table: without line breaks and leading comments.

    >>> one_line("-- who\\n/* x */ SELECT 1\\n  FROM t")
    'SELECT 1 FROM t'
    """
    without = re.sub(r"^(?:\s*(?:--[^\n]*\n|/\*.*?\*/))+", "", text, flags=re.DOTALL)
    return " ".join((without or text).split())
