"""Drift: each planted difference is found alone, and its SQL heals it, in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest
from conftest import Database, run_sql, server_major

from console.demo.migrations import migrations
from console.migrations.compare import Difference, Snapshot, compare, read_snapshot
from console.migrations.losses import losses, widens
from console.migrations.script import Script, closing
from console.target import Target

EXTENSION = "pg_stat_statements"


def replayed(database: Database) -> Database:
    with psycopg.connect(**database, autocommit=True) as connection:
        for migration in migrations():
            connection.execute(migration.script)
    return database


def run_script(database: Database, script: Script) -> None:
    with psycopg.connect(**database, autocommit=True) as connection:
        for statement in script.first:
            connection.execute(statement.encode())
        with connection.transaction():
            for statement in script.statements:
                connection.execute(statement.encode())


async def snapshot(database: Database) -> Snapshot:
    found = await read_snapshot(Target("test", database))
    parts = {key: part for key, part in found.parts.items() if part.name != EXTENSION}
    return Snapshot(parts, found.needs, found.major)


async def drift(folder: Database, live: Database) -> tuple[Difference, ...]:
    return compare(await snapshot(folder), await snapshot(live))


PREPARED: Sequence[Any] = (
    "CREATE TYPE mood AS ENUM ('sad', 'happy')",
    "CREATE TABLE feelings (id serial PRIMARY KEY, mood mood NOT NULL DEFAULT 'sad', moods mood[])",
    "CREATE VIEW active_users AS SELECT id, email, role FROM users WHERE status = 'active'",
    "CREATE VIEW active_emails AS SELECT email FROM active_users",
    "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()",
    "CREATE MATERIALIZED VIEW per_role AS SELECT role, count(*) AS n FROM users GROUP BY role",
    "CREATE UNIQUE INDEX per_role_key ON per_role (role)",
    "CREATE SEQUENCE tickets INCREMENT BY 5",
    "ALTER TABLE users ADD CONSTRAINT users_status CHECK (status <> '')",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
)

PLANTED = {
    "a column's type": (
        ("ALTER TABLE youtube_downloads ALTER COLUMN playlist_title TYPE varchar(200)",),
        {("column", "public.youtube_downloads.playlist_title")},
    ),
    "the type of a column that views, a matview and a trigger's table stand on": (
        ("DROP VIEW active_users CASCADE", "DROP MATERIALIZED VIEW per_role",
         "ALTER TABLE users ALTER COLUMN role TYPE varchar(40)"),
        {("column", "public.users.role"), ("view", "public.active_users"),
         ("view", "public.active_emails"), ("materialized view", "public.per_role")},
    ),
    "a dropped index": (
        ("DROP INDEX media_requests_created_at_idx",),
        {("index", "public.media_requests_created_at_idx")},
    ),
    "an index of other columns": (
        ("DROP INDEX media_requests_created_at_idx",
         "CREATE INDEX media_requests_created_at_idx ON media_requests (created_at DESC)"),
        {("index", "public.media_requests_created_at_idx")},
    ),
    "an extra table with everything that hangs on it": (
        ("CREATE TABLE extra (id bigserial PRIMARY KEY, user_id text REFERENCES users,"
         " at timestamptz DEFAULT now(), CHECK (id > 0))",
         "CREATE INDEX ON extra (at)", "COMMENT ON COLUMN extra.at IS 'it''s when'",
         "CREATE TRIGGER touched BEFORE UPDATE ON extra FOR EACH ROW EXECUTE FUNCTION touch()"),
        {("table", "public.extra")},
    ),
    "two tables that refer to each other": (
        ("CREATE TABLE hen (id int PRIMARY KEY, egg int)",
         "CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen)",
         "ALTER TABLE hen ADD FOREIGN KEY (egg) REFERENCES egg"),
        {("table", "public.hen"), ("table", "public.egg")},
    ),
    "a changed default": (
        ("ALTER TABLE users ALTER COLUMN status SET DEFAULT 'new'",),
        {("column", "public.users.status")},
    ),
    "a dropped NOT NULL": (
        ("ALTER TABLE media_requests ALTER COLUMN title DROP NOT NULL",),
        {("column", "public.media_requests.title")},
    ),
    "a column that is not there": (
        ("ALTER TABLE users DROP COLUMN password_hash",),
        {("column", "public.users.password_hash")},
    ),
    "an extra identity column": (
        ("ALTER TABLE users ADD COLUMN number int GENERATED ALWAYS AS IDENTITY (START 10)",),
        {("column", "public.users.number")},
    ),
    "an extra generated column": (
        ("ALTER TABLE users ADD COLUMN low text GENERATED ALWAYS AS (lower(email)) STORED",),
        {("column", "public.users.low")},
    ),
    "a new enum value in the middle": (
        ("ALTER TYPE mood ADD VALUE 'fine' BEFORE 'happy'",),
        {("enum", "public.mood")},
    ),
    "an enum that nothing uses": (
        ("CREATE TYPE colour AS ENUM ('it''s', E'back\\\\slash')",),
        {("enum", "public.colour")},
    ),
    "a view of something else": (
        ("CREATE OR REPLACE VIEW active_users AS SELECT id, email, role FROM users"
         " WHERE status <> 'active'",),
        {("view", "public.active_users")},
    ),
    "a view with fewer columns under another view": (
        ("DROP VIEW active_users CASCADE",
         "CREATE VIEW active_users AS SELECT email FROM users",
         "CREATE VIEW active_emails AS SELECT email FROM active_users"),
        {("view", "public.active_users")},
    ),
    "a function's body": (
        ("CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql"
         " AS 'BEGIN NEW.name := NULL; RETURN NEW; END'",),
        {("function", "public.touch()")},
    ),
    "a function that gives a table's rows": (
        ("CREATE FUNCTION everyone(wanted text DEFAULT 'x') RETURNS SETOF users LANGUAGE sql"
         " BEGIN ATOMIC SELECT * FROM users WHERE role = wanted; END",),
        {("function", "public.everyone(wanted text)")},
    ),
    "a disabled trigger": (
        ("ALTER TABLE users DISABLE TRIGGER touched",),
        {("trigger", "public.users.touched")},
    ),
    "a dropped trigger": (
        ("DROP TRIGGER touched ON users",),
        {("trigger", "public.users.touched")},
    ),
    "a key that was never validated": (
        ("ALTER TABLE error_logs DROP CONSTRAINT error_logs_user_id_fkey",
         "ALTER TABLE error_logs ADD CONSTRAINT error_logs_user_id_fkey FOREIGN KEY (user_id)"
         " REFERENCES users (id) ON UPDATE CASCADE ON DELETE RESTRICT NOT VALID"),
        {("constraint", "public.error_logs.error_logs_user_id_fkey")},
    ),
    "a key that deletes with its user": (
        ("ALTER TABLE error_logs DROP CONSTRAINT error_logs_user_id_fkey",
         "ALTER TABLE error_logs ADD CONSTRAINT error_logs_user_id_fkey FOREIGN KEY (user_id)"
         " REFERENCES users (id) ON UPDATE CASCADE ON DELETE CASCADE"),
        {("constraint", "public.error_logs.error_logs_user_id_fkey")},
    ),
    "a primary key that foreign keys stand on": (
        ("ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE",
         "ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id) DEFERRABLE",),
        {("constraint", f"public.{name}")
         for name in ("users.users_pkey", "media_requests.media_requests_user_id_fkey",
                      "youtube_downloads.youtube_downloads_user_id_fkey",
                      "rate_limits.rate_limits_user_id_fkey",
                      "service_config.service_config_updated_by_fkey",
                      "session_tokens.session_tokens_user_id_fkey",
                      "accounts.accounts_user_id_fkey", "sessions.sessions_user_id_fkey",
                      "error_logs.error_logs_user_id_fkey")},
    ),
    "a check": (
        ("ALTER TABLE users DROP CONSTRAINT users_status",),
        {("constraint", "public.users.users_status")},
    ),
    "a sequence that counts by one": (
        ("ALTER SEQUENCE tickets INCREMENT BY 1",),
        {("sequence", "public.tickets")},
    ),
    "a schema with a table": (
        ("CREATE SCHEMA \"Other\"", "CREATE TABLE \"Other\".\"T a\" (\"x%\" mood)"),
        {("schema", "\"Other\""), ("table", "\"Other\".\"T a\"")},
    ),
    "row security with a policy": (
        ("ALTER TABLE users ENABLE ROW LEVEL SECURITY",
         "CREATE POLICY own ON users FOR SELECT TO PUBLIC USING (id = CURRENT_USER)"),
        {("table", "public.users"), ("policy", "public.users.own")},
    ),
    "an unlogged table with a fillfactor": (
        ("ALTER TABLE rate_limits SET UNLOGGED", "ALTER TABLE rate_limits SET (fillfactor = 70)"),
        {("table", "public.rate_limits")},
    ),
    "comments": (
        ("COMMENT ON TABLE users IS 'who'", "COMMENT ON COLUMN users.email IS 'where'",
         "COMMENT ON VIEW active_users IS 'v'", "COMMENT ON TYPE mood IS 't'"),
        {("table", "public.users"), ("column", "public.users.email"),
         ("view", "public.active_users"), ("enum", "public.mood")},
    ),
    "extended statistics and a domain": (
        ("CREATE STATISTICS both_of (dependencies) ON role, status FROM users",
         "ALTER DOMAIN positive SET DEFAULT 3"),
        {("statistics", "public.both_of"), ("domain", "public.positive")},
    ),
    "partitions": (
        ("CREATE TABLE log (at date NOT NULL, what text, PRIMARY KEY (at)) PARTITION BY RANGE (at)",
         "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
         "CREATE INDEX log_what ON log (what)"),
        {("table", "public.log"), ("table", "public.log_1")},
    ),
}  # fmt: skip


async def test_the_demo_is_what_its_own_migrations_make(
    empty_db: Database, medianest_db: Database
) -> None:
    assert await drift(replayed(empty_db), medianest_db) == ()


@pytest.mark.parametrize("planted", PLANTED)
async def test_a_planted_difference_is_found_alone_and_healed_both_ways(
    empty_db: Database, medianest_db: Database, planted: str
) -> None:
    statements: Sequence[Any] = PLANTED[planted][0]
    if server_major(medianest_db) < 14 and any("BEGIN ATOMIC" in one for one in statements):
        pytest.skip("PostgreSQL 14 brought such functions")
    folder, live = replayed(empty_db), medianest_db
    run_sql(folder, *PREPARED)
    run_sql(live, *PREPARED)
    run_sql(live, *statements)
    before, after = await snapshot(folder), await snapshot(live)
    found = compare(before, after)
    assert {one.key for one in found} == PLANTED[planted][1]
    adopt = closing(found, before, after)
    mend = closing([one.reversed for one in found], after, before)
    assert adopt.by_hand == mend.by_hand == ()
    run_script(live, mend)
    assert compare(before, await snapshot(live)) == ()
    run_script(folder, adopt)
    assert compare(await snapshot(folder), after) == ()


async def test_one_difference_can_be_closed_and_the_others_left(
    empty_db: Database, medianest_db: Database
) -> None:
    folder, live = replayed(empty_db), medianest_db
    run_sql(live, "DROP INDEX sessions_expires_idx", "CREATE TABLE extra (id int)")
    before, after = await snapshot(folder), await snapshot(live)
    index = next(one for one in compare(before, after) if one.kind == "index")
    run_script(live, closing([index.reversed], after, before))
    assert [one.key for one in await drift(folder, live)] == [("table", "public.extra")]


async def test_an_enum_value_that_is_in_use_is_not_lost_in_silence(
    empty_db: Database, medianest_db: Database
) -> None:
    folder, live = empty_db, medianest_db
    replayed(folder)
    run_sql(folder, *PREPARED)
    run_sql(live, *PREPARED, "ALTER TYPE mood ADD VALUE 'fine'")
    run_sql(live, "INSERT INTO feelings (mood) VALUES ('fine')")
    before, after = await snapshot(folder), await snapshot(live)
    back = [one.reversed for one in compare(before, after)]
    assert "while a row holds 'fine'" in losses(back, after)[0].what
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        run_script(live, closing(back, after, before))
    assert compare(await snapshot(live), after) == ()


async def test_a_value_that_is_too_long_is_refused_and_never_cut(
    empty_db: Database, medianest_db: Database
) -> None:
    folder = replayed(empty_db)
    run_sql(folder, "ALTER TABLE users ALTER COLUMN name TYPE varchar(3)")
    before, after = await snapshot(folder), await snapshot(medianest_db)
    with pytest.raises(psycopg.errors.StringDataRightTruncation):
        run_script(
            medianest_db, closing([d.reversed for d in compare(before, after)], after, before)
        )


async def test_what_prisma_would_not_see_is_told_apart(
    empty_db: Database, medianest_db: Database
) -> None:
    folder = replayed(empty_db)
    run_sql(
        medianest_db,
        "CREATE INDEX partial ON users (name) WHERE name <> ''",
        "CREATE INDEX whole ON users (name)",
        "ALTER TABLE users ADD CONSTRAINT named CHECK (name <> '-')",
        "COMMENT ON TABLE accounts IS 'x'",
    )
    seen = {one.part.name: one.seen_by_prisma for one in await drift(folder, medianest_db)}
    assert seen == {"partial": False, "whole": True, "named": False, "accounts": False}


async def test_dropping_names_what_is_lost(empty_db: Database, medianest_db: Database) -> None:
    before, after = await snapshot(medianest_db), await snapshot(empty_db)
    found = [loss for loss in losses(compare(before, after), before) if loss.column is None]
    assert len(found) == 11
    assert "Every row of public.users." in [loss.what for loss in found]


def test_only_a_wider_type_loses_nothing() -> None:
    assert widens("character varying(3)", "character varying(4)")
    assert widens("character varying(3)", "character varying")
    assert not widens("character varying(4)", "character varying(3)")
    assert not widens("character varying", "character varying(3)")
    assert not widens("timestamp(6) without time zone", "timestamp(3) without time zone")
