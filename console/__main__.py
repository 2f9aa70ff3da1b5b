"""The program: python -m console, and the script medianest-console."""

import sys

from console.cli import main
from console.garbage import before_the_end


def run() -> int:
    """Run the command line of this process; its exit code."""
    code = main()
    before_the_end()
    return code


if __name__ == "__main__":
    sys.exit(run())
