"""The program: python -m console, and the script medianest-console."""

import gc
import sys

from console.cli import main


def run() -> int:
    """Run the command line of this process; its exit code."""
    code = main()
    # Python looks through all objects once more as it ends: a tenth of what `health --quick` takes.
    gc.freeze()
    return code


if __name__ == "__main__":
    sys.exit(run())
