"""The line of keys: made anew for each tab, and nothing is kept of the earlier ones."""

from __future__ import annotations

import gc
import weakref

from textual.widgets._footer import FooterKey

from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp

NOWHERE = Target("nowhere", {"host": "/nonexistent", "dbname": "none", "user": "nobody"})


async def test_keys_of_a_tab_that_was_left_are_forgotten() -> None:
    app = ConsoleApp(NOWHERE, Settings())
    async with app.run_test(size=(140, 40)) as pilot:
        await pilot.pause()
        first = [weakref.ref(key) for key in app.query(FooterKey)]
        assert first
        for tab in "6767":
            await pilot.press(tab)
            await pilot.pause()
        assert app.query(FooterKey)
        gc.collect()
        assert not [key() for key in first if key() is not None]
