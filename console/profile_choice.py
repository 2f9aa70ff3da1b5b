"""Which profile a database is held against, and why."""

from __future__ import annotations

from dataclasses import dataclass

from console import profile as profiles
from console.capture import HISTORY_TABLE
from console.identifiers import TableName
from console.profile import Profile
from console.session import Session
from console.target import Target
from queries.catalog import TABLES_NAMED

_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Choice:
    profile: Profile | None
    reason: str
    """A few words for the report."""


async def choose(target: Target, named: str | None = None) -> Choice:
    """The operator's profile, else the target's, else a bundled one that fits, else none.

    A bundled profile fits when the schema looked at has Prisma's history and more than half of the
    profile's tables. Raises SettingsError for a profile that cannot be used, and the errors of a
    connection.
    """
    schema = target.schema
    if named is not None:
        return Choice(_placed(profiles.load(named), schema), "named by --profile")
    if target.profile is not None:
        return Choice(_placed(profiles.load(target.profile), schema), "the target's own")
    candidates = [_placed(profiles.bundled(name), schema) for name in profiles.bundled_names()]
    names = {HISTORY_TABLE} | {table.name for one in candidates for table in one.tables}
    session = Session(target)
    try:
        tables = await session.fetch(TABLES_NAMED, {"names": sorted(names)})
    finally:
        await session.close()
    found = {TableName(table.schema, table.name) for table in tables}
    for candidate in candidates:
        share = len(found & set(candidate.tables)) / max(1, len(candidate.tables))
        if TableName(candidate.schema, HISTORY_TABLE) in found and share > _MOST:
            there = len(found & set(candidate.tables))
            return Choice(candidate, f"recognised by {HISTORY_TABLE} and {there} of its tables")
    return Choice(None, "none was named and none that is bundled fits")


def _placed(profile: Profile, schema: str | None) -> Profile:
    """A Prisma URL's schema is where the application, and so the profile, lives."""
    return profiles.relocated(profile, schema) if schema else profile
