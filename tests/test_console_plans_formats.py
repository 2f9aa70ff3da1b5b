"""Plans in text, YAML and XML are read as their JSON would be, whatever was put around them."""

from __future__ import annotations

import json
from typing import Any

import plan_corpus
import psycopg
import pytest
from conftest import Database
from hypothesis import given, settings
from hypothesis import strategies as st

from console.plans.formats import read
from console.plans.tree import Plan, PlanUnreadable

FIGURES = (
    "Total Cost", "Plan Rows", "Plan Width", "Relation Name", "Index Name", "Alias", "Schema",
    "Filter", "Index Cond", "Hash Cond", "Join Type", "Subplan Name", "Strategy", "Partial Mode",
    "Parallel Aware", "Workers Planned", "Output", "Sort Key", "Operation", "CTE Name",
    "Join Filter", "One-Time Filter", "Group Key", "Command", "Parent Relationship", "Cache Key",
)  # fmt: skip


def outline(plan: Plan) -> list[tuple[int, str, dict[str, Any]]]:
    """What the formats must agree on."""
    return [
        (
            node.depth,
            node.title,
            {
                name: node.properties.get(name)
                for name in FIGURES
                if name in node.properties and not _is_implied(name, node.properties[name], node)
            },
        )
        for node in plan.nodes
    ]


def _is_implied(name: str, value: Any, node: Any) -> bool:
    """What only some formats say, or say in other words."""
    if name == "Parent Relationship" and (value in ("Outer", "Inner", "Member", "Subquery")):
        return True
    if name == "Group Key" and node.text_of("Strategy") == "Mixed":
        return True  # grouping sets are nested elsewhere in JSON
    if name in ("Strategy", "Command") and node.kind == "SetOp":
        return True
    if name in ("Relation Name", "Schema") and node.kind == "Foreign Scan":
        return True
    return name == "Schema" and node.kind in ("Function Scan", "Bitmap Index Scan")


def test_all_formats_tell_the_same_plan(empty_db: Database) -> None:
    plan_corpus.prepare(empty_db)
    with psycopg.connect(**empty_db, autocommit=True) as connection:
        for setting in plan_corpus.SETTINGS["parallel"]:
            connection.execute(setting.encode())
        for query in plan_corpus.QUERIES:
            told = {
                form: plan_corpus.explained(connection, query, f"VERBOSE, FORMAT {form}")
                for form in ("JSON", "TEXT", "YAML", "XML")
            }
            expected = outline(read(json.dumps(told.pop("JSON"))))
            for form, text in told.items():
                found = outline(read(text))
                assert [line[:2] for line in found] == [line[:2] for line in expected], text
                for got, wanted in zip(found, expected, strict=True):
                    assert got == wanted, (form, query)


def test_a_text_plan_carries_its_figures(empty_db: Database) -> None:
    plan_corpus.prepare(empty_db)
    with psycopg.connect(**empty_db, autocommit=True) as connection:
        connection.execute("SET work_mem = '64kB'; SET max_parallel_workers_per_gather = 0")
        text = plan_corpus.explained(
            connection,
            "SELECT genre, count(*) FROM film JOIN loan ON loan.film_id = film.id"
            " WHERE title LIKE '%1%' GROUP BY genre, title ORDER BY title",
            "ANALYZE, BUFFERS, SETTINGS, WAL",
        )
    plan = read(text)
    assert plan.execution_ms
    assert plan.planning_ms
    assert plan.settings["work_mem"] == "64kB"
    assert sum(node.exclusive_ms or 0 for node in plan.nodes) == pytest.approx(
        plan.root.measured_ms
    )
    merged: dict[str, Any] = {}
    for node in plan.nodes:
        merged |= node.properties
    assert merged["Sort Space Type"] == "Disk"
    assert merged["Sort Space Used"] > 0
    assert merged["Rows Removed by Filter"] > 0
    assert merged["Shared Hit Blocks"] > 0


TEXT = """\
 Nested Loop  (cost=0.29..16.34 rows=1 width=18) (actual time=0.030..2.500 rows=3.00 loops=1)
   Buffers: shared hit=10 read=2
   I/O Timings: shared read=1.250
   InitPlan 1
     ->  Result  (cost=0.00..0.01 rows=1 width=4) (actual time=0.500..0.500 rows=1.00 loops=1)
   ->  Index Scan Backward using "Film Key" on "Odd"."Film's" f  (cost=0.29..8.30 rows=1 width=14) (actual time=0.600..1.000 rows=3.00 loops=1)
         Index Cond: ((id > 5) AND (id < (InitPlan 1).col1))
         Index Searches: 1
   ->  Seq Scan on genre  (cost=0.00..8.00 rows=1 width=4) (actual time=0.100..0.400 rows=1.00 loops=3)
         Filter: (name = 'a: b (c'::text)
         Rows Removed by Filter: 39
 Planning:
   Buffers: shared hit=7
 Planning Time: 0.250 ms
 JIT:
   Functions: 4
   Options: Inlining false, Optimization false, Expressions true, Deforming true
   Timing: Generation 0.500 ms (Deform 0.100 ms), Inlining 0.000 ms, Optimization 0.200 ms, Emission 0.300 ms, Total 1.000 ms
 Trigger for constraint film_fk on film: time=0.700 calls=9
 Settings: work_mem = '64kB', search_path = '"$user", public'
 Execution Time: 2.700 ms
"""  # noqa: E501


