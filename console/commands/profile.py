"""medianest-console profile: capture what a live database is, to check others against it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from console.profile import Profile
    from console.target import Target


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "profile", help="capture a profile from a live database", allow_abbrev=False
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    capture = actions.add_parser(
        "capture",
        help="write what this database is as a profile",
        description="Write what a database is as a profile, which `check --profile FILE` reads.",
        allow_abbrev=False,
    )
    add_target_options(capture)
    capture.add_argument("-o", "--output", metavar="FILE", help="write there, not to the screen")
    capture.add_argument("--name", help="of the profile; the database's name otherwise")
    capture.set_defaults(run=capture_profile)


def capture_profile(options: argparse.Namespace) -> ExitCode:
    import asyncio

    from console.commands.target import settings_and_target
    from console.output import tell, write
    from console.profile import dump

    _, target = settings_and_target(options)
    profile = asyncio.run(_capture(target, options.name or target.dbname))
    content = dump(profile)
    if options.output is None:
        write(content)
        return ExitCode.OK
    _save(options.output, content)
    tell(f"{len(profile.tables)} tables written to {options.output}.")
    return ExitCode.OK


async def _capture(target: Target, name: str) -> Profile:
    from console.capture import capture_from
    from console.session import Session

    session = Session(target)
    try:
        return await capture_from(session, name, target.schema or "public")
    finally:
        await session.close()


def _save(path: str, content: str) -> None:
    from pathlib import Path

    from console.errors import CommandFailed

    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be written ({error.strerror}).", "Choose another place with -o."
        ) from error
