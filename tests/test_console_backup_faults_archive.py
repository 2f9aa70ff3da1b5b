"""Ten cuts and fifty flipped bytes in every kind of archive, and what only the hash finds.

Without its hash nobody can find a byte of an uncompressed row: it is as good as another.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backups import connected, make_backup, tools_of

from console.backup import verify as verifying
from console.backup.archive import read_plain
from console.backup.derive import row_differences
from console.backup.manifest import FileKind, Verdict, verdict_of
from console.backup.store import Backup
from console.backup.verify import archive_checks, examine
from console.tools import Tools, ToolSettings

Database = dict[str, Any]
FLIPS = 50
EMPTY_END = ("directory", "none")
CUTS = 10

FOUND_BY_THE_HASH_ALONE = {
    ("custom", "gzip:9"): 10,
    ("custom", "none"): FLIPS,
    ("directory", "gzip:9"): 1,
    ("directory", "none"): FLIPS,
}
"""How many of the fifty flips may at most be beyond everything but the hash.

Measured: 5, 39 to 46, 0, and 46. They are bytes of uncompressed rows and definitions, of the table
of contents (which has no checksum of its own), and of a gzip header's time.
"""


@pytest.fixture
def small(empty_db: Database) -> Database:
    """Rows and definitions in about equal parts, in little enough for 240 readings of each."""
    with connected(empty_db) as connection:
        for n in range(4):
            connection.execute(f"CREATE TABLE t{n} (id int PRIMARY KEY, noise text)")
            connection.execute(
                f"INSERT INTO t{n} SELECT g, md5(g::text) FROM generate_series(1, 300) AS g"
            )
    return empty_db


def data_file(backup: Backup) -> Path:
    """The archive, or the greatest file of a directory archive."""
    path = backup.archive_path
    assert path is not None
    if path.is_file():
        return path
    return max(path.iterdir(), key=lambda inner: inner.stat().st_size)


async def found_without_hash(tools: Tools, backup: Backup) -> bool:
    assert backup.manifest is not None
    assert backup.archive_path is not None
    checks = await archive_checks(tools, backup.archive_path, backup.manifest)
    return verdict_of(checks) is Verdict.FAIL


Harms = Callable[[bytes], list[bytes]]


def cut(whole: bytes) -> list[bytes]:
    """Ten beginnings, from nothing to all but the last byte."""
    places = [len(whole) * tenth // (CUTS - 1) for tenth in range(CUTS - 1)]
    return [whole[:place] for place in (*places, len(whole) - 1)]


def flipped(whole: bytes) -> list[bytes]:
    """Fifty times one byte, all its bits turned, at places spread over the whole."""
    chance = random.Random(len(whole))
    harmed = []
    for number in range(FLIPS):
        first, after = (len(whole) * n // FLIPS for n in (number, number + 1))
        place = chance.randrange(first, max(after, first + 1))
        harmed.append(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    return harmed


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["gzip:9", "none"])
@pytest.mark.parametrize("archive", ["custom", "directory"])
async def test_every_cut_and_every_flipped_byte_is_found(
    small: Database, tmp_path: Path, archive: str, compression: str
) -> None:
    backup = await make_backup(small, tmp_path, formats=(archive,), compression=compression)
    tools = await tools_of(small)
    path = data_file(backup)
    whole = path.read_bytes()
    by_hash_alone = 0
    for harmed in [*cut(whole), *flipped(whole)]:
        path.write_bytes(harmed)
        checks = verifying._hash_checks(backup.path, backup.manifest)  # type: ignore[arg-type]
        assert verdict_of(checks) is Verdict.FAIL
        if not await found_without_hash(tools, backup):
            # The last line of a directory archive's uncompressed rows is empty: nothing is lost.
            whole_but_for_its_end = harmed == whole[:-1] and (archive, compression) == EMPTY_END
            assert len(harmed) == len(whole) or whole_but_for_its_end, len(harmed)
            by_hash_alone += len(harmed) == len(whole)
    assert by_hash_alone <= FOUND_BY_THE_HASH_ALONE[archive, compression]
    path.write_bytes(whole)
    assert verdict_of(await examine(backup, ToolSettings())) is Verdict.PASS


@pytest.mark.slow
@pytest.mark.parametrize("file", ["plain.sql.gz", "schema.sql", "roles.sql", "objects.json"])
async def test_every_cut_and_flip_of_what_stands_beside_the_archive_is_found(
    small: Database, tmp_path: Path, file: str
) -> None:
    backup = await make_backup(small, tmp_path, formats=("custom", "plain", "schema"))
    assert backup.manifest is not None
    (path,) = (path for path in backup.path.iterdir() if path.name.startswith(file[:5]))
    whole = path.read_bytes()
    for harmed in [*cut(whole), *flipped(whole)]:
        path.write_bytes(harmed)
        checks = verifying._hash_checks(backup.path, backup.manifest)
        assert verdict_of(checks) is Verdict.FAIL, path.name
    path.write_bytes(whole)
    assert verdict_of(await examine(backup, ToolSettings())) is Verdict.PASS


async def test_plain_sql_cut_at_a_row_between_statements_or_at_its_end_is_found(
    small: Database, tmp_path: Path
) -> None:
    """psql loads the first two of these with exit code 0."""
    backup = await make_backup(small, tmp_path, formats=("custom", "plain"))
    manifest = backup.manifest
    assert manifest is not None
    (plain,) = (file for file in manifest.files if file.kind is FileKind.PLAIN)
    text = gzip.decompress((backup.path / plain.name).read_bytes())
    lines = text.splitlines(keepends=True)
    copy = next(n for n, line in enumerate(lines) if line.startswith(b"COPY "))
    a_row = b"".join(lines[: copy + 100])
    a_statement = b"".join(lines[:copy])
    no_end = text[: text.index(b"-- PostgreSQL database dump complete")]
    for harmed in (a_row, a_statement, no_end, text[:-200]):
        # As a program that was killed and a gzip after it would have left it.
        (backup.path / plain.name).write_bytes(gzip.compress(harmed))
        reader, problem = read_plain(backup.path / plain.name, gzipped=True)
        assert problem or row_differences(manifest.tables or (), reader.rows)
        assert verdict_of(await examine(backup, ToolSettings())) is Verdict.FAIL


async def test_files_changed_for_another_backups_are_found(
    small: Database, medianest_db: Database, tmp_path: Path
) -> None:
    one = await make_backup(small, tmp_path / "one")
    two = await make_backup(medianest_db, tmp_path / "two")
    assert one.archive_path is not None
    assert two.archive_path is not None
    kept = one.archive_path.read_bytes()
    one.archive_path.write_bytes(two.archive_path.read_bytes())
    two.archive_path.write_bytes(kept)
    for backup in (one, two):
        assert verdict_of(await examine(backup, ToolSettings())) is Verdict.FAIL


async def test_what_every_tool_writes_passes_and_stays_so(small: Database, tmp_path: Path) -> None:
    """A verifier that accuses good backups is as bad as one that trusts bad ones."""
    own = (await tools_of(small)).major
    for number, major in enumerate(sorted({own, 18})):
        for formats in (("custom",), ("directory", "plain")):
            root = tmp_path / f"{number}{formats[0]}"
            backup = await make_backup(small, root, major=major, formats=formats)
            for _ in range(2):
                assert verdict_of(await examine(backup, ToolSettings())) is Verdict.PASS
