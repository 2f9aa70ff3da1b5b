"""What an experiment found, and kept for the readiness reports that follow."""

from __future__ import annotations

import hashlib
import json
import statistics
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from console.backup import jsonfile
from console.errors import CommandFailed
from console.lab.spread import Change, Verdict
from console.lab.statements import Skipped
from console.lab.writes import WriteCost
from console.report_file import write_report
from console.settings import state_directory


@dataclass(frozen=True, slots=True)
class QueryResult:
    """One statement, without the indexes and with them."""

    name: str
    sql: str
    weight: float
    writes: bool
    without_ms: float
    with_ms: float
    change: Change
    runs: int
    """In each round, on each copy."""
    cost_without: float
    """The planner's, in its own unit; of the first values."""
    cost_with: float
    scans_without: tuple[str, ...]
    """How the plan reads its tables."""
    scans_with: tuple[str, ...]
    used: tuple[str, ...]
    """Those of the tried indexes that the plan reads."""


@dataclass(frozen=True, slots=True)
class PlannedUse:
    """A statement that could not be run for want of values, and whose plan for any reads it."""

    name: str
    cost_without: float
    """The planner's, in its own unit."""
    cost_with: float


@dataclass(frozen=True, slots=True)
class IndexResult:
    """One index that was tried."""

    name: str
    table: str
    statement: str
    """CREATE INDEX ..., to be run where it is wanted."""
    reason: str
    """Why it was tried."""
    bytes: int
    build_seconds: float
    used_by: tuple[str, ...]
    """Names of statements whose plan reads it; beside the others, or alone where that was tried."""
    faster: tuple[str, ...]
    """Those of them that took less time."""
    newly_indexed: tuple[str, ...]
    """Columns whose updates cannot be HOT any more for it."""
    was_there: bool
    """The database has it already."""
    alone: tuple[QueryResult, ...] = ()
    """Statements that use it, with no other index beside it; empty when it was not tried alone."""
    write: WriteCost | None = None
    """What it alone costs."""
    planned: tuple[PlannedUse, ...] = ()

    @property
    def verdict(self) -> str:
        if self.faster:
            return f"speeds up {len(self.faster)}"
        if self.used_by:
            return "used, no gain"
        return "planned only" if self.planned else "not used"


@dataclass(frozen=True, slots=True)
class TableSize:
    name: str
    rows: int
    bytes: int
    """Without indexes."""


@dataclass(frozen=True, slots=True)
class LabResult:
    """A whole experiment."""

    at: datetime
    """When it ended."""
    seconds: float
    profile: str
    """'' without one."""
    server_version: str
    place: str
    """Where it was measured: never in the live database."""
    source: str
    """What the copy was made of."""
    workload: str
    """Where the statements come from."""
    settings: dict[str, str]
    """The server's, that plans depend on."""
    rounds: int
    tables: tuple[TableSize, ...]
    """Those that the tried indexes are on."""
    indexes: tuple[IndexResult, ...]
    queries: tuple[QueryResult, ...]
    """All of them, with all the indexes together."""
    overall: Change | None
    """Of all statements, each by its weight; None when nothing was measured."""
    writes: tuple[WriteCost, ...]
    """By table, of all the indexes together."""
    skipped: tuple[Skipped, ...]

    @property
    def mean_share(self) -> float | None:
        """The plain mean of the statements' changes, as claims of other tools are made."""
        shares = [query.change.share for query in self.queries]
        return statistics.fmean(shares) if shares else None

    def count(self, verdict: Verdict) -> int:
        return sum(query.change.verdict is verdict for query in self.queries)


def path_of(database: str) -> Path:
    """Where the last result of a database (a target's label) is kept."""
    digest = hashlib.sha256(database.encode()).hexdigest()[:16]
    return state_directory() / "lab" / f"{digest}.json"


def as_json(result: LabResult) -> str:
    """The result as a document; `kept` reads the same."""
    return json.dumps(jsonfile.encode(result), indent=1, ensure_ascii=False) + "\n"


def keep(result: LabResult, path: Path) -> None:
    """Raises ActionRefused."""
    write_report(path, as_json(result), make_directory=True)


def kept(path: Path) -> LabResult | None:
    """The last result; None where there is none. Raises CommandFailed for a damaged one."""
    try:
        return jsonfile.decode(json.loads(path.read_bytes()), LabResult)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CommandFailed(
            f"The last index lab's result in {path} cannot be read.",
            "Measure again, or move it away.",
        ) from error
