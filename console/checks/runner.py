"""Run the checks one after another; what goes wrong in one is that one's finding."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import psycopg

from console.check_settings import DEFAULTS, CheckSettings, Silence
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.registry import CHECKS
from console.errors import ConsoleError, PrivilegeMissing, SettingsError
from console.findings import Evidence, Finding, Severity
from console.profile import Profile
from console.report import CheckResult, Report, Silenced
from console.session import BROWSING, Limits, Session
from console.target import Target

GROUPS = ("readiness", "advice")
"""Names for what runs by default: what the verdict is made of, and the rest."""

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
    step: str = ""
    """Where a long check is."""


def chosen(
    only: Collection[str] | None, *, has_profile: bool, settings: CheckSettings = DEFAULTS
) -> list[Check]:
    """The checks of these ids, categories or groups; for None those that run by default.

    Raises SettingsError for an unknown id or category.
    """
    known = {name for check in CHECKS for name in _names(check)} | set(GROUPS)
    for name in only or ():
        if name not in known:
            raise SettingsError(
                f"There is no check '{name}'.", "See the ids with: medianest-console checks list."
            )
    checks = [check for check in CHECKS if _is_chosen(check, only, settings)]
    fitting = [check for check in checks if has_profile or not check.needs_profile]
    if not fitting:
        raise SettingsError(
            f"Check {', '.join(check.id for check in checks)} compares with a profile.",
            "Name one with --profile.",
        )
    return fitting


def _names(check: Check) -> tuple[str, str]:
    return check.id, check.category


def _is_chosen(check: Check, only: Collection[str] | None, settings: CheckSettings) -> bool:
    usual = settings.runs(check.id, by_default=check.by_default)
    if only is None:
        return usual
    group = "advice" if check.is_advice else "readiness"
    return any(name in only for name in _names(check)) or (usual and group in only)


async def run(
    target: Target,
    profile: Profile | None,
    *,
    only: Collection[str] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    profile_reason: str = "",
    backups: Path | None = None,
    settings: CheckSettings = DEFAULTS,
) -> Report:
    """Examine a database. Cancelling ends the server's work and closes every connection.

    Without a profile only the checks that need none run. `only` holds ids or categories;
    `profile_reason` says in the report why this profile was used; `backups` is the directory of
    the backups, whose disk is looked at; `settings` hold thresholds and silences. Advice
    changes the verdict only where it was named, or by a failure. Raises ConnectionFailed,
    ServerUnsupported and ReadOnlyRefused when there is no session at all, SettingsError for an
    unknown check.
    """
    checks = chosen(only, has_profile=profile is not None, settings=settings)
    started = datetime.now(UTC)
    limits: Limits = BROWSING if only is None else _PATIENT
    session = Session(target, limits)
    try:
        await session.connection()
        examination = Examination(
            target, session, profile, frozenset(only or ()), backups, settings
        )
        results = []
        for number, check in enumerate(checks, 1):
            if on_progress is not None:
                on_progress(Progress(check, number, len(checks)))
                examination.step = _steps(on_progress, Progress(check, number, len(checks)))
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


def _steps(on_progress: Callable[[Progress], None], progress: Progress) -> Callable[[str], None]:
    return lambda words: on_progress(replace(progress, step=words))


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
    findings, silenced = _silenced(outcome.findings, check, examination.settings.silence)
    return CheckResult(
        id=check.id,
        title=check.title,
        meaning=check.meaning,
        summary=outcome.summary,
        findings=findings,
        is_complete=outcome.is_complete,
        seconds=perf_counter() - started,
        is_advice=check.is_advice and not examination.asked_for,
        silenced=silenced,
    )


def _silenced(
    findings: Sequence[Finding], check: Check, silences: Sequence[Silence]
) -> tuple[tuple[Finding, ...], tuple[Silenced, ...]]:
    """The findings that are told, with a note on each silence that is over; and those kept still.

    What could not be checked is never silenced: nobody knows what it would have said.
    """
    today = datetime.now(UTC).date()
    heard: list[Finding] = []
    kept_still: list[Silenced] = []
    for finding in findings:
        covering = [s for s in silences if s.covers(finding)]
        now = next((s for s in covering if not s.is_over(today)), None)
        if now is not None and finding.severity is not Severity.UNKNOWN:
            kept_still.append(Silenced(finding, now.reason, now.until.date))
            continue
        heard.append(finding)
        heard += [_over(finding, silence) for silence in covering if silence.is_over(today)]
    return tuple(heard), tuple(kept_still)


def _over(finding: Finding, silence: Silence) -> Finding:
    return Finding(
        finding.check,
        Severity.INFO,
        finding.subject,
        f"Its silence is over since {silence.until.date} (reason then: {silence.reason}).",
        Evidence("settings: checks.silence", f"until {silence.until.date}"),
        "-- mend it, or give the silence another date",
    )


def _could_not(check: Check, error: ConsoleError) -> Outcome:
    if isinstance(error, PrivilegeMissing):
        finding = unknown(check.id, "", error.message, f"-- {error.hint}")
    else:
        finding = unknown(check.id, "", f"{error.message} {error.hint}".rstrip())
    return Outcome("could not be checked", (finding,))
