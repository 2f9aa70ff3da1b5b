"""What an experiment found: statements without and with the indexes, and what each index costs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Static

from console import units
from console.errors import ConsoleError
from console.lab import words
from console.lab.result import IndexResult, LabResult, QueryResult
from console.lab.spread import Change, Verdict
from console.lab.text import markdown
from console.report_file import write_report
from console.settings import state_directory
from screens import keys
from screens.widgets.dialogs import DetailDialog, help_body
from screens.widgets.plain import many_lines, one_line
from screens.widgets.record_table import Column, RecordTable

_STYLES = {Verdict.FASTER: "green", Verdict.SLOWER: "bold red", Verdict.SAME: "dim"}
_MARKS = {Verdict.FASTER: "↓", Verdict.SLOWER: "↑", Verdict.SAME: "="}

EXPLANATION = f"""
Statements of the workload, run by turns on two copies that differ in the tried indexes alone.
{words.METHOD}
"""
FIGURES = (
    ("without", "What a run takes without the indexes."),
    ("change", "↓ less time with them, ↑ more, = no difference that can be told."),
    ("interval", "Where the change lies, to 95 %; it grows with the spread of the rounds."),
    ("uses", "Which of the tried indexes its plan reads."),
    ("writes", "What a row's new version costs more with this index alone, where it was tried so."),
)


def _change(change: Change) -> Text:
    mark = _MARKS[change.verdict]
    return Text(f"{mark} {words.signed(change.share)}", _STYLES[change.verdict])


LONGEST_NAME = 30


def _cut(text: str, room: int) -> Text:
    return one_line(text if len(text) <= room else text[: room - 1] + "…")


STATEMENTS = (
    Column[QueryResult](
        "statement", lambda q: _cut(q.name, LONGEST_NAME), lambda q: q.name, width=LONGEST_NAME
    ),
    Column[QueryResult](
        "without", lambda q: words.milliseconds(q.without_ms), lambda q: q.without_ms,
        right=True, width=8, descending=True,
    ),
    Column[QueryResult](
        "with", lambda q: words.milliseconds(q.with_ms), lambda q: q.with_ms,
        right=True, width=8, descending=True,
    ),
    Column[QueryResult](
        "change", lambda q: _change(q.change), lambda q: q.change.share,
        right=True, width=9, descending=True,
    ),
    Column[QueryResult](
        "interval", lambda q: words.rounded(q.change), right=True, priority=1, width=13
    ),
    Column[QueryResult]("uses", lambda q: one_line(", ".join(q.used)), priority=2, width=36),
)  # fmt: skip


def _gain(index: IndexResult) -> Text:
    return Text(index.verdict, "green" if index.faster else "yellow" if index.used_by else "dim")


def _tax(index: IndexResult) -> str:
    return words.signed(index.write.change.share) if index.write is not None else units.UNKNOWN


INDEXES = (
    Column[IndexResult]("index", lambda i: one_line(i.name), lambda i: i.name, width=38),
    Column[IndexResult](
        "size", lambda i: units.size(i.bytes), lambda i: i.bytes,
        right=True, width=7, descending=True,
    ),
    Column[IndexResult](
        "build", lambda i: units.duration(i.build_seconds), lambda i: i.build_seconds,
        right=True, width=8, descending=True,
    ),
    Column[IndexResult]("gain", _gain, lambda i: len(i.faster), width=13, descending=True),
    Column[IndexResult]("writes", _tax, right=True, priority=1, width=8),
    Column[IndexResult]("for", lambda i: one_line(words.served(i)), priority=2, width=40),
)  # fmt: skip


class LabScreen(ModalScreen[None]):
    """One result, over whatever was open."""

    BINDINGS: ClassVar[list[BindingType]] = [*keys.bindings(keys.LAB)]

    def __init__(self, result: LabResult) -> None:
        super().__init__()
        self.result = result
        self.shows_indexes = False

    def compose(self) -> ComposeResult:
        yield Static(self._headline(), id="lab-headline", markup=False)
        yield RecordTable[QueryResult](STATEMENTS, lambda q: q.name, id="lab-statements")
        yield RecordTable[IndexResult](INDEXES, lambda i: i.statement, id="lab-indexes")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._statements.show(self.result.queries)
        self._indexes.show(self.result.indexes)
        self._bring_forward()

    @property
    def _statements(self) -> RecordTable[QueryResult]:
        return self.query_one("#lab-statements", RecordTable)

    @property
    def _indexes(self) -> RecordTable[IndexResult]:
        return self.query_one("#lab-indexes", RecordTable)

    def _headline(self) -> Text:
        result = self.result
        verdict = result.overall.verdict if result.overall is not None else Verdict.SAME
        line = Text.assemble(
            (f" {_MARKS[verdict]} {verdict.upper()} ", f"{_STYLES[verdict]} reverse"),
            "  ",
            one_line(words.headline(result), "bold"),
        )
        if result.overall is not None:
            line.append(f" ({words.rounded(result.overall)})")
        age = units.age(result.at, datetime.now(UTC))
        line.append(f"\n{words.counts(result)}\n")
        where = f"Measured {age} on {result.source}; w tells all of it."
        return line.append_text(one_line(where, "dim"))

    def _bring_forward(self) -> None:
        self._statements.display = not self.shows_indexes
        self._indexes.display = self.shows_indexes
        (self._indexes if self.shows_indexes else self._statements).focus()

    def action_view(self) -> None:
        """Statements, then indexes."""
        self.shows_indexes = not self.shows_indexes
        self._bring_forward()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.action_detail()

    def action_detail(self) -> None:
        if self.shows_indexes:
            index = self._indexes.selected
            if index is not None:
                title, body = index.name, index_body(index)
                self.app.push_screen(DetailDialog(title, body, f"{index.statement};"))
            return
        query = self._statements.selected
        if query is not None:
            self.app.push_screen(DetailDialog(query.name, statement_body(query), query.sql))

    def action_conditions(self) -> None:
        """Everything beside the two tables: table sizes, writes, what was left out."""
        body = whole_body(self.result)
        self.app.push_screen(DetailDialog("What it was measured on", body, body.plain))

    def action_copy(self) -> None:
        """The statement, or the CREATE INDEX."""
        if self.shows_indexes:
            index = self._indexes.selected
            text = f"{index.statement};" if index is not None else None
        else:
            query = self._statements.selected
            text = query.sql if query is not None else None
        if text is not None:
            self.app.copy_to_clipboard(text)
            self.notify("Copied.", markup=False)

    def action_export(self) -> None:
        stamp = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        path = state_directory() / "reports" / f"index-lab-{stamp}.md"
        try:
            write_report(path, markdown(self.result), make_directory=True)
        except ConsoleError as error:
            self.notify(str(error), severity="error", markup=False)
        else:
            self.notify(f"Written to {path}.", markup=False)

    def action_help(self) -> None:
        body = help_body(EXPLANATION, FIGURES, [("Keys", keys.LAB)])
        self.app.push_screen(DetailDialog("Index lab: help", body))


def statement_body(query: QueryResult) -> Text:
    """One statement: its figures, its text, and how its plan changed."""
    text = Text()
    text.append_text(_change(query.change))
    text.append(f"  {words.interval(query.change)}, {query.change.verdict}\n\n")
    for name, milliseconds, cost, scans in (
        ("without", query.without_ms, query.cost_without, query.scans_without),
        ("with", query.with_ms, query.cost_with, query.scans_with),
    ):
        text.append(f"{name:8}", "bold")
        text.append(f" {words.milliseconds(milliseconds):>9}")
        text.append(f"   planner's cost {units.count(cost)}\n", "dim")
        for scan in scans:
            text.append("   ").append_text(one_line(scan)).append("\n")
    kind = "rolled back each time" if query.writes else "only read"
    text.append(f"\n{query.runs} runs a round, {kind}; weight {query.weight:g}\n\n", "dim")
    return text.append_text(many_lines(query.sql))


def index_body(index: IndexResult) -> Text:
    """One index: whom it serves, what it costs, and how it is made."""
    text = Text.assemble(_gain(index), "\n")
    if words.served(index):
        text.append_text(one_line(f"for {words.served(index)}")).append("\n")
    text.append(f"\n{units.size(index.bytes)} on {index.table}, built in")
    text.append(f" {units.duration(index.build_seconds)}\n")
    if words.taxed(index):
        text.append_text(one_line(words.taxed(index))).append("\n")
    for query in index.alone:
        text.append("\nalone  ").append_text(_change(query.change))
        text.append(f"  {words.interval(query.change)}  ").append_text(one_line(query.name))
    has_it = "the database has it" if index.was_there else "the database does not have it"
    text.append("\n\n").append_text(one_line(f"{index.reason}; {has_it}", "dim"))
    return text.append("\n\n").append_text(many_lines(f"{index.statement};"))


def whole_body(result: LabResult) -> Text:
    """What the figures rest on."""
    text = one_line(words.conditions(result)).append("\n\n")
    text.append("Tables\n", "bold underline")
    for table in result.tables:
        text.append_text(one_line(f"{table.name:40}"))
        text.append(f"{units.count(table.rows):>8} rows {units.size(table.bytes):>9}\n")
    if result.writes:
        text.append("\nA row's new version, with all of them\n", "bold underline")
    for cost in result.writes:
        count = f"{cost.indexes_without} to {cost.indexes_with} indexes"
        text.append_text(one_line(f"{cost.table}, {count}: {words.written(cost)}\n".rstrip()))
        text.append("\n")
    if result.skipped:
        text.append("\nNot measured\n", "bold underline")
    for one in result.skipped:
        text.append_text(one_line(f"{one.name}: {one.reason}")).append("\n")
    text.append("\nSettings\n", "bold underline")
    text.append(", ".join(f"{name} {setting}" for name, setting in result.settings.items()))
    return text.append(f"\n\n{words.METHOD}", "dim")
