"""Migrations from the command line: the history, drift closed by its own SQL, the way back."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from conftest import Database, run_sql

from console.backup.manifest import Tier
from console.backup.store import Store
from console.cli import main
from console.demo.migrations import MIGRATIONS_DIRECTORY, PRISMA_LOCK
from console.migrations.folder import Folder, Migration
from console.migrations.history import Entry, State, judge
from queries.migrations import MigrationRow

INIT, LOGS, PASSWORDS = sorted(path.parent.name for path in MIGRATIONS_DIRECTORY.glob("*/*.sql"))
START = datetime(2030, 1, 1, tzinfo=UTC)
SCRIPT = b"CREATE TABLE a ();\nCREATE TABLE b ();\n"

Cli = Callable[..., int]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """MediaNest's migrations with its schema.prisma beside them."""
    path = tmp_path / "prisma" / "migrations"
    shutil.copytree(MIGRATIONS_DIRECTORY, path)
    shutil.copy(Path(__file__).with_name("medianest.prisma"), path.parent / "schema.prisma")
    return path


@pytest.fixture
def cli(medianest_db: Database, tmp_path: Path, folder: Path, monkeypatch: Any) -> Cli:
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"backups:\n  directory: {tmp_path / 'backups'}\n  keep_free_mb: 0\n")
    keywords = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "DATABASE"}
    for keyword, variable in {**keywords, "passfile": "PASSFILE"}.items():
        monkeypatch.setenv(f"PG{variable}", medianest_db[keyword])

    def command(action: str, *arguments: str) -> int:
        named = ["--migrations", str(folder)]
        return main(["--settings", str(settings), "migrations", action, *named, *arguments])

    return command


def one_attempt(
    *, script: bytes = SCRIPT, minutes: int = 0, finished: bool = True, rolled_back: bool = False
) -> MigrationRow:
    at = START + timedelta(minutes=minutes)
    later = at + timedelta(seconds=2)
    digest = hashlib.sha256(script).hexdigest()
    return MigrationRow(
        "1_a", digest, at, later if finished else None, later if rolled_back else None, "why"
    )


def judged(*rows: MigrationRow, script: bytes | None = SCRIPT, running: bool = False) -> Entry:
    known = (Migration("1_a", script),) if script is not None else ()
    (entry,) = judge(rows, Folder(Path("m"), known), running=running)
    return entry


def test_each_state_is_what_deploy_would_make_of_it() -> None:
    failed = one_attempt(finished=False)
    undone = one_attempt(finished=False, rolled_back=True)
    assert judged().state is State.PENDING
    assert judged(one_attempt()).state is State.APPLIED
    assert judged(failed).state is State.FAILED
    assert judged(failed, running=True).state is State.RUNNING
    assert judged(undone).state is State.ROLLED_BACK
    assert judged(undone, one_attempt(minutes=1)).state is State.APPLIED
    assert judged(one_attempt(), script=None).state is State.UNKNOWN
    assert judged(one_attempt()).seconds == 2


def test_line_ends_do_not_make_a_migration_edited_and_a_space_does() -> None:
    windows = SCRIPT.replace(b"\n", b"\r\n")
    assert judged(one_attempt(script=windows)).state is State.APPLIED
    assert judged(one_attempt(), script=windows).state is State.APPLIED
    edited = judged(one_attempt(), script=SCRIPT + b" ")
    assert (edited.state, edited.checksum_agrees) == (State.EDITED, False)


def test_a_file_mended_after_its_rolled_back_attempt_is_not_edited() -> None:
    first = one_attempt(script=b"wrong", finished=False, rolled_back=True)
    assert judged(first, one_attempt(minutes=1)).state is State.APPLIED


def test_without_a_folder_only_the_rows_speak() -> None:
    (entry,) = judge([one_attempt()], None, running=False)
    assert (entry.state, entry.checksum_agrees) == (State.APPLIED, None)


