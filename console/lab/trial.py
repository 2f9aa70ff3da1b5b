"""Trials: all the indexes together, and each alone, with what they gain and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from psycopg import Error

from console.lab.bench import Bench, Measured, Report, Subject, indexes_of
from console.lab.building import Built, Tried, build, indexes_beside, tear_down
from console.lab.result import IndexResult, PlannedUse, QueryResult
from console.lab.spread import Change, Verdict, change
from console.lab.statements import Skipped
from console.lab.writes import WriteCost, newly_indexed, write_cost
from console.plans.tree import Plan
from queries.catalog import Catalog

_LONGEST_TITLE = 100


@dataclass(frozen=True, slots=True)
class Together:
    """What all the indexes gain and cost at once."""

    indexes: tuple[IndexResult, ...]
    queries: tuple[QueryResult, ...]
    overall: Change | None
    """Of all statements, each by its weight; None when none could be measured."""
    writes: tuple[WriteCost, ...]


@dataclass(slots=True)
class Trials:
    """What all trials of an experiment share."""

    bench: Bench
    catalog: Catalog
    """Of the copy without the indexes."""
    subjects: Sequence[Subject]
    rounds: int
    report: Report

    async def alone(self, tried: Tried) -> IndexResult | None:
        """One index by itself: built, planned with, timed where it is used, and dropped again."""
        built = await self._built(tried)
        if built is None:
            return None
        users = []
        for subject in self.subjects:
            plan = await self.bench.plan(self.bench.with_them, subject)
            if plan is not None and not built.names.isdisjoint(indexes_of(plan)):
                users.append(subject)
        found = await self.bench.run(users, self.rounds, self.report)
        queries = tuple(_query_result(one, [built]) for one in found)
        planned = await self._planned(users)
        write = await self._write(built.index.table_oid, added=1)
        await tear_down(self.bench.with_them, built)
        result = self._index_result(built, queries, planned)
        return replace(result, alone=queries, write=write)

    async def _planned(self, subjects: Iterable[Subject]) -> dict[PlannedUse, tuple[str, ...]]:
        """Statements that are not timed, and the indexes that their plans read."""
        found = {}
        for subject in subjects:
            if subject.is_timed:
                continue
            before = await self.bench.plan(self.bench.without, subject)
            after = await self.bench.plan(self.bench.with_them, subject)
            if before is not None and after is not None:
                use = PlannedUse(subject.name, _cost(before), _cost(after))
                found[use] = indexes_of(after)
        return found

    async def together(self, tried: Sequence[Tried], alone: Sequence[IndexResult]) -> Together:
        """All indexes at once, with every statement. What `alone` told of one is kept beside."""
        built = [one for one in [await self._built(tried) for tried in tried] if one is not None]
        found = await self.bench.run(self.subjects, self.rounds, self.report)
        queries = tuple(_query_result(one, built) for one in found)
        planned = await self._planned(self.subjects)
        by_statement = {result.statement: result for result in alone}
        indexes = []
        for one in built:
            known = by_statement.get(one.tried.statement)
            indexes.append(self._index_result(one, queries, planned, known))
        overall = change([one.timed for one in found]) if found else None
        return Together(tuple(indexes), queries, overall, await self._writes(built))

    async def _built(self, tried: Tried) -> Built | None:
        self.report(f"building {tried.name}")
        try:
            return await build(self.bench.with_them, tried)
        except Error as error:
            reason = error.diag.message_primary or type(error).__name__
            self.bench.skipped.append(Skipped(tried.name, f"It cannot be built: {reason}."))
            return None

    async def _writes(self, built: Iterable[Built]) -> tuple[WriteCost, ...]:
        added: dict[int, int] = {}
        for one in built:
            added[one.index.table_oid] = added.get(one.index.table_oid, 0) + 1
        found = [await self._write(table, count) for table, count in added.items()]
        return tuple(cost for cost in found if cost is not None)

    async def _write(self, table: int, added: int) -> WriteCost | None:
        relation = self.catalog.relation_by_oid[table]
        try:
            return await write_cost(
                self.bench, self.catalog, relation, added, self.rounds, self.report
            )
        except Error as error:
            reason = error.diag.message_primary or type(error).__name__
            self.bench.skipped.append(Skipped(f"writing to {relation.name}", f"{reason}."))
            return None

    def _index_result(
        self,
        built: Built,
        queries: Iterable[QueryResult],
        planned: Mapping[PlannedUse, tuple[str, ...]],
        known: IndexResult | None = None,
    ) -> IndexResult:
        """What a trial told of an index, with what was `known` of it from a trial alone."""
        index, tried = built.index, built.tried
        users = {query.name: query for query in queries if index.name in query.used}
        uses = {use.name: use for use, read in planned.items() if built.names & set(read)}
        if known is not None:
            users = {query.name: query for query in known.alone} | users
            uses = {use.name: use for use in known.planned} | uses
        faster = [n for n, query in users.items() if query.change.verdict is Verdict.FASTER]
        return IndexResult(
            name=index.name,
            table=index.table,
            statement=tried.statement,
            reason=tried.reason,
            bytes=built.bytes,
            build_seconds=built.seconds,
            used_by=tuple(users),
            faster=tuple(faster),
            newly_indexed=newly_indexed(index, indexes_beside(self.catalog, built)),
            was_there=tried.was_there is not None,
            alone=known.alone if known is not None else (),
            write=known.write if known is not None else None,
            planned=tuple(uses.values()),
        )


def _cost(plan: Plan) -> float:
    return plan.root.number_of("Total Cost")


def _query_result(measured: Measured, built: Sequence[Built]) -> QueryResult:
    read = set(indexes_of(measured.plan_with))
    statement, timed = measured.subject.statement, measured.timed
    return QueryResult(
        name=statement.name,
        sql=statement.sql,
        weight=statement.weight,
        writes=statement.writes,
        without_ms=timed.without_ms,
        with_ms=timed.with_ms,
        change=change([timed]),
        runs=measured.runs,
        cost_without=_cost(measured.plan_without),
        cost_with=_cost(measured.plan_with),
        scans_without=scans(measured.plan_without),
        scans_with=scans(measured.plan_with),
        used=tuple(one.index.name for one in built if one.names & read),
    )


def scans(plan: Plan) -> tuple[str, ...]:
    """How a plan gets at its rows: the nodes that read a table, an index, or sort."""
    wanted = [
        node.title[:_LONGEST_TITLE]
        for node in plan.nodes
        if "Scan" in node.kind or node.kind in ("Sort", "Incremental Sort")
    ]
    return tuple(dict.fromkeys(wanted))
