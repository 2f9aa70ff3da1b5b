"""Who spent the time: each node's own share of the root's time, conserved and never negative.

PostgreSQL reports for each node what passed while it or anything below it ran, averaged over its
loops. Three things lie elsewhere in the displayed tree than where their time passed:

- below a Gather, times are summed over the processes: they are divided by how many there were;
- an InitPlan hangs below its owner but runs inside the first node that needs its value (inside the
  Gather, before the workers start, when that node is below one);
- a CTE hangs below its owner but runs inside its scans, each paying for rows it is first to ask.

So time is charged along a second tree, of where it physically passed. By construction the nodes'
exclusive times sum up to the root's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GATHERS = ("Gather", "Gather Merge")

_RETURNS = re.compile(r"^InitPlan \d+ \(returns (?P<parameters>.+)\)$")
_HOLDS = 0.95
"""A node holds an InitPlan when it has at least this part of its time to itself."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One node as read: its properties and its place among the others, which are in pre-order."""

    properties: Mapping[str, Any]
    parent: int | None
    children: tuple[int, ...]

    @property
    def kind(self) -> str:
        return str(self.properties.get("Node Type", ""))

    @property
    def subplan(self) -> str:
        return str(self.properties.get("Subplan Name", ""))

    @property
    def is_detached(self) -> bool:
        """An InitPlan or a CTE: it does not run where it is shown."""
        relationship = self.properties.get("Parent Relationship")
        return self.parent is not None and relationship == "InitPlan"

    def number(self, name: str) -> float:
        value = self.properties.get(name)
        return 0.0 if value is None else figure(value)


def figure(value: object) -> float:
    """A number of a plan; 0 for what is missing, no number, or beyond every measure."""
    if isinstance(value, int | float) and abs(value) < 1e300:
        return float(value)
    return 0.0


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a node's time (milliseconds) and blocks (a fraction) passed inside another."""

    child: int
    ms: float
    fraction: float


@dataclass(frozen=True, slots=True)
class Charges:
    """Milliseconds of wall time by node number; all zero when the plan was not timed."""

    processes: tuple[float, ...]
    """How many processes ran the node at the same time; its time was divided by them."""
    measured: tuple[float, ...]
    exclusive: tuple[float, ...]
    inclusive: tuple[float, ...]
    parts: tuple[tuple[Part, ...], ...]
    """What physically ran inside each node."""
    adjusted_ms: float
    """How much was measured beyond what the node around it measured: rounding, late workers."""
    after_root_ms: float
    """Data-modifying CTEs that ran to completion after the root had ended."""

    def own(self, counts: Sequence[float]) -> tuple[float, ...]:
        """Exclusive counts (of blocks, of their I/O time) along the same tree; none below zero."""
        return tuple(
            max(0.0, count - sum(part.fraction * counts[part.child] for part in parts))
            for count, parts in zip(counts, self.parts, strict=True)
        )


def charge(shapes: Sequence[Shape]) -> Charges:
    """Charge every node of a plan; `shapes[0]` is the root."""
    return _Charging(shapes).charges()


