"""What a check is, what it is given, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from console.capture import Structure, read_structure
from console.check_settings import DEFAULTS, THRESHOLDS, CheckSettings, Threshold
from console.checks.about import About, about_checks
from console.errors import ConsoleError
from console.findings import Finding, Severity
from console.identifiers import TableName
from console.profile import Profile, ProfileLimits, Table
from console.session import Session
from console.target import Target

Answer = TypeVar("Answer")

READINESS = frozenset({"schema", "data", "integrity", "migrations", "speed"})
"""Categories that say whether the database is ready; the others advise."""

SHOWN_EXTRAS = 20
"""Unexpected objects are named up to so many; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A check's answer."""

    summary: str
    """The count or figure, e.g. 11/11 tables."""
    findings: tuple[Finding, ...] = ()
    is_complete: bool = True
    """False when something is absent that another check reports; the group is then not OK."""


@dataclass(slots=True)
class Examination:
    """The database under examination; what several checks need is read once."""

    target: Target
    session: Session
    profile: Profile | None = None
    asked_for: frozenset[str] = frozenset()
    """Checks named by the operator: these spare no effort."""
    backups: Path | None = None
    """The directory of the backups, where it is known."""
    settings: CheckSettings = DEFAULTS
    step: Callable[[str], None] = lambda _words: None
    """Told where a long check is."""
    _answers: dict[str, Any] = field(default_factory=dict, repr=False)
    _structure: Structure | ConsoleError | None = field(default=None, repr=False)

    @property
    def limits(self) -> ProfileLimits:
        return self.profile.limits if self.profile is not None else ProfileLimits()

    @property
    def role(self) -> str:
        """The role as the server knows it."""
        server = self.session.server
        return server.role if server is not None else self.target.user

    def threshold(self, name: str) -> float:
        """The operator's, else the check's own; `name` ends in its unit."""
        return self.settings.threshold(name)

    async def structure(self) -> Structure:
        """The catalogs, read once. Raises ConsoleError kinds, the same one each time."""
        if self._structure is None:
            try:
                self._structure = await read_structure(self.session, self._named())
            except ConsoleError as error:
                self._structure = error
        if isinstance(self._structure, ConsoleError):
            raise self._structure
        return self._structure

    def _named(self) -> set[TableName]:
        """The tables that are compared with what the profile says of them."""
        if self.profile is None:
            return set()
        history = self.profile.migrations
        return {*self.profile.tables, *([history.table] if history is not None else [])}

    async def once(self, name: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to a question that several checks share, asked once under this name.

        Raises ConsoleError kinds, the same one each time.
        """
        if name not in self._answers:
            try:
                self._answers[name] = await ask()
            except ConsoleError as error:
                self._answers[name] = error
        answer: Answer | ConsoleError = self._answers[name]
        if isinstance(answer, ConsoleError):
            raise answer
        return answer

    async def comparison(self) -> Comparison:
        """The profile beside the database, for checks that need a profile."""
        if self.profile is None:
            raise ValueError("this check needs a profile")
        return Comparison(self.profile, await self.structure())


@dataclass(frozen=True)
class Comparison:
    profile: Profile
    structure: Structure

    @cached_property
    def pairs(self) -> list[tuple[TableName, Table, Table]]:
        """Name, expected and found, of the tables that are there."""
        found = self.structure.tables
        return [
            (name, table, found[name])
            for name, table in self.profile.tables.items()
            if name in found
        ]

    @cached_property
    def missing_tables(self) -> list[TableName]:
        return [name for name in self.profile.tables if name not in self.structure.tables]

    @cached_property
    def extra_tables(self) -> list[TableName]:
        history = self.profile.migrations
        known = set(self.profile.tables) | ({history.table} if history is not None else set())
        return [name for name in self.structure.tables if name not in known]

    def missing_columns(self, name: TableName) -> list[str]:
        found = self.structure.tables[name].columns
        return [column for column in self.profile.tables[name].columns if column not in found]

    def is_partitioned(self, name: TableName) -> bool:
        relation = self.structure.relations.get(name)
        return relation is not None and relation.kind == "p"


@dataclass(frozen=True, slots=True)
class Check:
    """One question. `run` returns None where the question does not arise."""

    id: str
    title: str
    meaning: str
    """One sentence: what it means when all is well."""
    run: Callable[[Examination], Awaitable[Outcome | None]]
    needs_profile: bool = False
    cis: str = ""
    """The number of the CIS PostgreSQL benchmark, where it has one."""
    privileges: str = ""
    """What the role needs beyond CONNECT."""
    oldest: int = 13
    """The oldest PostgreSQL major version that has what is asked about."""
    by_default: bool = True
    """False for what runs only when its id or category is named."""

    @property
    def category(self) -> str:
        return self.id.partition(".")[0]

    @property
    def about(self) -> About:
        """Where its evidence comes from, how grave it can be, and the kind of fix."""
        return about_checks()[self.id]

    @property
    def thresholds(self) -> dict[str, Threshold]:
        """What the settings can change, by full name."""
        start = self.id + "."
        return {name: one for name, one in THRESHOLDS.items() if name.startswith(start)}

    @property
    def is_advice(self) -> bool:
        """It speaks of the server and of good practice, not of what the application needs."""
        return self.category not in READINESS


def limited(findings: Iterable[Finding], what: str) -> Iterator[Finding]:
    """The first of many findings that are for information only, then how many more there are."""
    all_of_them = list(findings)
    yield from all_of_them[:SHOWN_EXTRAS]
    rest = len(all_of_them) - SHOWN_EXTRAS
    if rest > 0:
        check = all_of_them[0].check
        yield Finding(check, Severity.INFO, "", f"{rest} more {what} are not in the profile.")


def unknown(check: str, subject: str, message: str, fix: str = "") -> Finding:
    return Finding(check, Severity.UNKNOWN, subject, message, None, fix)
