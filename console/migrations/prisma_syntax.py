"""The syntax of schema.prisma: blocks, fields, attributes and their arguments, with line numbers.

Only the syntax: what a block means is prisma_schema's. Fields end at the line's end, except inside
brackets (Prisma schema reference, "PSL").
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from console.errors import ConsoleError

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\v\ufeff]+)|(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<newline>\n)
    |(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)
    |(?P<name>[^\W\d][\w-]*)|(?P<mark>@@|[@()\[\]{},:=?.!])""",
    re.VERBOSE | re.DOTALL,
)
_DEEPEST = 50


class SchemaUnreadable(ConsoleError):
    """A schema.prisma that cannot be understood: FILE:LINE, what was expected, what was found."""

    title = "schema.prisma"


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Text:
    """A string in quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Word:
    """A name, a number, true or false."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Argument, ...]

    def first(self) -> Value | None:
        return next((one.value for one in self.arguments if not one.name), None)

    def named(self, name: str) -> Value | None:
        return next((one.value for one in self.arguments if one.name == name), None)


@dataclass(frozen=True, slots=True)
class Items:
    values: tuple[Value, ...]


Value = Text | Word | Call | Items


@dataclass(frozen=True, slots=True)
class Argument:
    name: str
    """'' when it has none."""
    value: Value


@dataclass(frozen=True, slots=True)
class Line:
    """A field, an enum's value, a setting (name = value) or a block attribute (@@)."""

    number: int
    name: str
    """'' for a block attribute."""
    type: str = ""
    unsupported: str = ""
    """The database's type in Unsupported("...")."""
    is_list: bool = False
    is_optional: bool = False
    attributes: tuple[Call, ...] = ()
    """Without their @; db.VarChar, id, default ..."""
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Block:
    kind: str
    name: str
    number: int
    lines: tuple[Line, ...]

    def attributes(self, name: str) -> list[Call]:
        return [a for line in self.lines if not line.name for a in line.attributes
                if a.name == name]  # fmt: skip


def parse(text: str, where: str) -> list[Block]:
    """The blocks of one file; `where` names it in errors. Raises SchemaUnreadable."""
    return _Parser(_tokens(text, where), where).blocks()


def _tokens(text: str, where: str) -> list[Token]:
    found, line, at = [], 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SchemaUnreadable(
                f"{where}:{line}: {text[at]!r} is not understood.",
                "See the Prisma schema reference.",
            )
        kind = match.lastgroup or ""
        if kind not in ("space", "comment"):
            found.append(Token(kind, match[0], line))
        line += match[0].count("\n")
        at = match.end()
    found.append(Token("end", "the end of the file", line))
    return found


@dataclass(slots=True)
class _Parser:
    tokens: list[Token]
    where: str
    at: int = 0
    depth: int = field(default=0)

    @property
    def ahead(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.ahead
        if token.kind != "end":
            self.at += 1
        return token

    def accept(self, text: str) -> bool:
        if self.ahead.text == text and self.ahead.kind in ("mark", "newline"):
            self.take()
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.wrong("the end of the line" if text == "\n" else f"'{text}'")

    def name(self) -> str:
        if self.ahead.kind != "name":
            raise self.wrong("a name")
        return self.take().text

    def wrong(self, expected: str) -> SchemaUnreadable:
        text = " ".join(self.ahead.text.split())
        found = "the end of the line" if self.ahead.kind == "newline" else text
        return SchemaUnreadable(
            f"{self.where}:{self.ahead.line}: {expected} was expected, found {found[:40]}.",
            "npx prisma validate says more.",
        )

    def skip_newlines(self) -> None:
        while self.accept("\n"):
            pass

    def blocks(self) -> list[Block]:
        found = []
        self.skip_newlines()
        while self.ahead.kind != "end":
            found.append(self.block())
            self.skip_newlines()
        return found

    def block(self) -> Block:
        number = self.ahead.line
        kind, name = self.name(), self.name()
        self.skip_newlines()
        self.expect("{")
        lines = []
        self.skip_newlines()
        while not self.accept("}"):
            lines.append(self.line(is_enum=kind == "enum"))
            if self.ahead.text != "}":
                self.expect("\n")
            self.skip_newlines()
        return Block(kind, name, number, tuple(lines))

    def line(self, *, is_enum: bool) -> Line:
        number = self.ahead.line
        if self.ahead.text == "@@":
            return Line(number, "", attributes=tuple(self.attributes()))
        name = self.name()
        if self.accept("="):
            return Line(number, name, value=self.value())
        if is_enum:
            return Line(number, name, attributes=tuple(self.attributes()))
        return self.field(number, name)

    def field(self, number: int, name: str) -> Line:
        kind, unsupported = self.name(), ""
        if kind == "Unsupported":
            self.expect("(")
            given = self.value()
            if not isinstance(given, Text):
                raise self.wrong('Unsupported("type")')
            unsupported = given.text
            self.expect(")")
        is_list = self.accept("[")
        if is_list:
            self.expect("]")
        is_optional = self.accept("?")
        attributes = tuple(self.attributes())
        return Line(number, name, kind, unsupported, is_list, is_optional, attributes)

    def attributes(self) -> list[Call]:
        found = []
        while self.ahead.text in ("@", "@@") and self.ahead.kind == "mark":
            self.take()
            name = self.dotted()
            found.append(Call(name, self.arguments() if self.ahead.text == "(" else ()))
        return found

    def dotted(self) -> str:
        name = self.name()
        while self.accept("."):
            name += f".{self.name()}"
        return name

    def arguments(self) -> tuple[Argument, ...]:
        self.expect("(")
        found = []
        self.skip_newlines()
        while not self.accept(")"):
            found.append(self.argument())
            self.skip_newlines()
            if not self.accept(","):
                self.expect(")")
                break
            self.skip_newlines()
        return tuple(found)

    def argument(self) -> Argument:
        follower = self.tokens[min(self.at + 1, len(self.tokens) - 1)]
        if self.ahead.kind == "name" and follower.text == ":" and follower.kind == "mark":
            name = self.name()
            self.expect(":")
            self.skip_newlines()
            return Argument(name, self.value())
        return Argument("", self.value())

    def value(self) -> Value:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self.wrong("fewer brackets within brackets")
        try:
            return self._value()
        finally:
            self.depth -= 1

    def _value(self) -> Value:
        if self.ahead.kind == "string":
            return Text(self.string())
        if self.ahead.kind == "number":
            return Word(self.take().text)
        if self.accept("["):
            return Items(tuple(self.items()))
        if self.ahead.kind != "name":
            raise self.wrong("a value")
        name = self.dotted()
        return Call(name, self.arguments()) if self.ahead.text == "(" else Word(name)

    def items(self) -> list[Value]:
        found: list[Value] = []
        self.skip_newlines()
        while not self.accept("]"):
            found.append(self.value())
            self.skip_newlines()
            if not self.accept(","):
                self.expect("]")
                break
            self.skip_newlines()
        return found

    def string(self) -> str:
        token = self.ahead
        try:
            text: str = json.loads(token.text, strict=False)
            text.encode()
        except (ValueError, UnicodeEncodeError) as error:
            raise self.wrong("a string with known escapes") from error
        self.take()
        return text
