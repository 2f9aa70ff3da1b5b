"""Restore an archive into a new database of its own; the drill and the emergency restore share it.

Nothing here knows of a live database: it creates a name that must not exist, and fills it.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from console.backup.archive import CHUNK, identify, named_or_fed, read_contents, read_fully
from console.backup.complaints import Complaint, Nature, parse, uncounted
from console.backup.manifest import FileKind, Manifest
from console.backup.snapshot import server_major
from console.errors import CommandFailed, ConsoleError, QueryFailed
from console.process import Finished, first_error, run
from console.session import Limits, connect
from console.target import Target
from console.tools import Tools, dbname_argument, with_database
from queries.backup import DatabaseProperties
from queries.database import (
    comment_on_database,
    copy_database,
    create_database,
    drop_database,
    set_search_path,
)

_TRANSACTION_TIMEOUT = 17
"""The first major version that has this setting."""

_UNBOUNDED = Limits(statement_ms=0, lock_ms=30_000, connect_s=15)
_PATH_LINE = b"SELECT pg_catalog.set_config('search_path', '', false);"
_DEFAULT_PATH = '"$user", public'
_TABLE_LINE = re.compile(r'processing data for table "(.+)"$')
_FINISHED_LINE = re.compile(r"^pg_restore: (?:finished item|creating|processing data) ")


@dataclass(frozen=True, slots=True)
class LoadOptions:
    jobs: int = 2
    owners: bool = True
    """False: everything belongs to the restoring role (another environment)."""
    privileges: bool = True
    role: str | None = None
    """Become this role first (pg_restore --role)."""
    only: tuple[str, ...] = ()
    """Further pg_restore options that narrow it, such as --table=users."""
    search_path: str = _DEFAULT_PATH
    """What a second pass uses for entries that failed for want of it."""


@dataclass(frozen=True, slots=True)
class LoadProgress:
    phase: str
    table: str = ""
    done_entries: int = 0
    expected_entries: int | None = None


Report = Callable[[LoadProgress], None]


def silent(progress: LoadProgress) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A restore that ran to its end; it is good only when nothing is `fatal`."""

    seconds: float
    harmless: tuple[Complaint, ...] = ()
    mended: tuple[Complaint, ...] = ()
    """Failed for want of the search path, and done in the second pass."""
    fatal: tuple[str, ...] = field(default=())

    def require_good(self) -> None:
        """Raises CommandFailed naming the first errors unless all are known to be harmless."""
        if self.fatal:
            more = f" and {len(self.fatal) - 3} more" if len(self.fatal) > 3 else ""
            raise CommandFailed(
                f"The restore failed: {'; '.join(self.fatal[:3])}{more}.",
                "Nothing else was changed; mend the cause and restore again.",
            )


def search_path_of(manifest: Manifest | None) -> str:
    """The database's own search path as the backup recorded it, else PostgreSQL's default."""
    for setting in manifest.settings if manifest else ():
        name, _, text = setting.setting.partition("=")
        if setting.role == "" and name == "search_path":
            return text
    return _DEFAULT_PATH


async def create(
    maintenance: Target,
    name: str,
    like: DatabaseProperties | None,
    *,
    comment: str,
    owner: str | None = None,
) -> None:
    """Create a database from template0 with recorded encoding and locale.

    `maintenance` is another database of the server to do it from. Raises QueryFailed, also when
    the name is taken or the locale is not there, and PrivilegeMissing.
    """
    async with connect(maintenance, read_only=False, limits=_UNBOUNDED) as connection:
        major = connection.info.server_version // 10000
        await connection.execute(create_database(name, like, major, owner))
        await connection.execute(comment_on_database(name, comment))


async def copy(maintenance: Target, original: str, name: str, *, comment: str) -> None:
    """Create a database as a copy of another of the server, which nobody may be connected to."""
    async with connect(maintenance, read_only=False, limits=_UNBOUNDED) as connection:
        await connection.execute(copy_database(name, original))
        await connection.execute(comment_on_database(name, comment))


async def drop(maintenance: Target, name: str) -> None:
    """Drop a database and end its sessions; one that is gone already is no error."""
    async with connect(maintenance, read_only=False, limits=_UNBOUNDED) as connection:
        await connection.execute(drop_database(name))


