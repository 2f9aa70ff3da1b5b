"""Whatever a file holds, its reader answers with what it means or with one clear line.

FUZZ_EXAMPLES=5000 looks longer, and at other examples each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from deployments import SOUND
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console import documents, hba, profile
from console.backup import jsonfile
from console.backup.manifest import MANIFEST, RECORD
from console.backup.store import load as load_backup
from console.deploy.audit import audit, parse_server
from console.deploy.model import Server
from console.deploy.report import FORMATS as AUDIT_FORMATS
from console.deploy.writers import deployment
from console.errors import ConsoleError
from console.loadtest.latency import read_log
from console.loadtest.result import kept
from console.monitor.recording import read_recording
from console.pgbackrest.backrest import Backrest
from console.pgbackrest.describe import as_json as stanza_json
from console.pgbackrest.describe import status_text as stanza_text
from console.pgbackrest.info import parse as parse_stanza
from console.pgbackrest.policy import PgbackrestSettings
from console.pgbackrest.proofs import Proofs
from console.pgbackrest.status import Status as StanzaStatus
from console.pgbackrest.status import judge as judge_stanza
from console.pgbackrest.verify import read as read_verification
from console.plans import formats
from console.report import Report
from console.reporting.changes import with_changes
from console.reporting.model import Readiness
from console.restore.journal import ENTRIES, PROGRESS, read_entries, read_progress
from console.settings import Settings
from queries.pgbackrest import WalArchiving
from queries.security import HbaRule

_ASKED = os.environ.get("FUZZ_EXAMPLES", "")
fuzz = settings(
    max_examples=int(_ASKED or 60),
    derandomize=not _ASKED,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

TOKENS = (
    *"{}[]()<>:,-#&*!|>'\"%@`~?=\\\t\n\r\0\x1b\x85\u2028\ufeff",
    *(": ", "- ", "&a ", "*a", "<<: ", "---\n", "...\n", "\n\n", "!reset ", "!override ", "!!int "),
    *("!!python/object/apply:os.system ", "${", "${A:-", "${A:?", "$$", "$", "{{", "%YAML 9.9\n"),
    *("null", "true", "nan", ".inf", "-1", "1e999", "0x1f", "1:30", "9" * 400, "2030-13-99", "é"),
    *("[" * 1200, '{"a":' * 600, "(" * 3000, "<a>" * 2000, "  " * 500, "- " * 300, "<!DOCTYPE a>"),
    *("<!ENTITY b 'c'>&b;", "->  ", "(cost=0.00..1.00 rows=1 width=4)", "(actual time=", " rows=x"),
)


@st.composite
def damaged(draw: st.DrawFn, *seeds: str) -> str:
    """One of the seeds, cut, doubled, and with pieces put into it; sometimes nothing of one."""
    text = draw(st.sampled_from((*seeds, "")))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(start + draw(st.sampled_from((0, 0, 1, 3, 12, 80, 5000))), len(text))
        piece = draw(st.sampled_from(TOKENS) | st.text(max_size=8))
        kind = draw(st.sampled_from(("put", "put", "double", "line")))
        if kind == "put":
            text = text[:start] + piece + text[end:]
        elif kind == "double":
            text = text[:end] + text[start:]
        else:
            lines = text.split("\n")
            at = draw(st.integers(0, len(lines) - 1))
            lines[at] = draw(st.sampled_from(lines))
            text = "\n".join(lines)
    return text


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Nothing but a ConsoleError is raised, and it is a line that a person can read."""
    told: ConsoleError | None = None
    try:
        yield
    except ConsoleError as error:
        told = error
    if told is not None:
        assert told.message.strip()
        for words in (told.message, told.hint):
            assert "\n" not in words
            assert "Traceback" not in words
            assert "object at 0x" not in words
            assert len(words) < 700


@contextmanager
def as_file(content: str, name: str = "file.yaml") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        path.write_text(content, encoding="utf-8", newline="")
        yield path


SETTINGS = """\
target: home
refresh_seconds: 1.5
targets:
  home:
    url: postgresql://me@localhost/medianest
    profile: medianest
backups:
  directory: ~/backups
  formats: [custom, schema]
  compression: gzip:9
  retention: {daily_days: 7, keep_at_least: 3}
  schedule: {tiers: [daily], hour: 2}
tools: {directories: [/usr/bin]}
"""
WHOLE = profile.bundled("medianest")
PROFILE = profile.dump(replace(WHOLE, tables=dict([*WHOLE.tables.items()][:2])))
profile.parse(PROFILE, "a seed that is sound")


