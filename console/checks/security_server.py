"""The server itself: what it logs, its timeouts, and settings that open a door."""

from __future__ import annotations

from console import units
from console.checks import facts
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import (
    Rule,
    broken,
    counted,
    grouped,
    named,
    off,
    on,
    one_of,
    settings_finding,
)
from console.findings import Evidence, Finding, Severity
from console.names import quoted
from console.parameters import Parameters
from queries.parameters import RoleParameter

LOGGING = "security.logging"
LOG_SECRETS = "security.log-secrets"
TIMEOUTS = "security.timeouts"
AUDIT = "security.audit"
LIBRARIES = "security.libraries"
ROLE_SETTINGS = "security.role-settings"
PERMISSIONS = "security.file-permissions"


def _logs_connections(found: Parameters) -> bool | None:
    """on, or from 18 on a list of aspects; `receipt` alone names nobody."""
    text = found.text("log_connections")
    if text is None:
        return None
    return found.is_on("log_connections") is True and text != "receipt"


def _prefix_names_who(found: Parameters) -> bool | None:
    prefix = found.text("log_line_prefix")
    if prefix is None:
        return None
    has_time = any(part in prefix for part in ("%m", "%t", "%n"))
    return has_time and all(part in prefix for part in ("%u", "%d"))


_LOGGING_RULES = (
    Rule("log_connections", _logs_connections, "on", "who came in (CIS 3.1.20)"),
    on("log_disconnections", "who left, and when (CIS 3.1.21)"),
    Rule(
        "log_line_prefix",
        _prefix_names_who,
        "%m [%p] %q%u@%d %a %h ",
        "when, who, where (CIS 3.1.24)",
    ),
    one_of("log_statement", ("ddl", "mod", "all"), "changes to the schema (CIS 3.1.25)"),
    one_of(
        "log_min_error_statement",
        ("error", "warning", "notice", "info", "log"),
        "the statement that failed (CIS 3.1.15)",
    ),
    one_of(
        "log_min_messages",
        ("warning", "notice", "info", "log", "error", "debug1"),
        "warnings (CIS 3.1.14)",
    ),
)


async def logging(examination: Examination) -> Outcome:
    """What an investigation would miss in the server's log."""
    found = await facts.parameters(examination)
    wrong = broken(found, _LOGGING_RULES)
    summary = f"{len(_LOGGING_RULES) - len(wrong)} of {len(_LOGGING_RULES)} settings as advised"
    if not wrong:
        return Outcome(summary)
    # Connections and schema changes are PostgreSQL's defaults off: a note, not an alarm.
    finding = settings_finding(
        LOGGING,
        Severity.INFO,
        "After an incident the log will not tell who came, when, or what was changed.",
        found,
        wrong,
    )
    return Outcome(summary, (finding,))


_SECRET_RULES = (
    off("debug_print_parse", "whole statements in the log (CIS 3.1.16)"),
    off("debug_print_rewritten", "whole statements in the log (CIS 3.1.17)"),
    off("debug_print_plan", "whole statements in the log (CIS 3.1.18)"),
    one_of(
        "log_error_verbosity", ("default", "terse"), "source positions help attackers (CIS 3.1.22)"
    ),
    Rule(
        "log_statement",
        lambda found: None if (text := found.text("log_statement")) is None else text != "all",
        "ddl",
        "every statement, with its values",
    ),
    Rule(
        "log_parameter_max_length_on_error",
        lambda found: (
            None
            if (length := found.number("log_parameter_max_length_on_error")) is None
            else length == 0
        ),
        "0",
        "bound values, passwords among them, go to the log",
    ),
    Rule(
        "log_parameter_max_length",
        lambda found: (
            not (
                found.number("log_parameter_max_length") != 0
                and (found.number("log_min_duration_statement") or 0) == 0
                and found.number("log_min_duration_statement") is not None
            )
        ),
        "0",
        "bound values of every statement go to the log",
    ),
)


async def log_secrets(examination: Examination) -> Outcome:
    """Settings by which values, and so secrets, get into the log."""
    found = await facts.parameters(examination)
    wrong = broken(found, _SECRET_RULES)
    summary = f"{len(_SECRET_RULES) - len(wrong)} of {len(_SECRET_RULES)} settings as advised"
    if not wrong:
        return Outcome(summary)
    finding = settings_finding(
        LOG_SECRETS,
        Severity.WARNING,
        "Values that applications send, secrets among them, are written to the log.",
        found,
        wrong,
    )
    return Outcome(summary, (finding,))


