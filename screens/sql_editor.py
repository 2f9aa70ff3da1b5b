"""An editor that colours SQL, with the scanner that also judges it: no grammar to install."""

from __future__ import annotations

from collections.abc import Iterator

from textual import events
from textual.widgets import TextArea

from console.plans.words import Kind, words

LONGEST = 200_000
"""Characters that are coloured; a pasted plan may be longer, and is no SQL."""

_WORDS = """
    all analyze and any array as asc begin between by case cast collate commit conflict copy
    create cross current_date current_timestamp delete desc distinct do drop else end except
    execute exists explain false fetch filter for from full group grouping having if ilike in index
    inner insert intersect interval into is join key lateral left like limit lock materialized merge
    natural not null nulls offset on only or order outer over partition prepare primary recursive
    references returning right rollback rollup row rows select set sets similar some table
    tablesample then true truncate union unique update using values view when where window with
    within
"""
KEYWORDS = frozenset(_WORDS.split())


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind ('keyword', 'string', 'number', 'comment') of what is to be coloured."""
    at = 0
    for word in words(text):
        yield from _comment(text, at, word.start)
        at = word.end
        if word.kind is Kind.NAME and word.text.lower() in KEYWORDS:
            yield word.start, word.end, "keyword"
        elif word.kind is Kind.STRING:
            yield word.start, word.end, "string"
        elif word.kind is Kind.PARAMETER:
            yield word.start, word.end, "number"
    yield from _comment(text, at, len(text))


def _comment(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """What lies between two words and is more than space was left out as a comment."""
    between = text[start:end]
    if "--" in between or "/*" in between:
        yield start, end, "comment"


class SqlEditor(TextArea):
    """A TextArea whose highlights come from `spans`."""

    def check_consume_key(self, key: str, character: str | None = None) -> bool:
        return not self._is_for_the_app(character) and super().check_consume_key(key, character)

    async def _on_key(self, event: events.Key) -> None:
        if self._is_for_the_app(event.character):
            event.prevent_default()

    def _is_for_the_app(self, character: str | None) -> bool:
        """No statement begins with these: in an empty editor they do what they do anywhere."""
        return not self.text and character is not None and character in "0123456789?"

    def _build_highlight_map(self) -> None:
        self._line_cache.clear()
        self._highlights.clear()
        text = self.document.text
        if len(text) > LONGEST or text.lstrip()[:1] in ("[", "{", "<"):
            return
        starts = [0]
        for line in self.document.lines:
            starts.append(starts[-1] + len(line) + len(self.document.newline))
        row = 0
        for start, end, kind in spans(text):
            while starts[row + 1] <= start:
                row += 1
            self._mark(row, starts, start, end, kind)

    def _mark(self, row: int, starts: list[int], start: int, end: int, kind: str) -> None:
        """On each line it goes over; the widget counts in bytes of a line."""
        while row < self.document.line_count and starts[row] < end:
            line = self.document.get_line(row)
            first = max(0, start - starts[row])
            last = min(len(line), end - starts[row])
            before = len(line[:first].encode())
            self._highlights[row].append((before, before + len(line[first:last].encode()), kind))
            row += 1
