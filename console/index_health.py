"""Every index with what it is, what it costs, how it is used, and what is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeGuard, TypeVar

import psycopg

from console import index_rules, index_use
from console.ddl import create_index
from console.errors import PrivilegeMissing, QueryFailed
from console.findings import Finding, Severity
from console.foreign_keys import (
    estimated_rows,
    short_name,
    supporting_index,
    unindexed_findings,
)
from console.index_bloat import BloatEstimate, estimate_bloat
from console.index_rules import Critical
from console.index_use import LIMITS, IndexLimits
from console.names import listed, quoted
from console.profile import Profile
from console.session import Session, explain
from queries import Query, fetch
from queries.bloat import INDEX_LAYOUT
from queries.catalog import (
    INDEX_ACTIVITY,
    INDEX_DEFINITIONS,
    RELATION_SIZES,
    STATISTICS_SINCE,
    Catalog,
    Index,
    IndexActivity,
    StatisticsSince,
    read_catalog,
)
from queries.orphans import FOREIGN_KEY_COLLATIONS
from queries.progress import CREATE_INDEX_PROGRESS, IndexBuild

Row = TypeVar("Row")

EXACT_SIZES_UPTO = 3_000
"""Exact sizes open every index; beyond, the size at the last VACUUM or ANALYZE is shown."""


@dataclass(frozen=True, slots=True)
class IndexRecord:
    index: Index
    activity: IndexActivity | None
    """None for the index of a partitioned table: its parts are counted."""
    scans: int | None
    """Of all parts, for the index of a partitioned table."""
    bytes: int | None
    size_is_exact: bool
    bloat: BloatEstimate | None
    """Only for B-trees."""
    is_critical: bool
    build: IndexBuild | None
    supports: tuple[str, ...]
    """Names of the foreign keys that lean on it."""
    findings: tuple[Finding, ...]

    @property
    def key(self) -> str:
        """Stable over refreshes."""
        return str(self.index.oid)

    @property
    def table(self) -> str:
        return short_name(self.index.schema, self.index.table)

    @property
    def columns(self) -> str:
        """Keys as a person reads them; expressions and what is included in words."""
        if self.index.has_expressions:
            return self._with_expressions()
        return listed(name or "" for name in self.index.keys)

    def _with_expressions(self) -> str:
        names = [name for name in self.index.keys if name is not None]
        expressions = self.index.expressions or "(expression)"
        return ", ".join([*map(quoted, names), expressions])

    @property
    def kind(self) -> str:
        """primary, unique, exclusion or plain."""
        if self.index.is_primary:
            return "primary"
        if self.index.is_exclusion:
            return "exclusion"
        return "unique" if self.index.is_unique else "plain"

    @property
    def traits(self) -> tuple[str, ...]:
        """partial, expression, covering, partitioned, part, replica identity."""
        index = self.index
        named = {
            "partial": index.is_partial,
            "expression": index.has_expressions,
            "covering": bool(index.included),
            "partitioned": index.is_partitioned,
            "part": index.parent_oid is not None,
            "replica identity": index.is_replica_identity,
        }
        return tuple(name for name, holds in named.items() if holds)

    @property
    def state(self) -> str:
        if self.index.is_valid and self.index.is_ready:
            return "valid" if self.build is None else "rebuilding"
        if self.build is not None:
            return "building"
        return "incomplete" if self.index.is_partitioned else "invalid"

    @property
    def verdict(self) -> Severity:
        return min((f.severity for f in self.findings), key=lambda s: s.rank, default=Severity.OK)


@dataclass(frozen=True, slots=True)
class IndexOverview:
    records: tuple[IndexRecord, ...]
    findings: tuple[Finding, ...]
    """All of them, worst first; also those about no index: missing ones, keys without one."""
    since: StatisticsSince | None
    not_read: tuple[str, ...]
    """What could not be asked this time, one sentence each."""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """What was read, before it is judged. Mappings are by index oid."""

    catalog: Catalog
    builds: tuple[IndexBuild, ...]
    collations: Mapping[int, Sequence[int]]
    activity: Mapping[int, IndexActivity]
    sizes: Mapping[int, int]
    bloat: Mapping[int, BloatEstimate]
    since: StatisticsSince | None
    not_read: tuple[str, ...] = ()


async def read_indexes(
    session: Session,
    critical: Critical | None = None,
    limits: IndexLimits = LIMITS,
    *,
    known: Catalog | None = None,
) -> IndexOverview:
    """Every user index, judged.

    `known` is a catalog read a moment ago, which spares reading it again. What cannot be read
    beside the catalog (sizes, use, bloat) is told in `not_read`. Raises ConsoleError kinds when
    the catalog itself cannot be read.
    """
    return judge_indexes(await _read(session, known), critical or {}, datetime.now(UTC), limits)


def critical_of(profile: Profile) -> dict[tuple[str, str], str]:
    """A profile's critical indexes, as `read_indexes` takes them."""
    return {
        (table_name.schema, name): create_index(table_name, name, index, concurrently=True)
        for table_name, table in profile.tables.items()
        for name, index in table.indexes.items()
        if index.is_critical
    }


async def index_definition(session: Session, oid: int) -> str | None:
    """The CREATE INDEX statement; None while the table is locked, or when the index is gone."""
    rows = await session.fetch(INDEX_DEFINITIONS, {"oids": [oid]})
    return rows[0].definition if rows else None


