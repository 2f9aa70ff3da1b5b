"""Timings: which statements take the time, since counting began and right now."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import units
from console.errors import ConsoleError, SettingsError
from console.monitor.intervene import Intervention, carry_out, enable_counting
from console.monitor.sampled import SampledStatement
from console.monitor.statement_text import laid_out
from console.monitor.timings import HISTORY, Timing, leading
from console.monitor.timings_reader import TimingsReader, TimingsReading, points_key
from console.profile import ProfileLimits
from console.profile_choice import choose
from screens.keys import TABS, Key
from screens.past import NO_HISTORY, PastLines
from screens.plan_link import open_plan
from screens.timings_columns import VIEWS, sampled_columns, timing_columns
from screens.widgets.chart import Chart
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.plain import many_lines, one_line
from screens.widgets.steady_table import SteadyTable
from screens.widgets.tab import Tab

SHORTEST_INTERVAL = 2.0
"""Reading every statement's counters costs the server a little; more often shows no more."""
ROOM_FOR_CHARTS = 32
"""Lines of the tab from which the charts are shown unasked."""


class TimingsTab(Tab):
    IDENTITY = "timings"
    TITLE = "Timings"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["timings"]
    EXPLANATION = """
Which statements take the time: all of this database's, as pg_stat_statements counts them, with
what was added in the last interval. Without it the sessions are sampled, which is said on top.
"""
    FIGURES = (
        ("total", "Execution time of all runs since counting began; share is of all statements."),
        ("mean", "Per run; ! marks a mean over the profile's target (50 ms unless it says)."),
        ("/s", "Runs a second in the last interval; · is none, - is not known yet."),
        ("busy", "Sessions kept busy by it in the last interval: 1.0 is one, all the time."),
        ("hit", "Blocks found in shared_buffers of all it asked for."),
        ("read", "Read from the system; its time only with track_io_timing."),
        ("temp", "Spilled to temporary files: sorts and hashes larger than work_mem."),
        ("WAL", "Written to the log by it."),
        (
            "charts",
            "With c: the selected statement over the last minutes; with h all statements over"
            " hours, days and weeks, as the agent wrote them down.",
        ),
        ("est. time", "Sampled: how long sessions were seen at it. Short runs are missed."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.reading: TimingsReading | None = None
        self._reader: TimingsReader | None = None
        self._limit: float | None = None
        self._view = 0
        self._charts: bool | None = None
        self._past = PastLines("statements_per_second", "statement_mean_ms")
        self._headline: Text | None = None

    @property
    def interval(self) -> float | None:
        return max(SHORTEST_INTERVAL, self.console.settings.refresh_seconds)

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), classes="headline", markup=False)
        for n, name in enumerate(VIEWS):
            columns = timing_columns(name, partial(self._room, n), self._is_slow)
            table = SteadyTable[Timing](columns, lambda t: t.key, sort=0, id=f"timings-{name}")
            table.display = n == 0
            yield table
        sampled = SteadyTable[SampledStatement](
            sampled_columns(lambda: self.sampled.room), lambda s: s.key, sort=0, id="sampled"
        )
        sampled.display = False
        yield sampled
        with Horizontal(id="timing-charts"):
            yield Chart("calls/s", id="chart-calls")
            yield Chart("mean ms", id="chart-mean")

    def _table(self, number: int) -> SteadyTable[Timing]:
        return self.query_one(f"#timings-{VIEWS[number]}", SteadyTable)

    def _room(self, number: int) -> int:
        return self._table(number).room

    @property
    def table(self) -> SteadyTable[Timing]:
        return self._table(self._view)

    @property
    def sampled(self) -> SteadyTable[SampledStatement]:
        return self.query_one("#sampled", SteadyTable)

    @property
    def _is_sampled(self) -> bool:
        return self.reading is not None and self.reading.is_sampled

    def _is_slow(self, timing: Timing) -> bool:
        return timing.mean_ms > (self._limit or ProfileLimits().mean_query_ms)

    def first_focus(self) -> Widget | None:
        return self.sampled if self._is_sampled else self.table

    def on_resize(self, event: Resize) -> None:
        if self._charts is None:
            self.set_class(event.size.height >= ROOM_FOR_CHARTS, "-charts")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing is offered to be enabled where all is well."""
        if action == "enable" and (self.reading is None or not self.reading.ready.fix):
            return False
        return super().check_action(action, parameters)

    async def load(self) -> TimingsReading:
        if self._reader is None:
            self._reader = TimingsReader(self.session)
        if self._limit is None:
            self._limit = await self._target_ms()
        await self._past.refresh(self.console.target)
        return await self._reader.read(self.interval or SHORTEST_INTERVAL)

    async def _target_ms(self) -> float:
        """What the profile promises; a profile that cannot be read is the Checks tab's affair."""
        try:
            profile = (await choose(self.console.target)).profile
        except SettingsError:
            profile = None
        return (profile.limits if profile else ProfileLimits()).mean_query_ms

    def show(self, value: TimingsReading) -> None:
        kind_changed = self.reading is None or self.reading.is_sampled != value.is_sampled
        self.reading = value
        if kind_changed:
            self._bring_forward()
        headline = self._summary(value)
        if headline != self._headline:
            self._headline = headline
            self.query_one(".headline", Static).update(headline)
        self.refilter()

    def _bring_forward(self) -> None:
        for n in range(len(VIEWS)):
            self._table(n).display = n == self._view and not self._is_sampled
        self.sampled.display = self._is_sampled
        focus = self.first_focus()
        if self._active and focus is not None:
            focus.focus()
        self.refresh_bindings()

    def refilter(self) -> None:
        if self.reading is None:
            return
        words = self.filter_text.split()
        if self._is_sampled:
            self.sampled.show(
                [s for s in self.reading.sampled if _holds(f"{s.text} {s.role}", words)]
            )
        else:
            self.table.show(
                leading([t for t in self.reading.timings if _holds(f"{t.text} {t.role}", words)])
            )
            self._draw_charts()

    def _summary(self, reading: TimingsReading) -> Text:
        return _sampled_summary(reading) if reading.is_sampled else self._counted_summary(reading)

    def _counted_summary(self, reading: TimingsReading) -> Text:
        slow = sum(map(self._is_slow, reading.timings))
        limit = units.duration((self._limit or 0) / 1000)
        busy = sum(t.change.busy for t in reading.timings if t.change)
        line = Text.assemble((f"{len(reading.timings)} statements", "bold"))
        line.append(f" · {busy:.1f} sessions busy", "bold")
        if slow:
            line.append(f" · ! {slow} over {limit}", "bold yellow")
        else:
            line.append(f" · none over {limit}")
        if reading.since is not None:
            line.append(f" · since {reading.since:%m-%d %H:%M} UTC", "dim")
        if self._reader is not None and self._reader.shows_own:
            line.append(" · with the console's own", "dim")
        for remark in self._remarks(reading):
            line.append(f"\n{remark}", "yellow")
        return line

    def _remarks(self, reading: TimingsReading) -> list[str]:
        remarks = [reading.remark] if reading.remark else []
        if reading.hidden:
            remarks.append(
                f"{reading.hidden} statements of other roles are hidden:"
                " GRANT pg_read_all_stats TO the role shows them."
            )
        if reading.ready.fix:
            remarks.append(f"{reading.ready.message} {reading.ready.fix}")
        return remarks[:2] + list(reading.notices)[-1:]

    def _draw_charts(self) -> None:
        """Of the selected statement the last minutes; of all of them longer spans."""
        timing = self.table.selected
        if not self.has_class("-charts") or self._reader is None:
            return
        calls, means = self.query_one("#chart-calls", Chart), self.query_one("#chart-mean", Chart)
        if self._past.span is not None:
            self._past.draw("statements_per_second", calls, "calls/s, all statements")
            self._past.draw("statement_mean_ms", means, "mean ms, all statements")
        else:
            history = self._reader.history
            points = history.points(points_key(timing)) if timing is not None else []
            calls.draw([(point.at, point.calls_per_second) for point in points], HISTORY)
            known = [(point.at, point.mean_ms) for point in points if point.mean_ms is not None]
            means.draw(known, HISTORY)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        event.stop()
        self._draw_charts()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_sort(self) -> None:
        (self.sampled if self._is_sampled else self.table).sort_next()

    def action_reverse(self) -> None:
        (self.sampled if self._is_sampled else self.table).reverse()

    def action_view(self) -> None:
        if self._is_sampled:
            self.console.say("Sampled figures have one view.")
            return
        selected = self.table.selected
        self._view = (self._view + 1) % len(VIEWS)
        self._bring_forward()
        self.refilter()
        if selected is not None:
            self.table.select(selected.key)

    def action_charts(self) -> None:
        self._charts = not self.has_class("-charts")
        self.set_class(self._charts, "-charts")
        self._draw_charts()

    def action_span(self) -> None:
        """Hours, days and weeks as the agent saw them, then the minutes seen here again."""
        if not self._past.choose_next():
            self.console.say(NO_HISTORY)
            return
        if not self.has_class("-charts"):
            self.action_charts()
        super().action_reload()

    def action_reload(self) -> None:
        """A grant or an extension may just have come: whether statements are counted is asked."""
        if self._reader is not None:
            self._reader.look_again()
        super().action_reload()

    def action_own(self) -> None:
        if self._reader is not None:
            self._reader.shows_own = not self._reader.shows_own
            self.action_reload()

    def action_detail(self) -> None:
        if self._is_sampled:
            sampled = self.sampled.selected
            if sampled is not None:
                self.app.push_screen(
                    DetailDialog("Statement (sampled)", many_lines(laid_out(sampled.text)))
                )
            return
        timing = self.table.selected
        if timing is not None:
            title = f"Statement {timing.counters.id}"
            self.app.push_screen(DetailDialog(title, details(timing), timing.text))

    async def action_plan(self) -> None:
        if self._is_sampled:
            self.console.say("Sampled statements have lost their values; see Activity instead.")
            return
        timing = self.table.selected
        if timing is None or timing.text is None:
            self.console.say("Select a statement first.")
        else:
            await open_plan(self, timing.text)

    def copied_text(self) -> str | None:
        if self._is_sampled:
            return self.sampled.selected.text if self.sampled.selected else None
        return self.table.selected.text if self.table.selected else None

    def action_enable(self) -> None:
        if self.reading is None:
            return
        try:
            intervention = enable_counting(self.reading.ready)
        except ConsoleError as error:
            self.console.say(str(error), error=not self.reading.ready.is_usable)
            return

        def decided(yes: bool | None) -> None:
            if yes:
                self.run_worker(self._carry_out(intervention), group="act", exclusive=True)

        dialog = ConfirmDialog(intervention.title, intervention.statement, intervention.meaning)
        self.app.push_screen(dialog, decided)

    async def _carry_out(self, intervention: Intervention) -> None:
        try:
            self.console.say(await carry_out(self.console.target, intervention))
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        self.action_reload()


