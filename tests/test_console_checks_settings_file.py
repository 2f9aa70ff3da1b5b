"""The settings' checks section: thresholds, defaults, silences; and the list of the checks."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from conftest import Database, run_sql

from console.checks import CHECKS, run
from console.checks.about import about_checks
from console.checks.catalogue import as_json, as_markdown, as_text
from console.checks.runner import chosen
from console.errors import SettingsError
from console.findings import Severity
from console.report import as_json as report_json
from console.report import markdown, text
from console.settings import read_settings
from console.target import Target

SILENCE = """
checks:
  silence:
    - check: table.primary-key
      object: public.log_*
      reason: only ever appended to
      until: {until}
"""


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("checks:\n  off: [index.bogus]", ":2: off[0]: expected a check's id"),
        ("checks:\n  thresholds:\n    index.unused.weeks: 3", ":3: thresholds: expected a thresh"),
        ("checks:\n  thresholds:\n    index.unused.days: soon", ":3: thresholds.index.unused.days"),
        (
            "checks:\n  silence:\n    - check: index.unused",
            ":3: silence[0]: expected a key 'reason'",
        ),
        (SILENCE.format(until="tomorrow"), ":7: until: expected a date such as 2027-01-31"),
        ("checks:\n  silense: []", ":2: unknown key in checks: expected 'silence'"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, content: str, place: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(written(tmp_path, content))
    assert place in refused.value.message


def test_settings_choose_what_runs_by_default(tmp_path: Path) -> None:
    content = "checks:\n  on: [index.boolean, column.varchar]\n  off: [column, security.tls]"
    settings = read_settings(written(tmp_path, content)).checks
    ids = {check.id for check in chosen(None, has_profile=False, settings=settings)}
    assert {"index.boolean", "column.varchar", "security.listen"} <= ids
    assert not {"column.json", "security.tls", "index.array"} & ids
    named = chosen(["security.tls"], has_profile=False, settings=settings)
    assert [check.id for check in named] == ["security.tls"], "what is named runs"


async def test_a_silenced_finding_is_counted_and_listed_until_its_day(
    empty_db: Database, tmp_path: Path
) -> None:
    run_sql(empty_db, "CREATE TABLE log_a (n int, m int)", "CREATE TABLE other (n int, m int)")
    target = Target("test", empty_db)
    silent = read_settings(written(tmp_path, SILENCE.format(until="2999-01-31"))).checks
    report = await run(target, None, only=["table.primary-key"], settings=silent)
    assert [f.subject for f in report.findings] == ["public.other"]
    assert [one.finding.subject for one in report.silenced] == ["public.log_a"]
    assert report.headline.endswith("; 1 silenced")
    for shown in (text(report), markdown(report)):
        assert "only ever appended to" in shown
    assert json.loads(report_json(report))["silenced"][0]["until"] == "2999-01-31"
    over = read_settings(written(tmp_path, SILENCE.format(until="2020-01-31"))).checks
    report = await run(target, None, only=["table.primary-key"], settings=over)
    assert report.verdict is Severity.WARNING
    assert not report.silenced
    assert "Its silence is over since 2020-01-31 (reason then: only ever appended to)." in {
        f.message for f in report.findings
    }


def test_a_silence_lasts_through_its_last_day(tmp_path: Path) -> None:
    silence = read_settings(written(tmp_path, SILENCE.format(until="2026-03-01"))).checks.silence[0]
    assert not silence.is_over(date(2026, 3, 1))
    assert silence.is_over(date(2026, 3, 2))


def test_every_check_says_what_it_asks_and_how_it_is_mended() -> None:
    assert set(about_checks()) == {check.id for check in CHECKS}
    for check in CHECKS:
        assert check.meaning.endswith("."), check.id
        assert check.about.asks, check.id
        assert check.about.fix, check.id


def test_the_page_of_checks_is_as_the_console_makes_it() -> None:
    page = Path(__file__).parents[1] / "docs" / "checks.md"
    assert page.read_text(encoding="utf-8") == as_markdown()


@pytest.mark.slow
def test_the_list_is_the_same_in_every_format() -> None:
    ids = [row["id"] for row in json.loads(as_json())]
    assert ids == [check.id for check in CHECKS]
    assert all(f"`{name}`" in as_markdown() for name in ids)
    assert all(f"  {name}\n" in as_text() for name in ids)
    assert max(map(len, as_text().splitlines())) <= 80
