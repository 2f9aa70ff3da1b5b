"""One experiment from beginning to end: a copy, its twin with the indexes, trials, a result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from psycopg import Error

import queries
from console.backup import scratch
from console.errors import ActionRefused
from console.lab import building, statements
from console.lab.bench import Bench, Subject
from console.lab.building import Tried
from console.lab.candidates import Spreads, derive
from console.lab.hypothesis import worth_building
from console.lab.place import Place, Wanted, filled, planning_settings, settle
from console.lab.reading import Names, Reading, read
from console.lab.result import IndexResult, LabResult, TableSize
from console.lab.statements import Skipped, Statement
from console.lab.trial import Together, Trials
from console.lab.values import NoValues, values_for
from console.names import listed
from console.plans.hazards import unknown_functions
from console.plans.judge import judge
from console.profile import Profile
from console.session import Connection, Limits, Session, connect
from console.settings import Settings
from console.target import Target
from queries.catalog import RELATION_SIZES, Catalog, read_catalog
from queries.database import set_search_path
from queries.lab import COLUMN_SPREAD, SEARCHED_SCHEMAS, without_triggers

_LIMITS = Limits(statement_ms=120_000, lock_ms=10_000, idle_in_transaction_ms=None, connect_s=15)

Report = Callable[[str], None]


def silent(_phase: str) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True, slots=True)
class LabOptions:
    """What to try, on what, and how thoroughly."""

    wanted: Wanted = field(default_factory=Wanted)
    indexes: tuple[str, ...] = ()
    """Names; empty stands for the profile's, unless there are candidates."""
    candidates: tuple[str, ...] = ()
    """CREATE INDEX statements."""
    derive: bool = False
    """Find candidates in the slowest statements."""
    statements: tuple[str, ...] = ()
    """What to measure instead of the workload."""
    slowest: int = 20
    """How many of the server's statements to look at."""
    rounds: int = 9
    runs: int = 10
    """Of each statement in a round, with as many sets of values."""

    def __post_init__(self) -> None:
        if not 3 <= self.rounds <= 101 or not 1 <= self.runs <= 1000:
            raise ValueError("3 to 101 rounds of 1 to 1000 runs")


async def experiment(
    target: Target,
    settings: Settings,
    profile: Profile | None,
    options: LabOptions,
    report: Report = silent,
) -> LabResult:
    """Measure. The live database is only read, and with sample data not even that.

    Raises ConsoleError kinds; ActionRefused where there is nothing to measure or to try.
    """
    building.typed_candidates(options.candidates)
    began = time.monotonic()
    workload, source = await _workload(target, profile, options)
    if not workload:
        raise ActionRefused(
            "There are no statements to measure.",
            "Give the profile a workload, or count statements with pg_stat_statements.",
        )
    async with filled(options.wanted, target, settings, profile, report) as place:
        found = await _Lab(place, target.schema, profile, options, workload, report).run()
    return replace(
        found,
        at=datetime.now(UTC),
        seconds=round(time.monotonic() - began, 1),
        workload=source,
    )


async def _workload(
    target: Target, profile: Profile | None, options: LabOptions
) -> tuple[tuple[Statement, ...], str]:
    """What to measure, and where it comes from."""
    if options.statements:
        return statements.typed(options.statements), "the statement given"
    own = statements.of_profile(profile) if profile is not None else ()
    of_profile = f"the workload of profile {profile.name}" if profile is not None else ""
    if options.wanted.source == "sample" or (own and not options.derive):
        return own, of_profile
    session = Session(target)
    try:
        found = await statements.slowest(session, options.slowest)
    except ActionRefused:
        if not own:
            raise
        found = ()
    finally:
        await session.close()
    if found:
        return found, f"the {len(found)} statements that took most time, by pg_stat_statements"
    return own, of_profile


