"""The columns of the Activity tab's views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from console import units
from console.monitor.activity import IDLE_IN_TRANSACTION, is_waiting, running_seconds, urgency
from console.monitor.io import IoLine
from console.monitor.locks import Node, age_words
from console.monitor.progress import Bar
from console.monitor.statement_text import one_line
from console.monitor.waits import EventLoad
from queries.activity import Backend
from screens.widgets.record_table import Column
from screens.widgets.steady_table import cut

Room = Callable[[], int]

LONG_TRANSACTION_SECONDS = 60.0
_BAR_WIDTH = 14


def sessions(room: Room) -> Sequence[Column[Backend]]:
    return (
        Column("state", state, urgency, width=8),
        Column("pid", lambda b: str(b.pid), lambda b: b.pid, right=True, width=7),
        Column(
            "for", lambda b: _seconds(running_seconds(b)), running_seconds,
            right=True, width=8, descending=True,
        ),
        Column(
            "tx age", _transaction_age, lambda b: b.transaction_seconds,
            right=True, width=8, priority=2, descending=True,
        ),
        Column("waits for", _wait, lambda b: b.wait_event, width=15, priority=1),
        Column("blocked by", _blockers, priority=5, width=11),
        Column("role", lambda b: cut(b.role or "", 11), lambda b: b.role, width=11, priority=3),
        Column(
            "application", lambda b: cut(b.application or b.kind or "", 16),
            lambda b: b.application, width=16, priority=4,
        ),
        Column("client", lambda b: cut(b.client or "", 13), lambda b: b.client,
               width=13, priority=6),
        Column("database", lambda b: cut(b.database or "", 12), lambda b: b.database,
               width=12, priority=7),
        Column("statement", lambda b: statement(b, room()), width=24),
    )  # fmt: skip


def state(backend: Backend) -> Text:
    """A word, coloured where it asks for attention."""
    if backend.is_hidden:
        return Text("hidden", "dim")
    if is_waiting(backend):
        return Text("waiting", "bold red")
    if backend.state in IDLE_IN_TRANSACTION:
        return Text("idle tx", "yellow")
    if backend.state == "active":
        return Text("active", "green")
    if backend.state is None:
        return Text("worker", "cyan")
    return Text("idle" if backend.state == "idle" else backend.state[:8], "dim")


def statement(backend: Backend, room: int) -> Text:
    """What it runs; of an idle session what it ran last, dimmed."""
    if backend.is_hidden:
        return Text("(hidden from this role)", "dim")
    text = one_line(backend.query or "") or f"({backend.kind})"
    return cut(text, room, "" if backend.state == "active" else "dim")


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return units.duration(seconds if seconds < 1 else round(seconds, 1))


def _transaction_age(backend: Backend) -> Text:
    seconds = backend.transaction_seconds
    old = seconds is not None and seconds >= LONG_TRANSACTION_SECONDS
    return Text(_seconds(seconds), "yellow" if old else "")


def _wait(backend: Backend) -> Text:
    if backend.state != "active" and not is_waiting(backend):
        return Text("")
    if backend.wait_class is None:
        return Text("CPU" if backend.state == "active" else "", "dim")
    style = "red" if backend.wait_class == "Lock" else ""
    return cut(f"{backend.wait_class}:{backend.wait_event}", 15, style)


def _blockers(backend: Backend) -> Text:
    names = ["prepared" if pid == 0 else str(pid) for pid in backend.blocked_by]
    return cut(" ".join(names), 11, "red")


def locks(room: Room) -> Sequence[Column[Node]]:
    return (
        Column("session", _place, width=15),
        Column("state", _node_state, width=8, priority=1),
        Column("waits", _waited, right=True, width=8),
        Column("for", _wanted, width=22),
        Column("behind", lambda n: str(n.behind) if n.behind else "", right=True, width=6,
               priority=3),
        Column("also by", _others, width=10, priority=2),
        Column("application", lambda n: cut((n.backend.application if n.backend else "") or "", 14),
               width=14, priority=4),
        Column("statement", lambda n: _node_statement(n, room()), width=16),
    )  # fmt: skip


def _place(node: Node) -> Text:
    """The process, indented under the one it waits for."""
    name = str(node.who)
    if node.is_root:
        return cut(name, 15, "bold red")
    return cut(f"{'  ' * (min(node.depth, 5) - 1)}└ {name}", 15)


def _node_state(node: Node) -> Text:
    if isinstance(node.who, str):
        return Text("prepared", "yellow")
    if node.backend is None:
        return Text("ended", "dim")
    if node.is_deadlock:
        return Text("circle", "bold red")
    return state(node.backend)


def _waited(node: Node) -> str:
    return age_words(node.waiting) if node.waiting else ""


def _wanted(node: Node) -> Text:
    if node.waiting is not None:
        return cut(node.waiting.what, 22)
    backend = node.backend
    if backend is None or backend.transaction_seconds is None:
        return Text("")
    kind = "idle tx" if backend.state in IDLE_IN_TRANSACTION else "tx"
    return Text(f"{kind}, {units.duration(round(backend.transaction_seconds))} old", "yellow")


def _others(node: Node) -> Text:
    return cut(" ".join(map(str, node.also_blocked_by)) if node.depth else "", 10, "red")


def _node_statement(node: Node, room: int) -> Text:
    if node.backend is None:
        return Text("")
    return statement(node.backend, room)


def progress(room: Room) -> Sequence[Column[Bar]]:
    return (
        Column("operation", lambda b: cut(b.title, 22), lambda b: b.title, width=22),
        Column("phase done", _bar, lambda b: b.fraction, width=_BAR_WIDTH + 5),
        Column("for", lambda b: _seconds(b.operation.seconds), lambda b: b.operation.seconds,
               right=True, width=8, descending=True),
        Column("pid", lambda b: str(b.operation.pid), right=True, width=7, priority=2),
        Column("database", lambda b: cut(b.operation.database or "", 12), width=12, priority=3),
        Column("amount", lambda b: b.amount, width=24, priority=1),
        Column("phase", lambda b: cut(b.phase, room()), width=20),
    )  # fmt: skip


def _bar(bar: Bar) -> Text:
    if bar.fraction is None:
        return Text("─" * _BAR_WIDTH, "dim")
    filled = round(_BAR_WIDTH * bar.fraction)
    line = Text("━" * filled, "green").append("━" * (_BAR_WIDTH - filled), "dim")
    return line.append(f" {bar.fraction:>4.0%}", "bold")


def events(_room: Room) -> Sequence[Column[EventLoad]]:
    return (
        Column("group", lambda e: str(e.group), lambda e: e.group, width=7),
        Column("average", lambda e: f"{e.sessions:.2f}", lambda e: e.sessions,
               right=True, width=9, descending=True),
        Column("share", lambda e: units.percent(round(e.share, 2)), lambda e: e.share,
               right=True, width=7, descending=True),
        Column("now", lambda e: str(e.now) if e.now else "·", lambda e: e.now,
               right=True, width=5, descending=True),
        Column("class", lambda e: cut(e.wait_class, 10), lambda e: e.wait_class, width=10),
        Column("event", lambda e: cut(e.event, 30), lambda e: e.event, width=20),
    )  # fmt: skip


def io(_room: Room) -> Sequence[Column[IoLine]]:
    return (
        Column("process", lambda i: cut(i.counters.backend, 18), lambda i: i.counters.backend,
               width=18),
        Column("what", lambda i: cut(_what(i), 15), _what, width=15),
        Column("read", lambda i: _size(i.counters.read_bytes), lambda i: i.counters.read_bytes,
               right=True, width=8, descending=True),
        Column("/s", lambda i: _rate(i.read_rate), lambda i: i.read_rate,
               right=True, width=8, descending=True),
        Column("time", lambda i: _seconds(i.counters.read_ms / 1000 or None) or "·",
               lambda i: i.counters.read_ms, right=True, width=8, priority=1, descending=True),
        Column("written", lambda i: _size(i.written), lambda i: i.written,
               right=True, width=8, descending=True),
        Column("/s ", lambda i: _rate(i.write_rate), lambda i: i.write_rate,
               right=True, width=8, descending=True),
        Column("hits", lambda i: _count(i.counters.hits),
               lambda i: i.counters.hits, right=True, width=7, priority=3, descending=True),
        Column("evicted", lambda i: _count(i.counters.evictions), right=True,
               width=7, priority=4),
    )  # fmt: skip


def _what(line: IoLine) -> str:
    """E.g. 'relation', 'temp vacuum', 'wal init'."""
    thing = line.counters.object.removesuffix(" relation")
    context = line.counters.context
    return thing if context == "normal" else f"{thing} {context}"


def _count(number: int) -> str:
    return units.count(number) if number else "·"


def _size(amount: int) -> str:
    return units.size(amount) if amount else "·"


def _rate(rate: float | None) -> str:
    if rate is None:
        return units.UNKNOWN
    return units.size(int(rate)) if rate >= 1 else "·"
