"""Storage and settings checks: where they object and where they do not."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from conftest import Database

from console.checks import run
from console.checks.storage import disk_findings, growth_findings
from console.findings import Severity
from console.machine import Disk
from console.storage_history import Measured, growth
from console.target import Target

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_full_disk_warns_at_80_and_fails_at_95_percent_once() -> None:
    def severities(free: int) -> list[Severity]:
        disk = Disk("/data", 1000, free)
        return [f.severity for f in disk_findings({"data directory": disk, "WAL": disk})]

    assert severities(300) == []
    assert severities(150) == [Severity.WARNING]
    assert severities(40) == [Severity.FAILURE]


def test_a_disk_that_lasts_less_than_a_month_is_told_with_its_day() -> None:
    first = Measured(NOW - timedelta(days=10), 1_000_000_000, 9_000_000_000, {"public.t": 1})
    now = Measured(NOW, 2_000_000_000, 1_000_000_000, {"public.t": 900_000_000})
    grown = growth([first, now])
    assert grown is not None
    (finding,) = growth_findings(grown, now)
    assert "full on 2026-03-11" in finding.message
    assert not list(growth_findings(grown, dataclasses.replace(now, free=10**12)))


async def test_unsafe_settings_fail_and_safe_ones_do_not(empty_db: Database) -> None:
    report = await run(Target("test", empty_db), None, only=["settings", "storage"])
    by_id = {result.id: result for result in report.results}
    assert by_id["settings.durability"].severity is Severity.FAILURE, "fsync is off here"
    assert by_id["settings.autovacuum"].severity is Severity.WARNING, "it is off here"
    for sound in ("settings.repair-switches", "settings.pending-restart", "settings.files",
                  "settings.connections", "storage.wal", "storage.tablespaces",
                  "storage.temporary-files"):  # fmt: skip
        assert by_id[sound].severity is Severity.OK, by_id[sound]
    assert all("ALTER SYSTEM" in f.fix for f in by_id["settings.durability"].findings)
