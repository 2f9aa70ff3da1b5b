"""The report's three forms: what a person reads first, and what a program can rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from console.errors import ExitCode
from console.findings import Evidence, Finding, Severity, exit_code
from console.report import CheckResult, Report, as_json, markdown, text

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)

LOST = Finding(
    "schema.indexes",
    Severity.FAILURE,
    "public.users_email_key",
    "The critical index on public.users is missing.",
    Evidence("pg_index: public.users_email_key", "no row", AT),
    "CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON public.users USING btree (email);",
)


def report(*findings: Finding, complete: bool = True) -> Report:
    return Report(
        target="medianest @ localhost:5432",
        server_version="18.6",
        role="postgres",
        profile="medianest",
        profile_reason="named by --profile",
        started=AT,
        finished=AT + timedelta(seconds=1.5),
        results=(
            CheckResult("schema.tables", "Tables", "All there.", "11/11 tables"),
            CheckResult(
                "schema.indexes", "Indexes", "All there.", "33 indexes", findings, complete
            ),
        ),
    )


def test_the_verdict_comes_first_then_the_checks_then_reason_and_fix() -> None:
    lines = text(report(LOST)).splitlines()
    assert lines[0] == "NOT READY: 1 failure"
    assert "OK    Tables   11/11 tables" in lines
    assert "FAIL  Indexes  33 indexes" in lines
    assert lines[-6:] == [
        "FAIL  public.users_email_key",
        "      The critical index on public.users is missing.",
        "      asked  pg_index: public.users_email_key",
        "      found  no row",
        "      fix    CREATE UNIQUE INDEX CONCURRENTLY users_email_key ON public.users",
        "               USING btree (email);",
    ]


def test_no_line_of_words_is_wider_than_a_terminal() -> None:
    long = replace(LOST, message="word " * 60, fix=f"SELECT {', '.join(['column'] * 40)};")
    assert max(map(len, text(report(long)).splitlines())) <= 80


def test_sql_is_never_broken_within_a_name() -> None:
    name = '"a name with many words that is much too long to stand on one line of a terminal"'
    assert f"{name}" in text(report(replace(LOST, fix=f"DROP INDEX public.{name};")))


def test_a_broken_comment_stays_a_comment() -> None:
    fix = "-- " + "word " * 30
    lines = text(report(replace(LOST, fix=fix))).splitlines()[-3:]
    assert len(lines) == 3
    assert all(line.removeprefix("      fix").strip().startswith("--") for line in lines)


def test_what_a_terminal_would_obey_is_shown_not_sent() -> None:
    hostile = replace(LOST, subject="\x1b]0;owned\x07", message="a\x9bb")
    for form in (text, markdown):
        assert not any(c != "\n" and not c.isprintable() for c in form(report(hostile)))
    assert "\\x1b]0;owned" in text(report(hostile))


def test_markdown_cannot_be_steered_by_a_name() -> None:
    hostile = replace(LOST, subject="`x` | <b>", fix="SELECT '```';")
    written = markdown(report(hostile))
    assert "## FAIL: \\`x\\` \\| \\<b\\>" in written
    assert "````sql\nSELECT '```';\n````" in written


def test_json_has_the_keys_it_documents() -> None:
    found = json.loads(as_json(report(LOST)))
    assert found["format"] == 1
    assert found["verdict"] == "failure"
    assert found["checks"][1] == {
        "id": "schema.indexes",
        "title": "Indexes",
        "meaning": "All there.",
        "severity": "failure",
        "summary": "33 indexes",
        "complete": True,
        "advice": False,
        "seconds": 0.0,
    }
    assert found["findings"][0] == {
        "check": "schema.indexes",
        "severity": "failure",
        "subject": "public.users_email_key",
        "message": "The critical index on public.users is missing.",
        "evidence": {
            "asked": "pg_index: public.users_email_key",
            "answer": "no row",
            "at": "2030-01-02T03:04:05+00:00",
        },
        "fix": LOST.fix,
    }
    assert all(key in (as_json.__doc__ or "") for key in found)


@pytest.mark.parametrize(
    ("severity", "headline", "code", "strict"),
    [
        (Severity.FAILURE, "NOT READY: 1 failure", ExitCode.FAILURES, ExitCode.FAILURES),
        (
            Severity.UNKNOWN,
            "NOT FULLY CHECKED: 1 not checked",
            ExitCode.UNKNOWN,
            ExitCode.UNKNOWN,
        ),
        (Severity.WARNING, "READY, WITH WARNINGS: 1 warning", ExitCode.OK, ExitCode.WARNINGS),
        (Severity.INFO, "READY: 1 note", ExitCode.OK, ExitCode.OK),
    ],
)
def test_the_worst_finding_is_the_verdict(
    severity: Severity, headline: str, code: ExitCode, strict: ExitCode
) -> None:
    judged = report(replace(LOST, severity=severity))
    assert judged.headline == headline
    assert exit_code(judged.verdict) is code
    assert exit_code(judged.verdict, fail_on_warning=True) is strict


def test_a_failure_outweighs_what_could_not_be_checked() -> None:
    judged = report(LOST, replace(LOST, severity=Severity.UNKNOWN))
    assert judged.verdict is Severity.FAILURE
    assert judged.headline == "NOT READY: 1 failure, 1 not checked"


def test_nothing_checked_is_not_well() -> None:
    assert replace(report(), results=()).verdict is Severity.UNKNOWN


def test_a_group_that_lacks_what_another_reports_is_failed_but_counted_once() -> None:
    judged = report(complete=False)
    assert judged.results[1].severity is Severity.FAILURE
    assert [finding.severity for finding in judged.findings] == [Severity.OK]
