"""The tabs and every key, as Markdown, from screens.tabs and screens.keys."""

from __future__ import annotations

from collections.abc import Iterable

from screens.keys import EVERYWHERE, LAB, POINT_IN_TIME, WIZARD, WIZARD_EVERYWHERE, Key
from screens.keys import TABS as KEYS_OF_TABS
from screens.tabs import TABS

_HEAD = """\
# Keys

Made by `python docs/make_reference.py`; do not edit.

The same everywhere; lower case looks, upper case or a dialog acts, and `--read-only` removes what
acts. `?` explains the tab and its figures; `^p` finds any command by name.
"""
_FRONT = {"choose": "Choose", "preflight": "Preflight", "plan": "Plan", "status": "Status"}


def page() -> str:
    """docs/keys.md: the keys everywhere, tab by tab, and page by page of the emergency restore."""
    parts = [_HEAD, "\n## Everywhere\n\n"]
    parts.append(_table(EVERYWHERE, ["| `1`-`9`, `0` | Go to that tab. |"]))
    for entry in TABS:
        keys = KEYS_OF_TABS[entry.identity]
        parts.append(f"\n## {entry.key} {entry.title}\n\n{entry.question}\n")
        if keys:
            parts.append("\n" + _table(keys))
    parts.append("\n## Index lab\n\n" + _table(LAB))
    parts.append("\n## Point in time (w on Backups)\n\n" + _table(POINT_IN_TIME))
    parts.append("\n## F9 Emergency restore\n\n")
    parts.append(_table(WIZARD_EVERYWHERE))
    for name, keys in WIZARD.items():
        parts.append(f"\n### {_FRONT.get(name, name.capitalize())}\n\n" + _table(keys))
    return "".join(parts)


def tabs() -> str:
    """The table of tabs with the question each answers, for the README."""
    rows = [f"| {entry.key} | {entry.title} | {entry.question} |\n" for entry in TABS]
    return "| key | tab | what it answers |\n|---|---|---|\n" + "".join(rows)


def _table(keys: Iterable[Key], rows: Iterable[str] = ()) -> str:
    lines = ["| key | what it does |", "|---|---|", *rows]
    lines += [f"| `{key.name}` | {key.meaning} |" for key in keys]
    return "\n".join(lines) + "\n"
