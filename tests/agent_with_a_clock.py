"""The agent with a clock that a test sets: `python agent_with_a_clock.py SETTINGS CLOCK`.

CLOCK is a file with two numbers of seconds: how far the wall clock is set off, and how much time
passed besides what really did.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from console.agent.clock import Moment
from console.agent.service import run_agent
from console.settings import choose_target, read_settings, state_directory


def main() -> None:
    settings_path, clock_path = map(Path, sys.argv[1:])

    def read():  # type: ignore[no-untyped-def]
        settings = read_settings(settings_path)
        return settings, [choose_target(settings, {}, None, name) for name in settings.targets]

    def clock() -> Moment:
        set_off, passed = map(float, clock_path.read_text().split())
        real = Moment.now()
        wall = real.wall + timedelta(seconds=set_off + passed)
        return replace(real, wall=wall, uptime=real.uptime + passed)

    asyncio.run(run_agent(read, state_directory(), clock))


if __name__ == "__main__":
    main()
