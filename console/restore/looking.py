"""What is looked at before a restore, and the findings as they are collected."""

from __future__ import annotations

from dataclasses import dataclass, field

from console.findings import Evidence, Finding, Severity
from console.restore.source import Source
from console.target import Target
from console.tools import Tools, ToolSettings
from queries.restore import KnownDatabase, RestoreAbilities


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator wants restored, and how, before the server was asked."""

    database: str
    """The name the restored database is to get."""
    owner: str = ""
    privileges: bool = True
    locale: str = ""
    create_roles: bool = True
    names: tuple[str, ...] = ()
    """Further database names that have to be free."""
    replaces: bool = True
    """The database of that name, when there is one, is to be replaced."""


@dataclass(frozen=True, slots=True)
class Preflight:
    findings: tuple[Finding, ...]
    abilities: RestoreAbilities | None = None
    """None when there is no session with the server."""
    tools: Tools | None = None
    live: KnownDatabase | None = None
    missing_roles: tuple[str, ...] = ()
    expected_bytes: int | None = None
    rows: dict[tuple[str, str], int] = field(default_factory=dict)
    """Rows of each table as the dump file holds them; empty when the manifest has them."""

    @property
    def may_begin(self) -> bool:
        return not any(finding.severity is Severity.FAILURE for finding in self.findings)


@dataclass(slots=True)
class Looking:
    """Filled in by the questions, one after the other."""

    target: Target
    source: Source
    wish: Wish
    tool_settings: ToolSettings
    findings: list[Finding] = field(default_factory=list)
    abilities: RestoreAbilities | None = None
    tools: Tools | None = None
    live: KnownDatabase | None = None
    missing: tuple[str, ...] = ()
    expected: int | None = None
    rows: dict[tuple[str, str], int] = field(default_factory=dict)

    def result(self) -> Preflight:
        return Preflight(
            tuple(sorted(self.findings, key=lambda finding: finding.severity.rank)),
            self.abilities,
            self.tools,
            self.live,
            self.missing,
            self.expected,
            self.rows,
        )

    def add(
        self,
        check: str,
        severity: Severity,
        subject: str,
        message: str,
        *,
        asked: str = "",
        answer: str = "",
        fix: str = "",
    ) -> None:
        evidence = Evidence(asked, answer) if asked else None
        self.findings.append(Finding(check, severity, subject, message, evidence, fix))
