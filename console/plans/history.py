"""Plans that were asked for, kept per statement: to look at again and to compare.

They lie in the state directory, a file each, readable by their owner alone: statements may hold
what nobody else should read.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from console.errors import ActionRefused
from console.plans import words
from console.plans.explain import Explained
from console.plans.formats import read
from console.plans.tree import Plan, PlanUnreadable
from console.settings import state_directory

KEPT_PER_STATEMENT = 20
KEPT_STATEMENTS = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """A plan in the history; the plan itself is read when it is wanted."""

    path: Path
    text: str
    at: datetime
    was_run: bool
    total_ms: float | None
    cost: float

    def plan(self) -> Plan:
        """Raises PlanUnreadable when the file is gone or damaged."""
        try:
            return read(json.dumps(json.loads(self.path.read_text("utf-8"))["document"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlanUnreadable(
                f"The kept plan {self.path.name} cannot be read.", "Explain the statement again."
            ) from error


class History:
    """The kept plans of one database."""

    def __init__(self, database: str, directory: Path | None = None) -> None:
        """`database` names it; `directory` is the state directory's own unless given."""
        safe = re.sub(r"[^\w.@-]", "_", database)[:80]
        self.directory = (directory or state_directory() / "plans") / safe

    def keep(self, explained: Explained) -> Kept:
        """Add a plan; older ones beyond the limits go. Raises ActionRefused when it cannot."""
        place = self.directory / fingerprint(explained.text)
        stamp = explained.at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%f")
        path = place / f"{stamp}.json"
        content = {
            "text": explained.text,
            "at": explained.at.isoformat(),
            "was_run": explained.plan.is_analyzed,
            "total_ms": explained.plan.total_ms,
            "cost": explained.plan.root.number_of("Total Cost"),
            "notes": explained.notes,
            "document": dict(explained.plan.document),
        }
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, json.dumps(content))
            self._forget(place)
        except OSError as error:
            raise ActionRefused(
                f"The plan cannot be kept in {place} ({error.strerror}).",
                "It is shown all the same; make room or mend the directory's permissions.",
            ) from error
        return _kept(path, content)

    def plans(self, text: str) -> list[Kept]:
        """Those of one statement, the newest first."""
        return _newest(self.directory / fingerprint(text))

    def statements(self) -> list[Kept]:
        """The newest plan of every statement, the newest first."""
        if not self.directory.is_dir():
            return []
        found = [kept for place in self.directory.iterdir() for kept in _newest(place)[:1]]
        return sorted(found, key=lambda kept: kept.at, reverse=True)

    def _forget(self, place: Path) -> None:
        for path in sorted(place.glob("*.json"), reverse=True)[KEPT_PER_STATEMENT:]:
            path.unlink(missing_ok=True)
        places = sorted(self.directory.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in places[KEPT_STATEMENTS:]:
            for path in old.glob("*.json"):
                path.unlink(missing_ok=True)
            old.rmdir()


def fingerprint(text: str) -> str:
    """The same for a statement however it is spaced, commented and ended."""
    said = " ".join(
        word.text.lower() if word.kind is words.Kind.NAME else f"{word.kind}:{word.text}"
        for word in words.words(text)
        if word.text != ";"
    )
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _write(path: Path, content: str) -> None:
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    partial.rename(path)


def _newest(place: Path) -> list[Kept]:
    found = []
    for path in sorted(place.glob("*.json"), reverse=True):
        try:
            found.append(_kept(path, json.loads(path.read_text("utf-8"))))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a file that was cut short is no reason to hide the others
    return found


def _kept(path: Path, content: dict[str, object]) -> Kept:
    total, cost = content["total_ms"], content["cost"]
    return Kept(
        path,
        str(content["text"]),
        datetime.fromisoformat(str(content["at"])),
        bool(content["was_run"]),
        float(total) if isinstance(total, int | float) else None,
        float(cost) if isinstance(cost, int | float) else 0.0,
    )
