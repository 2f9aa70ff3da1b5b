"""A table as the SQL that would make it again, with everything that hangs on it.

Three shapes, so that what a parent gives is not said twice:
- a partition with its columns in the parent's order: CREATE TABLE ... PARTITION OF;
- a child whose inherited columns come first: its own columns, INHERITS;
- anything else: all columns; a child with columns of its own making is attached afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from console.relation_details import RelationDetails
from queries.catalog import Column
from queries.objects import ColumnStorage, Extra, SequenceForm, TableConstraint

LOCKED = (
    "-- Another session holds or awaits an ACCESS EXCLUSIVE lock on this table:\n"
    "-- its definition cannot be read without waiting behind it. Press r to try again.\n"
)

_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_FIRES = {"D": "DISABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


class _Shape(Enum):
    WHOLE = auto()
    CHILD = auto()
    PARTITION = auto()


@dataclass(frozen=True, slots=True)
class TableDdl:
    """The statements in three steps: foreign keys come when all tables are there."""

    notes: tuple[str, ...]
    """Comment lines: what is no part of the table itself (owner, grants)."""
    create: tuple[str, ...]
    foreign_keys: tuple[str, ...]

    @property
    def text(self) -> str:
        statements = "\n".join(
            f"{statement};" if "\n" not in statement else f"{statement};\n"
            for statement in (*self.create, *self.foreign_keys)
        )
        notes = "".join(f"-- {note}\n" for note in self.notes)
        return f"{notes}{statements.rstrip()}\n"


def table_ddl(details: RelationDetails) -> str:
    """CREATE TABLE and all that belongs to it; a comment saying why when a lock forbids it."""
    if details.form.locked or any(c.definition is None for c in details.definitions):
        return LOCKED
    return table_statements(details).text


def table_statements(details: RelationDetails) -> TableDdl:
    """The statements that make a table in a database where what it refers to exists.

    `details` is of a table, partitioned table or foreign table that was not locked when read.
    """
    return _Writer(details).write()


def literal(text: str) -> str:
    """SQL's string constant of a text.

    >>> literal("it's"), literal("a\\\\b")
    ("'it''s'", "E'a\\\\\\\\b'")
    """
    escaped = text.replace("'", "''")
    if "\\" in escaped:
        return "E'" + escaped.replace("\\", "\\\\") + "'"
    return f"'{escaped}'"


def options_list(options: list[str] | tuple[str, ...]) -> str:
    """Storage parameters from catalog form (name=value) to that of WITH (...)."""
    pairs = (option.partition("=") for option in options)
    return ", ".join(f"{name} = {literal(value)}" for name, _, value in pairs)


def foreign_options(options: list[str] | tuple[str, ...]) -> str:
    """A foreign table's OPTIONS from catalog form."""
    pairs = (option.partition("=") for option in options)
    return ", ".join(f'"{name}" {literal(value)}' for name, _, value in pairs)


def sequence_options(sequence: SequenceForm) -> list[str]:
    """What differs from what CREATE SEQUENCE or an identity column would choose itself."""
    largest = _LARGEST[sequence.type]
    upward = sequence.increment > 0
    minimum, maximum = (1, largest) if upward else (-largest - 1, -1)
    start = sequence.minimum if upward else sequence.maximum
    parts = []
    if sequence.start_value != start:
        parts.append(f"START WITH {sequence.start_value}")
    if sequence.increment != 1:
        parts.append(f"INCREMENT BY {sequence.increment}")
    if sequence.minimum != minimum:
        parts.append(f"MINVALUE {sequence.minimum}")
    if sequence.maximum != maximum:
        parts.append(f"MAXVALUE {sequence.maximum}")
    if sequence.cache != 1:
        parts.append(f"CACHE {sequence.cache}")
    if sequence.cycles:
        parts.append("CYCLE")
    return parts


def create_sequence(sequence: SequenceForm) -> str:
    """CREATE SEQUENCE, without the column it belongs to."""
    kind = "UNLOGGED SEQUENCE" if sequence.persistence == "u" else "SEQUENCE"
    kept = "" if sequence.type == "bigint" else f" AS {sequence.type}"
    return " ".join([f"CREATE {kind} {sequence.qualified}{kept}", *sequence_options(sequence)])


