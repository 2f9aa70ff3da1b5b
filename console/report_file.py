"""Reports kept as files, beside the console's other state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.errors import ActionRefused
from console.report import Report, markdown
from console.settings import state_directory


def save_report(report: Report) -> Path:
    """Write the report as Markdown under the state directory, readable by its owner only.

    The name says when, so that no report replaces another. Raises ActionRefused.
    """
    path = state_directory() / "reports" / f"readiness-{report.finished:%Y%m%dT%H%M%S}Z.md"
    write_report(path, markdown(report), make_directory=True)
    return path


def write_report(path: Path, content: str, *, make_directory: bool = False) -> None:
    """Write or replace a file whole, readable by its owner only. Raises ActionRefused."""
    if path.exists() and not path.is_file():
        raise ActionRefused(f"{path} is no plain file.", "Name a file, or print to the terminal.")
    with _explained(path):
        if make_directory:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = path.resolve()
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(content)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ActionRefused(
            f"The report cannot be written to {path} ({reason}).",
            "Free some space or mend the directory's permissions.",
        ) from error
