"""Run the checks one after another; what goes wrong in one is that one's finding."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import psycopg

from console.checks import (
    foreign_keys,
    indexes,
    migrations,
    orphans,
    schema,
    security_access,
    security_grants,
    security_medianest,
    security_objects,
    security_passwords,
    security_release,
    security_roles,
    security_server,
    security_tls,
    settings,
    settings_memory,
    speed,
    storage,
)
from console.checks.check import Check, Examination, Outcome, unknown
from console.errors import ConsoleError, PrivilegeMissing, SettingsError
from console.profile import Profile
from console.report import CheckResult, Report
from console.session import BROWSING, Limits, Session
from console.target import Target

ON_REQUEST: tuple[Check, ...] = tuple(
    replace(check, by_default=False)
    for check in (
        *security_release.CHECKS,
        *security_roles.CHECKS,
        *security_passwords.CHECKS,
        *security_access.CHECKS,
        *security_tls.CHECKS,
        *security_grants.CHECKS,
        *security_objects.CHECKS,
        *security_server.CHECKS,
        *security_medianest.CHECKS,
        *settings.CHECKS,
        *settings_memory.CHECKS,
        *storage.CHECKS,
    )
)
"""The audit: security, settings and storage, which speak of the server rather than the profile."""

CHECKS: tuple[Check, ...] = (
    Check(
        schema.TABLES,
        "Tables",
        "Every table of the profile is there.",
        schema.tables,
        needs_profile=True,
    ),
    Check(
        schema.COLUMNS,
        "Columns",
        "Every column has the profile's type, nullability and default.",
        schema.columns,
        needs_profile=True,
    ),
    Check(
        schema.PRIMARY_KEYS,
        "Primary keys",
        "Every table has the profile's primary key.",
        schema.primary_keys,
        needs_profile=True,
    ),
    Check(
        indexes.INDEXES,
        "Indexes",
        "Every index of the profile is there, the same, and valid.",
        indexes.indexes,
    ),
    Check(
        foreign_keys.FOREIGN_KEYS,
        "Foreign keys",
        "Every foreign key is there with its rules, validated, and its triggers fire.",
        foreign_keys.foreign_keys,
    ),
    Check(
        orphans.ORPHANS,
        "Orphans",
        "No row points to a row that is not there.",
        orphans.orphans,
    ),
    Check(
        migrations.MIGRATIONS,
        "Migrations",
        "Every migration was applied; none failed or is pending.",
        migrations.migrations,
    ),
    Check(
        speed.CONNECTION,
        "Connection time",
        "A fresh connection is had within the limit.",
        speed.connection_time,
    ),
    Check(
        speed.QUERIES,
        "Query time",
        "Statements take no longer than the limit on average.",
        speed.query_time,
    ),
    Check(
        speed.CONCURRENCY,
        "Concurrency",
        "As many connections as the application needs can be had at once.",
        speed.concurrency,
    ),
    *ON_REQUEST,
)

_PATIENT = replace(BROWSING, statement_ms=60_000)
"""For checks that the operator named."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A check begins (`result` is None) or has ended."""

    check: Check
    number: int
    """From 1."""
    total: int
    result: CheckResult | None = None


def chosen(only: Collection[str] | None, *, has_profile: bool) -> list[Check]:
    """The checks of these ids or categories; for None those that run by default.

    Raises SettingsError for an unknown id or category.
    """
    known = {check.id for check in CHECKS} | {check.category for check in CHECKS}
    for name in only or ():
        if name not in known:
            raise SettingsError(
                f"There is no check '{name}'.", "See the ids with: medianest-console check list."
            )
    checks = [
        check
        for check in CHECKS
        if (check.by_default if only is None else check.id in only or check.category in only)
    ]
    fitting = [check for check in checks if has_profile or not check.needs_profile]
    if not fitting:
        raise SettingsError(
            f"Check {', '.join(check.id for check in checks)} compares with a profile.",
            "Name one with --profile.",
        )
    return fitting


async def run(
    target: Target,
    profile: Profile | None,
    *,
    only: Collection[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    profile_reason: str = "",
    backups: Path | None = None,
) -> Report:
    """Examine a database. Cancelling ends the server's work and closes every connection.

    Without a profile only the checks that need none run. `only` holds ids or categories;
    `profile_reason` says in the report why this profile was used; `backups` is the directory of
    the backups, whose disk is looked at. Raises ConnectionFailed,
    ServerUnsupported and ReadOnlyRefused when there is no session at all, SettingsError for an
    unknown check.
    """
    checks = chosen(only, has_profile=profile is not None)
    started = datetime.now(UTC)
    limits: Limits = BROWSING if only is None else _PATIENT
    session = Session(target, limits)
    try:
        await session.connection()
        examination = Examination(target, session, profile, frozenset(only or ()), backups)
        results = []
        for number, check in enumerate(checks, 1):
            if on_progress is not None:
                on_progress(Progress(check, number, len(checks)))
            result = await _run_one(check, examination)
            if result is not None:
                results.append(result)
            if on_progress is not None:
                on_progress(Progress(check, number, len(checks), result))
        server = session.server
    finally:
        await session.close()
    return Report(
        target=target.label,
        server_version=server.version if server is not None else "",
        role=server.role if server is not None else "",
        profile=profile.name if profile is not None else None,
        profile_reason=profile_reason,
        started=started,
        finished=datetime.now(UTC),
        results=tuple(results),
    )


async def _run_one(check: Check, examination: Examination) -> CheckResult | None:
    started = perf_counter()
    try:
        outcome = await check.run(examination)
    except ConsoleError as error:
        outcome = _could_not(check, error)
    except (psycopg.Error, ValueError, LookupError, OSError) as error:
        # An answer nobody foresaw must not take the other checks with it.
        outcome = _could_not(check, ConsoleError(f"The check failed: {error!r}."))
    if outcome is None:
        return None
    return CheckResult(
        id=check.id,
        title=check.title,
        meaning=check.meaning,
        summary=outcome.summary,
        findings=outcome.findings,
        is_complete=outcome.is_complete,
        seconds=perf_counter() - started,
    )


def _could_not(check: Check, error: ConsoleError) -> Outcome:
    if isinstance(error, PrivilegeMissing):
        finding = unknown(check.id, "", error.message, f"-- {error.hint}")
    else:
        finding = unknown(check.id, "", f"{error.message} {error.hint}".rstrip())
    return Outcome("could not be checked", (finding,))
