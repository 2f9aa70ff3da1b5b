"""medianest-console init: as a newcomer answers it, as a script does, and interrupted."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from terminal import Terminal

from console.documents import parse
from console.errors import ExitCode
from console.first_settings import Answers, keep, password_path, without_password, written
from console.settings import Settings, choose_target, read_settings
from console.target import Target, from_dsn

PROGRAM = [sys.executable, "-m", "console"]


def address(target: Target, password: str = "") -> str:
    given = target.parameters
    secret = f":{quote(password, safe='')}" if password else ""
    return (
        f"postgresql://{given['user']}{secret}@/{given['dbname']}"
        f"?host={quote(given['host'], safe='')}&port={given['port']}"
    )


def password_of(target: Target) -> str:
    for line in Path(target.parameters["passfile"]).read_text().splitlines():
        _host, _port, _database, user, password = line.split(":")
        if user == target.parameters["user"]:
            return password
    raise AssertionError("the server of the tests has no password")


def init(
    *words: str, typed: str = "", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "init", *words],
        input=typed,
        capture_output=True,
        text=True,
        timeout=90,
        env={**os.environ, "PGPASSFILE": "/nonexistent", **(environment or {})},
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_piped_answers_make_settings_that_open_the_database(
    medianest18: Target, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "settings.yaml"
    password = password_of(medianest18)
    answers = [address(medianest18), password, "nas", str(tmp_path / "kept"), "y", "n"]
    done = init("--settings", str(path), typed="".join(f"{line}\n" for line in answers))
    assert done.returncode == ExitCode.OK, done.stderr
    assert "Connected: PostgreSQL 18" in done.stderr
    settings = read_settings(path)
    target = choose_target(settings, {}, None, None)
    assert target.parameters["password"] == password
    assert target.profile == "medianest"
    assert settings.backups.directory == tmp_path / "kept"
    assert password not in path.read_text() + done.stdout + done.stderr
    assert {mode(path), mode(password_path(path, "nas"))} == {0o600}
    assert mode(path.parent) == 0o700


def test_a_script_gives_the_address_in_the_environment_and_a_first_backup_is_made(
    medianest18: Target, tmp_path: Path
) -> None:
    path = tmp_path / "settings.yaml"
    url = address(medianest18, password_of(medianest18))
    done = init(
        "--settings", str(path), "--yes", "--name", "nas", "--backups", str(tmp_path / "kept"),
        environment={"DATABASE_URL": url},
    )  # fmt: skip
    assert done.returncode == ExitCode.OK, done.stderr
    assert re.search(r"drill +pass", done.stdout)
    assert len(list((tmp_path / "kept" / "nas").glob("*-daily"))) == 1


def test_settings_that_are_there_stay_unless_told(medianest18: Target, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("read_only: true\n")
    words = ["--settings", str(path), "--no-backup"]
    url = {"DATABASE_URL": address(medianest18, password_of(medianest18))}
    for more, typed in ((["--yes"], ""), ([], "n\n"), ([], "")):
        refused = init(*words, *more, typed=typed, environment=url)
        assert refused.returncode == ExitCode.UNKNOWN
        assert path.read_text() == "read_only: true\n"
    assert init(*words, "--yes", "--replace", environment=url).returncode == ExitCode.OK
    assert read_settings(path).target == "home"


@pytest.mark.parametrize("answered", range(5))
def test_answers_that_end_early_leave_nothing(
    medianest18: Target, tmp_path: Path, answered: int
) -> None:
    answers = [address(medianest18), password_of(medianest18), "nas", str(tmp_path / "kept"), "y"]
    typed = "".join(f"{line}\n" for line in answers[:answered])
    where = tmp_path / "new"
    done = init("--settings", str(where / "settings.yaml"), "--no-backup", typed=typed)
    assert done.returncode == ExitCode.UNKNOWN
    assert "nothing was written" in done.stderr
    assert not where.exists()


def test_an_interrupt_at_the_last_question_leaves_nothing(
    medianest18: Target, tmp_path: Path
) -> None:
    where = tmp_path / "new"
    words = ["init", "--settings", str(where / "settings.yaml"), "--no-backup", "--name", "nas"]
    words += ["--backups", str(tmp_path / "kept")]
    url = {"DATABASE_URL": address(medianest18, password_of(medianest18))}
    with Terminal([*PROGRAM, *words], environment=url) as terminal:
        terminal.wait("Take the address in DATABASE_URL?")
        terminal.press("y\r")
        terminal.wait("Write this to")
        os.kill(terminal.pid, signal.SIGINT)
        assert terminal.exit_code() == ExitCode.INTERRUPTED
    assert not where.exists()


def test_a_wrong_address_can_be_given_again_and_says_what_to_do(
    medianest18: Target, tmp_path: Path
) -> None:
    words = ["init", "--settings", str(tmp_path / "s.yaml"), "--no-backup"]
    with Terminal([*PROGRAM, *words]) as terminal:
        terminal.wait("Where is the database?")
        terminal.press("mysql://nas/films\r")
        terminal.wait("is not a PostgreSQL address")
        terminal.press("postgresql://me@127.0.0.1:1/films\r")
        terminal.until(lambda text: text.count("Where is the database?") == 3, "the third try")
        terminal.press(address(medianest18, password_of(medianest18)) + "\r")
        terminal.wait("Connected: PostgreSQL 18")


@pytest.mark.parametrize(
    ("given", "kept", "password"),
    [
        ("postgresql://me:p%40ss@nas:5433/films", "postgresql://me@nas:5433/films", "p@ss"),
        ("postgresql://me@nas/films?schema=s&password=a%2Fb",
         "postgresql://me@nas/films?schema=s", "a/b"),
        ("host=nas user=me password='a b'", "user=me host=nas", "a b"),
        ("postgresql://me@nas/films", "postgresql://me@nas/films", None),
    ],
)  # fmt: skip
def test_the_password_leaves_the_address(given: str, kept: str, password: str | None) -> None:
    assert without_password(given) == (kept, password)
    expected = {k: v for k, v in from_dsn(given).parameters.items() if k != "password"}
    assert dict(from_dsn(kept).parameters) == expected


@pytest.mark.parametrize("hostile", ['a": b', "über # x", "'", "\\", "- [x]"])
def test_any_text_is_read_back_as_it_was_answered(hostile: str, tmp_path: Path) -> None:
    answers = Answers("home", f"host='{hostile[0]}'", None, hostile, tmp_path / hostile, True)
    settings = parse(written(answers, tmp_path / "s.yaml"), Settings, "s.yaml")
    assert settings.targets["home"].profile == hostile
    assert settings.backups.directory == tmp_path / hostile
    assert settings.read_only


def test_every_key_of_the_file_is_commented(tmp_path: Path) -> None:
    answers = Answers("home", "postgresql://nas/films", "secret", "medianest", tmp_path)
    keep(answers, tmp_path / "settings.yaml")
    lines = (tmp_path / "settings.yaml").read_text().splitlines()
    assert sum(line.lstrip().startswith("#") for line in lines) >= 8
    assert "secret" not in "\n".join(lines)
