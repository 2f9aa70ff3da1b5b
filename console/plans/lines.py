"""How a plan is drawn as a tree: one prefix of guide lines for each node."""

from __future__ import annotations

from console.plans.tree import Plan

DEEPEST = 24
"""Levels that are drawn with a guide each; deeper ones share the last column."""


def guides(plan: Plan) -> list[str]:
    """'│  └─ ' and the like, in the order of `plan.nodes`; '' for the root."""
    continued: list[str] = []
    drawn: list[str] = []
    for node in plan.nodes:
        if node.parent is None:
            drawn.append("")
            continued.append("")
            continue
        is_last = plan.nodes[node.parent].children[-1] == node.number
        above = continued[node.parent]
        if node.depth > DEEPEST:
            drawn.append(f"{above}» ")
            continued.append(above)
            continue
        drawn.append(above + ("└─ " if is_last else "├─ "))
        continued.append(above + ("   " if is_last else "│  "))
    return drawn
