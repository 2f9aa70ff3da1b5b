"""Statements run by turns on two copies of a database that differ in indexes alone.

The time is the server's own: planning and execution as EXPLAIN (ANALYZE, TIMING OFF) reports them,
without network and client, and without a clock at each node.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Error, sql

from console.lab.spread import Timed
from console.lab.statements import Skipped, Statement
from console.lab.values import Values
from console.plans import words
from console.plans.tree import Plan, build
from console.session import Connection
from queries.lab import measure, prepare

SECONDS_A_ROUND = 1.0
"""What one statement may take of a round, on one copy: slow ones get fewer runs, one at least."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """A statement with the values it is run with."""

    statement: Statement
    values: Values
    runs: int = 1
    """How often it is run in a round, its values by turns."""

    @property
    def is_timed(self) -> bool:
        """Without values it is only planned, for any."""
        return bool(self.values)

    @property
    def name(self) -> str:
        return self.statement.name


@dataclass(frozen=True, slots=True)
class Measured:
    subject: Subject
    timed: Timed
    """Milliseconds a run."""
    runs: int
    """A round, on each copy."""
    plan_without: Plan
    plan_with: Plan


@dataclass(slots=True)
class Bench:
    """Two sessions, on the copy without the indexes and on the one with them."""

    without: Connection
    with_them: Connection
    skipped: list[Skipped] = field(default_factory=list)
    _prepared: dict[str, str] = field(default_factory=dict)

    async def prepared(self, subjects: Sequence[Subject]) -> list[Subject]:
        """Those of the statements that both servers take; the others are noted."""
        good = []
        for subject in subjects:
            name = f"lab_{len(self._prepared)}"
            try:
                for connection in (self.without, self.with_them):
                    text = words.plannable(subject.statement.sql)
                    await connection.execute(prepare(name, text), binary=True)
            except Error as error:
                self._skip(subject, error)
                continue
            self._prepared[subject.name] = name
            good.append(subject)
        return good

    async def plan(self, connection: Connection, subject: Subject) -> Plan | None:
        """The plan with the first values, else for any values; nothing is run.

        None where there is none.
        """
        try:
            if subject.is_timed:
                return build(await self._explain(connection, subject, 0, run=False))
            async with connection.transaction(force_rollback=True):
                await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
                nulls = [None] * words.parameters(subject.statement.sql)
                query = measure(self._prepared[subject.name], nulls, run=False)
                return build(await explained(connection, query))
        except Error as error:
            self._skip(subject, error)
            return None

    async def run(self, subjects: Sequence[Subject], rounds: int, report: Report) -> list[Measured]:
        """Every statement in every round on both copies, which begin by turns.

        Those that only read come first: what a rolled-back write leaves behind slows no reader.
        """
        found = []
        for writes in (False, True):
            part = [o for o in subjects if o.is_timed and o.statement.writes is writes]
            found += await self._run(part, rounds, report)
        order = {subject.name: number for number, subject in enumerate(subjects)}
        return sorted(found, key=lambda measured: order[measured.subject.name])

    async def _run(
        self, subjects: Sequence[Subject], rounds: int, report: Report
    ) -> list[Measured]:
        runs: dict[str, int] = {}
        plans: dict[str, tuple[Plan, Plan]] = {}
        for subject in subjects:
            report(f"warming up: {subject.name}")
            try:
                runs[subject.name], plans[subject.name] = await self._warmed(subject)
            except Error as error:
                self._skip(subject, error)
        kept = [subject for subject in subjects if subject.name in runs]
        times: dict[str, tuple[list[float], list[float]]] = {one.name: ([], []) for one in kept}
        for number in range(rounds):
            report(f"round {number + 1} of {rounds}, {len(kept)} statements")
            for subject in kept:
                sides = ((self.without, 0), (self.with_them, 1))
                for connection, side in sides if number % 2 == 0 else sides[::-1]:
                    spent = await self._time(connection, subject, runs[subject.name])
                    times[subject.name][side].append(spent)
        return [
            Measured(
                one,
                Timed(tuple(times[one.name][0]), tuple(times[one.name][1]), one.statement.weight),
                runs[one.name],
                *plans[one.name],
            )
            for one in kept
        ]

    async def _warmed(self, subject: Subject) -> tuple[int, tuple[Plan, Plan]]:
        """Run it as often as in a round, or as there is time for; how often that was."""
        counts, plans = [], []
        for connection in (self.without, self.with_them):
            began, done = time.monotonic(), 0
            for number in range(subject.runs):
                document = await self._explain(connection, subject, number, run=True)
                if number == 0:
                    plans.append(build(document))
                done += 1
                if time.monotonic() - began > SECONDS_A_ROUND:
                    break
            counts.append(done)
        return min(counts), (plans[0], plans[1])

    async def _time(self, connection: Connection, subject: Subject, runs: int) -> float:
        """Milliseconds a run, the mean of one round."""
        spent = 0.0
        for number in range(runs):
            document = await self._explain(connection, subject, number, run=True)
            spent += document["Planning Time"] + document["Execution Time"]
        return spent / runs

    async def _explain(
        self, connection: Connection, subject: Subject, number: int, *, run: bool
    ) -> dict[str, Any]:
        """One run, rolled back when it writes. Raises psycopg.Error."""
        values = subject.values[number % len(subject.values)]
        query = measure(self._prepared[subject.name], values, run=run)
        if run and subject.statement.writes:
            async with connection.transaction(force_rollback=True):
                return await explained(connection, query)
        return await explained(connection, query)

    def _skip(self, subject: Subject, error: Error) -> None:
        message = error.diag.message_primary or type(error).__name__
        self.skipped.append(Skipped(subject.name, f"{message[:1].upper()}{message[1:]}."))


def indexes_of(plan: Plan) -> tuple[str, ...]:
    """Names of the indexes it reads."""
    found = (node.text_of("Index Name") for node in plan.nodes)
    return tuple(dict.fromkeys(name for name in found if name))


async def explained(connection: Connection, query: sql.Composed) -> dict[str, Any]:
    """EXPLAIN's document. Raises psycopg.Error."""
    cursor = await connection.execute(query)
    row = await cursor.fetchone()
    assert row is not None
    document: dict[str, Any] = row[0][0]
    return document
