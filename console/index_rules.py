"""What is wrong with an index as it is declared: invalid, left over, duplicate, redundant, missing.

Pure judgements over the catalog; use and size, which need statistics, are in index_use.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from console.findings import Evidence, Finding, Severity
from console.foreign_keys import short_name
from console.names import qualified, quoted
from queries.catalog import Catalog, Index
from queries.progress import IndexBuild

Critical = Mapping[tuple[str, str], str]
"""The statements that create a profile's critical indexes, by schema and name."""

_LEFTOVER = re.compile(r"_cc(new|old)\d*$")


def is_leftover(index: Index) -> bool:
    """What a failed REINDEX CONCURRENTLY leaves behind: invalid, and named by its two suffixes."""
    return not _is_usable(index) and _LEFTOVER.search(index.name) is not None


def _is_usable(index: Index) -> bool:
    return index.is_valid and index.is_ready


def build_of(index: Index, builds: Iterable[IndexBuild]) -> IndexBuild | None:
    """The running build of this index, or the running rebuild that needs what looks left over.

    REINDEX CONCURRENTLY names only the index it is at, and has several unfinished at times.
    """
    for build in builds:
        if build.index_oid == index.oid:
            return build
        rebuilt = build.table_oid == index.table_oid and build.command == "REINDEX CONCURRENTLY"
        if rebuilt and is_leftover(index):
            return build
    return None


def drop_statement(index: Index) -> str:
    """How this index can be dropped: its constraint's way, or without blocking where possible."""
    if index.constraint_name is not None:
        table = qualified(index.schema, index.table)
        return f"ALTER TABLE {table} DROP CONSTRAINT {quoted(index.constraint_name)};"
    how = "DROP INDEX" if index.is_partitioned else "DROP INDEX CONCURRENTLY"
    return f"{how} {qualified(index.schema, index.name)};"


def reindex_statement(index: Index) -> str:
    return f"REINDEX INDEX CONCURRENTLY {qualified(index.schema, index.name)};"


def missing_critical(catalog: Catalog, critical: Critical) -> list[Finding]:
    """Those of `critical` that do not exist, with the statement that creates them."""
    present = {(index.schema, index.name) for index in catalog.indexes}
    return [
        Finding(
            "index.missing-critical",
            Severity.FAILURE,
            qualified(schema, name),
            f"Critical index {short_name(schema, name)} does not exist.",
            Evidence("pg_index, by schema and name", "no such index"),
            statement,
        )
        for (schema, name), statement in sorted(critical.items())
        if (schema, name) not in present
    ]


def is_critical(index: Index, critical: Critical) -> bool:
    return (index.schema, index.name) in critical


def invalid(
    catalog: Catalog, builds: Collection[IndexBuild], critical: Critical
) -> dict[int, Finding]:
    """By index oid: what is not usable, unless it is just being built."""
    found = {}
    for index in catalog.indexes:
        if _is_usable(index):
            continue
        build = build_of(index, builds)
        if build is not None:
            found[index.oid] = _being_built(index, build)
        elif index.is_partitioned:
            found[index.oid] = _incomplete(catalog, index)
        elif any(build.hidden for build in builds):
            found[index.oid] = _perhaps_being_built(index)
        else:
            found[index.oid] = _unusable(index, is_critical(index, critical))
    return found


def _being_built(index: Index, build: IndexBuild) -> Finding:
    return Finding(
        "index.building",
        Severity.INFO,
        qualified(index.schema, index.name),
        f"{quoted(index.name)} is being built ({build.command}, {build.phase or 'starting'}).",
        Evidence("pg_stat_progress_create_index", f"process {build.pid}"),
    )


def _perhaps_being_built(index: Index) -> Finding:
    return Finding(
        "index.invalid",
        Severity.UNKNOWN,
        qualified(index.schema, index.name),
        f"{quoted(index.name)} is not valid; this role may not see whether it is being built.",
        Evidence("pg_stat_progress_create_index", "a build by another role, without its table"),
        "GRANT pg_read_all_stats TO CURRENT_USER;",
    )


def _unusable(index: Index, critical: bool) -> Finding:
    flags = f"indisvalid {_flag(index.is_valid)}, indisready and indislive {_flag(index.is_ready)}"
    evidence = Evidence("pg_index; no build of it runs", flags)
    subject = qualified(index.schema, index.name)
    if is_leftover(index):
        return Finding(
            "index.leftover",
            Severity.WARNING,
            subject,
            f"{quoted(index.name)} was left over by a REINDEX CONCURRENTLY that did not finish;"
            " no query uses it, every write may still pay for it.",
            evidence,
            drop_statement(index),
        )
    still = " It still refuses duplicates." if index.is_unique and index.is_ready else ""
    return Finding(
        "index.invalid",
        Severity.FAILURE if critical else Severity.WARNING,
        subject,
        f"{quoted(index.name)} is not valid: its build failed, so no query uses it.{still}",
        evidence,
        f"{reindex_statement(index)}\n-- or, if it is not wanted: {drop_statement(index)}",
    )


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _incomplete(catalog: Catalog, index: Index) -> Finding:
    """An index of a partitioned table is valid only when each partition has a valid part of it."""
    attached = {i.table_oid: i for i in catalog.indexes if i.parent_oid == index.oid}
    lacking, broken = [], []
    for partition in catalog.relations:
        if partition.parent_oid != index.table_oid:
            continue
        part = attached.get(partition.oid)
        if part is None:
            lacking.append(short_name(partition.schema, partition.name))
        elif not part.is_valid:
            broken.append(short_name(part.schema, part.name))
    what = []
    if lacking:
        what.append(f"no part attached for {', '.join(lacking)}")
    if broken:
        what.append(f"not valid: {', '.join(broken)}")
    parent = qualified(index.schema, index.name)
    lines = [f"-- {p}: CREATE INDEX CONCURRENTLY ... ON {p}, then attach it:" for p in lacking]
    lines += [f"ALTER INDEX {parent} ATTACH PARTITION ...;"] if lacking else []
    return Finding(
        "index.incomplete",
        Severity.WARNING,
        parent,
        f"{quoted(index.name)} covers only a part of the partitioned table"
        f" {short_name(index.schema, index.table)}: {'; '.join(what) or 'not yet valid'}.",
        Evidence("pg_index and pg_inherits", "; ".join(what) or "indisvalid false"),
        "\n".join(lines),
    )


