"""Indexes against the profile, and indexes that are there but unusable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from console import ddl
from console.capture import Structure
from console.checks.check import Comparison, Examination, Outcome, limited, unknown
from console.findings import Evidence, Finding, Severity
from console.identifiers import TableName
from console.names import qualified
from console.profile import Index, Table
from queries import catalog

INDEXES = "schema.indexes"


async def indexes(examination: Examination) -> Outcome:
    """One finding an index: missing, different, renamed, or invalid; extra ones for information."""
    structure = await examination.structure()
    invalid = {(i.schema, i.name): i for i in _own(structure) if not (i.is_valid and i.is_ready)}
    unusable = [_invalid(structure, index) for index in invalid.values()]
    if examination.profile is None:
        total = len(_own(structure))
        return Outcome(f"{total - len(invalid)}/{total} indexes valid", tuple(unusable))
    comparison = Comparison(examination.profile, structure)
    findings: list[Finding] = []
    extras: list[Finding] = []
    for name, wanted, found in comparison.pairs:
        told, extra = _compare(comparison, name, wanted, found)
        findings += told
        extras += extra
    findings += _history_key(comparison)
    # The index is named once: when it also differs, that is what is said of it.
    told_of = {finding.subject for finding in findings}
    findings += [finding for finding in unusable if finding.subject not in told_of]
    return Outcome(
        _summary(comparison, findings),
        (*findings, *limited(extras, "indexes")),
        is_complete=_is_complete(comparison),
    )


def _own(structure: Structure) -> list[catalog.Index]:
    """Indexes of tables that are no partitions."""
    tables = {relation.oid for relation in structure.relations.values()}
    return [index for index in structure.catalog.indexes if index.table_oid in tables]


def _compare(
    comparison: Comparison, name: TableName, wanted: Table, found: Table
) -> tuple[list[Finding], list[Finding]]:
    """Findings about expected indexes of a table, and about those nobody expects."""
    gone = comparison.missing_columns(name)
    concurrently = not comparison.is_partitioned(name)
    there = dict(found.indexes)
    unread = _unread(comparison.structure, name, there)
    findings = []
    for index_name, index in wanted.indexes.items():
        subject = qualified(name.schema, index_name)
        actual = there.pop(index_name, None)
        if index_name in unread:
            message = "Its definition could not be read: the table is locked (ACCESS EXCLUSIVE)."
            findings.append(unknown(INDEXES, subject, message))
        elif actual is not None:
            if _plain(actual) != _plain(index):
                findings.append(
                    _different(name, index_name, index, actual, concurrently=concurrently)
                )
        elif not any(ddl.mentions(index.definition, column) for column in gone):
            twin = _twin(index, there, wanted.indexes)
            if twin is not None:
                del there[twin]
                findings.append(_renamed(name, index_name, index, twin))
            else:
                findings.append(_missing(name, index_name, index, concurrently=concurrently))
    return findings, [_extra(name, index_name, index) for index_name, index in there.items()]


def _unread(structure: Structure, name: TableName, read: Mapping[str, Index]) -> set[str]:
    relation = structure.relations[name]
    return {
        index.name
        for index in structure.catalog.indexes_of.get(relation.oid, [])
        if not index.is_primary and index.name not in read
    }


def _plain(index: Index) -> tuple[str, bool, bool]:
    return index.definition, index.is_unique, index.is_constraint


def _twin(index: Index, there: Mapping[str, Index], wanted: Mapping[str, Index]) -> str | None:
    """An unexpected index that is the same but for its name."""
    return next(
        (
            name
            for name, other in there.items()
            if name not in wanted and _plain(other) == _plain(index)
        ),
        None,
    )


def _kind(index: Index) -> str:
    return "critical index" if index.is_critical else "index"


def _missing(name: TableName, index_name: str, index: Index, *, concurrently: bool) -> Finding:
    return Finding(
        INDEXES,
        Severity.FAILURE,
        qualified(name.schema, index_name),
        f"The {_kind(index)} on {name} is missing.",
        Evidence(f"pg_index: {qualified(name.schema, index_name)}, {index}", "no row"),
        ddl.create_index(name, index_name, index, concurrently=concurrently),
    )


def _renamed(name: TableName, index_name: str, index: Index, twin: str) -> Finding:
    subject = qualified(name.schema, index_name)
    return Finding(
        INDEXES,
        Severity.WARNING,
        subject,
        f"The {_kind(index)} on {name} has another name ({qualified(name.schema, twin)}).",
        Evidence(f"pg_index: {subject}, {index}", f"{qualified(name.schema, twin)}, the same"),
        ddl.rename_index(name.schema, twin, index_name),
    )


def _different(
    name: TableName, index_name: str, index: Index, actual: Index, *, concurrently: bool
) -> Finding:
    drop = ddl.drop_index(name, index_name, actual, concurrently=concurrently)
    create = ddl.create_index(name, index_name, index, concurrently=concurrently)
    return Finding(
        INDEXES,
        Severity.FAILURE,
        qualified(name.schema, index_name),
        f"The {_kind(index)} on {name} is another one.",
        Evidence(f"pg_get_indexdef: {index}", str(actual)),
        f"{drop}\n{create}",
    )


def _extra(name: TableName, index_name: str, index: Index) -> Finding:
    return Finding(
        INDEXES,
        Severity.INFO,
        qualified(name.schema, index_name),
        f"The index on {name} is not in the profile.",
        Evidence(f"pg_index: indexes of {name}", str(index)),
    )


def _invalid(structure: Structure, index: catalog.Index) -> Finding:
    subject = qualified(index.schema, index.name)
    table = qualified(index.schema, index.table)
    if index.is_partitioned:
        return Finding(
            INDEXES,
            Severity.WARNING,
            subject,
            f"The index on partitioned table {table} is not attached on every partition.",
            Evidence(f"pg_index.indisvalid of {subject}", "false"),
            f"-- make it on each partition, then: ALTER INDEX {subject} ATTACH PARTITION ...;",
        )
    return Finding(
        INDEXES,
        Severity.FAILURE,
        subject,
        f"The index on {table} is invalid: it is kept up to date but never used.",
        Evidence(f"pg_index.indisvalid of {subject}", "false"),
        f"REINDEX INDEX CONCURRENTLY {subject};",
    )


def _history_key(comparison: Comparison) -> Iterator[Finding]:
    """The migrations' own primary key; a missing table is the migrations check's matter."""
    migrations = comparison.profile.migrations
    if migrations is None or migrations.primary_key is None:
        return
    found = comparison.structure.tables.get(migrations.table)
    if found is not None and found.primary_key is None:
        yield Finding(
            INDEXES,
            Severity.FAILURE,
            qualified(migrations.table.schema, migrations.primary_key.name),
            f"The primary key of {migrations.table} is missing.",
            Evidence(f"pg_constraint: primary key of {migrations.table}", "no row"),
            ddl.add_primary_key(migrations.table, migrations.primary_key),
        )


def _summary(comparison: Comparison, findings: list[Finding]) -> str:
    """The indexes of the profile's tables, how many are expected, and the critical ones."""
    expected = comparison.profile.index_count
    known = set(comparison.profile.tables)
    if comparison.profile.migrations is not None:
        known.add(comparison.profile.migrations.table)
    oids = {rel.oid for name, rel in comparison.structure.relations.items() if name in known}
    found = sum(index.table_oid in oids for index in comparison.structure.catalog.indexes)
    text = f"{found} indexes ({expected} expected)"
    critical = {qualified(*names) for names in comparison.profile.critical_indexes}
    if critical:
        present = _critical_present(comparison, findings)
        text += f", {present}/{len(critical)} critical"
    return text


def _critical_present(comparison: Comparison, findings: list[Finding]) -> int:
    """Critical indexes that are there, valid and as expected."""
    wrong = {f.subject for f in findings if f.severity in (Severity.FAILURE, Severity.UNKNOWN)}
    return sum(
        index.is_critical
        and index_name in found.indexes
        and qualified(name.schema, index_name) not in wrong
        for name, wanted, found in comparison.pairs
        for index_name, index in wanted.indexes.items()
    )


def _is_complete(comparison: Comparison) -> bool:
    """False when indexes lack whose absence another check reports."""
    history = comparison.profile.migrations
    return (
        not comparison.missing_tables
        and not any(comparison.missing_columns(name) for name, _, _ in comparison.pairs)
        and not any(w.primary_key and not f.primary_key for _, w, f in comparison.pairs)
        and (history is None or history.table in comparison.structure.tables)
    )
