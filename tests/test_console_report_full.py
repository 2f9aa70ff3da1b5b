"""The full report: what each section says, what it admits not to know, and every format of it."""

from __future__ import annotations

import json
import re
import stat
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from backups import make_backup, settings_for, target_of
from conftest import run_sql
from deployments import SOUND
from psycopg.conninfo import make_conninfo

from console.backup.manifest import Check as ProofCheck
from console.backup.manifest import Tier, Verdict, proof
from console.backup.store import Store
from console.cli import main
from console.errors import ActionRefused, ExitCode
from console.findings import Finding, Severity
from console.report import CheckResult, Report
from console.report_file import write_report
from console.reporting.changes import compared, path_of, remember, remembered, with_changes
from console.reporting.charts import svg
from console.reporting.formats import FORMATS
from console.reporting.gather import Gathered, Sources, gather
from console.reporting.model import Bar, Chart, Readiness, Section
from console.reporting.operation import recovery
from console.reporting.sections import compose
from console.settings import Settings

Database = dict[str, Any]
AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
SECTIONS = [
    "schema",
    "indexes",
    "foreign-keys",
    "migrations",
    "performance",
    "security",
    "settings",
    "deployment",
    "backups",
    "recovery",
    "monitoring",
    "storage",
]


async def gathered(database: Database, root: Path, *files: Path) -> Gathered:
    settings = Settings(backups=settings_for(root))
    return await gather(target_of(database), settings, Sources(deployment=files))


async def made(database: Database, root: Path, *files: Path) -> Readiness:
    return compose(await gathered(database, root, *files))


def section(readiness: Readiness, identity: str) -> Section:
    return next(one for one in readiness.sections if one.id == identity)


async def test_a_report_has_every_section_with_counts_and_the_proof_of_each_check(
    medianest_db: Database, tmp_path: Path
) -> None:
    compose_file = tmp_path / "compose.yaml"
    compose_file.write_text(SOUND.replace("mem_limit: 2g", "mem_limit: 2g\n    privileged: true"))
    readiness = await made(medianest_db, tmp_path / "backups", compose_file)
    assert [one.id for one in readiness.sections] == SECTIONS
    (critical,) = section(readiness, "indexes").grids
    assert [row[-1] for row in critical.rows] == ["ok"] * 6
    assert section(readiness, "migrations").summary == "3/3 migrations."
    assert section(readiness, "deployment").severity is Severity.FAILURE
    assert section(readiness, "backups").severity is Severity.FAILURE
    assert readiness.verdict is Severity.FAILURE
    placed = [result.id for one in readiness.sections for result in one.results]
    assert sorted(placed) == sorted(result.id for result in readiness.report.results)
    document = json.loads(FORMATS["json"](readiness))
    proven = {row["check"].split()[0] for row in document["evidence"]}
    assert {"schema.indexes", "security.superusers", "deploy.host-access"} <= proven
    assert all(row["asked"] and row["answer"] and row["at"] for row in document["evidence"])
    unknown = {entry["section"] for entry in document["not_checked"]}
    assert "Performance" in unknown
    assert "Deployment" not in unknown


async def test_statements_are_told_with_their_times_and_a_slow_one_is_above_the_limit(
    medianest_db: Database, tmp_path: Path
) -> None:
    run_sql(medianest_db, "SELECT pg_stat_statements_reset()", "SELECT pg_sleep(0.12)")
    performance = section(await made(medianest_db, tmp_path), "performance")
    rows = [row for grid in performance.grids for row in grid.rows]
    (slow,) = [row for row in rows if "pg_sleep" in row[-1]]
    assert slow[4] == "no"
    assert performance.charts[0].limit == 50.0
    assert 'class="over"' in svg(performance.charts[0])


@pytest.mark.slow
async def test_the_consoles_own_statements_are_not_the_applications(
    medianest_db: Database, tmp_path: Path
) -> None:
    await made(medianest_db, tmp_path)
    performance = section(await made(medianest_db, tmp_path), "performance")
    told = [row[-1] for grid in performance.grids for row in grid.rows]
    assert not any("plex_token" in text for text in told), told


