"""From a statement in another tab to its plan."""

from __future__ import annotations

from screens.tabs import TABS
from screens.widgets.tab import Tab


async def open_plan(tab: Tab, text: str) -> None:
    """Bring the Plans tab to the front with the statement, planned and not run."""
    # Imported here: the plans' modules are heavy, and most sessions never need them.
    from screens.plans import PlansTab

    number = next(n for n, entry in enumerate(TABS) if entry.identity == PlansTab.IDENTITY)
    await tab.console.action_show_tab(number)
    plans = tab.console.active_tab
    assert isinstance(plans, PlansTab)
    plans.open_statement(text)
