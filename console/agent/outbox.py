"""Messages on their way: bounded, in order for each receiver, tried again with growing waits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from console import units
from console.agent.alerts import Notice
from console.agent.clock import Moment
from console.agent.conditions import TITLES, Severity
from console.agent.policy import Alerts
from console.errors import SettingsError

_MOST = 200
"""Messages that wait; beyond it the oldest go."""
_OLDEST = 86_400.0
"""Seconds after which a message is given up."""
_FIRST_WAIT, _LONGEST_WAIT = 5.0, 600.0


@dataclass(frozen=True, slots=True)
class Address:
    """One Apprise address with a name that gives nothing of it away."""

    url: str
    at_least: Severity

    def __repr__(self) -> str:
        return f"Address({self.name})"

    @property
    def name(self) -> str:
        """Its scheme and a digest: for logs, and to tell addresses apart over restarts."""
        scheme = self.url.partition("://")[0]
        return f"{scheme}-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}"

    def wants(self, severity: Severity) -> bool:
        return severity == "failure" or self.at_least == "warning"


def addresses(policy: Alerts) -> tuple[Address, ...]:
    """Every address of the settings. Raises SettingsError for a file that cannot be read."""
    found = []
    for receiver in policy.to:
        urls = [receiver.url] if receiver.url else _lines(receiver.url_file)
        found += [Address(url, receiver.at_least) for url in urls]
    return tuple({address.name: address for address in found}.values())


def _lines(path: Path | None) -> list[str]:
    assert path is not None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The addresses in {path} cannot be read ({getattr(error, 'strerror', 'no text')}).",
            "Correct agent.alerts.to, or the file's permissions.",
        ) from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@dataclass(frozen=True, slots=True)
class Message:
    """One text for one receiver."""

    receiver: str
    """The name of its address."""
    title: str
    body: str
    severity: Severity
    good: bool
    """It tells that something is over."""
    written: Moment
    tries: int = 0
    tried: Moment | None = None

    def may_go(self, now: Moment) -> bool:
        if self.tried is None:
            return True
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (self.tries - 1))
        return bool(now.seconds_since(self.tried) >= wait)


@dataclass(frozen=True, slots=True)
class Outbox:
    """What waits, the oldest first."""

    messages: tuple[Message, ...] = ()

    def with_more(self, more: Sequence[Message]) -> Outbox:
        return Outbox((*self.messages, *more)[-_MOST:])

    def without(self, message: Message) -> Outbox:
        return Outbox(tuple(other for other in self.messages if other is not message))

    def failed(self, message: Message, now: Moment) -> Outbox:
        again = replace(message, tries=message.tries + 1, tried=now)
        return Outbox(tuple(again if m is message else m for m in self.messages))

    def current(self, receivers: Sequence[str], now: Moment) -> Outbox:
        """Without what is too old, or for somebody who is in the settings no more."""
        kept = (m for m in self.messages if m.receiver in receivers)
        return Outbox(tuple(m for m in kept if now.seconds_since(m.written) < _OLDEST))

    def next_for(self, receiver: str, now: Moment) -> Message | None:
        """The oldest for a receiver, if it may be tried now: those behind it wait for it."""
        first = next((m for m in self.messages if m.receiver == receiver), None)
        return first if first is not None and first.may_go(now) else None


def messages_of(
    notices: Sequence[Notice],
    target: str,
    policy: Alerts,
    receivers: Sequence[Address],
    now: Moment,
) -> list[Message]:
    """The texts of notices, for each receiver that wants them."""
    written = []
    for notice in notices:
        title, body = _title(notice, target), _body(notice, target, policy)
        written += [
            Message(receiver.name, title, body, notice.severity, notice.what == "cleared", now)
            for receiver in receivers
            if receiver.wants(notice.severity)
        ]
    return written


def _title(notice: Notice, target: str) -> str:
    about = f" ({notice.subject})" if notice.subject else ""
    words = TITLES[notice.kind]
    joined = f"{target} {words}" if words.startswith(("is ", "runs ")) else f"{target}: {words}"
    over = {"raised": "", "repeated": "Still: ", "cleared": "Over: "}[notice.what]
    return f"{over}{joined}{about}"


def _body(notice: Notice, target: str, policy: Alerts) -> str:
    template: str = getattr(policy.templates, notice.what)
    return template.format(
        target=target,
        subject=notice.subject,
        message=notice.message,
        hint=notice.hint,
        severity=notice.severity,
        since=f"{notice.since:%Y-%m-%d %H:%M:%S} UTC",
        duration=units.duration(notice.seconds),
    ).strip()
