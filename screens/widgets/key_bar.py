"""The line of keys at the bottom: as many as fit, none cut in two; `?` tells all."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Footer
from textual.widgets._footer import FooterKey


class KeyBar(Footer):
    """Textual's footer, which would let the last key run off the edge."""

    def __init__(self) -> None:
        super().__init__(compact=True, show_command_palette=False)
        self._width = 0

    def compose(self) -> ComposeResult:
        # Textual keeps each key it ever composed until this is said to have changed.
        self.mutate_reactive(Footer.compact)
        room = self._width = self.app.size.width
        for widget in super().compose():
            if isinstance(widget, FooterKey):
                # A blank after the key, and one after its word (the compact style's).
                room -= cell_len(widget.key_display) + 1 + cell_len(widget.description) + 1
                if room < -1:
                    return
            yield widget

    def on_resize(self, event: Resize) -> None:
        if self.app.size.width != self._width:
            self.refresh(recompose=True)
