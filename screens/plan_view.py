"""How a plan looks: one line a node with its heat, the headline, details, advice, a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console import units
from console.findings import Severity
from console.plans.advice import Advice
from console.plans.compare import Change, Comparison, described
from console.plans.details import facts, milliseconds, summary, times
from console.plans.export import named
from console.plans.lines import guides
from console.plans.tree import Node, Plan
from screens.widgets import marks
from screens.widgets.plain import many_lines, one_line
from screens.widgets.record_table import Column

HOT, WARM = 0.4, 0.1
BAR_WIDTH = 5
FAR = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """A node as a row of the table."""

    plan: Plan
    node: Node
    guide: str
    advice: tuple[Advice, ...]

    @property
    def words(self) -> str:
        """What the filter looks through."""
        return f"{named(self.node)} {' '.join(map(str, self.node.properties.values()))}".casefold()


def lines(plan: Plan, advice: Sequence[Advice]) -> list[Line]:
    beside: dict[int, list[Advice]] = {}
    for one in advice:
        if one.node is not None:
            beside.setdefault(one.node, []).append(one)
    return [
        Line(plan, node, guide, tuple(beside.get(node.number, ())))
        for guide, node in zip(guides(plan), plan.nodes, strict=True)
    ]


def _heat(line: Line) -> Text:
    """A bar and a number, so that colour never speaks alone."""
    if line.node.is_never_executed:
        return Text("never", "dim")
    share = line.plan.share(line.node)
    filled = min(BAR_WIDTH, round(share * BAR_WIDTH))
    style = "bold red" if share >= HOT else "yellow" if share >= WARM else "dim"
    bar = ("█" * filled).ljust(BAR_WIDTH, "·")
    return Text.assemble((bar, style), (f"{units.percent(round(share, 2)):>5}", style))


def _own(line: Line) -> Text:
    if line.node.exclusive_ms is None or line.node.is_never_executed:
        return Text("-", "dim")
    return Text(milliseconds(line.node.exclusive_ms))


def _rows(line: Line) -> Text:
    rows = line.node.total_rows
    if rows is None:
        return Text(f"≈{units.count(line.node.planned_rows)}", "dim")
    return Text(units.count(round(rows)))


def _estimate(line: Line) -> Text:
    factor = line.node.factor
    if factor is None:
        return Text("")
    words = times(factor)
    if words == "as expected":
        return Text("≈", "dim")
    is_far = factor >= FAR or factor <= 1 / FAR
    arrow = "↑" if factor > 1 else "↓"
    return Text(arrow + words.partition("x")[0] + "x", "bold yellow" if is_far else "")


def _loops(line: Line) -> str:
    return units.count(line.node.loops) if line.node.was_measured else "-"


def _node(line: Line) -> Text:
    text = Text.assemble((line.guide, "dim"))
    if line.advice:
        worst = min(line.advice, key=lambda one: one.severity.rank)
        text.append("! " if worst.severity is Severity.WARNING else "· ", "bold yellow")
    if line.node.subplan:
        text.append_text(one_line(f"{line.node.subplan}: ", "italic"))
    style = "dim" if line.node.is_never_executed else ""
    return text.append_text(one_line(line.node.title.replace(" on public.", " on ", 1), style))


COLUMNS = (
    Column[Line]("own share", _heat, width=10),
    Column[Line]("own", _own, right=True, width=7),
    Column[Line]("rows", _rows, right=True, width=6),
    Column[Line]("est.", _estimate, right=True, width=5),
    Column[Line]("loops", _loops, right=True, priority=1, width=6),
    Column[Line]("node", _node, width=40),
)


def headline(plan: Plan, note: str) -> Text:
    """The times on one line, and below what to know about how it was had."""
    total = plan.total_ms
    if total is not None:
        line = Text.assemble((milliseconds(total), "bold"), (" execution", "dim"))
    elif plan.is_analyzed:
        line = Text.assemble(("run", "bold"), (" without timing", "dim"))
    else:
        cost = units.count(plan.root.number_of("Total Cost"))
        line = Text.assemble(("not run", "bold"), (f"  estimated cost {cost}", "dim"))
    if plan.planning_ms is not None:
        line.append(f" · {milliseconds(plan.planning_ms)} planning", "dim")
    line.append(f" · {units.count(len(plan.nodes))} nodes", "dim")
    line.append(f"\n{note}", "dim")
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def advice_line(advice: Sequence[Advice]) -> Text:
    """The weightiest, and how many more there are."""
    if not advice:
        return Text("✓ No rule has anything to say of this plan.", "dim")
    first = advice[0]
    line = Text.assemble(marks.mark(first.severity), " ", (first.where, "bold"), ": ")
    line.append(first.message)
    if len(advice) > 1:
        line.append(f"  (i: {len(advice) - 1} more)", "dim")
    return line


def advice_body(advice: Sequence[Advice]) -> RenderableType:
    """All of it, each with what was seen and what to try."""
    parts: list[RenderableType] = []
    for one in advice:
        parts += [
            Text.assemble(
                marks.mark(one.severity), " ", (one.where, "bold"), (f"  {one.rule}", "dim")
            ),
            Text(one.message),
            Text.assemble(("seen  ", "dim"), one.evidence),
        ]
        if one.remedy:
            parts.append(Text.assemble(("try   ", "dim"), (one.remedy, "green")))
        parts.append(Text())
    return Group(*parts) if parts else Text("No rule has anything to say of this plan.")


def details_body(line: Line) -> RenderableType:
    """Everything about one node, its advice first."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in facts(line.plan, line.node):
        table.add_row(Text(name, "bold"), many_lines(value))
    if not line.advice:
        return table
    return Group(advice_body(line.advice), table)


def summary_body(plan: Plan, notes: Sequence[str], text: str) -> RenderableType:
    """The plan as a whole: times, triggers, JIT, settings, and the statement."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, value in summary(plan):
        table.add_row(Text(name, "bold"), many_lines(value))
    for note in notes:
        table.add_row(Text("note", "bold"), Text(note))
    return Group(table, Text(), many_lines(text, "dim"))


_CHANGES = {
    Change.SAME: ("  ", ""),
    Change.OTHER_WAY: ("~ ", "yellow"),
    Change.GONE: ("- ", "red"),
    Change.NEW: ("+ ", "green"),
}


def comparison_body(comparison: Comparison) -> RenderableType:
    """Both plans in one table: what is gone, new, or done another way, and what it brought."""
    table = Table.grid(padding=(0, 1))
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True, min_width=8)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_row(*(Text(name, "dim") for name in ("before", "after", "change", "node")))
    for pair in comparison.pairs:
        sign, style = _CHANGES[pair.change]
        change = pair.own_ms_change
        moved = "" if change is None else f"{'+' if change > 0 else ''}{milliseconds(change)}"
        table.add_row(
            Text(milliseconds(pair.before.exclusive_ms) if pair.before else ""),
            Text(milliseconds(pair.after.exclusive_ms) if pair.after else ""),
            Text(moved),
            Text.assemble(
                (sign, style), "  " * min(pair.depth, 16), one_line(described(pair), style)
            ),
        )
    return Group(Text(comparison.headline, "bold"), Text(), table)
