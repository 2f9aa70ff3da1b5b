"""medianest-console diagnose: walk through a trouble step by step, to what can be done."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from console.diagnose import Playbook, Visited, Walk

_EPILOG = (
    "Playbooks of your own are YAML files in ~/.config/medianest-console/playbooks; nothing is"
    " changed by a walk. Exit code: 0 when the walk came to its end."
)


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "diagnose",
        help="find out step by step what is wrong, and what to do",
        description="Ask what is wrong, look at the evidence, and name what to do.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument("trouble", metavar="TROUBLE", nargs="?", help="see the list without it")
    parser.add_argument("--format", choices=["text", "json"], default="text")
    parser.set_defaults(run=run_diagnose)


def run_diagnose(options: argparse.Namespace) -> ExitCode:
    from console.diagnose import named, playbooks
    from console.output import write
    from console.settings import config_directory

    known = playbooks(config_directory() / "playbooks")
    trouble = options.trouble or _chosen(known)
    if trouble is None:
        write(listed(known))
        return ExitCode.OK
    return _walk(named(trouble, known), options)


def listed(known: Mapping[str, Playbook]) -> str:
    width = max(map(len, known))
    lines = [f"{name:{width}}  {book.title}: {book.says}\n" for name, book in known.items()]
    return "".join(lines) + "\nmedianest-console diagnose TROUBLE walks through one.\n"


def _chosen(known: Mapping[str, Playbook]) -> str | None:
    """Ask a person which trouble it is; nobody is asked in a script."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    from console.output import write

    names = list(known)
    for number, name in enumerate(names, 1):
        write(f"{number:3}  {known[name].title}  {known[name].says}\n")
    write("\nWhat is wrong? Its number, or enter to leave: ")
    answer = sys.stdin.readline().strip()
    if answer in known:
        return answer
    if answer.isdigit() and 1 <= int(answer) <= len(names):
        return names[int(answer) - 1]
    return None


def _walk(playbook: Playbook, options: argparse.Namespace) -> ExitCode:
    import asyncio
    import json

    from console.output import write

    is_text = options.format == "text"
    if is_text:
        write(f"{playbook.title}\n\n")
    found = asyncio.run(_walked(playbook, options, _tell if is_text else None))
    write(remedies(found) if is_text else json.dumps(as_json(found), indent=2) + "\n")
    return ExitCode.OK


async def _walked(playbook: Playbook, options: argparse.Namespace, on_step: Any) -> Walk:
    from console.commands.target import settings_and_target
    from console.diagnose import walk
    from console.diagnose_evidence import Scene, gather
    from console.session import Session

    settings, target = settings_and_target(options)
    session = Session(target)
    scene = Scene(target, session, settings.backups.directory)
    try:
        return await walk(
            playbook, lambda step: gather(scene, step), on_step or (lambda visited: None)
        )
    finally:
        await session.close()


def _tell(visited: Visited) -> None:
    from console.output import write

    write(step_text(visited))


def step_text(visited: Visited) -> str:
    """The question, the answer, and for the curious the facts."""
    from console.report import printable

    mark = "?" if visited.error else "→"
    text = f"{visited.question}\n  {mark} {visited.meaning}\n"
    if visited.error:
        text += f"    {visited.error}\n"
    facts = ", ".join(
        f"{name} {_short(value)}"
        for name, value in visited.facts.items()
        if not name.endswith("_text") and value is not None
    )
    if facts:
        text += f"    ({visited.asked if len(visited.asked) < 20 else 'asked'}: {facts})\n"
    return printable(text) + "\n"


def _short(value: object) -> str:
    from console.diagnose import spoken

    return spoken(value if isinstance(value, str | int | float | bool) else str(value))


def remedies(walk: Walk) -> str:
    from console.report import printable

    if not walk.remedies:
        return "Nothing is to be done about it here.\n"
    text = "What to do\n"
    for number, remedy in enumerate(walk.remedies, 1):
        text += f"{number:3}. {remedy.do}\n"
        if remedy.how:
            text += f"     {remedy.how}\n"
        if remedy.mind:
            text += f"     Mind: {remedy.mind}\n"
    return printable(text)


def as_json(walk: Walk) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "trouble": walk.playbook.title,
        "steps": [
            {
                "question": visited.question,
                "asked": visited.asked,
                "facts": dict(visited.facts),
                "meaning": visited.meaning,
                "error": str(visited.error) if visited.error else None,
                "at": visited.at.isoformat(),
            }
            for visited in walk.visited
        ],
        "conclusion": walk.conclusion,
        "actions": [asdict(remedy) for remedy in walk.remedies],
    }