def test_status_tells_what_is_pending_edited_and_unknown(
    cli: Cli, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("status") == 0
    assert "OK  3 applied" in capsys.readouterr().out
    (folder / "30000101000000_next").mkdir()
    (folder / "30000101000000_next" / "migration.sql").write_text("SELECT 1;")
    assert cli("status") == 0
    assert cli("status", "--fail-on", "warning") == 1
    with (folder / INIT / "migration.sql").open("a") as script:
        script.write("-- more\n")
    shutil.rmtree(folder / LOGS)
    capsys.readouterr()
    assert cli("status", "--format", "json") == 2
    said = json.loads(capsys.readouterr().out)["migrations"]
    states = {one["name"]: one["state"] for one in said}
    assert states == {
        INIT: "edited after apply",
        LOGS: "unknown to the folder",
        PASSWORDS: "applied",
        "30000101000000_next": "pending",
    }


def test_prismas_lock_tells_a_running_migration_from_a_failed_one(
    cli: Cli, medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(
        medianest_db,
        "UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name LIKE '%users'",
    )
    assert cli("status") == 2
    said = capsys.readouterr().out
    assert "1 failed" in said
    assert f'npx prisma migrate resolve --rolled-back "{PASSWORDS}"' in said
    with psycopg.connect(**medianest_db) as migrating:
        migrating.execute("SELECT pg_advisory_lock(%s)", [PRISMA_LOCK])
        pid = migrating.info.backend_pid
        assert cli("status") == 0
        said = capsys.readouterr().out
    assert "1 running" in said
    assert f"Backend {pid} holds Prisma's lock" in said


def test_a_database_that_prisma_never_saw_gets_one_sentence(
    cli: Cli, medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(medianest_db, "DROP TABLE _prisma_migrations")
    assert cli("status") == 0
    assert "Prisma never migrated this database." in capsys.readouterr().out


def test_drift_is_gone_after_its_own_sql(
    cli: Cli, medianest_db: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("drift", "--on-server") == 0
    run_sql(
        medianest_db,
        "ALTER TABLE users ADD COLUMN nickname text",
        "ALTER TABLE media_requests DROP CONSTRAINT media_requests_user_id_fkey",
        "CREATE VIEW names AS SELECT name FROM users",
    )
    schema = folder.parent / "schema.prisma"
    schema.write_text(schema.read_text() + "\nmodel Extra {\n  id Int @id\n}\n")
    capsys.readouterr()
    assert cli("drift", "--on-server", "--format", "json") == 2
    found = json.loads(capsys.readouterr().out)
    assert [one["subject"] for one in found["database"]["differences"]] == [
        "public.users.nickname",
        "public.media_requests.media_requests_user_id_fkey",
        "public.names",
    ]
    (wanted,) = found["schema"]["differences"]
    assert wanted["subject"] == 'public."Extra"'
    for one in found["database"]["differences"]:
        run_sql(medianest_db, one["make_after_like_before"])
    migration = folder / "30000101000000_extra"
    migration.mkdir()
    (migration / "migration.sql").write_text(wanted["make_after_like_before"])
    run_sql(medianest_db, wanted["make_after_like_before"])
    run_sql(
        medianest_db,
        "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at)"
        " VALUES ('x', '', '30000101000000_extra', now())",
    )
    capsys.readouterr()
    assert cli("drift", "--on-server", "--format", "json") == 0
    left = json.loads(capsys.readouterr().out)
    assert left["database"]["differences"] == left["schema"]["differences"] == []


def test_the_live_server_is_not_written_under_read_only(cli: Cli) -> None:
    assert cli("drift", "--on-server", "--read-only") == 3
    assert cli("rollback-plan", INIT, "--on-server", "--read-only") == 3


@pytest.mark.slow
def test_by_default_the_live_server_is_only_read(
    cli: Cli, medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(medianest_db, f"ALTER DATABASE {medianest_db['dbname']} CONNECTION LIMIT 3")
    assert cli("drift") == 0
    assert "replayed on a temporary server of PostgreSQL" in capsys.readouterr().out


def test_a_plan_names_what_is_lost_and_changes_nothing(
    cli: Cli, medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("rollback-plan", INIT, "--on-server") == 0
    said = capsys.readouterr().out
    assert "-- First: medianest-console backup create --tier pre-deployment" in said
    assert "-- Lost: Every row of public.error_logs. Now: " in said
    assert "-- Lost: The values of public.users.password_hash. Now: " in said
    assert "DROP TABLE public.error_logs" in said
    for name in ("", "another"):
        assert cli("rollback-plan", INIT, "--on-server", "--confirm", name) == 3
    assert "nothing was done" in capsys.readouterr().err
    run_sql(medianest_db, "SELECT password_hash FROM users", "SELECT FROM error_logs")


def test_the_confirmed_rollback_backs_up_first_and_arrives(
    cli: Cli, medianest_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    confirmed = ("--on-server", "--confirm", medianest_db["dbname"])
    assert cli("rollback-plan", INIT, *confirmed) == 0
    told = capsys.readouterr().err
    assert told.index("backing up") < told.index("rolling back")
    (backup,) = Store(tmp_path / "backups").backups(medianest_db["dbname"])
    assert (backup.tier, backup.verdict) == (Tier.PRE_DEPLOYMENT, "pass")
    assert cli("status") == 0
    assert "1 applied, 2 rolled back" in capsys.readouterr().out
    assert cli("drift", "--on-server") == 0


def applied(database: Database, folder: Path, name: str, script: str) -> None:
    """One more migration, in the folder and in the database."""
    (folder / name).mkdir()
    (folder / name / "migration.sql").write_text(script)
    with psycopg.connect(**database) as connection:
        connection.execute(script.encode())
        connection.execute(
            "INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at)"
            " VALUES (%(name)s, %(checksum)s, %(name)s, now())",
            {"name": name, "checksum": hashlib.sha256(script.encode()).hexdigest()},
        )


def test_what_comes_back_empty_is_named_and_an_enum_value_comes_back(
    cli: Cli, medianest_db: Database, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = "30000101000000_mood", "30000102000000_calm"
    applied(medianest_db, folder, first, "CREATE TYPE mood AS ENUM ('calm', 'wild');")
    shrink = "DROP TYPE mood; CREATE TYPE mood AS ENUM ('calm');"
    applied(medianest_db, folder, second, f"{shrink} ALTER TABLE users DROP COLUMN plex_username;")
    confirmed = ("--on-server", "--confirm", medianest_db["dbname"])
    assert cli("rollback-plan", first, *confirmed) == 0
    said = capsys.readouterr().out
    assert "Comes back without what it held: column public.users.plex_username." in said
    assert cli("drift", "--on-server") == 2, "schema.prisma has no mood"
    assert "no drift" in capsys.readouterr().out
    run_sql(medianest_db, "SELECT 'wild'::mood, plex_username FROM users")


def test_no_rollback_runs_over_a_database_that_has_drifted(
    cli: Cli, medianest_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(medianest_db, "ALTER TABLE users ADD COLUMN nickname text")
    confirmed = ("--on-server", "--confirm", medianest_db["dbname"])
    assert cli("rollback-plan", INIT, *confirmed) == 3
    assert "is not what its migrations make: public.users.nickname" in capsys.readouterr().err
    assert Store(tmp_path / "backups").backups(medianest_db["dbname"]) == ()
    assert cli("status") == 0


def test_what_the_rollback_cannot_finish_leaves_no_trace(
    cli: Cli, medianest_db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """The trigger's function is where drift is not looked for."""
    run_sql(
        medianest_db,
        "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$",
        "CREATE EVENT TRIGGER refuse ON sql_drop EXECUTE FUNCTION refuse()",
        "ALTER FUNCTION refuse() SET SCHEMA information_schema",
    )
    confirmed = ("--on-server", "--confirm", medianest_db["dbname"])
    assert cli("rollback-plan", INIT, *confirmed) != 0
    assert "The rollback was undone: not today" in capsys.readouterr().err
    run_sql(medianest_db, "DROP EVENT TRIGGER refuse")
    assert cli("status") == 0
    assert "OK  3 applied" in capsys.readouterr().out
