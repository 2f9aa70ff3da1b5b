"""What surrounds a server: standbys that really stream, managers recognised, Citus's nodes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from clusters import STANDBY, Pair, streaming_pair
from conftest import run_sql
from psycopg.conninfo import make_conninfo
from recovery import wait_until

from console import fleet, fleet_words
from console.cli import main
from console.settings import read_settings


def settings_of(directory: Path, **databases: dict[str, Any]) -> Path:
    path = directory / "settings.yaml"
    targets = {name: {"url": make_conninfo(**at)} for name, at in databases.items()}
    document = {"targets": targets, "backups": {"directory": str(directory / "backups")}}
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


class Fleet:
    """The fleet of a settings file, as the command's JSON and as the words of the screen."""

    def __init__(self, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._capsys = capsys

    def of(self, name: str) -> dict[str, Any]:
        self._capsys.readouterr()
        main(["fleet", "--settings", str(self._settings), "--json"])
        told = json.loads(self._capsys.readouterr().out)
        found: dict[str, Any] = next(line for line in told if line["target"] == name)
        assert found["problem"] == ""
        return found

    def facts(self, name: str) -> dict[str, str]:
        members = asyncio.run(fleet.look(read_settings(self._settings)))
        return dict(fleet_words.facts(next(m for m in members if m.name == name)))


@pytest.mark.slow
@pytest.mark.parametrize("major", [18, 15])
def test_a_primary_tells_its_followers_and_a_standby_how_far_it_is(
    major: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with streaming_pair(major) as pair:
        path = settings_of(tmp_path, home=pair.at_primary(), spare=pair.at_standby())
        seen = Fleet(path, capsys)
        # A standby can tell its lag once it has replayed a transaction.
        run_sql(pair.at_primary(), "CREATE TABLE t (n int)")
        wait_until(lambda: _caught_up(seen), 30, "the standby streams and has caught up")
        assert seen.of("home")["role"] == "primary"
        assert seen.of("spare")["role"] == "standby"
        assert seen.facts("home")["followers"] == f"{STANDBY}: streaming, async, nothing behind"
        assert seen.facts("spare")["replay"] == "streams, all received is replayed"
        assert seen.facts("spare")["conflicts"] == "none"

        _paused_replay_is_behind(pair, seen)
        _a_query_in_the_way_is_counted(pair, seen)
        pair.standby.stop()
        _a_slot_nobody_uses_is_told(pair, seen)


def _caught_up(seen: Fleet) -> bool:
    followers = seen.of("home")["followers"]
    return bool(followers) and followers[0]["bytes_behind"] == 0


def _paused_replay_is_behind(pair: Pair, seen: Fleet) -> None:
    run_sql(pair.at_standby(), "SELECT pg_wal_replay_pause()")
    run_sql(pair.at_primary(), "INSERT INTO t SELECT generate_series(1, 20000)")
    wait_until(
        lambda: seen.of("spare")["replication"]["bytes_to_replay"] > 500_000, 30, "it is behind"
    )
    spare = seen.of("spare")["replication"]
    assert spare["receives"]
    assert spare["seconds_behind"] > 0
    follower = seen.of("home")["followers"][0]
    assert (follower["name"], follower["state"], follower["sync"]) == (
        STANDBY,
        "streaming",
        "async",
    )
    assert follower["bytes_behind"] > 500_000
    assert "behind" in seen.facts("home")["followers"]
    assert "to replay" in seen.facts("spare")["replay"]
    run_sql(pair.at_standby(), "SELECT pg_wal_replay_resume()")
    wait_until(lambda: _caught_up(seen), 30, "it caught up again")


def _a_query_in_the_way_is_counted(pair: Pair, seen: Fleet) -> None:
    with psycopg.connect(**pair.at_standby()) as reader:
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM t")
        run_sql(pair.at_primary(), "DELETE FROM t", "VACUUM t")
        with pytest.raises(psycopg.Error, match="conflict with recovery"):
            wait_until(lambda: reader.execute("SELECT count(*) FROM t") is None, 30, "it is ended")
    wait_until(lambda: bool(seen.of("spare")["conflicts"]), 30, "the conflict is counted")
    assert seen.of("spare")["conflicts"] == [{"cause": "snapshot", "number": 1}]
    assert seen.facts("spare")["conflicts"] == "1 query ended by replay: 1 snapshot"
    assert seen.of("home")["conflicts"] == []


def _a_slot_nobody_uses_is_told(pair: Pair, seen: Fleet) -> None:
    run_sql(pair.at_primary(), "INSERT INTO t SELECT generate_series(1, 20000)")
    wait_until(lambda: not seen.of("home")["slots"][0]["is_active"], 30, "the slot is inactive")
    home = seen.of("home")
    assert home["followers"] == []
    assert home["slots"][0]["name"] == STANDBY
    assert home["slots"][0]["retained_bytes"] > 500_000
    assert seen.facts("home")["slots"].startswith(f"{STANDBY}: inactive, holds ")
    assert "followers" not in seen.facts("home")
