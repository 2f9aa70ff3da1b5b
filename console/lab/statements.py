"""The statements of an experiment: a profile's workload, or what takes most time on the server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from console.errors import ActionRefused
from console.monitor.statement_text import one_line, safe
from console.plans.judge import WRITING, judge
from console.profile import Profile
from console.session import Session
from console.statements import readiness
from queries.statements import INSTALLATION, SLOWEST_STATEMENTS, statements_in

_OF_TOOLS = re.compile(
    r"\b(?:FROM|JOIN)\s+(?:ONLY\s+)?\"?(?:pg_|information_schema\b)|\bpg_catalog\.|"
    r"\bpg_stat_|\bcurrent_setting\s*\(",
    re.IGNORECASE,
)
_LONGEST_NAME = 60
SHORTENED = 2_000
"""Characters beyond which the server's text is cut off, and so is no statement any more."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement to measure."""

    name: str
    sql: str
    weight: float
    """How often it runs, against the others."""
    values: str = ""
    """A query whose rows give its parameters; '' where they are to be found out."""

    @property
    def writes(self) -> bool:
        return judge(self.sql).verb in WRITING or bool(judge(self.sql).writes)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A statement, or an index, that was not measured."""

    name: str
    reason: str
    """A sentence."""


def of_profile(profile: Profile) -> tuple[Statement, ...]:
    """A profile's workload; empty when it has none."""
    if profile.workload is None:
        return ()
    return tuple(
        Statement(name, query.sql, query.weight, query.values)
        for name, query in profile.workload.queries.items()
    )


async def slowest(session: Session, count: int) -> tuple[Statement, ...]:
    """What took most time on the live server, by pg_stat_statements; weights are calls.

    Raises ActionRefused where the server does not count statements.
    """
    ready = readiness(await session.fetch_one(INSTALLATION))
    if not ready.is_usable:
        raise ActionRefused(ready.message, ready.fix)
    schema = (await session.fetch_one(INSTALLATION)).schema
    rows = await session.fetch(
        SLOWEST_STATEMENTS, {"count": count * 4}, relations=statements_in(schema or "public")
    )
    found: dict[str, Statement] = {}
    for row in rows:
        text = row.text
        if text is None or len(text) >= SHORTENED or _OF_TOOLS.search(text) or len(found) >= count:
            continue
        name = _named(text, found)
        found[name] = Statement(name, text, float(row.calls))
    return tuple(found.values())


def typed(texts: Sequence[str]) -> tuple[Statement, ...]:
    """Statements an operator gave, each as often as the others."""
    found: dict[str, Statement] = {}
    for text in texts:
        name = _named(text, found)
        found[name] = Statement(name, text, 1.0)
    return tuple(found.values())


def _named(text: str, taken: dict[str, Statement]) -> str:
    """The beginning of the text, numbered where another begins like it."""
    flat = one_line(safe(text))
    short = flat if len(flat) <= _LONGEST_NAME else flat[: _LONGEST_NAME - 1] + "…"
    name, number = short, 2
    while name in taken:
        name, number = f"{short} ({number})", number + 1
    return name
