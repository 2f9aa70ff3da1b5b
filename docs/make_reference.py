"""Make the reference from the program: docs/keys.md, commands.md, settings.md, checks.md.

python docs/make_reference.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from reference import commands, keys, settings

from console.checks.catalogue import as_markdown

ROOT = Path(__file__).parent.parent

PAGES: Mapping[str, Callable[[], str]] = {
    "docs/keys.md": keys.page,
    "docs/commands.md": commands.page,
    "docs/settings.md": settings.page,
    "docs/checks.md": as_markdown,
}
"""Pages made whole."""

PARTS: Mapping[tuple[str, str], Callable[[], str]] = {("README.md", "tabs"): keys.tabs}
"""Parts of pages written by hand, between <!-- NAME --> and <!-- /NAME -->."""


def made() -> dict[Path, str]:
    """Every page that is made, whole or in part, as it should be. Changes nothing."""
    pages = {ROOT / name: page() for name, page in PAGES.items()}
    for (name, part), content in PARTS.items():
        path = ROOT / name
        pages[path] = _with_part(path.read_text(encoding="utf-8"), part, content())
    return pages


def _with_part(page: str, part: str, content: str) -> str:
    start, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
    before, found, rest = page.partition(start)
    assert found, f"the page has no {start.strip()}"
    return before + start + content + end + rest.partition(end)[2]


def main() -> None:
    for path, content in made().items():
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
