"""Foreign keys: which table leans on which, by what rule, and whether the server upholds it."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import DataTable, Static

from console import units
from console.actions import Action, Outcome, validate_constraint
from console.errors import ConsoleError
from console.findings import Severity, worst
from console.foreign_keys import (
    ForeignKey,
    ForeignKeyOverview,
    OrphanCount,
    orphans_of,
    read_foreign_keys,
)
from console.relation_graph import draw, relation_graph
from console.report import printable
from screens.keys import TABS, Key
from screens.widgets import marks
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.finding_detail import finding_body
from screens.widgets.record_table import Column, RecordTable
from screens.widgets.running import ActionDialog, WaitingDialog
from screens.widgets.tab import Tab

LONGEST = 34
CLOSE_LINES = 24
"""Two keys away is shown only while the graph is no longer than this."""


def _end(table: str, columns: str) -> str:
    text = printable(f"{table} ({columns})")
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


COLUMNS = (
    Column[ForeignKey](
        "verdict",
        lambda key: marks.mark(key.verdict),
        lambda key: (key.verdict.rank, key.table, key.columns),
        width=8,
    ),
    Column[ForeignKey](
        "from", lambda key: _end(key.table, key.columns), lambda key: key.table, width=26
    ),
    Column[ForeignKey](
        "to",
        lambda key: "itself" if key.is_self else _end(key.target, key.target_columns),
        lambda key: key.target,
        width=12,
    ),
    Column[ForeignKey]("on delete", lambda key: key.on_delete, lambda key: key.on_delete, width=11),
    Column[ForeignKey](
        "on update", lambda key: key.on_update, lambda key: key.on_update, priority=3, width=11
    ),
    Column[ForeignKey]("state", lambda key: _state(key), lambda key: key.state, width=8),
    Column[ForeignKey](
        "index",
        lambda key: _index(key),
        lambda key: key.supporting_index.name if key.supporting_index else "",
        priority=2,
        width=30,
    ),
    Column[ForeignKey](
        "deferrable",
        lambda key: key.deferrable if key.constraint.is_deferrable else "no",
        lambda key: key.deferrable,
        priority=4,
        width=10,
    ),
)


def _state(key: ForeignKey) -> Text:
    return Text(key.state, "" if key.state == "valid" else "bold")


def _index(key: ForeignKey) -> Text:
    if key.supporting_index is None:
        return Text("(none)", "italic")
    return Text(printable(key.supporting_index.name))


class ForeignKeysTab(Tab):
    IDENTITY = "foreign_keys"
    TITLE = "Foreign keys"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["foreign_keys"]
    EXPLANATION = """
