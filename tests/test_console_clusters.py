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
from console.local_server import LocalServer, find_binaries
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

        _a_limited_role_sees_that_there_is_a_follower(pair, tmp_path, capsys)
        _paused_replay_is_behind(pair, seen)
        _a_query_in_the_way_is_counted(pair, seen)
        pair.standby.stop()
        _a_slot_nobody_uses_is_told(pair, seen)


def _caught_up(seen: Fleet) -> bool:
    followers = seen.of("home")["followers"]
    return bool(followers) and followers[0]["bytes_behind"] == 0


def _a_limited_role_sees_that_there_is_a_follower(
    pair: Pair, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_sql(pair.at_primary(), "CREATE ROLE seer LOGIN PASSWORD 'only-looks'")
    limited = {**pair.at_primary(), "user": "seer", "password": "only-looks"}
    (directory / "limited").mkdir()
    seen = Fleet(settings_of(directory / "limited", home=limited), capsys)
    assert len(seen.of("home")["followers"]) == 1
    assert seen.facts("home")["followers"] == (
        "one that your role may not see; GRANT pg_monitor shows it"
    )
    assert f"{STANDBY}: active" in seen.facts("home")["slots"]


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


PATRONI_COMMAND_LINE = {
    "cluster_name": "shop",
    "hot_standby": "on",
    "max_connections": "100",
    "max_locks_per_transaction": "64",
    "max_prepared_transactions": "0",
    "max_replication_slots": "10",
    "max_wal_senders": "10",
    "max_worker_processes": "8",
    "track_commit_timestamp": "off",
    "wal_level": "replica",
    "wal_log_hints": "on",
}
"""As Patroni 4.0.5 started a PostgreSQL 15; it gives listen_addresses and port as well."""


def test_managers_are_recognised_by_what_they_leave_and_no_other_server_is(
    server_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = LocalServer(find_binaries(18), server_directory, {"fsync": "off"})
    server.initdb()

    def started(**settings: str) -> Fleet:
        server.stop()
        server.settings = {"fsync": "off", **settings}
        server.start()
        return Fleet(settings_of(tmp_path, it=server.conninfo("postgres")), capsys)

    try:
        nearly = {k: v for k, v in PATRONI_COMMAND_LINE.items() if k != "wal_log_hints"}
        for ordinary in ({}, {"cluster_name": "shop"}, nearly):
            seen = started(**ordinary)
            assert seen.of("it")["manager"] is None
            assert "managed" not in seen.facts("it")

        seen = started(**PATRONI_COMMAND_LINE)
        assert seen.facts("it")["managed"].startswith("looks like Patroni, cluster shop. Change")
        heartbeat: dict[str, Any] = dict(server.conninfo("postgres"))
        heartbeat["application_name"] = "Patroni heartbeat"
        with psycopg.connect(**heartbeat):
            assert seen.of("it")["manager"]["is_certain"]
            assert seen.facts("it")["managed"].startswith("Patroni, cluster shop. Change settings")

        # These two are in CloudNativePG's configuration; the second from PostgreSQL 17 on.
        seen = started(
            **{"cluster_name": "media", "cnpg.config_sha256": "3cfa", "allow_alter_system": "off"}
        )
        assert seen.facts("it")["managed"] == (
            "CloudNativePG, cluster media. Change settings in its Cluster resource, not by ALTER"
            " SYSTEM. The server refuses it."
        )
    finally:
        server.stop()


CITUS_CONTROL = """
comment = 'the shape of the metadata of Citus 13, without Citus'
default_version = '13.0-1'
relocatable = false
schema = pg_catalog
"""
CITUS_SHAPE = """
CREATE TYPE noderole AS ENUM ('primary', 'secondary', 'unavailable');
CREATE TABLE pg_dist_node (
    nodeid int PRIMARY KEY, groupid int NOT NULL, nodename text NOT NULL,
    nodeport int NOT NULL DEFAULT 5432, noderack text NOT NULL DEFAULT 'default',
    hasmetadata bool NOT NULL DEFAULT false, isactive bool NOT NULL DEFAULT true,
    noderole noderole NOT NULL DEFAULT 'primary', nodecluster name NOT NULL DEFAULT 'default',
    metadatasynced bool NOT NULL DEFAULT false, shouldhaveshards bool NOT NULL DEFAULT true,
    UNIQUE (nodename, nodeport));
CREATE TABLE pg_dist_placement (
    placementid bigint NOT NULL, shardid bigint NOT NULL, shardstate int NOT NULL,
    shardlength bigint NOT NULL, groupid int NOT NULL);
CREATE TABLE shape_of_sizes (shardid bigint, size bigint);
CREATE VIEW citus_shards AS
    SELECT p.shardid, n.nodename, n.nodeport, s.size AS shard_size
    FROM pg_dist_placement p JOIN pg_dist_node n USING (groupid)
    LEFT JOIN shape_of_sizes s USING (shardid) WHERE p.shardstate = 1;
GRANT SELECT ON pg_dist_node, pg_dist_placement, citus_shards TO public;
"""


def test_the_nodes_and_shards_of_citus_are_listed(
    server_directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Citus cannot be had here: an extension of its name has its columns, and no more of it."""
    extensions = server_directory / "extensions"
    given = {"allow_system_table_mods": "on", "extension_control_path": f"{extensions}:$system"}
    server = LocalServer(find_binaries(18), server_directory, {"fsync": "off", **given})
    server.initdb()
    (extensions / "extension").mkdir(parents=True)
    (extensions / "extension" / "citus.control").write_text(CITUS_CONTROL)
    (extensions / "extension" / "citus--13.0-1.sql").write_text(CITUS_SHAPE)
    with server:
        database = server.conninfo("postgres")
        seen = Fleet(settings_of(tmp_path, media=database), capsys)
        assert seen.of("media")["citus"] is None
        run_sql(
            database,
            "CREATE EXTENSION citus",
            "INSERT INTO pg_dist_node (nodeid, groupid, nodename, isactive, shouldhaveshards)"
            " VALUES (1, 0, 'head', true, false), (2, 1, 'w1', true, true),"
            " (3, 2, 'w2', false, true)",
            "INSERT INTO pg_dist_placement"
            " SELECT n, n, 1, 0, 1 + n % 2 FROM generate_series(1, 5) n",
            "INSERT INTO pg_dist_placement VALUES (9, 9, 4, 0, 1)",
            "INSERT INTO shape_of_sizes SELECT n, n * 1048576 FROM generate_series(1, 5) n",
        )
        assert seen.facts("media")["Citus"].splitlines() == [
            "13.0-1, 3 nodes",
            "head:5432: coordinator, 0 shards",
            "w1:5432: worker, 2 shards, 6.0 MB",
            "w2:5432: worker, out of use, 3 shards, 9.0 MB",
        ]
        found = seen.of("media")
        assert [member["bytes"] for member in found["citus"]["members"]] == [None, 6291456, 9437184]
        warned = [f for f in found["findings"] if f["check"] == "fleet.citus"]
        assert [f["severity"] for f in warned] == ["warning"]

        # A worker that does not answer holds the question up; the line stays, without sizes.
        run_sql(
            database,
            "CREATE OR REPLACE VIEW pg_catalog.citus_shards AS SELECT 1::bigint AS shardid,"
            " nodename, nodeport, 1::bigint AS shard_size FROM pg_dist_node, pg_sleep(30)",
        )
        assert "w1:5432: worker, 2 shards, size not known" in seen.facts("media")["Citus"]
        run_sql(database, "ALTER TABLE pg_dist_node RENAME TO away")
        unseen = seen.of("media")
        assert "cannot be read" in unseen["findings"][0]["message"]
        assert unseen["verdict"] == "unknown"
