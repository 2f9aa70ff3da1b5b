"""A compose service in its long form: so that files can be merged and rules see one shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from console.deploy.reading import (
    UNSET_END,
    UNSET_START,
    List,
    Map,
    Node,
    Place,
    Scalar,
    as_items,
    as_map,
    expected,
    scalars,
)


def paired(document: Node) -> Node:
    """A compose file with each environment list as a mapping, before variables are put in.

    Only so is it known of `NAME=${OTHER}` that its value does not stand in the file.
    """
    services = document.get("services") if isinstance(document, Map) else None
    if not isinstance(document, Map) or not isinstance(services, Map):
        return document
    entries = {name: _paired_service(service) for name, service in services.entries.items()}
    whole = {**document.entries, "services": replace(services, entries=entries)}
    return replace(document, entries=whole)


def _paired_service(service: Node) -> Node:
    environment = service.get("environment") if isinstance(service, Map) else None
    if not isinstance(service, Map) or not isinstance(environment, List):
        return service
    pairs = _pairs(environment, "environment")
    return replace(service, entries={**service.entries, "environment": pairs})


def long_form(service: Map, variables: Mapping[str, str]) -> Map:
    """The service with lists of names as mappings and short texts as long. Raises SettingsError."""
    entries = dict(service.entries)
    for key, change in _CHANGES.items():
        if key in entries and not is_reset(entries[key]):
            entries[key] = change(entries[key], key)
    if "environment" in entries and not is_reset(entries["environment"]):
        entries["environment"] = _environment(entries["environment"], variables)
    return Map(service.place, entries, service.keys, service.tag)


def is_reset(node: Node) -> bool:
    """Whether it takes away what an earlier file says."""
    return node.tag == "!reset"


def _environment(node: Node, variables: Mapping[str, str]) -> Map:
    """NAME=VALUE or NAME: VALUE; a name alone takes its value from the shell."""
    found = _pairs(node, "environment")
    entries = dict(found.entries)
    for name, value in entries.items():
        if not isinstance(value, Scalar):
            raise expected(value, f"environment.{name}", "a single value")
        if value.is_null and not is_reset(value):
            given = variables.get(name, f"{UNSET_START}{name}{UNSET_END}")
            entries[name] = Scalar(value.place, given, False, is_literal=False)
    return Map(found.place, entries, found.keys, found.tag)


def _pairs(node: Node, name: str) -> Map:
    if isinstance(node, Map) or (isinstance(node, Scalar) and node.is_null):
        return as_map(node, name)
    entries: dict[str, Node] = {}
    keys: dict[str, Place] = {}
    for item in as_items(node, name):
        if not isinstance(item, Scalar):
            raise expected(item, f"an item of {name}", "NAME=VALUE")
        key, separator, value = item.raw.partition("=")
        entries[key] = item.part(value) if separator else Scalar(item.place, "", is_plain=True)
        keys[key] = item.place
    return Map(node.place, entries, keys, node.tag)


def _names(node: Node, name: str) -> Map:
    """A list of names as a mapping of each to nothing."""
    if not isinstance(node, List):
        return as_map(node, name)
    found = scalars(node, name)
    return Map(
        node.place,
        {item.raw: Scalar(item.place, "") for item in found},
        {item.raw: item.place for item in found},
        node.tag,
    )


def _each(change: Callable[[Scalar], Map]) -> Callable[[Node, str], List]:
    """A list whose items may be short texts."""

    def changed(node: Node, name: str) -> List:
        items: list[Node] = []
        for item in as_items(node, name):
            if isinstance(item, List) or (isinstance(item, Scalar) and item.is_null):
                raise expected(item, f"an item of {name}", "text or a mapping")
            items.append(change(item) if isinstance(item, Scalar) else item)
        return List(node.place, tuple(items), node.tag)

    return changed


def _made(whole: Scalar, **parts: str | bool) -> Map:
    entries: dict[str, Node] = {
        key: whole.part(str(value).lower() if isinstance(value, bool) else value)
        for key, value in parts.items()
        if value != ""
    }
    return Map(whole.place, entries, dict.fromkeys(entries, whole.place))


def _volume(text: Scalar) -> Map:
    """[SOURCE:]TARGET[:MODE]"""
    parts = text.raw.split(":")
    if len(parts) == 1:
        return _made(text, type="volume", target=parts[0])
    source, target, *modes = parts
    kind = "bind" if source.startswith((".", "/", "~")) else "volume"
    if source.startswith(UNSET_START):
        kind = "unknown"
    is_read_only = any("ro" in mode.split(",") for mode in modes)
    return _made(text, type=kind, source=source, target=target, read_only=is_read_only)


def _port(text: Scalar) -> Map:
    """[[IP:]HOST:]CONTAINER[/PROTOCOL]"""
    rest, _, protocol = text.raw.partition("/")
    ip = ""
    if rest.startswith("["):
        ip, _, rest = rest[1:].partition("]")
        rest = rest.removeprefix(":")
    parts = rest.split(":")
    target = parts[-1]
    published = parts[-2] if len(parts) > 1 else ""
    ip = ip or ":".join(parts[:-2])
    return _made(text, target=target, published=published, host_ip=ip, protocol=protocol)


def _source(text: Scalar) -> Map:
    return _made(text, source=text.raw)


def _path(text: Scalar) -> Map:
    return _made(text, path=text.raw)


def _texts(node: Node, name: str) -> List:
    return List(node.place, scalars(node, name), node.tag)


def _env_files(node: Node, name: str) -> List:
    if isinstance(node, Scalar):
        node = List(node.place, () if node.is_null else (node,), node.tag)
    return _each(_path)(node, name)


_CHANGES: dict[str, Callable[[Node, str], Node]] = {
    "volumes": _each(_volume),
    "ports": _each(_port),
    "secrets": _each(_source),
    "configs": _each(_source),
    "networks": _names,
    "depends_on": _names,
    "labels": _pairs,
    "sysctls": _pairs,
    "extra_hosts": lambda node, name: node,
    "tmpfs": _texts,
    "cap_add": _texts,
    "cap_drop": _texts,
    "security_opt": _texts,
    "env_file": _env_files,
}
