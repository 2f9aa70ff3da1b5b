"""Two plans of one statement, node by node: what changed, and what it brought."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from console import units
from console.plans import naming
from console.plans.details import milliseconds
from console.plans.export import named
from console.plans.tree import Node, Plan
from console.report import printable


class Change(StrEnum):
    SAME = "same"
    OTHER_WAY = "other way"
    """The same rows are had by another kind of node or another index."""
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Pair:
    """A node before and its counterpart after; one of them is None where there is none."""

    before: Node | None
    after: Node | None
    change: Change

    @property
    def own_ms_change(self) -> float | None:
        """Own time after less before, in milliseconds; None when not both plans were timed."""
        times = [node.exclusive_ms for node in (self.before, self.after) if node is not None]
        if any(ms is None for ms in times):
            return None
        before = self.before.exclusive_ms if self.before else 0.0
        after = self.after.exclusive_ms if self.after else 0.0
        return (after or 0.0) - (before or 0.0)

    @property
    def depth(self) -> int:
        node = self.after or self.before
        assert node is not None
        return node.depth


@dataclass(frozen=True, slots=True)
class Comparison:
    before: Plan
    after: Plan
    pairs: tuple[Pair, ...]
    """In the order of the later plan; what is gone stands where it was."""

    @property
    def is_same_shape(self) -> bool:
        return all(pair.change is Change.SAME for pair in self.pairs)

    @property
    def factor(self) -> float | None:
        """Time before divided by time after: 2 is twice as fast. None when not both were timed."""
        before, after = self.before.total_ms, self.after.total_ms
        return before / after if before is not None and after else None

    @property
    def headline(self) -> str:
        """One sentence; of estimated cost when not both were timed."""
        if self.before.total_ms is not None and self.after.total_ms is not None:
            words = (
                f"{milliseconds(self.before.total_ms)} before, {milliseconds(self.after.total_ms)}"
            )
            return f"{words} after: {_faster(self.factor)}"
        costs = [plan.root.number_of("Total Cost") for plan in (self.before, self.after)]
        words = f"estimated cost {units.count(costs[0])} before, {units.count(costs[1])} after"
        return f"{words} (costs are no times)"


def _faster(factor: float | None) -> str:
    if factor is None:
        return "not comparable"
    if 0.95 < factor < 1.05:
        return "as fast"
    return f"{factor:.1f}x as fast" if factor > 1 else f"{1 / factor:.1f}x as slow"


def compare(before: Plan, after: Plan) -> Comparison:
    """Match the nodes of two plans: first those alike, then those that serve the same tables."""
    match = _matched(before, after)
    pairs: list[Pair] = []
    told: set[int] = set()
    partner = {b: a for a, b in match.items()}
    for node in after.nodes:
        if node.number in match:
            earlier = before.nodes[match[node.number]]
            pairs += _gone_before(before, earlier, partner, told)
            told.add(earlier.number)
            pairs.append(Pair(earlier, node, _change(earlier, node)))
        else:
            pairs.append(Pair(None, node, Change.NEW))
    pairs += [
        Pair(node, None, Change.GONE)
        for node in before.nodes
        if node.number not in told and node.number not in partner
    ]
    return Comparison(before, after, tuple(pairs))


def _gone_before(
    before: Plan, node: Node, partner: dict[int, int], told: set[int]
) -> Iterator[Pair]:
    """Nodes without counterpart that stood directly in front of this one."""
    run: list[Node] = []
    for number in range(node.number - 1, -1, -1):
        if number in partner or number in told:
            break
        run.append(before.nodes[number])
    for gone in reversed(run):
        told.add(gone.number)
        yield Pair(gone, None, Change.GONE)


def _matched(before: Plan, after: Plan) -> dict[int, int]:
    """Numbers after to numbers before."""
    reach_before, reach_after = _reach(before), _reach(after)
    match: dict[int, int] = {}
    taken: set[int] = set()
    for same in (_alike, _serving_alike):
        known: dict[object, list[int]] = {}
        for node in before.nodes:
            if node.number not in taken:
                known.setdefault(same(node, reach_before[node.number]), []).append(node.number)
        for node in after.nodes:
            if node.number in match:
                continue
            found = known.get(same(node, reach_after[node.number]))
            if found:
                match[node.number] = found.pop(0)
                taken.add(match[node.number])
    return match


def _alike(node: Node, reach: frozenset[str]) -> object:
    return (node.title, node.subplan, reach)


def _serving_alike(node: Node, reach: frozenset[str]) -> object:
    """Joins for joins and scans for scans, of the same tables."""
    if len(node.children) > 1 and node.kind not in ("BitmapAnd", "BitmapOr"):
        return ("join", reach)
    if "Relation Name" in node.properties:
        return ("scan", node.text_of("Relation Name"), node.text_of("Alias"))
    return (node.kind, reach, node.subplan)


def _reach(plan: Plan) -> list[frozenset[str]]:
    """The tables that are read by each node or below it."""
    found: list[set[str]] = [set() for _ in plan.nodes]
    for node in reversed(plan.nodes):
        if "Relation Name" in node.properties:
            found[node.number].add(node.text_of("Alias") or node.text_of("Relation Name"))
        if node.parent is not None:
            found[node.parent] |= found[node.number]
    return [frozenset(one) for one in found]


def _change(before: Node, after: Node) -> Change:
    return Change.SAME if before.title == after.title else Change.OTHER_WAY


_SIGNS = {Change.SAME: " ", Change.OTHER_WAY: "~", Change.GONE: "-", Change.NEW: "+"}


def as_text(comparison: Comparison) -> str:
    """Both plans in one table: own times before and after, then the node."""
    lines = [comparison.headline + ".", "", f"  {'before':>9} {'after':>9} {'change':>10}  node"]
    for pair in comparison.pairs:
        before, after = _own(pair.before), _own(pair.after)
        change = pair.own_ms_change
        moved = "-" if change is None else f"{'+' if change > 0 else ''}{milliseconds(change)}"
        lines.append(
            f"{_SIGNS[pair.change]} {before:>9} {after:>9} {moved:>10}"
            f"  {'  ' * min(pair.depth, 24)}{described(pair)}"
        )
    return "\n".join(lines) + "\n"


def described(pair: Pair) -> str:
    """The node's title, with what it was before where that differs."""
    node = pair.after or pair.before
    assert node is not None
    if pair.before and pair.after and pair.change is Change.OTHER_WAY:
        was = pair.before.title
        if naming.source(pair.before.properties) == naming.source(pair.after.properties):
            was = was.partition(" on ")[0]
        return f"{named(pair.after)}  (was {printable(was)})"
    return named(node)


def _own(node: Node | None) -> str:
    return "" if node is None else milliseconds(node.exclusive_ms)
