"""What an index's size should follow from; console.index_bloat does the arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class IndexLayout:
    """A B-tree index as of its last VACUUM or ANALYZE; sequences are in column order."""

    oid: int
    pages: int
    rows: float
    """-1 when never counted (14 and later)."""
    page_bytes: int
    fill_percent: int
    deduplicated: bool
    """Equal keys may share one tuple (13 and later)."""
    lengths: Sequence[int]
    """Bytes of a fixed-length type; -1 variable, -2 a C string (type name)."""
    alignments: Sequence[str]
    """pg_type.typalign: c 1, s 2, i 4, d 8 bytes."""
    widths: Sequence[int | None]
    """Average bytes of a value that is not null, header included."""
    null_fractions: Sequence[float | None]
    distinct_values: Sequence[float | None]
    """pg_stats.n_distinct: a number, or the negative of a fraction of the rows."""
    readable: bool
    """The role may see the columns' statistics."""


INDEX_LAYOUT = Query("index_layout", IndexLayout)
