"""Settings: planner, WAL, autovacuum, durability, and what waits for a restart."""

from __future__ import annotations

from collections.abc import Iterator

from console.checks import facts
from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import (
    Rule,
    alter_system,
    broken,
    counted,
    grouped,
    hidden,
    off,
    on,
    one_of,
    settings_finding,
)
from console.errors import PrivilegeMissing
from console.findings import Evidence, Finding, Severity
from console.names import quoted
from console.parameters import Parameters
from console.units import percent, size
from queries.parameters import CHECKPOINTS, FILE_MISTAKES, Checkpoints

PLANNER = "settings.planner"
WAL = "settings.wal"
AUTOVACUUM = "settings.autovacuum"
DURABILITY = "settings.durability"
REPAIR = "settings.repair-switches"
OBSERVATION = "settings.observation"
RESTART = "settings.pending-restart"
FILES = "settings.files"
PROFILE = "settings.profile"

_PLANNER_NOTES = (
    Rule(
        "random_page_cost",
        lambda found: None if (n := found.number("random_page_cost")) is None else n < 3,
        "1.1",
        "for SSDs; 4 is for disks that turn",
    ),
    Rule(
        "effective_io_concurrency",
        lambda found: None if (n := found.number("effective_io_concurrency")) is None else n > 1,
        "200",
        "SSDs answer many requests at once",
    ),
)
_PLANNER_METHODS = tuple(
    on(name, "switched off for everybody; use it in a session to try")
    for name in (
        "enable_seqscan", "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan",
        "enable_hashjoin", "enable_mergejoin", "enable_nestloop", "enable_sort", "enable_hashagg",
        "enable_material", "enable_memoize", "enable_partition_pruning",
    )
)  # fmt: skip


async def planner(examination: Examination) -> Outcome:
    found = await facts.parameters(examination)
    findings = []
    methods = broken(found, _PLANNER_METHODS)
    if methods:
        findings.append(
            settings_finding(
                PLANNER, Severity.WARNING, "Plan methods are switched off for everybody.", found,
                methods,
            )
        )  # fmt: skip
    notes = broken(found, _PLANNER_NOTES)
    if notes:
        findings.append(
            settings_finding(
                PLANNER, Severity.INFO,
                "The planner counts with disks that turn; on an SSD it avoids indexes too often.",
                found, notes,
            )
        )  # fmt: skip
    return Outcome(
        f"random_page_cost {found.text('random_page_cost')}, effective_io_concurrency"
        f" {found.text('effective_io_concurrency')}",
        tuple(findings),
    )


_WAL_RULES = (
    Rule(
        "checkpoint_completion_target",
        lambda found: (
            None if (n := found.number("checkpoint_completion_target")) is None else n >= 0.7
        ),
        "0.9",
        "spreads what a checkpoint writes",
    ),
    Rule(
        "checkpoint_timeout",
        lambda found: None if (n := found.seconds("checkpoint_timeout")) is None else n >= 300,
        "15min",
        "each checkpoint makes the WAL longer",
    ),
    one_of("wal_level", ("replica", "logical"), "minimal has no base backups and no standby"),
)
_CHECKPOINTS_KNOWN_SECONDS = 3600
_CHECKPOINTS_FEWEST = 10


async def wal(examination: Examination) -> Outcome:
    found = await facts.parameters(examination)
    seen = await examination.session.fetch_one(CHECKPOINTS)
    findings = []
    wrong = broken(found, _WAL_RULES)
    if wrong:
        findings.append(
            settings_finding(
                WAL, Severity.INFO, "WAL settings that cost writes or rule out base backups.",
                found, wrong,
            )
        )  # fmt: skip
    findings += checkpoint_findings(found, seen)
    summary = (
        f"max_wal_size {size(found.bytes('max_wal_size'))}, {seen.timed} checkpoints by time and"
        f" {seen.requested} by size"
    )
    return Outcome(summary, tuple(findings))


