"""A restore from end to end, in its own process, with the real tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from backups import left_behind
from conftest import Database, run_sql
from fingerprints import differences, fingerprint
from psycopg import sql
from restores import Restoring

from console.errors import ActionRefused, ExitCode
from console.restore.describe import as_json, plan_text, status_text
from console.restore.status import Phase, find_status


@pytest.fixture
def media(medianest_db: Database, tmp_path: Path) -> Restoring:
    return Restoring(medianest_db, tmp_path / "backups")


USERS = "SELECT count(*) FROM public.users"


EVERYTHING = (
    "INSERT INTO odd.columns_of_all_kinds (mail, part, reach, took, big)"
    " SELECT 'a' || g || '@b', row(g, 'x%s')::odd.pair, '[1,2)', interval '1 day', repeat('ü', g)"
    " FROM generate_series(1, 50) AS g",
    "INSERT INTO odd.nodes (tree, id) VALUES (1, 1)",
    "INSERT INTO odd.leaves (id, tree, node) VALUES (1, 1, 1)",
    "UPDATE odd.nodes SET leaf = 1",  # now each row needs the other to be there first
    "INSERT INTO odd.events SELECT g, date '2024-01-01' + g * 20, 'a'"
    " FROM generate_series(1, 60) AS g",
    "CREATE MATERIALIZED VIEW odd.filled AS SELECT kind, count(*) FROM odd.events GROUP BY kind",
    "CREATE MATERIALIZED VIEW odd.upon AS SELECT sum(count) FROM odd.filled",
    "INSERT INTO odd.guarded VALUES (1, 'nobody', 'x'), (2, current_user, 'y')",
    "SELECT setval('odd.tickets', 25)",
    "SELECT lo_from_bytea(4711, 'a large object'::bytea)",
    "COMMENT ON LARGE OBJECT 4711 IS 'it''s large'",
    "GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC",
    "CREATE FUNCTION odd.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE EVENT TRIGGER watcher ON ddl_command_end WHEN TAG IN ('DROP TABLE')"
    " EXECUTE FUNCTION odd.watch()",
    "COMMENT ON EVENT TRIGGER watcher IS 'watches'",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA odd GRANT SELECT ON TABLES TO PUBLIC",
)


async def test_everything_comes_back_as_it_was_and_undo_and_finish_end_it(
    odd_db: Database, tmp_path: Path
) -> None:
    """Compared by pg_dump, and by what the catalogs and every row say without it."""
    odd = Restoring(odd_db, tmp_path / "backups")
    name = sql.Identifier(odd.name)
    run_sql(
        odd_db,
        # pg_dump writes an adopted child's columns in its parent's order, not in their own.
        "DROP TABLE odd.adopted",
        *EVERYTHING,
        sql.SQL("ALTER DATABASE {} SET search_path = odd, public").format(name),
        sql.SQL("COMMENT ON DATABASE {} IS 'It''s odd'").format(name),
        sql.SQL("REVOKE TEMPORARY ON DATABASE {} FROM PUBLIC").format(name),
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 55").format(name),
    )
    before, whole = await odd.dumped(), fingerprint(odd_db)
    backup = await odd.backup()
    run_sql(odd_db, "DROP TABLE odd.columns_of_all_kinds CASCADE", "CREATE TABLE odd.later ()")
    changed, other = await odd.dumped(), fingerprint(odd_db)
    assert differences(whole, other), "the comparison sees changes"

    done = await odd.restore(backup.id)
    assert done.state.failure == {}
    assert done.phase is Phase.DONE
    assert await odd.dumped() == before
    assert differences(whole, fingerprint(odd_db)) == []
    assert done.downtime_seconds is not None
    assert done.downtime_seconds < 1
    assert await odd.dumped(done.kept) == changed

    undone = await odd.go_on(done, "undo")
    assert undone.phase is Phase.UNDONE
    assert await odd.dumped() == changed
    assert differences(other, fingerprint(odd_db)) == []
    finished = await odd.go_on(undone, "finish")
    assert finished.phase is Phase.FINISHED
    assert odd.databases() == {odd.name}


@pytest.mark.slow
async def test_a_safety_backup_is_made_first_and_the_times_are_told(media: Restoring) -> None:
    await media.backup()
    run_sql(media.database, "TRUNCATE public.users CASCADE")
    done = await media.restore(safety=True)
    assert done.phase is Phase.DONE, done.state
    assert media.ask(USERS) != 0
    safety = done.state.data["safety"]
    assert safety["verdict"] == "pass"
    assert len(list((media.root / "home").glob("2*"))) == 2
    assert left_behind(media.root) == []
    told = status_text(done)
    assert "downtime (the cut-over alone)" in told
    assert as_json(done)["downtime_seconds"] == done.downtime_seconds
    assert done.exit_code is ExitCode.OK
    assert find_status().id == done.id


@pytest.mark.slow
async def test_without_confirmation_it_waits_before_the_cut_over(media: Restoring) -> None:
    await media.backup()
    run_sql(media.database, "TRUNCATE public.users CASCADE")
    ready = await media.restore(confirmed=False)
    assert ready.phase is Phase.READY
    assert media.ask(USERS) == 0, "the live database was touched"
    # Another restore may not begin meanwhile.
    with pytest.raises(ActionRefused, match="is not over"):
        await media.restore()
    done = await media.go_on(ready, "resume", confirmed=True)
    assert done.phase is Phase.DONE
    assert media.ask(USERS) != 0


@pytest.mark.slow
async def test_an_abort_leaves_only_the_live_database(media: Restoring) -> None:
    await media.backup()
    ready = await media.restore(confirmed=False)
    assert len(media.databases()) == 2
    aborted = await media.go_on(ready, "abort")
    assert aborted.phase is Phase.ABORTED
    assert media.databases() == {media.name}
    with pytest.raises(ActionRefused, match="cannot resume"):
        await media.go_on(aborted, "resume")


@pytest.mark.slow
async def test_a_lost_database_comes_back_with_its_settings_and_grants(media: Restoring) -> None:
    name = sql.Identifier(media.name)
    run_sql(
        media.database,
        sql.SQL("ALTER DATABASE {} SET work_mem = '11MB'").format(name),
        sql.SQL("ALTER ROLE medianest IN DATABASE {} SET lock_timeout = '9s'").format(name),
        sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name),
        sql.SQL("GRANT CONNECT ON DATABASE {} TO medianest WITH GRANT OPTION").format(name),
        sql.SQL("COMMENT ON DATABASE {} IS 'the one'").format(name),
    )
    facts = (
        "SELECT concat(ARRAY(SELECT a::text FROM unnest(datacl) AS a ORDER BY 1), '|',"
        " shobj_description(oid, 'pg_database'), '|', datdba::regrole,"
        " (SELECT string_agg(concat(setrole::regrole, setconfig), ';' ORDER BY setrole)"
        "  FROM pg_db_role_setting WHERE setdatabase = d.oid))"
        " FROM pg_database AS d WHERE datname = current_database()"
    )
    before, content = media.ask(facts), await media.dumped()
    await media.backup()
    with psycopg.connect(**{**media.database, "dbname": "postgres"}, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
    done = await media.restore(safety=True, confirmed=False)
    assert done.phase is Phase.DONE, done.state
    assert media.ask(facts) == before
    assert await media.dumped() == content
    assert done.actions == ()


@pytest.mark.slow
async def test_into_another_name_leaves_the_live_one_alone(media: Restoring) -> None:
    other = f"{media.name}_copy"
    owned: dict[str, Any] = {"owner": "medianest", "privileges": False}
    refused = await media.backup()
    with pytest.raises(ActionRefused, match="pg_stat_statements"):
        await media.restore(refused.id, into=other, **owned)
    run_sql(media.database, "DROP EXTENSION pg_stat_statements")
    await media.backup()
    run_sql(media.database, "TRUNCATE public.users CASCADE")
    done = await media.restore(into=other, confirmed=False, **owned)
    try:
        assert done.phase is Phase.DONE, done.state
        assert media.ask(USERS) == 0
        assert media.ask(USERS, other) != 0
        owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'users'"
        assert media.ask(owner, other) == "medianest"
        with pytest.raises(ActionRefused, match="already"):
            await media.restore(into=other)
    finally:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(other))
        run_sql({**media.database, "dbname": "postgres"}, drop)


@pytest.mark.slow
async def test_any_dump_file_is_accepted_and_its_rows_are_compared(
    media: Restoring, tmp_path: Path
) -> None:
    before = await media.dumped()
    path = tmp_path / "by hand.sql"
    path.write_text("\n".join(before) + "\n")
    run_sql(media.database, "TRUNCATE public.users CASCADE")
    done = await media.restore(str(path))
    assert done.phase is Phase.DONE, done.state
    assert await media.dumped() == before
    (rows, *_) = done.state.data["validate"]["checks"]
    assert rows[1] == "pass"


@pytest.mark.slow
async def test_hooks_surround_the_cut_over(media: Restoring, tmp_path: Path) -> None:
    from console.restore.options import Hooks

    await media.backup()
    first, last = tmp_path / "stopped", tmp_path / "started"
    done = await media.restore(hooks=Hooks(f"touch '{first}'", f"mv '{first}' '{last}'"))
    assert done.phase is Phase.DONE
    assert last.exists()
    await media.go_on(done, "finish")
    failed = await media.restore(hooks=Hooks("false", "true"))
    assert failed.phase is Phase.READY
    assert "false" in failed.state.failure["message"]
    assert failed.exit_code is ExitCode.FAILURES
    await media.go_on(failed, "abort")


async def test_a_truncated_archive_is_refused_before_anything_is_done(media: Restoring) -> None:
    backup = await media.backup()
    archive = backup.archive_path
    assert archive is not None
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    plan = await media.plan(backup.id)
    assert not plan.may_begin
    assert "failure" in plan_text(plan)
    with pytest.raises(ActionRefused):
        await media.restore(backup.id)
    # The same as a file without a history: only reading all of it tells.
    bare = media.root / "bare.dump"
    bare.write_bytes(archive.read_bytes())
    with pytest.raises(ActionRefused):
        await media.restore(str(bare))
    assert media.databases() == {media.name}


@pytest.mark.slow
async def test_a_missing_role_is_named_and_created_unless_that_is_refused(
    media: Restoring,
) -> None:
    admin = {**media.database, "dbname": "postgres"}
    run_sql(admin, "CREATE ROLE gone_by_then")
    run_sql(media.database, "GRANT SELECT ON public.users TO gone_by_then")
    await media.backup()
    run_sql(media.database, "DROP OWNED BY gone_by_then")
    run_sql(admin, "DROP ROLE gone_by_then")
    try:
        with pytest.raises(ActionRefused, match="no role gone_by_then"):
            await media.restore(create_roles=False)
        done = await media.restore()
        assert done.phase is Phase.DONE
        granted = "SELECT has_table_privilege('gone_by_then', 'public.users', 'SELECT')"
        assert media.ask(granted) is True
        await media.go_on(done, "finish")
    finally:
        run_sql(media.database, "DROP OWNED BY gone_by_then")
        run_sql(admin, "DROP ROLE IF EXISTS gone_by_then")
