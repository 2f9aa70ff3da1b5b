"""The README says what the program does, because it is made from the same tables."""

from __future__ import annotations

from pathlib import Path

from console.documents import parse
from console.settings import Settings
from screens.app import TABS
from screens.keys import keys_table

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def between(start: str, end: str) -> str:
    return README.partition(start)[2].partition(end)[0].strip()


def test_the_keys_in_the_readme_are_those_of_the_program() -> None:
    titles = {entry.identity: entry.title for entry in TABS}
    assert between("<!-- keys -->", "<!-- /keys -->") == keys_table(titles).strip()


def test_every_tab_is_in_the_readme_with_its_number() -> None:
    for entry in TABS:
        assert f"| {entry.key} | {entry.title} |" in README


def test_the_settings_in_the_readme_are_valid() -> None:
    settings = parse(between("```yaml", "```"), Settings, "README.md")
    assert settings.targets["home"].profile == "medianest"


def test_the_pictures_in_the_readme_exist() -> None:
    root = Path(__file__).parent.parent
    pictures = [part.partition(")")[0] for part in README.split("](docs/screenshots/")[1:]]
    assert pictures
    for picture in pictures:
        assert (root / "docs" / "screenshots" / picture).stat().st_size > 1000
