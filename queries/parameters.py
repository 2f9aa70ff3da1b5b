"""Settings as the server, a database or a role gives them to a session."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    setting: str
    """In `unit`, not as SHOW writes it."""
    unit: str | None
    """B, kB, 8kB, 16MB, MB, ms, s, min; None for what has none."""
    kind: str
    """bool, enum, integer, real or string."""
    context: str
    """postmaster, sighup, superuser, user ...: what it takes to change it."""
    source: str
    """default, configuration file, command line, database, user, client ..."""
    built_in: str | None
    """What the server was compiled with."""
    pending_restart: bool


@dataclass(frozen=True, slots=True)
class FileMistake:
    """A line of a configuration file that the server could not use."""

    file: str
    line: int
    name: str
    error: str


@dataclass(frozen=True, slots=True)
class RoleParameter:
    """What ALTER ROLE or ALTER DATABASE ... SET gives; '' stands for any."""

    database: str
    role: str
    is_superuser: bool
    name: str
    setting: str


@dataclass(frozen=True, slots=True)
class Checkpoints:
    timed: int
    requested: int
    seconds: float
    """Since the statistics were reset."""


PARAMETERS = Query("parameters", Parameter)
FILE_MISTAKES = Query("file_mistakes", FileMistake)
ROLE_PARAMETERS = Query("role_parameters", RoleParameter)
CHECKPOINTS = Query("checkpoints", Checkpoints)
