"""The way to the index lab: what to try, on what, and then the wait for its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from console import units
from console.errors import ConsoleError
from console.lab import words
from console.lab.experiment import LabOptions, experiment
from console.lab.place import Wanted
from console.lab.result import LabResult, keep, kept, path_of
from console.profile import Profile, load
from console.profile_choice import choose
from screens.index_lab_result import LabScreen
from screens.restore_dialogs import PromptDialog
from screens.widgets.dialogs import ChoiceDialog, ConfirmDialog, DetailDialog
from screens.widgets.running import WaitingDialog
from screens.widgets.tab import Tab

TITLE = "Index lab"
SAMPLE_PROFILE = "medianest"
_CONSENT = (
    "Two scratch databases are made on the live server, filled, worked hard and dropped again."
    " The live database itself is only read, but they share its disk, memory and processors."
)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the choices depend on."""

    profile: Profile | None
    last: LabResult | None
    statement: str | None
    """The one that a plan is shown of; None from other tabs."""


class Lab:
    """Asks, measures and shows; `tab` is where it was called from."""

    def __init__(self, tab: Tab, statement: str | None = None) -> None:
        self.tab = tab
        self.console = tab.console
        self.statement = statement

    def open(self) -> None:
        self.tab.run_worker(self._open(), group="lab", exclusive=True)

    async def _open(self) -> None:
        target = self.console.target
        try:
            profile = (await choose(target)).profile
        except ConsoleError:
            # Without the server, sample data can still be measured.
            profile = load(SAMPLE_PROFILE)
        try:
            last = kept(path_of(target.label))
        except ConsoleError as error:
            self.console.say(error.message, error=True)
            last = None
        if self.console.active_tab is not self.tab:
            return  # the operator went elsewhere meanwhile
        scene = Scene(profile, last, self.statement)

        def chosen(what: str | None) -> None:
            if what is not None:
                self._chosen(scene, what)

        self.console.push_screen(ChoiceDialog(f"{TITLE}: what to try", trials(scene)), chosen)

    def _chosen(self, scene: Scene, what: str) -> None:
        options = LabOptions(statements=(scene.statement,) if scene.statement else ())
        if what == "last" and scene.last is not None:
            self._show(scene.last)
        elif what == "write":
            self._write(scene, options)
        elif what == "critical" and scene.profile is not None:
            names = tuple(sorted(name for _schema, name in scene.profile.critical_indexes))
            self._choose_place(scene, replace(options, indexes=names))
        else:
            self._choose_place(scene, replace(options, derive=what == "candidates"))

    def _write(self, scene: Scene, options: LabOptions) -> None:
        def written(statement: str | None) -> None:
            if statement:
                self._choose_place(scene, replace(options, candidates=(statement,)))

        prompt = "The index to try, such as CREATE INDEX ON users (last_login_at):"
        self.console.push_screen(PromptDialog(TITLE, prompt), written)

    def _choose_place(self, scene: Scene, options: LabOptions) -> None:
        read_only = self.console.read_only

        def chosen(place: str | None) -> None:
            if place == "beside":
                self._ask_consent(scene, options)
            elif place is not None:
                self._measure(scene, replace(options, wanted=PLACES[place]))

        dialog = ChoiceDialog(f"{TITLE}: on what", places(scene, read_only=read_only))
        self.console.push_screen(dialog, chosen)

    def _ask_consent(self, scene: Scene, options: LabOptions) -> None:
        def answered(agreed: bool | None) -> None:
            if agreed:
                self._measure(scene, replace(options, wanted=PLACES["beside"]))

        statement = f"CREATE DATABASE {self.console.target.dbname}_lab_… (two of them)"
        dialog = ConfirmDialog("Measure on the live server?", statement, _CONSENT)
        self.console.push_screen(dialog, answered)

    def _measure(self, scene: Scene, options: LabOptions) -> None:
        dialog: WaitingDialog[LabResult]
        target, settings = self.console.target, self.console.settings

        def ended(answer: Any) -> None:
            if isinstance(answer, ConsoleError):
                body = Text(str(answer))
                self.console.push_screen(DetailDialog(answer.title, body, str(answer)))
            elif answer is None:
                self.console.say("Canceled; the copies are gone.")
            else:
                self._keep(answer)
                self._show(answer)

        tell: Callable[[str], None] = lambda phase: dialog.tell(phase)  # noqa: E731
        question = experiment(target, settings, scene.profile, options, tell)
        dialog = WaitingDialog(TITLE, "On copies of the database, which is only read.", question)
        self.console.push_screen(dialog, ended)

    def _keep(self, result: LabResult) -> None:
        try:
            keep(result, path_of(self.console.target.label))
        except ConsoleError as error:
            self.console.say(str(error), error=True)

    def _show(self, result: LabResult) -> None:
        self.console.push_screen(LabScreen(result))


PLACES = {
    "backup": Wanted("backup"),
    "dump": Wanted("copy"),
    "small": Wanted("sample", "small"),
    "medium": Wanted("sample", "medium"),
    "beside": Wanted("backup", on_server=True),
}


def trials(scene: Scene) -> list[tuple[str, str]]:
    """What can be tried, each with what it means."""
    found = []
    if scene.last is not None:
        age = units.age(scene.last.at, datetime.now(UTC))
        found.append(("last", f"{words.headline(scene.last)}, {age}"))
    if scene.statement is not None:
        found.append(("candidates", "what this statement would like to have"))
    elif scene.profile is not None and scene.profile.workload is not None:
        count = len(scene.profile.indexes_for_speed)
        found.append(("profile", f"the profile's {count} indexes that are there for speed"))
        if scene.profile.critical_indexes:
            count = len(scene.profile.critical_indexes)
            found.append(("critical", f"the {count} that the profile calls critical"))
    if scene.statement is None:
        found.append(("candidates", "what the slowest statements would like to have"))
    found.append(("write", "a CREATE INDEX of your own"))
    return found


def places(scene: Scene, *, read_only: bool) -> list[tuple[str, str]]:
    """What it can be measured on: all but the last on a temporary server of our own."""
    found = [
        ("backup", "the newest verified backup, else a dump made now"),
        ("dump", "a dump made now"),
    ]
    if scene.profile is not None and scene.profile.name == SAMPLE_PROFILE:
        found += [
            ("small", "sample data, 5,000 rows"),
            ("medium", "sample data, 200,000 rows"),
        ]
    if not read_only:
        found.append(("beside", "the newest backup, beside the live database"))
    return found
