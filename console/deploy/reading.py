"""YAML as a tree that remembers FILE:LINE of everything; aliases and merge keys are resolved.

The tree is built from parser events without recursion. What would take unbounded time is refused:
files over 2 MB, nesting over 64, aliases that expand to more than 200,000 values, and anchors that
hold themselves. Numbers and booleans stay text: compose and Kubernetes read them differently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from console.errors import SettingsError

LARGEST_FILE = 2_000_000
DEEPEST = 64
MOST_VALUES = 200_000

UNSET_START, UNSET_END = "\ue000", "\ue001"
"""Stand around the name of a variable that has no value here."""

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, order=True)
class Place:
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Unsettled(Exception):
    """A value that a rule needs cannot be known from the files: the rule's answer is UNKNOWN."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Scalar:
    place: Place
    raw: str = field(repr=False)
    """The text; a variable without a value stands in it between UNSET_START and UNSET_END."""
    is_plain: bool = True
    is_literal: bool = True
    """Whether any of it stands in the file itself, rather than in a variable."""
    tag: str = ""

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.raw in _NULLS

    @property
    def is_known(self) -> bool:
        return UNSET_START not in self.raw

    @property
    def text(self) -> str:
        """Raises Unsettled when it holds a variable without a value."""
        if not self.is_known:
            name = self.raw.partition(UNSET_START)[2].partition(UNSET_END)[0]
            raise Unsettled(self.place, f"${{{name}}} has no value here")
        return self.raw

    @property
    def shown(self) -> str:
        """For a person: at most 80 characters, unset variables as ${NAME}."""
        named = self.raw.replace(UNSET_START, "${").replace(UNSET_END, "}")
        return named if len(named) <= 80 else named[:77] + "..."

    def part(self, raw: str) -> Scalar:
        """A piece of it, at its place."""
        return Scalar(self.place, raw, False, self.is_literal)


@dataclass(frozen=True, slots=True)
class List:
    place: Place
    items: tuple[Node, ...] = ()
    tag: str = ""
    weight: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Map:
    place: Place
    entries: Mapping[str, Node] = field(default_factory=dict)
    keys: Mapping[str, Place] = field(default_factory=dict)
    """Where each key stands."""
    tag: str = ""
    weight: int = 1
    depth: int = 1

    def get(self, key: str) -> Node | None:
        return self.entries.get(key)

    def where(self, *keys: str) -> Place:
        """The place of the deepest of `keys` that is there, one inside the other."""
        place, node = self.place, self
        for key in keys:
            if key not in node.entries:
                break
            place = node.keys.get(key, node.entries[key].place)
            inner = node.entries[key]
            if not isinstance(inner, Map):
                break
            node = inner
        return place


Node: TypeAlias = Scalar | List | Map


def read_text(path: Path) -> str:
    """Raises SettingsError for a file that cannot be read, is too large or is no UTF-8 text."""
    try:
        if not path.is_file():
            raise SettingsError(f"{path}: there is no such file.", "Check the path.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise SettingsError(
            f"{_printable(str(path))}: cannot be read ({reason}).",
            "Check the path and its permissions.",
        ) from error
    if len(content) > LARGEST_FILE:
        raise SettingsError(
            f"{path}:1: is larger than 2 MB, which no deployment file is.", "Check the path."
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}:{line}: is not UTF-8 text.", "Save it as UTF-8.") from error


