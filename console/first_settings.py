"""The first settings file: what a few answers make of it, and how it and the password are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from console.documents import parse
from console.report_file import write_report
from console.settings import Settings
from console.target import from_dsn

_TEMPLATE = """\
# Settings of MediaNest Console. Every key is optional; docs/settings.md tells all of them.

# The target that is opened when none is named.
target: {name}

targets:
  {name}:
    # Where the database is. No password in here: the file below holds it.
    url: {url}
{password_file}{profile}
# How often live figures are read, in seconds.
refresh_seconds: 1

# true leaves out every action that changes something.
read_only: {read_only}

backups:
  # Where backups are written and looked for. Better on another disk than the database's.
  directory: {directory}
  retention:
    # Days that verified backups of each tier are kept; the newest three always stay.
    daily_days: 7
    weekly_days: 30
    monthly_days: 90
  schedule:
    # The hour (UTC) from which `medianest-console backup run-due` makes a day's backup.
    hour: 2
"""


@dataclass(frozen=True, slots=True)
class Answers:
    name: str
    """Of the target."""
    url: str
    """Without a password."""
    password: str | None
    """Kept in a file of its own; None where the server asks for none or ~/.pgpass has it."""
    profile: str | None
    backups: Path
    read_only: bool = False


def without_password(address: str) -> tuple[str, str | None]:
    """An address (URL or key=value) and the password that was in it.

    Raises SettingsError for an address that cannot be read.
    """
    password = from_dsn(address).parameters.get("password")
    if password is None:
        return address, None
    if "://" not in address:
        parameters = {k: str(v) for k, v in conninfo_to_dict(address).items() if v is not None}
        parameters.pop("password")
        return make_conninfo(**parameters), password
    parts = urlsplit(address)
    user, _, place = parts.netloc.rpartition("@")
    user = user.partition(":")[0]
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([pair for pair in pairs if pair[0] != "password"])
    netloc = f"{user}@{place}" if user else place
    return urlunsplit(parts._replace(netloc=netloc, query=query)), unquote(password)


def password_path(settings: Path, name: str) -> Path:
    """Where the password of a target is kept, beside the settings."""
    return settings.with_name(f"{name}.password")


def written(answers: Answers, settings: Path) -> str:
    """The file for these answers, with a comment on every key."""
    optional = {"password_file": "", "profile": ""}
    if answers.password is not None:
        where = _quoted(str(password_path(settings, answers.name)))
        optional["password_file"] = f"    password_file: {where}\n"
    if answers.profile is not None:
        told = "    # What the database should be, for `check`.\n"
        optional["profile"] = f"{told}    profile: {_quoted(answers.profile)}\n"
    return _TEMPLATE.format(
        name=_quoted(answers.name),
        url=_quoted(answers.url),
        read_only="true" if answers.read_only else "false",
        directory=_quoted(str(answers.backups)),
        **optional,
    )


def keep(answers: Answers, settings: Path) -> None:
    """Write the password, then the settings: each whole, readable by its owner only.

    Raises SettingsError when the answers make no valid file, ActionRefused when it cannot be
    written.
    """
    content = written(answers, settings)
    parse(content, Settings, str(settings))
    if answers.password is not None:
        path = password_path(settings, answers.name)
        write_report(path, answers.password + "\n", make_directory=True)
    write_report(settings, content, make_directory=True)


def _quoted(text: str) -> str:
    """As YAML takes any text: JSON's string is one of its forms."""
    return json.dumps(text, ensure_ascii=False)