class _Charging:
    def __init__(self, shapes: Sequence[Shape]) -> None:
        self.shapes = shapes
        self.processes = _processes(shapes)
        self.measured = [
            shape.number("Actual Total Time") * shape.number("Actual Loops") / processes
            for shape, processes in zip(shapes, self.processes, strict=True)
        ]
        self.ends = _subtree_ends(shapes)
        self.parts: list[list[Part]] = [[] for _ in shapes]
        self.slack = list(self.measured)
        """What is left of a node's time once everything known to run inside it is taken off."""
        self.after_root = [0.0 for _ in shapes]
        self._words: dict[int, str] = {}

    def charges(self) -> Charges:
        for number, shape in enumerate(self.shapes):
            if shape.parent is not None and not shape.is_detached:
                self._place(number, shape.parent)
        for number, shape in enumerate(self.shapes):
            if shape.is_detached and not shape.subplan.startswith("CTE "):
                self._place_initplan(number)
        scans = self._scans()
        for number, shape in enumerate(self.shapes):
            if shape.is_detached and shape.subplan.startswith("CTE "):
                self._share(number, scans.get(number, []))
        exclusive, adjusted = self._conserve()
        inclusive = list(exclusive)
        for number in range(len(self.shapes) - 1, 0, -1):
            parent = self.shapes[number].parent
            assert parent is not None
            inclusive[parent] += inclusive[number]
        return Charges(
            tuple(self.processes),
            tuple(self.measured),
            tuple(exclusive),
            tuple(inclusive),
            tuple(map(tuple, self.parts)),
            adjusted,
            sum(self.after_root),
        )

    def _place(self, child: int, inside: int, ms: float | None = None) -> None:
        """Charge a node's time, or `ms` of it, as having passed inside another."""
        total = self.measured[child]
        ms = total if ms is None else ms
        self.parts[inside].append(Part(child, ms, ms / total if total > 0 else 1.0))
        self.slack[inside] -= ms

    def _conserve(self) -> tuple[list[float], float]:
        """Hand the root's time down; what does not fit into the node around it is shrunk."""
        waiting = [0] * len(self.shapes)
        for parts in self.parts:
            for part in parts:
                waiting[part.child] += 1
        given = list(self.after_root)
        given[0] += self.measured[0]
        exclusive, adjusted = [0.0] * len(self.shapes), 0.0
        ready = [number for number, count in enumerate(waiting) if count == 0]
        while ready:
            number = ready.pop()
            inside = sum(part.ms for part in self.parts[number])
            scale = min(1.0, given[number] / inside) if inside > 0 else 1.0
            adjusted += inside * (1 - scale)
            exclusive[number] = max(0.0, given[number] - inside * scale)
            for part in self.parts[number]:
                given[part.child] += part.ms * scale
                waiting[part.child] -= 1
                if waiting[part.child] == 0:
                    ready.append(part.child)
        return exclusive, adjusted

    # InitPlans

    def _place_initplan(self, initplan: int) -> None:
        """Charge an InitPlan to the node inside which it ran.

        Its workers may be stopped later, while a node further up ends: then that one has a part.
        """
        owner = self.shapes[initplan].parent
        assert owner is not None
        users = self._users(initplan, owner)
        wanted = self.measured[initplan]
        above = [n for user in users for n in self._upwards(user, owner)]
        for group in (users, above):
            holding = [n for n in group if self.slack[n] >= wanted * _HOLDS - self._rounding(n)]
            early = [n for n in holding if self._startup(n) >= wanted * _HOLDS - self._rounding(n)]
            if holding:
                self._place(initplan, (early or holding)[0])
                return
        user = max(users, key=lambda number: self.slack[number])
        rest = wanted - max(0.0, self.slack[user])
        late = next((n for n in self._upwards(user, owner) if self.slack[n] >= rest), None)
        if late is None or rest >= wanted:
            self._place(initplan, user)
        else:
            self._place(initplan, user, wanted - rest)
            self._place(initplan, late, rest)

    def _upwards(self, number: int, upto: int) -> Iterator[int]:
        """The nodes around a node, from its parent to `upto`."""
        while number != upto:
            parent = self.shapes[number].parent
            if parent is None:
                return
            yield parent
            number = parent

    def _users(self, initplan: int, owner: int) -> list[int]:
        """The nodes that may have computed an InitPlan's value, the most likely first."""
        is_used = _usage(self.shapes[initplan].subplan)
        users: list[int] = []
        for number in self._in_order_of_evaluation(owner, initplan):
            if is_used(self._text(number)):
                holder = self._gather_above(number, owner)
                if holder not in users:
                    users.append(holder)
        if not users:
            # Without VERBOSE a target list is not shown: it is computed high up.
            users = [owner, *self._below(owner)]
        return users

    def _gather_above(self, number: int, owner: int) -> int:
        """The Gather that computes the value before its workers start, else the node itself."""
        found, at = number, number
        for parent in self._upwards(number, owner):
            if self.shapes[parent].kind in GATHERS and not self.shapes[at].subplan:
                found = parent
            at = parent
        return found

    def _below(self, owner: int) -> Iterator[int]:
        """All that runs under a node, without InitPlans and CTEs, which run elsewhere."""
        number = owner + 1
        while number < self.ends[owner]:
            if self.shapes[number].is_detached:
                number = self.ends[number]
            else:
                yield number
                number += 1

    def _in_order_of_evaluation(self, owner: int, without: int) -> Iterator[int]:
        """The nodes from the owner downwards, those first that compute their expressions first."""
        stack = [(owner, False)]
        while stack:
            number, is_left = stack.pop()
            if number == without:
                continue
            shape = self.shapes[number]
            if is_left or not shape.children:
                yield number
                continue
            ordered = self._first_to_run(number)
            subplans = [n for n in shape.children if self.shapes[n].subplan]
            if shape.kind in ("Result", "Limit", "Memoize"):
                stack += [(n, False) for n in reversed((*ordered, *subplans))]
                yield number
            else:
                stack += [(n, False) for n in reversed(subplans)]
                stack.append((number, True))
                stack += [(n, False) for n in reversed(ordered)]

    def _first_to_run(self, number: int) -> list[int]:
        """Ordinary children as the executor asks them (nodeHashjoin.c decides by cost)."""
        shape = self.shapes[number]
        ordered = [n for n in shape.children if not self.shapes[n].subplan]
        if shape.kind == "Hash Join" and len(ordered) == 2:
            outer, inner = (self.shapes[n] for n in ordered)
            join = str(shape.properties.get("Join Type", ""))
            fills_inner = join.startswith(("Right", "Full"))
            peeks = join in ("Left", "Anti") or outer.number("Startup Cost") < inner.number(
                "Total Cost"
            )
            if fills_inner or not peeks or inner.properties.get("Parallel Aware"):
                ordered.reverse()
        return ordered

    def _startup(self, number: int) -> float:
        shape = self.shapes[number]
        if shape.number("Actual Loops") > 1:
            return self.measured[number]
        return shape.number("Actual Startup Time") / self.processes[number]

    def _rounding(self, number: int) -> float:
        """Times are printed to a microsecond, per loop."""
        return 0.002 + 0.0005 * self.shapes[number].number("Actual Loops") / self.processes[number]

    def _text(self, number: int) -> str:
        if number not in self._words:
            self._words[number] = " ".join(_strings(self.shapes[number].properties))
        return self._words[number]

    # CTEs

    def _scans(self) -> dict[int, list[int]]:
        """The CTE Scans of each CTE; a name means the nearest CTE that is called so."""
        found: dict[int, list[int]] = {}
        for number, shape in enumerate(self.shapes):
            if shape.kind != "CTE Scan":
                continue
            name = f"CTE {shape.properties.get('CTE Name', '')}"
            at: int | None = number
            while at is not None:
                known = [n for n in self.shapes[at].children if self.shapes[n].subplan == name]
                if known:
                    found.setdefault(known[0], []).append(number)
                    break
                at = self.shapes[at].parent
        return found

    def _share(self, cte: int, scans: Sequence[int]) -> None:
        """Split a CTE's time: every scan keeps a like cost per row for reading what is stored."""
        total = self.measured[cte]
        rows = [1 + _rows_read(self.shapes[scan]) for scan in scans]
        room = [max(0.0, self.slack[scan]) for scan in scans]
        kept = _poured(max(0.0, sum(room) - total), rows, room)
        paid = [had - keeps for had, keeps in zip(room, kept, strict=True)]
        if sum(paid) < total and _modifies(self.shapes[cte]):
            self.after_root[cte] = total - sum(paid)
        elif sum(paid) < total and scans:
            self._share_late(cte, scans, total - sum(paid), paid)
        for scan, ms, count in zip(scans, paid, rows, strict=True):
            fraction = ms / total if total > 0 else count / sum(rows)
            self.parts[scan].append(Part(cte, ms, fraction))
            self.slack[scan] -= ms
        if not scans and not _modifies(self.shapes[cte]):
            owner = self.shapes[cte].parent
            assert owner is not None
            self._place(cte, owner)

    def _share_late(self, cte: int, scans: Sequence[int], rest: float, paid: list[float]) -> None:
        """More than the scans waited for: workers that were stopped while a node above ended."""
        owner = self.shapes[cte].parent
        assert owner is not None
        above = [n for scan in scans for n in self._upwards(scan, owner)]
        late = next((n for n in above if self.slack[n] >= rest * _HOLDS), None)
        if late is not None:
            self._place(cte, late, rest)
        else:
            paid[0] += rest


