"""The backup directory, which alone is the truth: ROOT/TARGET/ID/ holds one backup, whole.

A directory whose name begins with a dot is a run that is not finished, or was killed. Ids are UTC
stamps that only grow, also when the clock is set back, so names sort in the order of making.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from console.backup.jsonfile import sync_directory
from console.backup.manifest import (
    MANIFEST,
    Manifest,
    Proof,
    Record,
    Tier,
    Verdict,
    read_manifest,
    read_record,
    write_record,
)
from console.errors import ActionRefused, CommandFailed

_ID = re.compile(r"(\d{8}T\d{6}Z)-([a-z-]+)")
_STAMP = "%Y%m%dT%H%M%SZ"
_LOCK = ".lock"
_RECORD_LOCK = ".record-lock"


@dataclass(frozen=True)
class Backup:
    """One published backup; `manifest` is None when it is damaged, `problem` says how."""

    path: Path
    manifest: Manifest | None
    record: Record
    problem: str = ""

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def tier(self) -> Tier | None:
        match = _ID.fullmatch(self.id)
        return Tier(match[2]) if match and match[2] in list(Tier) else None

    @property
    def made_at(self) -> datetime:
        """When its snapshot was taken; for a damaged one what its id says."""
        if self.manifest is not None:
            return self.manifest.taken_at
        return _stamp_of(self.id)

    @cached_property
    def verification(self) -> Proof | None:
        return self.record.newest("verify")

    @cached_property
    def drill(self) -> Proof | None:
        return self.record.newest("drill")

    @property
    def verdict(self) -> Verdict:
        """What is known now: a failure of either proof counts, and nothing unproven passes."""
        if self.manifest is None:
            return Verdict.FAIL
        newest = [proof for proof in (self.verification, self.drill) if proof is not None]
        if any(proof.verdict is Verdict.FAIL for proof in newest):
            return Verdict.FAIL
        if self.verification is not None and self.verification.verdict is Verdict.PASS:
            return Verdict.PASS
        return Verdict.COULD_NOT_VERIFY

    @property
    def archive_path(self) -> Path | None:
        """What pg_restore (or psql) is given; a directory archive's directory."""
        if self.manifest is None or self.manifest.archive is None:
            return None
        path = self.path / self.manifest.archive.name
        return path.parent if path.name == "toc.dat" else path


def _stamp_of(identity: str) -> datetime:
    match = _ID.match(identity)
    if match is None:
        return datetime.fromtimestamp(0, UTC)
    return datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)


