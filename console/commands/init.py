"""medianest-console init: a few questions, a tested connection, a commented settings file."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.errors import ActionRefused, ConsoleError, ExitCode, PasswordRefused

if TYPE_CHECKING:
    from console.target import Target

_DESCRIPTION = (
    "Ask where the database is, try the connection, and write commented settings; then offer a"
    " first backup and a drill. Nothing is written before the last question is answered."
)
_EPILOG = (
    "Answers may be piped, a line each. Without a terminal: --yes takes every default, --url and"
    " the other options answer a question beforehand. A password is kept in a file of its own,"
    " which only you can read. Exit code: 0 written, 2 the first backup or drill failed, 3 nothing"
    " was written, 130 interrupted."
)
_ATTEMPTS = 3


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "init",
        help="write the settings file, by a few questions",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--settings", metavar="FILE", default=argparse.SUPPRESS, help="instead of the usual file"
    )
    parser.add_argument(
        "--url", metavar="URL", help="where the database is; better in DATABASE_URL with a password"
    )
    parser.add_argument("--name", metavar="NAME", help="how the target is called; default: home")
    parser.add_argument("--profile", metavar="NAME|FILE", help="instead of the one that fits")
    parser.add_argument("--backups", metavar="DIR", type=Path, help="where backups are kept")
    parser.add_argument("--yes", action="store_true", help="ask nothing; take the defaults")
    parser.add_argument("--replace", action="store_true", help="replace settings that are there")
    parser.add_argument(
        "--no-backup", action="store_true", help="do not offer a first backup and a drill"
    )
    parser.set_defaults(run=run_init)


def run_init(options: argparse.Namespace) -> ExitCode:
    import shlex

    from console.first_settings import keep, password_path, written
    from console.output import tell, write

    path = Path(options.settings) if options.settings else _usual_path()
    asks = _Asking(options)
    _may_write(path, asks)
    answers = _answers(options, asks)
    write("\n" + written(answers, path))
    if not asks.agrees(f"\nWrite this to {path}?"):
        raise ActionRefused("Nothing was written.", "Run init again for other answers.")
    keep(answers, path)
    tell(f"Written: {path}")
    if answers.password is not None:
        tell(f"Written: {password_path(path, answers.name)} (the password)")
    code = ExitCode.OK if options.no_backup else _first_backup(path, answers.name, asks)
    words = ["medianest-console"]
    words += ["--settings", str(path)] if options.settings else []
    # It would come before the settings' own target.
    words += ["--target", answers.name] if os.environ.get("DATABASE_URL") else []
    tell(f"\nOpen the console with: {shlex.join(words)}")
    return code


def _usual_path() -> Path:
    from console.settings import config_directory

    return config_directory() / "settings.yaml"


def _may_write(path: Path, asks: _Asking) -> None:
    """Settings that are there are replaced only when that is said."""
    if not path.exists() or asks.options.replace:
        return
    if asks.options.yes or not asks.agrees(f"{path} is there. Replace it?", default=False):
        raise ActionRefused(
            f"{path} is there; it was not touched.", "Add --replace, or --settings FILE."
        )


def _answers(options: argparse.Namespace, asks: _Asking) -> Any:
    import asyncio

    from console.backup.policy import default_directory
    from console.first_settings import Answers

    url, password, target = _reached(options, asks)
    name = options.name or asks.answer("Name of this target", "home")
    profile = options.profile or asyncio.run(_fitting(target))
    if profile is None:
        asks.tell("No bundled profile fits; `profile capture` makes one of this database.")
    elif not options.profile:
        asks.tell(f"It looks like {profile}: checks hold it against that profile.")
    where = options.backups or Path(asks.answer("Keep backups in", str(default_directory())))
    return Answers(name, url, password, profile, where.expanduser().absolute())


def _reached(options: argparse.Namespace, asks: _Asking) -> tuple[str, str | None, Target]:
    """An address at which a server answered, the password it took, and the target it makes.

    Raises the ConsoleError of the last attempt.
    """
    from dataclasses import replace

    from console.first_settings import without_password
    from console.target import from_dsn

    for attempt in range(1, _ATTEMPTS + 1):
        address = asks.address(options.url if attempt == 1 else None)
        try:
            url, password = without_password(address)
            target = from_dsn(address)
            try:
                _try(target, asks)
            except PasswordRefused:
                if password is not None or asks.options.yes:
                    raise
                password = asks.secret(f"Password of {target.user}")
                parameters = {**target.parameters, "password": password}
                target = replace(target, parameters=parameters)
                _try(target, asks)
        except ConsoleError as error:
            if attempt == _ATTEMPTS or not asks.may_repeat:
                raise
            asks.tell(f"{error.message}\n{error.hint}".rstrip())
        else:
            return url, password, target
    raise AssertionError("the last attempt returns or raises")


def _try(target: Target, asks: _Asking) -> None:
    """Open a session as the console does, and say what answered."""
    import asyncio

    from console.session import Session

    async def look() -> str:
        session = Session(target)
        try:
            await session.connection()
            server = session.server
        finally:
            await session.close()
        assert server is not None
        return f"Connected: PostgreSQL {server.version}, {server.database}, as {server.role}."

    asks.tell(f"Trying {target.label} ...")
    asks.tell(asyncio.run(look()))


async def _fitting(target: Target) -> str | None:
    from console.profile_choice import choose

    found = (await choose(target)).profile
    return found.name if found is not None else None


def _first_backup(path: Path, name: str, asks: _Asking) -> ExitCode:
    from console.cli import main

    if not asks.offers("\nMake a first backup now?"):
        return ExitCode.OK
    target = ["--settings", str(path), "--target", name]
    code = main([*target, "backup", "create", "--tier", "daily"])
    if code == ExitCode.OK and asks.offers("\nRestore it for trial into a scratch database?"):
        code = main([*target, "backup", "drill", "latest"])
    return ExitCode(code)


class _Asking:
    """Questions on standard error, answers from standard input; --yes answers by the defaults."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options

    @property
    def may_repeat(self) -> bool:
        """Whether a mistaken answer can be given again."""
        import sys

        return not self.options.yes and sys.stdin.isatty()

    def tell(self, line: str) -> None:
        from console.output import tell

        tell(line)

    def address(self, given: str | None) -> str:
        url = os.environ.get("DATABASE_URL", "").strip()
        if given or (self.options.yes and url):
            return given or url
        if url:
            taken = self.agrees("Take the address in DATABASE_URL?")
            return url if taken else self._needed("Where is the database?")
        return self._needed("Where is the database? postgresql://USER@HOST:PORT/DATABASE")

    def _needed(self, question: str) -> str:
        if self.options.yes:
            raise ActionRefused(
                "No address was given.", "Add --url, or set DATABASE_URL; nothing was written."
            )
        while not (said := self._line(f"{question}: ").strip()):
            pass
        return said

    def answer(self, question: str, default: str) -> str:
        if self.options.yes:
            return default
        return self._line(f"{question} [{default}]: ").strip() or default

    def agrees(self, question: str, *, default: bool = True) -> bool:
        if self.options.yes:
            return default
        said = self._line(f"{question} [{'Y/n' if default else 'y/N'}] ").strip().lower()
        return said.startswith("y") if said else default

    def offers(self, question: str) -> bool:
        """The same when everything is written: who answers no more takes no offer."""
        try:
            return self.agrees(question)
        except ActionRefused:
            return False

    def secret(self, question: str) -> str:
        import getpass
        import sys

        if sys.stdin.isatty():
            return getpass.getpass(f"{question}: ")
        return self._line(f"{question}: ").rstrip("\n")

    def _line(self, question: str) -> str:
        """One line of standard input. Raises ActionRefused at its end."""
        import sys

        from console.output import prompt

        prompt(question)
        line = sys.stdin.readline()
        if not line:
            raise ActionRefused(
                "The answers ended before the questions did; nothing was written.",
                "Answer all of them, or add --yes to take the defaults.",
            )
        if not sys.stdin.isatty():
            self.tell("")
        return line
