"""Guided trouble: what is wrong, the evidence step by step, and at the end what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from console.diagnose import Playbook, Remedy, Visited, playbooks, spoken, walk
from console.diagnose_evidence import Scene, gather
from console.errors import ConsoleError
from console.settings import config_directory
from screens.tabs import TABS
from screens.widgets.plain import many_lines, one_line

if TYPE_CHECKING:
    from screens.app import ConsoleApp

_IN_A_TAB = "In the console: "
_ANOTHER = "medianest-console diagnose "


class DiagnoseDialog(ModalScreen["str | None"]):
    """Dismissed with the identity of the tab an action leads to, or None."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        Binding("y", "copy", "copy"),
    ]

    def __init__(self, trouble: str | None = None) -> None:
        """`trouble` is the playbook to walk at once; else the operator is asked."""
        super().__init__()
        self._trouble = trouble
        self._books: Mapping[str, Playbook] = {}
        self._remedies: tuple[Remedy, ...] = ()
        self._story = Text()
        self.is_walked = False
        """The walk came to its end, and its actions are offered."""

    @property
    def console(self) -> ConsoleApp:
        return cast("ConsoleApp", self.app)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="diagnose"):
            yield OptionList(id="troubles", markup=False)
            with VerticalScroll(id="walk"):
                yield Static(id="story", markup=False)
            yield OptionList(id="remedies", markup=False)

    def on_mount(self) -> None:
        try:
            self._books = playbooks(config_directory() / "playbooks")
        except ConsoleError as error:
            self._story = many_lines(str(error), "bold")
            self._bring_forward("walk", "A playbook is mistaken", "esc close")
            self.query_one("#story", Static).update(self._story)
            return
        self._list.add_options(
            Option(
                Text.assemble(one_line(book.title, "bold"), "\n  ", one_line(book.says, "dim")),
                id=name,
            )
            for name, book in self._books.items()
        )
        self._list.highlighted = 0
        if self._trouble in self._books:
            self._begin(self._trouble)
        else:
            self._ask()

    @property
    def _list(self) -> OptionList:
        return self.query_one("#troubles", OptionList)

    @property
    def _actions(self) -> OptionList:
        return self.query_one("#remedies", OptionList)

    def _bring_forward(self, part: str, title: str, hint: str) -> None:
        self._list.display = part == "troubles"
        self.query_one("#walk").display = part != "troubles"
        self._actions.display = part == "remedies"
        dialog = self.query_one("#diagnose")
        dialog.border_title = Text(title).markup
        dialog.border_subtitle = hint

    def _ask(self) -> None:
        self._trouble = None
        self._bring_forward("troubles", "What is wrong?", "enter choose   esc close")
        self._list.focus()

    def _begin(self, trouble: str) -> None:
        self._trouble, self.is_walked = trouble, False
        self._remedies = ()
        self._story = Text()
        self._actions.clear_options()
        self._bring_forward("walk", self._books[trouble].title, "esc stops looking")
        self.set_focus(None)
        self._tell(Text("Looking…", "dim"))
        self.run_worker(self._walk(self._books[trouble]), group="walk", exclusive=True)

    async def _walk(self, book: Playbook) -> None:
        console = self.console
        scene = Scene(console.target, console.session, console.settings.backups.directory)
        found = await walk(book, lambda step: gather(scene, step), self._seen)
        self._tell(Text())
        self._offer(found.remedies)

    def _seen(self, visited: Visited) -> None:
        self._story.append_text(told(visited))
        self._tell(Text("Looking on…", "dim"))

    def _tell(self, below: Text) -> None:
        self.query_one("#story", Static).update(self._story + below)
        self.query_one("#walk", VerticalScroll).scroll_end(animate=False)

    def _offer(self, remedies: tuple[Remedy, ...]) -> None:
        self._remedies, self.is_walked = remedies, True
        title = self._books[self._trouble or ""].title
        if not remedies:
            self._story.append("Nothing is to be done about it here.", "bold")
            self._tell(Text())
            self._bring_forward("walk", title, "esc back")
            return
        self._actions.add_options(
            Option(_offered(number, remedy), id=str(number - 1))
            for number, remedy in enumerate(remedies, 1)
        )
        self._bring_forward("remedies", title, "enter do or copy   tab scroll   esc back")
        self._actions.highlighted = 0
        self._actions.focus()
        self.call_after_refresh(self.query_one("#walk", VerticalScroll).scroll_end, animate=False)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_list is self._list:
            self._begin(str(event.option.id))
            return
        remedy = self._remedies[event.option_index]
        tab = tab_of(remedy)
        another = remedy.how.removeprefix(_ANOTHER)
        if tab is not None:
            self.dismiss(tab)
        elif remedy.how.startswith(_ANOTHER) and another in self._books:
            self._begin(another)
        else:
            self.action_copy()

    def action_copy(self) -> None:
        number = self._actions.highlighted
        if number is None or not self._actions.display:
            return
        remedy = self._remedies[number]
        self.app.copy_to_clipboard(remedy.how or remedy.do)
        self.notify("Copied." if remedy.how else "Copied: what to do is not a command.")

    def action_back(self) -> None:
        if self._trouble is None or not self._books:
            self.dismiss(None)
        else:
            self.workers.cancel_group(self, "walk")
            self._ask()


def told(visited: Visited) -> Text:
    """The question, what was found, and the facts it was found by."""
    text = Text.assemble((visited.question, "bold"), "\n ")
    text.append("? " if visited.error else "→ ", "yellow" if visited.error else "green")
    text.append_text(many_lines(visited.meaning)).append("\n")
    if visited.error is not None:
        text.append_text(many_lines(f"   {visited.error}\n", "yellow"))
    facts = ", ".join(
        f"{name} {spoken(value)}"
        for name, value in visited.facts.items()
        if not name.endswith("_text") and value is not None
    )
    if facts:
        text.append_text(one_line(f"   {facts}", "dim")).append("\n")
    return text.append("\n")


def _offered(number: int, remedy: Remedy) -> Text:
    text = Text.assemble((f"{number}. ", "bold"), one_line(remedy.do, "bold"))
    if remedy.how:
        text.append("\n   ").append_text(one_line(remedy.how, "green"))
    if remedy.mind:
        text.append("\n   Mind: ", "yellow").append_text(one_line(remedy.mind))
    return text


def tab_of(remedy: Remedy) -> str | None:
    """The tab that the action is done on, by identity: 'In the console: Activity, l, ...'."""
    if not remedy.how.startswith(_IN_A_TAB):
        return None
    place = remedy.how.removeprefix(_IN_A_TAB)
    return next((entry.identity for entry in TABS if place.startswith(entry.title)), None)
