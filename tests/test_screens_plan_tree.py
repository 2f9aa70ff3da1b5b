"""The plan's tree: every node within reach, branches that fold, and SQL that is coloured."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_console_plans_tree import node, plan_of
from test_screens_plans import console, explained, opened, screen, settled

from screens.plan_tree import PlanTree
from screens.plan_view import lines
from screens.plans import PlansTab
from screens.sql_editor import spans

NOWHERE = {"host": "/nonexistent", "dbname": "none"}


def document(leaves: int) -> str:
    """An Append over joins of two scans each."""
    joins = [
        node("Nested Loop", 1, node("Seq Scan", 0.4, Alias=f"t{n}"), node("Index Scan", 0.1))
        for n in range(leaves)
    ]
    return json.dumps([{"Plan": node("Append", 9 * leaves, *joins)}])


@pytest.mark.slow
async def test_the_last_of_five_thousand_nodes_is_a_key_away() -> None:
    async with console(NOWHERE).run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await explained(pilot, tab, document(1700))
        assert tab.table.row_count == 5101
        await pilot.press("end", "up")
        assert "t1699" in str(tab.table.selected and tab.table.selected.node.title)
        await settled(pilot, lambda: "t1699" in screen(pilot.app))
        await pilot.press("home")
        await settled(pilot, lambda: "Append" in screen(pilot.app))


async def test_a_branch_is_folded_and_the_filter_narrows_what_is_left() -> None:
    async with console(NOWHERE).run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await explained(pilot, tab, document(3))
        await pilot.press("home", "down", "left")
        assert tab.table.row_count == 8
        await settled(pilot, lambda: "▸ Nested Loop" in screen(pilot.app))
        await pilot.press("right")
        assert tab.table.row_count == 10
        await pilot.press("down", "left")
        assert selected(tab) == "Nested Loop"
        await pilot.press("slash", *"on t2", "enter")
        await settled(pilot, lambda: tab.table.row_count == 1)
        assert selected(tab) == "Seq Scan on t2"


def selected(tab: PlansTab) -> str:
    assert tab.table.selected is not None
    return tab.table.selected.node.title


async def test_a_click_selects_and_a_second_one_opens() -> None:
    async with console(NOWHERE).run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        await explained(pilot, tab, document(3))
        await pilot.click(PlanTree, offset=(30, 3))
        assert selected(tab) == "Seq Scan on t0"
        await pilot.click(PlanTree, offset=(30, 3))
        await settled(pilot, lambda: "#2 Seq Scan on t0" in screen(pilot.app))


def test_a_line_knows_its_node() -> None:
    plan = plan_of(node("Limit", 2, node("Seq Scan", 1)))
    assert [line.node.title for line in lines(plan, ())] == ["Limit", "Seq Scan"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 'from'", [("select", "keyword"), ("'from'", "string")]),
        ('SELECT "from"', [("SELECT", "keyword")]),
        ("-- select\nLIMIT $1", [("-- select\n", "comment"), ("LIMIT", "keyword"),
                                 ("$1", "number")]),
        ("/* a /* nested */ from */ x", [("/* a /* nested */ from */ ", "comment")]),
        ("$$ from $$", [("$$ from $$", "string")]),
    ],
)  # fmt: skip
def test_sql_is_coloured_as_the_server_reads_it(text: str, expected: list[Any]) -> None:
    assert [(text[start:end], kind) for start, end, kind in spans(text)] == expected


async def test_colours_stand_where_the_words_are_also_after_wide_letters() -> None:
    async with console(NOWHERE).run_test(size=(80, 24)) as pilot:
        tab = await opened(pilot)
        tab.editor.load_text("SELECT 'é漢'\n FROM t -- x\n/* 1\n2 */")
        await pilot.pause()
        assert dict(tab.editor._highlights) == {
            0: [(0, 6, "keyword"), (7, 14, "string")],
            1: [(1, 5, "keyword"), (7, 12, "comment")],
            2: [(0, 4, "comment")],
            3: [(0, 4, "comment")],
        }