@pytest.mark.slow
async def test_a_backup_is_told_by_tier_with_the_time_its_drill_took(
    medianest_db: Database, tmp_path: Path
) -> None:
    await make_backup(medianest_db, tmp_path, tier=Tier.DAILY)
    store = Store(tmp_path)
    (backup,) = store.backups()
    checks = [ProofCheck("it", Verdict.PASS, "is")]
    drill = proof("drill", checks, 400.0, restore_seconds=390.0)
    verification = proof("verify", checks, 1.0)
    store.change_record(backup, lambda record: record.with_proof(verification).with_proof(drill))
    readiness = await made(medianest_db, tmp_path)
    backups = section(readiness, "backups")
    assert "1 backup in" in backups.summary
    assert "1 verified" in backups.summary
    assert "more than 5 min" in backups.summary
    assert backups.severity is Severity.WARNING
    daily = next(row for row in backups.grids[0].rows if row[0] == "daily")
    assert daily[1:4] == ("7 days", "1", "1")
    assert backups.charts[0].bars[0].value == 390.0
    assert "the newest verified backup of" in section(readiness, "recovery").summary


async def test_what_the_role_may_not_see_is_told_as_not_checked(
    medianest_db: Database,
    limited_role: Callable[[Database], Database],
    tmp_path: Path,
) -> None:
    readiness = await made(limited_role(medianest_db), tmp_path)
    told = dict(readiness.unknown)
    assert "Migrations" in told
    assert section(readiness, "migrations").severity is Severity.UNKNOWN
    assert "could not be answered" in FORMATS["text"](readiness)


@pytest.mark.slow
async def test_archiving_is_told_as_it_is(empty_db: Database, tmp_path: Path) -> None:
    found = await gathered(empty_db, tmp_path)
    sample = found.sample.value
    assert sample is not None

    def severity(**changes: Any) -> Severity:
        answer = replace(found.sample, value=replace(sample, **changes))
        return recovery(replace(found, sample=answer)).severity

    earlier = AT - timedelta(hours=1)
    assert severity() is Severity.INFO
    assert severity(archive_mode="on") is Severity.UNKNOWN
    assert severity(archive_mode="on", last_archived_at=AT) is Severity.OK
    failing = {"last_archived_at": earlier, "last_archive_failure_at": AT}
    assert severity(archive_mode="on", **failing) is Severity.FAILURE


async def test_a_database_without_a_profile_is_reported_and_says_so(
    empty_db: Database, tmp_path: Path
) -> None:
    readiness = await made(empty_db, tmp_path)
    assert any("no profile" in why for _title, why in readiness.unknown)
    assert "schema.tables" not in [result.id for result in section(readiness, "schema").results]
    for make in FORMATS.values():
        assert "Schema" in make(readiness) or "SCHEMA" in make(readiness)


