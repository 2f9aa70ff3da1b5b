"""The columns of the Timings tab: three views of what was counted, and the sampled one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from rich.text import Text

from console import units
from console.monitor.sampled import SampledStatement
from console.monitor.statement_text import one_line
from console.monitor.timings import Timing
from screens.widgets.record_table import Column
from screens.widgets.steady_table import cut

View = Literal["time", "io", "writes"]
VIEWS: tuple[View, ...] = ("time", "io", "writes")
NOTHING = "·"
"""Zero, where a column of zeros would drown the rest."""


def timing_columns(
    view: View, room: Callable[[], int], is_slow: Callable[[Timing], bool]
) -> tuple[Column[Timing], ...]:
    """The columns of a view; `room` is what the statement's text has."""
    columns = {"time": _time(is_slow), "io": _io(), "writes": _writes()}[view]
    return (*columns, _statement(room))


def _number(
    title: str,
    cell: Callable[[Timing], str | Text],
    order: Callable[[Timing], Any],
    width: int = 9,
    priority: int = 0,
) -> Column[Timing]:
    return Column(title, cell, order, right=True, width=width, priority=priority, descending=True)


def _time(is_slow: Callable[[Timing], bool]) -> list[Column[Timing]]:
    def mean(timing: Timing) -> Text:
        text = _span(timing.mean_ms / 1000)
        return Text(f"! {text}", "yellow") if is_slow(timing) else Text(text)

    return [
        _number("total", lambda t: _ms(t.counters.total_ms), lambda t: t.counters.total_ms, 7),
        _number("share", lambda t: units.percent(t.share), lambda t: t.share, 7, 2),
        _number("mean", mean, lambda t: t.mean_ms, 8),
        _number("max", lambda t: _ms(t.counters.max_ms), lambda t: t.counters.max_ms, 8, 4),
        _number("calls", lambda t: units.count(t.counters.calls), lambda t: t.counters.calls, 7),
        _number("/s", _rate, lambda t: t.change.calls_per_second if t.change else None, 6),
        _number("mean now", _mean_now, lambda t: t.change.mean_ms if t.change else None, 10, 3),
        _number("busy", _busy, lambda t: t.change.busy if t.change else None, 6, 1),
    ]


def _io() -> list[Column[Timing]]:
    return [
        _number("rows", lambda t: units.count(t.counters.rows), lambda t: t.counters.rows, 7),
        _number("rows/run", _rows_a_run, lambda t: t.counters.rows / t.counters.calls, 10),
        _number("hit", lambda t: _share(_hit(t)), _hit, 7),
        _number("read", lambda t: _bytes(t.counters.read_bytes), lambda t: t.counters.read_bytes),
        _number(
            "read time", lambda t: _ms(t.counters.read_ms), lambda t: t.counters.read_ms, 11, 1
        ),
        _number(
            "dirtied", lambda t: _bytes(t.counters.dirtied_bytes),
            lambda t: t.counters.dirtied_bytes, 9, 2,
        ),
    ]  # fmt: skip


def _writes() -> list[Column[Timing]]:
    return [
        _number(
            "temp", lambda t: _bytes(t.counters.temp_written_bytes),
            lambda t: t.counters.temp_written_bytes,
        ),
        _number("WAL", lambda t: _bytes(t.counters.wal_bytes), lambda t: t.counters.wal_bytes),
        _number("WAL/run", lambda t: _bytes(_wal_a_run(t)), _wal_a_run, 9),
        _number("plan", lambda t: _ms(t.counters.plan_ms), lambda t: t.counters.plan_ms, 8, 1),
        _number("JIT", lambda t: _ms(t.counters.jit_ms), lambda t: t.counters.jit_ms or 0.0, 8, 2),
    ]  # fmt: skip


def _statement(room: Callable[[], int]) -> Column[Timing]:
    def text(timing: Timing) -> Text:
        style = "" if timing.counters.is_toplevel else "italic"
        return cut(one_line(timing.text or "…"), room(), style)

    return Column("statement", text, width=24)


def sampled_columns(room: Callable[[], int]) -> tuple[Column[SampledStatement], ...]:
    """Estimates carry ≈, so that nobody takes them for counted."""
    return (
        Column(
            "est. time", lambda s: f"≈{units.duration(s.seconds)}", lambda s: s.seconds,
            right=True, width=11, descending=True,
        ),
        Column(
            "share", lambda s: units.percent(round(s.share, 2)), lambda s: s.share,
            right=True, width=7, descending=True, priority=1,
        ),
        Column(
            "seen", lambda s: units.count(s.looks), lambda s: s.looks,
            right=True, width=6, descending=True,
        ),
        Column(
            "longest", lambda s: units.duration(round(s.longest_seconds, 3)),
            lambda s: s.longest_seconds, right=True, width=9, descending=True,
        ),
        Column("role", lambda s: cut(s.role, 12), lambda s: s.role, priority=2, width=12),
        Column("statement", lambda s: cut(s.text, room()), width=24),
    )  # fmt: skip


def _ms(milliseconds: float | None) -> str:
    if not milliseconds:
        return NOTHING if milliseconds == 0 else units.UNKNOWN
    return _span(milliseconds / 1000)


def _span(seconds: float) -> str:
    """A duration in seven cells.

    >>> _span(0.0123), _span(200), _span(9_000), _span(200_000)
    ('12 ms', '3 min', '2.5 h', '2.3 d')
    """
    if seconds < 3_570:
        return units.duration(seconds)
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def _bytes(amount: float) -> str:
    return units.size(int(amount)) if amount else NOTHING


def _rate(timing: Timing) -> str:
    if timing.change is None:
        return units.UNKNOWN
    rate = timing.change.calls_per_second
    return f"{rate:.1f}" if 0 < rate < 100 else units.count(rate) if rate else NOTHING


def _mean_now(timing: Timing) -> str:
    if timing.change is None:
        return units.UNKNOWN
    mean = timing.change.mean_ms
    return NOTHING if mean is None else _span(mean / 1000)


def _busy(timing: Timing) -> str:
    if timing.change is None:
        return units.UNKNOWN
    return f"{timing.change.busy:.2f}" if timing.change.busy >= 0.005 else NOTHING


def _rows_a_run(timing: Timing) -> str:
    rows = timing.counters.rows / timing.counters.calls
    return units.count(rows) if rows >= 10 or rows == 0 else f"{rows:.1f}"


def _hit(timing: Timing) -> float | None:
    asked = timing.counters.hit_bytes + timing.counters.read_bytes
    return timing.counters.hit_bytes / asked if asked else None


def _share(fraction: float | None) -> str:
    return NOTHING if fraction is None else units.percent(round(fraction, 3))


def _wal_a_run(timing: Timing) -> float:
    return timing.counters.wal_bytes / timing.counters.calls
