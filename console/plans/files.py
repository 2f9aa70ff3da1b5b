"""Plans and statements in files of the operator's: opened by path, written beside other state."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from console.errors import ActionRefused
from console.plans.export import FORMATS
from console.plans.formats import LARGEST, read
from console.plans.tree import Plan, PlanUnreadable
from console.settings import state_directory

SUFFIXES = {"text": "txt", "json": "json", "markdown": "md"}

_LOOKS_LIKE_A_PLAN = re.compile(
    r"\A\s*(?:[\[{<]|- ?Plan:|- Query|QUERY PLAN)|\(cost=\d|\(actual (?:time|rows)="
)


def looks_like_a_plan(text: str) -> bool:
    """Whether a text is EXPLAIN's answer rather than a statement."""
    return _LOOKS_LIKE_A_PLAN.search(text) is not None


def open_file(path: Path) -> Plan | str:
    """The plan that a file holds, else its text as a statement. Raises PlanUnreadable."""
    try:
        if path.stat().st_size > LARGEST:
            raise PlanUnreadable(f"{path} is too large.", "Give a plan or one statement.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise PlanUnreadable(f"{path} cannot be read ({reason}).", "Check the path.") from error
    return read(text) if looks_like_a_plan(text) else text


def save(plan: Plan, form: str) -> Path:
    """Write a plan in one of export.FORMATS, readable by its owner alone. Raises ActionRefused."""
    directory = state_directory() / "exports"
    path = directory / f"plan-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.{SUFFIXES[form]}"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(FORMATS[form](plan))
    except OSError as error:
        raise ActionRefused(
            f"The plan cannot be written to {path} ({error.strerror}).",
            "Free some space or mend the directory's permissions.",
        ) from error
    return path
