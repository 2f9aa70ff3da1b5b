"""The real program in a real terminal multiplexer: sizes, colours, glyphs, and going away."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from rich.text import Text
from terminal import Terminal
from tmux import Tmux

from console.target import Target
from screens.keys import EVERYWHERE
from screens.keys import TABS as KEYS
from screens.tabs import TABS

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

PROGRAM = [sys.executable, "-m", "console"]
ROOT = Path(__file__).parent.parent

SHOWN = {
    "overview": "of 97",
    "schema": "media_requests",
    "indexes": "6 of 6 critical",
    "foreign_keys": "8 valid",
    "checks": "8/8",
    "timings": "statement",
    "activity": "Sessions",
    "backups": "no backup",
    "plans": "verbose",
    "migrations": "folder",
}
"""What each tab shows of the database of the tests once it has read it."""

Opened = Callable[..., Tmux]


@pytest.fixture
def opened(medianest18: Target, server_directory: Path) -> Iterator[Opened]:
    """The console in a window of tmux, at its first screen."""
    running: list[Tmux] = []

    def start(columns: int, lines: int, term: str, **environment: str) -> Tmux:
        variables = libpq_variables(medianest18) | {"PYTHONPATH": str(ROOT), "TERM": term}
        tmux = Tmux(server_directory, columns, lines, variables)
        running.append(tmux.__enter__())
        # Set for the program alone: tmux itself has to go on in UTF-8.
        tmux.run(["env", *(f"{name}={value}" for name, value in environment.items()), *PROGRAM])
        tmux.wait("Over", "of 97")
        return tmux

    yield start
    for tmux in running:
        tmux.__exit__(None, None, None)


def libpq_variables(target: Target) -> dict[str, str]:
    variables = {f"PG{key.upper()}": value for key, value in target.parameters.items()}
    return {name.replace("DBNAME", "DATABASE"): value for name, value in variables.items()}


def sessions(target: Target) -> int:
    with psycopg.connect(make_conninfo(**target.parameters)) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'medianest-console' AND datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def colours(painted: str) -> set[str]:
    """The kinds of colour in escape sequences: '16', '256', 'true'."""
    kinds = set()
    for sequence in re.findall(r"\x1b\[([\d;]*)m", painted):
        numbers = [int(word or 0) for word in sequence.split(";")]
        while numbers:
            number = numbers.pop(0)
            if number in (38, 48):
                kinds.add("256" if numbers[0] == 5 else "true")
                break
            if 30 <= number <= 37 or 40 <= number <= 47 or 90 <= number <= 107:
                kinds.add("16")
    return kinds


def whole_labels(line: str, identity: str) -> bool:
    """Whether the line of keys ends with a whole word of the tab's keys, or of those everywhere."""
    labels = [key.label for key in (*KEYS[identity], *EVERYWHERE)]
    return any(line.rstrip().endswith(label) for label in labels)


def shows_with_its_keys(identity: str, text: str) -> bool:
    return SHOWN[identity] in text and whole_labels(text.rstrip("\n").split("\n")[-1], identity)


def at_the_prompt(text: str) -> bool:
    return text.rstrip().endswith(("$", "#"))


def walk(tmux: Tmux, columns: int, lines: int) -> str:
    """Every tab by its key; all that was painted."""
    painted = ""
    for entry in TABS:
        tmux.press(entry.key)
        # A frame is painted in pieces: the body may stand while the line of keys is the last tab's.
        text = tmux.until(
            partial(shows_with_its_keys, entry.identity), f"{entry.title} with whole labels"
        )
        rows = text.rstrip("\n").split("\n")
        assert len(rows) == lines
        assert max(map(len, rows)) <= columns
        painted += tmux.painted
    return painted


def test_every_tab_at_80_by_24(opened: Opened) -> None:
    tmux = opened(80, 24, "tmux-256color")
    assert "256" in colours(walk(tmux, 80, 24))


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "lines"), [(120, 40), (200, 60), (60, 15)])
def test_every_tab_at_other_sizes(opened: Opened, columns: int, lines: int) -> None:
    walk(opened(columns, lines, "tmux-256color"), columns, lines)


@pytest.mark.slow
@pytest.mark.parametrize("term", ["screen", "linux"])
def test_sixteen_colours_are_enough(opened: Opened, term: str) -> None:
    painted = walk(opened(80, 24, term), 80, 24)
    assert colours(painted) == {"16"}
    light_grey_ground = r"[\[;]47[;m]"
    assert not re.search(light_grey_ground, painted), "white letters stand on it"


@pytest.mark.slow
def test_no_color_means_no_colour(opened: Opened) -> None:
    painted = walk(opened(80, 24, "tmux-256color", NO_COLOR="1"), 80, 24)
    text = Text.from_ansi(painted)
    hues = {
        colour.name
        for span in text.spans
        for colour in (span.style.color, span.style.bgcolor)  # type: ignore[union-attr]
        if colour is not None and colour.triplet is not None
        if len(set(colour.triplet)) > 1
    }
    assert hues == set()


