"""Run pgBackRest for one stanza, as the account that owns its repository; say what it refuses.

Up to 2.58 nothing stops root from running it, and files that root made in the repository then stop
the server's own archiving; from 2.59 on root is refused. So root lends it to another account.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from console.errors import ActionRefused, CommandFailed, SettingsError
from console.pgbackrest.policy import PgbackrestSettings
from console.process import Command, Finished, output_of, run
from console.server_binaries import Account
from console.settings import Settings
from console.tools import bare_environment

READ_SECONDS = 30.0
"""How long reading a repository may take before it counts as hung."""

_ERROR = re.compile(r"^(?:.*? )?ERROR: \[(\d{3})\]: (.*)$")
_HINT = re.compile(r"^\s+HINT: (.+)$")
_LEVEL = re.compile(r"^[A-Z]+: ")

_UNUSABLE = re.compile(r"^(?:.*? )?WARN: (unable to check pg\d+: .*)$")
_UNKNOWN_VERSION = "unexpected control version"
_TOO_NEW = "This pgBackRest does not know the server's version of PostgreSQL: install a newer one."

_ADVICE = {
    31: "Another version of pgBackRest may know it; `pgbackrest version` says which this is.",
    41: "Run pgBackRest as the account that owns the repository: `user` or `command` in settings.",
    42: "Run pgBackRest as the account that owns the repository: `user` or `command` in settings.",
    50: "Another pgBackRest works on this stanza; wait until it ends.",
    62: "`pgbackrest start` allows it again.",
    75: "Name a later moment: no backup had ended before it, and WAL leads forwards only.",
    63: "Nothing of it counts as a backup; the next one goes on from what was copied.",
}
"""By exit code, where pgBackRest's own hint is missing (its src/build/error/error.yaml)."""


class BackrestFailed(CommandFailed):
    """pgBackRest ran, and ended with an error of its own."""


@dataclass(frozen=True, slots=True)
class Backrest:
    """How pgBackRest is run for one stanza."""

    settings: PgbackrestSettings

    @property
    def stanza(self) -> str:
        return self.settings.stanza

    def command(self, action: str, *options: str, level: str = "warn") -> Command:
        """Its lines from `level` on go to standard error, what was asked for to standard output.

        Raises ActionRefused when there is no such account to run it as.
        """
        config = self.settings.config
        argv = (
            *self.settings.command,
            f"--stanza={self.stanza}",
            *([f"--config={config}"] if config else []),
            "--log-level-console=off",
            f"--log-level-stderr={level}",
            *options,
            action,
        )
        return Command(argv, _environment(), account=self.account)

    def by_hand(self, action: str) -> str:
        """A command as somebody would type it, for advice."""
        config = [f"--config={self.settings.config}"] if self.settings.config else []
        return shlex.join([*self.settings.command, f"--stanza={self.stanza}", *config, action])

    @property
    def account(self) -> Account | None:
        """The account to run it as; None for ours. Raises ActionRefused."""
        name = self.settings.user
        if os.geteuid() != 0 or not self.settings.is_ours or name == "root":
            return None
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            raise ActionRefused(
                f"There is no account {name} to run pgBackRest as.",
                "Name the one that owns the repository: `user` in the settings' `pgbackrest`.",
            ) from None
        return Account(name, entry.pw_uid, entry.pw_gid)

    async def read(self, action: str, *options: str, seconds: float = READ_SECONDS) -> str:
        """What a command that only reads answers. Raises CommandFailed, also after `seconds`."""
        try:
            finished, output = await asyncio.wait_for(
                output_of(self.command(action, *options)), seconds
            )
        except TimeoutError:
            raise CommandFailed(
                f"pgBackRest did not answer within {seconds:g} s.",
                "See whether its repository, or the host that it is run on, can be reached.",
            ) from None
        if finished.returncode != 0:
            raise failure(finished, f"pgBackRest's {action} failed")
        return output

    async def drive(
        self, action: str, *options: str, tell: Callable[[str], None], level: str = "detail"
    ) -> tuple[Finished, str]:
        """Run a command to its end, telling its lines; how it ended, and its output.

        When cancelled it gets SIGTERM, on which it ends cleanly. Raises CommandFailed.
        """
        chunks: list[bytes] = []

        def collect(stream: BinaryIO) -> None:
            while chunk := stream.read(65536):
                chunks.append(chunk)

        command = self.command(action, *options, level=level)
        finished = await run(command, on_line=tell, consume=collect)
        if finished.returncode != 0:
            raise failure(finished, f"pgBackRest's {action} failed")
        return finished, b"".join(chunks).decode("utf-8", "replace")


def backrest_of(settings: Settings, target: str) -> Backrest | None:
    """How the target's stanza is asked for; None when settings name none."""
    found = settings.pgbackrest.get(target)
    return Backrest(found) if found is not None else None


def require(settings: Settings, target: str) -> Backrest:
    """Raises SettingsError when settings name no stanza for the target."""
    found = backrest_of(settings, target)
    if found is None:
        raise SettingsError(
            f"The settings name no stanza of pgBackRest for '{target}'.",
            f"Add `pgbackrest: {{{target}: {{stanza: NAME}}}}`; see docs/pgbackrest.md.",
        )
    return found


def failure(finished: Finished, what: str) -> CommandFailed:
    """The error of a pgBackRest that ended badly: its own words, and its own hints."""
    for number, line in enumerate(finished.lines):
        match = _ERROR.match(line)
        if match is None:
            continue
        further = _continuation(finished.lines[number + 1 :])
        hints = [found[1] for text in further if (found := _HINT.match(text))]
        message = _underlying(finished.lines[:number]) or match[2].rstrip(":. ")
        if match[2].endswith(":") and further and not _HINT.match(further[0]):
            message = f"{message}: {further[0].strip().rstrip('.')}"
        code = int(match[1])
        advice = _TOO_NEW if _UNKNOWN_VERSION in message else _ADVICE.get(code)
        return BackrestFailed(f"{what}: {message} [{code:03d}].", advice or _sentence(hints))
    return finished.failure(what, "Run the same command by hand; pgBackRest's log may say more.")


def _underlying(before: Sequence[str]) -> str:
    """Why the server was not usable, which is warned of and then said to be no database at all."""
    found = [match[1] for line in before if (match := _UNUSABLE.match(line))]
    return found[-1].strip().rstrip(".") if found else ""


def _continuation(lines: tuple[str, ...]) -> list[str]:
    """The indented lines that belong to a message."""
    found: list[str] = []
    for line in lines:
        if not line.startswith(" ") or _LEVEL.match(line):
            break
        found.append(line)
    return found


def _sentence(hints: list[str]) -> str:
    if not hints:
        return "pgBackRest's own log says more; `medianest-console pgbackrest check` tests it all."
    words = "; ".join(hint.strip().rstrip(".") for hint in hints[:2])
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('?') else '.'}"


def _environment() -> dict[str, str]:
    """Ours with pgBackRest's own variables, and without libpq's, which would steer it."""
    own = {name: text for name, text in os.environ.items() if name.startswith("PGBACKREST_")}
    return {**bare_environment(), **own}
