"""Text from a server made safe to draw: it cannot move the cursor or turn a line around."""

from __future__ import annotations

from rich.text import Text

_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_INVISIBLE = {
    code: "�"
    for code in (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029)
}
_ONE_LINE = _PICTURES | _INVISIBLE
_LINES = {code: shown for code, shown in _ONE_LINE.items() if code not in (0x09, 0x0A)}


def one_line(text: str, style: str = "") -> Text:
    """A name: control characters as pictures, line ends too; never markup."""
    return Text(text.translate(_ONE_LINE), style=style)


def many_lines(text: str, style: str = "") -> Text:
    """A statement or comment: the same, but line ends and tabs do what they should."""
    return Text(text.replace("\r\n", "\n").translate(_LINES), style=style)