@pytest.mark.parametrize("environment", [{"LC_ALL": "C"}, {"LANG": "en_US.ISO-8859-1"}])
def test_a_locale_without_utf8_gets_ascii(opened: Opened, environment: dict[str, str]) -> None:
    tmux = opened(80, 24, "tmux-256color", **environment)
    tmux.press("2")
    tmux.wait("+ > users")
    tmux.press("F8")
    assert tmux.wait("+- What is wrong? -").isascii()


def test_the_kernels_console_gets_only_what_its_font_has(opened: Opened) -> None:
    tmux = opened(80, 24, "linux")
    tmux.press("F8")
    for character in tmux.wait("─ What is wrong? ─"):
        character.encode("cp437")


def test_suspended_it_gives_the_shell_back_and_resumed_its_screen(opened: Opened) -> None:
    tmux = opened(80, 24, "tmux-256color")
    tmux.press("3")
    tmux.wait("accounts_pkey")
    tmux.press("C-z")
    tmux.wait("Stopped")
    tmux.type("echo still-$((40+2))")
    tmux.press("Enter")
    tmux.wait("still-42")
    tmux.type("fg")
    tmux.press("Enter")
    tmux.wait("accounts_pkey", "3 Idx")
    tmux.press("q")
    tmux.until(at_the_prompt, "the shell's prompt")


def test_every_size_on_the_way_is_laid_out(opened: Opened) -> None:
    tmux = opened(80, 24, "tmux-256color")
    tmux.press("2")
    for columns, lines, words in (
        (59, 14, "60 columns and 15 lines."),
        (200, 60, "0 Migrations"),
        (60, 15, "users"),
        (80, 24, "users"),
    ):
        tmux.resize(columns, lines)
        text = tmux.wait(words)
        assert len(text.split("\n")) == lines + 1


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_gives_the_terminal_back(opened: Opened, medianest18: Target, name: str) -> None:
    tmux = opened(80, 24, "tmux-256color")
    os.kill(program(tmux), getattr(signal, name))
    tmux.until(at_the_prompt, "the shell's prompt")
    tmux.type("echo code-$? ; stty -a | grep -o ' echo '")
    tmux.press("Enter")
    tmux.wait(f"code-{128 + getattr(signal, name)}", " echo ")
    assert sessions(medianest18) == 0


def test_a_lost_connection_ends_what_it_asked_the_server(
    opened: Opened, medianest18: Target
) -> None:
    tmux = opened(80, 24, "tmux-256color")
    tmux.press("9")
    tmux.wait("verbose")
    tmux.type("select pg_sleep(600)")
    tmux.press("Escape")
    tmux.wait("i advice")
    tmux.press("a")
    tmux.wait("■ analyze")
    tmux.press("C-r")
    tmux.wait("esc cancels")
    pid = program(tmux)
    tmux.hang_up()
    assert ends(pid)
    assert sessions(medianest18) == 0


def test_a_slow_link_is_only_slow(medianest18: Target) -> None:
    variables = libpq_variables(medianest18)
    with Terminal(PROGRAM, environment=variables, bytes_per_second=9_600) as terminal:
        terminal.wait("1 Over", "of 97", seconds=60)
        for key in "23":
            terminal.press(key)
        terminal.wait("accounts_pkey", seconds=60)
        terminal.press("q")
        assert terminal.exit_code(60) == 0


@pytest.mark.slow
def test_every_looking_key_by_the_keyboard_alone(opened: Opened) -> None:
    """None ends it, none traps the keyboard: after each, esc leads back to where digits work."""
    tmux = opened(80, 24, "tmux-256color")
    names = {
        "question_mark": "?", "slash": "/", "comma": ",", "full_stop": ".", "less_than_sign": "<",
        "greater_than_sign": ">", "space": "Space", "escape": "Escape", "enter": "Enter",
        "f5": "F5", "f8": "F8", "f9": "F9", "ctrl+l": "C-l", "ctrl+p": "C-p", "ctrl+r": "C-r",
    }  # fmt: skip
    leaving = {"q", "ctrl+z", "f9"}
    for entry in TABS:
        everywhere = EVERYWHERE if entry is TABS[0] else ()
        for key in (*KEYS[entry.identity], *everywhere):
            if key.key not in leaving and not key.acts:
                tmux.press(entry.key)
                tmux.wait(SHOWN[entry.identity])
                if entry.identity == "plans":
                    tmux.press("Escape")  # from the editor, which takes every other key
                    time.sleep(0.2)
                tmux.press(names.get(key.key, key.key))
                assert leads_back(tmux), f"{key.key} on {entry.title}:\n{tmux.text}"


def leads_back(tmux: Tmux) -> bool:
    """Esc, a few times at most, to where digits show tabs."""
    for _ in range(4):
        tmux.press("Escape")
        time.sleep(0.2)  # else the terminal takes esc and digit for one key
        tmux.press("1")
        try:
            tmux.wait("of 97", "transactions/s", seconds=1)
        except AssertionError:
            continue
        return True
    return False


def program(tmux: Tmux) -> int:
    """The process that runs in the window."""
    return next(
        pid
        for pid in descendants(tmux.shell)
        if b"console" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def descendants(pid: int) -> Iterator[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    for word in path.read_text().split():
        yield int(word)
        yield from descendants(int(word))


def ends(pid: int, seconds: float = 20.0) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)
