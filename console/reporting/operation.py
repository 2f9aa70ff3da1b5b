"""The sections about how the database is run: deployment, backups, recovery, watching, storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from console import units
from console.backup.history import OBJECTIVE_SECONDS, remarks
from console.backup.manifest import Tier, Verdict
from console.backup.policy import Retention
from console.backup.store import Backup
from console.checks.grouping import counted
from console.findings import Evidence, Finding, Severity
from console.overview import judge
from console.report import CheckResult
from console.reporting.database import passed
from console.reporting.gather import Gathered
from console.reporting.model import Bar, Chart, Grid, Section
from queries.overview import Sample

_SHOWN_BACKUPS = 10
_SHOWN_TABLES = 10


def deployment(gathered: Gathered) -> Section:
    audit = gathered.deployment.value
    if audit is None:
        return Section(
            "deployment", "Deployment", "Not audited.", unknown=(gathered.deployment.reason,)
        )
    judged = ", ".join(audit.databases) or "nothing"
    files = ", ".join(audit.files)
    told = [finding for finding in audit.findings if finding.severity is not Severity.INFO]
    result = CheckResult(
        "deploy.audit",
        "Deployment",
        "How the server is deployed is sound.",
        f"{counted(audit.rules, 'rule')} asked of {judged}, {counted(len(told), 'fault')}",
        audit.findings,
    )
    return Section("deployment", "Deployment", f"{files}: {result.summary}.", (result,))


def backups(gathered: Gathered) -> Section:
    if gathered.backups.value is None:
        return Section("backups", "Backups", "Not read.", unknown=(gathered.backups.reason,))
    found = gathered.backups.value
    retention = gathered.settings.backups.retention
    told = remarks(found, gathered.at)
    good = sum(backup.verdict is Verdict.PASS for backup in found)
    result = CheckResult(
        "backup.history",
        "Backups",
        "A verified backup is recent, and a drill has restored one in time.",
        f"{counted(len(found), 'backup')}, {good} verified",
        tuple(told),
    )
    summary = f"{counted(len(found), 'backup')} in {gathered.settings.backups.directory}, {good}"
    summary += f" verified. {_restore_time(found)}"
    grids = [_retention(found, gathered, retention)]
    if found:
        grids.append(_newest(found, gathered.at))
    return Section("backups", "Backups", summary, (result,), tuple(grids), _restore_chart(found))


def _drilled(found: Sequence[Backup]) -> list[tuple[Backup, float, datetime]]:
    """Backups that a drill restored, with seconds and time, the newest first."""
    return [
        (backup, backup.drill.restore_seconds, backup.drill.at)
        for backup in found
        if backup.drill is not None
        and backup.drill.verdict is Verdict.PASS
        and backup.drill.restore_seconds is not None
    ]


def _restore_time(found: Sequence[Backup]) -> str:
    drilled = _drilled(found)
    limit = units.duration(OBJECTIVE_SECONDS)
    if not drilled:
        return f"How long a restore takes ({limit} are allowed) was never measured by a drill."
    backup, seconds, _at = drilled[0]
    verdict = "within" if seconds <= OBJECTIVE_SECONDS else "more than"
    return f"The newest drill restored {backup.id} in {units.duration(seconds)}, {verdict} {limit}."


def _restore_chart(found: Sequence[Backup]) -> tuple[Chart, ...]:
    drilled = _drilled(found)[:_SHOWN_BACKUPS]
    if not drilled:
        return ()
    bars = tuple(Bar(b.id, seconds, units.duration(seconds)) for b, seconds, _at in drilled)
    limit = units.duration(OBJECTIVE_SECONDS)
    title = f"Measured restore time of each drill, against {limit}"
    return (Chart(title, bars, OBJECTIVE_SECONDS, limit),)


def _retention(found: Sequence[Backup], gathered: Gathered, policy: Retention) -> Grid:
    kept = {
        Tier.DAILY: f"{policy.daily_days} days",
        Tier.WEEKLY: f"{policy.weekly_days} days",
        Tier.MONTHLY: f"{policy.monthly_days} days",
        Tier.PRE_DEPLOYMENT: f"the newest {policy.pre_deployment_count}",
        Tier.MANUAL: "until deleted",
    }
    leaving = Counter(d.backup.tier for d in gathered.pruning if not d.keep)
    rows = []
    for tier, words in kept.items():
        own = [backup for backup in found if backup.tier is tier]
        good = sum(backup.verdict is Verdict.PASS for backup in own)
        newest = units.age(own[0].made_at, gathered.at) if own else "never"
        rows.append((str(tier), words, str(len(own)), str(good), newest, str(leaving[tier])))
    title = f"Retention by tier; the newest {policy.keep_at_least} verified ones always stay"
    columns = ("Tier", "Kept", "There", "Verified", "Newest", "Would be pruned")
    return Grid(title, columns, tuple(rows))


def _newest(found: Sequence[Backup], now: datetime) -> Grid:
    rows = []
    for backup in found[:_SHOWN_BACKUPS]:
        drill = backup.drill
        restored = drill.restore_seconds if drill and drill.verdict is Verdict.PASS else None
        rows.append(
            (
                backup.id,
                units.age(backup.made_at, now),
                units.size(backup.manifest.bytes if backup.manifest else None),
                str(backup.verification.verdict) if backup.verification else "not verified",
                str(drill.verdict) if drill else "no drill",
                units.duration(restored),
            )
        )
    title = f"The newest {len(rows)} of {len(found)}"
    return Grid(title, ("Backup", "Made", "Size", "Verified", "Drill", "Restored in"), tuple(rows))


def recovery(gathered: Gathered) -> Section:
    """What would be lost, and whether the WAL is kept for a point in time."""
    sample = gathered.sample.value
    if sample is None:
        return Section(
            "recovery", "Point-in-time recovery", "Not asked.", unknown=(gathered.sample.reason,)
        )
    result = _archiving(sample, gathered)
    rows = (
        ("archive_mode", sample.archive_mode),
        ("last archived", units.age(sample.last_archived_at, sample.at)),
        ("last failure", units.age(sample.last_archive_failure_at, sample.at)),
        ("standbys connected", str(sample.standbys)),
        ("inactive slots", str(sample.inactive_slots)),
    )
    grid = Grid("As the server says", ("What", "Now"), rows)
    return Section("recovery", "Point-in-time recovery", result.summary + ".", (result,), (grid,))


def _archiving(sample: Sample, gathered: Gathered) -> CheckResult:
    good = [b for b in gathered.backups.value or () if b.verdict is Verdict.PASS]
    newest = f"of {units.age(good[0].made_at, gathered.at)}" if good else "(there is none)"
    evidence = Evidence(
        "archive_mode; pg_stat_archiver",
        f"{sample.archive_mode}; last archived {units.age(sample.last_archived_at, sample.at)}",
    )
    failed, archived = sample.last_archive_failure_at, sample.last_archived_at
    if sample.archive_mode == "off":
        summary = f"None: a restore goes back to the newest verified backup {newest}"
        message = "WAL is not archived: what was written after the newest backup is lost."
        fix = (
            "ALTER SYSTEM SET archive_mode = on; -- then restart\n"
            "ALTER SYSTEM SET archive_command = '...'; -- of pgBackRest or the like"
        )
        severity = Severity.INFO
    elif failed is not None and (archived is None or failed > archived):
        summary = f"WAL archiving fails since {units.age(archived, sample.at)}"
        message = "WAL archiving fails, so no point in time after that can be reached."
        fix, severity = "-- read archive_command's error in the server's log", Severity.FAILURE
    elif archived is None:
        summary = "WAL archiving is on, and has not archived anything yet"
        message = "Nothing was archived yet; whether archiving works is not known."
        fix, severity = "SELECT pg_switch_wal(); -- then look at pg_stat_archiver", Severity.UNKNOWN
    else:
        summary = f"WAL was archived {units.age(archived, sample.at)}"
        message, fix, severity = f"{summary}.", "", Severity.OK
    finding = Finding("recovery.archiving", severity, "archive_mode", message, evidence, fix)
    return CheckResult(
        "recovery.archiving",
        "Archiving",
        "WAL is archived and archiving works.",
        summary,
        (finding,),
        is_advice=True,
    )


def monitoring(gathered: Gathered, checked: tuple[CheckResult, ...]) -> Section:
    """Whether the server can be watched, and how it is right now."""
    sample, reading = gathered.sample.value, gathered.timings.value
    unknown = [reason for reason in (gathered.sample.reason, gathered.timings.reason) if reason]
    unknown.append(
        "Whether somebody else watches the server (an exporter, alerts) cannot be seen from here."
    )
    rows = [
        (result.title, result.summary)
        for result in gathered.report.results
        if result.id == "settings.observation"
    ]
    results = checked
    if reading is not None:
        counting = "counted" if not reading.is_sampled else "not counted"
        since = f" since {reading.since:%Y-%m-%d %H:%M} UTC" if reading.since else ""
        rows.append(("Statements", f"{counting}{since}"))
    if sample is not None:
        findings = tuple(judge(sample, sees_everything=True))
        usable = sample.max_connections - sample.reserved_connections
        words = f"{sample.connections} of {usable} connections, {sample.waiting_for_lock} waiting"
        told = "Nothing is wrong at this moment."
        now = CheckResult("live.now", "Right now", told, words, findings, is_advice=True)
        results = (now, *checked)
        rows += [
            ("Connections", f"{sample.connections} of {usable}, {sample.active} active"),
            ("Waiting for a lock", str(sample.waiting_for_lock)),
            ("Oldest transaction", units.duration(sample.longest_seconds)),
            ("Deadlocks since statistics began", units.count(sample.deadlocks)),
        ]
    grid = Grid("As the server says", ("What", "Now"), tuple(rows))
    summary = results[0].summary if results else "not asked"
    return Section(
        "monitoring",
        "Monitoring",
        f"At this moment: {summary}.",
        results,
        (grid,),
        unknown=tuple(unknown),
    )


def storage(gathered: Gathered, results: tuple[CheckResult, ...]) -> Section:
    history = gathered.sizes.value or ()
    charts: tuple[Chart, ...] = ()
    if history and history[-1].tables:
        largest = sorted(history[-1].tables.items(), key=lambda pair: -pair[1])[:_SHOWN_TABLES]
        bars = tuple(Bar(name, float(amount), units.size(amount)) for name, amount in largest)
        charts = (Chart(f"The {len(bars)} largest tables, with their indexes", bars),)
    return Section(
        "storage",
        "Storage",
        passed(results),
        results,
        charts=charts,
        unknown=(gathered.sizes.reason,) if gathered.sizes.reason else (),
    )
