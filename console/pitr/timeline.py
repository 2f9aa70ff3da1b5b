"""The recoverable window as a line of cells, and its moments as a list: what a screen draws."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from console.pitr.describe import notable_words
from console.pitr.names import lsn_text
from console.pitr.side import Side
from console.pitr.status import RECOVERY_POINT_SECONDS, Status
from console.pitr.targets import Wanted
from console.units import size


class Cell(StrEnum):
    """What can be done with the stretch of time that one cell stands for."""

    RECOVERABLE = "recoverable"
    NOT = "not"


@dataclass(frozen=True, slots=True)
class Line:
    """`start` to `end`, cut into cells of equal length."""

    start: datetime
    end: datetime
    cells: tuple[Cell, ...]
    bases: tuple[int, ...]
    """Cells in which a base backup ended."""
    moments: tuple[int, ...]
    """Cells with a notable moment."""


def line(status: Status, width: int) -> Line | None:
    """The line of `width` cells; None before anything can be recovered."""
    ends = [window.to_time for window in status.windows if window.to_time is not None]
    if not status.windows or not ends:
        return None
    start = min(window.from_time for window in status.windows)
    fresh = status.recovery_age is not None and status.recovery_age <= RECOVERY_POINT_SECONDS
    # The last seconds on the way here are no hole.
    end = max(ends) if fresh and status.receiver_pid is not None else max(*ends, status.at)
    seconds = max((end - start).total_seconds(), 1.0)

    def cell(at: datetime) -> int:
        return min(width - 1, max(0, int((at - start).total_seconds() / seconds * width)))

    cells = [Cell.NOT] * width
    for window in status.windows:
        if window.to_time is not None:
            for number in range(cell(window.from_time), cell(window.to_time) + 1):
                cells[number] = Cell.RECOVERABLE
    made = [base.manifest.ended_at for base in status.bases if base.manifest is not None]
    moments = [event.at for event in status.notable if event.at is not None]
    return Line(
        start,
        end,
        tuple(cells),
        tuple(sorted({cell(at) for at in made if at >= start})),
        tuple(sorted({cell(at) for at in moments if at >= start})),
    )


class RowKind(StrEnum):
    LATEST = "now"
    MOMENT = "moment"
    BASE = "base backup"
    GAP = "gap"
    SIDE = "side server"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list: something to go back to, or a reason why not."""

    key: str
    kind: RowKind
    at: datetime | None
    place: str
    """A position or a transaction."""
    words: str
    wanted: Wanted | None
    """Where recovery from this line goes; None when it cannot."""
    side: Side | None = None


def rows(status: Status, sides: tuple[Side, ...]) -> list[Row]:
    """The newest first: side servers, the end of what is received, then back in time."""
    found = [
        Row(
            f"side {side.info.name}",
            RowKind.SIDE,
            side.info.created_at,
            side.info.lsn,
            f"{side.info.asked}{'' if side.running else ', does not run'}",
            None,
            side,
        )
        for side in sides
    ]
    if status.windows:
        last = status.windows[-1]
        words = "the end of what is received"
        at, end = last.to_time, lsn_text(last.to_lsn)
        found.append(Row("latest", RowKind.LATEST, at, end, words, Wanted("latest")))
    past = [*_moments(status), *_bases(status), *_gaps(status)]
    past.sort(key=lambda row: row.at.timestamp() if row.at else 0.0, reverse=True)
    return [*found, *past]


def _moments(status: Status) -> list[Row]:
    made = []
    for event in status.notable:
        place = f"xid {event.xid}" if event.xid else lsn_text(event.lsn)
        if event.kind == "restore point":
            wanted = Wanted("lsn", lsn_text(event.lsn))
        elif event.xid:
            wanted = Wanted("xid", str(event.xid), before=True)
        else:
            wanted = Wanted("lsn", lsn_text(event.lsn), before=True)
        key = f"moment {event.kind} {event.lsn}"
        made.append(Row(key, RowKind.MOMENT, event.at, place, notable_words(event), wanted))
    return made


def _bases(status: Status) -> list[Row]:
    made = []
    for base in status.bases:
        if base.manifest is None:
            words = f"damaged: {base.problem}"
            made.append(Row(f"base {base.id}", RowKind.BASE, None, "", words, None))
            continue
        kind = "incremental" if base.manifest.parent else "full"
        words = f"{kind}, {size(base.manifest.bytes)}, {base.verdict}"
        stop = base.manifest.stop_lsn
        row = Row(f"base {base.id}", RowKind.BASE, base.manifest.ended_at, stop, words, None)
        made.append(row)
    return made


def _gaps(status: Status) -> list[Row]:
    gaps = status.state.gaps if status.state else ()
    return [
        Row(f"gap {gap.start}", RowKind.GAP, gap.seen_at, f"{gap.start} to", gap.reason, None)
        for gap in gaps
    ]
