"""A plan as a tree of nodes, each with its own part of time, blocks and cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from console.errors import ConsoleError
from console.plans import naming
from console.plans.timing import GATHERS, Charges, Shape, charge, figure

MOST_NODES = 200_000
"""Larger documents are refused: no planner makes them."""


class PlanUnreadable(ConsoleError):
    title = "Not a plan"


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a plan. Times are wall time in milliseconds, None when nothing was timed."""

    number: int
    """Its place in the plan, in pre-order; the root is 0."""
    parent: int | None
    children: tuple[int, ...]
    depth: int
    properties: Mapping[str, Any] = field(repr=False)
    """As PostgreSQL named and measured them, without the children."""
    inclusive_ms: float | None
    """What it and all below it took, InitPlans and CTEs counted where they are shown."""
    exclusive_ms: float | None
    measured_ms: float | None
    """As reported, times its loops, by the processes that shared them."""
    processes: float
    exclusive_cost: float
    own_hit: float
    """Blocks found in shared buffers by the node itself."""
    own_read: float
    own_io_ms: float
    """Time waiting for reads and writes, of the node itself, per process."""
    loops: float
    """Over all processes; 0 when it was never executed, or not measured."""
    is_per_process: bool
    """Below a Gather, but every process does all of it: its rows are each process's own."""

    @property
    def kind(self) -> str:
        return str(self.properties.get("Node Type", ""))

    @property
    def title(self) -> str:
        return naming.title(self.properties)

    @property
    def subplan(self) -> str:
        """'InitPlan 1', 'SubPlan 2', 'CTE recent', or ''."""
        return str(self.properties.get("Subplan Name", ""))

    @property
    def was_measured(self) -> bool:
        return "Actual Loops" in self.properties

    @property
    def is_never_executed(self) -> bool:
        return self.was_measured and self.loops == 0

    @property
    def planned_rows(self) -> float:
        """What the planner expected, per loop."""
        return self.number_of("Plan Rows")

    @property
    def actual_rows(self) -> float | None:
        """Rows returned per loop; None without ANALYZE or when never executed."""
        if not self.was_measured or self.loops == 0:
            return None
        return self.number_of("Actual Rows")

    @property
    def total_rows(self) -> float | None:
        """All rows it returned, over its loops; those of one process if each did the same."""
        rows = self.actual_rows
        if rows is None:
            return None
        return rows * self.loops / (self.processes if self.is_per_process else 1)

    @property
    def factor(self) -> float | None:
        """Actual over planned rows, per loop; 10 is ten times more than expected, 0.1 fewer.

        Neither side counts as less than one row: the planner never expects fewer.
        """
        rows = self.actual_rows
        if rows is None:
            return None
        return max(rows, 1.0) / max(self.planned_rows, 1.0)

    def number_of(self, name: str) -> float:
        value = self.properties.get(name)
        return 0.0 if value is None else figure(value)

    def text_of(self, name: str) -> str:
        value = self.properties.get(name, "")
        if isinstance(value, list):
            return ", ".join(map(str, value))
        return str(value)


@dataclass(frozen=True, slots=True)
class Trigger:
    name: str
    relation: str
    ms: float
    calls: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan. Times are in milliseconds, None where they were not measured."""

    nodes: tuple[Node, ...]
    """In pre-order."""
    document: Mapping[str, Any] = field(repr=False)
    """As EXPLAIN (FORMAT JSON) would give it."""
    planning_ms: float | None
    execution_ms: float | None
    triggers: tuple[Trigger, ...]
    adjusted_ms: float
    """Measured beyond what the surrounding node measured; rounding and late workers."""
    after_root_ms: float
    """Of data-modifying CTEs, after the root had ended."""

    @property
    def root(self) -> Node:
        return self.nodes[0]

    @property
    def is_analyzed(self) -> bool:
        return self.root.was_measured

    @property
    def is_timed(self) -> bool:
        return self.root.exclusive_ms is not None

    @property
    def total_ms(self) -> float | None:
        """What shares are of: the execution time, else the root's."""
        if self.root.inclusive_ms is None:
            return None
        return max(self.execution_ms or 0.0, self.root.inclusive_ms)

    @property
    def jit_ms(self) -> float:
        """All of JIT's time; a part of it lies within the nodes' own."""
        timing = self._part("JIT").get("Timing")
        return figure(timing.get("Total")) if isinstance(timing, dict) else 0.0

    @property
    def serialization_ms(self) -> float:
        return figure(self._part("Serialization").get("Time"))

    @property
    def settings(self) -> dict[str, str]:
        """Planner settings that are not the default, as EXPLAIN (SETTINGS) names them."""
        return {str(name): str(value) for name, value in self._part("Settings").items()}

    @property
    def query(self) -> str:
        """The statement, where the document has it (auto_explain, XML)."""
        return str(self.document.get("Query Text", ""))

    def share(self, node: Node) -> float:
        """The node's own part of the time, else of the cost; 0 to 1."""
        if node.exclusive_ms is not None:
            total = self.total_ms or 0.0
            return node.exclusive_ms / total if total > 0 else 0.0
        total_cost = self.root.number_of("Total Cost")
        return min(1.0, node.exclusive_cost / total_cost) if total_cost > 0 else 0.0

    def above(self, node: Node) -> Iterator[Node]:
        """Its parent, and on to the root."""
        at = node.parent
        while at is not None:
            yield self.nodes[at]
            at = self.nodes[at].parent

    def below(self, node: Node) -> Iterator[Node]:
        """The node and everything under it, in pre-order."""
        for other in self.nodes[node.number :]:
            if other.number != node.number and other.depth <= node.depth:
                return
            yield other

    def _part(self, name: str) -> Mapping[str, Any]:
        part = self.document.get(name)
        return part if isinstance(part, dict) else {}


