"""What statistics say about indexes: which are not used, and which carry much empty space."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from console import units
from console.findings import Evidence, Finding, Severity
from console.foreign_keys import short_name
from console.index_bloat import BloatEstimate
from console.index_rules import drop_statement, reindex_statement
from console.names import qualified, quoted
from queries.catalog import Catalog, Index, StatisticsSince


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """From where on use and bloat are worth a word."""

    shortest_window: timedelta = timedelta(days=7)
    """A week has every weekly job in it; a shorter one says nothing about what is never used."""
    large_bytes: int = 10 * 1024**2
    """An unused index from here on is worth a warning."""
    bloat_share: float = 0.4
    bloat_bytes: int = 10 * 1024**2
    """Bloat is reported when both are reached; a third is usual after random inserts."""


LIMITS = IndexLimits()


def unused(
    catalog: Catalog,
    scans: Mapping[int, int],
    sizes: Mapping[int, int],
    since: StatisticsSince,
    now: datetime,
    supporting: Collection[int],
    limits: IndexLimits = LIMITS,
) -> dict[int, Finding]:
    """By index oid, once statistics run long enough. `supporting` serve foreign keys."""
    if now - since.since < limits.shortest_window:
        return {}
    return {
        index.oid: _unused(index, since, now, total_bytes(catalog, index, sizes), limits)
        for index in unscanned(catalog, scans, supporting)
    }


def too_early(
    catalog: Catalog,
    scans: Mapping[int, int],
    since: StatisticsSince,
    now: datetime,
    supporting: Collection[int],
    limits: IndexLimits = LIMITS,
) -> list[Finding]:
    """One remark in place of a verdict, while statistics are too young for one."""
    candidates = len(unscanned(catalog, scans, supporting))
    window = now - since.since
    if not candidates or window >= limits.shortest_window:
        return []
    return [
        Finding(
            "index.unused",
            Severity.INFO,
            "",
            "Too early to tell which indexes are unused: counted for"
            f" {units.duration(round(window.total_seconds()))},"
            f" {limits.shortest_window.days} days needed.",
            Evidence(
                "pg_stat_user_indexes.idx_scan = 0, without those that guard or support",
                f"{candidates} without a scan since {since.since:%Y-%m-%d %H:%M} UTC",
            ),
        )
    ]


def unscanned(
    catalog: Catalog, scans: Mapping[int, int], supporting: Collection[int]
) -> list[Index]:
    """Indexes without a scan that nothing else needs: no guard of a rule, no foreign key's help.

    A partition's index counts with its parent: it cannot be dropped alone.
    """
    return [
        index
        for index in catalog.indexes
        if index.parent_oid is None
        and index.is_valid
        and not index.is_unique
        and not index.is_exclusion
        and not index.is_replica_identity
        and index.constraint_name is None
        and index.oid not in supporting
        and total_scans(catalog, index, scans) == 0
    ]


def total_scans(catalog: Catalog, index: Index, scans: Mapping[int, int]) -> int | None:
    """Its own scans, or those of all its parts; None where they are not counted."""
    return _total(catalog, index, scans)


def total_bytes(catalog: Catalog, index: Index, sizes: Mapping[int, int]) -> int | None:
    return _total(catalog, index, sizes)


def _total(catalog: Catalog, index: Index, amounts: Mapping[int, int]) -> int | None:
    if not index.is_partitioned:
        return amounts.get(index.oid)
    parts = [i for i in catalog.indexes if i.parent_oid == index.oid]
    totals = [_total(catalog, part, amounts) for part in parts]
    known = [total for total in totals if total is not None]
    return sum(known) if len(known) == len(totals) else None


def _unused(
    index: Index, since: StatisticsSince, now: datetime, size: int | None, limits: IndexLimits
) -> Finding:
    large = size is not None and size >= limits.large_bytes
    window = units.duration((now - since.since).total_seconds())
    return Finding(
        "index.unused",
        Severity.WARNING if large else Severity.INFO,
        qualified(index.schema, index.name),
        f"{quoted(index.name)} ({units.size(size)}) was not used for {window} on this server;"
        " a standby counts its own use, and a newer index may just be young.",
        Evidence("pg_stat_user_indexes.idx_scan", f"0 since {since.since:%Y-%m-%d %H:%M} UTC"),
        drop_statement(index),
    )


def bloated(
    catalog: Catalog, estimates: Mapping[int, BloatEstimate], limits: IndexLimits = LIMITS
) -> dict[int, Finding]:
    """By index oid: estimates that promise much from a rebuild."""
    found = {}
    for oid, estimate in estimates.items():
        index = catalog.index_by_oid.get(oid)
        wasted, share = estimate.wasted_bytes, estimate.share
        if index is None or wasted is None or share is None:
            continue
        if wasted >= limits.bloat_bytes and share >= limits.bloat_share:
            found[oid] = _bloated(index, estimate, wasted, share)
    return found


def _bloated(index: Index, estimate: BloatEstimate, wasted: int, share: float) -> Finding:
    return Finding(
        "index.bloat",
        Severity.WARNING,
        qualified(index.schema, index.name),
        f"{quoted(index.name)} of {short_name(index.schema, index.table)} is about"
        f" {units.percent(round(share, 2))} empty (estimate): a rebuild may free"
        f" {units.size(wasted)}.",
        Evidence(
            "pages at the last VACUUM or ANALYZE, and the size its rows need (from pg_stats)",
            f"{units.size(estimate.actual_bytes)}, {units.size(estimate.expected_bytes)}",
        ),
        reindex_statement(index),
    )
