"""The command line as a person meets it: real processes, real databases, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Database, run_sql

from console import __version__

CONSOLE = [sys.executable, "-m", "console"]
ROOT = Path(__file__).parent.parent


def console(
    *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CONSOLE, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        check=False,
    )


def address(database: Database) -> str:
    return " ".join(f"{key}={value}" for key, value in database.items())


def check(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    return console("check", *arguments, environment={"DATABASE_URL": address(database)})


def test_the_version_is_said_without_loading_what_it_does_not_need() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom console.cli import main\n"
            "try: main(['--version'])\nexcept SystemExit: pass\n"
            "print(sorted({'psycopg', 'yaml', 'textual', 'asyncio'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.splitlines()
    assert loaded == [f"medianest-console {__version__}", "[]"]


def test_a_sound_database_exits_with_0_and_says_so_first(medianest_db: Database) -> None:
    done = check(medianest_db, "--only", "readiness")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("READY: all 10 checks passed\n")
    assert "(recognised by _prisma_migrations and 11 of its tables)" in " ".join(
        done.stdout.split()
    )


def test_failures_exit_with_2_and_json_says_the_same(medianest_db: Database) -> None:
    run_sql(medianest_db, "DROP INDEX users_email_key")
    done = check(medianest_db, "--format", "json", "--only", "schema")
    assert done.returncode == 2
    found = json.loads(done.stdout)
    assert found["verdict"] == "failure"
    assert [f["subject"] for f in found["findings"] if f["severity"] == "failure"] == [
        "public.users_email_key"
    ]


def test_warnings_exit_with_1_only_when_asked(medianest_db: Database) -> None:
    run_sql(medianest_db, "ALTER INDEX users_email_key RENAME TO other")
    assert check(medianest_db, "--only", "schema").returncode == 0
    assert check(medianest_db, "--only", "schema", "--fail-on", "warning").returncode == 1


def test_what_could_not_be_checked_exits_with_3(
    medianest_db: Database, limited_role: Callable[[Database], Database]
) -> None:
    done = check(limited_role(medianest_db), "--format", "markdown", "--only", "readiness")
    assert done.returncode == 3
    assert done.stdout.startswith("# NOT FULLY CHECKED: 1 not checked\n")
    assert "GRANT SELECT ON public.\\_prisma" not in done.stdout
    assert "GRANT SELECT ON public._prisma_migrations TO limited;" in done.stdout


def test_a_database_of_another_kind_is_checked_without_a_profile(empty_db: Database) -> None:
    done = check(empty_db, "--only", "schema", "data")
    assert done.returncode == 0
    assert "no profile (none was named and none that is bundled fits)" in " ".join(
        done.stdout.split()
    )


def test_a_captured_profile_checks_its_own_source(medianest_db: Database, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    environment = {"DATABASE_URL": address(medianest_db)}
    captured = console("profile", "capture", "-o", str(file), environment=environment)
    assert (captured.returncode, captured.stdout) == (0, "")
    done = check(medianest_db, "--profile", str(file), "--only", "readiness")
    assert done.returncode == 0, done.stdout
    on_screen = console("profile", "capture", environment=environment)
    assert on_screen.stdout == file.read_text()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "--target", "home", "--settings", "{settings}"],
        ["--target", "home", "--settings", "{settings}", "check"],
        ["--settings", "{settings}", "check", "--target", "home"],
        ["check", "--dsn", "{dsn}"],
        ["--dsn", "{dsn}", "check"],
    ],
)
def test_the_database_may_be_named_before_and_after_the_command(
    medianest_db: Database, tmp_path: Path, arguments: list[str]
) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"targets:\n  home: {{url: '{address(medianest_db)}'}}\n")
    filled = [a.format(settings=settings, dsn=address(medianest_db)) for a in arguments]
    done = console(*filled, "--only", "schema.tables")
    assert done.returncode == 0, done.stderr
    assert "11/11 tables" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "invalid choice"),
        (["check", "--bogus"], "unrecognized"),
        (["check", "--format", "pdf"], "invalid choice"),
        (["--dsn", "a", "--target", "b", "check"], "not allowed with"),
        (["check", "--target", "nobody"], "no target 'nobody'"),
        (["check", "--dsn", "mysql://x"], "not a PostgreSQL address"),
        (["check", "--settings", "/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        (["check", "--dsn", "postgresql://u:hunter2@127.0.0.1:1/x"], "Connection refused"),
        (["check", "--only", "bogus", "--dsn", "postgresql://h/x"], "bogus"),
        ([], "needs a terminal"),
    ],
)
def test_mistakes_exit_with_3_in_two_lines(arguments: list[str], words: str) -> None:
    done = console(*arguments)
    assert done.returncode == 3
    assert done.stdout == ""
    assert words in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 2, done.stderr


def test_a_mistake_in_the_settings_names_file_and_line(tmp_path: Path) -> None:
    settings = tmp_path / "s.yaml"
    settings.write_text("read_only: true\nrefresh_secondz: {}\n")
    done = console("--settings", str(settings), "check")
    assert done.returncode == 3
    assert f"{settings}:2:" in done.stderr
    assert "'refresh_seconds'" in done.stderr


def test_a_profile_that_is_wrong_names_file_and_line(
    medianest_db: Database, tmp_path: Path
) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("name: x\ntables:\n  users:\n    columns: {id: text}\n    indexes: {a: b}\n")
    done = check(medianest_db, "--profile", str(profile))
    assert done.returncode == 3
    assert f"{profile}:5:" in done.stderr


def test_a_file_that_cannot_be_written_is_said(medianest_db: Database) -> None:
    done = console(
        "profile", "capture", "-o", "/nowhere/p.yaml",
        environment={"DATABASE_URL": address(medianest_db)},
    )  # fmt: skip
    assert done.returncode == 3
    assert "/nowhere/p.yaml cannot be written" in done.stderr


def test_the_checks_are_listed_without_a_database() -> None:
    done = console("check", "list")
    assert done.returncode == 0
    assert "  schema.tables\n" in done.stdout


def test_a_reader_that_goes_away_is_no_complaint(medianest_db: Database) -> None:
    done = subprocess.run(
        f"set -o pipefail; {sys.executable} -m console check --only schema | true",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        env={**os.environ, "DATABASE_URL": address(medianest_db)},
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 141


def test_ctrl_c_ends_in_one_line(medianest_db: Database) -> None:
    run_sql(medianest_db, "ALTER ROLE postgres SET client_min_messages = 'warning'")
    with subprocess.Popen(
        [sys.executable, "-c", "import time, console.checks\n"
         "async def stall(*_, **__):\n import asyncio; print('go', flush=True)\n"
         " await asyncio.sleep(30)\n"
         "console.checks.run = stall\n"
         "import sys; from console.cli import main\n"
         "sys.exit(main(['check', '--profile', 'medianest']))"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": address(medianest_db)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=10)
    assert (process.returncode, complaint) == (130, "Interrupted.\n")


@pytest.mark.slow
def test_the_demo_reports_without_a_terminal_and_leaves_nothing_running(
    server_directory: Path,
) -> None:
    directory = server_directory / "demo"
    done = console("demo", "--directory", str(directory))
    assert done.returncode == 0, done.stderr
    for words in (
        "11/11 tables",
        "34 indexes (34 expected), 6/6 critical",
        "8/8 foreign keys",
        "3/3 migrations",
    ):
        assert words in done.stdout
    deadline = time.monotonic() + 10
    while (directory / "data" / "postmaster.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not list(directory.glob("**/postmaster.pid"))


def test_the_demo_takes_no_other_database() -> None:
    done = console("demo", "--dsn", "postgresql://h/x")
    assert done.returncode == 3
    assert "--dsn" in done.stderr


@pytest.mark.parametrize("library", ["prometheus_client", "structlog", "apprise"])
def test_without_its_libraries_the_agent_says_what_to_install(library: str) -> None:
    script = f"import sys; sys.modules['{library}'] = None; from console.cli import main"
    ended = subprocess.run(
        [sys.executable, "-c", f"{script}; sys.exit(main(['agent']))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert library in ended.stderr
    assert "Traceback" not in ended.stderr
