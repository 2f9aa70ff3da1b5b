"""What a plan suggests doing, each with what was seen and the node it was seen at.

A rule is a generator over a plan; it weighs by share of the wall time, so that a bad estimate in
a node that takes nothing is not worth a line. Rules about what happened are silent without ANALYZE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from console.findings import Severity
from console.plans import rules_estimates, rules_scans, rules_whole, rules_work
from console.plans.remark import Indexes, Remark
from console.plans.tree import Plan
from console.report import printable

Rule = Callable[[Plan, Indexes], Iterator[Remark]]

RULES: Mapping[str, Rule] = {
    "sequential-scan": rules_scans.sequential_scan,
    "unused-index": rules_scans.unused_index,
    "index-filter": rules_scans.index_filter,
    "heap-fetches": rules_scans.heap_fetches,
    "lossy-bitmap": rules_scans.lossy_bitmap,
    "cache": rules_scans.cold_cache,
    "late-filter": rules_work.late_filter,
    "cte-filter": rules_work.cte_filter,
    "offset": rules_work.offset,
    "spill": rules_work.spill,
    "many-loops": rules_work.many_loops,
    "correlated-subplan": rules_work.correlated_subplan,
    "memoize": rules_work.memoize,
    "misestimate": rules_estimates.misestimate,
    "join-order": rules_estimates.join_order,
    "workers": rules_whole.workers,
    "disabled": rules_whole.disabled,
    "settings": rules_whole.switched_off,
    "jit": rules_whole.jit,
    "planning-time": rules_whole.planning_time,
    "trigger-time": rules_whole.trigger_time,
    "serialization": rules_whole.serialization,
}
"""Every rule by its stable name."""


@dataclass(frozen=True, slots=True)
class Advice:
    rule: str
    severity: Severity
    """WARNING where it concerns a tenth of the time or more, else INFO."""
    node: int | None
    """The number of the node; None for the plan as a whole."""
    where: str
    """The node, or the part of the plan, by name."""
    message: str
    evidence: str
    """The figures that were seen."""
    remedy: str
    """SQL, a setting or a sentence; '' when there is nothing to do."""
    weight: float
    """The part of the time that it concerns, 0 to 1."""


WORTH_A_WARNING = 0.1


def advise(plan: Plan, indexes: Indexes | None = None) -> tuple[Advice, ...]:
    """What the rules say of a plan, the weightiest first.

    `indexes` are those that the server has on the plan's tables, by schema and table.
    """
    found = [
        _advice(plan, name, remark)
        for name, rule in RULES.items()
        for remark in rule(plan, indexes or {})
    ]
    return tuple(sorted(found, key=lambda advice: (advice.severity.rank, -advice.weight)))


def _advice(plan: Plan, rule: str, remark: Remark) -> Advice:
    if remark.node is None:
        where = remark.where or "the whole plan"
    else:
        node = plan.nodes[remark.node]
        where = f"#{node.number} {node.title}"
    weighty = remark.weight >= WORTH_A_WARNING and not remark.is_note
    return Advice(
        rule,
        Severity.WARNING if weighty else Severity.INFO,
        remark.node,
        printable(where),
        printable(remark.message),
        printable(remark.evidence),
        printable(remark.remedy),
        remark.weight,
    )
