"""Views, sequences, types and extensions as the SQL that would make them again."""

from __future__ import annotations

from console.relation_details import TABLE_KINDS, RelationDetails
from console.table_ddl import LOCKED, create_sequence, literal, options_list, table_ddl
from queries.objects import DataType, Extension, SequenceForm

READS_LOCKED = (
    "-- Another session holds or awaits an ACCESS EXCLUSIVE lock on a table that this reads:\n"
    "-- the definition cannot be read without waiting behind it. Press r to try again.\n"
)


def relation_ddl(details: RelationDetails) -> str:
    """CREATE TABLE, VIEW, MATERIALIZED VIEW or SEQUENCE with what belongs to it."""
    kind = details.relation.kind
    if kind in TABLE_KINDS:
        return table_ddl(details)
    if kind == "S":
        return sequence_ddl(details.sequences[0], details.relation.owner, details.relation.comment)
    return view_ddl(details)


def view_ddl(details: RelationDetails) -> str:
    """A view, or a materialized view with its indexes; it is made empty, to be refreshed."""
    relation, form = details.relation, details.form
    if form.query is None:
        return LOCKED.replace("this table", "this view") if form.locked else READS_LOCKED
    kind = "MATERIALIZED VIEW" if relation.kind == "m" else "VIEW"
    lines = [f"CREATE {kind} {form.qualified}"]
    if form.options:
        lines.append(f"WITH ({options_list(tuple(form.options))})")
    if form.tablespace is not None:
        lines.append('TABLESPACE "{}"'.format(form.tablespace.replace('"', '""')))
    lines += ["AS", form.query + ("\nWITH NO DATA" if relation.kind == "m" else "")]
    statements = ["\n".join(lines)]
    statements += [extra.definition for extra in details.extras if extra.definition is not None]
    statements += _comments(details, kind)
    return f"-- Owner: {relation.owner}\n" + ";\n".join(statements) + ";\n"


def _comments(details: RelationDetails, kind: str) -> list[str]:
    found = []
    name = details.form.qualified
    if details.relation.comment is not None:
        found.append(f"COMMENT ON {kind} {name} IS {literal(details.relation.comment)}")
    quoted = {column.number: column.quoted_name for column in details.storage}
    found += [
        f"COMMENT ON COLUMN {name}.{quoted[column.number]} IS {literal(column.comment)}"
        for column in details.columns
        if column.comment is not None
    ]
    return found


def sequence_ddl(sequence: SequenceForm, owner: str, comment: str | None) -> str:
    """A sequence; one that belongs to an identity column says that it is made with its table."""
    lines = [f"-- Owner: {owner}"]
    if sequence.table_name is not None and sequence.is_identity:
        lines.append(
            f"-- Made with identity column {sequence.column_name} of"
            f" {sequence.table_schema}.{sequence.table_name}".replace("\n", " ")
        )
    lines.append(f"{create_sequence(sequence)};")
    if comment is not None:
        lines.append(f"COMMENT ON SEQUENCE {sequence.qualified} IS {literal(comment)};")
    return "\n".join(lines) + "\n"


def type_ddl(kind: DataType) -> str:
    """CREATE TYPE or CREATE DOMAIN."""
    if kind.kind == "d":
        statement, word = _domain(kind), "DOMAIN"
    else:
        statement, word = f"CREATE TYPE {kind.qualified} AS {_body(kind)}", "TYPE"
    text = f"-- Owner: {kind.owner}\n{statement};\n"
    if kind.comment is not None:
        text += f"COMMENT ON {word} {kind.qualified} IS {literal(kind.comment)};\n"
    return text


def _body(kind: DataType) -> str:
    if kind.kind == "e":
        labels = ",\n".join(f"    {literal(label)}" for label in kind.labels)
        return f"ENUM (\n{labels}\n)" if labels else "ENUM ()"
    if kind.kind == "r":
        return f"RANGE (SUBTYPE = {kind.base_type})"
    attributes = ",\n".join(f"    {attribute}" for attribute in kind.attributes)
    return f"(\n{attributes}\n)" if attributes else "()"


def _domain(kind: DataType) -> str:
    lines = [f"CREATE DOMAIN {kind.qualified} AS {kind.base_type}"]
    if kind.collation is not None:
        lines.append(f"COLLATE {kind.collation}")
    if kind.default_expression is not None:
        lines.append(f"DEFAULT {kind.default_expression}")
    if kind.not_null:
        lines.append("NOT NULL")
    return "\n    ".join([*lines, *kind.constraints])


def extension_ddl(extension: Extension) -> str:
    """CREATE EXTENSION, with the version that is installed."""
    return f"{extension.definition} VERSION {literal(extension.version)};\n"
