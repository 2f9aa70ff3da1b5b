"""Rules about the plan as a whole: workers, settings, and the time beside the tree."""

from __future__ import annotations

from collections.abc import Iterator

from console import units
from console.plans.details import milliseconds
from console.plans.remark import Indexes, Remark, inclusive_share
from console.plans.timing import GATHERS
from console.plans.tree import Plan

_DISABLE_COST = 1e10
"""Up to PostgreSQL 17 a disabled path costs this much more (costsize.c)."""


def workers(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Fewer workers came than were planned."""
    for node in plan.nodes:
        planned, launched = node.number_of("Workers Planned"), node.number_of("Workers Launched")
        if node.kind not in GATHERS or not node.loops or launched >= planned:
            continue
        yield Remark(
            node.number,
            "Fewer workers came than were planned: others had taken them.",
            f"{launched:.0f} of {planned:.0f} launched",
            "Raise max_parallel_workers and max_worker_processes, or run it when less is going on.",
            inclusive_share(plan, node),
        )


def disabled(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """A node that the settings forbid and that was taken all the same."""
    for node in plan.nodes:
        below = sum(plan.nodes[n].number_of("Total Cost") for n in node.children)
        own_cost = node.number_of("Total Cost") - below
        if node.properties.get("Disabled") is True or own_cost >= _DISABLE_COST * 0.9:
            yield Remark(
                node.number,
                "A setting forbids this kind of node, and there was no other way.",
                "Disabled: true"
                if node.properties.get("Disabled")
                else f"a cost of {units.count(node.number_of('Total Cost'))}",
                "Reset the enable_... setting: estimates are distorted by it.",
                plan.share(node),
            )


def switched_off(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Planner methods that are off in the session that planned."""
    off = [
        name
        for name, value in plan.settings.items()
        if name.startswith("enable_") and value == "off" and name != "enable_partitionwise_join"
    ]
    if off:
        yield Remark(
            None,
            "The planner was forbidden some methods.",
            ", ".join(f"{name} = off" for name in off),
            "; ".join(f"RESET {name}" for name in off) + ";",
            0.0,
            is_note=True,
            where="settings",
        )


def jit(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Compiling took a good part of a short statement."""
    total = plan.execution_ms or plan.total_ms or 0.0
    if not total or total >= 1000 or plan.jit_ms < 0.2 * total:
        return
    yield Remark(
        None,
        "Compiling the expressions took a good part of a short statement.",
        f"JIT {milliseconds(plan.jit_ms)} of {milliseconds(total)}",
        "SET jit = off; or raise jit_above_cost.",
        plan.jit_ms / total,
        where="JIT",
    )


def planning_time(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Planning took longer than running."""
    planning, execution = plan.planning_ms, plan.execution_ms
    if planning is None or execution is None or planning < 5:
        return
    share = planning / (planning + execution)
    if share < 0.5:
        return
    yield Remark(
        None,
        "Planning took longer than running.",
        f"planning {milliseconds(planning)}, execution {milliseconds(execution)}",
        "A prepared statement; fewer partitions or joins; fewer indexes on the tables.",
        share,
        where="planning",
    )


def trigger_time(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Triggers took a good part of the time."""
    total = plan.total_ms or 0.0
    for trigger in plan.triggers:
        if not total or trigger.ms < 0.2 * total:
            continue
        yield Remark(
            None,
            "A trigger took a good part of the time.",
            f"{milliseconds(trigger.ms)} in {units.count(trigger.calls)} calls,"
            f" {units.percent(round(trigger.ms / total, 3))} of the whole",
            "For a foreign key: an index on its columns in the referencing table.",
            trigger.ms / total,
            where=f"trigger {trigger.name}",
        )


def serialization(plan: Plan, indexes: Indexes) -> Iterator[Remark]:
    """Turning rows into what is sent took a good part of the time."""
    total = plan.execution_ms or 0.0
    if not total or plan.serialization_ms < 0.2 * total:
        return
    yield Remark(
        None,
        "Reading large values and writing out the rows took a good part of the time.",
        f"serialization {milliseconds(plan.serialization_ms)} of {milliseconds(total)}",
        "Select fewer columns, above all fewer large ones.",
        plan.serialization_ms / total,
        where="serialization",
    )