class Store:
    """Backups below one root directory, by target. Raises CommandFailed when it cannot be used."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser()

    def directory(self, target: str) -> Path:
        """A target's own directory."""
        return self.root / directory_name(target)

    def claim(self, target: str) -> Path:
        """The target's directory, created private if need be."""
        directory = self.directory(target)
        with explained(directory):
            missing = [path for path in (directory, *directory.parents) if not path.exists()]
            for path in reversed(missing):
                path.mkdir(mode=0o700, exist_ok=True)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
        return directory

    def targets(self) -> tuple[Path, ...]:
        """The directories of all targets that have one."""
        with explained(self.root):
            if not self.root.is_dir():
                return ()
            return tuple(sorted(p for p in self.root.iterdir() if p.is_dir() and p.name[0] != "."))

    def backups(self, target: str | None = None) -> tuple[Backup, ...]:
        """All published backups of a target, or of all, the newest first; damaged ones too."""
        directories = self.targets() if target is None else (self.directory(target),)
        found = []
        for directory in directories:
            with explained(directory):
                entries = list(directory.iterdir()) if directory.is_dir() else []
            found += [entry for entry in entries if is_backup_id(entry.name) and entry.is_dir()]
        return tuple(load(path) for path in sorted(found, key=_by_name, reverse=True))

    def find(self, reference: str, target: str | None = None) -> Backup:
        """A backup by its id, by an unambiguous beginning of it, or `latest` (the newest good one).

        Raises ActionRefused when there is none, or more than one.
        """
        backups = self.backups(target)
        if reference == "latest":
            good = [backup for backup in backups if backup.verdict is Verdict.PASS]
            if not good:
                raise ActionRefused(
                    "There is no verified backup.",
                    "Make one with `backup create`, or verify one with `backup verify ID`.",
                )
            return good[0]
        exact = [backup for backup in backups if backup.id == reference]
        found = exact or [backup for backup in backups if backup.id.startswith(reference)]
        if len(found) == 1 and reference:
            return found[0]
        problem = "is not there" if not found else "stands for several backups"
        raise ActionRefused(
            f"The backup '{reference}' {problem}.", "`backup list` shows every backup with its id."
        )

    def new_id(self, target: str, tier: Tier, now: datetime | None = None) -> str:
        """An id after every other of the target, whatever the clock says."""
        moment = (now or datetime.now(UTC)).replace(microsecond=0)
        directory = self.directory(target)
        names = (
            [path.name.lstrip(".") for path in directory.iterdir()] if directory.is_dir() else []
        )
        stamps = [_stamp_of(name) for name in names if _ID.fullmatch(name)]
        latest = max(stamps, default=moment - timedelta(seconds=1))
        return f"{max(moment, latest + timedelta(seconds=1)):{_STAMP}}-{tier}"

    def free_id(self, target: str, tier: Tier, made_at: datetime) -> str:
        """An id for a backup that was made at another time: in its place among the others."""
        moment = made_at.replace(microsecond=0)
        while any(self.directory(target).glob(f"*{moment:{_STAMP}}-*")):
            moment += timedelta(seconds=1)
        return f"{moment:{_STAMP}}-{tier}"

    @contextmanager
    def lock(self, target: str) -> Iterator[None]:
        """Hold a target for one run that adds or removes backups. Raises ActionRefused when held.

        The kernel lets go when the holder dies, so a lock is never stale.
        """
        directory = self.claim(target)
        with explained(directory), (directory / _LOCK).open("a+") as file:
            os.chmod(file.fileno(), 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip()
                raise ActionRefused(
                    f"Another run (pid {holder or 'unknown'}) is at work on the backups"
                    f" of '{target}'.",
                    "Wait until it ends.",
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)

    def running(self, target: str) -> int | None:
        """The pid of the run that holds the target; None when none does."""
        path = self.directory(target) / _LOCK
        try:
            with path.open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = path.read_text().strip()
            return int(text) if text.isdigit() else 0
        except OSError:
            pass  # no lock file, or not ours to write: then no run of ours holds it
        return None

    def sweep(self, target: str) -> tuple[str, ...]:
        """Remove what killed runs left behind (hold the lock); the names of what it was."""
        removed = []
        directory = self.directory(target)
        with explained(directory):
            for path in directory.iterdir():
                left_over = path.name.endswith((".partial", ".removing"))
                if path.name.startswith(".") and left_over and path.is_dir():
                    shutil.rmtree(path)
                    removed.append(path.name)
        return tuple(removed)

    @contextmanager
    def partial(self, target: str, identity: str) -> Iterator[Path]:
        """A hidden directory to make a backup in: published at the end, removed on any error."""
        directory = self.directory(target)
        path = directory / f".{identity}.partial"
        try:
            with explained(directory):
                path.mkdir(mode=0o700)
            yield path
            with explained(path):
                _sync_tree(path)
                path.rename(directory / identity)
                sync_directory(directory)
        except BaseException:
            # A read-only or broken disk may refuse this too; the next run sweeps it.
            shutil.rmtree(path, ignore_errors=True)
            raise

    @contextmanager
    def using(self, backup: Backup) -> Iterator[None]:
        """Keep a backup from being removed while it is read. Raises ActionRefused when it is."""
        with _flocked(backup.path / MANIFEST, fcntl.LOCK_SH, backup):
            yield

    def remove(self, backup: Backup) -> None:
        """Remove a published backup (hold the lock): at no time is half of one listed.

        Raises ActionRefused while a drill or a restore reads it.
        """
        hidden = backup.path.with_name(f".{backup.id}.removing")
        with _flocked(backup.path / MANIFEST, fcntl.LOCK_EX, backup), explained(backup.path):
            backup.path.rename(hidden)
            sync_directory(backup.path.parent)
            shutil.rmtree(hidden)

    def change_record(self, backup: Backup, change: Callable[[Record], Record]) -> Backup:
        """Change what is recorded of a backup, one writer at a time; the backup as it is then."""
        with explained(backup.path), (backup.path.parent / _RECORD_LOCK).open("a") as file:
            os.chmod(file.fileno(), 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            current = load(backup.path)
            write_record(backup.path, change(current.record))
        return load(backup.path)


@contextmanager
def _flocked(path: Path, how: int, backup: Backup) -> Iterator[None]:
    """Hold a file of the backup; one without that file has nothing to hold."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            file = stack.enter_context(path.open("rb"))
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ActionRefused(
                    f"The backup {backup.id} is in use by another run.", "Wait until it ends."
                ) from None
        yield


def directory_name(target: str) -> str:
    """A target's name, made safe for any file system."""
    safe = quote(target or "database", safe=" @+=,")
    return safe if not safe.startswith(".") else "%2E" + safe[1:]


def is_backup_id(name: str) -> bool:
    """Whether a directory of that name may be a published backup."""
    return _ID.fullmatch(name) is not None


def _by_name(path: Path) -> str:
    return path.name


def load(path: Path) -> Backup:
    """The backup in a directory; a damaged one has no manifest and a problem."""
    try:
        manifest = read_manifest(path)
    except FileNotFoundError:
        return Backup(path, None, _record(path), "it has no manifest")
    except (OSError, ValueError) as error:
        return Backup(path, None, _record(path), _reason(error))
    try:
        return Backup(path, manifest, read_record(path))
    except (OSError, ValueError) as error:
        return Backup(path, manifest, Record(), f"its record is unreadable: {_reason(error)}")


def _record(path: Path) -> Record:
    with contextlib.suppress(OSError, ValueError):
        return read_record(path)
    return Record()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0]


def _sync_tree(path: Path) -> None:
    for root, _, names in os.walk(path):
        for name in names:
            sync_file(Path(root, name))
        sync_directory(Path(root))


def sync_file(path: Path) -> None:
    """Make a file's content durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError about the backup directory into a CommandFailed a person can act on."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise CommandFailed(
            f"{error.filename or path} cannot be used: {error.strerror or error}.",
            "Free some disk space, or choose a directory on another disk."
            if full
            else "Choose a backup directory that you may write to, on a disk that works.",
        ) from error
