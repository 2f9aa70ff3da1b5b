"""The console's own statements, known by their shape: pg_stat_statements keeps no application.

It replaces constants by $n, from 18 on drops the comment a text begins with, and shortens lists; so
both texts are brought to one shape before they are compared.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib.resources import files

_WORD = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)"
    r"|%\(\w+\)s|\$\d+|\bE'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'"
    r"|(?<![\w.])-?\d+(?:\.\d+)?\b|\b(?:true|false|null)\b",
    re.IGNORECASE | re.DOTALL,
)
"""Comments, and what a constant or parameter may look like; an apostrophe in a comment is none."""
_CAST = re.compile(r"\?(?:::[\w.]+(?:\[\])?)+")
_FIELD = re.compile(r"\bEXTRACT\(\s*(?:\w+|\?)", re.IGNORECASE)
_LIST = re.compile(r"\?(?:\s*,?\s*\?)*")
_PLACEHOLDER = re.compile(r"(?<!\{)\{\w+\}(?!\})")
_GAP = "\0"
_SPACE = re.compile(r"\s+")
_LEAST_PREFIX = 30
"""Characters that must agree of a question that names its relation itself."""


def shape(text: str) -> str:
    """A statement without what pg_stat_statements changes.

    >>> shape("-- why\\nSELECT a,  1 FROM t WHERE b IN ($1 /*, ... */) AND c = 'x'")
    'SELECT a, ? FROM t WHERE b IN (?) AND c = ?'
    >>> shape("SELECT a,  $2 FROM t\\nWHERE b IN (1, 2, %(x)s) AND c = %(y)s")
    'SELECT a, ? FROM t WHERE b IN (?) AND c = ?'
    """
    masked = _WORD.sub(lambda found: " " if found["comment"] else "?", text)
    plain = _CAST.sub("?", masked)
    listed = _LIST.sub("?", _FIELD.sub("EXTRACT(?", plain))
    return _SPACE.sub(" ", listed).replace(" )", ")").strip()


@cache
def _shapes() -> tuple[frozenset[str], tuple[str, ...], tuple[re.Pattern[str], ...]]:
    """Of every stored question: whole ones, the beginnings of those with placeholders, and where
    one of these stands early all that is around them."""
    whole, beginnings, gaps = set(), set(), []
    for entry in files("queries").joinpath("sql").iterdir():
        if not entry.name.endswith(".sql"):
            continue
        lines = entry.read_text("utf-8").replace("%%", "%").splitlines(keepends=True)
        text = "".join(line for line in lines if not line.startswith("--"))
        placeholder = _PLACEHOLDER.search(text)
        if placeholder is None:
            whole.add(shape(text))
        elif placeholder.start() >= _LEAST_PREFIX:
            beginnings.add(shape(text[: placeholder.start()]))
        else:
            marked = _PLACEHOLDER.sub(_GAP, text).replace("{{", "{").replace("}}", "}")
            parts = map(re.escape, shape(marked).split(_GAP))
            gaps.append(re.compile(r"\S+".join(parts)))
    return frozenset(whole), tuple(sorted(beginnings)), tuple(gaps)


@lru_cache(maxsize=20_000)
def is_own(text: str | None) -> bool:
    """Whether the console sent it."""
    if text is None:
        return False
    whole, beginnings, gaps = _shapes()
    found = shape(text)
    if found in whole or found.startswith(beginnings):
        return True
    return any(gap.fullmatch(found) for gap in gaps)
