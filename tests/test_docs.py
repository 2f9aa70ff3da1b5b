"""The pages say what the program does, because they are made from it."""

from __future__ import annotations

import re
from pathlib import Path

import make_reference
import pytest
from reference.settings import docstrings

from console.documents import parse
from console.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", make_reference.made(), ids=lambda page: page.name)
def test_the_reference_is_as_the_program_makes_it(page: Path) -> None:
    up_to_date = page.read_text(encoding="utf-8") == make_reference.made()[page]
    assert up_to_date, f"{page.name} is old: run .venv/bin/python docs/make_reference.py"


def test_the_settings_in_the_reference_are_valid() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    example = page.partition("```yaml")[2].partition("```")[0]
    assert parse(example, Settings, "settings.md").targets["home"].profile == "medianest"


def test_a_setting_is_told_by_the_docstring_under_its_field() -> None:
    assert docstrings(Settings)["read_only"] == "Leave out every action that changes something."


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_links_to_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_can_be_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    reached = "".join(
        (ROOT / "docs" / name).read_text(encoding="utf-8")
        for name in re.findall(r"\]\(docs/(\w+\.md)\)", readme)
    )
    for page in (ROOT / "docs").glob("*.md"):
        assert f"({page.name})" in reached or f"(docs/{page.name})" in readme, page.name


def test_the_tests_that_hold_the_promises_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    promises = readme.partition("<!-- promises -->")[2].partition("<!-- /promises -->")[0]
    named = set(re.findall(r"`(test_\w+)`", promises))
    written = {
        name
        for path in (ROOT / "tests").glob("test_*.py")
        for name in re.findall(
            r"^(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), re.M
        )
    }
    assert len(named) > 10
    assert named - written == set()