def checkpoint_findings(found: Parameters, seen: Checkpoints) -> Iterator[Finding]:
    """Checkpoints because the WAL grew too much, once enough have been seen."""
    total = seen.timed + seen.requested
    if seen.seconds < _CHECKPOINTS_KNOWN_SECONDS or total < _CHECKPOINTS_FEWEST:
        return
    if seen.requested <= seen.timed:
        return
    now = found.bytes("max_wal_size") or 1 << 30
    yield Finding(
        WAL,
        Severity.WARNING,
        "max_wal_size",
        f"{percent(seen.requested / total)} of {total} checkpoints came because the WAL had grown"
        " to max_wal_size, or somebody asked for them, and not by time.",
        Evidence(
            "pg_stat_bgwriter (pg_stat_checkpointer from 17 on)",
            f"{seen.requested} requested, {seen.timed} timed; {found.shown('max_wal_size')}",
        ),
        alter_system(found, "max_wal_size", f"{now * 2 >> 20}MB", "if the disk has the room"),
    )


_AUTOVACUUM_RULES = (
    on("autovacuum", "without it tables swell and the server stops at wraparound"),
    on("track_counts", "autovacuum needs it"),
    Rule(
        "autovacuum_naptime",
        lambda found: None if (n := found.seconds("autovacuum_naptime")) is None else n <= 600,
        "1min",
        "tables wait too long",
    ),
    Rule(
        "autovacuum_vacuum_scale_factor",
        lambda found: (
            None if (n := found.number("autovacuum_vacuum_scale_factor")) is None else n <= 0.4
        ),
        "0.1",
        "tables swell before anybody comes",
    ),
    Rule(
        "autovacuum_freeze_max_age",
        lambda found: (
            None if (n := found.number("autovacuum_freeze_max_age")) is None else n <= 1_000_000_000
        ),
        "200000000",
        "little room is left before wraparound",
    ),
)


async def autovacuum(examination: Examination) -> Outcome:
    found = await facts.parameters(examination)
    return _by_rules(
        AUTOVACUUM, found, _AUTOVACUUM_RULES, Severity.WARNING, "Autovacuum is held back."
    )


_DURABLE_RULES = (
    on("fsync", "a crash may destroy the whole cluster"),
    on("full_page_writes", "a crash may leave torn pages (needless only on ZFS)"),
)
_COMMIT_RULE = (
    Rule(
        "synchronous_commit",
        lambda found: None if (text := found.text("synchronous_commit")) is None else text != "off",
        "on",
        "the last commits are lost in a crash",
    ),
)


async def durability(examination: Examination) -> Outcome:
    """Whether a commit survives a crash."""
    found = await facts.parameters(examination)
    lost = _by_rules(
        DURABILITY, found, _DURABLE_RULES, Severity.FAILURE, "A crash may destroy the data."
    )
    late = _by_rules(
        DURABILITY, found, _COMMIT_RULE, Severity.WARNING, "A crash loses the last commits."
    )
    names = ("fsync", "full_page_writes", "synchronous_commit")
    summary = ", ".join(f"{name} {found.text(name)}" for name in names)
    return Outcome(summary, (*lost.findings, *late.findings))


_REPAIR_RULES = (
    off("zero_damaged_pages", "damaged pages are thrown away"),
    off("ignore_checksum_failure", "damaged pages are read as if they were well"),
    off("ignore_invalid_pages", "recovery goes past damage"),
    off("ignore_system_indexes", "meant for repair; slow and unsafe to keep"),
    off("allow_system_table_mods", "catalogs can be changed by hand"),
    one_of("session_replication_role", ("origin",), "triggers and foreign keys do not fire"),
)


async def repair_switches(examination: Examination) -> Outcome:
    """Switches for repairing a broken cluster, left on."""
    found = await facts.parameters(examination)
    return _by_rules(
        REPAIR, found, _REPAIR_RULES, Severity.FAILURE,
        "Switches for repairing a broken cluster were left on.",
    )  # fmt: skip


def _by_rules(
    check: str, found: Parameters, rules: tuple[Rule, ...], severity: Severity, message: str
) -> Outcome:
    wrong = broken(found, rules)
    summary = f"{len(rules) - len(wrong)} of {len(rules)} settings as they should be"
    if not wrong:
        return Outcome(summary)
    return Outcome(summary, (settings_finding(check, severity, message, found, wrong),))


_OBSERVATION_RULES = (
    on("track_activities", "who does what now"),
    on("track_io_timing", "how long reading takes; costs next to nothing here"),
    on("log_lock_waits", "who waited for whom"),
    Rule(
        "log_min_duration_statement",
        lambda found: (
            None if (n := found.seconds("log_min_duration_statement")) is None else 0 <= n <= 10
        ),
        "1s",
        "slow statements, with when and who",
    ),
)


