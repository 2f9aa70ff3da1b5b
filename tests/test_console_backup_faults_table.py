"""The page of faults is true: its tests exist, and no test of a fault is left out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from test_console_backup_faults_archive import FOUND_BY_THE_HASH_ALONE

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| `(\w+)` \|$", re.MULTILINE)
LEAST = 46
HARMLESS = {
    "test_the_tier_and_settings_reach_the_manifest",
    "test_a_running_restore_can_be_aborted",
}
"""Beside the faults, of what is no fault."""


def names_in(pattern: str) -> set[str]:
    return {
        node.name
        for path in TESTS.glob(pattern)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_fault_in_the_page_is_a_test() -> None:
    rows = ROW.findall(PAGE)
    assert [int(number) for number, *_ in rows] == list(range(1, len(rows) + 1))
    assert len(rows) >= LEAST
    named = [row[3] for row in rows]
    assert len(set(named)) == len(named)
    tests = names_in("test_console_backup_*.py") | names_in("test_console_restore_*.py")
    assert set(named) - tests == set()


def test_every_test_of_a_fault_is_in_the_page() -> None:
    named = {row[3] for row in ROW.findall(PAGE)}
    tests = names_in("test_console_backup_faults*.py") | names_in("test_console_restore_faults*.py")
    assert tests - named - names_in(Path(__file__).name) - HARMLESS == set()


def test_what_only_the_hash_finds_is_what_was_measured() -> None:
    for (archive, compression), at_most in FOUND_BY_THE_HASH_ALONE.items():
        assert f"| {archive} | {compression} | {at_most} of 50 |" in PAGE
