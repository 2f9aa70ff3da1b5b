"""A look at the sessions, and timings, as plain text for the command line."""

from __future__ import annotations

from collections.abc import Sequence

from console import units
from console.monitor.activity import (
    Sample,
    is_idle,
    is_waiting,
    running_seconds,
    summary,
    urgency,
)
from console.monitor.locks import Node, age_words, unblocking
from console.monitor.statement_text import one_line
from console.monitor.timings_reader import TimingsReading
from console.report import printable
from queries.activity import Backend

Row = Sequence[str]


def table(head: Row, rows: Sequence[Row], right: frozenset[int], width: int) -> str:
    """Columns two spaces apart; the last is cut at `width` cells."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head) - 1)]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.rjust(widths[n]) if n in right else cell.ljust(widths[n])
            for n, cell in enumerate(row[:-1])
        ]
        line = "  ".join((*cells, row[-1]))
        lines.append(line if len(line) <= width else line[: width - 1] + "…")
    return "".join(line.rstrip() + "\n" for line in lines)


def summary_line(sample: Sample) -> str:
    """One line: when, and how many do what."""
    found = summary(sample.backends)
    parts = [f"{found.active} active"]
    if found.waiting:
        parts.append(f"{found.waiting} waiting for a lock")
    if found.idle_in_transaction:
        parts.append(f"{found.idle_in_transaction} idle in transaction")
    parts.append(f"{found.idle} idle")
    if found.hidden:
        parts.append(f"{found.hidden} hidden from this role (GRANT pg_read_all_stats)")
    return f"{sample.at:%Y-%m-%d %H:%M:%S} UTC  {found.sessions} sessions: {', '.join(parts)}"


def activity(sample: Sample, tree: Sequence[Node], width: int, *, idle: bool = False) -> str:
    """The summary, the sessions that do something, and who blocks whom."""
    shown = [b for b in sample.backends if idle or not is_idle(b)]
    text = summary_line(sample) + "\n"
    if shown:
        rows = [_session(backend) for backend in sorted(shown, key=urgency)]
        head = ("state", "pid", "for", "waits for", "role", "application", "statement")
        text += "\n" + table(head, rows, frozenset({1, 2}), width)
    if tree:
        text += "\nwho blocks whom\n" + locks(tree, width)
    return text


def _session(backend: Backend) -> Row:
    wait = f"{backend.wait_class}:{backend.wait_event}" if backend.wait_class else ""
    working = backend.state == "active" or is_waiting(backend)
    return (
        "waiting"
        if is_waiting(backend)
        else backend.state or ("hidden" if backend.is_hidden else ""),
        str(backend.pid),
        units.duration(running_seconds(backend)),
        wait if working else "",
        backend.role or "",
        printable(backend.application or backend.kind or ""),
        printable(one_line(backend.query or "")),
    )


def locks(tree: Sequence[Node], width: int) -> str:
    """Each root, what would free the others, and those who wait, indented."""
    text = ""
    for node in tree:
        if node.is_root:
            text += f"{printable(unblocking(node))}\n"
        waits = f" waits {age_words(node.waiting)} for {node.waiting.what}" if node.waiting else ""
        query = one_line(node.backend.query or "") if node.backend else ""
        line = f"{'  ' * (node.depth + 1)}{node.who}{waits}: {query}"
        text += printable(line)[:width] + "\n"
    return text


def timings(reading: TimingsReading, most: int, limit_ms: float, width: int) -> str:
    """The statements that took most time; sampled ones are called so."""
    if reading.is_sampled:
        sampled = [
            (f"≈{units.duration(s.seconds)}", str(s.looks), printable(s.text))
            for s in reading.sampled[:most]
        ]
        text = f"SAMPLED in {reading.looks} looks, not counted. {reading.ready.message}\n"
        text += f"{reading.ready.fix}\n\n"
        return text + table(("time", "seen", "statement"), sampled, frozenset({0, 1}), width)
    rows = [
        (
            units.duration(t.counters.total_ms / 1000),
            units.percent(round(t.share, 3)),
            ("! " if t.mean_ms > limit_ms else "") + units.duration(t.mean_ms / 1000),
            units.count(t.counters.calls),
            f"{t.change.calls_per_second:.1f}" if t.change else units.UNKNOWN,
            printable(one_line(t.text or "")),
        )
        for t in reading.timings[:most]
    ]
    head = ("total", "share", "mean", "calls", "calls/s", "statement")
    since = f" since {reading.since:%Y-%m-%d %H:%M} UTC" if reading.since else ""
    text = f"{len(reading.timings)} statements counted{since}; ! is over {limit_ms:g} ms.\n\n"
    return text + table(head, rows, frozenset({0, 1, 2, 3, 4}), width)
