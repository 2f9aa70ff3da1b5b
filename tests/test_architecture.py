"""The house's rules: which way imports run, where SQL and terminals may be, how large a room is."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("queries", "console", "screens")
ALLOWED = {
    "queries": {"queries"},
    "console": {"queries", "console"},
    "screens": {"queries", "console", "screens"},
}
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every imported module with whether the import is inside a function."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in inside
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node in inside


def identity(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=identity)
def test_imports_run_upward_only(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for name, deferred in imports(path):
        top = name.partition(".")[0]
        if top in PACKAGES and top not in ALLOWED[package]:
            launches_the_app = package == "console" and name == "screens.app" and deferred
            assert launches_the_app, f"{identity(path)} imports {name}"
        if package != "screens":
            assert top not in ("textual", "rich", "plotext", "textual_plotext"), name
        else:
            assert top not in ("psycopg", "subprocess"), f"{identity(path)} imports {name}"


def test_the_app_is_launched_from_one_place() -> None:
    launchers = [
        identity(path)
        for path in MODULES
        if not identity(path).startswith("screens")
        and any(name.startswith("screens") for name, _deferred in imports(path))
    ]
    assert len(launchers) == 1, launchers


@pytest.mark.parametrize("path", MODULES, ids=identity)
def test_rooms_stay_small(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 500
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 60, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", MODULES, ids=identity)
def test_no_error_is_swallowed(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            names = (
                {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
                if node.type
                else {"everything"}
            )
            broad = names & {"Exception", "BaseException", "everything"}
            reraises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert not broad or reraises, f"line {node.lineno} catches everything"


def test_tests_lie_flat_so_that_none_shadows_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_command_line_starts_without_a_terminal_library() -> None:
    code = (
        "import sys, console.cli;"
        "heavy = {'textual', 'rich', 'plotext', 'sqlglot', 'psycopg', 'yaml'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
