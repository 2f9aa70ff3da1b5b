"""The settings file: several databases by name, and how the console behaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from console import documents
from console.agent.policy import AgentSettings
from console.backup.policy import BackupSettings
from console.check_settings import CheckSettings
from console.errors import SettingsError
from console.offsite.policy import StoreSettings
from console.pgbackrest.policy import PgbackrestSettings
from console.pitr.policy import PitrSettings
from console.target import Target, from_dsn, from_environment, with_password_file
from console.tools import ToolSettings

APPLICATION = "medianest-console"


def config_directory() -> Path:
    return platformdirs.user_config_path(APPLICATION)


def state_directory() -> Path:
    """History, journals and logs; made 0700 by whoever writes there first."""
    return platformdirs.user_state_path(APPLICATION)


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """One entry of `targets`."""

    url: str = field(repr=False)
    """A PostgreSQL or Prisma URL, or a libpq key=value string."""
    password_file: Path | None = None
    """A file whose first line is the password."""
    profile: str | None = None
    """A bundled profile's name (medianest) or the path of a profile file."""
    migrations: Path | None = None
    """The folder of Prisma's migrations, usually a project's prisma/migrations."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the settings file holds; every key is optional."""

    target: str | None = None
    """The target that is opened when none is named."""
    targets: dict[str, TargetSettings] = field(default_factory=dict)
    refresh_seconds: float = 1.0
    """How often live figures are read, from 0.5 to 60 seconds."""
    read_only: bool = False
    """Leave out every action that changes something."""
    backups: BackupSettings = field(default_factory=BackupSettings)
    offsite: dict[str, StoreSettings] = field(default_factory=dict)
    """Stores that get a copy of every verified backup, by name."""
    tools: ToolSettings = field(default_factory=ToolSettings)
    checks: CheckSettings = field(default_factory=CheckSettings)
    pitr: PitrSettings = field(default_factory=PitrSettings)
    pgbackrest: dict[str, PgbackrestSettings] = field(default_factory=dict)
    """The stanzas of pgBackRest that hold targets' clusters, by target."""
    agent: AgentSettings = field(default_factory=AgentSettings)

    def __post_init__(self) -> None:
        if not 0.5 <= self.refresh_seconds <= 60:
            raise ValueError("refresh_seconds between 0.5 and 60")
        if self.target is not None and self.target not in self.targets:
            raise ValueError(f"target '{self.target}' among targets")


def read_settings(path: Path | None) -> Settings:
    """The settings of `path`, else the user's own, else the defaults. Raises SettingsError."""
    if path is not None:
        return documents.load(path, Settings)
    own = config_directory() / "settings.yaml"
    return documents.load(own, Settings) if own.exists() else Settings()


def choose_target(
    settings: Settings, environ: Mapping[str, str], dsn: str | None, name: str | None
) -> Target:
    """The one database meant: --dsn, else --target, else DATABASE_URL, else settings, else PG*.

    Raises SettingsError for an unknown name or an address that cannot be read.
    """
    if dsn is not None:
        return from_dsn(dsn)
    if name is not None:
        return named_target(settings, name)
    if environ.get("DATABASE_URL", "").strip() or settings.target is None:
        return from_environment(environ)
    return named_target(settings, settings.target)


def named_target(settings: Settings, name: str) -> Target:
    """A target of the settings, by its name. Raises SettingsError."""
    if name not in settings.targets:
        known = ", ".join(sorted(settings.targets)) or "none"
        raise SettingsError(
            f"There is no target '{name}' in the settings.", f"Known targets: {known}."
        )
    entry = settings.targets[name]
    target = replace(from_dsn(entry.url, name), profile=entry.profile, migrations=entry.migrations)
    if entry.password_file is not None:
        target = with_password_file(target, entry.password_file)
    return target