def build(document: Mapping[str, Any]) -> Plan:
    """A plan from one element of EXPLAIN (FORMAT JSON)'s array. Raises PlanUnreadable."""
    root = document.get("Plan")
    if not isinstance(root, dict) or not isinstance(root.get("Node Type"), str):
        raise PlanUnreadable(
            "There is no plan in this text.", "Give what EXPLAIN printed, in any of its formats."
        )
    shapes, depths = _flattened(root)
    charges = charge(shapes)
    nodes = _nodes(shapes, depths, charges)
    return Plan(
        nodes,
        document,
        _time(document, "Planning Time"),
        _time(document, "Execution Time"),
        tuple(_triggers(document)),
        charges.adjusted_ms,
        charges.after_root_ms,
    )


def _flattened(root: Mapping[str, Any]) -> tuple[list[Shape], list[int]]:
    """All nodes in pre-order, without recursion: a plan may be deeper than Python's stack."""
    found: list[tuple[dict[str, Any], int | None, list[int]]] = []
    depths: list[int] = []
    waiting: list[tuple[Mapping[str, Any], int | None, int]] = [(root, None, 0)]
    while waiting:
        raw, parent, depth = waiting.pop()
        number = len(found)
        if number >= MOST_NODES:
            raise PlanUnreadable(f"The plan has more than {MOST_NODES} nodes.")
        if parent is not None:
            found[parent][2].append(number)
        found.append(({k: v for k, v in raw.items() if k != "Plans"}, parent, []))
        depths.append(depth)
        below = raw.get("Plans", [])
        children = below if isinstance(below, list) else []
        for child in reversed(children):
            if not isinstance(child, dict) or not isinstance(child.get("Node Type"), str):
                raise PlanUnreadable("A part of the plan has no Node Type.")
            waiting.append((child, number, depth + 1))
    return [Shape(properties, up, tuple(down)) for properties, up, down in found], depths


def _nodes(shapes: Sequence[Shape], depths: Sequence[int], charges: Charges) -> tuple[Node, ...]:
    is_timed = any("Actual Total Time" in shape.properties for shape in shapes)
    costs = _exclusive_costs(shapes)
    hits = charges.own([shape.number("Shared Hit Blocks") for shape in shapes])
    reads = charges.own([shape.number("Shared Read Blocks") for shape in shapes])
    waits = charges.own([_io_ms(shape) for shape in shapes])
    per_process = _per_process(shapes)
    return tuple(
        Node(
            n,
            shape.parent,
            shape.children,
            depths[n],
            shape.properties,
            charges.inclusive[n] if is_timed else None,
            charges.exclusive[n] if is_timed else None,
            charges.measured[n] if is_timed else None,
            charges.processes[n],
            costs[n],
            hits[n],
            reads[n],
            waits[n] / charges.processes[n],
            shape.number("Actual Loops"),
            per_process[n],
        )
        for n, shape in enumerate(shapes)
    )


_IO_TIMES = tuple(
    f"{where}I/O {what} Time"
    for where in ("", "Shared ", "Local ", "Temp ")  # "" up to PostgreSQL 16
    for what in ("Read", "Write")
)


def _io_ms(shape: Shape) -> float:
    return sum(shape.number(name) for name in _IO_TIMES)


def _exclusive_costs(shapes: Sequence[Shape]) -> list[float]:
    """Total cost without the children's; rescans are not in a child's cost, so never below zero."""
    return [
        max(
            0.0,
            shape.number("Total Cost")
            - sum(shapes[n].number("Total Cost") for n in shape.children),
        )
        for shape in shapes
    ]


def _per_process(shapes: Sequence[Shape]) -> list[bool]:
    """Which nodes below a Gather are no part of the shared work: each process runs all of them."""
    partial = [shape.properties.get("Parallel Aware") is True for shape in shapes]
    for number in range(len(shapes) - 1, 0, -1):
        parent = shapes[number].parent
        assert parent is not None
        if partial[number] and shapes[parent].kind not in GATHERS:
            partial[parent] = True
    below = [False] * len(shapes)
    for number, shape in enumerate(shapes):
        if shape.parent is None:
            continue
        above = shapes[shape.parent]
        below[number] = below[shape.parent] or (above.kind in GATHERS and not shape.subplan)
    # What runs inside a shared Append or bitmap is handed out, not repeated.
    handed = [False] * len(shapes)
    for number, shape in enumerate(shapes):
        if shape.parent is not None:
            above = shapes[shape.parent]
            shared = above.properties.get("Parallel Aware") is True
            handed[number] = handed[shape.parent] or (
                shared and above.kind in ("Append", "Bitmap Heap Scan")
            )
    return [
        under and not shared and not given
        for under, shared, given in zip(below, partial, handed, strict=True)
    ]


def _time(document: Mapping[str, Any], name: str) -> float | None:
    value = document.get(name)
    return figure(value) if isinstance(value, int | float) else None


def _triggers(document: Mapping[str, Any]) -> Iterator[Trigger]:
    found = document.get("Triggers")
    for raw in found if isinstance(found, list) else []:
        if isinstance(raw, dict):
            name = raw.get("Constraint Name") or raw.get("Trigger Name") or "trigger"
            yield Trigger(
                str(name),
                str(raw.get("Relation", "")),
                figure(raw.get("Time")),
                int(figure(raw.get("Calls"))),
            )
