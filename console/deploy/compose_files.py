"""Compose files as docker compose reads them: variables, extends, include, and files laid over.

Rules of merging are those of the Compose Specification, "Merge" and "Extend".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from console.deploy.interpolation import interpolate, read_env_file
from console.deploy.reading import (
    List,
    Map,
    Node,
    Place,
    Scalar,
    as_map,
    as_scalar,
    fault,
    read_documents,
    read_text,
    scalars,
)
from console.deploy.short_forms import is_reset, long_form, paired
from console.errors import SettingsError

_DEEPEST = 16
_MOST_FILES = 200
_REPLACED = ("command", "entrypoint", "test")
_BY_KEY = {
    "volumes": ("target",),
    "ports": ("host_ip", "target", "published", "protocol"),
    "secrets": ("target", "source"),
    "configs": ("target", "source"),
}


class ComposeReader:
    """Reads and merges the files of one project. `variables` are the shell's."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self._cache: dict[Path, Map] = {}
        self._reading: list[Path] = []

    def add_env_file(self, path: Path) -> None:
        """Variables of a .env file; the shell's own win. Raises SettingsError."""
        if path.is_file():
            for name, value in read_env_file(path, self.variables).items():
                if value.is_known:
                    self.variables.setdefault(name, value.raw)

    def project(self, documents: list[tuple[Path, Node]]) -> Map:
        """The documents laid one over the other, with what they include and extend."""
        merged: Map | None = None
        for path, document in documents:
            read = self._document(path, document)
            merged = read if merged is None else _over(merged, read, "")
        return _settled(merged) if merged is not None else Map(Place("", 0))

    def _file(self, path: Path, named_at: Place) -> Map:
        if path in self._reading or len(self._reading) >= _DEEPEST:
            raise fault(named_at, "files that include or extend each other in a circle")
        if path not in self._cache:
            if len(self._cache) >= _MOST_FILES:
                raise fault(named_at, "more than 200 files")
            try:
                content = read_text(path)
            except SettingsError as error:
                raise fault(named_at, "the file it names cannot be read", error.message) from error
            documents = [(path, node) for node in read_documents(content, str(path))]
            self._reading.append(path)
            self._cache[path] = self.project(documents)
            self._reading.pop()
        return self._cache[path]

    def _document(self, path: Path, document: Node) -> Map:
        """One document, with variables put in and services in long form."""
        top = as_map(interpolate(paired(document), self.variables), "the file")
        services = as_map(top.get("services"), "services")
        entries: dict[str, Node] = {
            name: service
            if is_reset(service)
            else long_form(as_map(service, f"services.{name}"), self.variables)
            for name, service in services.entries.items()
        }
        place = top.where("services")
        bare = Map(place, entries, services.keys, services.tag)
        extended = {
            name: service if is_reset(service) else self._extended(path, bare, name, ())
            for name, service in entries.items()
        }
        whole = dict(top.entries)
        whole["services"] = Map(place, extended, services.keys, services.tag)
        merged = Map(top.place, whole, {"services": place, **top.keys})
        for included in self._included(path, top):
            merged = _over(included, merged, "")
        return merged

    def _included(self, path: Path, top: Map) -> list[Map]:
        node = top.get("include")
        items = node.items if isinstance(node, List) else (node,) if node is not None else ()
        found = []
        for item in items:
            names = item.get("path") if isinstance(item, Map) else item
            found += [
                self._file(_beside(path, name), name.place) for name in scalars(names, "include")
            ]
        return found

    def _extended(self, path: Path, services: Map, name: str, seen: tuple[str, ...]) -> Map:
        """The service laid over the one it extends."""
        service = as_map(services.get(name), f"services.{name}")
        extends = service.get("extends")
        if extends is None or (isinstance(extends, Scalar) and extends.is_null):
            return service
        place = service.where("extends")
        if name in seen or len(seen) >= _DEEPEST:
            raise fault(place, "services that extend each other in a circle")
        base_name, file = _base(extends, place)
        if file is None:
            if base_name not in services.entries:
                raise fault(place, "extends a service that is not there")
            base = self._extended(path, services, base_name, (*seen, name))
        else:
            other = as_map(self._file(_beside(path, file), file.place).get("services"), "services")
            if base_name not in other.entries:
                raise fault(place, "extends a service that is not there")
            base = as_map(other.get(base_name), "services")
        merged = _over(base, service, "")
        entries = {key: value for key, value in merged.entries.items() if key != "extends"}
        return Map(service.place, entries, merged.keys)


def _base(extends: Node, place: Place) -> tuple[str, Scalar | None]:
    if isinstance(extends, Scalar):
        return extends.raw, None
    given = as_map(extends, "extends")
    service = as_scalar(given.get("service"), "extends.service")
    if service is None:
        raise fault(place, "extends: expected a key 'service'")
    return service.raw, as_scalar(given.get("file"), "extends.file")


def _beside(path: Path, name: Scalar) -> Path:
    if not name.is_known:
        raise fault(name.place, f"{name.shown}: the variable has no value here")
    return path.parent / name.raw


def _settled(node: Map) -> Map:
    """Without what is taken away from nothing."""
    entries = {
        name: _settled(value) if isinstance(value, Map) else value
        for name, value in node.entries.items()
        if not is_reset(value)
    }
    return replace(node, entries=entries)


def _over(base: Node, other: Node, key: str) -> Map:
    """Two mappings, `other` winning."""
    below, above = as_map(base, key or "the file"), as_map(other, key or "the file")
    entries, keys = dict(below.entries), dict(below.keys)
    for name, value in above.entries.items():
        keys[name] = above.keys.get(name, value.place)
        if is_reset(value):
            entries.pop(name, None)
        elif name in entries and value.tag != "!override":
            entries[name] = _merged(entries[name], value, name)
        else:
            entries[name] = value
    place = below.place if below.place.line else above.place
    return Map(place, entries, keys)


def _merged(below: Node, above: Node, name: str) -> Node:
    if name in _REPLACED or isinstance(above, Scalar):
        return above
    if name == "logging" and _driver(below) != _driver(above):
        return above
    if isinstance(below, Map) and isinstance(above, Map):
        return _over(below, above, name)
    if isinstance(below, List) and isinstance(above, List):
        return _joined(below, above, name)
    return above


def _driver(node: Node) -> str | None:
    """A logging driver; None when not said, which is as good as the other's."""
    driver = node.get("driver") if isinstance(node, Map) else None
    return driver.raw if isinstance(driver, Scalar) else None


def _joined(below: List, above: List, name: str) -> List:
    """Both lists; an item that is the same thing is laid over the earlier one."""
    found: dict[object, Node] = {}
    for number, item in enumerate((*below.items, *above.items)):
        identity: object = number
        if isinstance(item, Scalar):
            identity = item.raw
        elif isinstance(item, Map) and name in _BY_KEY:
            identity = _identity(item, _BY_KEY[name])
        found[identity] = item
    return List(above.place, tuple(found.values()))


def _identity(item: Map, keys: tuple[str, ...]) -> tuple[str, ...]:
    values = [item.get(key) for key in keys]
    texts = tuple(value.raw if isinstance(value, Scalar) else "" for value in values)
    if keys[0] == "target" and len(keys) > 1:
        return (texts[0] or texts[1],)
    return texts
