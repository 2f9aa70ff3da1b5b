"""The palette of commands."""

from __future__ import annotations

from textual.command import CommandPalette


class Palette(CommandPalette):
    """Textual's own, which may be closed while it still lists what it found."""

    def _watch__list_visible(self) -> None:
        # Textual 8.2 looks for its list here also when esc has just taken it away.
        if self.is_attached and self.children:
            super()._watch__list_visible()