class _Lab:
    """An experiment in its place."""

    def __init__(
        self,
        place: Place,
        schema: str | None,
        profile: Profile | None,
        options: LabOptions,
        workload: Sequence[Statement],
        report: Report,
    ) -> None:
        self.place = place
        self.profile = profile or Profile("")
        self.options = options
        self.workload = workload
        self.report = report
        own = schema or (profile.schema if profile is not None else "")
        self.path = listed(dict.fromkeys((own, "public"))) if own else place.search_path
        """The search path of the application's sessions."""
        self.skipped: list[Skipped] = []

    async def run(self) -> LabResult:
        original = self.place.scratch.target
        async with self._session(original) as connection:
            version = str(connection.info.parameter_status("server_version")).partition(" ")[0]
            tried = await self._chosen(connection)
            await self._quieten(connection)
        await settle(original)
        settings = await planning_settings(original)
        self.report("making the copy without the indexes")
        async with (
            scratch.twin(self.place.scratch, "lab") as twin,
            self._session(twin) as without,
            self._session(original) as with_them,
        ):
            bench = Bench(without, with_them, self.skipped)
            catalog = await read_catalog(without)
            sizes = await _sizes(without, catalog)
            alone, together = await self._measured(bench, catalog, tried)
            beside = {one.statement for one in together.indexes}
            indexes = (*together.indexes, *(o for o in alone if o.statement not in beside))
        return LabResult(
            at=datetime.now(UTC),
            seconds=0.0,
            profile=self.profile.name,
            server_version=version,
            place=self.place.scratch.place,
            source=self.place.source,
            workload="",
            settings=settings,
            rounds=self.options.rounds,
            tables=tuple(sizes[name] for name in dict.fromkeys(one.table for one in indexes)),
            indexes=indexes,
            queries=together.queries,
            overall=together.overall,
            writes=together.writes,
            skipped=tuple(dict.fromkeys(self.skipped)),
        )

    @asynccontextmanager
    async def _session(self, target: Target) -> AsyncIterator[Connection]:
        async with connect(
            target, read_only=False, limits=_LIMITS, plans_as_usual=True
        ) as connection:
            await connection.execute(set_search_path(self.path))
            # Each value is planned for, as it is when a client sends it.
            await connection.execute("SET plan_cache_mode = force_custom_plan")
            yield connection

    async def _chosen(self, connection: Connection) -> list[Tried]:
        """The indexes to try that are known by now; those that are there are taken away."""
        typed = building.typed_candidates(self.options.candidates)
        names = self.options.indexes
        if not names and not typed and not self.options.derive:
            names = tuple(sorted(self.profile.indexes_for_speed))
        known, skipped = await building.of_profile(connection, self.profile, names)
        taken, kept = await building.take_away(connection, known)
        self.skipped += [*skipped, *kept]
        return [*taken, *(Tried(one.statement, one.statement, one.reason) for one in typed)]

    async def _quieten(self, connection: Connection) -> None:
        """Triggers of users may reach beyond the copy: none fires here."""
        for relation in (await read_catalog(connection)).relations:
            if relation.kind in "rp" and not relation.is_partition:
                await connection.execute(without_triggers(relation.schema, relation.name))

    async def _measured(
        self, bench: Bench, catalog: Catalog, tried: list[Tried]
    ) -> tuple[list[IndexResult], Together]:
        names = Names(catalog, await _searched(bench.without))
        readings = await asyncio.to_thread(
            lambda: {one.name: read(one.sql, names) for one in self.workload}
        )
        subjects = await self._subjects(bench, catalog, readings)
        if self.options.derive:
            derived = await self._derived(bench, catalog, readings)
            tried += await worth_building(bench, derived, subjects, self.report)
        if not tried or not subjects:
            raise self._nothing(subjects)
        trials = Trials(bench, catalog, subjects, self.options.rounds, self.report)
        alone: list[IndexResult] = []
        if self.options.derive or len(self.options.candidates) > 1:
            found = [await trials.alone(one) for one in tried]
            alone = [one for one in found if one is not None]
            used = {one.statement for one in alone if one.used_by or one.planned}
            tried = [one for one in tried if one.statement in used] or tried
        return alone, await trials.together(tried, alone)

    async def _derived(
        self, bench: Bench, catalog: Catalog, readings: Mapping[str, Reading]
    ) -> list[Tried]:
        """Candidates of the statements, those with most time first."""
        spreads = Spreads(await queries.fetch(bench.without, COLUMN_SPREAD))
        found = derive(list(readings.items()), catalog, spreads)
        return [Tried(one.statement, one.statement, one.reason) for one in found]

    async def _subjects(
        self, bench: Bench, catalog: Catalog, readings: Mapping[str, Reading]
    ) -> list[Subject]:
        """Statements that can be run, with values; why the others cannot is noted."""
        found = []
        for statement in self.workload:
            try:
                await self._require_harmless(statement)
                values = await values_for(
                    bench.without,
                    statement,
                    readings[statement.name],
                    catalog,
                    self.options.runs,
                )
            except NoValues as error:
                self.skipped.append(Skipped(statement.name, f"{error} It was planned, not timed."))
                found.append(Subject(statement, ()))
            except ActionRefused as error:
                self.skipped.append(Skipped(statement.name, str(error)))
            except Error as error:
                reason = error.diag.message_primary or type(error).__name__
                self.skipped.append(Skipped(statement.name, f"Its values: {reason}."))
            else:
                found.append(Subject(statement, values, self.options.runs))
        return await bench.prepared(found)

    async def _require_harmless(self, statement: Statement) -> None:
        """Raises ActionRefused for a statement whose functions may reach beyond the copy."""
        judged = judge(statement.sql)
        if judged.forbidden:
            raise ActionRefused(f"It calls {judged.forbidden[0]}(), which is never run from here.")
        unknown = await unknown_functions(self.place.scratch.target, judged.functions)
        if unknown:
            raise ActionRefused(unknown[0])

    def _nothing(self, subjects: Sequence[Subject]) -> ActionRefused:
        if not subjects:
            what = "There is no statement that can be measured."
            hint = "Give the profile a workload with values, or another statement."
        elif self.options.derive:
            what = "These statements would like no index that is not there already."
            hint = "Try one of your own: CREATE INDEX ..."
        else:
            what = "There is no index to try."
            hint = "Name one, or write one: CREATE INDEX ..."
        reasons = "".join(f" {one.name}: {one.reason}" for one in self.skipped[:3])
        return ActionRefused(what + reasons, hint)


async def _searched(connection: Connection) -> tuple[str, ...]:
    """The schemas that a bare name is looked for in."""
    row = await (await connection.execute(SEARCHED_SCHEMAS)).fetchone()
    return tuple(row[0]) if row is not None else ()


async def _sizes(connection: Connection, catalog: Catalog) -> dict[str, TableSize]:
    """Every table before anything was tried: a figure is worth as much as they are large."""
    found = [relation for relation in catalog.relations if relation.kind in "rpm"]
    rows = await queries.fetch(
        connection, RELATION_SIZES, {"oids": [relation.oid for relation in found]}
    )
    sizes = {row.oid: row.bytes for row in rows}
    parts: dict[int, list[int]] = {}
    for relation in found:
        if relation.parent_oid is not None:
            parts.setdefault(relation.parent_oid, []).append(relation.oid)

    def whole(oid: int) -> int:
        """With its partitions."""
        return sizes.get(oid, 0) + sum(map(whole, parts.get(oid, [])))

    return {
        relation.name: TableSize(relation.name, relation.estimated_rows, whole(relation.oid))
        for relation in found
    }
