"""Which tools are chosen and why, and how they are told where to go without a secret in sight."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from backups import connected, tools_of
from psycopg import sql

from console.errors import ActionRefused, CommandFailed
from console.process import output_of, run
from console.target import Target, from_dsn
from console.tools import (
    Tools,
    ToolSettings,
    connection_environment,
    dbname_argument,
    find_tools,
    parameters_without_secrets,
)


def fake_tools(directory: Path, version: str) -> Path:
    directory.mkdir(parents=True)
    for program in ("pg_dump", "pg_restore", "psql"):
        path = directory / program
        path.write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) {version}'\n")
        path.chmod(0o755)
    return directory


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any PostgreSQL programs but those that settings name."""
    monkeypatch.setattr("console.tools._places", _only_named)


def _only_named(settings: ToolSettings) -> list[tuple[Path, str, bool]]:
    return [(directory, "named in the settings", False) for directory in settings.directories]


async def test_the_servers_own_version_is_preferred_to_a_newer_one(
    tmp_path: Path, alone: None
) -> None:
    newer, own = fake_tools(tmp_path / "18", "18.1"), fake_tools(tmp_path / "15", "15.9")
    tools = await find_tools(15, ToolSettings(directories=(newer, own)))
    assert (tools.directory, tools.version) == (own, "15.9")
    assert "own version" in tools.reason


async def test_programs_that_were_upgraded_meanwhile_are_asked_again(
    tmp_path: Path, alone: None
) -> None:
    place, newer = fake_tools(tmp_path / "15", "15.9"), fake_tools(tmp_path / "new", "15.10")
    settings = ToolSettings(directories=(place,))
    assert (await find_tools(15, settings)).version == "15.9"
    for program in newer.iterdir():
        program.replace(place / program.name)
    assert (await find_tools(15, settings)).version == "15.10"


async def test_a_program_that_said_nothing_is_asked_again(tmp_path: Path, alone: None) -> None:
    """It may have missed a library that is there now; the file itself is the same."""
    answer = tmp_path / "answer"
    place = fake_tools(tmp_path / "15", "15.9")
    (place / "pg_dump").write_text(f"#!/bin/sh\ncat {answer}\n")
    settings = ToolSettings(directories=(place,))
    with pytest.raises(ActionRefused):
        await find_tools(15, settings)
    answer.write_text("pg_dump (PostgreSQL) 15.9\n")
    assert (await find_tools(15, settings)).version == "15.9"


async def test_the_least_newer_one_is_taken_when_there_is_no_own(
    tmp_path: Path, alone: None
) -> None:
    places = tuple(fake_tools(tmp_path / name, f"{name}.1") for name in ("18", "16", "14"))
    tools = await find_tools(15, ToolSettings(directories=places))
    assert tools.major == 16
    assert "newer than the server" in tools.reason


async def test_older_ones_alone_are_refused_and_named(tmp_path: Path, alone: None) -> None:
    place = fake_tools(tmp_path / "14", "14.2")
    with pytest.raises(ActionRefused, match=r"14\.2") as caught:
        await find_tools(15, ToolSettings(directories=(place,)))
    assert "postgresql-client-15" in caught.value.hint


async def test_a_directory_that_lacks_a_program_is_passed_over(tmp_path: Path, alone: None) -> None:
    place = fake_tools(tmp_path / "15", "15.1")
    (place / "psql").unlink()
    with pytest.raises(ActionRefused):
        await find_tools(15, ToolSettings(directories=(place,)))
    only_dump = await find_tools(
        15, ToolSettings(directories=(place,)), programs=("pg_dump", "pg_restore")
    )
    assert only_dump.major == 15


async def test_a_target_that_wants_tls_does_not_get_the_bundled_build() -> None:
    tools = await find_tools(18)
    if not tools.embedded:
        pytest.skip("another PostgreSQL 18 is installed here")
    secure = from_dsn("postgresql://u@h/db?sslmode=verify-full")
    with pytest.raises(ActionRefused):
        await find_tools(18, target=secure)


def fake_docker(directory: Path, version: str = "15.7") -> Path:
    """A docker that writes its arguments down and runs the program on this machine."""
    path = directory / "docker"
    path.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$@" > {directory}/arguments\n'
        f'case "$*" in *--version*) echo "pg_dump (PostgreSQL) {version}";;'
        " *) env | grep ^PG | sort;; esac\n"
    )
    path.chmod(0o755)
    return path


