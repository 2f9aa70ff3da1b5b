"""What a report is made of, before it has a format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from console.findings import Finding, Severity
from console.report import CheckResult, Report


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: float
    shown: str
    """The value in words, with its unit."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars beside each other, and the limit they are measured by."""

    title: str
    bars: tuple[Bar, ...]
    limit: float | None = None
    limit_shown: str = ""
    is_logarithmic: bool = False
    """For values that lie decades apart; never for a share."""
    top: float | None = None
    """The end of the scale; None for the largest value or the limit."""


@dataclass(frozen=True, slots=True)
class Section:
    id: str
    title: str
    summary: str
    """One or two sentences with counts that were computed."""
    results: tuple[CheckResult, ...] = ()
    grids: tuple[Grid, ...] = ()
    charts: tuple[Chart, ...] = ()
    numbers: Mapping[str, str] = field(default_factory=dict)
    """The CIS benchmark's number by check."""
    unknown: tuple[str, ...] = ()
    """What was not looked at here, and why; each a sentence."""

    @property
    def severity(self) -> Severity:
        """The worst of its checks; UNKNOWN where there is none."""
        if not self.results:
            return Severity.UNKNOWN
        return min((result.severity for result in self.results), key=lambda s: s.rank)

    @property
    def outcomes(self) -> list[tuple[Severity, str, str]]:
        """Each check's severity, title (with its CIS number) and figure."""
        return [(result.severity, self._titled(result), result.summary) for result in self.results]

    def _titled(self, result: CheckResult) -> str:
        number = self.numbers.get(result.id)
        return f"{result.title} (CIS {number})" if number else result.title

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those that say more than that all is well, worst first."""
        found = [f for r in self.results for f in r.findings if f.severity is not Severity.OK]
        return tuple(sorted(found, key=lambda finding: finding.severity.rank))


@dataclass(frozen=True, slots=True)
class Change:
    """What is different from the report before."""

    kind: str
    """new, gone, worse, better or figure."""
    what: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class Changes:
    since: datetime | None
    """When the report before was made; None for the first one."""
    changes: tuple[Change, ...] = ()
    remark: str = ""
    """Why the report before could not be read; '' when it could."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The whole report; `report` holds every result, those of sections without checks too."""

    report: Report
    sections: tuple[Section, ...]
    changes: Changes = field(default_factory=lambda: Changes(None))

    @property
    def is_whole(self) -> bool:
        """Whether it is more than one section on its own, and so has a history."""
        return len(self.sections) > 1

    @property
    def verdict(self) -> Severity:
        return self.report.verdict

    @property
    def unknown(self) -> Iterator[tuple[str, str]]:
        """What was not checked and why: a section's title and a sentence, each once."""
        seen = set()
        for section in self.sections:
            told = [f.message for f in section.findings if f.severity is Severity.UNKNOWN]
            for sentence in (*section.unknown, *told):
                if (section.title, sentence) not in seen:
                    seen.add((section.title, sentence))
                    yield section.title, sentence
        for one in self.report.silenced:
            name = f"{one.finding.check} {one.finding.subject}".rstrip()
            yield "Silenced by the settings", f"{name}, until {one.until}: {one.reason}"