class _Writer:
    def __init__(self, details: RelationDetails) -> None:
        self.details = details
        self.form = details.form
        self.table = details.form.qualified
        self.alter = f"ALTER TABLE {self.table}"
        self.storage = {column.number: column for column in details.storage}
        self.shape = self._shape()
        self.own_columns = [
            column
            for column in details.columns
            if self.shape is _Shape.WHOLE or self.storage[column.number].is_local
        ]
        self.identities = {s.column_number: s for s in details.sequences if s.is_identity}
        self.serials = [s for s in details.sequences if not s.is_identity]
        self.constraints = [
            constraint
            for constraint in details.definitions
            if constraint.is_local or (self.shape is _Shape.WHOLE and constraint.type != "f")
        ]
        self.not_nulls = {c.columns[0]: c for c in self.constraints if c.type == "n"}

    def _shape(self) -> _Shape:
        columns = self.details.storage
        if not self.form.parents or not columns:
            return _Shape.WHOLE
        if self.details.relation.is_partition:
            return _Shape.PARTITION if self.form.follows_parent else _Shape.WHOLE
        if all(column.is_local for column in columns):
            return _Shape.WHOLE
        inherited = [column.is_inherited for column in columns]
        in_order = inherited == sorted(inherited, reverse=True)
        return _Shape.CHILD if in_order else _Shape.WHOLE

    def write(self) -> TableDdl:
        return TableDdl(
            notes=tuple(self._notes()),
            create=tuple(self._statements()),
            foreign_keys=tuple(self._foreign_keys()),
        )

    def _notes(self) -> Iterator[str]:
        yield f"Owner: {self.details.relation.owner}"
        for grant in self.form.grants:
            role, _, rest = grant.rpartition("=")
            yield f"Grant: {role or 'PUBLIC'}={rest}"
        for index in self.details.extras_of("inherited index"):
            if self.shape is _Shape.PARTITION:
                yield f"Index {index.quoted_name} comes with the parent's."
            elif index.enabled == "D":
                yield f"Index {index.quoted_name} is INVALID."
        for index in self.details.extras_of("index"):
            if index.enabled == "D" and self.details.relation.kind != "p":
                yield f"Index {index.quoted_name} is INVALID."

    def _statements(self) -> Iterator[str]:
        for sequence in self.serials:
            yield create_sequence(sequence)
        yield self._create_table()
        for sequence in self.serials:
            column = self.storage[sequence.column_number or 0].quoted_name
            yield f"ALTER SEQUENCE {sequence.qualified} OWNED BY {self.table}.{column}"
        yield from self._inherited_columns()
        yield from self._column_settings()
        yield from self._later_constraints()
        yield from self._indexes()
        yield from self._attachment()
        yield from self._marks()
        yield from self._extras()
        yield from self._comments()

    def _create_table(self) -> str:
        relation, form = self.details.relation, self.form
        kind = {"f": "FOREIGN TABLE"}.get(relation.kind, "TABLE")
        if relation.persistence == "u":
            kind = f"UNLOGGED {kind}"
        head = f"CREATE {kind} {self.table}"
        body = ",\n".join(f"    {part}" for part in self._elements())
        if self.shape is _Shape.PARTITION:
            head += f" PARTITION OF {form.parents[0]}" + (f" (\n{body}\n)" if body else "")
            head += f"\n    {form.partition_bound}"
        else:
            head += f" (\n{body}\n)" if body else " ()"
        return head + "".join(f"\n{clause}" for clause in self._clauses())

    def _clauses(self) -> Iterator[str]:
        form = self.form
        if self.shape is _Shape.CHILD:
            yield f"INHERITS ({', '.join(form.parents)})"
        if form.foreign_server is not None:
            yield f'SERVER "{form.foreign_server.replace(chr(34), chr(34) * 2)}"'
            if form.foreign_options:
                yield f"OPTIONS ({foreign_options(tuple(form.foreign_options))})"
        if form.partition_key is not None:
            yield f"PARTITION BY {form.partition_key}"
        if form.access_method is not None:
            yield f'USING "{form.access_method}"'
        if form.options:
            yield f"WITH ({options_list(tuple(form.options))})"
        if form.tablespace is not None:
            yield f'TABLESPACE "{form.tablespace.replace(chr(34), chr(34) * 2)}"'

    def _elements(self) -> Iterator[str]:
        for column in self.own_columns:
            yield self._column(column)
        for constraint in self.constraints:
            if self._fits_inside(constraint):
                yield f"CONSTRAINT {constraint.quoted_name} {constraint.definition}"

    @staticmethod
    def _fits_inside(constraint: TableConstraint) -> bool:
        """CREATE TABLE would mark a NOT VALID one as valid; foreign keys wait for their target."""
        return constraint.type not in "fn" and constraint.is_validated

    def _column(self, column: Column) -> str:
        kept = self.storage[column.number]
        parts = [kept.quoted_name, column.type]
        if kept.collation is not None:
            parts.append(f"COLLATE {kept.collation}")
        if column.generated:
            stored = "STORED" if column.generated == "s" else "VIRTUAL"
            parts.append(f"GENERATED ALWAYS AS ({column.default_expression}) {stored}")
        elif column.number in self.identities:
            parts.append(self._identity(column, self.identities[column.number]))
        elif column.default_expression is not None:
            parts.append(f"DEFAULT {column.default_expression}")
        if column.not_null:
            parts += self._not_null(column)
        return " ".join(parts)

    def _identity(self, column: Column, sequence: SequenceForm) -> str:
        relation = self.details.relation
        options = sequence_options(sequence)
        if sequence.name != f"{relation.name}_{column.name}_seq":
            options.insert(0, f"SEQUENCE NAME {sequence.qualified}")
        when = "ALWAYS" if column.identity == "a" else "BY DEFAULT"
        return f"GENERATED {when} AS IDENTITY" + (f" ({' '.join(options)})" if options else "")

    def _not_null(self, column: Column) -> list[str]:
        named = self.not_nulls.get(column.number)
        if named is None:
            return ["NOT NULL"]
        if not named.is_validated:
            return []
        parts = ["NOT NULL", "NO INHERIT"] if named.no_inherit else ["NOT NULL"]
        if named.name != f"{self.details.relation.name}_{column.name}_not_null":
            parts.insert(0, f"CONSTRAINT {named.quoted_name}")
        return parts

    def _inherited_columns(self) -> Iterator[str]:
        """Where a column that the parent gives differs from the parent's."""
        own = {column.number for column in self.own_columns}
        for column in self.details.columns:
            kept = self.storage[column.number]
            if column.number in own or column.generated:
                continue
            at = f"{self.alter} ALTER COLUMN {kept.quoted_name}"
            if column.default_expression is None and kept.inherited_default is not None:
                yield f"{at} DROP DEFAULT"
            elif column.default_expression != kept.inherited_default:
                yield f"{at} SET DEFAULT {column.default_expression}"
            if column.not_null and not kept.inherited_not_null:
                named = self.not_nulls.get(column.number)
                if named is None:
                    yield f"{at} SET NOT NULL"
                else:
                    yield f"{self.alter} ADD CONSTRAINT {named.quoted_name} {named.definition}"

    def _column_settings(self) -> Iterator[str]:
        for column in self.details.columns:
            kept = self.storage[column.number]
            for setting in self._settings(kept):
                yield f"{self.alter} ALTER COLUMN {kept.quoted_name} {setting}"

    @staticmethod
    def _settings(kept: ColumnStorage) -> Iterator[str]:
        if kept.storage is not None:
            yield f"SET STORAGE {kept.storage}"
        if kept.compression is not None:
            yield f"SET COMPRESSION {kept.compression}"
        if kept.statistics_target is not None:
            yield f"SET STATISTICS {kept.statistics_target}"
        if kept.options:
            yield f"SET ({options_list(tuple(kept.options))})"

    def _later_constraints(self) -> Iterator[str]:
        own = {column.number for column in self.own_columns}
        for constraint in self.constraints:
            waits = constraint.type != "f" and not constraint.is_validated
            if waits and (constraint.type != "n" or constraint.columns[0] in own):
                yield (
                    f"{self.alter} ADD CONSTRAINT {constraint.quoted_name} {constraint.definition}"
                )
            if constraint.index_options:
                options = options_list(tuple(constraint.index_options))
                yield f"ALTER INDEX {constraint.index_name} SET ({options})"

    def _indexes(self) -> Iterator[str]:
        for extra in self.details.extras:
            inherited = extra.kind == "inherited index" and self.shape is not _Shape.PARTITION
            if (extra.kind == "index" or inherited) and extra.definition is not None:
                yield extra.definition

    def _attachment(self) -> Iterator[str]:
        if self.shape is not _Shape.WHOLE:
            return
        for parent in self.form.parents:
            if self.details.relation.is_partition:
                what = f"ATTACH PARTITION {self.table} {self.form.partition_bound}"
                yield f"ALTER TABLE {parent} {what}"
            else:
                yield f"{self.alter} INHERIT {parent}"
        if self.form.of_type is not None:
            yield f"{self.alter} OF {self.form.of_type}"

    def _marks(self) -> Iterator[str]:
        form = self.form
        if form.cluster_index is not None:
            yield f"{self.alter} CLUSTER ON {form.cluster_index}"
        if form.replica_identity == "i":
            yield f"{self.alter} REPLICA IDENTITY USING INDEX {form.replica_identity_index}"
        elif form.replica_identity in "fn" and self.details.relation.kind in "rp":
            words = {"f": "FULL", "n": "NOTHING"}
            yield f"{self.alter} REPLICA IDENTITY {words[form.replica_identity]}"
        if self.details.relation.row_security:
            yield f"{self.alter} ENABLE ROW LEVEL SECURITY"
        if form.forces_row_security:
            yield f"{self.alter} FORCE ROW LEVEL SECURITY"

    def _extras(self) -> Iterator[str]:
        for kind in ("statistics", "policy", "trigger", "rule"):
            for extra in self.details.extras_of(kind):
                if extra.definition is not None:
                    yield extra.definition
                    if extra.enabled in _FIRES:
                        word = _FIRES[extra.enabled]
                        yield f"{self.alter} {word} {kind.upper()} {extra.quoted_name}"

    def _foreign_keys(self) -> Iterator[str]:
        for constraint in self.constraints:
            if constraint.type == "f":
                yield (
                    f"{self.alter} ADD CONSTRAINT {constraint.quoted_name} {constraint.definition}"
                )
                yield from self._constraint_comment(constraint)

    def _comments(self) -> Iterator[str]:
        relation = self.details.relation
        if relation.comment is not None:
            kind = "FOREIGN TABLE" if relation.kind == "f" else "TABLE"
            yield f"COMMENT ON {kind} {self.table} IS {literal(relation.comment)}"
        for column in self.details.columns:
            if column.comment is not None:
                name = f"{self.table}.{self.storage[column.number].quoted_name}"
                yield f"COMMENT ON COLUMN {name} IS {literal(column.comment)}"
        for constraint in self.constraints:
            if constraint.type != "f":
                yield from self._constraint_comment(constraint)
        for extra in self.details.extras:
            if extra.comment is not None:
                yield f"COMMENT ON {self._extra_name(extra)} IS {literal(extra.comment)}"

    def _constraint_comment(self, constraint: TableConstraint) -> Iterator[str]:
        if constraint.comment is not None:
            name = f"CONSTRAINT {constraint.quoted_name} ON {self.table}"
            yield f"COMMENT ON {name} IS {literal(constraint.comment)}"

    def _extra_name(self, extra: Extra) -> str:
        if extra.kind.endswith("index") or extra.kind == "statistics":
            return f"{extra.kind.split()[-1].upper()} {extra.quoted_name}"
        return f"{extra.kind.upper()} {extra.quoted_name} ON {self.table}"
