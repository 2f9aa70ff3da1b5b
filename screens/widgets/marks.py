"""How a severity looks: a glyph, a word and a colour, so that colour never speaks alone."""

from __future__ import annotations

from rich.text import Text

from console.findings import Severity

_LOOK = {
    Severity.OK: ("✓", "OK", "green"),
    Severity.INFO: ("·", "INFO", "cyan"),
    Severity.WARNING: ("!", "WARN", "yellow"),
    Severity.FAILURE: ("✗", "FAIL", "bold red"),
    Severity.UNKNOWN: ("?", "UNKNOWN", "magenta"),
}


def style(severity: Severity) -> str:
    return _LOOK[severity][2]


def mark(severity: Severity) -> Text:
    """Glyph and word, e.g. '✗ FAIL'."""
    glyph, word, colour = _LOOK[severity]
    return Text.assemble((f"{glyph} {word}", colour))


def badge(severity: Severity) -> Text:
    """The same, reversed, for a verdict."""
    glyph, word, colour = _LOOK[severity]
    return Text.assemble((f" {glyph} {word} ", f"{colour} reverse"))