def read_documents(content: str, source: str) -> tuple[Node, ...]:
    """The documents of YAML text; `source` names it in places. Raises SettingsError."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        content.encode("utf-8")
        return _Composer(source).compose(yaml.parse(content, Loader=loader))
    except UnicodeEncodeError as error:
        line = content[: error.start].count("\n") + 1
        raise SettingsError(f"{source}:{line}: is not UTF-8 text.", "Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else _line_of(content, error)
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise SettingsError(f"{source}:{line}: {problem}.", "Correct the YAML there.") from error


def _line_of(content: str, error: yaml.YAMLError) -> int:
    position = getattr(error, "position", None)
    return content[:position].count("\n") + 1 if isinstance(position, int) else 1


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    place: Place
    is_map: bool
    anchor: str | None
    tag: str
    children: list[Node] = field(default_factory=list)


class _Composer:
    def __init__(self, source: str) -> None:
        self.source = source
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.documents: list[Node] = []

    def compose(self, events: Iterator[Any]) -> tuple[Node, ...]:
        for event in events:
            place = Place(self.source, event.start_mark.line + 1 if event.start_mark else 1)
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors.clear()
            elif isinstance(event, yaml.AliasEvent):
                self._add(self._aliased(event.anchor or "", place))
            elif isinstance(event, yaml.ScalarEvent):
                node = Scalar(place, event.value, not event.style, tag=event.tag or "")
                self._finish(node, event.anchor)
            elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
                if len(self.stack) >= DEEPEST:
                    raise fault(place, "is nested too deeply")
                is_map = isinstance(event, yaml.MappingStartEvent)
                self.stack.append(_Open(place, is_map, event.anchor, event.tag or ""))
            elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                opened = self.stack.pop()
                self._finish(_closed(opened), opened.anchor)
        return tuple(self.documents)

    def _aliased(self, anchor: str, place: Place) -> Node:
        if any(opened.anchor == anchor for opened in self.stack):
            raise fault(place, "an alias stands inside its own anchor")
        if anchor not in self.anchors:
            raise fault(place, "an alias has no anchor before it")
        return self.anchors[anchor]

    def _finish(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self.anchors[anchor] = node
        self._add(node)

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.documents.append(node)
        else:
            self.stack[-1].children.append(node)


def _closed(opened: _Open) -> Node:
    children = opened.children
    weight = 1 + sum(1 if isinstance(c, Scalar) else c.weight for c in children)
    depth = 1 + max((0 if isinstance(c, Scalar) else c.depth for c in children), default=0)
    if weight > MOST_VALUES:
        raise fault(opened.place, f"holds more than {MOST_VALUES:,} values")
    if depth > DEEPEST:
        raise fault(opened.place, "is nested too deeply")
    if not opened.is_map:
        return List(opened.place, tuple(children), opened.tag, weight, depth)
    entries, keys = _entries(children)
    return Map(opened.place, entries, keys, opened.tag, weight, depth)


def _entries(children: list[Node]) -> tuple[dict[str, Node], dict[str, Place]]:
    """Keys to values; a merge key (<<) gives what is not written itself, the first one wins."""
    entries: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    merged: list[Map] = []
    for key, value in zip(children[::2], children[1::2], strict=True):
        if not isinstance(key, Scalar):
            raise fault(key.place, "a key is a mapping or a list")
        if key.raw == "<<" and key.is_plain:
            merged += _merged(value)
        elif key.raw in entries:
            raise fault(key.place, f"the key {key.shown!r} is there twice")
        else:
            entries[key.raw], keys[key.raw] = value, key.place
    for source in merged:
        for name, value in source.entries.items():
            if name not in entries:
                entries[name], keys[name] = value, source.keys[name]
    return entries, keys


def _merged(value: Node) -> list[Map]:
    sources = value.items if isinstance(value, List) else (value,)
    for source in sources:
        if not isinstance(source, Map):
            raise fault(source.place, "a merge key (<<) takes a mapping")
    return [source for source in sources if isinstance(source, Map)]


def fault(place: Place, what: str, hint: str = "Correct that line.") -> SettingsError:
    """FILE:LINE and one sentence; never a value, which may be a password."""
    return SettingsError(f"{_printable(str(place))}: {_printable(what)}.", hint)


def expected(node: Node, name: str, wanted: str) -> SettingsError:
    found = {Map: "a mapping", List: "a list", Scalar: "a single value"}[type(node)]
    if isinstance(node, Scalar) and node.is_null:
        found = "nothing"
    return fault(node.place, f"{name}: expected {wanted}, found {found}")


def as_map(node: Node | None, name: str) -> Map:
    """An absent or empty value is an empty mapping. Raises SettingsError for another kind."""
    if node is None:
        return Map(Place("", 0))
    if isinstance(node, Scalar) and node.is_null:
        return Map(node.place)
    if not isinstance(node, Map):
        raise expected(node, name, "a mapping")
    return node


def as_items(node: Node | None, name: str) -> tuple[Node, ...]:
    """An absent or empty value is no items. Raises SettingsError for another kind."""
    if node is None or (isinstance(node, Scalar) and node.is_null):
        return ()
    if not isinstance(node, List):
        raise expected(node, name, "a list")
    return node.items


def as_scalar(node: Node | None, name: str) -> Scalar | None:
    """None for an absent or empty value. Raises SettingsError for a list or mapping."""
    if node is None:
        return None
    if not isinstance(node, Scalar):
        raise expected(node, name, "a single value")
    return None if node.is_null else node


def scalars(node: Node | None, name: str) -> tuple[Scalar, ...]:
    """A list of single values, or one alone. Raises SettingsError."""
    if isinstance(node, Scalar):
        return () if node.is_null else (node,)
    found = []
    for item in as_items(node, name):
        scalar = as_scalar(item, f"an item of {name}")
        if scalar is not None:
            found.append(scalar)
    return tuple(found)


def inside(node: Node | None, *keys: str) -> Node | None:
    """The value behind keys one inside the other; None where one is absent. Raises SettingsError"""
    for number, key in enumerate(keys):
        if node is None:
            return None
        node = as_map(node, keys[number - 1] if number else "the file").get(key)
    return node


def rewritten(node: Node, change: Callable[[Scalar], Scalar]) -> Node:
    """The same tree with every single value changed."""
    if isinstance(node, Scalar):
        return change(node)
    if isinstance(node, List):
        items = tuple(rewritten(item, change) for item in node.items)
        return List(node.place, items, node.tag, node.weight, node.depth)
    entries = {key: rewritten(value, change) for key, value in node.entries.items()}
    return Map(node.place, entries, node.keys, node.tag, node.weight, node.depth)


def _printable(content: str) -> str:
    return "".join(c if c.isprintable() else " " for c in content)