async def _read(session: Session, known: Catalog | None = None) -> IndexFacts:
    """Builds are read before and after: one that ends meanwhile leaves no false 'invalid'."""
    connection = await session.connection()
    try:
        builds = await fetch(connection, CREATE_INDEX_PROGRESS)
        catalog = known if _is_settled(known) else await read_catalog(connection)
        collations = await fetch(connection, FOREIGN_KEY_COLLATIONS)
        builds += await fetch(connection, CREATE_INDEX_PROGRESS)
    except psycopg.Error as error:
        raise explain(error, session.target) from error
    asked = _Asked(session)
    activity = await asked.rows("Use is not known", INDEX_ACTIVITY)
    since = await asked.rows("The age of statistics is not known", STATISTICS_SINCE)
    layouts = await asked.rows("Bloat is not known", INDEX_LAYOUT)
    oids = [index.oid for index in catalog.indexes]
    if len(oids) > EXACT_SIZES_UPTO:
        oids = []
    sizes = await asked.rows("Sizes are of the last VACUUM", RELATION_SIZES, {"oids": oids})
    return IndexFacts(
        catalog,
        tuple(builds),
        {row.oid: row.collations for row in collations},
        {row.oid: row for row in activity},
        {row.oid: row.bytes for row in sizes},
        {row.oid: estimate_bloat(row) for row in layouts},
        since[0] if since else None,
        tuple(asked.failures),
    )


def _is_settled(catalog: Catalog | None) -> TypeGuard[Catalog]:
    """It was read before the builds were, which matters only where an index is not valid."""
    return catalog is not None and all(i.is_valid and i.is_ready for i in catalog.indexes)


class _Asked:
    """Questions whose answers may be missing: what failed is kept as a sentence."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.failures: list[str] = []

    async def rows(
        self, lacking: str, query: Query[Row], parameters: Mapping[str, Any] | None = None
    ) -> list[Row]:
        try:
            return await self._session.fetch(query, parameters)
        except (QueryFailed, PrivilegeMissing) as error:
            self.failures.append(f"{lacking}: {error.message}")
            return []


def judge_indexes(
    facts: IndexFacts, critical: Critical, now: datetime, limits: IndexLimits = LIMITS
) -> IndexOverview:
    """All findings, each beside its index; those about no index stand in the overview alone."""
    catalog = facts.catalog
    supporting = {
        key.oid: supporting_index(catalog, key, facts.collations.get(key.oid))
        for key in catalog.foreign_keys
    }
    supports = _supports(catalog, supporting)
    scans = {oid: row.scans for oid, row in facts.activity.items()}
    by_index = _findings_by_index(facts, critical, scans, supports, now, limits)
    records = tuple(
        _record(facts, index, critical, scans, supports.get(index.oid, ()), by_index)
        for index in catalog.indexes
    )
    elsewhere = index_rules.missing_critical(catalog, critical) + _keys_without_index(
        catalog, supporting
    )
    if facts.since is not None and facts.activity:
        elsewhere += index_use.too_early(catalog, scans, facts.since, now, supports, limits)
    found = elsewhere + [finding for record in records for finding in record.findings]
    return IndexOverview(
        records,
        tuple(sorted(found, key=lambda finding: finding.severity.rank)),
        facts.since,
        facts.not_read,
        now,
    )


def _supports(
    catalog: Catalog, supporting: Mapping[int, Index | None]
) -> dict[int, tuple[str, ...]]:
    """Names of the foreign keys that lean on each index."""
    found: dict[int, tuple[str, ...]] = {}
    for key in catalog.foreign_keys:
        index = supporting[key.oid]
        if index is not None:
            found[index.oid] = (*found.get(index.oid, ()), key.name)
    return found


def _keys_without_index(catalog: Catalog, supporting: Mapping[int, Index | None]) -> list[Finding]:
    return [
        finding
        for key in catalog.foreign_keys
        for finding in unindexed_findings(
            catalog,
            key,
            supporting[key.oid],
            estimated_rows(catalog, key.table_oid),
        )
    ]


def _findings_by_index(
    facts: IndexFacts,
    critical: Critical,
    scans: Mapping[int, int],
    supports: Collection[int],
    now: datetime,
    limits: IndexLimits,
) -> dict[int, list[Finding]]:
    catalog = facts.catalog
    kinds = [
        index_rules.invalid(catalog, facts.builds, critical),
        index_rules.repeated(catalog, critical, scans),
        index_use.bloated(catalog, facts.bloat, limits),
    ]
    if facts.since is not None and facts.activity:
        kinds.append(
            index_use.unused(catalog, scans, facts.sizes, facts.since, now, supports, limits)
        )
    by_index: defaultdict[int, list[Finding]] = defaultdict(list)
    for kind in kinds:
        for oid, finding in kind.items():
            by_index[oid].append(finding)
    return by_index


def _record(
    facts: IndexFacts,
    index: Index,
    critical: Critical,
    scans: Mapping[int, int],
    supports: tuple[str, ...],
    by_index: Mapping[int, list[Finding]],
) -> IndexRecord:
    exact = index_use.total_bytes(facts.catalog, index, facts.sizes)
    return IndexRecord(
        index=index,
        activity=facts.activity.get(index.oid),
        scans=index_use.total_scans(facts.catalog, index, scans),
        bytes=index.estimated_bytes if exact is None else exact,
        size_is_exact=exact is not None,
        bloat=facts.bloat.get(index.oid),
        is_critical=index_rules.is_critical(index, critical),
        build=index_rules.build_of(index, facts.builds),
        supports=supports,
        findings=tuple(by_index.get(index.oid, ())),
    )
