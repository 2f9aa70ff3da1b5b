"""Frozen dataclasses as JSON files: written whole and durably, types checked when read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import types
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """A dataclass as what `json.dumps` takes; times become ISO 8601 with their offset."""
    if dataclasses.is_dataclass(value):
        names = (field.name for field in dataclasses.fields(value))
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): encode(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encode(inner) for inner in value]
    return value


def decode(content: Any, shape: type[T], where: str = "") -> T:
    """The dataclass that `encode` was given. Raises ValueError naming the place that is wrong."""
    read: T = _read(content, shape, where)
    return read


def _read(content: Any, shape: Any, where: str) -> Any:
    if dataclasses.is_dataclass(shape):
        return _read_dataclass(content, shape, where)
    origin = get_origin(shape)
    if origin in (Union, types.UnionType):
        if content is None:
            return None
        inner = next(part for part in get_args(shape) if part is not type(None))
        return _read(content, inner, where)
    if origin is Literal:
        _expect(content in get_args(shape), f"one of {list(get_args(shape))}", where)
        return content
    if origin in (tuple, Sequence):
        _expect(isinstance(content, list), "a list", where)
        return tuple(_read(part, get_args(shape)[0], where) for part in content)
    if origin is dict:
        _expect(isinstance(content, dict), "an object", where)
        return {key: _read(part, get_args(shape)[1], where) for key, part in content.items()}
    return _read_scalar(content, shape, where)


def _read_dataclass(content: Any, shape: Any, where: str) -> Any:
    _expect(isinstance(content, dict), "an object", where)
    hints = get_type_hints(shape)
    given = {}
    for field in dataclasses.fields(shape):
        place = f"{where}.{field.name}".lstrip(".")
        if field.name in content:
            given[field.name] = _read(content[field.name], hints[field.name], place)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{place} is missing")
    # A key of a later version is passed over: what is known of it can still be read.
    return shape(**given)


def _read_scalar(content: Any, shape: Any, where: str) -> Any:
    if isinstance(shape, type) and issubclass(shape, StrEnum):
        _expect(content in [str(member) for member in shape], f"one of {list(shape)}", where)
        return shape(content)
    if shape is datetime:
        try:
            at = datetime.fromisoformat(content)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where} is not a time") from error
        _expect(at.tzinfo is not None, "a time with its zone", where)
        return at
    if shape is float and isinstance(content, int) and not isinstance(content, bool):
        return float(content)
    _expect(
        isinstance(content, shape) and not (shape is int and isinstance(content, bool)),
        shape.__name__,
        where,
    )
    return content


def _expect(holds: bool, wanted: str, where: str) -> None:
    if not holds:
        raise ValueError(f"{where or 'the file'} is not {wanted}")


def canonical(content: Any) -> bytes:
    """One and the same text for the same content, for hashing."""
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def signed(value: Any) -> dict[str, Any]:
    """A dataclass as an object that carries a digest of itself, against accidents."""
    content: dict[str, Any] = encode(value)
    return {**content, "digest": hashlib.sha256(canonical(content)).hexdigest()}


def unsigned(content: Any, what: str) -> dict[str, Any]:
    """What `signed` was given. Raises ValueError, naming `what`, when it was changed since."""
    if not isinstance(content, dict):
        raise ValueError(f"the {what} is not an object")
    rest = {key: value for key, value in content.items() if key != "digest"}
    if content.get("digest") != hashlib.sha256(canonical(rest)).hexdigest():
        raise ValueError(f"the {what} was changed after it was written")
    return rest


def write(path: Path, content: Any) -> None:
    """Write JSON (0600) so that a crash leaves the old file or the new one. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    text = written(content)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def written(content: Any) -> str:
    """JSON as it stands in every file of the console's."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def sync_directory(path: Path) -> None:
    """Make names in a directory durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Any:
    """JSON content. Raises OSError, or ValueError when it is no JSON."""
    return parsed(path.read_bytes())


def parsed(content: bytes) -> Any:
    """JSON content. Raises ValueError when it is no JSON."""
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
