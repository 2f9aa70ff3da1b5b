"""The SQL that makes what a schema.prisma says, as Prisma's own migrations would write it.

PostgreSQL runs it, so that both sides of the comparison are in its own words. Names of constraints
and indexes follow Prisma's convention (Prisma docs, "Named constraints") unless `map` gives one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from psycopg import sql

from console.migrations.compare import Key, Snapshot
from console.migrations.prisma_schema import Field, Index, IndexField, Model, Schema
from console.migrations.prisma_syntax import Call, Items, SchemaUnreadable, Text, Value, Word
from console.table_ddl import literal
from queries.parts import Part

__all__ = ["Schema", "statements", "visible"]

_NATIVE = {
    "String": "TEXT", "Int": "INTEGER", "BigInt": "BIGINT", "Float": "DOUBLE PRECISION",
    "Decimal": "DECIMAL(65,30)", "DateTime": "TIMESTAMP(3)", "Json": "JSONB", "Bytes": "BYTEA",
    "Boolean": "BOOLEAN",
}  # fmt: skip
_SERIAL = {"Int": "SERIAL", "BigInt": "BIGSERIAL"}
_SERIAL_NATIVE = {"SmallInt": "SMALLSERIAL", "Integer": "SERIAL", "BigInt": "BIGSERIAL",
                  "Int": "SERIAL"}  # fmt: skip
_DATABASE_TYPES = {"DoublePrecision": "DOUBLE PRECISION", "ByteA": "BYTEA", "Timestamptz":
                   "TIMESTAMPTZ", "Timetz": "TIMETZ", "VarBit": "VARBIT"}  # fmt: skip
_ACTIONS = {"Cascade": "CASCADE", "Restrict": "RESTRICT", "NoAction": "NO ACTION",
            "SetNull": "SET NULL", "SetDefault": "SET DEFAULT"}  # fmt: skip
_MADE_BY_THE_CLIENT = ("uuid", "cuid", "nanoid", "ulid", "auto")
_NAME_BYTES = 63


def _name(text: str) -> str:
    """Always in quotes, as Prisma writes them."""
    return sql.Identifier(text).as_string(None)


def statements(schema: Schema, default_schema: str, made: Snapshot) -> str:
    """One script for an empty database. Raises SchemaUnreadable.

    `made` is what the folder makes: it tells which of two forms Prisma's implicit many-to-many
    tables have there (a primary key since Prisma 6, before that a unique index).
    """
    writer = _Writer(schema, default_schema, made)
    return "".join(f"{statement};\n" for statement in writer.write())


class _Writer:
    def __init__(self, schema: Schema, default_schema: str, made: Snapshot) -> None:
        self.schema = schema
        self.default_schema = default_schema
        self.made = made

    def write(self) -> Iterator[str]:
        named = {model.schema for model in self.schema.models}
        named |= {enum.schema for enum in self.schema.enums}
        for schema in sorted({self.default_schema, *filter(None, named)}):
            yield f"CREATE SCHEMA IF NOT EXISTS {_name(schema)}"
        for name, part in sorted(self.made.parts.items()):
            if name[0] == "extension":
                yield f"CREATE EXTENSION IF NOT EXISTS {part.sql_name}"
        for enum in self.schema.enums:
            values = ", ".join(literal(label) for _word, label in enum.values)
            place = self._place(enum.schema, enum.type_name)
            yield f"CREATE TYPE {place} AS ENUM ({values})"
        for model in self.schema.models:
            yield self._table(model)
        for model in self.schema.models:
            for index in model.indexes:
                if index.kind != "id":
                    yield self._index(model, index)
        yield from self._many_to_many()
        if self.schema.has_foreign_keys:
            for model in self.schema.models:
                yield from self._foreign_keys(model)

    def _place(self, schema: str | None, name: str) -> str:
        return f"{_name(schema or self.default_schema)}.{_name(name)}"

    def _of(self, model: Model) -> str:
        return self._place(model.schema, model.table)

    def _table(self, model: Model) -> str:
        lines = [self._column(one) for one in model.fields]
        key = model.primary_key
        if key is not None:
            name = key.map or _shortened(model.table, "_pkey")
            columns = ", ".join(_name(c) for c in self._columns(model, key.fields))
            lines.append(f"CONSTRAINT {_name(name)} PRIMARY KEY ({columns})")
        body = ",\n".join(f"    {line}" for line in lines)
        return f"CREATE TABLE {self._of(model)} (\n{body}\n)"

    def _columns(self, model: Model, fields: tuple[IndexField, ...]) -> list[str]:
        return [model.field(one.name).column for one in fields]

    def _column(self, field: Field) -> str:
        words = [_name(field.column), self._type(field)]
        if not field.is_optional and not field.is_list:
            words.append("NOT NULL")
        default = self._default(field)
        if default is not None:
            words.append(f"DEFAULT {default}")
        return " ".join(words)

    def _type(self, field: Field) -> str:
        enum = self.schema.enum(field.type)
        if field.is_unsupported:
            kind = field.type
        elif enum is not None:
            kind = self._place(enum.schema, enum.type_name)
        elif isinstance(field.default, Call) and field.default.name == "autoincrement":
            native = field.native.name if field.native else field.type
            kind = _SERIAL_NATIVE.get(native, _SERIAL.get(field.type, "SERIAL"))
        elif field.native is not None:
            kind = _native(field.native)
        else:
            kind = _NATIVE[field.type]
        return f"{kind}[]" if field.is_list else kind

    def _default(self, field: Field) -> str | None:
        value = field.default
        if isinstance(value, Items):
            items = [self._literal(field, one) for one in value.values]
            return f"ARRAY[{', '.join(items)}]::{self._type(field)}"
        if isinstance(value, Call):
            if value.name == "now":
                return "CURRENT_TIMESTAMP"
            if value.name == "dbgenerated":
                first = value.first()
                return first.text if isinstance(first, Text) and first.text else None
            if value.name in (*_MADE_BY_THE_CLIENT, "autoincrement"):
                return None
            raise SchemaUnreadable(
                f"The default {value.name}() of {field.name} is not known.",
                "See npx prisma validate.",
            )
        return None if value is None else self._literal(field, value)

    def _literal(self, field: Field, value: Value) -> str:
        if isinstance(value, Text):
            return literal(value.text)
        if not isinstance(value, Word):
            raise SchemaUnreadable(
                f"The default of {field.name} is no value.", "See npx prisma validate."
            )
        enum = self.schema.enum(field.type)
        if enum is not None:
            return literal(dict(enum.values).get(value.text, value.text))
        if not re.fullmatch(r"true|false|-?\d+(\.\d+)?", value.text):
            raise SchemaUnreadable(
                f"The default {value.text} of {field.name} is no value.", "See npx prisma validate."
            )
        return value.text

    def _index(self, model: Model, index: Index) -> str:
        columns = self._columns(model, index.fields)
        suffix = "_key" if index.kind == "unique" else "_idx"
        name = index.map or _shortened(f"{model.table}_{'_'.join(columns)}", suffix)
        unique = "UNIQUE " if index.kind == "unique" else ""
        using = f" USING {index.method.lower()}" if index.method else ""
        elements = [
            " ".join(
                [_name(column), *([one.operators] if one.operators else []),
                 *(["DESC"] if one.sort == "Desc" else [])]
            )
            for column, one in zip(columns, index.fields, strict=True)
        ]  # fmt: skip
        where = f" WHERE {index.where}" if index.where else ""
        return (
            f"CREATE {unique}INDEX {_name(name)} ON {self._of(model)}{using}"
            f" ({', '.join(elements)}){where}"
        )

    def _foreign_keys(self, model: Model) -> Iterator[str]:
        for _field_name, _is_list, is_optional, relation in model.relations:
            target = self.schema.model(relation.target)
            if not relation.fields or target is None:
                continue
            own = [model.field(name).column for name in relation.fields]
            theirs = [target.field(name).column for name in relation.references]
            name = relation.map or _shortened(f"{model.table}_{'_'.join(own)}", "_fkey")
            on_delete = _ACTIONS[relation.on_delete or ("SetNull" if is_optional else "Restrict")]
            on_update = _ACTIONS[relation.on_update or "Cascade"]
            yield (
                f"ALTER TABLE {self._of(model)} ADD CONSTRAINT {_name(name)}"
                f" FOREIGN KEY ({', '.join(map(_name, own))})"
                f" REFERENCES {self._of(target)} ({', '.join(map(_name, theirs))})"
                f" ON DELETE {on_delete} ON UPDATE {on_update}"
            )

    def _many_to_many(self) -> Iterator[str]:
        """Lists on both sides, without fields: a table _AToB of the two primary keys."""
        seen = set()
        for model in self.schema.models:
            for own, is_list, _optional, relation in model.relations:
                target = self.schema.model(relation.target)
                if not is_list or relation.fields or target is None:
                    continue
                if not any(
                    back and other.target == model.name and other.name == relation.name
                    and (target is not model or field != own)
                    for field, back, _o, other in target.relations
                ):  # fmt: skip
                    continue
                first, second = sorted((model, target), key=lambda one: one.name)
                name = f"_{relation.name or f'{first.name}To{second.name}'}"
                if name not in seen:
                    seen.add(name)
                    yield from self._join_table(name, first, second)

    def _join_table(self, name: str, first: Model, second: Model) -> Iterator[str]:
        place = self._place(first.schema, name)
        columns = []
        for letter, model in (("A", first), ("B", second)):
            key = model.primary_key
            if key is None or len(key.fields) != 1:
                raise SchemaUnreadable(
                    f"{model.name} needs an @id of one field for a many-to-many relation.",
                    "See npx prisma validate.",
                )
            kind = self._type(model.field(key.fields[0].name))
            kind = {"SERIAL": "INTEGER", "BIGSERIAL": "BIGINT", "SMALLSERIAL": "SMALLINT"}.get(
                kind, kind
            )
            columns.append(f'"{letter}" {kind} NOT NULL')
        key_name = _shortened(name, "_AB_pkey")
        has_key = any(k[0] == "constraint" and p.name == key_name
                      for k, p in self.made.parts.items())  # fmt: skip
        if has_key:
            columns.append(f'CONSTRAINT {_name(key_name)} PRIMARY KEY ("A", "B")')
        yield f"CREATE TABLE {place} ({', '.join(columns)})"
        if not has_key:
            unique = _name(_shortened(name, "_AB_unique"))
            yield f'CREATE UNIQUE INDEX {unique} ON {place} ("A", "B")'
        yield f'CREATE INDEX {_name(_shortened(name, "_B_index"))} ON {place} ("B")'
        for letter, model in (("A", first), ("B", second)) if self.schema.has_foreign_keys else ():
            key = model.primary_key
            assert key is not None
            column = _name(model.field(key.fields[0].name).column)
            yield (
                f"ALTER TABLE {place} ADD CONSTRAINT {_name(_shortened(name, f'_{letter}_fkey'))}"
                f' FOREIGN KEY ("{letter}") REFERENCES {self._of(model)} ({column})'
                " ON DELETE CASCADE ON UPDATE CASCADE"
            )


def _native(call: Call) -> str:
    """@db.VarChar(36) as SQL writes it."""
    name = _DATABASE_TYPES.get(call.name, call.name.upper())
    sizes = [one.value.text for one in call.arguments if isinstance(one.value, Word)]
    if not re.fullmatch(r"[A-Z ]+", name) or not all(size.isdigit() for size in sizes):
        raise SchemaUnreadable(
            f"@db.{call.name} is not a type of PostgreSQL.", "See npx prisma validate."
        )
    return f"{name}({', '.join(sizes)})" if sizes else name


def _shortened(base: str, suffix: str) -> str:
    """Prisma cuts a name so that its suffix stays within PostgreSQL's 63 bytes."""
    kept = base.encode()[: _NAME_BYTES - len(suffix)].decode("utf-8", "ignore")
    return kept + suffix