@fuzz
@given(damaged(SETTINGS))
def test_settings(content: str) -> None:
    with told_in_one_line():
        documents.parse(content, Settings, "settings.yaml")


@pytest.mark.slow
@fuzz
@given(damaged(PROFILE))
def test_profiles(content: str) -> None:
    with told_in_one_line():
        profile.parse(content, "profile.yaml")


@fuzz
@given(damaged(SOUND, deployment("hardened"), deployment("kubernetes")))
def test_compose_files_and_manifests(content: str) -> None:
    with as_file(content) as path, told_in_one_line():
        done = audit([path], variables={"A": "b"}, server=Server(17, 5, "Debian"))
        for form in AUDIT_FORMATS.values():
            form(done)


@fuzz
@given(damaged(SOUND), damaged(SOUND))
def test_compose_files_laid_over_each_other(below: str, above: str) -> None:
    with as_file(below) as path, told_in_one_line():
        other = path.with_name("other.yaml")
        other.write_text(above, encoding="utf-8", newline="")
        audit([path, other], variables={})


@fuzz
@given(damaged("# mine\nA=b\nexport C='d e'\nE=\"${A:-f}\"\nG\n"))
def test_env_files(content: str) -> None:
    with as_file(SOUND + "  x: {image: postgres, env_file: my.env}\n") as path:
        path.with_name("my.env").write_text(content, encoding="utf-8", newline="")
        path.with_name(".env").write_text(content, encoding="utf-8", newline="")
        with told_in_one_line():
            audit([path], variables={})


@fuzz
@given(damaged(deployment("systemd")))
def test_units(content: str) -> None:
    with as_file(content, "postgresql.service") as path, told_in_one_line():
        audit([path], variables={})


@fuzz
@given(damaged("17.6", "PostgreSQL 17.6 (Debian 17.6-1.pgdg12+1) on x86_64-pc-linux-gnu"))
def test_server_versions(content: str) -> None:
    with told_in_one_line():
        parse_server(content)


PLAN_TEXT = """\
 Hash Join  (cost=1.90..140.37 rows=6000 width=40) (actual time=0.031..1.713 rows=6000 loops=1)
   Hash Cond: (film.genre = genre.id)
   Buffers: shared hit=52 read=3
   ->  Seq Scan on public.film  (cost=0.00..115.00 rows=6000 width=29) (actual rows=6000 loops=1)
         Filter: (year > 1990)
         Rows Removed by Filter: 12
   ->  Hash  (cost=1.40..1.40 rows=40 width=11) (never executed)
         Sort Method: quicksort  Memory: 27kB
         Worker 0:  actual time=0.1..0.2 rows=3 loops=1
 Planning Time: 0.123 ms
 Trigger note_shout: time=1.0 calls=3
 Execution Time: 2.003 ms
(11 rows)
"""
PLAN: dict[str, Any] = {
    "Plan": {
        "Node Type": "Sort",
        "Startup Cost": 1.5,
        "Total Cost": 2.5,
        "Plan Rows": 10,
        "Plan Width": 4,
        "Actual Startup Time": 0.1,
        "Actual Total Time": 0.2,
        "Actual Rows": 3,
        "Actual Loops": 1,
        "Sort Key": ["a", "b DESC"],
        "Workers": [{"Worker Number": 0, "Actual Rows": 2}],
        "Plans": [{"Node Type": "Seq Scan", "Relation Name": "film", "Plan Rows": 10}],
    },
    "Planning Time": 0.1,
    "Triggers": [{"Trigger Name": "t", "Time": 0.5, "Calls": 1}],
    "Execution Time": 0.3,
}
PLAN_JSON = json.dumps([PLAN], indent=2)
PLAN_YAML = """\
- Plan:
    Node Type: "Sort"
    Plan Rows: 10
    Sort Key:
      - "a"
    Plans:
      - Node Type: "Seq Scan"
        Relation Name: "film"
        Actual Rows: 3.00
  Planning Time: 0.1
  Triggers:
"""
PLAN_XML = """\
<explain xmlns="http://www.postgresql.org/2009/explain"><Query><Plan>
<Node-Type>Sort</Node-Type><Plan-Rows>10</Plan-Rows><Sort-Key><Item>a</Item></Sort-Key>
<Plans><Plan><Node-Type>Seq Scan</Node-Type><Actual-Rows>3.00</Actual-Rows></Plan></Plans>
</Plan><Triggers></Triggers><Execution-Time>0.3</Execution-Time></Query></explain>
"""


