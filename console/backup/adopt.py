"""Take a dump that something else made into history; the original stays as it is."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from console.backup.archive import Contents, identify, read_contents
from console.backup.dump import describe
from console.backup.manifest import (
    SCHEMA_VERSION,
    BackupFile,
    FileKind,
    Manifest,
    Tier,
    write_manifest,
)
from console.backup.store import Backup, Store, explained, load
from console.errors import ActionRefused
from console.tools import Tools, ToolSettings, all_tools

_MEDIANEST = re.compile(
    r"(?P<database>.+?)_(?P<tier>daily|weekly|monthly|pre-?deployment|manual)_"
    r"(?P<stamp>\d{8}[_T-]?\d{6}Z?)"
)
"""What MediaNest's shell script called its files: medianest_daily_20250901_020000.dump."""

_SIBLINGS = {"_schema.sql": FileKind.SCHEMA, ".sql.gz": FileKind.PLAIN, ".sql": FileKind.PLAIN}
_VERSION = re.compile(r"(\d+)(?:\.(\d+))?")
_PLAIN_VERSION = re.compile(rb"^-- Dumped from database version (.+)$", re.MULTILINE)
_PLAIN_TOOL = re.compile(rb"^-- Dumped by pg_dump version (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Origin:
    """What a file's name and header say of it."""

    database: str
    tier: Tier
    made_at: datetime
    server_version: str
    tools_version: str
    contents: Contents | None


async def adopt(
    store: Store,
    target: str,
    path: Path,
    settings: ToolSettings,
    *,
    tier: Tier | None = None,
    note: str = "",
    link: bool = False,
) -> Backup:
    """Copy (or hard link) a dump and its siblings into a target's history, not yet verified.

    The tier and the time come from the name where it is MediaNest's, else from the archive's
    header or the file. Raises ActionRefused for a file that is no dump, or too damaged to list.
    """
    began = time.monotonic()
    with explained(path):
        opened = identify(path)
        origin = await _origin(path, opened.kind, settings, tier)
        sources = {path: opened.kind, **(_siblings(path, opened.kind))}
    with store.lock(target):
        store.sweep(target)
        _refuse_twice(store, target, path)
        identity = store.free_id(target, origin.tier, origin.made_at)
        with store.partial(target, identity) as directory, explained(directory):
            files: list[BackupFile] = []
            for source, kind in sources.items():
                files += _take(source, directory, kind, link)
            manifest = _manifest(origin, identity, target, path, tuple(files), note)
            seconds = round(time.monotonic() - began, 3)
            write_manifest(directory, replace(manifest, seconds=seconds))
        return load(store.directory(target) / identity)


async def _origin(path: Path, kind: FileKind, settings: ToolSettings, tier: Tier | None) -> _Origin:
    named = _MEDIANEST.search(path.name)
    made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if named is not None:
        made_at = _stamp(named["stamp"]) or made_at
    contents, server, tool, database = None, "", "", named["database"] if named else ""
    if kind is FileKind.PLAIN:
        server, tool = _plain_versions(path)
    else:
        contents = await _contents(path, settings)
        server = contents.header.get("Dumped from database version", "")
        tool = contents.header.get("Dumped by pg_dump version", "")
        database = contents.header.get("dbname", database)
    own = Tier(named["tier"].replace("predeployment", "pre-deployment")) if named else Tier.MANUAL
    return _Origin(database, tier or own, made_at, server, tool, contents)


def _stamp(text: str) -> datetime | None:
    digits = re.sub(r"\D", "", text)
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


async def _contents(path: Path, settings: ToolSettings) -> Contents:
    """The list of an archive by the newest pg_restore, which reads all older formats."""
    available = await all_tools(settings, ("pg_dump", "pg_restore"))
    if not available:
        raise ActionRefused(
            "No pg_restore is here to read the archive with.", "Install the PostgreSQL client."
        )
    contents = await read_contents(max(available, key=_major), path)
    if not contents.entries:
        raise ActionRefused(
            f"{path} lists nothing: its content was damaged on the way.",
            "Make it again; never through a terminal (docker exec -t), which changes line ends.",
        )
    return contents


def _major(tools: Tools) -> int:
    return tools.major


def _plain_versions(path: Path) -> tuple[str, str]:
    """Raises ActionRefused for SQL that is not pg_dump's."""
    try:
        with gzip.open(path) if identify(path).gzipped else path.open("rb") as file:
            head = file.read(65536)
    except (EOFError, gzip.BadGzipFile):
        head = b""
    server, tool = _PLAIN_VERSION.search(head), _PLAIN_TOOL.search(head)
    if server is None or tool is None:
        raise ActionRefused(
            f"{path} is not SQL that pg_dump wrote.", "Name a file that pg_dump made."
        )
    return server[1].decode("utf-8", "replace"), tool[1].decode("utf-8", "replace")


def _siblings(path: Path, kind: FileKind) -> dict[Path, FileKind]:
    """The other files of the same run of MediaNest's script."""
    if kind is not FileKind.CUSTOM or _MEDIANEST.search(path.name) is None:
        return {}
    stem = path.name.removesuffix(path.suffix)
    found = {path.with_name(stem + suffix): kind for suffix, kind in _SIBLINGS.items()}
    return {sibling: kind for sibling, kind in found.items() if sibling.is_file()}


def _refuse_twice(store: Store, target: str, path: Path) -> None:
    for backup in store.backups(target):
        if backup.manifest is not None and backup.manifest.origin == _origin_text(path):
            raise ActionRefused(f"{path} is in history already, as {backup.id}.", "")


def _origin_text(path: Path) -> str:
    return f"adopted from {path.absolute()}"


def _take(source: Path, directory: Path, kind: FileKind, link: bool) -> list[BackupFile]:
    if source.is_dir():
        shutil.copytree(source, directory / "archive")
        (directory / "archive").chmod(0o700)
        names = sorted(path.name for path in (directory / "archive").iterdir())
        for name in names:
            (directory / "archive" / name).chmod(0o600)
        return [describe(directory, f"archive/{name}", FileKind.DIRECTORY) for name in names]
    copy = directory / source.name
    if link:
        os.link(source, copy)
    else:
        shutil.copyfile(source, copy)
        copy.chmod(0o600)
    return [describe(directory, source.name, kind)]


def _manifest(
    origin: _Origin,
    identity: str,
    target: str,
    path: Path,
    files: tuple[BackupFile, ...],
    note: str,
) -> Manifest:
    contents = origin.contents
    return Manifest(
        schema_version=SCHEMA_VERSION,
        id=identity,
        tier=origin.tier,
        note=note,
        target=target,
        database=origin.database or target,
        place="",
        origin=_origin_text(path),
        started_at=origin.made_at,
        taken_at=origin.made_at,
        seconds=0.0,
        server_version=origin.server_version,
        server_version_number=_number(origin.server_version),
        tools_version=origin.tools_version.split()[0] if origin.tools_version else "",
        wal_position=None,
        in_recovery=False,
        compression=contents.header.get("Compression", "") if contents else "",
        database_bytes=None,
        files=files,
        toc_entries=len(contents.entries) if contents else None,
        data_entries=contents.data_entries if contents else None,
    )


def _number(version: str) -> int:
    match = _VERSION.match(version)
    return int(match[1]) * 10000 + int(match[2] or 0) if match else 0