def _holds(text: str, words: list[str]) -> bool:
    return all(word in text.casefold() for word in words)


def _sampled_summary(reading: TimingsReading) -> Text:
    line = Text.assemble((" SAMPLED ", "reverse yellow"))
    seconds = (reading.at - reading.since).total_seconds() if reading.since else 0
    line.append(f" {reading.looks} looks in {units.duration(round(seconds))}: ", "bold")
    line.append("who is at work, not counted. Short statements are missed.")
    line.append(f"\n{reading.ready.message}", "bold")
    fix = " ".join(reading.ready.fix.replace("--", "").split())
    line.append(f"\n→ {fix}")
    if reading.hidden:
        line.append(
            f"\n{reading.hidden} sessions are hidden: GRANT pg_read_all_stats TO the role.",
            "yellow",
        )
    return line


def details(timing: Timing) -> RenderableType:
    """The statement laid out, then every figure of it."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    for name, value in _facts(timing):
        facts.add_row(name, one_line(value))
    return Group(many_lines(laid_out(timing.text or ""), "bold"), Text(), facts)


def _facts(timing: Timing) -> list[tuple[str, str]]:
    c = timing.counters
    per_call = c.rows / c.calls
    asked = c.hit_bytes + c.read_bytes
    facts = [
        ("role", timing.role + ("" if c.is_toplevel else ", inside a function")),
        (
            "runs",
            f"{units.count(c.calls)}, {units.count(c.rows)} rows"
            f" ({units.count(per_call) if per_call >= 1 else f'{per_call:.2g}'} a run)",
        ),
        (
            "time",
            f"{units.duration(c.total_ms / 1000)} in all"
            f" ({units.percent(timing.share)} of all statements)",
        ),
        (
            "a run",
            f"{_ms(timing.mean_ms)} mean, {_ms(c.stddev_ms)} deviation, {_ms(c.max_ms)} longest",
        ),
    ]
    if timing.change is not None:
        change = timing.change
        facts.append(
            (
                "last interval",
                f"{change.calls} runs in {units.duration(change.seconds)},"
                f" {_ms(change.mean_ms)} mean",
            )
        )
    if c.plan_ms:
        facts.append(("planning", units.duration(c.plan_ms / 1000)))
    facts += [
        (
            "blocks",
            f"{units.size(asked)} asked, {units.percent(c.hit_bytes / asked if asked else None)}"
            f" found in shared_buffers, {units.size(c.dirtied_bytes)} dirtied",
        ),
        ("I/O", f"{units.duration(c.read_ms / 1000)} reading, {_ms(c.write_ms)} writing"),
        (
            "spilled",
            f"{units.size(c.temp_written_bytes)} written, {units.size(c.temp_read_bytes)} read",
        ),
        ("WAL", f"{units.size(c.wal_bytes)} in {units.count(c.wal_records)} records"),
    ]
    if c.jit_ms:
        facts.append(("JIT", units.duration(c.jit_ms / 1000)))
    if c.since is not None:
        facts.append(("counted since", f"{c.since:%Y-%m-%d %H:%M:%S} UTC"))
    return facts


def _ms(milliseconds: float | None) -> str:
    return units.duration(None if milliseconds is None else milliseconds / 1000)
