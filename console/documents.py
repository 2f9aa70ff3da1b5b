"""YAML files read into frozen dataclasses; a mistake says FILE:LINE, what was expected and found.

The dataclass is the schema: its fields, types and defaults say what a file may hold. Supported:
str, int, float, bool, Path, Literal, X | None, tuple[X, ...], dict[K, X], other dataclasses, and
any class with a `from_text(str)` that raises ValueError with what it expected; K is str or such.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from console.errors import SettingsError

T = TypeVar("T")

_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Path: "a path",
}


def load(path: Path, shape: type[T]) -> T:
    """Read a YAML file into `shape`. Raises SettingsError for an unreadable or mistaken file."""
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read ({error.strerror}).", "Check the path and its permissions."
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text.", "Save the file as UTF-8.") from error
    return parse(content, shape, str(path))


def parse(content: str, shape: type[T], source: str) -> T:
    """Read YAML text into `shape`; `source` names it in errors. Raises SettingsError."""
    try:
        node = yaml.compose(content, Loader=yaml.SafeLoader)
        if node is None:
            node = yaml.MappingNode("tag:yaml.org,2002:map", [])
        return _Reader(source).read(node, shape, "the file")  # type: ignore[no-any-return]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise SettingsError(f"{source}:{line}: {problem}.", "Correct the YAML there.") from error
    except RecursionError as error:
        raise SettingsError(f"{source}:1: nested too deeply.", "Flatten the file.") from error


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source

    def read(self, node: yaml.Node, shape: Any, name: str) -> Any:
        origin = get_origin(shape)
        if hasattr(shape, "from_text"):
            return self._from_text(node, shape, name)
        if dataclasses.is_dataclass(shape):
            return self._dataclass(node, shape, name)
        if origin in (Union, types.UnionType):
            return self._optional(node, shape, name)
        if origin is tuple:
            return self._sequence(node, get_args(shape)[0], name)
        if origin is dict or origin is Mapping:
            return self._mapping(node, get_args(shape), name)
        if origin is Literal:
            return self._literal(node, get_args(shape), name)
        return self._scalar(node, shape, name)

    def _fail(self, node: yaml.Node, name: str, expected: str) -> SettingsError:
        line = node.start_mark.line + 1 if node.start_mark else 1
        return SettingsError(
            f"{self.source}:{line}: {name}: expected {expected}, found {_found(node)}.",
            "Correct that line.",
        )

    def _dataclass(self, node: yaml.Node, shape: Any, name: str) -> Any:
        hints = get_type_hints(shape)
        fields = {field.name: field for field in dataclasses.fields(shape)}
        given = {}
        for key, value in self._pairs(node, name):
            if key.value not in fields:
                near = difflib.get_close_matches(key.value, fields, 1)
                wanted = f"'{near[0]}'" if near else "one of " + ", ".join(sorted(fields))
                raise self._fail(key, f"unknown key in {name}", wanted)
            given[key.value] = self.read(value, hints[key.value], key.value)
        for field in fields.values():
            required = (
                field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            )
            if required and field.name not in given:
                raise self._fail(node, name, f"a key '{field.name}'")
        try:
            return shape(**given)
        except ValueError as error:
            raise self._fail(node, name, str(error)) from error

    def _pairs(self, node: yaml.Node, name: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self._fail(node, name, "a mapping (key: value)")
        seen: set[str] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._fail(key, name, "a plain key")
            if key.value in seen:
                raise self._fail(key, name, "each key once")
            seen.add(key.value)
        return list(node.value)

    def _optional(self, node: yaml.Node, shape: Any, name: str) -> Any:
        if node.tag == "tag:yaml.org,2002:null":
            return None
        inner = [part for part in get_args(shape) if part is not type(None)]
        return self.read(node, inner[0], name)

    def _sequence(self, node: yaml.Node, inner: Any, name: str) -> tuple[Any, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._fail(node, name, "a list")
        return tuple(self.read(item, inner, f"{name}[{n}]") for n, item in enumerate(node.value))

    def _mapping(self, node: yaml.Node, shapes: tuple[Any, ...], name: str) -> dict[Any, Any]:
        of_key, of_value = shapes
        return {
            key.value if of_key is str else self._from_text(key, of_key, name): self.read(
                value, of_value, f"{name}.{key.value}"
            )
            for key, value in self._pairs(node, name)
        }

    def _from_text(self, node: yaml.Node, shape: Any, name: str) -> Any:
        text = self._scalar(node, str, name)
        try:
            return shape.from_text(text)
        except ValueError as error:
            raise self._fail(node, name, str(error)) from error

    def _literal(self, node: yaml.Node, allowed: tuple[Any, ...], name: str) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.value in allowed:
            return node.value
        raise self._fail(node, name, "one of " + ", ".join(map(str, allowed)))

    def _scalar(self, node: yaml.Node, shape: Any, name: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._fail(node, name, _WORDS[shape])
        kind = node.tag.rpartition(":")[2]
        if shape is str and kind != "null":
            return node.value
        if shape is Path and kind == "str":
            try:
                return Path(node.value).expanduser()
            except RuntimeError as error:
                raise self._fail(node, name, "a path; ~NAME must be an account") from error
        if shape is bool and kind == "bool":
            return node.value.lower() in ("true", "yes", "on")
        if shape in (int, float) and kind in (("int",) if shape is int else ("int", "float")):
            try:
                return shape(node.value.replace("_", ""))
            except ValueError:
                pass  # 0x1f, 1:30 and .inf are YAML numbers too; nobody means them here
        raise self._fail(node, name, _WORDS[shape])


def _found(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    value = str(node.value)
    return repr(value if len(value) <= 40 else value[:37] + "...")
