"""Every key, once: the footer, the help, the palette and docs/keys.md are made from this table.

Lower case looks; upper case or a dialog acts.
"""

from __future__ import annotations

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
    always: bool = False
    """In dialogs too."""

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
            priority=self.always,
        )


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "space": "space",
    "comma": ",",
    "full_stop": ".",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "escape": "esc",
    "ctrl+p": "^p",
    "ctrl+l": "^l",
    "ctrl+r": "^r",
    "ctrl+z": "^z",
    "f2": "F2",
    "f5": "F5",
    "f8": "F8",
    "f9": "F9",
    "enter": "enter",
}

RESCUE = Key("f9", "rescue", "rescue", "Open the guided emergency restore.", acts=True, always=True)

EVERYWHERE = (
    RESCUE,
    Key("question_mark", "help", "help", "Explain this tab and its figures."),
    Key(
        "f8",
        "diagnose",
        "what is wrong",
        "Say what is wrong, see the evidence step by step, and what can be done.",
        shown=False,
    ),
    Key(
        "f2",
        "fleet",
        "fleet",
        "Show every target of the settings, and switch to another one.",
        shown=False,
    ),
    Key("r", "reload", "refresh", "Read everything on this tab again."),
    Key("slash", "filter", "filter", "Show only what contains the words you type."),
    Key("q", "quit", "quit", "Leave the console."),
    Key("space", "pause", "pause", "Stop and resume the live figures."),
    Key("y", "copy", "copy", "Copy what is selected to the clipboard (OSC 52).", shown=False),
    Key("escape", "close", "close", "Close what is open: a dialog, the filter.", shown=False),
    Key(
        "ctrl+z",
        "suspend_process",
        "suspend",
        "Go back to the shell; fg returns here.",
        shown=False,
        always=True,
    ),
    Key("ctrl+l", "redraw", "redraw", "Draw the whole screen again.", shown=False),
    Key("ctrl+p", "command_palette", "palette", "Find any command by name.", shown=False),
)

DETAIL = Key("enter", "detail", "details", "Show everything about the selected row.")

SPAN = Key(
    "h",
    "span",
    "history",
    "Show the charts over hours, days and weeks, as the agent saw them.",
    shown=False,
)

TABLE = (
    Key("s", "sort", "sort", "Sort by the next column.", shown=False),
    Key("S", "reverse", "reverse", "Reverse the order.", shown=False),
    DETAIL,
)

TABS: dict[str, tuple[Key, ...]] = {
    "overview": (SPAN,),
    "schema": (Key("d", "ddl", "DDL", "Show the CREATE statement of the selected object."),),
    "indexes": (
        *TABLE,
        Key("l", "lab", "lab", "Measure on a copy what indexes gain and cost."),
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
        Key("c", "run_one", "run one", "Run the selected check, also one that did not run yet."),
        Key("e", "export", "export", "Write the report to a file."),
    ),
    "timings": (
        *TABLE,
        Key("v", "view", "view", "Show times, then rows and I/O, then temporary files and WAL."),
        Key("c", "charts", "charts", "Show and hide the charts of the selected statement."),
        SPAN,
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
        Key("f", "replay", "file", "Replay a recording made with activity --record.", shown=False),
        Key("comma", "back", "back", "Replay: the look before.", shown=False),
        Key("full_stop", "forward", "forward", "Replay: the next look.", shown=False),
        Key("less_than_sign", "far_back", "far back", "Replay: 30 looks back.", shown=False),
        Key("greater_than_sign", "far_forward", "far on", "Replay: 30 looks on.", shown=False),
        Key("b", "worst", "worst", "Replay: the look with most sessions waiting.", shown=False),
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
        Key("l", "lab", "lab", "Try indexes for this statement, on a copy.", shown=False),
        Key("f", "open", "file", "Open a plan or a statement from a file.", shown=False),
        Key("x", "export", "export", "Write the plan as text, JSON or Markdown.", shown=False),
    ),
    "backups": (
        *TABLE,
        Key("v", "verify", "verify", "Prove the selected backup by reading all of it."),
        Key("w", "point_in_time", "moments", "Show what can be gone back to, moment by moment."),
        Key("B", "create", "back up", "Make a backup now.", acts=True),
        Key("T", "drill", "drill", "Restore the selected backup for trial.", acts=True),
        Key("H", "hold", "hold", "Keep the selected backup from expiring, or let go.", acts=True),
        Key("P", "prune", "prune", "Remove what retention lets go, after showing it.", acts=True),
        Key("X", "stop_job", "stop", "Stop the work that runs.", shown=False, acts=True),
    ),
    "migrations": (
        *TABLE,
        Key("d", "drift", "drift", "Replay the folder and compare it with this database."),
        Key("p", "plan", "plan", "Draft the SQL back to the selected migration."),
        Key("f", "folder", "folder", "Name the migrations folder.", shown=False),
        Key("R", "roll_back", "roll back", "Back up, then run the plan just read.", acts=True),
    ),
}


