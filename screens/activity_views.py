"""The views of the Activity tab: sessions, locks, progress, waits, I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from console import units
from console.monitor import io, locks, progress, waits
from console.monitor.activity import Sample, is_client, is_idle, key_of
from console.monitor.io import IoLine, IoSample
from console.monitor.locks import Node
from console.monitor.progress import Bar
from console.monitor.waits import Group, WaitHistory
from console.session import Session
from queries.activity import Backend
from queries.locks import LOCK_QUEUE
from queries.operations import OPERATIONS
from screens import activity_columns as columns
from screens.widgets.plain import one_line
from screens.widgets.record_table import Column
from screens.widgets.steady_table import SteadyTable

_LEVELS = " ▁▂▃▄▅▆▇█"
_COLOURS = {Group.CPU: "green", Group.IO: "blue", Group.LOCK: "red", Group.OTHER: "magenta"}


class View(Vertical):
    """A remark, and a table of what is looked at. Shows a sample and the answer of its question."""

    IDENTITY: ClassVar[str] = ""
    IS_RECORDED: ClassVar[bool] = True
    """What it shows can be had from a recording of the sessions."""

    def __init__(self) -> None:
        super().__init__(id=f"view-{self.IDENTITY}", classes="view")
        self.words: tuple[str, ...] = ()
        self._remark: Text | None = None

    @property
    def columns(self) -> Sequence[Column[Any]]:
        raise NotImplementedError

    @staticmethod
    def key(record: Any) -> str:
        return str(record.key)

    sort: ClassVar[int | None] = None

    def compose(self) -> ComposeResult:
        yield Static(classes="view-remark", markup=False)
        yield SteadyTable[Any](self.columns, self.key, sort=self.sort, id=f"table-{self.IDENTITY}")

    @property
    def table(self) -> SteadyTable[Any]:
        return self.query_one(SteadyTable)

    def room(self) -> int:
        return self.table.room

    async def ask(self, session: Session, sample: Sample) -> Any:
        """What it needs beyond the sample. Raises ConsoleError."""
        return None

    def show(self, sample: Sample, answer: Any) -> None:
        raise NotImplementedError

    def show_unrecorded(self) -> None:
        """In place of `show` while a recording is looked at."""
        self.table.show([])
        self.remark(Text("A recording holds the sessions, their locks and waits; not this.", "dim"))

    def remark(self, text: Text) -> None:
        if text != self._remark:
            self._remark = text
            line = self.query_one(".view-remark", Static)
            line.update(text)
            line.display = bool(text.plain)

    def put(self, records: Sequence[Any], text_of: Any) -> None:
        """Show those that hold the filter's words."""
        self.table.show(
            [r for r in records if all(word in text_of(r).casefold() for word in self.words)]
        )

    @property
    def selected_backend(self) -> Backend | None:
        return None


class SessionsView(View):
    IDENTITY = "sessions"

    def __init__(self) -> None:
        super().__init__()
        self.hides_idle = True

    @property
    def columns(self) -> Sequence[Column[Any]]:
        return columns.sessions(self.room)

    sort = 0

    @staticmethod
    def key(record: Backend) -> str:
        return key_of(record)

    def show(self, sample: Sample, answer: Any) -> None:
        shown = [b for b in sample.backends if not (self.hides_idle and is_idle(b))]
        if self.hides_idle:
            shown = [b for b in shown if is_client(b) or b.state == "active"]
        self.put(shown, words_of)
        hidden = sum(backend.is_hidden for backend in sample.backends)
        if hidden:
            self.remark(
                Text(
                    f"{hidden} sessions of other roles are hidden from this role:"
                    " GRANT pg_read_all_stats TO it shows them.",
                    "yellow",
                )
            )
        else:
            self.remark(Text())

    @property
    def selected_backend(self) -> Backend | None:
        return self.table.selected


def words_of(backend: Backend) -> str:
    parts = (
        str(backend.pid),
        backend.role,
        backend.database,
        backend.application,
        backend.client,
        backend.state,
        backend.wait_event,
        backend.query,
    )
    return " ".join(part for part in parts if part)