async def timeouts(examination: Examination) -> Outcome:
    """What ends a statement that never ends, a transaction left open, a login that stalls."""
    found = await facts.parameters(examination)
    own = {entry.name for entry in await facts.role_parameters(examination) if entry.setting != "0"}
    missing = [
        rule
        for rule in broken(found, _TIMEOUT_RULES)
        if rule.name not in own or rule.name == "authentication_timeout"
    ]
    summary = ", ".join(
        f"{rule.name.removesuffix('_timeout')} {_shown(found, rule.name)}"
        for rule in _TIMEOUT_RULES
    )
    if not missing:
        return Outcome(summary)
    names = [rule.name for rule in missing]
    database = quoted(examination.target.dbname)
    finding = Finding(
        TIMEOUTS,
        Severity.INFO,
        names[0] if len(names) == 1 else "",
        "Nothing ends "
        + " or ".join(rule.why for rule in missing)
        + "; one such session can hold up all others.",
        Evidence(
            "pg_settings of a plain session; pg_db_role_setting",
            "; ".join(found.shown(name) for name in names),
        ),
        "\n".join(
            f"ALTER SYSTEM SET {rule.name} = '{rule.wanted}';"
            if rule.name == "authentication_timeout"
            else f"ALTER DATABASE {database} SET {rule.name} = '{rule.wanted}';"
            for rule in missing
        ),
    )
    return Outcome(summary, (finding,))


def _shown(found: Parameters, name: str) -> str:
    seconds = found.seconds(name)
    return "off" if not seconds else units.duration(seconds)


def _is_limited(name: str, most: float) -> Rule:
    why = {
        "statement_timeout": "a statement that runs for ever",
        "idle_in_transaction_session_timeout": "a transaction left open",
        "authentication_timeout": "a login that takes more than a minute",
    }
    wanted = {"statement_timeout": "60s", "authentication_timeout": "60s"}

    def holds(found: Parameters) -> bool | None:
        seconds = found.seconds(name)
        return None if seconds is None else 0 < seconds <= most

    return Rule(name, holds, wanted.get(name, "10min"), why[name])


_TIMEOUT_RULES = (
    _is_limited("statement_timeout", 86_400),
    _is_limited("idle_in_transaction_session_timeout", 86_400),
    _is_limited("authentication_timeout", 60),
)

_PRELOADS = (
    "shared_preload_libraries",
    "session_preload_libraries",
    "local_preload_libraries",
)
_LIBRARY_NAMES = """
anon auth_delay auto_explain basic_archive citus credcheck passwordcheck pg_cron pg_hint_plan pg_net
pg_partman_bgw pg_prewarm pg_qualstats pg_squeeze pg_stat_kcache pg_stat_statements pg_wait_sampling
pgaudit pglogical pgsodium plpgsql safeupdate sepgsql set_user supautils timescaledb vchord
vectors
"""
_KNOWN_LIBRARIES = frozenset(_LIBRARY_NAMES.split())


def _libraries(found: Parameters) -> dict[str, list[str]]:
    return {
        name: [part.strip(' "') for part in (found.text(name) or "").split(",") if part.strip()]
        for name in _PRELOADS
    }


async def audit(examination: Examination) -> Outcome:
    """Whether somebody watches: an audit trail and a check of new passwords."""
    found = await facts.parameters(examination)
    loaded = {library for libraries in _libraries(found).values() for library in libraries}
    if found.text("shared_preload_libraries") is None:
        return _unseen_settings(AUDIT, examination, ["shared_preload_libraries"])
    wanted = (("pgaudit",), ("passwordcheck", "credcheck"))
    missing = [names[0] for names in wanted if not loaded & set(names)]
    summary = ", ".join(sorted(loaded)) or "no library is preloaded"
    if not missing:
        return Outcome(summary)
    finding = Finding(
        AUDIT,
        Severity.INFO,
        "shared_preload_libraries",
        f"Not loaded: {', '.join(missing)}; auditing is for those who must prove who did what,"
        " and passwords are not checked for strength.",
        Evidence("pg_settings: shared_preload_libraries", summary),
        "-- add it to shared_preload_libraries and restart (pgaudit is a package of its own)",
    )
    return Outcome(summary, (finding,))


async def libraries(examination: Examination) -> Outcome:
    """Code that the server loads into every session, by the settings and by role settings."""
    found = await facts.parameters(examination)
    hidden_names = [name for name in _PRELOADS if found.text(name) is None]
    if hidden_names:
        return _unseen_settings(LIBRARIES, examination, hidden_names)
    strange = [
        f"{library} ({name})"
        for name, entries in _libraries(found).items()
        for library in entries
        if library.rpartition("/")[2].removesuffix(".so") not in _KNOWN_LIBRARIES
    ]
    total = sum(map(len, _libraries(found).values()))
    summary = counted(total, "preloaded library", "preloaded libraries")
    if not strange:
        return Outcome(summary)
    finding = grouped(
        LIBRARIES,
        Severity.WARNING,
        strange,
        "The server loads code into every session that is not one of the usual extensions.",
        f"pg_settings: {named(_PRELOADS)}",
        ("-- make sure that you know it; else take it out of the setting and restart",),
    )
    return Outcome(summary, (finding,))