def repeated(catalog: Catalog, critical: Critical, scans: Mapping[int, int]) -> dict[int, Finding]:
    """By oid of the index that could go: exact duplicates, and prefixes that another covers."""
    standing = {c.index_oid for c in catalog.foreign_keys}
    found: dict[int, Finding] = {}
    for indexes in catalog.indexes_of.values():
        comparable = [i for i in indexes if _is_usable(i) and not _is_unknown(i)]
        for group in _same(comparable):
            kept, *others = sorted(
                group, key=lambda i: _worth(i, standing, critical, scans.get(i.oid, 0))
            )
            found.update((i.oid, _duplicate(i, kept)) for i in others if i.parent_oid is None)
        for index in comparable:
            covering = _covering(index, comparable, found)
            if covering is not None and index.oid not in found:
                found[index.oid] = _redundant(index, covering)
    return found


def _is_unknown(index: Index) -> bool:
    """Its expressions or predicate could not be read, so it cannot be compared."""
    return index.locked and (index.has_expressions or index.is_partial)


def _same(indexes: Iterable[Index]) -> list[list[Index]]:
    groups: defaultdict[tuple[object, ...], list[Index]] = defaultdict(list)
    for index in indexes:
        if not index.is_exclusion:
            identity = (*_key_identity(index), tuple(sorted(map(str, index.included))))
            groups[identity].append(index)
    return [group for group in groups.values() if len(group) > 1]


def _key_identity(index: Index) -> tuple[object, ...]:
    return (
        index.method,
        index.keys,
        tuple(index.operator_classes),
        tuple(index.collations[: index.key_count]),
        tuple(index.options),
        index.is_unique,
        index.nulls_not_distinct,
        index.expressions,
        index.predicate,
    )


def _worth(
    index: Index, standing: Collection[int | None], critical: Critical, scans: int
) -> tuple[object, ...]:
    """Sorts the one to keep first: what others depend on, then what is used, then the elder."""
    return (
        index.oid not in standing,
        not index.is_primary,
        index.constraint_name is None,
        not index.is_replica_identity,
        not is_critical(index, critical),
        index.parent_oid is None,
        -scans,
        index.oid,
    )


def _duplicate(index: Index, kept: Index) -> Finding:
    return Finding(
        "index.duplicate",
        Severity.WARNING,
        qualified(index.schema, index.name),
        f"{quoted(index.name)} is the same as {quoted(kept.name)}:"
        " every write keeps both, no query needs both.",
        Evidence(
            "method, columns, operator classes, collations, order, predicate and uniqueness",
            f"all equal to those of {quoted(kept.name)}",
        ),
        drop_statement(index),
    )


def _covering(index: Index, others: Iterable[Index], dropped: Collection[int]) -> Index | None:
    """A B-tree that answers whatever this one does, and is not to be dropped itself."""
    if (
        index.method != "btree"
        or index.is_unique
        or index.is_replica_identity
        or index.constraint_name is not None
        or index.parent_oid is not None
    ):
        return None
    for other in others:
        if other is not index and other.oid not in dropped and _covers(other, index):
            return other
    return None


def _covers(other: Index, index: Index) -> bool:
    count = index.key_count
    longer = other.key_count > count or (other.key_count == count and other.is_unique)
    return (
        other.method == "btree"
        and (longer or _includes_more(other, index))
        and other.keys[:count] == index.keys
        and tuple(other.operator_classes[:count]) == tuple(index.operator_classes)
        and tuple(other.collations[:count]) == tuple(index.collations[:count])
        and tuple(other.options[:count]) == tuple(index.options)
        and other.predicate == index.predicate
        and _same_expressions(other, index)
        and set(index.included) <= set(other.elements)
    )


def _includes_more(other: Index, index: Index) -> bool:
    return other.key_count == index.key_count and set(index.included) < set(other.included)


def _same_expressions(other: Index, index: Index) -> bool:
    """Expressions are known only together, so either none are compared or all of both."""
    if None not in index.keys:
        return True
    return other.expressions == index.expressions and other.keys.count(None) == index.keys.count(
        None
    )


def _redundant(index: Index, covering: Index) -> Finding:
    return Finding(
        "index.redundant",
        Severity.INFO,
        qualified(index.schema, index.name),
        f"{quoted(index.name)} is the beginning of {quoted(covering.name)},"
        " which can answer the same queries (a little slower, as it is wider).",
        Evidence(
            "key columns, operator classes, collations, order and predicate",
            f"a prefix of those of {quoted(covering.name)}",
        ),
        drop_statement(index),
    )
