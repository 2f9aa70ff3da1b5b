"""Guided trouble-shooting: a playbook asks one question after the other and ends in actions.

A playbook is a YAML file: a new one needs no code. Each step asks for evidence by name
(console.diagnose_evidence), or with a SELECT of its own, and branches on the facts that come back;
what could not be found out is a branch of its own and never read as well.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Self

from console import documents
from console.errors import ConsoleError, SettingsError

Fact = str | int | float | bool | None
Facts = Mapping[str, Fact]
Ask = Callable[["Step"], Awaitable[Facts]]

END = "end"
_TERM = re.compile(r"(\w+)\s*(>=|<=|=|!=|>|<)\s*(.+)")
_PLACE = re.compile(r"\{(\w+)\}")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Term:
    fact: str
    sign: str
    value: float | str | bool

    def holds(self, facts: Facts) -> bool:
        """False where the fact is not known."""
        found = facts.get(self.fact)
        if found is None:
            return False
        if isinstance(self.value, str) or isinstance(found, str):
            same = str(found) == str(self.value)
            return same if self.sign == "=" else not same
        return _OPERATORS[self.sign](float(found), float(self.value))


@dataclass(frozen=True, slots=True)
class Condition:
    """Terms that all hold, e.g. 'waiting > 0 and idle_seconds >= 60'; 'yes' and 'no' are words."""

    terms: tuple[Term, ...]
    text: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        terms = []
        for part in text.split(" and "):
            found = _TERM.fullmatch(part.strip())
            if found is None:
                raise ValueError("FACT > NUMBER, FACT = WORD or such, joined by 'and'")
            terms.append(Term(found[1], found[2], _value(found[3].strip(), found[2])))
        return cls(tuple(terms), text)

    def holds(self, facts: Facts) -> bool:
        return all(term.holds(facts) for term in self.terms)


def _value(text: str, sign: str) -> float | str | bool:
    if text in ("yes", "no"):
        return text == "yes"
    try:
        return float(text)
    except ValueError:
        if sign not in ("=", "!="):
            raise ValueError("a number after < and >") from None
        return text


@dataclass(frozen=True, slots=True)
class Branch:
    """An answer: what it means, and where it leads. Without `when` it is taken in any case."""

    say: str
    """A sentence; {fact} is replaced by what was found."""
    when: Condition | None = None
    go: str = END
    """The next step; 'end' is the end."""
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    question: str
    answers: tuple[Branch, ...]
    """The first that holds is taken."""
    unknown: Branch
    """Where the evidence cannot be had."""
    ask: str = ""
    """A name of console.diagnose_evidence."""
    sql: str = ""
    """Or a SELECT of one row, asked on a read-only session."""

    def __post_init__(self) -> None:
        if bool(self.ask) == bool(self.sql):
            raise ValueError("either 'ask' or 'sql'")
        if not self.answers or self.answers[-1].when is not None:
            raise ValueError("a last answer without 'when', taken in any other case")


@dataclass(frozen=True, slots=True)
class Remedy:
    """An action with its name: what to do, where, and what to mind."""

    do: str
    how: str = ""
    """A command, SQL, or the keys in the console."""
    mind: str = ""


@dataclass(frozen=True, slots=True)
class Playbook:
    title: str
    says: str
    """How a person would put it."""
    first: str
    steps: dict[str, Step]
    actions: dict[str, Remedy]
    order: int = 100
    """Of the list of troubles."""

    def __post_init__(self) -> None:
        """Raises ValueError for a name that is missing, and for a walk that would not end."""
        for name, step in self.steps.items():
            for branch in (*step.answers, step.unknown):
                if branch.go not in (*self.steps, END):
                    raise ValueError(f"a step '{branch.go}', as step '{name}' goes there")
                for action in branch.actions:
                    if action not in self.actions:
                        raise ValueError(f"an action '{action}', as step '{name}' names it")
        if self.first not in self.steps:
            raise ValueError(f"a step '{self.first}' to begin with")
        self._ends(self.first, ())

    def _ends(self, name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ValueError(f"steps that come to an end; '{name}' leads back to itself")
        step = self.steps[name]
        for branch in (*step.answers, step.unknown):
            if branch.go != END:
                self._ends(branch.go, (*path, name))


def playbooks(own: Path | None = None) -> dict[str, Playbook]:
    """Every playbook by name, in the order of the list; a file in `own` replaces a bundled one.

    Raises SettingsError for a file that is mistaken.
    """
    found = {}
    for entry in files("console").joinpath("playbooks").iterdir():
        if entry.name.endswith(".yaml"):
            text = entry.read_text("utf-8")
            found[entry.name.removesuffix(".yaml")] = documents.parse(text, Playbook, entry.name)
    for path in sorted(own.glob("*.yaml")) if own is not None and own.is_dir() else ():
        found[path.stem] = documents.load(path, Playbook)
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def named(name: str, known: Mapping[str, Playbook]) -> Playbook:
    """Raises SettingsError for a trouble that no playbook is about."""
    if name not in known:
        raise SettingsError(
            f"There is no playbook '{name}'.", f"Known troubles: {', '.join(known)}."
        )
    return known[name]


@dataclass(frozen=True, slots=True)
class Visited:
    """A step that was walked: the question, the facts, and what they mean."""

    name: str
    question: str
    asked: str
    facts: Facts
    meaning: str
    error: ConsoleError | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Walk:
    playbook: Playbook
    visited: tuple[Visited, ...]
    remedies: tuple[Remedy, ...]
    """What to do, most urgent first, with the facts filled in."""

    @property
    def conclusion(self) -> str:
        return self.visited[-1].meaning


async def walk(
    playbook: Playbook, ask: Ask, on_step: Callable[[Visited], None] = lambda visited: None
) -> Walk:
    """Go through a playbook; `ask` gets a step's facts and may raise ConsoleError."""
    visited: list[Visited] = []
    remedies: dict[str, Remedy] = {}
    known: dict[str, Fact] = {}
    name = playbook.first
    while name != END:
        step = playbook.steps[name]
        error: ConsoleError | None = None
        facts: Facts = {}
        try:
            facts = await ask(step)
        except ConsoleError as problem:
            error = problem
        known |= facts
        branch = step.unknown if error else next(b for b in step.answers if _taken(b, facts))
        seen = Visited(
            name, step.question, step.ask or step.sql, facts, filled(branch.say, known), error
        )
        visited.append(seen)
        on_step(seen)
        for action in branch.actions:
            remedies.setdefault(action, _remedy(playbook.actions[action], known))
        name = branch.go
    return Walk(playbook, tuple(visited), tuple(remedies.values()))


def _taken(branch: Branch, facts: Facts) -> bool:
    return branch.when is None or branch.when.holds(facts)


def _remedy(remedy: Remedy, facts: Facts) -> Remedy:
    return Remedy(filled(remedy.do, facts), filled(remedy.how, facts), filled(remedy.mind, facts))


def filled(text: str, facts: Facts) -> str:
    """The text with each {fact} as a person reads it; what is not known is a question mark.

    >>> filled("{waiting} wait for {root}", {"waiting": 2, "root": None})
    '2 wait for ?'
    """
    return _PLACE.sub(lambda found: spoken(facts.get(found[1])), text)


def spoken(fact: Fact) -> str:
    """A fact in words: yes and no, numbers without a tail of digits."""
    if fact is None:
        return "?"
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)
