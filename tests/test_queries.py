"""The folder of questions checks itself: names, headers, handles, and answers on each server."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import psycopg
import pytest

import queries
from console.local_server import LocalServer
from queries import Query

SQL = Path(queries.__file__).parent / "sql"
FILES = sorted(SQL.iterdir())

HANDLES: dict[str, Query[Any]] = {
    value.name: value
    for module in pkgutil.iter_modules(queries.__path__)
    for value in vars(import_module(f"queries.{module.name}")).values()
    if isinstance(value, Query)
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_named_by_noun_and_oldest_major(path: Path) -> None:
    assert re.fullmatch(r"[a-z_]+\.v(1[3-9])\.sql", path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_says_what_it_answers_and_what_it_needs(path: Path) -> None:
    header = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:2] == "--"]
    assert len(header) >= 2
    assert "Privileges:" in "\n".join(header)
    assert "PostgreSQL" in "\n".join(header)


def test_every_question_has_a_file_for_the_oldest_server_or_says_its_first() -> None:
    nouns = {path.name.partition(".v")[0] for path in FILES}
    assert nouns == set(HANDLES), "each .sql file has one Query handle, and each handle its file"


def test_the_newest_text_not_above_the_server_is_taken() -> None:
    assert "indnullsnotdistinct" not in queries.text("indexes", 140010)
    assert "indnullsnotdistinct" in queries.text("indexes", 150018)
    assert "indnullsnotdistinct" in queries.text("indexes", 180006)
    with pytest.raises(LookupError):
        queries.text("indexes", 120000)


@pytest.mark.parametrize("name", sorted(HANDLES))
def test_every_question_answers_with_the_fields_of_its_row(name: str, server: LocalServer) -> None:
    database: dict[str, Any] = {**server.conninfo("postgres")}
    with psycopg.connect(**database, autocommit=True) as connection:
        try:
            statement = queries.text(name, connection.info.server_version)
        except LookupError:
            pytest.skip("for newer servers only")
        if "{" in statement:
            pytest.skip("names its relations itself; tested where it is used")
        parameters = dict.fromkeys(re.findall(r"%\((\w+)\)s", statement))
        cursor = connection.execute(statement, parameters)
        found = [column.name for column in cursor.description or ()]
    assert found == [field.name for field in dataclasses.fields(HANDLES[name].row)]
