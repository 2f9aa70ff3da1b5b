"""A compose project's services as containers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from console.deploy.interpolation import read_env_file
from console.deploy.model import (
    Confinement,
    Container,
    Limits,
    Mount,
    MountKind,
    Origin,
    Platform,
    Variable,
    words_of,
)
from console.deploy.quantities import truth
from console.deploy.reading import (
    UNSET_START,
    Map,
    Node,
    Place,
    Scalar,
    as_items,
    as_map,
    as_scalar,
    inside,
    scalars,
)

_HOST_MODES = {"pid": "the host's processes", "ipc": "the host's shared memory"}


def containers(project: Map, variables: Mapping[str, str]) -> tuple[Container, ...]:
    """Every service. Raises SettingsError for a value of the wrong kind."""
    services = as_map(project.get("services"), "services")
    found = []
    for name, node in services.entries.items():
        service = as_map(node, f"services.{name}")
        place = services.keys.get(name, service.place)
        found.append(_container(name, place, service, variables))
    return tuple(found)


def _container(name: str, place: Place, service: Map, variables: Mapping[str, str]) -> Container:
    environment, missing = _environment(service, variables)
    return Container(
        platform=Platform.COMPOSE,
        name=name,
        place=place,
        spec=service,
        image=as_scalar(service.get("image"), "image"),
        environment=environment,
        missing_environment=missing,
        entrypoint=next(iter(_words(service.get("entrypoint"), "entrypoint")), None),
        arguments=_words(service.get("command"), "command"),
        mounts=_mounts(service),
        limits=_limits(service),
        confinement=_confinement(service),
        shm=as_scalar(service.get("shm_size"), "shm_size"),
    )


def _words(node: Node | None, name: str) -> tuple[Scalar, ...]:
    if isinstance(node, Scalar):
        return () if node.is_null else words_of(node)
    return scalars(node, name)


def _environment(
    service: Map, variables: Mapping[str, str]
) -> tuple[dict[str, Variable], tuple[Scalar, ...]]:
    """Variables by name, and the environment files that cannot be read."""
    found: dict[str, Variable] = {}
    missing: list[Scalar] = []
    for item in as_items(service.get("env_file"), "env_file"):
        given = as_map(item, "env_file")
        path = as_scalar(given.get("path"), "env_file.path")
        if path is None:
            continue
        file = Path(path.place.file).parent / path.raw
        if path.is_known and _is_file(file):
            for name, value in read_env_file(file, variables).items():
                found[name] = Variable(value.place, Origin.VARIABLE, value)
        else:
            missing.append(path)
    environment = as_map(service.get("environment"), "environment")
    for name, node in environment.entries.items():
        value = as_scalar(node, f"environment.{name}") or Scalar(node.place, "", False)
        origin = Origin.LITERAL if value.is_literal else Origin.VARIABLE
        found[name] = Variable(environment.where(name), origin, value)
    return found, tuple(missing)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _mounts(service: Map) -> tuple[Mount, ...]:
    found = []
    for item in as_items(service.get("volumes"), "volumes"):
        given = as_map(item, "an item of volumes")
        target = as_scalar(given.get("target"), "volumes.target")
        if target is not None:
            found.append(_mount(given, target))
    for text in scalars(service.get("tmpfs"), "tmpfs"):
        path, _, options = text.raw.partition(":")
        found.append(Mount(text.place, MountKind.TMPFS, text.part(path), options=_options(options)))
    return tuple(found)


def _mount(given: Map, target: Scalar) -> Mount:
    source = as_scalar(given.get("source"), "volumes.source")
    kind = as_scalar(given.get("type"), "volumes.type")
    kinds = {"volume": MountKind.VOLUME, "bind": MountKind.BIND, "tmpfs": MountKind.TMPFS}
    of = kinds.get(kind.raw if kind else "volume", MountKind.UNKNOWN)
    if of is MountKind.VOLUME and source is None:
        of = MountKind.ANONYMOUS
    read_only = as_scalar(given.get("read_only"), "volumes.read_only")
    mode = as_scalar(inside(given.get("tmpfs"), "mode"), "volumes.tmpfs.mode")
    return Mount(
        place=target.place,
        kind=of,
        target=target,
        source=source.raw if source else "",
        is_read_only=read_only is not None and read_only.is_known and truth(read_only),
        options={"mode": mode.raw} if mode else {},
        size=as_scalar(inside(given.get("tmpfs"), "size"), "volumes.tmpfs.size"),
    )


def _options(text: str) -> dict[str, str]:
    pairs = (option.partition("=") for option in text.split(",") if option)
    return {name: value for name, _, value in pairs}


def _limits(service: Map) -> Limits:
    resources = inside(service.get("deploy"), "resources")

    def limit(own: str, part: str, of: str = "limits") -> Scalar | None:
        direct = as_scalar(service.get(own), own) if own else None
        return direct or as_scalar(inside(resources, of, part), f"deploy.resources.{of}.{part}")

    return Limits(
        memory=limit("mem_limit", "memory"),
        memory_request=limit("mem_reservation", "memory", "reservations"),
        cpu=limit("cpus", "cpus"),
        pids=limit("pids_limit", "pids"),
    )


def _confinement(service: Map) -> Confinement:
    options = scalars(service.get("security_opt"), "security_opt")
    unconfined = tuple(
        (option, option.raw.replace("=", ":").partition(":")[0])
        for option in options
        if option.raw.replace("=", ":").endswith(":unconfined")
    )
    return Confinement(
        read_only=as_scalar(service.get("read_only"), "read_only"),
        cap_drop=scalars(service.get("cap_drop"), "cap_drop"),
        cap_add=scalars(service.get("cap_add"), "cap_add"),
        no_new_privileges=_no_new_privileges(options),
        user=as_scalar(service.get("user"), "user"),
        opened=tuple(_opened(service)),
        unconfined=unconfined,
    )


def _no_new_privileges(options: tuple[Scalar, ...]) -> Scalar | None:
    for option in options:
        name, _, value = option.raw.replace("=", ":").partition(":")
        if name == "no-new-privileges" or UNSET_START in name:
            return option.part(value or "true") if UNSET_START not in name else option
    return None


def _opened(service: Map) -> list[tuple[Scalar, str]]:
    """What is open to the host: privileged, its namespaces, devices, and docker's socket."""
    found = []
    privileged = as_scalar(service.get("privileged"), "privileged")
    if privileged is not None:
        found.append((privileged, "privileged"))
    for key, what in _HOST_MODES.items():
        value = as_scalar(service.get(key), key)
        if value is not None and (value.raw == "host" or not value.is_known):
            found.append((value, what))
    users = as_scalar(service.get("userns_mode"), "userns_mode")
    if users is not None and (users.raw == "host" or not users.is_known):
        found.append((users, "the host's user namespace"))
    for item in as_items(service.get("devices"), "devices"):
        if isinstance(item, Map):
            item = as_scalar(item.get("source"), "devices.source") or Scalar(item.place, "device")
        if isinstance(item, Scalar):
            found.append((item, "a device of the host"))
    return found
