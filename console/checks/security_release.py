"""Whether the server's release is maintained, as far as the console's own table knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

from console import releases
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import counted
from console.findings import Evidence, Finding, Severity
from console.releases import Major, Releases

VERSION = "security.version"

_END_NEAR_DAYS = 180


async def version(examination: Examination) -> Outcome:
    """Whether the major version is maintained and the minor one the newest that is known here."""
    server = examination.session.server
    if server is None:
        raise ValueError("there is no session")
    minor = server.version_number % 10000
    table = releases.known()
    major = table.major(server.major)
    summary = f"{server.major}.{minor}; releases known as of {table.as_of}"
    if major is None:
        finding = unknown(
            VERSION,
            f"PostgreSQL {server.major}",
            f"This version of the console does not know PostgreSQL {server.major}.",
            "-- update the console, or look at postgresql.org/support/versioning",
        )
        return Outcome(summary, (finding,))
    today = datetime.now(UTC).date()
    return Outcome(summary, tuple(release_findings(server.major, minor, major, table, today)))


def release_findings(
    number: int, minor: int, major: Major, table: Releases, today: date
) -> Iterator[Finding]:
    """What a release is, on a given day, by a table of a given age."""
    evidence = Evidence(
        f"server_version_num; the console's table of releases as of {table.as_of}",
        f"{number}.{minor}; newest known {number}.{major.newest_known}, maintained until"
        f" {major.end}",
    )
    subject = f"PostgreSQL {number}"
    left = (major.end.on - today).days
    upgrade = f"-- upgrade to PostgreSQL {max(map(int, table.majors))}: pg_upgrade, or dump and" \
        " restore into a new server"  # fmt: skip
    if left < 0:
        message = f"PostgreSQL {number} is no longer maintained since {major.end}; holes found"
        yield Finding(
            VERSION, Severity.WARNING, subject, f"{message} since then stay open.", evidence,
            upgrade,
        )  # fmt: skip
    elif left < _END_NEAR_DAYS:
        message = f"PostgreSQL {number} is maintained for {left} more days, until {major.end}."
        yield Finding(VERSION, Severity.INFO, subject, message, evidence, upgrade)
    if minor < major.newest_known:
        behind = major.newest_known - minor
        message = f"{number}.{minor} is at least {counted(behind, 'minor release')} behind."
        fix = f"-- install {number}.{major.newest_known} and restart; the data stays as it is"
        yield Finding(VERSION, Severity.WARNING, subject, message, evidence, fix)
    elif table.is_old(today) and left >= 0:
        message = (
            f"The console knows of no newer {number}, but its table is"
            f" {table.age_days(today)} days old and minor releases come every three months."
        )
        fix = "-- look at postgresql.org/support/versioning, or update the console"
        yield Finding(VERSION, Severity.INFO, subject, message, evidence, fix)


CHECKS = (
    Check(
        VERSION,
        "Release",
        "The release is maintained, and the newest of its kind.",
        version,
        cis="1.5",
    ),
)
