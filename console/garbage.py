"""How often Python looks for objects that only hold each other: by what the process does.

Python's own 700 new objects are for small programs. Source: the documentation of module gc, and
the pauses and memory of this program as tests/benchmarks measure them.
"""

from __future__ import annotations

import gc

ONE_COMMAND = 50_000
"""New objects before a look: a catalog is read as hundreds of thousands of rows that all stay until
the command ends, and looking through them took a quarter of the time."""

LONG_RUN = (10_000, 3, 3)
"""For a process that stays: what a tab leaves behind is let go within minutes, and a look at the
new objects takes some 5 ms where one at 50,000 took 50, which a key would wait for."""


def for_one_command() -> None:
    """Look seldom."""
    gc.set_threshold(ONE_COMMAND)


def for_a_long_run() -> None:
    """Look often but shortly, and never again at what is there now: modules, above all."""
    gc.set_threshold(*LONG_RUN)
    gc.freeze()
    # Python waits with its longest look until a quarter of what the last one left is new: let that
    # be counted anew, without what was frozen.
    gc.collect()


def before_the_end() -> None:
    """Spare Python's last look through everything: a tenth of what `health --quick` takes."""
    gc.freeze()
