"""Foreign keys against the profile, and whether the server holds to those that are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from console import ddl
from console.checks.check import Comparison, Examination, Outcome, limited
from console.findings import Evidence, Finding, Severity
from console.identifiers import TableName
from console.key_definition import ForeignKey
from console.names import qualified, quoted
from console.profile import Profile, Table
from queries.catalog import Constraint
from queries.definitions import DISABLED_KEY_TRIGGERS, DisabledKeyTriggers

FOREIGN_KEYS = "schema.foreign-keys"


async def foreign_keys(examination: Examination) -> Outcome:
    """One finding a key: missing, different, not validated or renamed; one a table whose triggers
    are disabled."""
    structure = await examination.structure()
    disabled = await examination.session.fetch(DISABLED_KEY_TRIGGERS)
    troubles = [*_unvalidated(structure.catalog.foreign_keys, examination.profile)]
    troubles += map(_disabled_triggers, disabled)
    if examination.profile is None:
        total = len(structure.catalog.foreign_keys)
        bad = sum(not key.is_validated for key in structure.catalog.foreign_keys)
        return Outcome(f"{total - bad}/{total} foreign keys validated", tuple(troubles))
    comparison = Comparison(examination.profile, structure)
    findings: list[Finding] = []
    extras: list[Finding] = []
    for name, wanted, found in comparison.pairs:
        told, extra = _compare(comparison, name, wanted, found)
        findings += told
        extras += extra
    told_of = {finding.subject for finding in troubles}
    return Outcome(
        _summary(comparison),
        (
            *findings,
            *troubles,
            *limited((e for e in extras if e.subject not in told_of), "foreign keys"),
        ),
        is_complete=not comparison.missing_tables and not _lost_with_columns(comparison),
    )


def _summary(comparison: Comparison) -> str:
    total = sum(len(table.foreign_keys) for table in comparison.profile.tables.values())
    there = sum(
        name in found.foreign_keys and _agrees(found.foreign_keys[name], key)
        for _, wanted, found in comparison.pairs
        for name, key in wanted.foreign_keys.items()
    )
    return f"{there}/{total} foreign keys"


def _lost_with_columns(comparison: Comparison) -> bool:
    return any(
        set(key.columns) & set(comparison.missing_columns(name))
        for name, wanted, _ in comparison.pairs
        for key in wanted.foreign_keys.values()
    )


def _subject(table: TableName, name: str) -> str:
    return f"{quoted(name)} on {table}"


def _agrees(found: ForeignKey, wanted: ForeignKey) -> bool:
    """Alike but for validation, which is judged apart."""
    return replace(found, is_validated=wanted.is_validated) == wanted


def _compare(
    comparison: Comparison, name: TableName, wanted: Table, found: Table
) -> tuple[list[Finding], list[Finding]]:
    """Findings about a table's expected keys, and about those nobody expects."""
    gone = set(comparison.missing_columns(name))
    at_once = comparison.is_partitioned(name)
    there = dict(found.foreign_keys)
    findings = []
    for key_name, key in wanted.foreign_keys.items():
        actual = there.pop(key_name, None)
        if actual is None and not gone & set(key.columns):
            twin = _twin(key, there, wanted)
            if twin is not None:
                del there[twin]
                findings.append(_renamed(name, key_name, key, twin))
            else:
                findings.append(_missing(name, key_name, key, at_once=at_once))
        elif actual is not None and not _agrees(actual, key):
            findings.append(_different(name, key_name, key, actual, at_once=at_once))
    return findings, [_extra(name, key_name, key) for key_name, key in there.items()]


def _twin(key: ForeignKey, there: dict[str, ForeignKey], wanted: Table) -> str | None:
    return next(
        (n for n, other in there.items() if n not in wanted.foreign_keys and _agrees(other, key)),
        None,
    )


def _missing(name: TableName, key_name: str, key: ForeignKey, *, at_once: bool) -> Finding:
    return Finding(
        FOREIGN_KEYS,
        Severity.FAILURE,
        _subject(name, key_name),
        "The foreign key is missing.",
        Evidence(f"pg_constraint: {_subject(name, key_name)}, {key}", "no row"),
        ddl.add_foreign_key(name, key_name, key, at_once=at_once),
    )


def _renamed(name: TableName, key_name: str, key: ForeignKey, twin: str) -> Finding:
    return Finding(
        FOREIGN_KEYS,
        Severity.WARNING,
        _subject(name, key_name),
        f"The foreign key has another name ({quoted(twin)}).",
        Evidence(f"pg_constraint: {_subject(name, key_name)}, {key}", f"{quoted(twin)}, the same"),
        ddl.rename_constraint(name, twin, key_name),
    )


def _different(
    name: TableName, key_name: str, key: ForeignKey, actual: ForeignKey, *, at_once: bool
) -> Finding:
    drop = ddl.drop_constraint(name, key_name)
    create = ddl.add_foreign_key(name, key_name, key, at_once=at_once)
    rules_only = replace(
        actual,
        on_update=key.on_update,
        on_delete=key.on_delete,
        on_delete_columns=key.on_delete_columns,
    )
    what = "has other rules" if _agrees(rules_only, key) else "is another one"
    return Finding(
        FOREIGN_KEYS,
        Severity.FAILURE,
        _subject(name, key_name),
        f"The foreign key {what}.",
        Evidence(f"pg_get_constraintdef: {key}", str(actual)),
        f"{drop}\n{create}",
    )


def _extra(name: TableName, key_name: str, key: ForeignKey) -> Finding:
    return Finding(
        FOREIGN_KEYS,
        Severity.INFO,
        _subject(name, key_name),
        "The foreign key is not in the profile.",
        Evidence(f"pg_constraint: foreign keys of {name}", str(key)),
    )


def _unvalidated(keys: tuple[Constraint, ...], profile: Profile | None) -> Iterator[Finding]:
    """Keys whose rows were never all looked at, unless the profile has them so."""
    for key in keys:
        table = TableName(key.schema, key.table)
        if key.is_validated or _is_so_in(profile, table, key.name):
            continue
        if key.is_enforced:
            message = "The foreign key is NOT VALID: rows from before it were never looked at."
            fix = ddl.validate_constraint(table, key.name)
        else:
            message = "The foreign key is NOT ENFORCED."
            fix = f"ALTER TABLE {table} ALTER CONSTRAINT {quoted(key.name)} ENFORCED;"
        asked = f"pg_constraint.convalidated of {_subject(table, key.name)}"
        yield Finding(
            FOREIGN_KEYS,
            Severity.WARNING,
            _subject(table, key.name),
            message,
            Evidence(asked, "false"),
            fix,
        )


def _is_so_in(profile: Profile | None, table: TableName, name: str) -> bool:
    wanted = profile.tables.get(table) if profile is not None else None
    key = wanted.foreign_keys.get(name) if wanted is not None else None
    return key is not None and not key.is_validated


def _disabled_triggers(found: DisabledKeyTriggers) -> Finding:
    table = qualified(found.schema, found.table)
    keys = ", ".join(map(quoted, found.keys[:5])) + (" ..." if len(found.keys) > 5 else "")
    return Finding(
        FOREIGN_KEYS,
        Severity.FAILURE,
        table,
        f"Triggers that enforce {len(found.keys)} foreign key{'s' * (len(found.keys) > 1)}"
        " are disabled on the table.",
        Evidence(f"pg_trigger.tgenabled on {table}", f"disabled for {keys}"),
        f"ALTER TABLE {table} ENABLE TRIGGER ALL;",
    )