_KINDS = ("table", "column", "constraint", "index", "enum", "sequence", "schema")


def visible(snapshot: Snapshot, schema: Schema) -> Snapshot:
    """What Prisma's language can say: no checks, comments, storage, code or predicates."""
    said = any(index.where for model in schema.models for index in model.indexes)
    parts: dict[Key, Part] = {}
    for key, part in snapshot.parts.items():
        definition = part.facets.get("definition") or ""
        hidden = part.kind == "constraint" and definition.startswith(("CHECK", "EXCLUDE"))
        hidden |= part.kind == "index" and " WHERE " in definition and not said
        hidden |= part.kind == "sequence" and part.table is None
        if part.kind in _KINDS and not hidden:
            parts[key] = _plain(part)
    return snapshot.having(parts)


def _plain(part: Part) -> Part:
    """Without what Prisma cannot say of it."""
    if part.kind == "table":
        facets: dict[str, str | None] = {}
    elif part.kind == "column":
        kept = ("type", "not null", "default")
        facets = {facet: part.facets.get(facet) for facet in kept}
        facets["identity"] = None
    elif part.kind == "enum":
        facets = {"labels": part.facets.get("labels")}
    else:
        facets = {"definition": (part.facets.get("definition") or "").removesuffix(" NOT VALID")}
        facets["owner column"] = part.facets.get("owner column")
    return Part(
        part.kind, part.schema, part.table, part.name, part.sql_name,
        part.class_oid, part.oid, part.sub_id, facets,
    )  # fmt: skip
