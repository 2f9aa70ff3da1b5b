"""Compose's variables: ${NAME}, defaults, alternatives, demands; and the .env file they come from.

The forms are those of the Compose Specification, "Interpolation". A variable without a value is
left marked, so that a rule that needs it answers UNKNOWN; compose itself would put nothing there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from console.deploy.reading import (
    UNSET_END,
    UNSET_START,
    Node,
    Place,
    Scalar,
    fault,
    read_text,
    rewritten,
)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-+?]")
_DOLLAR, _STOP = re.compile(r"\$"), re.compile(r"[$}]")
_DEEPEST = 16
_LONGEST = 1_000_000
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*(?:[=:]\s*(.*))?")


def interpolate(node: Node, variables: Mapping[str, str]) -> Node:
    """The tree with every variable of its values put in. Raises SettingsError."""
    return rewritten(node, lambda scalar: _put_in(scalar, variables))


def _put_in(scalar: Scalar, variables: Mapping[str, str]) -> Scalar:
    if "$" not in scalar.raw:
        return scalar
    reader = _Reader(scalar.raw, scalar.place, variables)
    text = reader.read()
    return Scalar(scalar.place, text, scalar.is_plain, reader.is_literal, scalar.tag)


class _Reader:
    """One text, left to right."""

    def __init__(self, text: str, place: Place, variables: Mapping[str, str]) -> None:
        self.text = text
        self.place = place
        self.variables = variables
        self.is_literal = False
        self._at = 0
        self._length = 0

    def read(self, depth: int = 0, *, is_used: bool = True) -> str:
        """Up to the end, or to the brace that closes a default."""
        if depth > _DEEPEST:
            raise fault(self.place, "variables are nested too deeply")
        parts: list[str] = []
        while self._at < len(self.text):
            if depth and self.text[self._at] == "}":
                break
            parts.append(self._piece(depth, is_used))
            self._length += len(parts[-1])
            if self._length > _LONGEST:
                raise fault(self.place, "becomes too long with its variables")
        return "".join(parts)

    def _piece(self, depth: int, is_used: bool) -> str:
        start = self._at
        if self.text[start] != "$":
            match = (_STOP if depth else _DOLLAR).search(self.text, start)
            self._at = match.start() if match else len(self.text)
            self.is_literal |= is_used
            return self.text[start : self._at]
        following = self.text[start + 1 : start + 2]
        if following == "$":
            self._at += 2
            self.is_literal |= is_used
            return "$"
        if following == "{":
            self._at += 2
            return self._braced(depth, is_used)
        name = _NAME.match(self.text, start + 1)
        if name is None:
            raise fault(self.place, "a $ that begins no variable; write $$ for a plain one")
        self._at = name.end()
        return self._value(name.group())

    def _braced(self, depth: int, is_used: bool) -> str:
        match = _NAME.match(self.text, self._at)
        if match is None:
            raise fault(self.place, "a ${ without a variable's name")
        name = match.group()
        self._at = match.end()
        operator = _OPERATOR.match(self.text, self._at)
        self._at = operator.end() if operator else self._at
        sign = operator.group() if operator else ""
        value = self.variables.get(name)
        is_there = bool(value) if sign.startswith(":") else value is not None
        takes_other = (sign.endswith("-") and not is_there) or (sign.endswith("+") and is_there)
        other = self.read(depth + 1, is_used=is_used and takes_other) if operator else ""
        if self.text[self._at : self._at + 1] != "}":
            raise fault(self.place, "a ${ without its closing }")
        self._at += 1
        if sign.endswith("+") and not is_there:
            return ""
        if takes_other:
            return other
        return self._value(name) if is_there or not sign else f"{UNSET_START}{name}{UNSET_END}"

    def _value(self, name: str) -> str:
        value = self.variables.get(name)
        return f"{UNSET_START}{name}{UNSET_END}" if value is None else value


def read_env_file(path: Path, variables: Mapping[str, str]) -> dict[str, Scalar]:
    """KEY=VALUE lines with quotes, comments and variables. Raises SettingsError with FILE:LINE."""
    found: dict[str, Scalar] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        place = Place(str(path), number)
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise fault(place, "expected NAME=VALUE")
        name, written = match.group(1), match.group(2)
        if written is None:
            value = variables.get(name, f"{UNSET_START}{name}{UNSET_END}")
            found[name] = Scalar(place, value, False, False)
            continue
        known = {key: value.raw for key, value in found.items() if value.is_known}
        found[name] = Scalar(place, _unquoted(written, place, {**known, **variables}), False)
    return found


def _unquoted(written: str, place: Place, variables: Mapping[str, str]) -> str:
    quote = written[:1]
    if quote in ("'", '"') and quote:
        end = written.find(quote, 1)
        if end < 0:
            raise fault(place, "a quote without its end")
        inner = written[1:end]
        return inner if quote == "'" else _Reader(inner, place, variables).read()
    return _Reader(re.split(r"\s#", written, maxsplit=1)[0].strip(), place, variables).read()
