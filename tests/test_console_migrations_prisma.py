"""schema.prisma: read as Prisma reads it, and every disagreement with the folder is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Database, run_sql
from hypothesis import given
from hypothesis import strategies as st

from console.demo.migrations import MIGRATIONS_DIRECTORY
from console.errors import ConsoleError
from console.migrations import prisma_ddl
from console.migrations.compare import Difference, Snapshot, compare, read_snapshot
from console.migrations.prisma_schema import Schema, read_schema, schema_file_of, understand
from console.migrations.prisma_syntax import SchemaUnreadable, parse
from console.migrations.replay import run_sql as run_script
from console.target import Target

MEDIANEST = Path(__file__).with_name("medianest.prisma")
EMPTY = Snapshot({}, {}, 18)


def schema_of(text: str) -> Schema:
    return understand(parse(text, "schema.prisma"))


async def made_by(database: Database, schema: Schema, folder: Snapshot = EMPTY) -> Snapshot:
    target = Target("test", database)
    script = prisma_ddl.statements(schema, "public", folder)
    await run_script(target, script.encode())
    return prisma_ddl.visible(await read_snapshot(target), schema)


async def disagreements(database: Database, text: str, folder: Snapshot) -> tuple[Difference, ...]:
    schema = schema_of(text)
    wanted = await made_by(database, schema, folder)
    found = compare(wanted, prisma_ddl.visible(folder, schema))
    return tuple(one for one in found if one.kind != "extension")


async def folder_of(database: Database) -> Snapshot:
    for path in sorted(MIGRATIONS_DIRECTORY.glob("*/migration.sql")):
        await run_script(Target("test", database), path.read_bytes())
    return await read_snapshot(Target("test", database))


async def test_medianests_schema_agrees_with_its_migrations(
    empty_db: Database, medianest_db: Database
) -> None:
    folder = await read_snapshot(Target("test", medianest_db))
    folder = folder.having({k: p for k, p in folder.parts.items() if p.kind != "extension"})
    assert await disagreements(empty_db, MEDIANEST.read_text(), folder) == ()


PLANTED = {
    "a field without its map": (
        'String?   @map("plex_username")', "String?",
        {("column", "public.users.plex_username"), ("column", 'public.users."plexUsername"')},
    ),
    "a field that is not optional": (
        "name                   String?", "name                   String",
        {("column", "public.users.name")},
    ),
    "another default": ('@default("USER")', '@default("GUEST")', {("column", "public.users.role")}),
    "a native type": (
        "name                   String?", "name                   String? @db.VarChar(80)",
        {("column", "public.users.name")},
    ),
    "another precision": ("@db.Decimal(5, 2)", "@db.Decimal(6, 2)",
                          {("column", "public.service_status.uptime_percentage")}),
    "no index": ("  @@index([windowStart])\n", "",
                 {("index", "public.rate_limits_window_start_idx")}),
    "an index in another order": (
        "@@index([tmdbId, mediaType])", "@@index([mediaType, tmdbId])",
        {("index", "public.media_requests_tmdb_id_media_type_idx"),
         ("index", "public.media_requests_media_type_tmdb_id_idx")},
    ),
    "a descending index under the same name": (
        "@@index([expires])",
        '@@index([expires(sort: Desc)], map: "sessions_expires_idx")',
        {("index", "public.sessions_expires_idx")},
    ),
    "no unique": (
        "String    @unique\n  name", "String\n  name", {("index", "public.users_email_key")},
    ),
    "another onDelete": (
        "fields: [userId], references: [id], onDelete: Cascade)\n\n  @@unique",
        "fields: [userId], references: [id], onDelete: SetNull)\n\n  @@unique",
        {("constraint", "public.accounts.accounts_user_id_fkey")},
    ),
    "a model more": (
        "model ErrorLog",
        "model Extra {\n  id BigInt @id @default(autoincrement())\n}\n\nmodel ErrorLog",
        {("table", 'public."Extra"')},
    ),
    "a model under another name": (
        '@@map("verification_tokens")', '@@map("verifications")',
        {("table", "public.verification_tokens"), ("table", "public.verifications")},
    ),
    "an enum more": (
        "model ErrorLog",
        'enum Level {\n  LOW @map("low")\n  HIGH\n}\nmodel ErrorLog',
        {("enum", 'public."Level"')},
    ),
    "a named primary key": (
        "id           Int      @id @default", 'id           Int      @id(map: "rl_pk") @default',
        {("constraint", "public.rate_limits.rl_pk"),
         ("constraint", "public.rate_limits.rate_limits_pkey")},
    ),
}  # fmt: skip


@pytest.mark.parametrize("server", ["pg18"], indirect=True)
@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_disagreement_is_found_alone(
    empty_db: Database, medianest_db: Database, planted: str
) -> None:
    old, new, expected = PLANTED[planted]
    text = MEDIANEST.read_text()
    assert text.count(old) >= 1
    folder = await read_snapshot(Target("test", medianest_db))
    folder = folder.having({k: p for k, p in folder.parts.items() if p.kind != "extension"})
    found = await disagreements(empty_db, text.replace(old, new, 1), folder)
    assert {one.key for one in found} == expected


RARE = """
/// everything else
datasource db { provider = "postgresql"
  url = env("X")
  schemas = ["public", "other"]
}
enum Mood { sad @map("s'ad")
  happy
  @@map("mood")
}
model Tag { id Int @id
  posts Post[]
}
model Post {
  id       BigInt @id @default(autoincrement())
  code     String @default(dbgenerated("gen_random_uuid()")) @db.Uuid
  at       DateTime @default(now()) @db.Timestamptz(6)
  moods    Mood[] @default([sad])
  mood     Mood @default(sad)
  words    String[]
  box      Unsupported("box")?
  price    Float @default(-1.5)
  doc      Json @default("{\\"a\\": 1}")
  small    Int @db.SmallInt
  parentId BigInt?
  parent   Post? @relation("tree", fields: [parentId], references: [id], onDelete: NoAction,
                           onUpdate: Restrict, map: "tree_fk")
  children Post[] @relation("tree")
  tags     Tag[]

  @@unique([code, at(sort: Desc)], map: "code_at")
  @@index([doc(ops: JsonbPathOps)], type: Gin)
  @@index([words], type: Gin)
}
model Pair {
  a Int
  b Int
  @@id([a, b])
  @@schema("other")
}
"""


async def test_everything_prisma_can_say_is_made(empty_db: Database) -> None:
    found = await made_by(empty_db, schema_of(RARE))

    def said(kind: str, name: str, facet: str = "definition") -> str | None:
        return found.parts[kind, name].facets[facet]

    column = 'public."Post".'
    assert said("enum", "public.mood", "labels") == '["s\'ad", "happy"]'
    assert said("column", f"{column}code", "default") == "gen_random_uuid()"
    assert said("column", f"{column}at", "type") == "timestamp(6) with time zone"
    assert said("column", f"{column}moods", "default") == "ARRAY['s''ad'::public.mood]"
    assert said("column", f"{column}words", "not null") is None
    assert said("column", f"{column}box", "type") == "box"
    assert said("column", f"{column}price", "default") == "'-1.5'::numeric"
    assert said("column", f"{column}small", "type") == "smallint"
    assert said("constraint", f"{column}tree_fk") == (
        'FOREIGN KEY ("parentId") REFERENCES public."Post"(id) ON UPDATE RESTRICT'
    )
    assert "USING gin (doc jsonb_path_ops)" in str(said("index", 'public."Post_doc_idx"'))
    assert "UNIQUE INDEX code_at" in str(said("index", "public.code_at"))
    assert said("constraint", 'other."Pair"."Pair_pkey"') == "PRIMARY KEY (a, b)"
    assert said("column", 'public."_PostToTag"."A"', "type") == "bigint"
    assert ("index", 'public."_PostToTag_AB_unique"') in found.parts
    assert "CASCADE" in str(said("constraint", 'public."_PostToTag"."_PostToTag_B_fkey"'))


async def test_the_join_table_has_the_form_that_the_folder_has(empty_db: Database) -> None:
    run_sql(
        empty_db,
        'CREATE TABLE "_PostToTag" ("A" bigint, "B" int,'
        ' CONSTRAINT "_PostToTag_AB_pkey" PRIMARY KEY ("A", "B"))',
    )
    folder = await read_snapshot(Target("test", empty_db))
    script = prisma_ddl.statements(schema_of(RARE), "public", folder)
    assert 'CONSTRAINT "_PostToTag_AB_pkey" PRIMARY KEY' in script
    assert "_AB_unique" not in script


def test_long_names_keep_their_suffix() -> None:
    long = "m" * 70
    script = prisma_ddl.statements(
        schema_of(f"model {long} {{\n id Int @id\n x Int @unique\n}}"), "public", EMPTY
    )
    assert f'"{"m" * 59}_key"' in script
    assert f'"{"m" * 58}_pkey"' in script


def test_without_relation_mode_there_are_foreign_keys() -> None:
    text = MEDIANEST.read_text()
    with_keys = prisma_ddl.statements(schema_of(text), "public", EMPTY)
    without = text.replace(
        'provider = "postgresql"', 'provider = "postgresql"\nrelationMode = "prisma"'
    )
    assert with_keys.count("FOREIGN KEY") == 8
    assert prisma_ddl.statements(schema_of(without), "public", EMPTY).count("FOREIGN KEY") == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model User {\n id Int @id\n", "schema.prisma:3: a name was expected"),
        ("model User {\n id\n}", "schema.prisma:2: a name was expected, found the end of the line"),
        ("model User {\n id Int @default(\n}", "schema.prisma:3"),
        ("model User { id Strin }", "unknown type Strin"),
        ('datasource db {\n provider = "mysql"\n}', "is for mysql"),
        ("model A {\n id Int @id\n @@index([gone])\n}", "no field 'gone'"),
        ("model A {\n id Int @id @db.Foo$()\n}", "'$' is not understood"),
        ("model A {\n id Int @id @default(foo())\n}", "The default foo() of id is not known"),
        ('model A {\n id Int @default("\\x")\n}', "a string with known escapes"),
        ("x y {" + " a = " + "[" * 200 + "}", "fewer brackets"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SchemaUnreadable) as caught:
        prisma_ddl.statements(schema_of(text), "public", EMPTY)
    assert said in str(caught.value)


def test_a_folder_of_files_is_one_schema(tmp_path: Path) -> None:
    migrations = tmp_path / "prisma" / "migrations"
    migrations.mkdir(parents=True)
    assert schema_file_of(migrations) is None
    folder = migrations.parent / "schema"
    folder.mkdir()
    (folder / "a.prisma").write_text("model A {\n id Int @id\n m Mood\n}")
    (folder / "b.prisma").write_text("enum Mood {\n happy\n}")
    assert schema_file_of(migrations) == folder
    assert [model.name for model in read_schema(folder).models] == ["A"]
    (migrations.parent / "schema.prisma").write_text("")
    assert schema_file_of(migrations) == migrations.parent / "schema.prisma"


WORDS = st.sampled_from(
    ["model", "enum", "A", "B", "Int", "String", "{", "}", "(", ")", "[", "]", "\n", "@id", "@@map",
     "@relation", "fields:", ":", "=", ",", '"x"', "?", ".", "@default", "autoincrement()", "1",
     "-2", "//", "/*", "Unsupported", "@db.VarChar(3)", "@@index", "ops", "datasource", "provider",
     " "]
)  # fmt: skip


def _never_a_traceback(text: str) -> None:
    """Any other error than a ConsoleError of one line fails the test."""
    said = ""
    try:
        prisma_ddl.statements(schema_of(text), "public", EMPTY)
    except ConsoleError as error:
        said = error.message
    assert "\n" not in said


@given(st.lists(WORDS, max_size=60))
def test_no_jumble_of_words_breaks_the_reader(words: list[str]) -> None:
    _never_a_traceback(" ".join(words))


@given(st.integers(0, 6000), st.integers(0, 60), st.text(max_size=5))
def test_no_damage_to_a_good_schema_breaks_the_reader(at: int, cut: int, put: str) -> None:
    text = MEDIANEST.read_text() + RARE.partition("}")[2]
    _never_a_traceback(text[:at] + put + text[at + cut :])


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    _never_a_traceback(content.decode("latin-1"))
