"""The formats of a report, by name."""

from __future__ import annotations

from collections.abc import Callable

from console.reporting.html import html
from console.reporting.markdown import markdown
from console.reporting.model import Readiness
from console.reporting.plain import as_json, text

FORMATS: dict[str, Callable[[Readiness], str]] = {
    "text": text,
    "markdown": markdown,
    "html": html,
    "json": as_json,
}
