"""medianest-console replay: what a recording holds, moment by moment."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ExitCode

if TYPE_CHECKING:
    from console.monitor.activity import Sample
    from console.monitor.recording import Recording

_EPILOG = (
    "Without an option every look is a line, so that the bad moment can be found; --at and --worst"
    " show a moment whole. Times are UTC, as in the recording. The app replays it too: Activity, f."
)


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "replay",
        help="show what a recording of the sessions holds",
        description="Print a recording made with `activity --record`.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    moment = parser.add_mutually_exclusive_group()
    moment.add_argument("--at", metavar="HH:MM[:SS]", help="the look nearest to that time")
    moment.add_argument("--worst", action="store_true", help="the look with most sessions waiting")
    parser.add_argument("--all", action="store_true", help="idle sessions too")
    parser.set_defaults(run=run_replay)


def run_replay(options: argparse.Namespace) -> ExitCode:
    import shutil

    from console.monitor import text
    from console.monitor.locks import blocking_tree
    from console.monitor.recording import read_recording
    from console.monitor.replay import worst
    from console.output import tell, write

    recording = read_recording(options.file)
    if recording.is_cut:
        tell("The recording ends in the middle of a look; what comes before is shown.")
    if not recording.samples:
        raise ActionRefused(f"{options.file} holds no look at all.")
    if options.at is None and not options.worst:
        write(_index(recording))
        return ExitCode.OK
    sample = worst(recording.samples) if options.worst else nearest(recording, options.at)
    width = shutil.get_terminal_size((160, 24)).columns
    tree = blocking_tree(sample.backends, [])
    write(text.activity(sample, tree, width, idle=options.all))
    return ExitCode.OK


def _index(recording: Recording) -> str:
    """The heading, then looks and gaps in their order."""
    from console.monitor import text
    from console.report import printable

    heading = recording.heading
    first = f"{heading.target}, PostgreSQL {heading.server}, seen as {heading.role}"
    lines = [(sample.at, text.summary_line(sample)) for sample in recording.samples]
    lines += [
        (gap.at, f"{gap.at:%Y-%m-%d %H:%M:%S} UTC  not seen: {gap.reason}")
        for gap in recording.gaps
    ]
    return "".join(printable(line) + "\n" for line in (first, *(w for _at, w in sorted(lines))))


def nearest(recording: Recording, moment: str) -> Sample:
    """The look nearest to a time of day, on the day the recording began or the days after.

    Raises ActionRefused for what is no time.
    """
    from datetime import datetime, time, timedelta

    try:
        wanted = time.fromisoformat(moment)
    except ValueError as error:
        raise ActionRefused(f"'{moment}' is no time.", "Write it as HH:MM or HH:MM:SS.") from error
    start = recording.samples[0].at
    first = datetime.combine(start.date(), wanted, tzinfo=start.tzinfo)
    days = (recording.samples[-1].at.date() - start.date()).days
    moments = [first + timedelta(days=day) for day in range(days + 1)]
    return min(recording.samples, key=lambda sample: min(abs(sample.at - when) for when in moments))
