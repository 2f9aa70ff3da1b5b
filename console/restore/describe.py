"""A restore in words: its plan, where it stands, and the report with its measured times."""

from __future__ import annotations

from typing import Any

from console.findings import Severity
from console.restore.plan import Plan
from console.restore.status import Phase, Status
from console.units import duration

_STEPS = {
    "safety": "back up the live database",
    "roles": "create missing roles",
    "create": "create the new database",
    "load": "restore into it and analyze",
    "validate": "compare it with what was dumped",
    "properties": "copy settings, grants, owner and comment",
    "hook-before": "run the hook before the cut-over",
    "close": "close both databases",
    "swap": "end sessions, change both names, open",
    "health": "reach the restored database by its name",
    "hook-after": "run the hook after the cut-over",
    "hook-back": "run the last hook, as nothing came of it",
    "undo-close": "close both databases",
    "undo-swap": "end sessions, change the names back, open",
    "finish": "drop the database that was kept",
    "abort": "drop what was restored so far",
}
"""In the order in which they are done."""


def title(step: str) -> str:
    """A step's name for a person."""
    return _STEPS.get(step, step)


def plan_text(plan: Plan) -> str:
    """The findings that ask for attention with their remedies, then what will be done."""
    lines = []
    for finding in plan.preflight.findings:
        if finding.severity is Severity.OK:
            continue
        lines.append(f"{finding.severity}: {finding.message}")
        lines += [f"    {finding.fix}"] if finding.fix else []
    sound = sum(finding.severity is Severity.OK for finding in plan.preflight.findings)
    lines.append(f"{sound} of {len(plan.preflight.findings)} preflight checks are sound.")
    lines += [f"{number}. {line}" for number, line in enumerate(plan.lines, start=1)]
    return "\n".join(lines) + "\n"


def status_text(status: Status) -> str:
    """Where a restore stands, step by step with measured times, and what may be done now."""
    state, options = status.state, status.options
    running = f", at work (pid {status.running})" if status.running is not None else ""
    lines = [
        f"Restore {status.id} of '{options.database}' on {options.place}: {status.phase}{running}."
    ]
    for name, words in _STEPS.items():
        if name in state.done:
            lines.append(f"  done     {words}{_time(state.seconds.get(name))}")
        elif name in state.begun:
            lines.append(f"  {'at work' if running else 'broken '}  {words}")
    if status.progress:
        lines.append(f"  now      {_progress(status.progress)}")
    if state.failure:
        lines.append(f"  failed   {title(state.failure['step'])}: {state.failure['message']}")
        lines += [f"           {state.failure['hint']}"] if state.failure["hint"] else []
    lines += [f"  warning  {warning}" for warning in state.warnings]
    lines += _ending(status)
    return "\n".join(lines) + "\n"


def _progress(shown: dict[str, Any]) -> str:
    words = " ".join(str(shown[key]) for key in ("phase", "table") if shown.get(key))
    done, expected = shown.get("done"), shown.get("expected")
    return f"{words} ({done} of {expected})" if done and expected else words


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f" ({duration(seconds)})"


def _ending(status: Status) -> list[str]:
    lines = []
    total = status.state.data.get("health", {}).get("total_seconds")
    if total is not None and status.phase is Phase.DONE:
        down = status.downtime_seconds
        measured = "was not measured" if down is None else duration(down)
        lines.append(f"In all {duration(total)}; downtime (the cut-over alone) {measured}.")
    if status.kept:
        lines.append(f"The other database is kept as '{status.kept}'.")
    if status.actions:
        lines.append(f"What can be done: restore {', '.join(status.actions)}.")
    return lines


def as_json(status: Status) -> dict[str, Any]:
    """The same for programs."""
    state = status.state
    return {
        "id": status.id,
        "database": status.options.database,
        "place": status.options.place,
        "archive": status.options.archive,
        "phase": str(status.phase),
        "running": status.running,
        "done": [name for name in _STEPS if name in state.done],
        "seconds": state.seconds,
        "total_seconds": state.data.get("health", {}).get("total_seconds"),
        "downtime_seconds": status.downtime_seconds,
        "kept": status.kept,
        "warnings": state.warnings,
        "failure": state.failure,
        "actions": list(status.actions),
        "progress": status.progress,
    }