async def test_a_container_is_the_last_resort_and_never_gets_a_terminal(
    tmp_path: Path, alone: None
) -> None:
    settings = ToolSettings(container="medianest-db", docker=str(fake_docker(tmp_path)))
    tools = await find_tools(15, settings)
    assert tools.in_container
    assert tools.place == "container medianest-db"
    target = Target("home", {"user": "app", "dbname": "media", "password": "s3cret"})
    with tools.command(target, "pg_dump", "--format=custom") as command:
        _, output = await output_of(command)
    arguments = (tmp_path / "arguments").read_text().split()
    assert arguments[:2] == ["exec", "-i"]
    assert "-t" not in arguments
    assert arguments[-3:] == ["medianest-db", "pg_dump", "--format=custom"]
    assert "s3cret" not in " ".join(arguments)
    assert "PGPASSWORD=s3cret" in output
    assert "PGHOST" not in " ".join(arguments), "inside the container its own socket is meant"


async def test_a_container_that_is_older_is_refused(tmp_path: Path, alone: None) -> None:
    settings = ToolSettings(container="db", docker=str(fake_docker(tmp_path, "14.1")))
    with pytest.raises(ActionRefused, match="container db"):
        await find_tools(15, settings)


async def test_a_container_that_is_not_there_says_so(tmp_path: Path, alone: None) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'Error: No such container: db' >&2\nexit 1\n")
    docker.chmod(0o755)
    with pytest.raises(CommandFailed, match="No such container"):
        await find_tools(15, ToolSettings(container="db", docker=str(docker)))


def test_prismas_parameters_and_passwords_stay_out_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden@h/d")
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    target = from_dsn("postgresql://u:hidden@h:77/d?schema=x&connection_limit=3&sslmode=disable")
    environment = connection_environment(target)
    assert environment["PGHOST"] == "h"
    assert environment["PGPORT"] == "77"
    assert environment["PGDATABASE"] == "d"
    assert environment["PGSSLMODE"] == "disable"
    assert environment["PGOPTIONS"] == "-c work_mem=1MB"
    assert "hidden" not in str(environment)
    assert "connection_limit" not in str(environment)


@pytest.mark.parametrize("password", ["plain", "with:colon", "back\\slash", "new\nline", "q'\"@ #"])
async def test_any_password_reaches_the_tools_and_none_is_an_argument(
    medianest_db: dict[str, str], password: str
) -> None:
    role = f"role_{abs(hash(password)) % 10**8}"
    with connected(medianest_db) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN SUPERUSER")
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), password)
        )
    parameters = {k: v for k, v in medianest_db.items() if k != "passfile"}
    target = Target("home", {**parameters, "user": role, "password": password})
    tools = await tools_of(medianest_db)
    with tools.command(target, "psql", "-XAtc", "SELECT current_user") as command:
        assert password not in " ".join(command.argv)
        finished, output = await output_of(command)
    assert output.strip() == role, finished.lines
    with connected(medianest_db) as connection:
        connection.execute(f"DROP ROLE {role}")


async def test_the_private_password_file_is_gone_after_the_command() -> None:
    tools = await find_tools(15)
    with tools.command(Target("t", {"password": "x"}), "psql") as command:
        path = (command.environment or {})["PGPASSFILE"]
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    "name", ["plain", "it's", "back\\slash", "a=b", "postgresql://x", "-h", ""]
)
async def test_a_database_name_is_never_taken_for_something_else(
    medianest_db: dict[str, str], name: str
) -> None:
    tools = await tools_of(medianest_db)
    target = Target("home", dict(medianest_db))
    with tools.command(target, "psql", "-Xc", "", f"--dbname={dbname_argument(name)}") as command:
        finished = await run(command)
    said = " ".join(finished.lines)
    assert f'database "{name or "postgres"}" does not exist' in said or not name


def test_parameters_for_a_manifest_have_no_secrets() -> None:
    found = parameters_without_secrets({"host": "h", "password": "p", "passfile": "f"})
    assert found == {"host": "h"}


def test_each_major_says_which_archives_it_reads() -> None:
    assert Tools("x", "15.1", "").newest_archive == (1, 14)
    assert Tools("x", "16.2", "").newest_archive == (1, 15)
    assert Tools("x", "18.6", "").newest_archive == (1, 16)
    assert Tools("x", "19beta1", "").newest_archive == (1, 16)
