"""What a schema.prisma says: models as tables, fields as columns, enums, keys and relations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from console.migrations.prisma_syntax import (
    Block,
    Call,
    Items,
    Line,
    SchemaUnreadable,
    Text,
    Value,
    Word,
    parse,
)

SCALARS = ("String", "Int", "BigInt", "Float", "Decimal", "DateTime", "Json", "Bytes", "Boolean")


@dataclass(frozen=True, slots=True)
class EnumType:
    name: str
    type_name: str
    schema: str | None
    values: tuple[tuple[str, str], ...]
    """(the schema's word, the database's label), in order."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation field; only the side with `fields` has the foreign key."""

    target: str
    name: str | None
    fields: tuple[str, ...]
    references: tuple[str, ...]
    on_delete: str | None
    on_update: str | None
    map: str | None


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    column: str
    type: str
    """A scalar, an enum's name, or Unsupported's type as the database writes it."""
    is_unsupported: bool
    is_list: bool
    is_optional: bool
    native: Call | None
    """@db.VarChar(36) as Call("VarChar", ...)."""
    default: Value | None


@dataclass(frozen=True, slots=True)
class IndexField:
    name: str
    sort: str | None = None
    operators: str | None = None
    """An operator class as SQL writes it."""


@dataclass(frozen=True, slots=True)
class Index:
    kind: str
    """id, unique or index."""
    fields: tuple[IndexField, ...]
    map: str | None
    method: str | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    table: str
    schema: str | None
    fields: tuple[Field, ...]
    indexes: tuple[Index, ...]
    """The primary key among them."""
    relations: tuple[tuple[str, bool, bool, Relation], ...]
    """(field, is_list, is_optional, relation)."""

    def field(self, name: str) -> Field:
        """Raises SchemaUnreadable for a field it does not have."""
        for one in self.fields:
            if one.name == name:
                return one
        raise SchemaUnreadable(
            f"The model {self.name} has no field '{name}'.", "npx prisma validate says more."
        )

    @property
    def primary_key(self) -> Index | None:
        return next((index for index in self.indexes if index.kind == "id"), None)


@dataclass(frozen=True, slots=True)
class Schema:
    models: tuple[Model, ...]
    enums: tuple[EnumType, ...]
    has_foreign_keys: bool = True
    """False with relationMode = "prisma"."""
    views: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())
    """What is not compared."""

    def model(self, name: str) -> Model | None:
        return next((model for model in self.models if model.name == name), None)

    def enum(self, name: str) -> EnumType | None:
        return next((enum for enum in self.enums if enum.name == name), None)


def schema_file_of(migrations: Path) -> Path | None:
    """schema.prisma beside the migrations folder, or a folder of *.prisma; else None."""
    for candidate in (migrations.parent / "schema.prisma", migrations.parent / "schema"):
        if candidate.is_file() or (candidate.is_dir() and any(candidate.rglob("*.prisma"))):
            return candidate
    return None


def read_schema(path: Path) -> Schema:
    """Read a schema.prisma, or a folder of *.prisma files. Raises SchemaUnreadable."""
    paths = sorted(path.rglob("*.prisma")) if path.is_dir() else [path]
    blocks = []
    for one in paths:
        try:
            text = one.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise SchemaUnreadable(
                f"{one} cannot be read ({reason}).", "Name the project's schema.prisma."
            ) from error
        blocks += parse(text, one.name)
    return understand(blocks)


def understand(blocks: Sequence[Block]) -> Schema:
    """The meaning of parsed blocks. Raises SchemaUnreadable."""
    enums = [_enum(block) for block in blocks if block.kind == "enum"]
    models = {block.name for block in blocks if block.kind == "model"}
    views = tuple(block.name for block in blocks if block.kind == "view")
    known = {enum.name for enum in enums}
    remarks = [f"Views are not compared: {', '.join(views)}."] if views else []
    return Schema(
        tuple(
            _model(block, models | set(views), known) for block in blocks if block.kind == "model"
        ),
        tuple(enums),
        _relation_mode(blocks) != "prisma",
        views,
        tuple(remarks),
    )


def _relation_mode(blocks: Iterable[Block]) -> str:
    for block in blocks:
        for line in block.lines if block.kind == "datasource" else ():
            if not isinstance(line.value, Text):
                continue
            if line.name == "provider" and line.value.text not in ("postgresql", "postgres"):
                raise SchemaUnreadable(
                    f"This schema.prisma is for {line.value.text}.",
                    "Name that of a PostgreSQL project.",
                )
            if line.name == "relationMode":
                return line.value.text
    return "foreignKeys"


