"""The directory of a local server: claimed, private, and recognised again.

data/               PostgreSQL's data directory
socket/             its unix socket, unless the path is too long (then socket-directory names it)
passfile            libpq password file, 0600
server.log          what the server wrote to standard error
medianest-console   marks the directory as ours
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from console.errors import ActionRefused, CommandFailed
from console.server_binaries import Account

_SOCKET_PATH_LIMIT = 107
"""Bytes in a socket's path: sun_path holds 108 with its final zero (unix(7))."""

_SHORT_PREFIX = "medianest-pg-"
_LOG_KEPT_BYTES = 10 * 1024 * 1024
_SEVERITY = re.compile(r"(?:FATAL|PANIC|ERROR|fatal|error):\s+(.+)")


class ServerDirectory:
    """Paths of one server's directory, and what is done to them while no server runs."""

    def __init__(self, path: Path, account: Account | None) -> None:
        self.path = path.expanduser().absolute()
        self.account = account
        self.data = self.path / "data"
        self.passfile = self.path / "passfile"
        self.log = self.path / "server.log"
        self._mark = self.path / "medianest-console"
        self._short_socket = self.path / "socket-directory"

    def claim(self) -> None:
        """Create the directory, or recognise it as ours.

        Raises ActionRefused when something else is there, CommandFailed when it cannot be used.
        """
        with explained(self.path):
            _make_directories(self.path.parent)
            if self.path.exists() and not self.path.is_dir():
                raise ActionRefused(
                    f"{self.path} is taken: it is a file.", "Choose another directory."
                )
            self.path.mkdir(mode=0o700, exist_ok=True)
            if not self._mark.exists():
                if any(self.path.iterdir()):
                    raise ActionRefused(
                        f"{self.path} is taken: it holds files that are not the console's.",
                        "Choose an empty or absent directory; nothing was changed.",
                    )
                write_private(self._mark, "A PostgreSQL server of MediaNest Console lives here.\n")
            self._give(self.path)
            self._check_reachable()

    def _give(self, path: Path) -> None:
        # Through a descriptor: the account owns our directory and could put a link in its place.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fchmod(descriptor, 0o700 if path.is_dir() else 0o600)
            if self.account is not None:
                os.fchown(descriptor, self.account.uid, self.account.gid)
        finally:
            os.close(descriptor)

    def _check_reachable(self) -> None:
        if self.account is None:
            return
        answer = subprocess.run(
            ["test", "-w", str(self.path)], cwd="/", check=False, **self.account.process_options()
        )
        if answer.returncode != 0:
            raise CommandFailed(
                f"The user {self.account.name}, whom root lends the server to,"
                f" cannot reach {self.path}.",
                "Choose a directory all of whose parents others may enter,"
                " such as one below /var/lib.",
            )

    def socket(self) -> Path:
        """A private directory for the socket, made if need be; left-overs of a crash are gone."""
        self.remove_short_socket()
        socket = self.path / "socket"
        if len(os.fsencode(socket / ".s.PGSQL.65535.lock")) > _SOCKET_PATH_LIMIT:
            runtime = os.environ.get("XDG_RUNTIME_DIR", "")
            usable = self.account is None and os.access(runtime, os.W_OK) and len(runtime) < 60
            base = runtime if usable else "/tmp"
            socket = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=base))
            write_private(self._short_socket, str(socket))
        socket.mkdir(exist_ok=True)
        self._give(socket)
        return socket

    def remove_short_socket(self) -> None:
        """Remove the short socket directory, if this server had one."""
        if not self._short_socket.exists():
            return
        path = Path(self._short_socket.read_text())
        owner = self.account.uid if self.account else os.geteuid()
        ours = path.name.startswith(_SHORT_PREFIX) and not path.is_symlink()
        if ours and path.is_dir() and path.stat().st_uid in (owner, os.geteuid()):
            shutil.rmtree(path)
        self._short_socket.unlink()

    @contextmanager
    def password_for_initdb(self) -> Iterator[Path]:
        """A file with a new random password for `postgres`, gone afterwards.

        The passfile names the same password.
        """
        password = secrets.token_urlsafe(24)
        self.passfile.unlink(missing_ok=True)
        self.add_password("postgres", password)
        path = self.path / "initdb-password"
        try:
            write_private(path, password + "\n")
            self._give(path)
            yield path
        finally:
            path.unlink(missing_ok=True)

    def add_password(self, user: str, password: str) -> None:
        """Let the passfile know `user`'s password (neither may hold `:` or `\\`)."""
        write_private(self.passfile, f"*:*:*:{user}:{password}\n", append=True)

    def password(self, user: str) -> str | None:
        """What the passfile says is `user`'s password."""
        if not self.passfile.exists():
            return None
        for line in self.passfile.read_text().splitlines():
            if line.startswith(f"*:*:*:{user}:"):
                return line.split(":", 4)[4]
        return None

    def rotate_log(self) -> int:
        """Put a large log aside (one is kept); where the next start's messages begin, in bytes."""
        if not self.log.exists():
            write_private(self.log, "", append=True)
            return 0
        size = self.log.stat().st_size
        if size > _LOG_KEPT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
            return self.rotate_log()
        return size

    def remove_contents(self) -> None:
        """Empty the directory of all but its mark and lock; no server may be running in it."""
        with explained(self.path):
            self.remove_short_socket()
            for path in self.path.iterdir():
                if path == self._mark or path.suffix == ".lock":
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def last_complaint(text: str) -> str:
    """The last line of a server's or tool's output that says what went wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    found = [match[1].rstrip(".") for line in lines if (match := _SEVERITY.search(line))]
    # What it tells those who knock while it ends is no reason for its ending.
    reasons = [words for words in found if not words.startswith("the database system is ")]
    if reasons or found:
        return (reasons or found)[-1]
    return lines[-1].rstrip(".") if lines else "it says nothing"


def hint_for(complaint: str, log: Path | None = None) -> str:
    """What to do about a server's complaint."""
    if "No space left on device" in complaint or "Disk quota exceeded" in complaint:
        return "Free some disk space, or choose a directory on another disk."
    if "ermission denied" in complaint:
        return "Check who owns the directory, or choose another one."
    if "shared memory" in complaint or "semaphores" in complaint:
        return "Another server may still be ending there; wait a moment and try again."
    return f"The server's log, {log}, says more." if log is not None else "Try another directory."


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError about `path` into a CommandFailed a person can act on."""
    try:
        yield
    except OSError as error:
        what = error.strerror or str(error)
        hint = {
            errno.ENOSPC: "Free some disk space, or choose a directory on another disk.",
            errno.EDQUOT: "Free some disk space, or choose a directory on another disk.",
        }.get(error.errno or 0, "Choose a directory you may write to.")
        raise CommandFailed(f"{error.filename or path} cannot be used: {what}.", hint) from error


def _make_directories(path: Path) -> None:
    """Create what is missing of `path`; existing directories keep their modes."""
    if path.exists():
        return
    _make_directories(path.parent)
    path.mkdir()
    # Root's server runs as another account, which must be able to pass through.
    path.chmod(0o755 if os.geteuid() == 0 else 0o700)


def write_private(path: Path, text: str, *, append: bool = False) -> None:
    """Write a file only its owner may read, never through a link another account has put there."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_APPEND if append else os.O_TRUNC)
    with os.fdopen(os.open(path, flags, 0o600), "w") as file:
        file.write(text)
