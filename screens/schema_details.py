"""What is said of one object: facts, then its parts as small tables; or its DDL."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from console import units
from console.relation_details import RelationDetails
from console.schema import EntryDetails, Inventory
from queries.catalog import Column, Index
from queries.objects import DataType, Extension, Routine
from screens.widgets.plain import many_lines, one_line

_KINDS = {
    "r": "table",
    "p": "partitioned table",
    "f": "foreign table",
    "v": "view",
    "m": "materialized view",
    "S": "sequence",
}
_ROUTINES = {"f": "function", "p": "procedure", "a": "aggregate", "w": "window function"}
_TYPES = {"e": "enum", "d": "domain", "c": "composite type", "r": "range type"}
_VOLATILITY = {"i": "immutable", "s": "stable", "v": "volatile"}
_STATEMENT = re.compile(r"^(?:CREATE|ALTER|COMMENT ON|INHERITS|PARTITION BY|WITH)\b[A-Z ]*", re.M)
_COMMENT = re.compile(r"^--.*$", re.M)

Fact = tuple[str, Text]


def ddl(details: EntryDetails) -> RenderableType:
    """The statements, their first words bold and the comments dim."""
    text = many_lines(details.ddl)
    text.highlight_regex(_STATEMENT, "bold")
    text.highlight_regex(_COMMENT, "dim not bold")
    return Group(title(details), Text(), text)


def title(details: EntryDetails) -> Text:
    entry, thing = details.entry, details.entry.thing
    qualified = entry.title if isinstance(thing, Extension) else f"{entry.schema}.{entry.title}"
    line = one_line(qualified, "bold")
    if isinstance(thing, Routine):
        word = _ROUTINES[thing.kind]
    elif isinstance(thing, DataType):
        word = _TYPES[thing.kind]
    elif isinstance(thing, Extension):
        word = "extension"
    else:
        word = _KINDS[thing.kind]
    return Text.assemble(line, (f"  {word}", "dim"))


def describe(details: EntryDetails, inventory: Inventory) -> RenderableType:
    """Everything about an object, most asked for first."""
    thing = details.entry.thing
    comment = [] if thing.comment is None else [many_lines(thing.comment, "italic")]
    if details.relation is None:
        return Group(
            title(details), *comment, Text(), _facts(_other_facts(details)), ddl_only(details)
        )
    relation = details.relation
    parts: list[RenderableType] = [title(details), *comment, Text()]
    parts.append(_facts(_relation_facts(relation, inventory)))
    for heading, table in _sections(relation):
        if table.row_count:
            parts += [Text(), Text(heading, "bold underline"), table]
    if relation.relation.kind in "vmS":
        parts.append(ddl_only(details))
    return Group(*parts)


def ddl_only(details: EntryDetails) -> RenderableType:
    text = many_lines("\n" + details.ddl)
    text.highlight_regex(_STATEMENT, "bold")
    text.highlight_regex(_COMMENT, "dim not bold")
    return text


def _facts(facts: Sequence[Fact]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, value)
    return grid


def _other_facts(details: EntryDetails) -> list[Fact]:
    thing = details.entry.thing
    facts = [("owner", one_line(thing.owner))]
    if isinstance(thing, Routine):
        facts.append(("language", one_line(thing.language)))
        if thing.kind == "f":
            facts.append(("volatility", Text(_VOLATILITY[thing.volatility])))
        if thing.is_security_definer:
            facts.append(("security", Text("definer: it runs with its owner's rights", "yellow")))
    elif isinstance(thing, Extension):
        facts.append(("version", _extension_version(thing)))
        facts.append(("objects", Text(str(thing.objects))))
    return facts


def _extension_version(extension: Extension) -> Text:
    text = one_line(extension.version)
    if extension.default_version is None:
        text.append("  its files are gone from the server", "yellow")
    elif extension.default_version != extension.version:
        text.append(
            f"  {extension.default_version} is available: ALTER EXTENSION ... UPDATE", "cyan"
        )
    return text


def _relation_facts(details: RelationDetails, inventory: Inventory) -> list[Fact]:
    relation, form = details.relation, details.form
    facts = [("owner", one_line(relation.owner))]
    if form.locked:
        word = "ACCESS EXCLUSIVE, held or awaited by another session: parts could not be read"
        facts.append(("locked", Text(word, "bold yellow")))
    if details.size is not None:
        rows_bytes, index_bytes = details.size
        size = Text(units.size(rows_bytes + index_bytes))
        if index_bytes:
            size.append(
                f"  {units.size(rows_bytes)} rows, {units.size(index_bytes)} indexes", "dim"
            )
        facts.append(("size", size))
    elif relation.kind in "rpm":
        facts.append(("size", Text("not read: a lock is in the way", "yellow")))
    facts += _activity_facts(details, inventory)
    if relation.kind == "S":
        facts += _sequence_facts(details)
    if form.partition_key is not None:
        facts.append(("partitioned", one_line(f"by {form.partition_key}")))
    if form.parents:
        bound = f"  {form.partition_bound}" if form.partition_bound else ""
        word = "partition of" if relation.is_partition else "inherits"
        facts.append((word, one_line(", ".join(form.parents) + bound)))
    flags = [
        word
        for word, holds in (
            ("unlogged: emptied after a crash", relation.persistence == "u"),
            ("row security", relation.row_security),
            ("forced on the owner too", form.forces_row_security),
        )
        if holds
    ]
    if flags:
        facts.append(("note", Text(", ".join(flags), "yellow")))
    if form.options:
        facts.append(("options", one_line(", ".join(form.options))))
    return facts


def _activity_facts(details: RelationDetails, inventory: Inventory) -> list[Fact]:
    relation, now = details.relation, inventory.totals.read_at
    facts: list[Fact] = []
    rows = inventory.rows(relation)
    if relation.kind == "p":
        known = [p.estimated_rows for p in details.partitions if p.kind == "r"]
        rows = sum(n for n in known if n > 0) if any(n >= 0 for n in known) else None
    if relation.kind in "rpm":
        estimate = Text(f"about {units.count(rows)}" if rows is not None else "never counted")
        facts.append(("rows", estimate))
    activity = inventory.activity.get(relation.oid)
    if activity is None or relation.kind not in "rm":
        return facts
    dead = Text(units.count(activity.dead_rows))
    due = inventory.vacuum_due.get(relation.oid)
    if due is not None:
        dead.append(
            f"  more than the {units.count(due.allowed_rows)} autovacuum waits for", "yellow"
        )
    facts.append(("dead rows", dead))
    facts.append(("vacuumed", _when(activity.last_vacuum, now)))
    analyzed = _when(activity.last_analyze, now)
    if activity.modified_since_analyze:
        changed = units.count(activity.modified_since_analyze)
        analyzed.append(f"  {changed} rows changed since", "dim")
    facts.append(("analyzed", analyzed))
    whole, by_index = units.count(activity.sequential_scans), units.count(activity.index_scans)
    facts.append(("scans", Text(f"{whole} whole, {by_index} by index")))
    return facts


def _when(at: datetime | None, now: datetime) -> Text:
    return Text(units.age(at, now), "" if at is not None else "yellow")


def _sequence_facts(details: RelationDetails) -> list[Fact]:
    facts: list[Fact] = []
    for sequence in details.sequences:
        last = Text(
            str(sequence.last_value)
            if sequence.last_value is not None
            else "not used or not readable"
        )
        if sequence.last_value is not None and sequence.increment > 0:
            used = (sequence.last_value - sequence.minimum) / (sequence.maximum - sequence.minimum)
            last.append(f"  {units.percent(max(0.0, used))} of its range", "dim")
        facts.append(("last value", last))
        if sequence.table_name is not None:
            owner = f"{sequence.table_schema}.{sequence.table_name}.{sequence.column_name}"
            facts.append(("belongs to", one_line(owner)))
    return facts


def _sections(details: RelationDetails) -> list[tuple[str, Table]]:
    return [
        (f"Columns ({len(details.columns)})", _columns(details.columns)),
        ("Keys", _constraints(details, "puf")),
        (f"Indexes ({len(details.indexes)})", _indexes(details)),
        ("Constraints", _constraints(details, "xc")),
        ("Triggers", _extras(details, "trigger")),
        ("Policies", _extras(details, "policy")),
        ("Rules", _extras(details, "rule")),
        ("Extended statistics", _extras(details, "statistics")),
        (f"Partitions ({len(details.partitions)})", _partitions(details)),
    ]


def _grid(*names: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=bool(names), header_style="dim")
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _columns(columns: Sequence[Column]) -> Table:
    table = _grid("name", "type", "null", "default")
    for column in columns:
        table.add_row(
            one_line(column.name),
            one_line(_type(column), "cyan"),
            Text("not null" if column.not_null else "", "dim"),
            _default(column),
        )
        if column.comment is not None:
            table.add_row("", many_lines(column.comment, "italic dim"))
    return table


def _type(column: Column) -> str:
    return column.type if column.collation is None else f"{column.type} collate {column.collation}"


def _default(column: Column) -> Text:
    if column.identity:
        return Text("identity" + (", always" if column.identity == "a" else ""), "dim")
    if column.generated:
        return one_line(f"generated: {column.default_expression}")
    return one_line(column.default_expression or "")


def _constraints(details: RelationDetails, types: str) -> Table:
    table = _grid("name", "definition")
    definitions = details.definition_by_oid
    for kind in types:
        for constraint in details.constraints:
            if constraint.type == kind and constraint.oid in definitions:
                definition = definitions[constraint.oid].definition
                text = one_line(definition) if definition else Text("(locked)", "yellow")
                if constraint.trigger_states and "D" in constraint.trigger_states:
                    text.append("  TRIGGER DISABLED", "yellow")
                table.add_row(one_line(constraint.name), text)
    return table


def _indexes(details: RelationDetails) -> Table:
    table = _grid("name", "size", "on")
    table.columns[1].justify = "right"
    for index in details.indexes:
        size = details.sizes.get(index.oid)
        table.add_row(
            one_line(index.name), units.size(size.bytes if size else None), _index_words(index)
        )
    return table


def _index_words(index: Index) -> Text:
    text = Text()
    if index.is_primary:
        text.append("primary ", "dim")
    elif index.is_unique:
        text.append("unique ", "dim")
    text.append_text(one_line(f"{index.method} (", "dim"))
    keys = ", ".join(key if key is not None else "expression" for key in index.keys)
    text.append_text(one_line(keys)).append(")", "dim")
    if index.included:
        text.append(" include ", "dim").append_text(
            one_line(", ".join(filter(None, index.included)))
        )
    if index.has_expressions and index.expressions is not None:
        text.append("  expression: ", "dim").append_text(one_line(index.expressions))
    if index.is_partial:
        text.append(" where ", "dim").append_text(one_line(index.predicate or "(locked)"))
    if not index.is_valid:
        text.append("  INVALID", "bold red")
    return text


def _extras(details: RelationDetails, kind: str) -> Table:
    table = _grid()
    table.add_column(overflow="fold")
    for extra in details.extras_of(kind):
        text = many_lines(extra.definition) if extra.definition else one_line(extra.name)
        if extra.definition is None:
            text.append("  (locked)", "yellow")
        if extra.enabled == "D":
            text.append("  DISABLED", "yellow")
        table.add_row(text)
    return table


def _partitions(details: RelationDetails) -> Table:
    table = _grid("name", "rows", "size", "bound")
    for number in (1, 2):
        table.columns[number].justify = "right"
    for partition in details.partitions[:500]:
        size = details.sizes.get(partition.oid)
        whole = size.bytes + size.index_bytes if size is not None else None
        rows = partition.estimated_rows
        table.add_row(
            one_line("  " * (partition.depth - 1) + partition.name),
            units.count(rows if rows >= 0 else None),
            units.size(whole) if partition.kind != "p" else "",
            one_line(partition.bound or ""),
        )
    if len(details.partitions) > 500:
        table.add_row(Text(f"… {len(details.partitions) - 500:,} more", "italic"))
    return table