def _processes(shapes: Sequence[Shape]) -> list[float]:
    """How many processes share in each node's summed time, by the loops that were counted."""
    processes = [1.0] * len(shapes)
    for number, shape in enumerate(shapes):
        if shape.parent is None:
            continue
        above = shapes[shape.parent]
        processes[number] = processes[shape.parent]
        loops, outer = shape.number("Actual Loops"), above.number("Actual Loops")
        if shape.subplan or not loops or not outer:
            continue  # an InitPlan or SubPlan of a Gather runs in the leader alone
        if above.kind in GATHERS:
            # Workers Launched is of the last rescan only, and says nothing of the leader.
            processes[number] *= max(1.0, loops / outer)
        elif above.kind == "Bitmap Heap Scan" and loops < outer:
            processes[number] = _waiting(shape, above, processes[number])
    return processes


def _waiting(bitmap: Shape, heap: Shape, processes: float) -> float:
    """One process builds a bitmap while the others wait, those at least that are there by then."""
    ms = bitmap.number("Actual Total Time") * bitmap.number("Actual Loops")
    loops = heap.number("Actual Loops")
    alone = max(1.0, processes * bitmap.number("Actual Loops") / loops)
    around = heap.number("Actual Total Time") * loops / processes
    return max(alone, min(processes, ms / around if around > 0 else processes))


