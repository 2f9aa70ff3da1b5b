"""A plan written down: a text tree, JSON with our own figures, Markdown for an issue or a chat."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from console import units
from console.plans.advice import Advice, advise
from console.plans.details import milliseconds, summary
from console.plans.lines import guides
from console.plans.tree import Node, Plan
from console.report import printable

_WIDTHS = (9, 6, 8, 8, 7)
_HEADINGS = ("own", "share", "rows", "planned", "loops")


def named(node: Node) -> str:
    """The node's title, with the name of the InitPlan, SubPlan or CTE that it is the root of."""
    prefix = f"{node.subplan}: " if node.subplan else ""
    name = prefix + node.title
    return name if name.isprintable() else printable(name)


def as_text(plan: Plan) -> str:
    """The tree with each node's own time and rows, then totals and advice."""
    lines = [_aligned(_HEADINGS) + "  node", "-" * 64]
    for guide, node in zip(guides(plan), plan.nodes, strict=True):
        lines.append(f"{_aligned(_cells(plan, node))}  {guide}{named(node)}")
    lines += ["", *(f"{name}: {printable(value)}" for name, value in summary(plan))]
    found = advise(plan)
    if found:
        lines += ["", "Advice:", *(line for advice in found for line in _told(advice))]
    return "\n".join(lines) + "\n"


def _aligned(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))


def _cells(plan: Plan, node: Node) -> tuple[str, ...]:
    """Own time, share, rows and planned rows over all loops, loops."""
    planned = units.count(planned_rows(node))
    if node.is_never_executed:
        return ("never", "-", "-", planned, "0")
    own = milliseconds(node.exclusive_ms) if node.exclusive_ms is not None else "-"
    share = units.percent(round(plan.share(node), 3))
    loops = units.count(node.loops) if node.was_measured else "-"
    return (own, share, units.count(node.total_rows), planned, loops)


def planned_rows(node: Node) -> float:
    """What the planner expected of all the loops that there were, as `total_rows` counts them."""
    if not node.was_measured or node.loops == 0:
        return node.planned_rows
    return node.planned_rows * node.loops / (node.processes if node.is_per_process else 1)


def _told(advice: Advice) -> Iterator[str]:
    yield f"  [{advice.severity.value}] {advice.where}: {advice.message}"
    yield f"      seen: {advice.evidence}"
    if advice.remedy:
        yield f"      try: {advice.remedy}"


def as_json(plan: Plan) -> str:
    """The document as EXPLAIN gave it, which any viewer reads, and our figures beside it."""
    return json.dumps([document(plan)], indent=2, ensure_ascii=False) + "\n"


def document(plan: Plan) -> dict[str, Any]:
    return {
        **plan.document,
        "Console": {
            "Shares Are Of": "time" if plan.is_timed else "estimated cost",
            "Total Time": _rounded(plan.total_ms),
            "Nodes": [_node_figures(plan, node) for node in plan.nodes],
            "Advice": [
                {
                    "Rule": advice.rule,
                    "Severity": advice.severity.value,
                    "Node": advice.node,
                    "Where": advice.where,
                    "Message": advice.message,
                    "Evidence": advice.evidence,
                    "Remedy": advice.remedy,
                }
                for advice in advise(plan)
            ],
        },
    }


def _node_figures(plan: Plan, node: Node) -> dict[str, Any]:
    return {
        "Number": node.number,
        "Parent": node.parent,
        "Title": node.title,
        "Subplan": node.subplan or None,
        "Exclusive Time": _rounded(node.exclusive_ms),
        "Inclusive Time": _rounded(node.inclusive_ms),
        "Share": _rounded(plan.share(node)),
        "Rows": _rounded(node.total_rows),
        "Planned Rows": _rounded(planned_rows(node)),
        "Rows Factor": _rounded(node.factor),
        "Loops": node.loops if node.was_measured else None,
        "Processes": _rounded(node.processes),
        "Never Executed": node.is_never_executed,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def as_markdown(plan: Plan) -> str:
    """A summary, the tree as a table, and the advice as a list."""
    lines = ["# Query plan", ""]
    if plan.query:
        lines += [f"    {line}" for line in plan.query.splitlines()] + [""]
    lines += [f"- {name}: {_escaped(value)}" for name, value in summary(plan)]
    lines += ["", f"| {' | '.join(_HEADINGS)} | node |", f"|{'--:|' * len(_HEADINGS)}:--|"]
    for node in plan.nodes:
        cells = " | ".join(_cells(plan, node))
        lines.append(f"| {cells} | {'&emsp;' * node.depth}{_escaped(named(node))} |")
    found = advise(plan)
    if found:
        lines += ["", "## Advice", ""]
        lines += [_bullet(advice) for advice in found]
    return "\n".join(lines) + "\n"


def _bullet(advice: Advice) -> str:
    words = f"- **{advice.severity.value}** {_escaped(advice.where)}: {_escaped(advice.message)}"
    words += f" Seen: {_escaped(advice.evidence)}"
    return words + (f" Try: {_escaped(advice.remedy)}" if advice.remedy else "")


def _escaped(text: str) -> str:
    """Server text that a Markdown reader takes for nothing but text."""
    return "".join(
        f"\\{letter}" if letter in "\\`*_{}[]<>|#" else letter for letter in printable(text)
    )


FORMATS: dict[str, Callable[[Plan], str]] = {
    "text": as_text,
    "json": as_json,
    "markdown": as_markdown,
}
