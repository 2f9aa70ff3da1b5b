"""Every command with its options, as Markdown, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from console.cli import build_parser

_HEAD = """\
# Commands

Made by `python docs/make_reference.py`; do not edit.

"""
_DATABASE = "database"
"""The group of options that every command on a database has; told once."""


def page() -> str:
    """docs/commands.md: the program itself, then each command and each of its actions."""
    parser = build_parser()
    parts = [_HEAD, f"{parser.description} {parser.epilog}\n"]
    group = next(group for group in parser._action_groups if group.title == _DATABASE)
    parts.append("\n## Which database\n\n")
    parts.append("Accepted before and after every command on a database.\n\n")
    parts.append(_table(group._group_actions))
    for name, meaning, command in _commands(parser):
        parts.append(_section(name, meaning, command))
    return "".join(parts)


def _commands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    """Full name, one line of help and parser of every command below `parser`, in its order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            choices: Mapping[str, argparse.ArgumentParser] = action.choices
            for name, command in choices.items():
                yield command.prog, told.get(name, ""), command
                yield from _commands(command)


def _section(name: str, meaning: str, parser: argparse.ArgumentParser) -> str:
    level = "#" * min(len(name.split()), 4)
    described = parser.description or f"{meaning[:1].upper()}{meaning[1:]}."
    parts = [f"\n{level} {name.partition(' ')[2]}\n\n{described}\n"]
    on_database = any(group.title == _DATABASE for group in parser._action_groups)
    own = [
        action
        for group in parser._action_groups
        if group.title != _DATABASE
        for action in group._group_actions
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    if own:
        parts.append("\n" + _table(own))
    if on_database:
        parts.append("\nTakes the [options of the database](#which-database).\n")
    if parser.epilog:
        parts.append(f"\n{parser.epilog}\n")
    return "".join(parts)


def _table(actions: list[argparse.Action]) -> str:
    rows = [f"| {_spelled(action)} | {_meaning(action)} |" for action in actions]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) + "\n"


def _spelled(action: argparse.Action) -> str:
    value = _value(action)
    if not action.option_strings:
        return _code(value)
    takes_none = action.nargs == 0
    return ", ".join(
        _code(option if takes_none else f"{option} {value}") for option in action.option_strings
    )


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        name = action.metavar
    elif action.choices is not None:
        name = "{" + ",".join(map(str, action.choices)) + "}"
    else:
        name = action.dest.upper() if action.option_strings else action.dest
    return f"{name} ..." if action.nargs in ("*", "+") else name


def _meaning(action: argparse.Action) -> str:
    words = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return words.replace("|", "\\|")


def _code(text: str) -> str:
    """Inline code in a table's cell, where a bar would end the cell."""
    return f"`{text}`".replace("|", "\\|")