class LocksView(View):
    IDENTITY = "locks"

    @property
    def columns(self) -> Sequence[Column[Any]]:
        return columns.locks(self.room)

    async def ask(self, session: Session, sample: Sample) -> list[Node]:
        if not any(backend.blocked_by for backend in sample.backends):
            return []
        return locks.blocking_tree(sample.backends, await session.fetch(LOCK_QUEUE))

    def show(self, sample: Sample, answer: list[Node] | None) -> None:
        nodes = answer or []
        self.put(nodes, lambda n: words_of(n.backend) if n.backend else str(n.who))
        if not nodes:
            self.remark(Text("Nobody waits for anybody else.", "green"))
            return
        text = Text()
        roots = [node for node in nodes if node.is_root]
        for n, root in enumerate(roots[:3]):
            text.append("\n" if n else "").append("→ ", "bold yellow")
            text.append_text(one_line(locks.unblocking(root)))
        if len(roots) > 3:
            text.append(f"\n… and {len(roots) - 3} more", "dim")
        self.remark(text)

    @property
    def selected_backend(self) -> Backend | None:
        node: Node | None = self.table.selected
        return node.backend if node else None


class ProgressView(View):
    IDENTITY = "progress"
    IS_RECORDED = False

    @property
    def columns(self) -> Sequence[Column[Any]]:
        return columns.progress(self.room)

    async def ask(self, session: Session, sample: Sample) -> list[Bar]:
        return [progress.bar(operation) for operation in await session.fetch(OPERATIONS)]

    def show(self, sample: Sample, answer: list[Bar] | None) -> None:
        bars = answer or []
        self.put(bars, lambda bar: f"{bar.title} {bar.phase}")
        self._backends = {backend.pid: backend for backend in sample.backends}
        self.remark(
            Text()
            if bars
            else Text(
                "No vacuum, analyze, index build, cluster, copy or base backup runs now.", "dim"
            )
        )

    @property
    def selected_backend(self) -> Backend | None:
        bar: Bar | None = self.table.selected
        return self._backends.get(bar.operation.pid) if bar else None


class WaitsView(View):
    IDENTITY = "waits"

    def __init__(self, history: WaitHistory) -> None:
        super().__init__()
        self.history = history

    @property
    def columns(self) -> Sequence[Column[Any]]:
        return columns.events(self.room)

    def show(self, sample: Sample, answer: Any) -> None:
        self.put(self.history.events(), lambda e: f"{e.group} {e.wait_class} {e.event}")
        self.remark(self._chart(max(20, (self.size.width or 80) - 24)))

    def _chart(self, slots: int) -> Text:
        """A line a group, on one scale, the newest at the right."""
        series = {g: waits.gaps_filled(self.history.series(g, slots)) for g in Group}
        top = max([v for found in series.values() for v in found if v is not None] + [1.0])
        text = Text()
        for group, values in series.items():
            text.append(f"{group:>6} ", f"bold {_COLOURS[group]}")
            text.append("".join(_level(v, top) for v in values), _COLOURS[group])
            text.append(f" {self.history.load(group):5.2f}\n")
        minutes = units.duration(waits.HISTORY.total_seconds())
        text.append(f"{'':7}sessions at work, the last {minutes}; full height is {top:.3g}", "dim")
        return text


def _level(value: float | None, top: float) -> str:
    if not value:
        return " "
    return _LEVELS[max(1, round(value / top * (len(_LEVELS) - 1)))]


class IoView(View):
    IDENTITY = "io"
    IS_RECORDED = False

    def __init__(self) -> None:
        super().__init__()
        self._before: IoSample | None = None

    def on_mount(self) -> None:
        self.table.fills = False

    @property
    def columns(self) -> Sequence[Column[Any]]:
        return columns.io(self.room)

    async def ask(self, session: Session, sample: Sample) -> IoAnswer:
        now = await io.read_io(session)
        before, self._before = self._before, now
        server = session.server
        missing = io.absent(now, server.major if server else 0)
        return IoAnswer(
            io.lines(before, now),
            io.remarks(before.writing if before else None, now.writing),
            tuple(missing),
        )

    def show(self, sample: Sample, answer: IoAnswer | None) -> None:
        if answer is None:
            return
        self.put(answer.lines, lambda line: line.key)
        text = Text()
        for n, (name, figures) in enumerate(answer.remarks):
            text.append("\n" if n else "").append(f"{name:>12}  ", "dim").append(figures)
        for sentence in answer.missing:
            text.append(f"\n{'':14}{sentence}", "yellow")
        self.remark(text)


@dataclass(frozen=True, slots=True)
class IoAnswer:
    lines: list[IoLine]
    remarks: list[tuple[str, str]]
    missing: tuple[str, ...]
