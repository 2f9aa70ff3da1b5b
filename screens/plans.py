"""Plans: write a statement, see where its time goes and why, try again, and compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Static

from console import units
from console.errors import ActionRefused, ConsoleError
from console.plans.advice import Advice, advise
from console.plans.compare import compare
from console.plans.explain import ConfirmationNeeded, Explained, Options, explain
from console.plans.export import FORMATS, as_text
from console.plans.files import looks_like_a_plan, open_file, save
from console.plans.formats import read
from console.plans.history import History, Kept
from console.plans.tree import Plan
from console.plans.words import parameters
from screens import plan_view
from screens.keys import TABS, Key
from screens.plan_dialogs import ChoiceDialog, FieldsDialog, ToggleDialog
from screens.plan_tree import PlanTree
from screens.plan_view import Line
from screens.sql_editor import SqlEditor
from screens.widgets.dialogs import ConfirmDialog, DetailDialog
from screens.widgets.plain import one_line
from screens.widgets.tab import Tab

SWITCHES = (
    ("analyze", "run the statement and measure"),
    ("verbose", "schemas, output columns; the advice is better with it"),
    ("buffers", "blocks from the cache and read"),
    ("settings", "planner settings that are not the default"),
    ("timing", "each node's time; off costs less where the clock is slow"),
    ("wal", "how much WAL was written (with analyze)"),
    ("serialize", "reading and writing out the rows too (17 and later, with analyze)"),
    ("memory", "the planner's memory (17 and later)"),
)


LONGEST_KEPT = 20_000
"""Characters of a pasted plan that stay in the editor; a line of a megabyte takes it a second."""


class PlansTab(Tab):
    IDENTITY = "plans"
    TITLE = "Plans"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["plans"]
    EXPLANATION = """
