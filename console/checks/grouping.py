"""Many objects of one kind in one finding, and settings that are not as they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from console.checks.check import Outcome, unknown
from console.findings import Evidence, Finding, Severity
from console.names import quoted
from console.parameters import Parameters
from console.units import counted as counted

SHOWN = 20
"""Objects are named, and mended by a statement each, up to so many; the rest are counted."""


def named(names: Iterable[str]) -> str:
    """The first of many names, and how many more there are.

    >>> named(["a", "b"]), named(str(n) for n in range(22))[-14:]
    ('a, b', '19 and 2 more.')
    """
    known = list(names)
    rest = len(known) - SHOWN
    shown = ", ".join(known[:SHOWN])
    return f"{shown} and {rest} more." if rest > 0 else shown


def grouped(
    check: str,
    severity: Severity,
    names: Sequence[str],
    message: str,
    asked: str,
    fixes: Iterable[str] = (),
) -> Finding:
    """One finding about all of `names`; `fixes` are statements, an object's after another's."""
    statements = list(fixes)
    rest = len(statements) - SHOWN
    shown = statements[:SHOWN] + ([f"-- and so for {rest} more"] if rest > 0 else [])
    subject = names[0] if len(names) == 1 else ""
    return Finding(
        check, severity, subject, message, Evidence(asked, named(names)), "\n".join(shown)
    )


def hidden(check: str, what: str, fix: str) -> Outcome:
    """The answer of a check whose role may not look."""
    return Outcome(
        "could not be checked", (unknown(check, "", f"This role may not see {what}.", fix),)
    )


@dataclass(frozen=True, slots=True)
class Rule:
    """What one setting should be, and why."""

    name: str
    holds: Callable[[Parameters], bool | None]
    """None where the version or the role does not have the setting."""
    wanted: str
    """For ALTER SYSTEM, unquoted."""
    why: str


def on(name: str, why: str) -> Rule:
    return Rule(name, lambda found: found.is_on(name), "on", why)


def off(name: str, why: str) -> Rule:
    def holds(found: Parameters) -> bool | None:
        state = found.is_on(name)
        return None if state is None else not state

    return Rule(name, holds, "off", why)


def one_of(name: str, wanted: Sequence[str], why: str) -> Rule:
    """The first of `wanted` is what the fix sets."""

    def holds(found: Parameters) -> bool | None:
        text = found.text(name)
        return None if text is None else text in wanted

    return Rule(name, holds, wanted[0], why)


def broken(found: Parameters, rules: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.holds(found) is False]


def unseen(found: Parameters, rules: Iterable[Rule]) -> list[str]:
    """Settings that are hidden, or that this version does not have."""
    return [rule.name for rule in rules if rule.holds(found) is None]


def settings_finding(
    check: str, severity: Severity, message: str, found: Parameters, rules: Sequence[Rule]
) -> Finding:
    """One finding about settings that are not as their rules want them."""
    names = [rule.name for rule in rules]
    return Finding(
        check,
        severity,
        names[0] if len(names) == 1 else "",
        message,
        Evidence(
            f"pg_settings: {', '.join(names)}", "; ".join(found.shown(name) for name in names)
        ),
        "\n".join(alter_system(found, rule.name, rule.wanted, rule.why) for rule in rules),
    )


def alter_system(found: Parameters, name: str, wanted: str, why: str = "") -> str:
    """ALTER SYSTEM with what it takes to come into force."""
    parameter = found.by_name.get(name)
    after = "then restart" if parameter and parameter.context == "postmaster" else "then reload"
    note = f"{after}: {why}" if why else after
    value = wanted.replace("'", "''")
    return f"ALTER SYSTEM SET {_parameter(name)} = '{value}'; -- {note}"


def _parameter(name: str) -> str:
    return ".".join(quoted(part) for part in name.split("."))
