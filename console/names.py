"""Names as SQL writes them: quoted only where they must be."""

from __future__ import annotations

import re
from collections.abc import Iterable

from psycopg import sql

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")

# Reserved words, also those reserved only for functions and types (SQL Key Words, appendix C).
_RESERVED_WORDS = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check
collate collation column concurrently constraint create cross current_catalog current_date
current_role current_schema current_time current_timestamp current_user default deferrable desc
distinct do else end except false fetch for foreign freeze from full grant group having ilike in
initially inner intersect into is isnull join lateral leading left like limit localtime
localtimestamp natural not notnull null offset on only or order outer overlaps placing primary
references returning right select session_user similar some symmetric system_user table
tablesample then to trailing true union unique user using variadic verbose when where window
with
"""
_RESERVED = frozenset(_RESERVED_WORDS.split())


def quoted(name: str) -> str:
    """One identifier.

    >>> quoted("users"), quoted("user"), quoted('we"ird;Tab le'), quoted("Ünïcode")
    ('users', '"user"', '"we""ird;Tab le"', '"Ünïcode"')
    """
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return sql.Identifier(name).as_string(None)


def qualified(schema: str, name: str) -> str:
    """An object by schema and name.

    >>> qualified("public", "order")
    'public."order"'
    """
    return f"{quoted(schema)}.{quoted(name)}"


def listed(names: Iterable[str]) -> str:
    """Columns as they stand between parentheses.

    >>> listed(["a", "B"])
    'a, "B"'
    """
    return ", ".join(quoted(name) for name in names)