def _enum(block: Block) -> EnumType:
    values = tuple(
        (line.name, _mapped(line.attributes, "map") or line.name)
        for line in block.lines
        if line.name
    )
    return EnumType(
        block.name,
        _mapped(block.attributes("map"), "map") or block.name,
        _mapped(block.attributes("schema"), "schema"),
        values,
    )


def _model(block: Block, models: set[str], enums: set[str]) -> Model:
    fields, indexes, relations = [], [], []
    for line in block.lines:
        if not line.name:
            indexes += [_index(a) for a in line.attributes if a.name in ("id", "unique", "index")]
        elif line.type in models:
            relations.append((line.name, line.is_list, line.is_optional, _relation(line)))
        else:
            if line.type not in (*SCALARS, *enums, "Unsupported"):
                raise SchemaUnreadable(
                    f"Line {line.number}: {block.name}.{line.name} is of an unknown type"
                    f" {line.type}.",
                    "npx prisma validate says more.",
                )
            fields.append(_field(line))
            indexes += _own_indexes(line)
    return Model(
        block.name,
        _mapped(block.attributes("map"), "map") or block.name,
        _mapped(block.attributes("schema"), "schema"),
        tuple(fields),
        tuple(indexes),
        tuple(relations),
    )


def _field(line: Line) -> Field:
    by_name = {attribute.name: attribute for attribute in line.attributes}
    native = next((a for a in line.attributes if a.name.startswith("db.")), None)
    default = by_name["default"].first() if "default" in by_name else None
    return Field(
        line.name,
        _mapped(line.attributes, "map") or line.name,
        line.unsupported or line.type,
        bool(line.unsupported),
        line.is_list,
        line.is_optional,
        Call(native.name.removeprefix("db."), native.arguments) if native else None,
        default,
    )


def _own_indexes(line: Line) -> Iterator[Index]:
    for attribute in line.attributes:
        if attribute.name in ("id", "unique"):
            sort = _word(attribute.named("sort"))
            yield Index(attribute.name, (IndexField(line.name, sort),), _text(attribute, "map"))


def _index(attribute: Call) -> Index:
    given = attribute.named("fields") or attribute.first()
    fields = tuple(_index_field(one) for one in given.values) if isinstance(given, Items) else ()
    return Index(
        attribute.name,
        fields,
        _text(attribute, "map"),
        _word(attribute.named("type")),
        _raw(attribute.named("where")),
    )


def _index_field(value: Value) -> IndexField:
    if isinstance(value, Call):
        return IndexField(value.name, _word(value.named("sort")), _operators(value.named("ops")))
    if isinstance(value, Word):
        return IndexField(value.text)
    raise SchemaUnreadable("An index names something that is no field.", "See npx prisma validate.")


def _operators(value: Value | None) -> str | None:
    """raw("gin_trgm_ops") as it is; Prisma's own names are PostgreSQL's in camel case."""
    if value is None or isinstance(value, Call):
        return _raw(value)
    name = _word(value) or ""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _raw(value: Value | None) -> str | None:
    first = value.first() if isinstance(value, Call) else value
    return first.text if isinstance(first, Text) else None


def _relation(line: Line) -> Relation:
    found = next((a for a in line.attributes if a.name == "relation"), Call("relation", ()))
    first = found.first()
    return Relation(
        line.type,
        _text(found, "name") or (first.text if isinstance(first, Text) else None),
        _names(found.named("fields")),
        _names(found.named("references")),
        _word(found.named("onDelete")),
        _word(found.named("onUpdate")),
        _text(found, "map"),
    )


def _names(value: Value | None) -> tuple[str, ...]:
    items = value.values if isinstance(value, Items) else ()
    return tuple(one.text for one in items if isinstance(one, Word))


def _word(value: Value | None) -> str | None:
    return value.text if isinstance(value, Word) else None


def _text(attribute: Call, name: str) -> str | None:
    value = attribute.named(name)
    return value.text if isinstance(value, Text) else None


def _mapped(attributes: Iterable[Call], name: str) -> str | None:
    """The name that @map, @@map or @@schema gives."""
    for attribute in attributes:
        if attribute.name == name:
            first = attribute.first() or attribute.named("name")
            return first.text if isinstance(first, Text) else None
    return None
