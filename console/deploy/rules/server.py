"""Settings given to the server by its command line and to initdb by the environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise

from console.deploy.model import Container, Flaw, Project, Rule, Variable
from console.deploy.quantities import number
from console.deploy.reading import Scalar
from console.findings import Severity

_OFF = frozenset({"off", "false", "no", "0", "f", "n", "of"})
_SWITCHED_OFF = {
    "fsync": (Severity.FAILURE, "a crash of the host destroys the database", "on"),
    "full_page_writes": (Severity.FAILURE, "a crash of the host leaves torn pages", "on"),
    "autovacuum": (Severity.FAILURE, "tables grow and transaction ids run out", "on"),
    "synchronous_commit": (
        Severity.WARNING,
        "the last committed transactions are lost in a crash",
        "on",
    ),
}
_MOST_CONNECTIONS = 500
_SECRET_WORDS = ("conninfo", "pass", "secret", "token", "key", "command")


def flags(container: Container, project: Project) -> Iterator[Flaw]:
    for name, value in container.flags().items():
        found = _judged(name, value)
        if found is not None:
            severity, why, _ = found
            yield Flaw(
                value.place,
                severity,
                f"the setting {name} is {value.shown}: {why}",
                _flag_fix(container),
                f"{name}={value.shown}",
            )


def _judged(name: str, value: Scalar) -> tuple[Severity, str, str] | None:
    if name in _SWITCHED_OFF:
        return _SWITCHED_OFF[name] if value.text.strip("'").lower() in _OFF else None
    if name == "log_statement" and value.text.strip("'").lower() == "all":
        return Severity.WARNING, "every statement is logged, with the values in it", "ddl"
    if name == "max_connections" and number(value) > _MOST_CONNECTIONS:
        return Severity.WARNING, "use a pooler rather than so many processes", "100"
    if name == "listen_addresses" and value.text.strip("' ") in ("", "localhost", "127.0.0.1"):
        return Severity.WARNING, "no other container can connect", "'*'"
    return None


def _flag_fix(container: Container) -> str:
    """The whole command, with every setting at fault mended."""
    words = ["postgres"]
    for name, value in container.flags().items():
        found = _judged(name, value)
        words += ["-c", f"{name}={found[2] if found else _shown(name, value)}"]
    listed = json.dumps(words)
    return container.mended(compose=f"command: {listed}", container=f"args: {listed}")


def _shown(name: str, value: Scalar) -> str:
    """A setting's value, unless a password may be in it."""
    is_secret = any(word in f"{name} {value.raw}".lower() for word in _SECRET_WORDS)
    return "..." if is_secret else value.shown


def initdb(container: Container, project: Project) -> Iterator[Flaw]:
    family = container.parsed_image.family
    if family is None or not family.is_official:
        return
    arguments = container.variable("POSTGRES_INITDB_ARGS")
    text = arguments.text if arguments else ""
    if _trusts(text):
        yield _initdb_flaw(
            container,
            arguments,
            Severity.FAILURE,
            "a new database is told to let everybody in without a password",
        )
    if "--no-data-checksums" in text:
        message = "data checksums are switched off: a broken disk goes unnoticed"
        yield _initdb_flaw(container, arguments, Severity.WARNING, message)
    elif container.parsed_image.major < 18 and not _has_checksums(text):
        message = "without data checksums, the default only since 18, a broken disk goes unnoticed"
        yield _initdb_flaw(container, arguments, Severity.WARNING, message)
    if "--encoding" in text and "utf" not in text.lower():
        message = "the encoding is not UTF8: text of other scripts cannot be kept"
        yield _initdb_flaw(container, arguments, Severity.WARNING, message)


def _trusts(text: str) -> bool:
    words = text.replace("=", " ").split()
    return (
        any(
            word in ("-A", "--auth", "--auth-host", "--auth-local") and following == "trust"
            for word, following in pairwise(words)
        )
        or "-Atrust" in words
    )


def _has_checksums(text: str) -> bool:
    return any(word in ("--data-checksums", "-k") for word in text.split())


def _initdb_flaw(
    container: Container, arguments: Variable | None, severity: Severity, message: str
) -> Flaw:
    better = "--data-checksums --auth-host=scram-sha-256"
    return Flaw(
        arguments.place if arguments else container.place,
        severity,
        f"{message} (initdb reads this only on an empty data directory)",
        container.mended(
            compose=f'environment:\n  POSTGRES_INITDB_ARGS: "{better}"',
            container=f'env:\n  - name: POSTGRES_INITDB_ARGS\n    value: "{better}"',
        ),
        "POSTGRES_INITDB_ARGS" if arguments else "",
    )


RULES = (
    Rule("deploy.server-flags", "No setting on the command line risks the data.", flags),
    Rule("deploy.initdb", "A new database gets checksums, UTF8 and passwords.", initdb),
)
