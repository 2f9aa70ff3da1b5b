"""Make the README's pictures: each tab of the demo as an SVG, at the size of a small terminal.

python docs/make_screenshots.py
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from console.demo import DemoOptions, demo
from console.demo.migrations import MIGRATIONS_DIRECTORY
from console.settings import Settings
from console.target import Target
from screens.app import ConsoleApp
from screens.tabs import TABS

HERE = Path(__file__).parent / "screenshots"
SIZE = (100, 30)
SETTLED_SECONDS = 4.0


async def take(target: Target) -> None:
    app = ConsoleApp(target, Settings(refresh_seconds=0.5))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause(60)
        for entry in TABS:
            await pilot.press(entry.key)
            await pilot.pause(SETTLED_SECONDS)
            app.save_screenshot(f"{entry.identity}.svg", str(HERE))


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="console-shots-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        options = DemoOptions(directory=Path(directory) / "demo")
        with demo(options) as running:
            target = Target(
                "demo",
                running.conninfo,
                profile="medianest",
                migrations=MIGRATIONS_DIRECTORY,
            )
            asyncio.run(take(target))


if __name__ == "__main__":
    main()
