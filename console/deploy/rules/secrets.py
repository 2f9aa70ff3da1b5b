"""Passwords: given as files, never in plain text, never a default; no entry without one."""

from __future__ import annotations

from collections.abc import Iterator

from console.deploy.model import Container, Flaw, Origin, Platform, Project, Rule, Variable
from console.findings import Severity

_NAMES = (
    "POSTGRES_PASSWORD",
    "POSTGRESQL_PASSWORD",
    "POSTGRESQL_POSTGRES_PASSWORD",
    "POSTGRES_POSTGRES_PASSWORD",
    "PGPASSWORD",
)
_DOUBLED = ("POSTGRES_PASSWORD", "POSTGRES_USER", "POSTGRES_DB", "POSTGRES_INITDB_ARGS")
_DEFAULTS = frozenset(
    {
        "",
        "postgres",
        "password",
        "example",
        "secret",
        "changeme",
        "change_me",
        "admin",
        "root",
        "test",
        "pass",
        "123456",
        "mysecretpassword",
    }
)


def trust(container: Container, project: Project) -> Iterator[Flaw]:
    method = container.variable("POSTGRES_HOST_AUTH_METHOD")
    empty = container.environment.get("ALLOW_EMPTY_PASSWORD")
    if method is not None and method.text.strip().lower() == "trust":
        yield Flaw(
            method.place,
            Severity.FAILURE,
            "anybody who reaches the server is let in as anybody, without a password",
            container.mended(
                compose="environment:\n  POSTGRES_HOST_AUTH_METHOD: scram-sha-256",
                container="env:\n  - name: POSTGRES_HOST_AUTH_METHOD\n    value: scram-sha-256",
            ),
            "POSTGRES_HOST_AUTH_METHOD=trust",
        )
    if empty is not None and empty.text.strip().lower() in ("yes", "true", "1"):
        yield Flaw(
            empty.place,
            Severity.FAILURE,
            "the image lets in without a password",
            container.mended(
                compose='environment:\n  ALLOW_EMPTY_PASSWORD: "no"',
                container='env:\n  - name: ALLOW_EMPTY_PASSWORD\n    value: "no"',
            ),
            "ALLOW_EMPTY_PASSWORD",
        )


def plain_password(container: Container, project: Project) -> Iterator[Flaw]:
    for name in _NAMES:
        variable = container.environment.get(name)
        if variable is not None and variable.value is not None:
            yield from _judged(container, name, variable)


def _judged(container: Container, name: str, variable: Variable) -> Iterator[Flaw]:
    fix = _file_fix(container, name)
    value = variable.value
    if value is not None and value.is_known and value.raw.strip().lower() in _DEFAULTS:
        message = f"{name} is empty or a password that everybody tries first"
        yield Flaw(variable.place, Severity.FAILURE, message, fix, name)
    elif variable.origin is Origin.LITERAL:
        message = f"{name} stands in the file in plain text"
        yield Flaw(variable.place, Severity.FAILURE, message, fix, name)


def password_in_environment(container: Container, project: Project) -> Iterator[Flaw]:
    for name in _NAMES:
        variable = container.environment.get(name)
        if variable is None or variable.origin not in (Origin.VARIABLE, Origin.SECRET):
            continue
        value = variable.value
        if value is not None and value.is_known and value.raw.strip().lower() in _DEFAULTS:
            continue  # plain_password tells
        yield Flaw(
            variable.place,
            Severity.WARNING,
            f"{name} comes through the environment, where every process of the container and"
            " everybody who may inspect it reads it",
            _file_fix(container, name),
            name,
        )


def _file_fix(container: Container, name: str) -> str:
    if container.platform is Platform.COMPOSE:
        return (
            container.mended(
                compose=f"environment:\n  {name}: !reset null\n"
                f"  POSTGRES_PASSWORD_FILE: /run/secrets/database_password\n"
                "secrets:\n  - database_password"
            )
            + "\nsecrets:\n  database_password:\n    file: ./database_password.txt"
        )
    own = container.name.rpartition("/")[2]
    body = (
        f"containers:\n  - name: {own}\n    env:\n      - name: POSTGRES_PASSWORD_FILE\n"
        "        value: /run/secrets/database/password\n    volumeMounts:\n"
        "      - name: password\n        mountPath: /run/secrets/database\n"
        "        readOnly: true\nvolumes:\n  - name: password\n    secret:\n"
        "      secretName: database-password\n      defaultMode: 0440"
    )
    return container.mended(pod=body)


def given_twice(container: Container, project: Project) -> Iterator[Flaw]:
    for name in _DOUBLED:
        if name in container.environment and f"{name}_FILE" in container.environment:
            place = container.environment[f"{name}_FILE"].place
            yield Flaw(
                place,
                Severity.FAILURE,
                f"{name} and {name}_FILE are both set: the image refuses to start",
                container.mended(
                    compose=f"environment:\n  {name}: !reset null",
                    container=f"env:\n  - name: {name}_FILE\n    value: /run/secrets/FILE",
                ),
                f"{name}, {name}_FILE",
            )


def password_missing(container: Container, project: Project) -> Iterator[Flaw]:
    family = container.parsed_image.family
    if family is None or not family.is_official:
        return
    method = container.variable("POSTGRES_HOST_AUTH_METHOD")
    if method is not None and method.text.strip().lower() == "trust":
        return
    if all(container.variable(name) is None for name in _PASSWORDS):
        yield Flaw(
            container.place,
            Severity.FAILURE,
            "no password is given: the image refuses to make a new database",
            _file_fix(container, "POSTGRES_PASSWORD").replace(
                "      POSTGRES_PASSWORD: !reset null\n", ""
            ),
        )


_PASSWORDS = ("POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE")

RULES = (
    Rule("deploy.auth-trust", "Nobody is let in without a password.", trust),
    Rule(
        "deploy.password-plain",
        "No password stands in the files, and none is a default.",
        plain_password,
    ),
    Rule(
        "deploy.password-environment",
        "Passwords are given as files, not in the environment.",
        password_in_environment,
    ),
    Rule("deploy.password-twice", "A variable and its _FILE are not both set.", given_twice),
    Rule("deploy.password-missing", "A password is given.", password_missing),
)
