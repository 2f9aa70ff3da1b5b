"""Reports kept as files, beside the console's other state."""

from __future__ import annotations

import os
from pathlib import Path

from console.errors import ActionRefused
from console.report import Report, markdown
from console.settings import state_directory


def save_report(report: Report) -> Path:
    """Write the report as Markdown under the state directory, readable by its owner only.

    The name says when, so that no report replaces another. Raises ActionRefused.
    """
    directory = state_directory() / "reports"
    path = directory / f"readiness-{report.finished:%Y%m%dT%H%M%S}Z.md"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(markdown(report))
    except OSError as error:
        raise ActionRefused(
            f"The report cannot be written to {path} ({error.strerror}).",
            "Free some space or mend the directory's permissions.",
        ) from error
    return path
