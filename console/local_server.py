"""Run a PostgreSQL server of our own, from given programs, in a directory of our own.

The server is a direct child that ends when this process ends, however it ends; it listens on a
unix socket only, unless a TCP port is asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from console.children import spawn
from console.errors import ActionRefused, CommandFailed
from console.server_binaries import (
    find_binaries,
    give,
    runnable_binaries,
    server_account,
    version_of,
)
from console.server_directory import (
    ServerDirectory,
    explained,
    hint_for,
    last_complaint,
    write_private,
)

__all__ = ["LocalServer", "find_binaries"]

_POLL_SECONDS = 0.005
_SUPERUSER = "postgres"


class LocalServer:
    """One PostgreSQL server: `initdb` once, then `start` and `stop` as often as you like.

    `settings` go on the server's command line, so keep secrets out of them. `tcp_port` opens
    127.0.0.1 as well (0: any free port). With `keep_running` the server outlives this process;
    `adopt` finds it again. Timeouts are in seconds. Errors are ConsoleErrors; after one, no server
    runs.
    """

    def __init__(
        self,
        bin_dir: Path,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        tcp_port: int | None = None,
        keep_running: bool = False,
        start_timeout: float = 60.0,
        stop_timeout: float = 30.0,
    ) -> None:
        self.account = server_account()
        self.directory = ServerDirectory(directory, self.account)
        self.settings = dict(settings or {})
        self.keep_running = keep_running
        self._installed = bin_dir
        self._bin_dir: Path | None = None
        self._tcp_port = tcp_port
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._process: subprocess.Popen[bytes] | None = None
        self._adopted: int | None = None
        self._host: Path | None = None
        self._port = 5432
        self._log_start = 0

    @property
    def bin_dir(self) -> Path:
        """The programs as the server's account can run them."""
        if self._bin_dir is None:
            with explained(self.directory.path):
                self._bin_dir = runnable_binaries(
                    self._installed, self.account, self.directory.path
                )
        return self._bin_dir

    @property
    def data_directory(self) -> Path:
        return self.directory.data

    @property
    def host(self) -> str:
        """The directory of the unix socket."""
        if self._host is None:
            raise RuntimeError("the server was not started")
        return str(self._host)

    @property
    def port(self) -> int:
        return self._port

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it runs."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        return self._adopted if self._adopted is not None and self._is_ours(self._adopted) else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    def conninfo(self, dbname: str, user: str = _SUPERUSER, *, tcp: bool = False) -> dict[str, str]:
        """libpq's parameters for `dbname`; the password is only in the passfile they name."""
        return {
            "host": "127.0.0.1" if tcp else self.host,
            "port": str(self.port),
            "user": user,
            "dbname": dbname,
            "passfile": str(self.directory.passfile),
        }

    @property
    def initialised(self) -> bool:
        return (self.data_directory / "PG_VERSION").exists()

    def initdb(self) -> None:
        """Create the data directory: UTF8, checksums, scram passwords; whole or not at all."""
        self.directory.claim()
        if self.initialised:
            raise ActionRefused(
                f"{self.data_directory} already holds a database cluster.",
                "Start it, or choose another directory.",
            )
        with explained(self.directory.path):
            partial = self.directory.path / "data.partial"
            _remove(partial)
            _remove(self.data_directory)
            with self.directory.password_for_initdb() as pwfile:
                self._run_initdb(partial, pwfile)
            partial.rename(self.data_directory)

    def _run_initdb(self, target: Path, pwfile: Path) -> None:
        options = ("--encoding=UTF8", "--locale=C.UTF-8", "--lc-messages=C", "--data-checksums")
        command = [
            str(self.bin_dir / "initdb"),
            f"--pgdata={target}",
            f"--username={_SUPERUSER}",
            f"--pwfile={pwfile}",
            "--auth=scram-sha-256",
            # A cluster that a power cut destroys in its first seconds is simply made again.
            "--no-sync",
            *options,
        ]
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/",
            env=_environment(),
            check=False,
            **(self.account.process_options() if self.account else {}),
        )
        if answer.returncode != 0:
            _remove(target)
            complaint = last_complaint(answer.stdout)
            raise CommandFailed(
                f"The database cluster in {self.directory.path} could not be created: {complaint}.",
                hint_for(complaint),
            )

    def start(self) -> None:
        """Start the server and wait until it takes connections.

        Call it from the main thread: the server ends when the thread that started it does.
        """
        for _ in self._starting():
            time.sleep(_POLL_SECONDS)

    async def start_async(self) -> None:
        """`start` for a running event loop (which must be the main thread's)."""
        for _ in self._starting():
            await asyncio.sleep(_POLL_SECONDS)

    def _starting(self) -> Iterator[None]:
        """Spawn, then yield until the server is ready."""
        self.directory.claim()
        self._check_startable()
        try:
            with explained(self.directory.path):
                self._spawn()
            deadline = time.monotonic() + self._start_timeout
            while not self._is_ready():
                if self._process is None or self._process.poll() is not None:
                    raise self._start_failure("did not start")
                if time.monotonic() > deadline:
                    raise self._start_failure(f"was not ready in {self._start_timeout:.0f} s")
                yield
        except BaseException:
            self._end(signal.SIGQUIT)
            raise

    def _check_startable(self) -> None:
        running = self.occupant()
        if running is not None:
            raise ActionRefused(
                f"A PostgreSQL server (pid {running}) already runs in {self.directory.path}.",
                "Stop it first, or choose another directory.",
            )
        if not self.initialised:
            raise ActionRefused(
                f"{self.data_directory} holds no database cluster.", "Create one first."
            )
        theirs = (self.data_directory / "PG_VERSION").read_text().strip()
        ours = version_of(self.bin_dir)[0]
        if theirs != str(ours):
            raise ActionRefused(
                f"{self.data_directory} was made by PostgreSQL {theirs};"
                f" the programs here are PostgreSQL {ours}.",
                f"Use PostgreSQL {theirs}, or choose another directory.",
            )

    def _spawn(self) -> None:
        self._disown_stale_pid()
        self._host = self.directory.socket()
        if self._tcp_port is not None:
            self._port = self._tcp_port or _free_port()
        settings = {
            "listen_addresses": "" if self._tcp_port is None else "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": self.host,
            "unix_socket_permissions": "0700",
            **self.settings,
        }
        command = [str(self.bin_dir / "postgres"), "-D", str(self.data_directory)]
        for name, setting in settings.items():
            command += ["-c", f"{name}={setting}"]
        self._log_start = self.directory.rotate_log()
        log_file = os.open(self.directory.log, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW)
        with os.fdopen(log_file, "ab") as log:
            self._process = spawn(
                command,
                output=log,
                environment=_environment(),
                dies_with=None if self.keep_running else signal.SIGINT,
                **(self.account.process_options() if self.account else {}),
            )

    def _is_ready(self) -> bool:
        lines = self._pid_file()
        process = self._process
        return (
            process is not None
            and len(lines) > 7
            and lines[0] == str(process.pid)
            and lines[7].strip() == "ready"
        )

    def complaint(self) -> str:
        """The last thing the server's log complains of since the last start."""
        with self.directory.log.open("rb") as log:
            log.seek(self._log_start)
            return last_complaint(log.read().decode(errors="replace"))

    def _start_failure(self, what: str) -> CommandFailed:
        complaint = self.complaint()
        return CommandFailed(
            f"The PostgreSQL server in {self.directory.path} {what}: {complaint}.",
            hint_for(complaint, self.directory.log),
        )

    def adopt(self) -> bool:
        """Take charge of a server left running in this directory; whether there was one."""
        self.directory.claim()
        pid = self.occupant()
        lines = self._pid_file()
        if pid is None or len(lines) < 8 or lines[7].strip() != "ready":
            return False
        self._adopted, self._process = pid, None
        self._port, self._host = int(lines[3]), Path(lines[4])
        return True

    def stop(self, *, immediately: bool = False) -> None:
        """Stop the server: sessions are ended, everything is written, nothing is left behind.

        Without space on the disk nothing can be written: after `stop_timeout` seconds, or with
        `immediately`, the server just ends, and recovers from its WAL at the next start.
        """
        self._end(signal.SIGQUIT if immediately else signal.SIGINT)

    async def stop_async(self) -> None:
        """`stop` without holding up the event loop."""
        await asyncio.to_thread(self.stop)

    def _end(self, how: signal.Signals) -> None:
        for signum in (how, signal.SIGQUIT, signal.SIGKILL):
            pid = self.pid
            if pid is None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signum)
            deadline = time.monotonic() + self._stop_timeout
            while self.running and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
        self._process = self._adopted = None
        with explained(self.directory.path):
            self.directory.remove_short_socket()

    def occupant(self) -> int | None:
        """The pid of a server running in this directory, whoever started it."""
        lines = self._pid_file()
        if not lines or not lines[0].lstrip("-").isdigit():
            return None
        pid = abs(int(lines[0]))
        return pid if self._is_ours(pid) else None

    def _is_ours(self, pid: int) -> bool:
        """Whether `pid` is a postmaster of this data directory: it works inside it."""
        try:
            return Path(f"/proc/{pid}/cwd").resolve(strict=True) == self.data_directory.resolve()
        except OSError:
            return False

    def _disown_stale_pid(self) -> None:
        """Write our own pid into a pid file whose pid some other program has got since.

        postgres counts its parent's pid as stale, and still checks the shared memory segment the
        file names, which it could not if we removed the file.
        """
        lines = self._pid_file()
        if lines:
            path = self.data_directory / "postmaster.pid"
            write_private(path, "\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    def _pid_file(self) -> list[str]:
        try:
            return (self.data_directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def give(self, path: Path) -> None:
        """Make `path` and all below it the server account's, e.g. a base backup to start from."""
        give(path, self.account)

    def __enter__(self) -> Self:
        if not self.initialised:
            self.initdb()
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        if not self.initialised:
            await asyncio.to_thread(self.initdb)
        await self.start_async()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop_async()


def _environment() -> dict[str, str]:
    """Ours without libpq's variables, which would steer the tools, in untranslated English."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    kept.pop("LANGUAGE", None)
    return {**kept, "LC_ALL": "C"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
