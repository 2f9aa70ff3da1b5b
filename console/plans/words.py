"""A statement's words, as PostgreSQL's own scanner splits them; strings and comments stay out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    NAME = "name"
    """A keyword or an identifier."""
    QUOTED = "quoted"
    """A quoted identifier, without its quotes."""
    STRING = "string"
    PARAMETER = "parameter"
    """$1, $2, ..."""
    SIGN = "sign"
    """Anything else, one character."""


@dataclass(frozen=True, slots=True)
class Word:
    kind: Kind
    text: str
    start: int
    end: int


_SCAN = re.compile(
    r"""
      (?P<space>\s+|--[^\n\r]*)
    | (?P<comment>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*'?)
    | (?P<unicode>[uU]&"(?:[^"]|"")*"?)
    | (?P<string>(?:[bBxXnN]|[uU]&)?'(?:[^']|'')*'?)
    | (?P<quoted>"(?:[^"]|"")*"?)
    | (?P<dollar>\$(?P<tag>[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$)
    | (?P<parameter>\$\d+)
    | (?P<number>\d[\w.]*)
    | (?P<name>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def words(text: str) -> Iterator[Word]:
    """The words in their order. What is left open (a string, a comment) goes to the end."""
    at = 0
    while at < len(text):
        found = _SCAN.match(text, at)
        assert found is not None
        kind, end = found.lastgroup, found.end()
        if found["comment"]:
            at = _comment_end(text, at)
            continue
        if found["dollar"]:
            close = text.find(found["dollar"], end)
            end = len(text) if close < 0 else close + len(found["dollar"])
            yield Word(Kind.STRING, text[at:end], at, end)
        elif kind == "name":
            yield Word(Kind.NAME, found[0], at, end)
        elif found["quoted"] or found["unicode"]:
            inside = found[0].partition('"')[2].removesuffix('"').replace('""', '"')
            yield Word(Kind.QUOTED, inside, at, end)
        elif found["parameter"]:
            yield Word(Kind.PARAMETER, found[0], at, end)
        elif found["string"] or found["escaped"]:
            yield Word(Kind.STRING, found[0], at, end)
        elif not found["space"]:
            yield Word(Kind.SIGN, found[0], at, end)
        at = end


def _comment_end(text: str, start: int) -> int:
    """Comments nest in PostgreSQL."""
    depth = 0
    for found in re.finditer(r"/\*|\*/", text[start:]):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return start + found.end()
    return len(text)


def called_names(text: str) -> frozenset[str]:
    """Lower-case names with an opening parenthesis after them: functions, and some keywords."""
    found = set()
    before: Word | None = None
    for word in words(text):
        if word.text == "(" and word.kind is Kind.SIGN and before is not None:
            found.add(before.text.lower())
        before = word if word.kind in (Kind.NAME, Kind.QUOTED) else None
    return frozenset(found)


def parameters(text: str) -> int:
    """The highest n of the statement's $n; 0 without any."""
    numbers = [int(word.text[1:]) for word in words(text) if word.kind is Kind.PARAMETER]
    return max(numbers, default=0)


def spaced(text: str) -> str:
    """With a space after each $n: sqlglot reads '$1,$2' as a quoted string. To look at only."""
    parts, at = [], 0
    for word in words(text):
        if word.kind is Kind.PARAMETER:
            parts += [text[at : word.end], " "]
            at = word.end
    return "".join([*parts, text[at:]])


_TYPED = ("interval", "date", "time", "timestamp", "timestamptz")


def plannable(text: str) -> str:
    """Normalised forms that are no SQL made into such: `interval $1`, `extract($1 from x)`.

    pg_stat_statements puts $n in the place of literals also where the grammar wants a literal.
    """
    parts, at = [], 0
    before: Word | None = None
    earlier: Word | None = None
    for word in words(text):
        if word.kind is Kind.PARAMETER and before is not None:
            if before.kind is Kind.NAME and before.text.lower() in _TYPED:
                parts += [text[at : before.start], f"{word.text}::{before.text}"]
                at = word.end
            elif before.text == "(" and earlier is not None and earlier.text.lower() == "extract":
                parts += [text[at : word.start], "epoch"]
                at = word.end
        earlier, before = before, word
    return "".join([*parts, text[at:]])
