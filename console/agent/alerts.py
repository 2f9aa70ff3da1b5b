"""When something is told: once when it begins, now and then while it lasts, once when it is over.

A state machine without any input or output. A condition is told after it held for a while, and as
over after it was gone for as long, so that what flickers is told once. In quiet hours warnings
wait. The state is plain data and outlives the agent, so a restart tells nothing again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from console.agent.clock import Moment
from console.agent.conditions import Condition, Kind, Severity
from console.agent.policy import Alerts

_FORGOTTEN_AFTER = 7 * 86_400.0
"""Seconds after which something that is looked at no more is dropped, untold."""

What = Literal["raised", "repeated", "cleared"]


@dataclass(frozen=True, slots=True)
class Alert:
    """What is known of one condition of one target."""

    kind: Kind
    subject: str
    severity: Severity
    message: str
    hint: str
    phase: Literal["rising", "raised", "falling", "over"]
    """over: it ended in quiet hours, and that is still to be told."""
    since: Moment
    """When it began to hold."""
    changed: Moment
    """When this phase began."""
    seen: Moment
    told: Moment | None = None
    told_severity: Severity = "warning"

    @property
    def is_raised(self) -> bool:
        return self.phase in ("raised", "falling")


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell now."""

    what: What
    kind: Kind
    subject: str
    severity: Severity
    message: str
    hint: str
    since: datetime
    seconds: float
    """How long it held."""


Book = Mapping[str, Alert]
"""A target's alerts by the keys of their conditions."""


def raised(book: Book) -> frozenset[str]:
    """Keys of what holds and has been, or in quiet hours will be, told."""
    return frozenset(key for key, alert in book.items() if alert.is_raised)


def step(
    book: Book, seen: Iterable[Condition], now: Moment, policy: Alerts, local: datetime
) -> tuple[dict[str, Alert], list[Notice]]:
    """The state after a look, and what is to be told of it.

    What was not looked at stays as it is. `local` is the time of the day that quiet hours mean.
    """
    quiet = policy.quiet is not None and policy.quiet.holds(local)
    machine = _Machine(now, policy, quiet)
    after = dict(book)
    for condition in seen:
        alert = machine.moved(after.get(condition.key), condition)
        if alert is None:
            after.pop(condition.key, None)
        else:
            after[condition.key] = alert
    for key, alert in list(after.items()):
        forgotten = now.seconds_since(alert.seen) > _FORGOTTEN_AFTER
        told = None if forgotten else machine.told(alert)
        if told is None:
            del after[key]
        else:
            after[key] = told
    return after, machine.notices


class _Machine:
    def __init__(self, now: Moment, policy: Alerts, quiet: bool) -> None:
        self.now, self.policy, self.quiet = now, policy, quiet
        self.notices: list[Notice] = []

    def moved(self, alert: Alert | None, condition: Condition) -> Alert | None:
        """The alert after what was seen; nothing is told yet."""
        now = self.now
        if condition.holds:
            return self._holding(alert, condition)
        if alert is None or alert.phase == "rising":
            return None
        if alert.phase == "raised":
            alert = replace(alert, phase="falling", changed=now)
        if alert.phase == "falling" and self._lasted(alert):
            return replace(alert, phase="over", changed=now, seen=now)
        return replace(alert, seen=now)

    def _holding(self, alert: Alert | None, condition: Condition) -> Alert:
        now = self.now
        if alert is None:
            alert = _begun(condition, now)
        elif alert.phase == "over":
            # It came back before its end was told: to those told of it, it never ended.
            alert = replace(alert, phase="raised", changed=now)
        elif alert.phase == "falling":
            alert = replace(alert, phase="raised")
        if alert.phase == "rising" and self._lasted(alert):
            alert = replace(alert, phase="raised", changed=now)
        return replace(
            alert,
            severity=condition.severity,
            message=condition.message,
            hint=condition.hint,
            seen=now,
        )

    def _lasted(self, alert: Alert) -> bool:
        return self.now.seconds_since(alert.changed) >= self.policy.after_seconds

    def told(self, alert: Alert) -> Alert | None:
        """Tell what is due of it; None when there is nothing more to remember."""
        if alert.phase == "over":
            if alert.told is None:
                return None
            return None if self._tell("cleared", alert, alert.told_severity) else alert
        if alert.phase != "raised":
            return alert
        what = self._due(alert)
        if what is None or not self._tell(what, alert, alert.severity):
            return alert
        return replace(alert, told=self.now, told_severity=alert.severity)

    def _due(self, alert: Alert) -> What | None:
        if alert.told is None:
            return "raised"
        if alert.severity == "failure" and alert.told_severity == "warning":
            return "raised"
        every = timedelta(hours=self.policy.repeat_hours).total_seconds()
        if every and self.now.seconds_since(alert.told) >= every:
            return "repeated"
        return None

    def _tell(self, what: What, alert: Alert, severity: Severity) -> bool:
        if self.quiet and severity == "warning":
            return False
        self.notices.append(
            Notice(
                what,
                alert.kind,
                alert.subject,
                severity,
                alert.message,
                alert.hint,
                alert.since.by_the_clock_of(self.now),
                self.now.seconds_since(alert.since),
            )
        )
        return True


def _begun(condition: Condition, now: Moment) -> Alert:
    return Alert(
        condition.kind,
        condition.subject,
        condition.severity,
        condition.message,
        condition.hint,
        "rising",
        now,
        now,
        now,
    )
