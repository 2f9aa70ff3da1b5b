"""Restores through pgBackRest: beside, where nothing of the original is touched, and in place."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from backrests import Backrests, backrest_server

from console.cli import main
from console.errors import ActionRefused, CommandFailed, ExitCode
from console.pgbackrest.backrest import Backrest
from console.pgbackrest.info import read_stanza
from console.pgbackrest.proofs import read_proofs
from console.pgbackrest.restore import find_restored, restore_beside, restore_in_place
from console.pitr.side import drop
from console.pitr.targets import Wanted

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LATEST = Wanted("latest")


@pytest.fixture(scope="module")
def backrests() -> Iterator[Backrests]:
    """A server with a full backup, a tablespace, and a table that was emptied since."""
    with backrest_server(15) as made:
        space = made.root / "space"
        space.mkdir()
        made.server.give(space)
        made.pgbackrest("stanza-create")
        made.sql(
            f"CREATE TABLESPACE space LOCATION '{space}'",
            "CREATE TABLE rows AS SELECT g AS id FROM generate_series(1, 1000) g",
            "CREATE TABLE elsewhere TABLESPACE space AS SELECT 7 AS id",
        )
        made.pgbackrest("backup", "--type=full")
        # pgBackRest takes a backup for a moment only when a whole second lies between.
        made.sql("SELECT pg_sleep(2)")
        yield made


def rows_of(database: dict[str, Any], table: str = "rows") -> int:
    with psycopg.connect(**database) as connection:
        found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert found is not None
    return int(found[0])


def before_the_mistake(backrests: Backrests) -> Wanted:
    """Empty the table; the moment before that."""
    backrests.sql("INSERT INTO rows SELECT g FROM generate_series(1001, 1010) g")
    ((moment,),) = backrests.sql("SELECT clock_timestamp()")
    backrests.sql("DELETE FROM rows", "SELECT pg_switch_wal()")
    backrests.pgbackrest("check")
    return Wanted("time", moment.isoformat())


async def test_a_moment_is_restored_beside_and_touches_nothing_of_the_original(
    backrests: Backrests,
) -> None:
    wanted = before_the_mistake(backrests)
    kept = {path for path in backrests.repository.rglob("*") if path.is_file()}
    copy = backrests.root / "copy"
    told: list[str] = []
    arguments = (backrests.backrest, backrests.target, backrests.settings, copy)
    restored = await restore_beside(*arguments, wanted, "", told.append)
    side = restored.side
    try:
        database: dict[str, Any] = dict(side.target().parameters)
        assert rows_of(database) == 1010
        assert rows_of(database, "elsewhere") == 1
        assert rows_of(dict(backrests.target.parameters)) == 0
        with psycopg.connect(**database, autocommit=True) as connection:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute("DELETE FROM rows")
            assert connection.execute("SHOW archive_mode").fetchone() == ("off",)
            assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
            (place,) = connection.execute(
                "SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'"
            ).fetchone() or ("",)
            assert Path(place).is_relative_to(copy)
        assert {path for path in backrests.repository.rglob("*") if path.is_file()} == kept
        assert "copied 100%" in told
        stanza = await read_stanza(backrests.backrest)
        drilled = read_proofs("home", stanza).drilled[stanza.backups[0].label]
        assert drilled.restore_seconds is not None
        with pytest.raises(ActionRefused, match="is not empty"):
            await restore_beside(*arguments, LATEST, "", told.append)
        assert rows_of(database) == 1010
    finally:
        drop(find_restored(copy))
    assert not copy.exists()
    assert not side.running
    with pytest.raises(ActionRefused, match="holds no copy"):
        find_restored(backrests.root / "space")


def test_the_latest_is_restored_and_dropped_by_command(
    backrests: Backrests, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = backrests.root / "latest"
    common = ["--settings", str(backrests.settings_file), "--target", "home"]
    assert main(["pgbackrest", "restore", "--into", str(copy), *common]) == ExitCode.OK
    said = capsys.readouterr().out
    assert "home as of the end of the archive" in said
    assert f"pgbackrest drop {copy}" in said
    database: dict[str, Any] = dict(find_restored(copy).target().parameters)
    assert rows_of(database) == rows_of(dict(backrests.target.parameters))
    # What the copy writes as WAL stays with it.
    archived = set(backrests.repository.glob("archive/home/*/*/*"))
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute("SELECT pg_switch_wal()")
    assert main(["pgbackrest", "drop", str(copy), *common]) == ExitCode.OK
    assert set(backrests.repository.glob("archive/home/*/*/*")) == archived
    assert not copy.exists()
    refused = ["pgbackrest", "restore", "--into", str(copy), "--read-only", *common]
    assert main(refused) == ExitCode.UNKNOWN
    assert not copy.exists()


async def test_what_cannot_be_recovered_or_begun_leaves_nothing(backrests: Backrests) -> None:
    copy = backrests.root / "future"
    copy.mkdir()
    arguments = (backrests.target, backrests.settings, copy)
    future = Wanted("time", (datetime.now(UTC) + timedelta(days=1)).isoformat())
    with pytest.raises(CommandFailed, match="before configured recovery target") as late:
        await restore_beside(backrests.backrest, *arguments, future, "", lambda line: None)
    assert list(copy.iterdir()) == []
    assert "is in the archive yet" in late.value.hint
    past = Wanted("time", "2020-01-01 00:00:00+00")
    with pytest.raises(CommandFailed, match="unable to find backup set with stop time") as early:
        await restore_beside(backrests.backrest, *arguments, past, "", lambda line: None)
    assert "no backup had ended before it" in early.value.hint
    with pytest.raises(CommandFailed, match="backup set 20200101-000000F is not valid"):
        await restore_beside(
            backrests.backrest, *arguments, LATEST, "20200101-000000F", lambda line: None
        )
    assert list(copy.iterdir()) == []
    container = replace(backrests.backrest.settings, command=("docker", "exec", "db", "pgbackrest"))
    with pytest.raises(ActionRefused, match="runs elsewhere") as refused:
        await restore_beside(Backrest(container), *arguments, LATEST, "", lambda line: None)
    assert "docker exec db pgbackrest --stanza=home" in refused.value.hint


def test_ended_in_the_middle_it_takes_back_what_it_began(backrests: Backrests) -> None:
    copy = backrests.root / "ended"
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "pgbackrest", "restore", "--into", str(copy),
         "--settings", str(backrests.settings_file), "--target", "home"],
        cwd=ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("copied "):
            process.send_signal(signal.SIGTERM)
            break
    assert "Interrupted." in process.stderr.read()
    process.stderr.close()
    assert process.wait() == ExitCode.INTERRUPTED
    assert not copy.exists()


async def test_in_place_only_where_the_server_is_down_and_the_stanza_is_named(
    backrests: Backrests,
) -> None:
    with pytest.raises(ActionRefused, match="is running: nothing is restored over it"):
        await restore_in_place(backrests.backrest, backrests.target, LATEST, "", lambda line: None)
    backrests.sql("INSERT INTO rows SELECT 1", "SELECT pg_switch_wal()")
    backrests.pgbackrest("check")
    data = backrests.server.data_directory
    await backrests.server.stop_async()
    (data / "PG_VERSION").rename(data / "PG_VERSION.lost")
    with pytest.raises(CommandFailed, match=r"\[040\]"):
        await restore_in_place(backrests.backrest, backrests.target, LATEST, "", lambda line: None)
    (data / "PG_VERSION.lost").rename(data / "PG_VERSION")
    (data / "base").rename(data / "base.lost")
    label = await restore_in_place(
        backrests.backrest, backrests.target, LATEST, "", lambda line: None
    )
    assert label.endswith("F")
    await backrests.server.start_async()
    backrests.wait_until_it_writes()
    assert rows_of(dict(backrests.target.parameters)) == 1


def test_in_place_asks_for_the_stanzas_name(
    backrests: Backrests, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    common = ["--in-place", "--settings", str(backrests.settings_file), "--target", "home"]
    assert main(["pgbackrest", "restore", *common]) == ExitCode.UNKNOWN
    assert "Add --confirm home." in capsys.readouterr().err
    assert main(["pgbackrest", "restore", "--confirm", "other", *common]) == ExitCode.UNKNOWN
    assert "this is about 'home'" in capsys.readouterr().err
    assert main(["pgbackrest", "restore", "--confirm", "home", *common]) == ExitCode.UNKNOWN
    assert "is running: nothing is restored over it" in capsys.readouterr().err