class Page(HTMLParser):
    """Tags as they are opened and closed, and what is fetched or run."""

    EMPTY = frozenset({"meta", "rect", "line", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes += attrs
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


HOSTILE = '<script>alert("x")</script> | # `' + "\x1b[2J"


def hostile() -> Readiness:
    finding = Finding("a.b", Severity.WARNING, HOSTILE, HOSTILE, None, HOSTILE + "\n```\n# no")
    result = CheckResult("a.b", HOSTILE, HOSTILE, HOSTILE, (finding,))
    report = Report(HOSTILE, "18.6", HOSTILE, HOSTILE, HOSTILE, AT, AT, (result, result))
    chart = Chart(HOSTILE, (Bar(HOSTILE, 2.0, HOSTILE), Bar("", 0.0, "0")), 1.0, HOSTILE)
    part = Section("a", HOSTILE, HOSTILE, (result, result), (), (chart,), unknown=(HOSTILE,))
    return Readiness(report, (part,))


def test_the_page_runs_nothing_loads_nothing_and_is_closed_in_order() -> None:
    content = FORMATS["html"](hostile())
    page = Page()
    page.feed(content)
    assert page.open == []
    assert page.seen & {"script", "img", "link", "iframe", "object", "form"} == set()
    assert not any(name == "src" or name.startswith("on") for name, _ in page.attributes)
    assert all(value and value[0] == "#" for name, value in page.attributes if name == "href")
    assert "url(" not in content
    assert "@import" not in content
    assert "prefers-color-scheme: dark" in content
    assert "@media print" in content
    assert "\x1b" not in content


def test_a_chart_is_an_image_whose_words_are_escaped_and_whose_bars_keep_to_scale() -> None:
    picture = ElementTree.fromstring(svg(hostile().sections[0].charts[0]))
    over, none = (float(r.get("width", "")) for r in picture.iter() if r.tag == "rect")
    assert over > 300 > 2 > none
    (line,) = (r for r in picture.iter() if r.tag == "line")
    assert 300 < float(line.get("x1", "")) < 300 + over


@pytest.mark.parametrize("form", ["markdown", "text", "json"])
def test_words_of_a_server_stay_words_in_every_format(form: str) -> None:
    content = FORMATS[form](hostile())
    assert "\x1b" not in content
    if form == "markdown":
        outside = [part for i, part in enumerate(content.split("````")) if i % 2 == 0]
        assert not any(re.search(r"(?<!\\)<script", part) for part in outside)
    if form == "json":
        assert json.loads(content)["sections"][0]["title"].startswith("<script>")


def report_of(at: datetime, *findings: Finding, figure: str = "1") -> Report:
    result = CheckResult("a.b", "Things", "All well.", figure, findings)
    return Report("db @ here", "18.6", "me", None, "", at, at, (result,))


def test_changes_are_what_came_what_went_and_what_weighs_another() -> None:
    def finding(subject: str, severity: Severity) -> Finding:
        return Finding("a.b", severity, subject, "Not well.")

    warning, failure = Severity.WARNING, Severity.FAILURE
    before = remembered(report_of(AT, finding("x", warning), finding("y", warning), figure="2"))
    now = remembered(report_of(AT, finding("y", failure), finding("z", warning), figure="3"))
    assert [(change.kind, change.what) for change in compared(before, now)] == [
        ("worse", "The verdict was warning and is failure."),
        ("worse", "a.b y: was warning, is failure."),
        ("new", "a.b z: warning."),
        ("gone", "a.b x: was warning."),
        ("figure", "Things: was 2; is 3."),
    ]
    assert list(compared(now, now)) == []
    nothing_asked = replace(now, findings={}, summaries={}, categories=())
    assert [c.kind for c in compared(before, nothing_asked)] == ["worse"]


def test_a_report_kept_damaged_is_told_and_does_not_stop_the_next(tmp_path: Path) -> None:
    report = report_of(AT)
    path = path_of(report)
    assert with_changes(Readiness(report, ()), path).changes.since is None
    remember(report, path)
    assert with_changes(Readiness(report, ()), path).changes.since == AT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for content in ("", "[]", '{"at": 1}', "[" * 100_000, "\udcff"):
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        assert "could not be read" in with_changes(Readiness(report, ()), path).changes.remark


@pytest.mark.slow
def test_the_command_writes_a_private_file_and_tells_what_changed(
    medianest_db: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "readiness.html"
    command = ["report", "--dsn", make_conninfo(**medianest_db), "-o", str(path)]
    assert main(command) == ExitCode.FAILURES
    assert "This is the first report" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    run_sql(medianest_db, "DROP INDEX users_email_key")
    assert main([*command, "--format", "markdown"]) == ExitCode.FAILURES
    told = path.read_text().replace("\\", "")
    assert "- new: schema.indexes public.users_email_key: failure." in told
    assert "| users_email_key | users btree (email) | ok |" not in told
    assert "Written to" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["/dev/null", "/no/such/directory/file", "."])
def test_nothing_but_a_plain_file_is_written(name: str) -> None:
    with pytest.raises(ActionRefused):
        write_report(Path(name), "x")
    assert Path("/dev/null").is_char_device()
