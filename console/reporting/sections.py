"""From what was asked to the sections of the report, in the order a reader wants them."""

from __future__ import annotations

from dataclasses import replace

from console.report import CheckResult
from console.reporting import database, operation
from console.reporting.gather import Gathered
from console.reporting.model import Readiness, Section

_PLACES = {
    "schema": "schema",
    "table": "schema",
    "column": "schema",
    "index": "indexes",
    "foreign-key": "keys",
    "data": "keys",
    "integrity": "keys",
    "migrations": "migrations",
    "speed": "performance",
    "security": "security",
    "settings": "settings",
    "server": "server",
    "storage": "storage",
}
"""Which section tells of a category of checks."""
_ELSEWHERE = {"schema.indexes": "indexes", "schema.foreign-keys": "keys"}


def compose(gathered: Gathered) -> Readiness:
    """The report of what was gathered; without changes, which the state directory knows."""
    results = gathered.report.results
    of: dict[str, tuple[CheckResult, ...]] = {}
    for result in results:
        place = _place(result)
        of[place] = (*of.get(place, ()), result)
    sections = (
        database.schema(gathered, of.pop("schema", ())),
        database.indexes(gathered, of.pop("indexes", ())),
        database.foreign_keys(of.pop("keys", ())),
        database.migrations(of.pop("migrations", ())),
        database.performance(gathered, of.pop("performance", ())),
        database.security(of.pop("security", ())),
        database.settings(of.pop("settings", ())),
        operation.deployment(gathered),
        operation.backups(gathered),
        operation.recovery(gathered),
        operation.monitoring(gathered, of.pop("server", ())),
        operation.storage(gathered, of.pop("storage", ())),
        *_others(of),
    )
    known = {result.id for result in results}
    added = [r for section in sections for r in section.results if r.id not in known]
    return Readiness(replace(gathered.report, results=(*results, *added)), sections)


def _place(result: CheckResult) -> str:
    category = result.id.partition(".")[0]
    return _ELSEWHERE.get(result.id) or _PLACES.get(category, category)


def _others(of: dict[str, tuple[CheckResult, ...]]) -> list[Section]:
    """A section for each category of checks that none of the others tells of."""
    return [
        Section(category, category.capitalize(), database.passed(those), those)
        for category, those in of.items()
    ]
