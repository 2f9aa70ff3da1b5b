from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from console.glyphs import STAND_INS, Glyphs, of_terminal

ROOT = Path(__file__).parent.parent


def test_every_stand_in_is_ascii_and_as_wide_as_its_glyph() -> None:
    for glyph, plain in STAND_INS.items():
        assert plain.isascii(), glyph
        assert len(plain) == cell_len(glyph), glyph


def test_every_glyph_that_the_screens_draw_has_a_stand_in() -> None:
    drawn = {
        character
        for path in (ROOT / "screens").rglob("*.py")
        for character in path.read_text(encoding="utf-8")
        if not character.isascii()
    }
    assert len(drawn) > 20
    assert drawn - set(STAND_INS) - {"\ufffd"} == set()


@given(st.text())
def test_ascii_is_all_that_an_ascii_terminal_is_sent(text: str) -> None:
    assert Glyphs.ASCII.shown(text).isascii()


@pytest.mark.parametrize("text", ["Größe", "日本語", "Ａ", "a\u0301b", "─│╭", "⣿⠁", "→ … ✓", "Ж"])
def test_a_stand_in_takes_the_same_cells(text: str) -> None:
    assert len(Glyphs.ASCII.shown(text)) == cell_len(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("│ ✓ OK · Größe → 3…", "| + OK . Gro?e > 3~"),
        ("╭─╮", "+-+"),
        ("⠉⣀⡇⠒", "'.:'"),
        ("日本", "????"),
        ("e\u0301", "e"),
        ("\x1b[31m ⏎", "\x1b[31m <"),
    ],
)
def test_what_stands_for_what(text: str, plain: str) -> None:
    assert Glyphs.ASCII.shown(text) == plain


def test_the_linux_console_keeps_the_boxes_it_has() -> None:
    assert Glyphs.LINUX.shown("│─┌ █ ╭ ✓ ★ é") == "│─┌ █ + + * é"


@pytest.mark.parametrize(
    ("environ", "glyphs"),
    [
        ({"LANG": "de_DE.UTF-8"}, Glyphs.UNICODE),
        ({"LANG": "C.utf8", "TERM": "linux"}, Glyphs.LINUX),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, Glyphs.ASCII),
        ({"LANG": "C", "LC_CTYPE": "en_US.UTF-8@euro"}, Glyphs.UNICODE),
        ({"LANG": "en_US.ISO-8859-1"}, Glyphs.ASCII),
        ({"LC_ALL": "", "LANG": "POSIX", "TERM": "linux"}, Glyphs.ASCII),
        ({}, Glyphs.UNICODE),
        ({"TERM": "linux"}, Glyphs.LINUX),
        ({"LANG": "C"}, Glyphs.ASCII),
    ],
)
def test_the_locale_says_what_a_terminal_shows(environ: dict[str, str], glyphs: Glyphs) -> None:
    assert of_terminal(environ) is glyphs
