"""How large a B-tree index would be if it were built anew: an estimate from statistics.

The arithmetic follows PostgreSQL's page layout: bufpage.h (page header of 24 bytes, line pointers
of 4), itup.h (index tuple header of 8 bytes, 4 more for nulls, aligned to 8), nbtree.h (16 bytes at
the end of each page, one metapage, 70 % full inner pages) and nbtsort.c (leaf pages filled to the
fill factor, each with a high key; equal keys merged into posting lists of a tenth of a page). What
no statistics tell, the spread of widths and of duplicates, makes it wrong by 10 to 20 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from queries.bloat import IndexLayout

_PAGE_HEADER = 24
_PAGE_SPECIAL = 16
_LINE_POINTER = 4
_TUPLE_HEADER = 8
_NULL_BITMAP = 4
_TUPLE_POINTER = 6
"""One table row in a posting list."""
_SHORT_VARLENA = 127
"""Shorter values have a header of one byte and are not aligned."""
_INNER_FREE = 0.30
_ALIGNMENT = {"c": 1, "s": 2, "i": 4, "d": 8}


@dataclass(frozen=True, slots=True)
class BloatEstimate:
    """Bytes at the last VACUUM or ANALYZE, and what a fresh build would take."""

    actual_bytes: int
    expected_bytes: int | None
    reason: str = ""
    """Why it is unknown, when expected_bytes is None."""

    @property
    def wasted_bytes(self) -> int | None:
        if self.expected_bytes is None:
            return None
        return max(0, self.actual_bytes - self.expected_bytes)

    @property
    def share(self) -> float | None:
        """The wasted part of one."""
        wasted = self.wasted_bytes
        if wasted is None or not self.actual_bytes:
            return None
        return wasted / self.actual_bytes


def estimate_bloat(layout: IndexLayout) -> BloatEstimate:
    """The estimate, or the reason why there is none."""
    actual = layout.pages * layout.page_bytes
    reason = _unknown(layout)
    if reason:
        return BloatEstimate(actual, None, reason)
    return BloatEstimate(actual, _expected_pages(layout) * layout.page_bytes)


def _unknown(layout: IndexLayout) -> str:
    if -2 in layout.lengths:
        return "the width of type name is not known to statistics"
    if layout.rows < 0 or layout.pages == 0:
        return "the table was never analyzed"
    if None in layout.widths:
        if not layout.readable:
            return "this role may not see the table's statistics (SELECT is needed)"
        return "the table or an indexed column was never analyzed"
    return ""


def _expected_pages(layout: IndexLayout) -> int:
    """Leaf pages, inner levels up to the root, and the metapage."""
    tuple_bytes = _tuple_bytes(layout)
    item = tuple_bytes + _LINE_POINTER
    room = layout.page_bytes - _PAGE_HEADER - _PAGE_SPECIAL
    left_free = layout.page_bytes * (100 - layout.fill_percent) / 100
    leaf_room = max(room - left_free - item, item)
    level = max(1, ceil(_leaf_bytes(layout, tuple_bytes) / leaf_room))
    pages = level
    fan_out = max(2, int((room - layout.page_bytes * _INNER_FREE) / item))
    while level > 1:
        level = ceil(level / fan_out)
        pages += level
    return pages + 1


def _leaf_bytes(layout: IndexLayout, tuple_bytes: float) -> float:
    """All leaf tuples with their line pointers."""
    single = tuple_bytes + _LINE_POINTER
    groups = _groups(layout)
    together = layout.rows / groups if groups else 0.0
    if not layout.deduplicated or together < 2:
        return layout.rows * single
    longest = _aligned_down(layout.page_bytes / 10) - _LINE_POINTER
    fitting = max(2, int((longest - tuple_bytes) / _TUPLE_POINTER))
    lists = ceil(together / fitting)
    return groups * (lists * (single + 3.5) + together * _TUPLE_POINTER)


def _groups(layout: IndexLayout) -> float:
    """Distinct keys, at most: as many as columns independent of each other would have."""
    distinct = [
        (value if value >= 0 else -value * layout.rows) + (1 if nulls else 0)
        for value, nulls in zip(
            (value or 0.0 for value in layout.distinct_values), layout.null_fractions, strict=True
        )
    ]
    return min(layout.rows, prod(max(1.0, value) for value in distinct))


def _tuple_bytes(layout: IndexLayout) -> float:
    """Header and data of an average index tuple, weighing those with nulls and those without."""
    nulls = [fraction or 0.0 for fraction in layout.null_fractions]
    complete = prod(1 - fraction for fraction in nulls)
    full = _aligned(_TUPLE_HEADER + _data_bytes(layout, [0.0] * len(nulls)))
    if complete >= 1:
        return full
    header = _aligned(_TUPLE_HEADER + _NULL_BITMAP)
    # Among tuples with some null, each column is null more often than in all.
    among = [min(1.0, fraction / (1 - complete)) for fraction in nulls]
    partly = _aligned(header + _data_bytes(layout, among))
    return complete * full + (1 - complete) * partly


def _data_bytes(layout: IndexLayout, nulls: list[float]) -> float:
    offset = 0.0
    columns = zip(layout.lengths, layout.alignments, layout.widths, nulls, strict=True)
    for length, alignment, width, null in columns:
        taken = length if length > 0 else (width or 0)
        if length > 0 or taken >= _SHORT_VARLENA:
            step = _ALIGNMENT[alignment]
            offset = ceil(offset / step) * step
        offset += taken * (1 - null)
    return offset


def _aligned(amount: float) -> int:
    return ceil(amount / 8) * 8


def _aligned_down(amount: float) -> int:
    return int(amount) // 8 * 8