async def load(
    tools: Tools,
    target: Target,
    archive: Path,
    options: LoadOptions | None = None,
    report: Report = silent,
) -> Loaded:
    """Restore a dump file of any format into `target`, an empty database, and analyze it.

    Raises CommandFailed when a tool cannot be run or the file is no dump.
    """
    options, began = options or LoadOptions(), time.monotonic()
    opened = identify(archive)
    if opened.kind is FileKind.PLAIN:
        loaded = await _load_plain(tools, target, archive, gzipped=opened.gzipped)
    else:
        loaded = await _load_archive(tools, target, archive, opened.kind, options, report)
    if not loaded.fatal:
        report(LoadProgress("analyzing"))
        await analyze(target, options.search_path)
    return Loaded(time.monotonic() - began, loaded.harmless, loaded.mended, loaded.fatal)


async def analyze(target: Target, search_path: str = _DEFAULT_PATH) -> None:
    """Give the planner its statistics, which no dump before 18 carries. Raises ConsoleError.

    Functions in indexes are called for it, and may need the search path.
    """
    async with connect(target, read_only=False, limits=_UNBOUNDED) as connection:
        await connection.execute(set_search_path(search_path))
        await connection.execute("ANALYZE")


async def _load_plain(tools: Tools, target: Target, path: Path, *, gzipped: bool) -> Loaded:
    """Plain SQL in one transaction: psql's exit code says nothing without ON_ERROR_STOP."""

    def feed(stream: BinaryIO) -> None:
        with gzip.open(path, "rb") if gzipped else path.open("rb") as file:
            shutil.copyfileobj(file, stream, CHUNK)

    finished = await _psql(tools, target, feed)
    fatal = () if finished.returncode == 0 else (_psql_complaint(finished),)
    return Loaded(finished.seconds, fatal=fatal)


async def _psql(tools: Tools, target: Target, feed: Callable[[BinaryIO], None]) -> Finished:
    arguments = (
        "--no-psqlrc",
        "--quiet",
        "--no-password",
        "--set=ON_ERROR_STOP=1",
        "--single-transaction",
        f"--dbname={dbname_argument(target.dbname)}",
        "--file=-",
    )
    with tools.command(target, "psql", *arguments) as command:
        return await run(command, feed=feed)


def _psql_complaint(finished: Finished) -> str:
    for line in finished.lines:
        if "ERROR:" in line or "FATAL:" in line or "error:" in line:
            return line.partition("<stdin>:")[2] or line
    return finished.complaint


async def _load_archive(
    tools: Tools,
    target: Target,
    archive: Path,
    kind: FileKind,
    options: LoadOptions,
    report: Report,
) -> Loaded:
    finished = await _pg_restore(tools, target, archive, kind, options, report)
    complaints = parse(finished.lines)
    fatal = [str(complaint) for complaint in complaints if complaint.nature is Nature.FATAL]
    harmless = tuple(c for c in complaints if c.nature is Nature.HARMLESS)
    serial = options.jobs == 1 or tools.in_container or kind is FileKind.TAR
    unknown = uncounted(finished.lines, complaints) if serial else 0
    if unknown:
        fatal.append(f"pg_restore passed over {unknown} more errors than it named")
    broken_off = finished.returncode not in (0, 1)
    if broken_off or (finished.returncode == 1 and not complaints):
        fatal.append(finished.complaint)
    victims = [c for c in complaints if c.nature is Nature.SEARCH_PATH]
    if broken_off or not victims:
        return Loaded(finished.seconds, harmless, fatal=tuple(fatal))
    # What failed only because a victim did (a foreign key to rows not there) is tried again too.
    again = [c for c in complaints if c.retryable and c.nature is not Nature.HARMLESS]
    lasting = [c for c in complaints if c.nature is Nature.FATAL and not c.retryable]
    report(LoadProgress("second pass with the database's search path"))
    problem = await _second_pass(tools, target, archive, again, options.search_path)
    if not problem and not lasting and not unknown:
        return Loaded(finished.seconds, harmless, tuple(again))
    named = [str(complaint) for complaint in (*lasting, *victims)]
    return Loaded(finished.seconds, harmless, fatal=(*named, *([problem] if problem else [])))


