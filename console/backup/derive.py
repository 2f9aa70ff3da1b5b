"""What is made from an archive, and the roles: written and hashed as it streams."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from console.backup.archive import CHUNK, SqlReader, read_fully, sha256_of
from console.backup.manifest import BackupFile, FileKind, TableRows
from console.errors import CommandFailed
from console.process import Consume, run
from console.target import Target
from console.tools import Tools, dbname_argument

_GZIP = 16 + zlib.MAX_WBITS


class HashedFile:
    """A new private file that is hashed, and gzipped if wanted, while it is written."""

    def __init__(self, path: Path, *, gzip_level: int | None = None) -> None:
        self.path = path
        self.length = 0
        self._hash = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
        # No time and no name go into the header, so the same rows give the same file.
        self._gzip = zlib.compressobj(gzip_level, zlib.DEFLATED, _GZIP) if gzip_level else None

    def write(self, piece: bytes) -> None:
        self._put(self._gzip.compress(piece) if self._gzip else piece)

    def _put(self, piece: bytes) -> None:
        view = memoryview(piece)
        while view:
            written = self._file.write(view) or 0
            view = view[written:]
        self._hash.update(piece)
        self.length += len(piece)

    def finish(self) -> str:
        """Write what is left and make it durable; the hash in hex."""
        if self._gzip:
            self._put(self._gzip.flush())
        os.fsync(self._file.fileno())
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def into_file(path: Path) -> Consume:
    """A consumer that keeps a program's output in a private file."""

    def consume(stream: BinaryIO) -> None:
        with HashedFile(path) as file:
            while piece := stream.read(CHUNK):
                file.write(piece)
            file.finish()

    return consume


@dataclass(frozen=True, slots=True)
class Derivation:
    """The further formats of one archive."""

    tools: Tools
    directory: Path
    archive: Path
    tables: Sequence[TableRows]

    async def schema(self) -> BackupFile:
        """schema.sql: everything but rows. Raises CommandFailed, OSError."""
        return await self._run(FileKind.SCHEMA, "schema.sql", None)

    async def plain(self) -> BackupFile:
        """plain.sql.gz: everything; its rows are compared with the snapshot's."""
        return await self._run(FileKind.PLAIN, "plain.sql.gz", 6)

    async def _run(self, kind: FileKind, name: str, gzip_level: int | None) -> BackupFile:
        reader = SqlReader()
        options = ("--schema-only",) if kind is FileKind.SCHEMA else ()
        with HashedFile(self.directory / name, gzip_level=gzip_level) as file:

            def consume(stream: BinaryIO) -> None:
                while piece := stream.read(CHUNK):
                    file.write(piece)
                    reader.feed(piece)

            finished = await read_fully(self.tools, self.archive, consume, *options)
            digest = file.finish()
        if finished.returncode != 0:
            raise finished.failure(f"{name} could not be made from the archive")
        problem = reader.problem
        if not problem and kind is FileKind.PLAIN:
            problem = row_differences(self.tables, reader.rows)
        if problem:
            raise CommandFailed(
                f"The archive is not what was dumped: {problem}.",
                "Make the backup again, and check the disk.",
            )
        return BackupFile(name, kind, file.length, digest)

    async def roles(self, target: Target, passwords: bool) -> tuple[BackupFile | None, str]:
        """roles.sql of the whole server, or None and why it is not there."""
        if not self.tools.has("pg_dumpall"):
            return None, "roles.sql was left out: pg_dumpall is not installed"
        complaint = ""
        path = self.directory / "roles.sql"
        for without in (False, True) if passwords else (True,):
            options = ["--roles-only", "--no-password"] + ["--no-role-passwords"] * without
            options.append(f"--database={dbname_argument(target.dbname)}")
            with self.tools.command(target, "pg_dumpall", *options) as command:
                finished = await run(command, consume=into_file(path))
            if finished.returncode == 0:
                found = BackupFile(path.name, FileKind.ROLES, path.stat().st_size, sha256_of(path))
                return found, f"roles.sql has no passwords: {complaint}" if complaint else ""
            path.unlink()
            complaint = finished.complaint
        return None, f"roles.sql was left out: {complaint}"


def row_differences(tables: Sequence[TableRows], found: dict[tuple[str, str], int]) -> str:
    """How a dump's rows differ from those counted in its snapshot; '' for not at all."""
    differences = []
    for table in tables:
        if table.kind != "r" or table.rows is None:
            continue
        rows = found.get((table.schema, table.name))
        if rows != table.rows:
            shown = "none" if rows is None else str(rows)
            differences.append(f"{table.schema}.{table.name} has {shown} of {table.rows} rows")
    more = f" and {len(differences) - 5} more tables" if len(differences) > 5 else ""
    return ", ".join(differences[:5]) + more