def check_sample(plan: Plan) -> None:
    assert [node.title for node in plan.nodes] == [
        "Nested Loop",
        "Result",
        'Index Scan Backward using "Film Key" on "Odd"."Film\'s" f',
        "Seq Scan on genre",
    ]
    assert [node.depth for node in plan.nodes] == [0, 1, 1, 1]
    assert [node.exclusive_ms for node in plan.nodes] == pytest.approx([0.3, 0.5, 0.5, 1.2])
    assert plan.nodes[3].text_of("Filter") == "(name = 'a: b (c'::text)"
    assert plan.nodes[3].number_of("Rows Removed by Filter") == 39
    assert plan.execution_ms == 2.7


def test_a_text_plan_is_read_to_its_last_line() -> None:
    plan = read(TEXT)
    check_sample(plan)
    assert plan.planning_ms == 0.25
    assert plan.jit_ms == 1.0
    assert plan.triggers[0].name == "film_fk"
    assert plan.settings == {"work_mem": "64kB", "search_path": '"$user", public'}
    assert plan.root.own_io_ms == 1.25
    assert plan.root.properties["Shared Read Blocks"] == 2


def framed(left: str, right: str, rule: str) -> str:
    lines = TEXT.splitlines()
    width = max(map(len, lines))
    body = [f"{left}{line:<{width}} {right}" for line in lines]
    title = f"{left}{'QUERY PLAN':^{width}} {right}"
    return "\n".join([rule * width, title, rule * width, *body, rule * width, "(21 rows)", ""])


@pytest.mark.parametrize(
    "around",
    [
        f"QUERY PLAN\n----------\n{TEXT}(21 rows)\n\n",
        f"shop=# EXPLAIN ANALYZE SELECT 1;\n{TEXT}",
        TEXT.replace("\n", "\r\n"),
        framed("|", "|", "-"),
        framed("│", "│", "─"),
        "\n".join('"' + line.replace('"', '""') + '"' for line in TEXT.splitlines()),
        "﻿" + TEXT,
        "\n".join("    " + line for line in TEXT.splitlines()),
    ],
    ids=["psql", "prompt", "crlf", "border", "unicode", "csv", "bom", "indented"],
)
def test_what_stands_around_a_text_plan_is_taken_off(around: str) -> None:
    check_sample(read(around))


@pytest.mark.parametrize("width", [60, 72, 80, 100])
def test_a_plan_wrapped_by_a_terminal_is_put_together(width: int) -> None:
    lines: list[str] = []
    for line in TEXT.splitlines():
        lines += [line[n : n + width] for n in range(0, len(line), width)]
    plan = read("\n".join(lines))
    assert [node.kind for node in plan.nodes] == ["Nested Loop", "Result", "Index Scan", "Seq Scan"]
    assert [node.exclusive_ms for node in plan.nodes] == pytest.approx([0.3, 0.5, 0.5, 1.2])


@pytest.mark.parametrize(
    ("line", "timed"),
    [
        ("Seq Scan on t  (cost=0.00..1.00 rows=5 width=4)", False),
        ("Seq Scan on t  (actual time=0.010..0.020 rows=5 loops=1)", True),
        ("Seq Scan on t  (actual rows=5 loops=1)", False),
        ("Seq Scan on t  (cost=0.00..1.00 rows=5 width=4) (actual rows=5.00 loops=1)", False),
        ("Seq Scan on t  (cost=0.00..1.00 rows=5 width=4) (never executed)", False),
    ],
)
def test_costs_and_times_may_be_left_out(line: str, timed: bool) -> None:
    plan = read(line)
    assert plan.root.title == "Seq Scan on t"
    assert plan.is_timed == timed


def test_json_of_psql_and_of_auto_explain_is_read() -> None:
    plan = [{"Plan": {"Node Type": "Seq Scan", "Relation Name": "t", "Alias": "t"}}]
    shown = json.dumps(plan, indent=2)
    continued = "\n".join(f" {line:<40}+" for line in shown.splitlines()[:-1]) + "\n ]\n(1 row)\n"
    logged = f"LOG:  duration: 5 ms  plan:\n\t{json.dumps(plan[0] | {'Query Text': 'x'}, indent=1)}"
    for text in (shown, continued, logged, "QUERY PLAN\n" + shown):
        assert read(text).root.title == "Seq Scan on t"
    assert read(logged).query == "x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  \n ",
        "hello",
        "[]",
        "{}",
        "[1, 2]",
        '[{"Plan": 3}]',
        '[{"Plan": {"Node Type": "Sort", "Plans": [7]}}]',
        '[{"Plan": {"Node Type": "Sort", ',
        '[{"Plan": {"Node Type": "Sort", "Total Cost": NaN}}]',
        "[" * 100_000,
        "- Plan: &a\n    Node Type: Sort\n    Plans: [*a]",
        "- Plan:\n  Node Type: [",
        "<explain><Query><Plan>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><explain/>",
        "<explain xmlns='x'><Query/></explain>",
        "Seq Scan on t  (cost=a..b rows=1 width=4)",
        "Limit  (cost=0.00..1.00 rows=1 width=4)\n  ->  Nonsense (cost=0.00..1.00 rows=1 width=4)",
    ],
)
def test_what_is_no_plan_says_so_in_a_line(text: str) -> None:
    with pytest.raises(PlanUnreadable) as caught:
        read(text)
    assert "\n" not in str(caught.value)


SEEDS = (TEXT, json.dumps([{"Plan": {"Node Type": "Sort", "Plans": [{"Node Type": "Result"}]}}]))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_input_breaks_the_reader(data: st.DataObject) -> None:
    text = data.draw(st.one_of(st.text(max_size=300), st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 40))
        text = text[:at] + data.draw(st.text(max_size=12)) + text[at + length :]
    complaint = ""
    try:
        assert read(text).nodes
    except PlanUnreadable as error:
        complaint = str(error)
    assert "\n" not in complaint