Which table leans on which. Enter shows a key with the tables around it; o counts rows whose target
is missing, which can only be where a key is not valid or was once not upheld.
"""
    FIGURES = (
        ("on delete", "What happens to the rows when their target is deleted."),
        ("valid", "Upheld for new rows, and every old row was checked."),
        ("not validated", "New rows are checked; old ones never were. V checks them."),
        ("trigger off", "Its triggers are disabled, so nothing is checked now."),
        ("not enforced", "Declared, but never upheld (PostgreSQL 18)."),
        ("index", "What finds the rows when their target changes; without, the table is read."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.overview: ForeignKeyOverview | None = None

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), classes="headline", markup=False)
        yield RecordTable[ForeignKey](COLUMNS, lambda key: key.key, sort=0, id="key-table")

    @property
    def table(self) -> RecordTable[ForeignKey]:
        return self.query_one("#key-table", RecordTable)

    def first_focus(self) -> Widget | None:
        return self.table

    async def load(self) -> ForeignKeyOverview:
        return await read_foreign_keys(self.session)

    def show(self, value: ForeignKeyOverview) -> None:
        self.overview = value
        self.query_one(".headline", Static).update(_headline(value))
        self.refilter()

    def refilter(self) -> None:
        if self.overview is not None:
            words = self.filter_text.split()
            self.table.show(
                [k for k in self.overview.keys if all(w in _words(k).casefold() for w in words)]
            )

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_sort(self) -> None:
        self.table.sort_next()

    def action_reverse(self) -> None:
        self.table.reverse()

    def action_detail(self) -> None:
        key = self.table.selected
        if key is None or self.overview is None:
            return
        body = details(key, self.overview)
        self.app.push_screen(DetailDialog(printable(key.constraint.name), body, self.copied_text()))

    def copied_text(self) -> str | None:
        """The fix, which is what one wants to paste; else the name."""
        key = self.table.selected
        if key is None:
            return None
        return next((f.fix for f in key.findings if f.fix), key.constraint.name)

    def action_orphans(self) -> None:
        key = self.table.selected
        if key is None:
            self.console.say("Select a foreign key first.")
            return
        title = f"Orphans of {printable(key.constraint.name)}"
        what = f"Reading {printable(key.table)} for rows whose target is missing…"
        question = orphans_of(self.console.target, key)

        def answered(answer: OrphanCount | ConsoleError | None) -> None:
            if answer is None:
                self.console.say("The count was canceled.")
            else:
                self.app.push_screen(DetailDialog(title, orphan_words(key, answer)))

        self.app.push_screen(WaitingDialog(title, what, question), answered)

    def action_validate(self) -> None:
        key = self.table.selected
        if key is None:
            self.console.say("Select a foreign key first.")
            return
        try:
            action = validate_constraint(key.constraint)
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        else:
            self._confirm(action)

    def _confirm(self, action: Action) -> None:
        def decided(yes: bool | None) -> None:
            if yes:
                self.app.push_screen(ActionDialog(self.console.target, action), self._ended)

        dialog = ConfirmDialog(
            action.title, action.statement, f"{action.what}\n\n{action.risk}", action.needs_typing
        )
        self.app.push_screen(dialog, decided)

    def _ended(self, outcome: Outcome | None) -> None:
        self.action_reload()


def _words(key: ForeignKey) -> str:
    checks = " ".join(finding.check for finding in key.findings)
    index = key.supporting_index.name if key.supporting_index else "none"
    return (
        f"{key.constraint.name} {key.constraint.schema}.{key.table} {key.columns} {key.target}"
        f" {key.on_delete} {key.state} {key.deferrable} {index} {checks}"
    )


def _headline(overview: ForeignKeyOverview) -> Text:
    verdict = worst(overview.findings) if overview.findings else Severity.OK
    count = len(overview.keys)
    valid = sum(key.state == "valid" for key in overview.keys)
    parts = [f"{count} foreign {'key' if count == 1 else 'keys'}", f"{valid} valid"]
    without = sum(key.supporting_index is None for key in overview.keys)
    if without:
        parts.append(f"{without} without a supporting index")
    line = Text.assemble(marks.badge(verdict), ("  " + " · ".join(parts), "bold"))
    if overview.findings:
        line.append(f"\n{printable(overview.findings[0].message)}", style="dim")
    return line


def details(key: ForeignKey, overview: ForeignKeyOverview) -> RenderableType:
    """The key in words, the tables around it, and its findings."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    for name, value in _rows(key):
        facts.add_row(name, Text(printable(value)))
    parts: list[RenderableType] = [
        facts,
        Text(),
        Text("around its table", "dim"),
        _graph(key, overview),
    ]
    for finding in key.findings:
        parts += [Text(), finding_body(finding)]
    return Group(*parts)


def _graph(key: ForeignKey, overview: ForeignKeyOverview) -> Text:
    near, far = (
        draw(relation_graph(overview.keys, key.constraint.table_oid, hops)) for hops in (1, 2)
    )
    shown = far if far.count("\n") < CLOSE_LINES else near
    lines = [
        Text(printable(line), no_wrap=True, overflow="ellipsis") for line in shown.splitlines()
    ]
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)


def _rows(key: ForeignKey) -> list[tuple[str, str]]:
    index = key.supporting_index.name if key.supporting_index else "none"
    return [
        ("from", f"{key.table} ({key.columns}), {_about(key.rows)}"),
        ("to", f"{key.target} ({key.target_columns})"),
        ("on delete", key.on_delete),
        ("on update", key.on_update),
        ("match", key.match),
        ("deferrable", key.deferrable),
        ("state", key.state),
        ("index", index),
    ]


def _about(rows: int | None) -> str:
    return "never analyzed" if rows is None else f"about {units.count(rows)} rows"


def orphan_words(key: ForeignKey, answer: OrphanCount | ConsoleError) -> RenderableType:
    """What a count came to, or why there is none."""
    if isinstance(answer, ConsoleError):
        return Text.assemble(
            marks.mark(Severity.UNKNOWN), f"  {printable(answer.message)}\n", printable(answer.hint)
        )
    took = Text(f"counted {answer.at:%H:%M:%S} UTC in {units.duration(answer.seconds)}", "dim")
    if answer.rows == 0:
        line = f"  Every row of {printable(key.table)} has its target."
        return Group(Text.assemble(marks.mark(Severity.OK), line), took)
    amount = str(answer.rows) if answer.is_complete else f"{answer.rows} or more"
    rows = "row" if amount == "1" else "rows"
    where = printable(f"{key.table} ({key.columns})")
    line = f"  {amount} {rows} of {where} without a target in"
    return Group(
        Text.assemble(marks.mark(Severity.FAILURE), line, f" {printable(key.target)}."), took
    )
