"""What pgbench's clients do: one query of the workload, or pgbench's own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from console.errors import SettingsError

_HEAVIEST = 1000


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    text: str = ""
    """pgbench's script; '' for its own of that name."""
    weight: int = 1
    """How often it is run, against the others."""

    @property
    def is_builtin(self) -> bool:
        return not self.text


TPCB = Script("tpcb-like")
"""pgbench's own: five statements on four tables, like TPC-B (pgbench manual)."""


def read_scripts(words: Sequence[str]) -> tuple[Script, ...]:
    """FILE or FILE@WEIGHT each, in pgbench's language. Raises SettingsError."""
    return tuple(map(_read, words))


def _read(word: str) -> Script:
    path, at, number = word.rpartition("@")
    if not at or not (number.isascii() and number.isdecimal()):
        path, number = word, "1"
    weight = int(number[:9])
    try:
        content = Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(
            f"The script {path} cannot be read ({reason}).", "Name a script of pgbench."
        ) from error
    if not content.strip() or not 1 <= weight <= _HEAVIEST:
        raise SettingsError(
            f"The script {path} is empty, or its weight is not from 1 to {_HEAVIEST}.",
            "Write it as FILE or FILE@WEIGHT.",
        )
    return Script(Path(path).name, content, weight)