async def observation(examination: Examination) -> Outcome:
    """What the console and a later reader of the log could know more."""
    found = await facts.parameters(examination)
    return _by_rules(
        OBSERVATION, found, _OBSERVATION_RULES, Severity.INFO,
        "The server could tell more about what is slow.",
    )  # fmt: skip


async def pending_restart(examination: Examination) -> Outcome:
    """Changes in the files that only a restart brings into force."""
    found = await facts.parameters(examination)
    waiting = [name for name, parameter in found.by_name.items() if parameter.pending_restart]
    summary = counted(len(waiting), "setting waits", "settings wait")
    if not waiting:
        return Outcome("no setting waits for a restart")
    finding = grouped(
        RESTART, Severity.WARNING, sorted(waiting),
        f"{counted(len(waiting), 'setting waits', 'settings wait')} for a restart; the files say"
        " something else than the server does.",
        "pg_settings: pending_restart", ("-- restart the server when it suits",),
    )  # fmt: skip
    return Outcome(summary, (finding,))


async def files(examination: Examination) -> Outcome:
    """Lines of postgresql.conf that the server could not use."""
    try:
        mistakes = await examination.session.fetch(FILE_MISTAKES)
    except PrivilegeMissing:
        role = quoted(examination.role)
        return hidden(
            FILES, "the configuration files",
            f"GRANT SELECT ON pg_file_settings TO {role}; -- as a superuser\n"
            f"GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO {role};",
        )  # fmt: skip
    found = await facts.parameters(examination)
    wrong = [mistake for mistake in mistakes if not _is_elsewhere(found, mistake.name)]
    if not wrong:
        return Outcome("every line can be used")
    finding = grouped(
        FILES, Severity.WARNING,
        [f"{m.file}:{m.line}: {m.name + ': ' if m.name else ''}{m.error}" for m in wrong],
        f"{counted(len(wrong), 'line')} of the configuration cannot be used; at the next start the"
        " server may not come up.",
        "pg_file_settings: error", ("-- correct these lines, then: SELECT pg_reload_conf();",),
    )  # fmt: skip
    return Outcome(counted(len(wrong), "mistake"), (finding,))


def _is_elsewhere(found: Parameters, name: str) -> bool:
    """The server's command line overrides the line, or it waits for a restart (its own check)."""
    parameter = found.by_name.get(name)
    return parameter is not None and (
        parameter.source in ("command line", "environment variable") or parameter.pending_restart
    )


async def profile(examination: Examination) -> Outcome | None:
    """What the profile asks of the server's settings."""
    if examination.profile is None or not examination.profile.settings:
        return None
    wanted = examination.profile.settings
    found = await facts.parameters(examination)
    different = {n: text for n, text in wanted.items() if found.equals(n, text) is False}
    summary = f"{len(wanted) - len(different)} of {len(wanted)} as in the profile"
    if not different:
        return Outcome(summary)
    finding = Finding(
        PROFILE, Severity.INFO, "",
        f"{counted(len(different), 'setting differs', 'settings differ')} from the profile.",
        Evidence(
            "pg_settings; profile: " + ", ".join(f"{n} = {text}" for n, text in different.items()),
            "; ".join(found.shown(name) for name in different),
        ),
        "\n".join(alter_system(found, name, text) for name, text in different.items()),
    )  # fmt: skip
    return Outcome(summary, (finding,))


CHECKS = (
    Check(DURABILITY, "Durability", "What was committed survives a crash.", durability),
    Check(REPAIR, "Repair switches", "No switch for repair was left on.", repair_switches,
          cis="6.5"),
    Check(PLANNER, "Planner", "The planner knows the disks and may use every method.", planner),
    Check(WAL, "WAL", "Checkpoints come by time, and base backups are possible.", wal),
    Check(AUTOVACUUM, "Autovacuum", "Autovacuum is on and comes in time.", autovacuum),
    Check(OBSERVATION, "Observation", "The server tells what is slow.", observation),
    Check(RESTART, "Pending restart", "No setting waits for a restart.", pending_restart),
    Check(FILES, "Configuration", "Every line of the configuration can be used.", files,
          privileges="superuser, or SELECT on pg_file_settings and EXECUTE on its function"),
    Check(PROFILE, "Profile settings", "Settings are as the profile has them.", profile,
          needs_profile=True),
)  # fmt: skip