Where a statement's time goes. Write or paste one and press ^r: it is planned, not run, unless
analyze is on (a). A run is read-only, ends after 30 seconds, and what it would change is refused
until you confirm a run that is rolled back. A statement with $1 gets a generic plan; to run it,
fill in values. A plan that was pasted, in any of EXPLAIN's formats, is shown as it is. In the
tree ← folds a branch and → unfolds it.
"""
    FIGURES = (
        ("own share", "The node's own part of the whole time, without what runs below it."),
        ("own", "The same in time; an InitPlan or CTE counts where it is shown, once."),
        ("rows", "Rows it gave in all its loops; ≈ where it was only planned."),
        ("est.", "↑12x: twelve times more rows than the planner expected; ↓ fewer; ≈ as expected."),
        ("loops", "How often it ran, over all processes."),
        ("!", "There is advice about this node: enter shows it."),
        ("never", "It was never executed."),
    )

    def __init__(self) -> None:
        super().__init__()
        self.options = Options()
        self.shown: Plan | None = None
        self.explained: Explained | None = None
        """How the shown plan was had; None for one that was pasted or opened."""
        self.advice: tuple[Advice, ...] = ()
        self._lines: list[Line] = []
        self._values: dict[str, list[str]] = {}
        self._is_asking = False

    def compose_body(self) -> ComposeResult:
        editor = SqlEditor(
            id="plan-editor",
            compact=True,
            highlight_cursor_line=False,
            placeholder="Write or paste a statement, or a plan, then press ^r.",
        )
        yield editor
        yield Static(id="plan-switches", markup=False)
        yield Static(classes="headline", id="plan-headline", markup=False)
        yield PlanTree(id="plan")
        yield Static(id="plan-advice", markup=False)

    @property
    def editor(self) -> SqlEditor:
        return self.query_one("#plan-editor", SqlEditor)

    @property
    def table(self) -> PlanTree:
        return self.query_one("#plan", PlanTree)

    @property
    def history(self) -> History:
        return History(self.console.target.label)

    def first_focus(self) -> Widget | None:
        return self.editor if self.shown is None else self.table

    async def load(self) -> None:
        """Nothing is asked before a statement is run."""

    def show(self, value: None) -> None:
        self._draw_switches()
        if self.shown is None:
            self._say("^r explains it; esc leaves the editor: then a analyze, h history, f file.")

    def open_statement(self, text: str) -> None:
        """From another tab: put a statement into the editor and plan it, without running it."""
        self.editor.load_text(text)
        self.options = replace(self.options, analyze=False)
        self._draw_switches()
        self.action_run()

    # running

    def action_run(self) -> None:
        """Explain what is in the editor; a plan that was pasted is shown as it is."""
        text = self.editor.text.strip()
        if not text:
            self.console.say("Write or paste a statement first.")
            return
        if looks_like_a_plan(text):
            self._read(text)
            return
        count = parameters(text)
        if count and self.options.analyze:
            self._ask_values(text, count)
        else:
            self._launch(text, [], write=False)

    def _read(self, text: str) -> None:
        try:
            plan = read(text)
        except ConsoleError as error:
            self._refused(error)
            return
        if len(text) > LONGEST_KEPT:
            self.editor.load_text(plan.query)
        self._show(plan, "pasted")

    def action_reload(self) -> None:
        """`r` asks for the shown statement's plan again."""
        if self.shown is not None and self.explained is not None:
            self.action_run()
        else:
            super().action_reload()

    def _ask_values(self, text: str, count: int) -> None:
        dialog = FieldsDialog(
            "Values",
            "The statement is run with these; NULL stands for NULL.",
            [f"${n}" for n in range(1, count + 1)],
            self._values.get(text, []),
        )

        def filled(values: list[str] | None) -> None:
            if values is not None:
                self._values[text] = values
                self._launch(text, values, write=False)

        self.app.push_screen(dialog, filled)

    def _launch(self, text: str, values: list[str], *, write: bool) -> None:
        self._is_asking = True
        verb = "Running" if self.options.analyze else "Planning"
        self._say(f"{verb}… (esc cancels; it ends after {self.options.timeout_s:.0f} s)")
        self.run_worker(self._ask(text, values, write=write), group="explain", exclusive=True)

    async def _ask(self, text: str, values: list[str], *, write: bool) -> None:
        given = [None if value == "NULL" else value for value in values]
        try:
            explained = await explain(
                self.console.target, text, self.options, values=given, write=write
            )
        except ConfirmationNeeded as error:
            self._is_asking = False
            self._confirm(error, text, values)
        except ConsoleError as error:
            self._is_asking = False
            self._refused(error)
            self.console.link_changed(error)
        else:
            self._is_asking = False
            self._answered(explained)

    def _answered(self, explained: Explained) -> None:
        note = f"{'run' if explained.plan.is_analyzed else 'planned'} {explained.at:%H:%M:%S} UTC"
        if explained.was_rolled_back:
            note += " · ROLLED BACK"
        if explained.notes:
            note += f" · {explained.notes[0]}"
        self._show(explained.plan, note, explained)
        try:
            self.history.keep(explained)
        except ConsoleError as error:
            self.console.say(str(error), error=True)

    def _confirm(self, error: ConfirmationNeeded, text: str, values: list[str]) -> None:
        if self.console.read_only:
            self._refused(ActionRefused(error.message, "Without --read-only it could be run."))
            return
        self._say("Not run.")
        risk = f"{' '.join(error.hazards.reasons)}\n\nWhat the rollback does NOT undo:\n"
        dialog = ConfirmDialog("Run it and roll it back?", text, risk + error.hazards.text)

        def answered(accepted: bool | None) -> None:
            if accepted:
                self._launch(text, values, write=True)

        self.app.push_screen(dialog, answered)

    def _refused(self, error: ConsoleError) -> None:
        line = Text.assemble(
            (f" {error.title.upper()} ", "reverse bold"), " ", (error.message, "bold")
        )
        if error.hint:
            line.append(f"\n{error.hint}")
        self.query_one("#plan-headline", Static).update(line)

    def _say(self, words: str) -> None:
        self.query_one("#plan-headline", Static).update(Text(words, "dim"))

    def leave(self) -> None:
        super().leave()
        if self._is_asking:
            self._is_asking = False
            self._say("Canceled: you went to another tab.")

    def action_close(self) -> None:
        """Escape: cancel a run, else go from the editor to the plan, else close the filter."""
        if self._is_asking:
            self.workers.cancel_group(self, "explain")
            self._is_asking = False
            self._say("Canceled.")
        elif self.editor.has_focus:
            self.table.focus()
        else:
            super().action_close()

    # showing

    def _show(self, plan: Plan, note: str, explained: Explained | None = None) -> None:
        self.shown, self.explained = plan, explained
        self.advice = advise(plan, explained.indexes if explained else None)
        self._lines = plan_view.lines(plan, self.advice)
        self.query_one("#plan-headline", Static).update(plan_view.headline(plan, note))
        self.query_one("#plan-advice", Static).update(plan_view.advice_line(self.advice))
        self.refilter()
        self.table.select(self._hottest())
        self.table.focus()
        self.console.link_changed(None)

    def _hottest(self) -> int:
        """The row to begin at: where most of the time went."""
        assert self.shown is not None
        shares = [self.shown.share(line.node) for line in self._matching()]
        return shares.index(max(shares)) if shares else 0

    def _matching(self) -> list[Line]:
        if not self.filter_text:
            return self._lines
        return [line for line in self._lines if self.filter_text in line.words]

    def refilter(self) -> None:
        self.table.show(self._matching())

    def _draw_switches(self) -> None:
        line = Text(no_wrap=True, overflow="ellipsis")
        for name, _meaning in SWITCHES:
            is_on = getattr(self.options, name)
            if name in ("timing", "wal", "serialize") and not self.options.analyze:
                continue
            line.append(f" {'■' if is_on else '□'} {name}", "bold" if is_on else "dim")
        self.query_one("#plan-switches", Static).update(line)

    # keys

    def action_edit(self) -> None:
        self.editor.focus()

    def action_analyze(self) -> None:
        self.options = replace(self.options, analyze=not self.options.analyze)
        self._draw_switches()

    def action_switches(self) -> None:
        switches = [(name, words, getattr(self.options, name)) for name, words in SWITCHES]

        def chosen(names: frozenset[str] | None) -> None:
            if names is not None:
                self.options = self.options.switched(names)
                self._draw_switches()

        self.app.push_screen(ToggleDialog("EXPLAIN options", switches), chosen)

    def on_plan_tree_chosen(self, event: PlanTree.Chosen) -> None:
        event.stop()
        self.action_detail()

    def action_detail(self) -> None:
        line = self.table.selected
        if line is not None:
            title = f"#{line.node.number} {line.node.title}"
            self.app.push_screen(
                DetailDialog(title, plan_view.details_body(line), self.copied_text())
            )

    def action_advice(self) -> None:
        remedies = "\n".join(one.remedy for one in self.advice if one.remedy)
        self.app.push_screen(
            DetailDialog("Advice", plan_view.advice_body(self.advice), remedies or None)
        )

    def action_summary(self) -> None:
        if self.shown is None:
            self.console.say("There is no plan yet.")
            return
        notes = self.explained.notes if self.explained else ()
        text = self.explained.text if self.explained else self.shown.query
        body = plan_view.summary_body(self.shown, notes, text)
        self.app.push_screen(DetailDialog("The plan as a whole", body, as_text(self.shown)))

    def copied_text(self) -> str | None:
        """What to try for the selected node, else the node as PostgreSQL calls it."""
        line = self.table.selected
        if line is None:
            return None
        remedies = [one.remedy for one in line.advice if one.remedy]
        return "\n".join(remedies) or line.node.title

    def action_history(self) -> None:
        self._choose("Earlier statements", self.history.statements(), self._reopen)

    def action_compare(self) -> None:
        if self.shown is None or self.explained is None:
            self.console.say("Explain a statement first; then its earlier plans can be compared.")
            return
        kept = self.history.plans(self.explained.text)
        self._choose("Compare with", kept[1:], self._compare_with)

    def _choose(self, title: str, kept: list[Kept], chosen: Callable[[Kept], None]) -> None:
        if not kept:
            self.console.say("There is no earlier plan.")
            return

        def answered(number: int | None) -> None:
            if number is None:
                return
            try:
                chosen(kept[number])
            except ConsoleError as error:
                self.console.say(str(error), error=True)

        now = datetime.now(UTC)
        room = max(20, min(self.app.size.width * 9 // 10, 110) - 32)
        lines = [_kept_line(one, now, room) for one in kept]
        self.app.push_screen(ChoiceDialog(title, lines), answered)

    def _reopen(self, kept: Kept) -> None:
        plan = kept.plan()
        self.editor.load_text(kept.text)
        self._show(plan, f"kept {kept.at:%Y-%m-%d %H:%M:%S} UTC")

    def _compare_with(self, kept: Kept) -> None:
        assert self.shown is not None
        body = plan_view.comparison_body(compare(kept.plan(), self.shown))
        self.app.push_screen(DetailDialog(f"Since {kept.at:%Y-%m-%d %H:%M:%S} UTC", body))

    def action_lab(self) -> None:
        """Indexes for the statement that is shown, else for the workload."""
        # Imported here: what measures is heavy, and most sessions never need it.
        from screens.index_lab import Lab

        text = self.explained.text if self.explained else self.editor.text.strip()
        Lab(self, text if text and not looks_like_a_plan(text) else None).open()

    def action_open(self) -> None:
        def filled(values: list[str] | None) -> None:
            if values and values[0].strip():
                self._open(Path(values[0].strip()).expanduser())

        note = "A plan in any format, or a statement."
        self.app.push_screen(FieldsDialog("Open a file", note, ["Path"], []), filled)

    def _open(self, path: Path) -> None:
        try:
            found = open_file(path)
        except ConsoleError as error:
            self._refused(error)
            return
        if isinstance(found, str):
            self.editor.load_text(found)
            self.editor.focus()
        else:
            self._show(found, f"from {path.name}")

    def action_export(self) -> None:
        plan = self.shown
        if plan is None:
            self.console.say("There is no plan yet.")
            return
        forms = list(FORMATS)

        def chosen(number: int | None) -> None:
            if number is None:
                return
            try:
                self.console.say(f"Written to {save(plan, forms[number])}.")
            except ConsoleError as error:
                self.console.say(str(error), error=True)

        self.app.push_screen(
            ChoiceDialog("Write the plan as", [Text(form) for form in forms]), chosen
        )


def _kept_line(kept: Kept, now: datetime, room: int) -> Text:
    took = units.duration(kept.total_ms / 1000) if kept.total_ms is not None else "not run"
    words = " ".join(kept.text.split())
    line = Text(f"{units.age(kept.at, now):>12} {took:>8}  ", "dim")
    return line.append_text(one_line(words if len(words) <= room else words[: room - 1] + "…"))
