"""Plans compared before and after an index, kept, exported, and explained on the command line."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import plan_corpus
import pytest
from conftest import Database, run_sql
from test_console_plans_tree import node, plan_of

from console.cli import main
from console.plans import compare as comparing
from console.plans.compare import Change, compare
from console.plans.explain import Explained, Options, explain
from console.plans.export import as_json, as_markdown, as_text
from console.plans.files import looks_like_a_plan, open_file, save
from console.plans.formats import read
from console.plans.history import KEPT_PER_STATEMENT, History, fingerprint
from console.plans.tree import PlanUnreadable
from console.target import Target

QUERY = "SELECT g.name, f.title FROM film f JOIN genre g ON g.id = f.genre WHERE f.title = 'film 9'"


@pytest.fixture
def films(empty_db: Database) -> Database:
    plan_corpus.prepare(empty_db)
    return empty_db


async def explained(database: Database, text: str = QUERY) -> Explained:
    return await explain(Target("test", database), text, Options(analyze=True))


async def test_an_index_shows_node_by_node(films: Database) -> None:
    before = await explained(films)
    run_sql(films, "CREATE INDEX film_title ON film (title)", "ANALYZE film")
    after = await explained(films)
    found = compare(before.plan, after.plan)
    scans = [
        pair
        for pair in found.pairs
        if pair.before and pair.before.text_of("Relation Name") == "film"
    ]
    assert len(scans) == 1
    assert scans[0].change is Change.OTHER_WAY
    assert scans[0].after is not None
    assert "film_title" in scans[0].after.title
    assert (scans[0].own_ms_change or 0) < 0
    assert (found.factor or 0) > 1
    assert "as fast" in found.headline
    text = comparing.as_text(found)
    assert "(was Seq Scan)" in text
    paired = [pair.before.number for pair in found.pairs if pair.before]
    assert sorted(paired) == [one.number for one in before.plan.nodes]
    assert sorted(p.after.number for p in found.pairs if p.after) == [
        one.number for one in after.plan.nodes
    ]


def test_what_is_gone_and_what_is_new_is_told() -> None:
    scan = node("Seq Scan", 10, Relation_Name="t", Alias="t")
    found = compare(plan_of(node("Sort", 15, scan)), plan_of(node("Limit", 11, scan)))
    changes = {(p.after or p.before).kind: p.change for p in found.pairs}  # type: ignore[union-attr]
    assert changes == {"Sort": Change.GONE, "Limit": Change.NEW, "Seq Scan": Change.SAME}
    assert not found.is_same_shape
    assert compare(plan_of(scan), plan_of(scan)).is_same_shape


def test_plans_without_times_are_compared_by_cost_and_say_so() -> None:
    plan = read(json.dumps([{"Plan": {"Node Type": "Result", "Total Cost": 5.0}}]))
    assert "costs are no times" in compare(plan, plan).headline


async def test_plans_are_kept_per_statement_for_their_owner_alone(
    films: Database, tmp_path: Path
) -> None:
    history = History("films @ here/there", tmp_path)
    first = history.keep(await explained(films))
    again = history.keep(await explained(films, f"{QUERY.lower().replace('film 9', 'film 9')} ;"))
    other = history.keep(await explained(films, "SELECT 1"))
    assert [kept.path for kept in history.plans(QUERY)] == [again.path, first.path]
    assert [kept.path for kept in history.statements()] == [other.path, again.path]
    assert first.plan().root.title == (await explained(films)).plan.root.title
    assert stat.S_IMODE(first.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.path.parent.stat().st_mode) == 0o700
    first.path.write_text("{")
    assert [kept.path for kept in history.plans(QUERY)] == [again.path]
    with pytest.raises(PlanUnreadable):
        first.plan()
    for _ in range(KEPT_PER_STATEMENT + 3):
        history.keep(await explained(films, "SELECT 1"))
    assert len(history.plans("SELECT 1")) == KEPT_PER_STATEMENT


def test_a_statement_is_the_same_however_it_is_spaced() -> None:
    assert fingerprint("SELECT  1 -- one\n;") == fingerprint("select 1")
    assert fingerprint("SELECT 'A'") != fingerprint("SELECT 'a'")
    assert fingerprint('SELECT "A"') != fingerprint("SELECT A")


async def test_exports_can_be_read_and_say_the_same(films: Database, tmp_path: Path) -> None:
    plan = (await explained(films)).plan
    text, markdown = as_text(plan), as_markdown(plan)
    document = json.loads(as_json(plan))
    assert [one["Title"] for one in document[0]["Console"]["Nodes"]] == [
        one.title for one in plan.nodes
    ]
    assert read(as_json(plan)).root.title == plan.root.title
    for one in plan.nodes:
        assert one.title in text
        assert one.title.replace("_", "\\_") in markdown
    assert "execution:" in text
    assert "sequential" in as_json(plan) or "Advice:" not in text
    for form in ("text", "json", "markdown"):
        path = save(plan, form)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not isinstance(open_file(save(plan, "json")), str)


def test_a_server_cannot_write_to_the_terminal_through_a_plan() -> None:
    plan = plan_of(node("Seq Scan", 90, Alias="\x1b[31m[/red]|x", Filter="\x1b]0;y\x07"))
    assert "\x1b" not in as_text(plan) + as_markdown(plan)


def test_a_plan_is_told_from_a_statement(tmp_path: Path) -> None:
    assert looks_like_a_plan("Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)")
    assert looks_like_a_plan('\n [ {"Plan"')
    assert not looks_like_a_plan("SELECT cost FROM t WHERE (cost = 5)")
    (tmp_path / "q.sql").write_text("SELECT 1")
    assert open_file(tmp_path / "q.sql") == "SELECT 1"
    with pytest.raises(PlanUnreadable):
        open_file(tmp_path / "none")


def dsn(database: Database) -> str:
    return " ".join(f"{name}={value}" for name, value in database.items())


def test_explain_on_the_command_line(
    films: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--dsn", dsn(films), "explain"]
    assert main([*where, "--query", QUERY, "--analyze", "--format", "json"]) == 0
    before = tmp_path / "before.json"
    before.write_text(capsys.readouterr().out)
    run_sql(films, "CREATE INDEX film_title ON film (title)", "ANALYZE film")
    assert main([*where, "--query", QUERY, "--analyze", "--compare", str(before)]) == 0
    assert "film_title" in capsys.readouterr().out
    assert main(["explain", str(before), "--format", "markdown"]) == 0
    assert "# Query plan" in capsys.readouterr().out
    values = ["--value", "7", "--value", "NULL"]
    query = "SELECT * FROM film WHERE id = $1 OR title = $2"
    assert main([*where, "--query", query, "--analyze", *values]) == 0
    assert main([*where, "--query", query]) == 0
    assert "generic plan" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--query", "DELETE FROM note", "--analyze"], "Not undone by a rollback"),
        (["--query", "DROP TABLE note"], "is not a statement with a plan"),
        (["--query", "SELECT FROM nothing"], "does not exist"),
        (["--query", "SELECT $1::int", "--analyze"], "parameters without values"),
        (["/nowhere/plan.json"], "cannot be read"),
        (["--query", "DELETE FROM note", "--analyze", "--write", "--read-only"], "--read-only"),
    ],
)
def test_what_cannot_be_explained_says_so(
    films: Database, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert main(["--dsn", dsn(films), "explain", *arguments]) == 3
    assert words in capsys.readouterr().err


def test_a_confirmed_write_on_the_command_line_is_rolled_back(
    films: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explain", "--query", "DELETE FROM note", "--analyze", "--write"]
    assert main(["--dsn", dsn(films), *command]) == 0
    assert "rolled back" in capsys.readouterr().err
    found: dict[str, Any] = {}
    import psycopg

    with psycopg.connect(**films) as connection:
        found["notes"] = connection.execute("SELECT count(*) FROM note").fetchone()
    assert found["notes"] == (500,)