@fuzz
@given(damaged(PLAN_TEXT, PLAN_JSON, PLAN_YAML, PLAN_XML))
def test_plans_of_every_format(content: str) -> None:
    with told_in_one_line():
        formats.read(content)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value somewhere in it replaced by anything, or gone."""
    copy = json.loads(json.dumps(document))
    place: Any = copy
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return copy
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 3)):
            place = place[key]
            continue
        if draw(st.integers(0, 3)):
            place[key] = draw(ANYTHING)
        else:
            del place[key]
        return copy


@fuzz
@given(altered([PLAN]))
def test_plans_with_a_value_of_the_wrong_kind(document: Any) -> None:
    with told_in_one_line():
        formats.read(json.dumps(document))


WORD = st.sampled_from(["all", "replication", "sameuser", "+a", "/^a", "a,b", "", "@f"])
ADDRESS = (
    st.none()
    | st.text(max_size=6)
    | st.sampled_from(
        ["all", "samenet", "10.0.0.0", "10.0.0.0/8", "::1/128", "10.0.0.0/99", "::/x", "1.2.3"]
    )
)
RULE = st.builds(
    HbaRule,
    file=st.text(max_size=3),
    line=st.integers(0, 99),
    type=st.sampled_from(["local", "host", "hostssl", "hostnossl", "", "x"]),
    databases=st.lists(WORD | st.text(max_size=3), max_size=3),
    users=st.lists(WORD | st.text(max_size=3), max_size=3),
    address=ADDRESS,
    netmask=st.none() | st.sampled_from(["255.0.0.0", "ffff::", "255.0.255.0", "x", ""]),
    method=st.sampled_from(["trust", "md5", "scram-sha-256", "", "x"]),
    options=st.lists(st.text(max_size=4), max_size=2),
    error=st.none() | st.text(max_size=4),
)


@fuzz
@given(st.lists(RULE, max_size=6))
def test_access_rules(rows: list[HbaRule]) -> None:
    hba.shadowed(hba.rules(rows))


MANIFEST_DOCUMENT: dict[str, Any] = {
    "schema_version": 1,
    "id": "20300101T000000Z-daily",
    "tier": "daily",
    "note": "",
    "target": "home",
    "database": "medianest",
    "place": "localhost:5432",
    "origin": "created",
    "started_at": "2030-01-01T00:00:00+00:00",
    "taken_at": "2030-01-01T00:00:01+00:00",
    "seconds": 1.5,
    "server_version": "18.6",
    "server_version_number": 180006,
    "tools_version": "18.6",
    "wal_position": "0/1",
    "in_recovery": False,
    "compression": "gzip:9",
    "database_bytes": 10,
    "files": [{"name": "dump", "kind": "custom", "bytes": 3, "sha256": "ab"}],
    "toc_entries": 1,
    "data_entries": 1,
    "tables": [{"schema": "public", "name": "users", "rows": 1, "kind": "r"}],
    "warnings": [],
}
RECORD_DOCUMENT = {
    "held": False,
    "proofs": [
        {
            "kind": "verify",
            "verdict": "pass",
            "at": "2030-01-01T00:00:00+00:00",
            "seconds": 1.0,
            "checks": [{"what": "a", "verdict": "pass", "answer": "b"}],
        }
    ],
}


@contextmanager
def backup_directory(manifest: str, record: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as root:
        directory = Path(root) / "20300101T000000Z-daily"
        directory.mkdir()
        (directory / MANIFEST).write_text(manifest, encoding="utf-8", newline="")
        (directory / RECORD).write_text(record, encoding="utf-8", newline="")
        yield directory


def signed(document: Any) -> str:
    """With the digest that belongs to it, as somebody who meant harm would write it."""
    if isinstance(document, dict):
        document["digest"] = hashlib.sha256(jsonfile.canonical(document)).hexdigest()
    return json.dumps(document)


@fuzz
@given(
    damaged(signed(dict(MANIFEST_DOCUMENT))) | altered(MANIFEST_DOCUMENT).map(signed),
    damaged(json.dumps(RECORD_DOCUMENT)) | altered(RECORD_DOCUMENT).map(json.dumps),
)
def test_manifests_and_records_of_backups(manifest: str, record: str) -> None:
    with backup_directory(manifest, record) as directory:
        backup = load_backup(directory)
        assert backup.manifest is not None or backup.problem
        assert "\n" not in backup.problem
        assert backup.verdict
        assert backup.made_at


ENTRY = {
    "at": "2030-01-01T00:00:00+00:00",
    "step": "load",
    "event": "began",
    "seconds": 0.5,
    "data": {},
}


@fuzz
@given(
    damaged(json.dumps(ENTRY) + "\n" + json.dumps(ENTRY) + "\n") | altered(ENTRY).map(json.dumps)
)
def test_journals_of_restores(content: str) -> None:
    with as_file(content, ENTRIES) as path, told_in_one_line():
        path.with_name(PROGRESS).write_text(content, encoding="utf-8", newline="")
        read_entries(path.parent)
        read_progress(path.parent)


LOOKS = """\
{"format": "medianest-console recording", "version": 1, "target": "a", "server": "b", "role": "c",\
 "started_at": "2030-01-01T00:00:00+00:00"}
{"at": "2030-01-01T00:00:00+00:00", "backends": [{"pid": 1, "state": "active", "blocked_by": [2]}]}
{"at": "2030-01-01T00:00:01+00:00", "gap": "away"}
"""
LOG = "0 1 5000 0 1700000000 123456\n1 1 failed 1 1700000000 123456\n0 2 90 1 1700000000 9\n"


def _recording(path: Path) -> object:
    return read_recording(path)


def _log(path: Path) -> object:
    return read_log(path.read_text(encoding="utf-8").splitlines(), ["a", "b"])


def _last_report(path: Path) -> object:
    from datetime import UTC, datetime

    at = datetime(2030, 1, 1, tzinfo=UTC)
    report = Report("a", "18", "b", None, "", at, at, ())
    return with_changes(Readiness(report, ()), path)


@pytest.mark.slow
@pytest.mark.parametrize("read", [_recording, _log, kept, _last_report])
@fuzz
@given(content=damaged(LOOKS, LOG, json.dumps(ENTRY)))
def test_what_the_console_itself_wrote_and_somebody_damaged(
    read: Callable[[Path], object], content: str
) -> None:
    with as_file(content, "file") as path, told_in_one_line():
        read(path)


NOW = datetime(2026, 11, 26, 18, tzinfo=UTC)
STANZA: dict[str, Any] = {
    "name": "home",
    "status": {"code": 0, "message": "ok", "lock": {"backup": {"held": True, "size": 9}}},
    "repo": [{"key": 1, "cipher": "none", "status": {"code": 0, "message": "ok"}}],
    "db": [{"id": 1, "repo-key": 1, "system-id": 7, "version": "15"}],
    "archive": [{"database": {"id": 1}, "id": "15-1", "max": "000000010000000000000009"}],
    "backup": [
        {
            "label": "20261126-170359F",
            "type": "full",
            "timestamp": {"start": 1795712639, "stop": 1795712643},
            "archive": {"start": "000000010000000000000002", "stop": "000000010000000000000003"},
            "database": {"id": 1, "repo-key": 1},
            "error": False,
            "reference": ["A"],
            "info": {"size": 9, "delta": 9, "repository": {"size": 3, "delta": 3}},
        }
    ],
}
ARCHIVING = WalArchiving("7", False, "0/A000060", 16 * 2**20, "on", None, None, None, None, NOW)


@fuzz
@given(st.one_of(altered([STANZA]).map(json.dumps), damaged(json.dumps([STANZA]))))
def test_answers_of_pgbackrest(content: str) -> None:
    with told_in_one_line():
        stanza = parse_stanza(content, "home")
        findings = judge_stanza(
            Backrest(PgbackrestSettings("home")), stanza, ARCHIVING, Proofs(), NOW
        )
        status = StanzaStatus(NOW, "home", stanza, ARCHIVING, Proofs(), findings)
        assert stanza_text(status)
        json.dumps(stanza_json(status))


@fuzz
@given(
    damaged(
        "stanza: home\nstatus: ok\n  backup: A, status: valid, total files checked: 9, total"
        " valid files: 9\n"
    ),
    damaged(
        "INFO: invalid checksum 'A/b.gz'\nDETAIL: archiveId: 15-1, "
        "wal start: 000000010000000000000002, wal stop: 00000001000000000000000A\n"
    ),
)
def test_verifications_of_pgbackrest(output: str, lines: str) -> None:
    with told_in_one_line():
        reading = read_verification(output, lines.splitlines())
        assert all(len(name) == 24 for name in reading.bad_segments(1))
