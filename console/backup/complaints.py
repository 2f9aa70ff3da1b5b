"""What pg_restore complains of, each error by its exact text: harmless, worth a second try, or not.

Its exit code is 1 for all of these alike, so only the words decide.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Nature(StrEnum):
    HARMLESS = "harmless"
    SEARCH_PATH = "search path"
    """A function names something without its schema; a second pass with the path may do."""
    FATAL = "fatal"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One error of pg_restore."""

    message: str
    dump_id: int | None
    entry: str
    """The kind and name of the entry it was at, as pg_restore writes them."""
    further: tuple[str, ...]
    """The lines that follow: DETAIL, CONTEXT, Command was ..."""

    @property
    def command(self) -> str:
        """The first line of the statement that failed; '' when there was none."""
        for line in self.further:
            if line.startswith("Command was: "):
                return line.removeprefix("Command was: ")
        return ""

    @property
    def nature(self) -> Nature:
        if self._is_harmless:
            return Nature.HARMLESS
        if self.retryable and _NAME_MISSING.search(self.message):
            return Nature.SEARCH_PATH
        return Nature.FATAL

    @property
    def _is_harmless(self) -> bool:
        """Whether this is nothing but the exact pieces of a harmless error, in any order.

        The workers of a parallel restore write to one place, piece by piece and at once. The text
        of an error is one piece, so that of any other error would be left over.
        """
        text = "\n".join((self.message, *self.further))
        for piece in _HARMLESS:
            text = text.replace(piece, "")
        return not text.strip()

    @property
    def retryable(self) -> bool:
        """Its entry did nothing at all when it failed, so it can be run again."""
        return self.dump_id is not None and self.entry.startswith(_ALONE)

    def __str__(self) -> str:
        where = f" at {self.entry}" if self.entry else ""
        return f"{self.message}{where}"


# pg_restore 17 and later into a server up to 16: the one error, and what stands around it.
_HARMLESS = (
    'could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"',
    "Command was: SET transaction_timeout = 0;",
    "while INITIALIZING:",
    "while PROCESSING TOC:",
    "pg_restore:",
    "error:",
)
_BROKEN = ("error:", "could not execute query", "COPY failed")
_NAME_MISSING = re.compile(
    r"ERROR:  (relation|function|type|operator|aggregate|collation|text search \w+) .+"
    r" does not exist"
)
_ALONE = (
    "INDEX ",
    "CONSTRAINT ",
    "FK CONSTRAINT ",
    "CHECK CONSTRAINT ",
    "MATERIALIZED VIEW DATA ",
    "TABLE DATA ",
)
_TOC = re.compile(r"^pg_restore: from TOC entry (\d+); \d+ \d+ (.*)$")
_ERROR = re.compile(r"^pg_restore: (?:error: )(.*)$")
_IGNORED = re.compile(r"^pg_restore: warning: errors ignored on restore: (\d+)$")


def parse(lines: Sequence[str]) -> tuple[Complaint, ...]:
    """Every error in what pg_restore wrote to standard error, without its other messages."""
    found: list[Complaint] = []
    dump_id, entry = None, ""
    message: str | None = None
    further: list[str] = []

    def finish() -> None:
        if message is not None:
            found.append(Complaint(message, dump_id, entry, tuple(further)))

    for line in lines:
        ours = line.startswith("pg_restore: ")
        error = _ERROR.match(line)
        # Two workers wrote at once: an error lost its beginning.
        broken = error is None and any(words in line for words in _BROKEN)
        if not ours and not (broken and message is None):
            further.append(line)
            continue
        finish()
        message, further = (error[1] if error else line if broken else None), []
        if (toc := _TOC.match(line)) is not None:
            dump_id, entry = int(toc[1]), toc[2]
    finish()
    return tuple(found)


def uncounted(lines: Sequence[str], complaints: Sequence[Complaint]) -> int:
    """How many errors pg_restore says it passed over beyond those that were understood.

    To be asked of a restore without --jobs only: with it, pg_restore 15 counts some twice.
    """
    for line in reversed(lines):
        if (match := _IGNORED.match(line)) is not None:
            return max(int(match[1]) - len(complaints), 0)
    return 0