def _subtree_ends(shapes: Sequence[Shape]) -> list[int]:
    ends = [number + 1 for number in range(len(shapes))]
    for number in range(len(shapes) - 1, 0, -1):
        parent = shapes[number].parent
        assert parent is not None
        ends[parent] = max(ends[parent], ends[number])
    return ends


def _usage(name: str) -> Callable[[str], bool]:
    """How a node's expressions name an InitPlan's value: $0 up to PostgreSQL 16, then by name."""
    returns = _RETURNS.match(name)
    if returns is None:
        return lambda text: f"({name})" in text
    names = "|".join(re.escape(one.strip()) for one in returns["parameters"].split(","))
    pattern = re.compile(rf"(?:{names})(?!\d)")
    return lambda text: pattern.search(text) is not None


def _strings(properties: Mapping[str, Any]) -> Iterator[str]:
    for name, value in properties.items():
        if name == "Subplan Name":
            continue
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))


def _rows_read(shape: Shape) -> float:
    rows = shape.number("Actual Rows") + shape.number("Rows Removed by Filter")
    return rows * shape.number("Actual Loops")


def _modifies(shape: Shape) -> bool:
    return shape.kind == "ModifyTable"


def _poured(amount: float, weights: Sequence[float], room: Sequence[float]) -> list[float]:
    """Spread an amount by weight over vessels of limited room; all is poured where it fits."""
    filled = [0.0] * len(room)
    open_ones = [n for n in range(len(room)) if room[n] > 0]
    while open_ones and amount > 1e-9:
        weight = sum(weights[n] for n in open_ones)
        level = amount / weight
        full = [n for n in open_ones if room[n] <= level * weights[n]]
        for n in full or open_ones:
            filled[n] = room[n] if full else level * weights[n]
            amount -= filled[n]
        open_ones = [n for n in open_ones if n not in full] if full else []
    return filled
