"""Playbooks: data that holds together, and walks over real trouble to named actions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run_sql
from sessions import stage

from console.cli import build_parser, main
from console.diagnose import (
    Condition,
    Facts,
    Playbook,
    Step,
    Walk,
    named,
    playbooks,
    walk,
)
from console.diagnose_evidence import EVIDENCE, Scene, gather
from console.documents import parse
from console.errors import ExitCode, QueryFailed, SettingsError
from console.session import Session
from console.target import Target

Database = dict[str, Any]

BOOKS = playbooks()

OWN = """
title: Own
says: "Mine."
first: count
steps:
  count:
    question: How many?
    sql: "SELECT 100 % 97 AS n, 'x'::text AS word, 1.5::numeric AS share, true AS flag"
    answers:
      - when: n = 3 and word = x and share > 1 and flag = yes
        say: "{n} of {word}."
        actions: [go]
      - say: "Something else."
    unknown: {say: "Not known."}
actions:
  go: {do: "Do {n}."}
"""


async def walked(book: Playbook, database: Database, backups: Path) -> Walk:
    target = Target("test", database)
    session = Session(target)
    scene = Scene(target, session, backups)
    try:
        return await walk(book, lambda step: gather(scene, step))
    finally:
        await session.close()


def test_the_six_troubles_are_there_in_their_order() -> None:
    assert list(BOOKS) == ["slow", "stuck", "connections", "disk", "cannot-connect", "deleted"]


@pytest.mark.parametrize("name", BOOKS)
def test_a_playbook_asks_only_for_evidence_that_there_is(name: str) -> None:
    book = BOOKS[name]
    assert {step.ask for step in book.steps.values()} <= set(EVIDENCE)
    used = {a for s in book.steps.values() for b in (*s.answers, s.unknown) for a in b.actions}
    assert used == set(book.actions), "every action is reached, and none is forgotten"
    reached = {book.first} | {b.go for s in book.steps.values() for b in (*s.answers, s.unknown)}
    assert set(book.steps) <= reached


@pytest.mark.parametrize("name", BOOKS)
def test_the_commands_a_playbook_names_are_commands_of_this_program(name: str) -> None:
    for remedy in BOOKS[name].actions.values():
        found = re.match(r"medianest-console (.+)", remedy.how)
        if found and not found[1].startswith("--") and "--help" not in found[1]:
            words = shlex.split(re.sub(r"\{\w+\}", "x", found[1]))
            assert build_parser().parse_args(words).run


@pytest.mark.parametrize("name", BOOKS)
async def test_a_walk_over_a_healthy_database_comes_to_its_end(
    name: str, medianest_db: Database, tmp_path: Path
) -> None:
    found = await walked(BOOKS[name], medianest_db, tmp_path)
    assert [visited.error for visited in found.visited if visited.error] == []
    for visited in found.visited:
        assert "{" not in visited.meaning
        assert " ? " not in visited.meaning, visited.meaning


@pytest.mark.parametrize("name", BOOKS)
async def test_a_walk_without_a_server_ends_too_and_says_what_to_do(
    name: str, tmp_path: Path
) -> None:
    gone = {"host": "127.0.0.1", "port": "1", "dbname": "gone", "user": "nobody"}
    found = await walked(BOOKS[name], gone, tmp_path)
    assert found.remedies


async def test_a_session_idle_in_its_transaction_is_found_at_the_root(
    empty_db: Database, tmp_path: Path
) -> None:
    run_sql(empty_db, "CREATE TABLE t (id int)")
    with stage(empty_db) as enter:
        root = enter("forgetful").does("BEGIN", "LOCK TABLE t")
        enter("victim").starts("SELECT * FROM t")
        for name in ("slow", "stuck"):
            book = BOOKS[name]
            found = await walked(book, empty_db, tmp_path)
            while not any(str(root.pid) in v.meaning for v in found.visited):
                found = await walked(book, empty_db, tmp_path)
            assert any("forgetful" in v.meaning for v in found.visited)
            assert any(str(root.pid) in remedy.how for remedy in found.remedies)


async def test_a_missing_database_and_a_refused_password_lead_elsewhere(
    empty_db: Database, limited_role: Callable[[Database], Database], tmp_path: Path
) -> None:
    missing = await walked(BOOKS["cannot-connect"], {**empty_db, "dbname": "nope"}, tmp_path)
    assert "not there" in missing.conclusion
    refused = {**empty_db, "user": "limited", "password": "wrong", "passfile": "/dev/null"}
    limited_role(empty_db)
    found = await walked(BOOKS["cannot-connect"], refused, tmp_path)
    assert "refuses the login" in found.conclusion
    assert "wrong" not in found.conclusion.replace("wrong password", "")


async def test_a_playbook_of_ones_own_needs_no_code(empty_db: Database, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(OWN)
    book = playbooks(tmp_path)["mine"]
    found = await walked(book, empty_db, tmp_path)
    assert found.conclusion == "3 of x."
    assert found.remedies[0].do == "Do 3."


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE made (id int)", "SELECT 1; DROP TABLE users", "SELECT nonsense"],
)
async def test_a_statement_of_a_playbook_can_only_look(
    empty_db: Database, tmp_path: Path, statement: str
) -> None:
    sql = "SELECT 100 % 97 AS n, 'x'::text AS word, 1.5::numeric AS share, true AS flag"
    book = parse(OWN.replace(sql, statement), Playbook, "own.yaml")
    found = await walked(book, empty_db, tmp_path)
    assert isinstance(found.visited[0].error, QueryFailed)
    assert found.conclusion == "Not known."


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("actions: [go]", "actions: [went]"), "an action 'went'"),
        (("first: count", "first: begin"), "a step 'begin'"),
        (('say: "Something else."', 'say: "x"\n        go: count'), "back to itself"),
        (("n = 3 and", "n is 3 and"), "FACT > NUMBER"),
        (("n = 3", "n > many"), "a number"),
        (('- say: "Something else."', '- when: n = 4\n        say: "x"'), "without 'when'"),
        (("sql:", "ask: sessions\n    sql:"), "either 'ask' or 'sql'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistaken_playbook_is_refused_with_its_line(
    change: tuple[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(complaint)) as caught:
        parse(OWN.replace(*change), Playbook, "own.yaml")
    assert re.match(r"own\.yaml:\d+: ", caught.value.message)


def test_an_unknown_trouble_names_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="Known troubles: slow, stuck"):
        named("lost", BOOKS)


@pytest.mark.parametrize(
    ("text", "facts", "holds"),
    [
        ("n > 2", {"n": 3}, True),
        ("n > 2", {"n": 2}, False),
        ("n > 2", {}, False),
        ("n > 2", {"n": None}, False),
        ("ok = yes", {"ok": True}, True),
        ("ok = no", {"ok": True}, False),
        ("word = pass", {"word": "pass"}, True),
        ("word != pass", {"word": "fail"}, True),
        ("n >= 1 and ok = yes", {"n": 1, "ok": False}, False),
    ],
)
def test_a_condition_holds_only_of_what_is_known(text: str, facts: Facts, holds: bool) -> None:
    assert Condition.from_text(text).holds(facts) is holds


async def test_an_unknown_answer_is_never_read_as_well() -> None:
    book = parse(OWN, Playbook, "own.yaml")

    async def fails(_step: Step) -> Facts:
        raise QueryFailed("No.")

    found = await walk(book, fails)
    assert found.conclusion == "Not known."
    assert found.visited[0].error is not None


def test_the_command_lists_the_troubles_where_nobody_can_be_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["diagnose"]) == ExitCode.OK
    assert "cannot-connect" in capsys.readouterr().out
