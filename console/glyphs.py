"""What stands for boxes, arrows and marks where a terminal cannot show them.

Every glyph has a stand-in of the same width, so that a layout stays as it is.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

_SAME = {
    "│┃┆┇┊┋║▏▎▍▌▋▊▉▐▕": "|",
    "─━┄┅┈┉╌╍═▔": "-",
    "┌┐└┘├┤┬┴┼╭╮╯╰╪╣╢╠╟╝╚╗╔╞╡╤╧╥╨╓╖╙╜╒╕╘╛╬╫": "+",
    "▁▂▃": "_",
    "▄▅": "=",
    "▆▇█▉▀▓▒": "#",
    "░": ".",
    "✓✔√": "+",
    "✗✘×": "x",
    "·•∙": ".",
    "○◦◌□☐": "o",
    "●■▪☑◆": "*",
    "★☆": "*",
    "→▶▸►»⟶": ">",
    "←◀◂◄«": "<",
    "↑▲▴": "^",
    "↓▼▾": "v",
    "⏎↵": "<",
    "↺↻": "@",
    "…": "~",
    "≈": "~",
    "≤": "<",
    "≥": ">",
    "–—−‐‑": "-",
    "‘’": "'",
    "“”": '"',
    "\u00a0\u202f": " ",
    "\ufeff": "",
}


def _of_braille(dots: int) -> str:
    """A line chart's cell: where in it the dots are, as far as ASCII can tell."""
    upper, lower = dots & 0b00011011, dots & 0b11100100
    if upper and lower:
        return ":"
    return "'" if upper else "." if lower else " "


STAND_INS: Mapping[str, str] = {
    **{glyph: plain for glyphs, plain in _SAME.items() for glyph in glyphs},
    **{chr(0x2800 + dots): _of_braille(dots) for dots in range(256)},
    # A control character of a server's text, as plain.one_line shows it.
    **{chr(0x2400 + code): "?" for code in range(0x22)},
}


class Glyphs(Enum):
    """What a terminal can show."""

    UNICODE = "unicode"
    LINUX = "linux"
    """The kernel's own console: its font has the boxes and blocks of code page 437."""
    ASCII = "ascii"

    def shown(self, text: str) -> str:
        """`text` with stand-ins for what this cannot show; cell for cell as wide."""
        if self is Glyphs.UNICODE or text.isascii():
            return text
        return "".join(c if c.isascii() or self._has(c) else _stand_in(c) for c in text)

    def _has(self, character: str) -> bool:
        if self is Glyphs.ASCII:
            return False
        try:
            character.encode("cp437")
        except UnicodeEncodeError:
            return False
        return True


def _stand_in(character: str) -> str:
    known = STAND_INS.get(character)
    if known is not None:
        return known
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return ""  # it takes no cell of its own
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return "??"
    base = unicodedata.normalize("NFKD", character)[0]
    return base if base.isascii() else "?"


def of_terminal(environ: Mapping[str, str] | None = None) -> Glyphs:
    """What the terminal shows by its locale and TERM; `environ` is what this process began with.

    The locale's encoding is that of LC_ALL, else LC_CTYPE, else LANG (POSIX, Locale). Where none is
    set, as in most containers, it is UTF-8: so are the terminals one reaches them from.
    """
    if environ is None:
        environ = _at_the_beginning()
    names = (environ.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((name for name in names if name), "C.UTF-8")
    encoding = locale.partition(".")[2].partition("@")[0].lower().replace("-", "")
    if encoding != "utf8":
        return Glyphs.ASCII
    return Glyphs.LINUX if environ.get("TERM") == "linux" else Glyphs.UNICODE


def _at_the_beginning() -> Mapping[str, str]:
    """The environment before Python made LC_CTYPE of the C locale UTF-8 (PEP 538)."""
    try:
        content = Path("/proc/self/environ").read_bytes()
    except OSError:
        return os.environ
    pairs = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0"))
    return {name: value for name, _, value in pairs}
