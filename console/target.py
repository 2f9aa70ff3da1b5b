"""Where a database is: URLs (Prisma's too), PG* variables, service files; no password is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict

from console.errors import SettingsError

PRISMA_PARAMETERS = frozenset(
    {
        "schema",
        "connection_limit",
        "pool_timeout",
        "socket_timeout",
        "pgbouncer",
        "sslaccept",
        "sslidentity",
        "statement_cache_size",
        "single_use_connections",
    }
)
"""Parameters of Prisma's connection URLs that libpq refuses (Prisma reference, connection URLs)."""


@dataclass(frozen=True, slots=True)
class Target:
    """One database to look at. `parameters` are libpq's own keywords."""

    name: str
    parameters: Mapping[str, str] = field(repr=False)
    schema: str | None = None
    """The schema a Prisma URL names; what is looked at first."""
    profile: str | None = None
    """A bundled profile's name or the path of a profile file."""
    through_pooler: bool = False
    migrations: Path | None = None
    """The folder of Prisma's migrations."""

    @property
    def effective(self) -> dict[str, str]:
        """Parameters with libpq's environment variables and defaults filled in."""
        defaults = {
            option.keyword.decode(): option.val.decode()
            for option in pq.Conninfo.get_defaults()
            if option.val is not None
        }
        return defaults | dict(self.parameters)

    @property
    def user(self) -> str:
        return self.effective.get("user", "")

    @property
    def dbname(self) -> str:
        effective = self.effective
        return effective.get("dbname") or effective.get("user", "")

    @property
    def place(self) -> str:
        """Host and port in words, for a person; without user or password."""
        effective = self.effective
        host = effective.get("host") or effective.get("hostaddr") or "local socket"
        port = effective.get("port", "5432")
        if host.startswith(("/", "@")):
            return f"socket {host}"
        return f"{host}:{port}"

    @property
    def label(self) -> str:
        return f"{self.dbname} @ {self.place}"


def from_dsn(dsn: str, name: str = "") -> Target:
    """A target from a URL or a libpq `key=value` string. Raises SettingsError, without the text."""
    dsn = dsn.strip()
    scheme, separator, rest = dsn.partition("://")
    if separator and scheme not in ("postgresql", "postgres"):
        raise SettingsError(
            f"'{scheme}://' is not a PostgreSQL address.",
            "Use postgresql://USER:PASSWORD@HOST/DATABASE; for Prisma Accelerate, its direct URL.",
        )
    prisma: dict[str, str] = {}
    if separator:
        address, _, query = rest.partition("?")
        if _splits_a_password(address, query):
            raise SettingsError("The database address is not understood.", _UNREADABLE_HINT)
        pairs = parse_qsl(query, keep_blank_values=True)
        prisma = {key: value for key, value in pairs if key in PRISMA_PARAMETERS}
        kept = [(key, value) for key, value in pairs if key not in PRISMA_PARAMETERS]
        dsn = f"postgresql://{address}" + ("?" + urlencode(kept) if kept else "")
    try:
        parsed = conninfo_to_dict(dsn)
    except ProgrammingError as error:
        raise SettingsError(_why_unreadable(dsn, str(error)), _UNREADABLE_HINT) from error
    parameters = {key: str(value) for key, value in parsed.items() if value is not None}
    if prisma.get("sslaccept") == "strict" and "sslcert" in parameters:
        # Prisma's sslcert is the authority to trust, libpq's is the client's own certificate.
        parameters["sslrootcert"] = parameters.pop("sslcert")
        parameters["sslmode"] = "verify-full"
    return Target(
        name=name or parameters.get("dbname", "") or "database",
        parameters=parameters,
        schema=prisma.get("schema"),
        through_pooler=prisma.get("pgbouncer", "").lower() == "true",
    )


def _splits_a_password(address: str, query: str) -> bool:
    """Whether an unencoded / or ? cut a password in two: its rest would be shown as a name."""
    authority, _, path = address.partition("/")
    hosts = authority.rpartition("@")[2]
    ports = [host.rpartition("]")[2].partition(":")[2] for host in hosts.split(",")]
    return (
        "@" in path
        or ("@" not in authority and "@" in query)
        or any(port and not port.isdigit() for port in ports)
    )


_UNREADABLE_HINT = (
    "Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE and percent-encode special characters"
    " in the password (@ is %40, / is %2F, # is %23)."
)


def _why_unreadable(dsn: str, complaint: str) -> str:
    """libpq's complaint, only where it cannot quote a part of a password."""
    if "invalid URI query parameter" in complaint or "invalid connection option" in complaint:
        return f"The database address is not understood: {complaint.strip()}."
    return "The database address is not understood."


def with_password_file(target: Target, path: Path) -> Target:
    """The target with the password that the file's first line holds. Raises SettingsError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SettingsError(
            f"The password file {path} cannot be read ({reason}).",
            "Check the path and its permissions.",
        ) from error
    if not lines or not lines[0]:
        raise SettingsError(
            f"The password file {path} is empty.", "Put the password on its first line."
        )
    parameters = {**target.parameters, "password": lines[0]}
    return replace(target, parameters=parameters)


def from_environment(environ: Mapping[str, str]) -> Target:
    """The target of DATABASE_URL, else of PG* variables and defaults. Raises SettingsError."""
    url = environ.get("DATABASE_URL", "").strip()
    if url:
        return from_dsn(url)
    target = Target(environ.get("PGDATABASE") or environ.get("PGSERVICE") or "", parameters={})
    # Backups are kept and named by it, so it needs a name; libpq falls back to the user's.
    return target if target.name else replace(target, name=target.dbname)
