"""Addresses of every kind become a target, and no password leaves it."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Database, run_sql

from console.errors import DatabaseMissing, PasswordRefused, SettingsError
from console.local_server import LocalServer
from console.session import Session
from console.settings import Settings, TargetSettings, choose_target
from console.target import from_dsn, from_environment, with_password_file
from queries.server import SERVER

SECRET = "hunter2"


def test_a_prisma_address_is_accepted_with_all_its_parameters() -> None:
    target = from_dsn(
        f"postgresql://user:{SECRET}@db.example:6432/medianest?schema=app&connection_limit=20"
        "&pool_timeout=30&pgbouncer=true&sslaccept=strict&connect_timeout=9"
    )
    assert target.schema == "app"
    assert target.through_pooler
    assert target.parameters["connect_timeout"] == "9"
    assert target.label == "medianest @ db.example:6432"
    assert not {"schema", "pgbouncer", "sslaccept", "pool_timeout"} & set(target.parameters)


def test_prismas_strict_certificate_is_the_authority_to_trust() -> None:
    target = from_dsn("postgresql://h/d?sslaccept=strict&sslcert=/ca.pem")
    assert target.parameters["sslrootcert"] == "/ca.pem"
    assert target.parameters["sslmode"] == "verify-full"
    assert "sslcert" not in target.parameters


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://u:{SECRET}@h/d?bogus=1",
        f"postgresql://u:{SECRET}@h:not_a_port:1/d",
        f"postgresql://u:{SECRET}%zz@h/d",
        f"host=h password='{SECRET}",
        f"mysql://u:{SECRET}@h/d",
        f"postgresql://u:a/{SECRET}@h/d",
        f"postgresql://u:12/{SECRET}@h/d",
        f"postgresql://u:a?{SECRET}@h/d",
        f"postgresql://u:{SECRET}@[::1/d",
    ],
)
def test_an_address_that_cannot_be_read_does_not_show_its_password(dsn: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_dsn(dsn)
    assert SECRET not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("dsn", "label"),
    [
        ("postgresql://h/d", "d @ h:5432"),
        ("postgresql://u:p%2Fw@h:6000/d", "d @ h:6000"),
        ("postgresql://u@[::1]:6000/d", "d @ ::1:6000"),
        ("postgresql://u@[::1]/d", "d @ ::1:5432"),
        ("postgresql://u@a:1,b:2/d", "d @ a,b:1,2"),
        ("postgresql:///d?host=/run/postgresql", "d @ socket /run/postgresql"),
        ("postgres://%2Frun%2Fpostgresql/d", "d @ socket /run/postgresql"),
    ],
)
def test_addresses_that_libpq_takes_are_taken(dsn: str, label: str) -> None:
    assert from_dsn(dsn).label == label


def test_a_target_shows_no_password() -> None:
    target = from_dsn(f"postgresql://u:{SECRET}@h/d")
    settings = Settings(targets={"a": TargetSettings(f"postgresql://u:{SECRET}@h/d")})
    assert SECRET not in f"{target!r} {target} {target.label} {settings!r}"


def test_where_it_is_comes_from_libpqs_own_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "elsewhere")
    monkeypatch.setenv("PGPORT", "7777")
    monkeypatch.setenv("PGDATABASE", "theirs")
    assert from_environment({}).label == "theirs @ elsewhere:7777"
    assert from_dsn("host=/run/postgresql dbname=x").place == "socket /run/postgresql"


def test_a_target_that_nobody_named_has_the_name_of_its_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGUSER", "somebody")
    assert from_environment({}).name == "somebody"


def test_the_order_in_which_a_database_is_chosen() -> None:
    settings = Settings(
        target="home",
        targets={
            "home": TargetSettings("postgresql://h/home"),
            "other": TargetSettings("postgresql://h/other", profile="medianest"),
        },
    )
    url = {"DATABASE_URL": "postgresql://h/url"}
    assert choose_target(settings, url, "postgresql://h/dsn", "other").dbname == "dsn"
    assert choose_target(settings, url, None, "other").dbname == "other"
    assert choose_target(settings, url, None, "other").profile == "medianest"
    assert choose_target(settings, url, None, None).dbname == "url"
    assert choose_target(settings, {}, None, None).dbname == "home"
    with pytest.raises(SettingsError, match=r"no target 'x'.*home, other"):
        choose_target(settings, {}, None, "x")


def test_a_password_file_gives_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\nsecond\n")
    target = with_password_file(from_dsn("postgresql://h/d"), file)
    assert target.parameters["password"] == SECRET
    file.write_text("")
    with pytest.raises(SettingsError, match="is empty"):
        with_password_file(target, file)
    with pytest.raises(SettingsError, match="cannot be read"):
        with_password_file(target, tmp_path / "none")


async def test_a_prisma_address_opens_a_real_session(
    server: LocalServer, medianest_db: Database
) -> None:
    run_sql(medianest_db, f"CREATE ROLE app LOGIN PASSWORD 'p@ss/{SECRET}'")
    try:
        address = f"127.0.0.1:{server.port}/{medianest_db['dbname']}?schema=public&pool_timeout=3"
        session = Session(from_dsn(f"postgresql://app:p%40ss%2F{SECRET}@{address}"))
        try:
            assert (await session.fetch_one(SERVER)).role == "app"
        finally:
            await session.close()
        with pytest.raises(PasswordRefused) as caught:
            await Session(from_dsn(f"postgresql://app:wrong-{SECRET}@{address}")).connection()
        assert SECRET not in str(caught.value)
    finally:
        run_sql(medianest_db, "DROP ROLE app")


async def test_a_missing_database_is_told_by_name(medianest_db: Database) -> None:
    target = from_dsn(" ".join(f"{k}={v}" for k, v in {**medianest_db, "dbname": "gone"}.items()))
    with pytest.raises(DatabaseMissing, match="'gone'"):
        await Session(target).connection()


async def test_a_service_file_names_the_database(
    medianest_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "services"
    lines = "\n".join(f"{key}={value}" for key, value in medianest_db.items())
    file.write_text(f"[home]\n{lines}\n")
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    session = Session(from_environment({"PGSERVICE": "home"}))
    monkeypatch.setenv("PGSERVICE", "home")
    try:
        assert (await session.fetch_one(SERVER)).database == medianest_db["dbname"]
    finally:
        await session.close()
