"""A container as the rules see it, whether compose, Kubernetes or systemd runs it."""

from __future__ import annotations

import posixpath
import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from console.deploy.images import Image, is_database, parse_image
from console.deploy.reading import Map, Place, Scalar, Unsettled, fault
from console.findings import Severity


class Platform(StrEnum):
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"


class Origin(StrEnum):
    """Where a variable's value comes from."""

    LITERAL = "literal"
    """It stands in the file."""
    VARIABLE = "variable"
    """It comes from .env, an environment file or the shell."""
    SECRET = "secret"
    """A secret, put into the environment."""
    ELSEWHERE = "elsewhere"
    """A ConfigMap or a field: not in these files."""


@dataclass(frozen=True, slots=True)
class Variable:
    place: Place
    origin: Origin
    value: Scalar | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """Raises Unsettled when it is not in these files."""
        if self.value is None:
            raise Unsettled(self.place, "an environment variable's value is not in these files")
        return self.value.text


class MountKind(StrEnum):
    VOLUME = "volume"
    BIND = "bind"
    TMPFS = "tmpfs"
    ANONYMOUS = "anonymous"
    CLAIM = "claim"
    OTHER = "other"
    """A secret, a ConfigMap and such."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Mount:
    place: Place
    kind: MountKind
    target: Scalar
    source: str = ""
    """The volume's or claim's name, or the host's path; '' where there is none."""
    is_read_only: bool = False
    sub_path: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    """A tmpfs's size, mode, uid ..."""
    size: Scalar | None = None

    def holds(self, path: str) -> bool:
        """Whether `path` is the mount's target or below it. Raises Unsettled."""
        target = posixpath.normpath(self.target.text)
        return path == target or path.startswith(target.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class Limits:
    memory: Scalar | None = None
    memory_request: Scalar | None = None
    cpu: Scalar | None = None
    cpu_request: Scalar | None = None
    pids: Scalar | None = None


@dataclass(frozen=True, slots=True)
class Confinement:
    """What keeps the container from its host."""

    read_only: Scalar | None = None
    cap_drop: tuple[Scalar, ...] = ()
    cap_add: tuple[Scalar, ...] = ()
    no_new_privileges: Scalar | None = None
    """A true value where it is set as it should be."""
    user: Scalar | None = None
    opened: tuple[tuple[Scalar, str], ...] = ()
    """Openings to the host: the value and what it is, e.g. (true, 'privileged')."""
    unconfined: tuple[tuple[Scalar, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Container:
    platform: Platform
    name: str
    """The service, or WORKLOAD/CONTAINER."""
    place: Place
    spec: Map
    """As written: the service, or the container of a pod."""
    image: Scalar | None = None
    environment: Mapping[str, Variable] = field(default_factory=dict)
    missing_environment: tuple[Scalar, ...] = ()
    """Files or maps that give variables and cannot be read here."""
    entrypoint: Scalar | None = None
    arguments: tuple[Scalar, ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: Limits = field(default_factory=Limits)
    confinement: Confinement = field(default_factory=Confinement)
    shm: Scalar | None = None
    pod: Map | None = None
    """Kubernetes: the pod's spec."""
    workload: Map | None = None
    """Kubernetes: the manifest it stands in."""

    @property
    def is_database(self) -> bool:
        """Whether it runs a server, rather than a client of the same image."""
        return is_database(self.image) and not self.is_client

    @property
    def is_client(self) -> bool:
        """Whether its command is a client's or a backup's."""
        words = [word.raw for word in self.arguments]
        words += [self.entrypoint.raw] if self.entrypoint else []
        return any(mark in word for word in words for mark in _CLIENTS)

    @property
    def parsed_image(self) -> Image:
        """Raises Unsettled when there is none."""
        if self.image is None:
            raise Unsettled(self.place, f"{self.name} names no image")
        return parse_image(self.image)

    def variable(self, name: str) -> Variable | None:
        """None when surely absent. Raises Unsettled when a file not seen may set it."""
        found = self.environment.get(name)
        if found is None and self.missing_environment:
            raise Unsettled(
                self.missing_environment[0].place, "it gives variables that are not in these files"
            )
        return found

    @property
    def data_directory(self) -> str:
        """PGDATA. Raises Unsettled."""
        own = self.variable("PGDATA")
        return posixpath.normpath(own.text if own else self.parsed_image.data_directory)

    def mount_over(self, path: str) -> Mount | None:
        """The innermost mount that holds `path`. Raises Unsettled."""
        over = [mount for mount in self.mounts if mount.holds(path)]
        return max(over, key=lambda mount: len(mount.target.text), default=None)

    def flags(self) -> dict[str, Scalar]:
        """Settings of the server's command line. Raises Unsettled for a command not read."""
        if self.entrypoint is not None and self.entrypoint.text.rpartition("/")[2] not in _STARTERS:
            raise Unsettled(self.entrypoint.place, "the server is started by another program")
        return server_flags(self.arguments)

    def setting(self, name: str) -> Scalar | None:
        """A setting's value; None where it surely has its default. Raises Unsettled."""
        flags = self.flags()
        if name not in flags and "config_file" in flags:
            raise Unsettled(flags["config_file"].place, "the settings are in a file not seen here")
        return flags.get(name)

    def mended(self, compose: str = "", container: str = "", pod: str = "") -> str:
        """The YAML to write instead, in its surroundings."""
        if self.platform is Platform.COMPOSE:
            return f"services:\n  {self.name}:\n{textwrap.indent(compose, '    ')}"
        if pod:
            return within_pod(self, pod)
        name = self.name.rpartition("/")[2]
        indented = textwrap.indent(container, "    ")
        return within_pod(self, f"containers:\n  - name: {name}\n{indented}")


_CLIENTS = ("pg_dump", "pg_restore", "pg_basebackup", "pgbackrest", "backup", "psql", "pgbench")
_STARTERS = frozenset({"docker-entrypoint.sh", "postgres"})
_SHORT_FLAGS = {"-N": "max_connections", "-B": "shared_buffers", "-S": "work_mem"}


def server_flags(arguments: tuple[Scalar, ...]) -> dict[str, Scalar]:
    """`postgres -c name=value --name=value -N 100 -F` by name. Raises Unsettled for a script."""
    flags: dict[str, Scalar] = {}
    words = list(arguments)
    if words and not words[0].text.startswith("-"):
        program = words.pop(0)
        if program.text.rpartition("/")[2] != "postgres":
            raise Unsettled(program.place, "the server is started by a script")
    while words:
        word = words.pop(0)
        text = word.raw
        if text in ("-c", *_SHORT_FLAGS) and words:
            value = words.pop(0)
            name, pair = _SHORT_FLAGS.get(text), value
            text = pair.raw if name is None else f"{name}={pair.raw}"
        elif text == "-F":
            text = "fsync=off"
        elif text.startswith(("--", "-c")):
            text = text[2:]
        name, separator, written = text.partition("=")
        if separator:
            flags[name.strip().lower().replace("-", "_")] = word.part(written.strip())
    return flags


def words_of(command: Scalar) -> tuple[Scalar, ...]:
    """A command in one text, split as a shell would. Raises SettingsError for an open quote."""
    try:
        return tuple(command.part(word) for word in shlex.split(command.raw))
    except ValueError as error:
        raise fault(command.place, "a command with a quote that does not end") from error


def within_pod(container: Container, body: str) -> str:
    """`body` as it stands in the pod's spec of the container's workload."""
    kind = kind_of(container.workload)
    path = {"Pod": ("spec",), "CronJob": ("spec", "jobTemplate", "spec", "template", "spec")}
    for key in reversed(path.get(kind, ("spec", "template", "spec"))):
        body = f"{key}:\n{textwrap.indent(body, '  ')}"
    return body


def kind_of(manifest: Map | None) -> str:
    node = manifest.get("kind") if manifest is not None else None
    return node.raw if isinstance(node, Scalar) else ""


@dataclass(frozen=True, slots=True)
class Server:
    """The running server, as far as it is known."""

    major: int
    minor: int | None = None
    distribution: str = ""
    """Alpine or Debian; '' when unknown."""


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that was read."""

    containers: tuple[Container, ...]
    compose: Map | None = None
    manifests: tuple[Map, ...] = ()
    server: Server | None = None
    today: date = date.max


@dataclass(frozen=True, slots=True)
class Flaw:
    """What a rule has against a place."""

    place: Place
    severity: Severity
    message: str
    fix: str = ""
    answer: str = ""
    """What stands there; never a password."""


Judge = Callable[[Container, Project], Iterator[Flaw]]


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    meaning: str
    """One sentence."""
    judge: Judge
    platforms: tuple[Platform, ...] = (Platform.COMPOSE, Platform.KUBERNETES)