_OPTIONS = Key(
    "o", "screen.options", "options", "Restore into another name, owners, safety backup ..."
)
LAB = (
    Key("enter", "detail", "details", "Show the plans of a statement, or whom an index serves."),
    Key("v", "view", "view", "Show the statements, then the indexes."),
    Key("w", "conditions", "measured on", "Show tables, writes, settings and what was left out."),
    Key("y", "copy", "copy", "Copy the statement, or the CREATE INDEX (OSC 52)."),
    Key("x", "export", "export", "Write it as Markdown, beside the readiness reports."),
    Key("question_mark", "help", "help", "Explain the figures."),
    Key("escape", "dismiss", "close", "Go back to the tab."),
)
"""Keys of the index lab's result."""

POINT_IN_TIME = (
    DETAIL,
    Key("R", "restore", "go back", "Recover a copy to the selected moment.", acts=True),
    Key("t", "restore_time", "to a time", "Name a time, and recover a copy to it.", acts=True),
    Key("f", "findings", "findings", "Show all that is well and what is not."),
    Key("v", "audit", "audit", "Read all WAL and compare it with what was received."),
    Key("T", "drill", "drill", "Recover any moment for trial, and check it.", acts=True),
    Key("D", "drop", "drop", "Stop and remove the selected side server.", acts=True),
    Key("r", "again", "refresh", "Read everything again.", shown=False),
    Key("question_mark", "help", "help", "Explain the line and the figures."),
    Key("escape", "dismiss", "close", "Go back to the tab."),
)
"""Keys of point-in-time recovery, over the Backups tab."""

FLEET = (
    Key("enter", "switch", "go there", "Make all tabs about the selected target."),
    Key("r", "again", "refresh", "Ask every target again."),
    Key("question_mark", "help", "help", "Explain the columns."),
    Key("escape", "dismiss", "close", "Go back to the tabs, as they were."),
)
"""Keys of the fleet, over the tabs."""

WIZARD_EVERYWHERE = (
    Key("r", "again", "again", "Ask and read everything on this page again."),
    Key("question_mark", "help", "help", "Explain this page."),
    Key("escape", "back", "back", "Go back a page, or leave; what runs goes on."),
)
"""Keys on every page of the emergency restore."""

WIZARD: dict[str, tuple[Key, ...]] = {
    "choose": (
        Key("enter", "choose", "choose", "Take the selected backup, and look whether it fits."),
        Key("d", "detail", "details", "Show everything known of the selected backup."),
        Key("p", "path", "path", "Name a dump file by its path."),
        Key("a", "all", "all", "Show the backups of every target, or only this one's."),
        Key("t", "target", "target", "Restore to another server of the settings.", shown=False),
        Key("v", "last", "last", "Show the last restore, to undo or finish it.", shown=False),
        _OPTIONS,
    ),
    "preflight": (
        Key("enter", "choose", "go on", "Go on to the plan, if nothing has to be mended first."),
        Key("d", "detail", "details", "Show the selected check, its proof and its remedy."),
        _OPTIONS,
    ),
    "plan": (
        Key("B", "begin", "begin", "Begin the restore beside the live database.", acts=True),
        _OPTIONS,
    ),
    "status": (
        Key("C", "cut_over", "cut over", "Type the name, and change over to it.", acts=True),
        Key("R", "resume", "resume", "Go on from the last step that was done.", acts=True),
        Key("A", "abort", "abort", "Stop, and drop what was restored so far.", acts=True),
        Key("U", "undo", "undo", "Give the name back to the old database.", acts=True),
        Key("F", "finish", "finish", "Drop the database that is kept.", acts=True),
        Key("n", "new", "new", "Choose a backup for another restore."),
    ),
}
"""Keys of the emergency restore, by page."""


def bindings(keys: tuple[Key, ...]) -> list[Binding]:
    return [key.binding() for key in keys]