async def _pg_restore(
    tools: Tools,
    target: Target,
    archive: Path,
    kind: FileKind,
    options: LoadOptions,
    report: Report,
) -> Finished:
    arguments = [f"--dbname={dbname_argument(target.dbname)}", "--no-password", *options.only]
    # Every worker of newer tools complains at its start, all at once: between other messages,
    # those lines could not be told apart.
    newer = tools.major >= _TRANSACTION_TIMEOUT
    mismatch = newer and await server_major(target) < _TRANSACTION_TIMEOUT
    arguments += ["--verbose"] * (not mismatch)
    arguments += ["--no-owner"] * (not options.owners)
    arguments += ["--no-privileges"] * (not options.privileges)
    arguments += [f"--role={options.role}"] if options.role else []
    # With --exit-on-error the harmless line of newer tools would end everything: never used here.
    named, feed = named_or_fed(tools, archive)
    if not tools.in_container and options.jobs > 1 and kind is not FileKind.TAR:
        arguments.append(f"--jobs={options.jobs}")
    watch = _Watch(report)

    async def expect() -> None:
        watch.expected = len((await read_contents(tools, archive)).entries)

    with tools.command(target, "pg_restore", *arguments, *named) as command:
        try:
            # What there is to do is asked meanwhile: only the report of progress needs it.
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(expect())
                running = tasks.create_task(run(command, on_line=watch.line, feed=feed))
        except BaseExceptionGroup as group:
            raise first_error(group) from None
    return running.result()


def _feed_bytes(text: bytes) -> Callable[[BinaryIO], None]:
    def feed(stream: BinaryIO) -> None:
        stream.write(text)

    return feed


@dataclass(slots=True)
class _Watch:
    report: Report
    expected: int | None = None
    done: int = 0
    table: str = ""

    def line(self, line: str) -> None:
        if (match := _TABLE_LINE.search(line)) is not None:
            self.table = match[1]
        if _FINISHED_LINE.match(line):
            self.done += 1
            done = min(self.done, self.expected or self.done)
            self.report(LoadProgress("restoring", self.table, done, self.expected))


async def _second_pass(
    tools: Tools, target: Target, archive: Path, failed: Sequence[Complaint], search_path: str
) -> str:
    """Run failed entries again with a search path; '' when all went well, else the complaint."""
    if tools.in_container:
        return (
            f"a second pass with the search path needs pg_restore on this machine ({tools.place})"
        )
    wanted = {complaint.dump_id for complaint in failed}
    contents = await read_contents(tools, archive)
    pieces: list[bytes] = []

    def collect(stream: BinaryIO) -> None:
        while piece := stream.read(CHUNK):
            pieces.append(piece)

    with NamedTemporaryFile("w", prefix="medianest-console-", suffix=".list") as file:
        file.writelines(entry.line + "\n" for entry in contents.entries if entry.dump_id in wanted)
        file.flush()
        finished = await read_fully(tools, archive, collect, f"--use-list={file.name}")
    if finished.returncode != 0:
        return finished.complaint
    quoted = search_path.replace("'", "''").encode()
    path_line = b"SELECT pg_catalog.set_config('search_path', '" + quoted + b"', false);"
    text = b"".join(pieces).replace(_PATH_LINE, path_line, 1)
    # psql stops at the first error, so the line that older servers refuse is left out.
    text = text.replace(b"\nSET transaction_timeout = 0;\n", b"\n", 1)
    answer = await _psql(tools, target, _feed_bytes(text))
    return "" if answer.returncode == 0 else _psql_complaint(answer)


async def maintenance_target(target: Target) -> Target:
    """Another database of the same server to work from: postgres, else template1.

    Raises the ConsoleError of the first when neither lets us in.
    """
    first: ConsoleError | None = None
    for name in ("postgres", "template1"):
        candidate = with_database(target, name)
        try:
            async with connect(candidate):
                return candidate
        except ConsoleError as error:
            first = first or error
    raise first or QueryFailed("No database of the server can be worked from.")
