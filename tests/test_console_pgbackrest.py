"""What pgBackRest tells, of any version, read and judged; and what it refuses, in our words."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from console import documents
from console.backup.history import Newest
from console.backup.manifest import Check, Verdict, proof
from console.cli import main
from console.errors import ActionRefused, CommandFailed, ExitCode, SettingsError
from console.findings import Severity, worst
from console.pgbackrest.backrest import Backrest, failure, require
from console.pgbackrest.describe import Lines, details
from console.pgbackrest.info import MIXED, NO_BACKUP, parse, read_stanza
from console.pgbackrest.policy import PgbackrestSettings
from console.pgbackrest.proofs import Proofs, keep_drilled, keep_verified, read_proofs
from console.pgbackrest.proven import newest_proven
from console.pgbackrest.status import judge, segments_behind
from console.pgbackrest.verify import WalSpan, checks_of, read
from console.process import Finished
from console.settings import Settings
from queries.pgbackrest import WalArchiving

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
BACKREST = Backrest(PgbackrestSettings("home"))
NOTHING = Proofs("home", "")


def a_backup(label: str, *, kind: str = "full", hours: float = 1.0, **more: Any) -> dict[str, Any]:
    stop = int((NOW - timedelta(hours=hours)).timestamp())
    return {
        "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
        "database": {"id": 1, "repo-key": 1},
        "error": False,
        "info": {"size": 1000, "delta": 900, "repository": {"size": 300, "delta": 200}},
        "label": label,
        "reference": None,
        "timestamp": {"start": stop - 60, "stop": stop},
        "type": kind,
    } | more


def an_answer(*backups: dict[str, Any], code: int = 0, **more: Any) -> str:
    stanza = {
        "name": "home",
        "status": {"code": code, "message": "ok", "lock": {"backup": {"held": False}}},
        "repo": [{"key": 1, "cipher": "none", "status": {"code": code, "message": "told"}}],
        "db": [{"id": 1, "repo-key": 1, "system-id": 7712527039363459891, "version": "15"}],
        "archive": [
            {
                "database": {"id": 1, "repo-key": 1},
                "id": "15-1",
                "min": "000000010000000000000002",
                "max": "000000010000000000000009",
            }
        ],
        "backup": list(backups),
    }
    return json.dumps([{"name": "other", "status": {"code": 3}}, stanza | more])


def a_server(**more: Any) -> WalArchiving:
    server = WalArchiving(
        system_identifier="7712527039363459891",
        in_recovery=False,
        lsn="0/A000060",
        segment_bytes=16 * 2**20,
        archive_mode="on",
        last_archived_wal="000000010000000000000009",
        last_archived=NOW - timedelta(minutes=1),
        last_failed_wal=None,
        last_failed=None,
        at=NOW,
    )
    return replace(server, **more)


def test_every_versions_answer_is_read_as_far_as_it_tells() -> None:
    found = parse(an_answer(a_backup("A", hours=9), a_backup("B", kind="incr")), "home")
    assert [backup.label for backup in found.backups] == ["B", "A"]
    newest = found.backups[0]
    assert (newest.bytes, newest.repo_delta_bytes, newest.page_errors) == (1000, 200, False)
    assert newest.seconds == 60
    assert found.wal_ends == {1: "000000010000000000000009"}
    assert (found.fraction, found.busy) == (None, False)

    # 2.27: no repositories, no keys of them, no error flag.
    old = a_backup("A", database={"id": 1})
    del old["error"]
    entry: dict[str, Any] = {
        "repo": None,
        "db": [{"id": 1, "system-id": 7, "version": "9.4"}],
        "archive": [{"database": {"id": 1}, "min": None, "max": None}],
        "status": {"code": 0, "message": "ok"},
    }
    found = parse(an_answer(old, **entry), "home")
    assert found.repositories == ()
    assert found.backups[0].page_errors is None
    assert found.wal_ends == {}

    # 2.59: block-incremental sizes are maps, a running backup tells how far it is.
    new = a_backup("A", info={"size": 5, "delta": 5, "repository": {"delta": 2, "size-map": 9}})
    lock = {"backup": {"held": True, "size": 1000, "size-cplt": 250}, "restore": {"held": False}}
    found = parse(an_answer(new, status={"code": 0, "message": "ok", "lock": lock}), "home")
    assert found.backups[0].repo_bytes is None
    assert (found.busy, found.fraction) == (True, 0.25)

    named = a_backup("A") | {"database-ref": [{"name": "shop", "oid": 5}, {"oid": 6}, 7]}
    found = parse(an_answer(named), "home")
    assert found.backups[0].databases == ("shop",)
    assert "databases    shop" in details(found.backups[0], NOTHING, NOW)

    # After an upgrade the WAL of the current cluster counts.
    both = [
        {"database": {"id": number}, "max": segment}
        for number, segment in [(1, "0000000900000009000000FF"), (2, "00000002000000000000000A")]
    ]
    clusters = [{"id": 1, "system-id": 7}, {"id": 2, "system-id": 8}]
    found = parse(an_answer(archive=both, db=clusters), "home")
    assert found.cluster is not None
    assert found.cluster.system_identifier == "8"
    assert found.wal_ends == {1: "00000002000000000000000A"}

    # What cannot be a backup is passed over, and what is no answer is refused.
    odd: list[dict[str, Any]] = [{}, a_backup(""), a_backup("X", timestamp=None)]
    assert parse(an_answer(*odd), "home").backups == ()
    for text in ("", "no JSON", "{}", "[3]", "[]"):
        with pytest.raises(CommandFailed, match="not understood"):
            parse(text, "home")


@pytest.mark.parametrize(
    ("stanza", "server", "expected", "words"),
    [
        ({}, {}, Severity.WARNING, "No backup was verified from here."),
        ({"code": 1}, {}, Severity.FAILURE, "knows no stanza home"),
        ({"code": NO_BACKUP}, {}, Severity.FAILURE, "holds no backup"),
        ({"code": MIXED}, {}, Severity.FAILURE, "Repository 1: told."),
        ({"code": 99}, {}, Severity.UNKNOWN, "cannot be read: told."),
        ({"error": True}, {}, Severity.FAILURE, "failed their checksums while A was copied"),
        ({"hours": 40}, {}, Severity.WARNING, "was made 40 h ago"),
        ({}, {"system_identifier": "3"}, Severity.FAILURE, "of another cluster"),
        ({}, {"archive_mode": "off"}, Severity.FAILURE, "archive_mode is off"),
        ({}, {"last_failed": NOW}, Severity.FAILURE, "archive_command fails, last just now"),
        ({}, {"last_failed": NOW - timedelta(days=1)}, Severity.WARNING, "archive keeps up"),
        ({}, {"lsn": "0/C000060"}, Severity.WARNING, "keeps up with the server: 2 segments"),
        ({}, {"lsn": "0/14000060"}, Severity.WARNING, "10 segments (160 MB) behind"),
        ({}, None, Severity.UNKNOWN, "keeps up is not known: It is down."),
    ],
)
def test_the_verdict_is_the_worst_of_what_is_found(
    stanza: dict[str, Any], server: dict[str, Any] | None, expected: Severity, words: str
) -> None:
    given = dict(stanza)
    code = given.pop("code", 0)
    backups = [] if code else [a_backup("A", **given)]
    asked = a_server(**server) if server is not None else None
    found = judge(BACKREST, parse(an_answer(*backups, code=code), "home"), asked, NOTHING, NOW,
                  "" if asked else "It is down.")  # fmt: skip
    assert worst(found) is expected
    assert words in " ".join(finding.message for finding in found)


def test_a_proof_counts_for_the_backup_and_the_cluster_it_is_of() -> None:
    stanza = parse(an_answer(a_backup("A", hours=9), a_backup("B")), "home")
    good = proof("verify", [Check("files", Verdict.PASS, "all")], 1.0)
    bad = proof("verify", [Check("files", Verdict.FAIL, "one is gone")], 1.0)
    assert set(keep_verified("a/b", stanza, {"A": good, "gone": good}).verified) == {"A"}
    kept = keep_drilled("a/b", stanza, "B", bad)
    assert (set(kept.verified), set(kept.drilled)) == ({"A"}, {"B"})
    assert read_proofs("a/b", stanza) == kept
    upgraded = parse(an_answer(db=[{"id": 2, "system-id": 8}]), "home")
    assert read_proofs("a/b", upgraded) == Proofs("home", "8")

    def messages(proofs: dict[str, Any]) -> str:
        known = Proofs("home", "", verified=proofs)
        return " ".join(f.message for f in judge(BACKREST, stanza, a_server(), known, NOW))

    assert "The newest backup, made 60 min ago, was verified" in messages({"B": good})
    assert "The backup A, made 9 h ago, was verified" in messages({"A": good})
    assert "The backup B is damaged: files: one is gone." in messages({"B": bad})


def test_the_newest_proven_backup_may_be_pgbackrests(tmp_path: Path) -> None:
    written = f"pgbackrest: {{home: {{stanza: home}}}}\nbackups: {{directory: {tmp_path}}}"
    settings = documents.parse(written, Settings, "settings.yaml")
    stanza = parse(an_answer(a_backup("A", hours=9), a_backup("B")), "home")
    good = proof("verify", [Check("files", Verdict.PASS, "all")], 1.0)
    bad = proof("verify", [Check("files", Verdict.FAIL, "one is gone")], 1.0)
    assert newest_proven(settings, "home") == Newest(None, None)
    keep_verified("home", stanza, {"A": good, "B": bad})
    keep_drilled("home", stanza, "A", good)
    found = newest_proven(settings, "home")
    assert found.verified is not None
    assert (found.verified.id, found.verified.made_at) == ("A", NOW - timedelta(hours=9))
    assert found.drilled is not None
    assert found.drilled.drill == good
    other = documents.parse(written.replace("stanza: home", "stanza: b"), Settings, "settings.yaml")
    assert newest_proven(other, "home") == Newest(None, None)
    assert newest_proven(Settings(backups=settings.backups), "home") == Newest(None, None)


def test_segments_are_counted_from_the_newest_archived_one() -> None:
    stanza = parse(an_answer(), "home")
    assert segments_behind(stanza, a_server(lsn="0/A000000")) == 0
    assert segments_behind(stanza, a_server(lsn="1/0000000")) == 246
    assert segments_behind(stanza, a_server(lsn="0/1")) == 0
    assert segments_behind(stanza, None) is None
    second = replace(stanza.wal[0], repo=2, max="000000010000000000000004")
    later = replace(stanza.clusters[0], repo=2)
    both = replace(stanza, wal=(*stanza.wal, second), clusters=(*stanza.clusters, later))
    assert segments_behind(both, a_server()) == 5
    assert segments_behind(replace(stanza, wal=()), a_server()) is None


VERIFIED = """\
stanza: home
status: ok
  archiveId: 15-1, total WAL checked: 17, total valid WAL: 16
    missing: 0, checksum invalid: 0, size invalid: 0, other: 1
  backup: A, status: valid, total files checked: 964, total valid files: 964
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: A_B, status: manifest missing, total files checked: 0, total valid files: 0
"""


def test_what_verify_says_is_read_and_nothing_read_is_no_pass() -> None:
    lines = (
        "INFO: invalid result 15-1/0000000100000000/000000010000000000000011-9958.gz: [29] raised",
        "INFO: invalid checksum 'A/pg_data/base/5/2838.gz'",
        "DETAIL: archiveId: 15-1, wal start: 000000010000000000000002, wal stop: "
        "00000001000000000000000A",
    )
    found = read(VERIFIED, lines)
    assert found.backups["A"].valid == 964
    assert found.backups["A_B"].status == "manifest missing"
    assert found.spans == (WalSpan(1, "000000010000000000000002", "00000001000000000000000A"),)
    assert found.bad_segments(1) == ["000000010000000000000011"]
    assert found.bad_segments(2) == []
    assert "A/pg_data/base/5/2838.gz" in found.bad_files
    for nothing in ("", "stanza: home\nstatus: error\n  No usable backup.info file\n"):
        with pytest.raises(CommandFailed, match="could verify nothing"):
            read(nothing, ())


def test_the_wal_is_held_against_each_backup() -> None:
    (backup,) = parse(an_answer(a_backup("A")), "home").backups

    def said(*lines: str) -> tuple[Verdict, str]:
        files, wal = checks_of(backup, read(VERIFIED, lines))
        assert files.verdict is Verdict.PASS
        return wal.verdict, wal.answer

    def ranged(first: str, last: str) -> str:
        before = "0000000100000000000000"
        return f"DETAIL: archiveId: 15-1, wal start: {before}{first}, wal stop: {before}{last}"

    own, later = ranged("02", "0A"), ranged("0C", "0F")
    assert said()[0] is Verdict.COULD_NOT_VERIFY
    verdict, answer = said(own)
    assert (verdict, "leads on" in answer) == (Verdict.PASS, False)
    verdict, answer = said(own, later)
    assert verdict is Verdict.PASS
    assert "leads on to 00000001000000000000000A only: the next is missing" in answer
    bad = "'15-1/0000000100000000/00000001000000000000000{}-ab.gz'"
    verdict, answer = said(own, f"INFO: invalid checksum {bad.format(6)}")
    assert verdict is Verdict.PASS
    assert "leads on to 000000010000000000000006 only, which is damaged" in answer
    assert said(own, f"INFO: invalid size {bad.format(3)}") == (
        Verdict.FAIL,
        "segment 000000010000000000000003 is damaged",
    )
    assert said(later)[0] is Verdict.FAIL
    # Another timeline is no gap, and another cluster's WAL is none of its own.
    branched = later.replace("00000001000", "00000002000")
    assert "leads on" not in said(own, branched)[1]
    assert said(own.replace("15-1", "16-2"))[0] is Verdict.COULD_NOT_VERIFY
    assert "leads on" not in said(own, later.replace("15-1", "16-2"))[1]


def test_an_error_is_said_in_its_own_words_with_its_own_hint() -> None:
    lines = (
        "WARN: something",
        "ERROR: [055]: unable to load info file 'a' or 'b':",
        "       FileMissingError: unable to open missing file 'a' for read",
        "       HINT: archive.info cannot be opened but is required to push/get WAL segments.",
        "       HINT: is archive_command configured correctly in postgresql.conf?",
        "       HINT: has a stanza-create been performed?",
    )
    error = failure(Finished("pgbackrest", 55, lines, 0.1), "The check failed")
    assert str(error) == (
        "The check failed: unable to load info file 'a' or 'b': FileMissingError: unable to open"
        " missing file 'a' for read [055]. Archive.info cannot be opened but is required to"
        " push/get WAL segments; is archive_command configured correctly in postgresql.conf?"
    )
    held = ("P00  ERROR: [050]: unable to acquire lock on file 'x': it is held",)
    assert "wait until it ends" in failure(Finished("pgbackrest", 50, held, 0.1), "It").hint
    docker = ("Error response from daemon: No such container: db",)
    assert "No such container: db" in failure(Finished("docker", 1, docker, 0.1), "It").message


def test_its_lines_are_told_without_levels_options_and_files() -> None:
    told: list[str] = []
    lines = Lines(told.append)
    for line in (
        "INFO: backup command begin 2.45: --config=/a --stanza=home",
        "INFO: check archive for segment 01",
        "DETAIL: backup file /data/base/1 (32MB, 3.10%) checksum ab",
        "DETAIL: backup file /data/base/2 (32MB, 45.10%) checksum ab",
        "DETAIL: backup file /data/base/3 (bundle 1/2, 8KB, 46.10%) checksum ab",
        "DETAIL: backup file /data/100% sure (8KB, ?%) checksum",
        "WARN: no prior backup exists, incr backup has been changed to full",
        "      continued",
    ):
        lines(line)
    assert told == [
        "check archive for segment 01",
        "copied 40%",
        "warning: no prior backup exists, incr backup has been changed to full",
    ]


async def test_what_cannot_run_or_hangs_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Backrest(PgbackrestSettings("home", command=(str(tmp_path / "none"),), user="root"))
    with pytest.raises(CommandFailed, match="cannot be run: No such file"):
        await read_stanza(missing)
    hung = Backrest(PgbackrestSettings("home", command=("sh", "-c", "exec sleep 600")))
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="did not answer within"):
        await read_stanza(hung, seconds=0.2)
    assert time.monotonic() - began < 60
    silent = Backrest(PgbackrestSettings("home", command=("true", "--")))
    with pytest.raises(CommandFailed, match="not understood"):
        await read_stanza(silent)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ActionRefused, match="no account nobody-has-it to run pgBackRest as"):
        await read_stanza(Backrest(PgbackrestSettings("home", user="nobody-has-it")))


def test_settings_name_a_stanza_or_say_how_to(capsys: pytest.CaptureFixture[str]) -> None:
    written = "pgbackrest: {home: {stanza: main, command: [sudo, -u, postgres, pgbackrest]}}"
    settings = documents.parse(written, Settings, "settings.yaml")
    command = require(settings, "home").command("info", "--output=json")
    assert command.argv[:5] == ("sudo", "-u", "postgres", "pgbackrest", "--stanza=main")
    assert command.argv[-2:] == ("--output=json", "info")
    for wrong, expected in (
        ("{stanza: '--x'}", "a stanza of letters"),
        ("{stanza: a, command: []}", "a command of at least one word"),
        ("{config: /a}", "a key 'stanza'"),
    ):
        with pytest.raises(SettingsError, match=expected):
            documents.parse(f"pgbackrest: {{home: {wrong}}}", Settings, "settings.yaml")
    assert main(["pgbackrest", "status", "--dsn", "dbname=shop"]) == ExitCode.UNKNOWN
    said = capsys.readouterr().err
    assert "name no stanza of pgBackRest for 'shop'" in said
    assert "pgbackrest: {shop: {stanza: NAME}}" in said
