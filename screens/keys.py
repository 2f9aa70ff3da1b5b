"""Every key, once: the footer, the help, the palette and the README are made from this table.

Lower case looks; upper case or a dialog acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    key: str
    """Textual's name of the key."""
    action: str
    label: str
    """A word or two, for the footer."""
    meaning: str
    """A sentence, for the help and the palette."""
    shown: bool = True
    """In the footer."""
    acts: bool = False
    """It changes something: absent under --read-only."""

    @property
    def name(self) -> str:
        """As printed on the keyboard."""
        return _NAMES.get(self.key, self.key)

    def binding(self) -> Binding:
        return Binding(
            self.key,
            self.action,
            self.label,
            self.shown,
            key_display=self.name,
            tooltip=self.meaning,
        )


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "space": "space",
    "escape": "esc",
    "ctrl+p": "^p",
    "ctrl+r": "^r",
    "f5": "F5",
    "enter": "enter",
}

EVERYWHERE = (
    Key("question_mark", "help", "help", "Explain this tab and its figures."),
    Key("r", "reload", "refresh", "Read everything on this tab again."),
    Key("slash", "filter", "filter", "Show only what contains the words you type."),
    Key("space", "pause", "pause", "Stop and resume the live figures."),
    Key("y", "copy", "copy", "Copy what is selected to the clipboard (OSC 52).", shown=False),
    Key("escape", "close", "close", "Close what is open: a dialog, the filter.", shown=False),
    Key("ctrl+p", "command_palette", "palette", "Find any command by name.", shown=False),
    Key("q", "quit", "quit", "Leave the console."),
)

DETAIL = Key("enter", "detail", "details", "Show everything about the selected row.")

TABLE = (
    Key("s", "sort", "sort", "Sort by the next column.", shown=False),
    Key("S", "reverse", "reverse", "Reverse the order.", shown=False),
    DETAIL,
)

TABS: dict[str, tuple[Key, ...]] = {
    "overview": (),
    "schema": (Key("d", "ddl", "DDL", "Show the CREATE statement of the selected object."),),
    "indexes": (
        *TABLE,
        Key("R", "reindex", "reindex", "Rebuild the index without blocking writes.", acts=True),
        Key("D", "drop", "drop", "Drop the invalid left-over of a failed rebuild.", acts=True),
    ),
    "foreign_keys": (
        *TABLE,
        Key("o", "orphans", "orphans", "Count rows whose target is missing."),
        Key("V", "validate", "validate", "Check existing rows against the key.", acts=True),
    ),
    "checks": (
        DETAIL,
        Key("c", "run_one", "re-run one", "Run the selected check again."),
        Key("e", "export", "export", "Write the report to a file."),
    ),
    "timings": (
        *TABLE,
        Key("v", "view", "view", "Show times, then rows and I/O, then temporary files and WAL."),
        Key("c", "charts", "charts", "Show and hide the charts of the selected statement."),
        Key("p", "plan", "plan", "Open the plan of the selected statement."),
        Key("x", "own", "own", "Show and hide the console's own statements.", shown=False),
        Key("E", "enable", "enable", "Begin to count statements in this database.", acts=True),
    ),
    "activity": (
        *TABLE,
        Key("a", "sessions", "sessions", "Show the sessions.", shown=False),
        Key("l", "locks", "locks", "Show who blocks whom, as trees.", shown=False),
        Key("g", "progress", "progress", "Show how far long operations are.", shown=False),
        Key("w", "waits", "waits", "Show what sessions at work wait for.", shown=False),
        Key("o", "io", "I/O", "Show reads, writes, WAL and checkpoints.", shown=False),
        Key("i", "idle", "idle", "Show and hide idle sessions.", shown=False),
        Key("p", "plan", "plan", "Open the plan of the selected statement."),
        Key("C", "cancel", "cancel", "Cancel what the selected session runs.", acts=True),
        Key("K", "terminate", "end", "End the selected session.", acts=True),
    ),
    "plans": (
        Key("ctrl+r", "run", "explain", "Explain the statement in the editor."),
        Key("f5", "run", "explain", "Explain the statement in the editor.", shown=False),
        Key("a", "analyze", "analyze", "Switch ANALYZE: run the statement and measure."),
        Key("e", "edit", "edit", "Go to the editor; esc goes back to the plan."),
        DETAIL,
        Key("i", "advice", "advice", "Show all advice on this plan."),
        Key("o", "switches", "options", "Choose EXPLAIN's options.", shown=False),
        Key("w", "summary", "whole plan", "Show times, triggers and settings.", shown=False),
        Key("h", "history", "history", "Open an earlier statement with its plan."),
        Key("c", "compare", "compare", "Compare with an earlier plan of this statement."),
        Key("f", "open", "file", "Open a plan or a statement from a file.", shown=False),
        Key("x", "export", "export", "Write the plan as text, JSON or Markdown.", shown=False),
    ),
    "backups": (
        *TABLE,
        Key("v", "verify", "verify", "Prove the selected backup by reading all of it."),
        Key("B", "create", "back up", "Make a backup now.", acts=True),
        Key("T", "drill", "drill", "Restore the selected backup for trial.", acts=True),
        Key("H", "hold", "hold", "Keep the selected backup from expiring, or let go.", acts=True),
        Key("P", "prune", "prune", "Remove what retention lets go, after showing it.", acts=True),
        Key("X", "stop_job", "stop", "Stop the work that runs.", shown=False, acts=True),
    ),
}


def bindings(keys: tuple[Key, ...]) -> list[Binding]:
    return [key.binding() for key in keys]


def keys_table(titles: Mapping[str, str]) -> str:
    """Every key as a Markdown table, for the README; `titles` names the tabs by identity."""
    rows = [
        "| key | where | what it does |",
        "|---|---|---|",
        "| `1`-`9` | everywhere | Go to that tab. |",
    ]
    rows += [f"| `{key.name}` | everywhere | {key.meaning} |" for key in EVERYWHERE]
    places: dict[Key, list[str]] = {}
    for identity, title in titles.items():
        for key in TABS[identity]:
            places.setdefault(key, []).append(title)
    rows += [
        f"| `{key.name}` | {', '.join(where)} | {key.meaning} |" for key, where in places.items()
    ]
    return "\n".join(rows) + "\n"