def _unseen_settings(check: str, examination: Examination, names: list[str]) -> Outcome:
    finding = unknown(
        check,
        "",
        f"This role may not see {', '.join(names)}.",
        f"GRANT pg_read_all_settings TO {quoted(examination.role)};",
    )
    return Outcome("could not be checked", (finding,))


_SURPRISING = {
    "session_replication_role": ("replica", "switches triggers and foreign keys off"),
    "row_security": ("off", "makes queries under row security fail"),
    "allow_system_table_mods": ("on", "lets catalogs be changed"),
    "zero_damaged_pages": ("on", "throws damaged pages away"),
    "ignore_checksum_failure": ("on", "reads damaged pages as if they were well"),
    "default_transaction_read_only": ("on", "makes every write fail"),
    "synchronous_commit": ("off", "loses the last commits in a crash"),
    "enable_seqscan": ("off", "misleads the planner"),
    "enable_indexscan": ("off", "misleads the planner"),
}


async def role_settings(examination: Examination) -> Outcome:
    """What ALTER ROLE and ALTER DATABASE bring into sessions unseen."""
    entries = await facts.role_parameters(examination)
    surprising = []
    for entry in entries:
        bad, what = _SURPRISING.get(entry.name, ("", ""))
        if what and entry.setting == bad:
            surprising.append((entry, what))
        elif entry.name == "role":
            surprising.append((entry, "makes the session another role"))
    summary = f"{counted(len(entries), 'setting')} of roles and databases"
    if not surprising:
        return Outcome(summary)
    wheres = [_whose(entry) for entry, _what in surprising]
    finding = grouped(
        ROLE_SETTINGS,
        Severity.WARNING,
        [
            f"{where}: {entry.name} = {entry.setting} {what}"
            for where, (entry, what) in zip(wheres, surprising, strict=True)
        ],
        f"{counted(len(surprising), 'setting')} of roles or databases that surprise.",
        "pg_db_role_setting of this database and of all",
        (
            f"ALTER {where} RESET {entry.name};"
            for where, (entry, _what) in zip(wheres, surprising, strict=True)
        ),
    )
    return Outcome(summary, (finding,))


def _whose(entry: RoleParameter) -> str:
    """What stands after ALTER."""
    if not entry.role:
        return f"DATABASE {quoted(entry.database)}"
    where = f" IN DATABASE {quoted(entry.database)}" if entry.database else ""
    return f"ROLE {quoted(entry.role)}{where}"


def _mode_holds(name: str, allowed: int) -> Rule:
    def holds(found: Parameters) -> bool | None:
        text = found.text(name)
        return None if text is None else not int(text, 8) & ~allowed

    whys = {
        "log_file_mode": "the log may hold statements (CIS 3.1.6)",
        "data_directory_mode": "chmod 0700 the data directory (CIS 2.7)",
    }
    return Rule(name, holds, f"{allowed:04o}", whys[name])


_PERMISSION_RULES = (_mode_holds("data_directory_mode", 0o750), _mode_holds("log_file_mode", 0o640))


async def permissions(examination: Examination) -> Outcome:
    """Modes of the data directory and the log, as the server knows them."""
    found = await facts.parameters(examination)
    wrong = broken(found, _PERMISSION_RULES)
    summary = ", ".join(
        f"{rule.name} {found.text(rule.name) or 'not visible'}" for rule in _PERMISSION_RULES
    )
    if not wrong:
        return Outcome(summary)
    finding = settings_finding(
        PERMISSIONS,
        Severity.WARNING,
        "Other accounts of the machine can read what is the server's.",
        found,
        wrong,
    )
    return Outcome(summary, (finding,))


CHECKS = (
    Check(LOGGING, "Logging", "The log tells who came, when, and what was changed.", logging,
          cis="3.1.14, 3.1.15, 3.1.20, 3.1.21, 3.1.24, 3.1.25"),
    Check(LOG_SECRETS, "Secrets in the log", "Values of applications are not logged.", log_secrets,
          cis="3.1.16, 3.1.17, 3.1.18, 3.1.22"),
    Check(TIMEOUTS, "Timeouts", "A session that hangs is ended.", timeouts, cis="5.7, 6.2"),
    Check(AUDIT, "Audit", "An audit trail is kept and new passwords are checked.", audit,
          cis="3.2, 5.6", privileges="pg_read_all_settings"),
    Check(LIBRARIES, "Libraries", "Only known libraries are loaded into sessions.", libraries,
          cis="6.3", privileges="pg_read_all_settings"),
    Check(ROLE_SETTINGS, "Role settings", "No role or database switches safety off.",
          role_settings, cis="6.2"),
    Check(PERMISSIONS, "File permissions", "Only the server's account reads its files.",
          permissions, cis="2.7, 3.1.6"),
)  # fmt: skip
