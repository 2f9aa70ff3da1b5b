"""Colours where there are only sixteen: the nearest of a rich theme's would be grey upon grey."""

from __future__ import annotations

from textual.theme import Theme

SIXTEEN = Theme(
    name="sixteen",
    primary="#00aaaa",
    secondary="#55ffff",
    accent="#ffff55",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#0000aa",
    success="#00aa00",
    warning="#ffff55",
    error="#ff5555",
    dark=True,
    variables={
        "footer-background": "#0000aa",
        "footer-foreground": "#ffffff",
        "footer-description-foreground": "#ffffff",
        "footer-key-foreground": "#ffff55",
        "block-cursor-background": "#00aaaa",
        "block-cursor-foreground": "#000000",
        "block-cursor-blurred-background": "#0000aa",
        "block-cursor-blurred-foreground": "#ffffff",
        "border": "#00aaaa",
        "scrollbar": "#00aaaa",
        "scrollbar-background": "#000000",
    },
)
"""Only colours of the sixteen themselves, as rich rounds to them."""
