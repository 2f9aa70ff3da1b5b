"""Long work at a command line: what it is doing, on standard error."""

from __future__ import annotations

from typing import Any


class PhaseReport:
    """A line to standard error whenever a new phase begins."""

    def __init__(self) -> None:
        self._phase = ""

    def __call__(self, progress: Any) -> None:
        self.tell(progress.phase)

    def tell(self, phase: str) -> None:
        from console.output import tell

        if phase != self._phase:
            self._phase = phase
            tell(f"{phase} ...")
