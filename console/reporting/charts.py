"""Bars as inline SVG: no script, no font of its own, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from console.report import printable
from console.reporting.model import Bar, Chart

_LABEL, _PLOT, _VALUE = 300, 340, 90
_ROW, _BAR, _TOP, _BOTTOM = 24, 14, 8, 28
_SMALLEST = 1e-3


def svg(chart: Chart) -> str:
    """One picture; its values stand beside the bars, so that nothing depends on the eye alone."""
    height = _TOP + _ROW * len(chart.bars) + _BOTTOM
    width = _LABEL + _PLOT + _VALUE
    scale = _Scale(chart)
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{_text(chart.title)}">',
        *(_bar(bar, row, chart, scale) for row, bar in enumerate(chart.bars)),
        *_limit(chart, scale, height),
        "</svg>",
    ]
    return "\n".join(parts)


class _Scale:
    """Where a value lies on the plot, from 0 to 1."""

    def __init__(self, chart: Chart) -> None:
        values = [bar.value for bar in chart.bars]
        self.top = chart.top or max([*values, (chart.limit or 0) * 1.1, _SMALLEST])
        above = [value for value in values if value > 0]
        self.low = min([*above, chart.limit or self.top]) / 2
        self.is_logarithmic = chart.is_logarithmic

    def at(self, value: float) -> float:
        if not self.is_logarithmic:
            return min(max(value / self.top, 0.0), 1.0)
        if value <= self.low:
            return 0.0
        return min(math.log(value / self.low) / math.log(self.top / self.low), 1.0)


def _bar(bar: Bar, row: int, chart: Chart, scale: _Scale) -> str:
    top = _TOP + row * _ROW
    width = max(scale.at(bar.value) * _PLOT, 1.0)
    over = chart.limit is not None and bar.value > chart.limit
    middle = top + _BAR / 2 + 4
    label = bar.label if len(bar.label) <= 46 else bar.label[:45] + "…"
    return (
        f'<text class="label" x="{_LABEL - 8}" y="{middle:.0f}">{_text(label)}</text>'
        f'<rect class="{"over" if over else "bar"}" x="{_LABEL}" y="{top}" width="{width:.1f}"'
        f' height="{_BAR}" rx="2"/>'
        f'<text class="value" x="{_LABEL + width + 6:.1f}" y="{middle:.0f}">{_text(bar.shown)}'
        "</text>"
    )


def _limit(chart: Chart, scale: _Scale, height: int) -> Iterator[str]:
    if chart.limit is None:
        return
    at = _LABEL + scale.at(chart.limit) * _PLOT
    words = f"limit {chart.limit_shown}" + (" (logarithmic)" if chart.is_logarithmic else "")
    bottom = height - _BOTTOM + 4
    yield f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 4}" y2="{bottom}"/>'
    yield f'<text class="note" x="{at:.1f}" y="{height - 8}">{_text(words)}</text>'


def _text(content: str) -> str:
    return escape(printable(content).replace("\n", " "))
