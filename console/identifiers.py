"""Table names and column lists as profiles and PostgreSQL's definitions write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from console.names import qualified, quoted

_PART = r'"(?:[^"]|"")*"|[^".]+'
_NAME = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<name>{_PART})", re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"]|"")*"|[^\s(),."]+|[(),.]', re.DOTALL)


def unquoted(text: str) -> str:
    """An identifier as it is stored: without its quotes, otherwise unchanged."""
    if text.startswith('"'):
        return text[1:-1].replace('""', '"')
    return text


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    schema: str
    """'' while the profile's own schema is meant."""
    name: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        found = _NAME.fullmatch(text)
        if found is None:
            raise ValueError('a name like users, app.users or app."odd.name"')
        return cls(unquoted(found["schema"] or ""), unquoted(found["name"]))

    def __str__(self) -> str:
        """As SQL writes it."""
        return qualified(self.schema, self.name) if self.schema else quoted(self.name)

    @property
    def prefix(self) -> str:
        """The schema as it stands before a name in SQL."""
        return f"{quoted(self.schema)}."

    def within(self, schema: str) -> TableName:
        return self if self.schema else TableName(schema, self.name)

    def relative_to(self, schema: str) -> str:
        """As a profile of that schema writes it; `from_text` and `within` give it back."""
        name = _plain(self.name)
        return name if self.schema == schema else f"{_plain(self.schema)}.{name}"


def _plain(name: str) -> str:
    if re.search(r'[".]', name) or not name:
        return '"' + name.replace('"', '""') + '"'
    return name


class Tokens:
    """The words of a definition, read one after another; a quoted identifier is one word."""

    def __init__(self, text: str) -> None:
        self.words = _TOKEN.findall(text)
        if re.sub(r"\s", "", "".join(self.words)) != re.sub(r"\s", "", text):
            raise ValueError("balanced double quotes")
        self.at = 0

    def peek(self, offset: int = 0) -> str:
        """The word ahead; '' at the end."""
        place = self.at + offset
        return self.words[place] if place < len(self.words) else ""

    def accept(self, *words: str) -> bool:
        """Step over these words when they come next, in any case."""
        ahead = tuple(self.peek(n).upper() for n in range(len(words)))
        if ahead != words:
            return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        if not self.accept(*words):
            raise ValueError(f"{' '.join(words)} before {self.peek()!r}")

    def identifier(self) -> str:
        word = self.peek()
        if word in ("", "(", ")", ",", "."):
            raise ValueError(f"a name before {word!r}")
        self.at += 1
        return unquoted(word)

    def table(self) -> TableName:
        first = self.identifier()
        if self.accept("."):
            return TableName(first, self.identifier())
        return TableName("", first)
