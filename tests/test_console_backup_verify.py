"""Every harm to a backup is found, and a backup without harm is never accused."""

from __future__ import annotations

import gzip
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from backups import connected, make_backup, tools_of

from console.backup.archive import SqlReader, identify, read_plain
from console.backup.manifest import Check, FileKind, Manifest, Verdict, verdict_of, write_manifest
from console.backup.store import Backup, Store, load
from console.backup.verify import archive_checks, examine, verify
from console.errors import ActionRefused
from console.tools import ToolSettings

Database = dict[str, Any]


async def verdict(backup: Backup) -> Verdict:
    return verdict_of(await examine(backup, ToolSettings()))


@pytest.mark.parametrize(
    "changes",
    [
        {"formats": ("custom", "plain", "schema")},
        {"formats": ("directory", "plain")},
        {"compression": "none"},
        {"compression": "gzip:1", "count_rows_below_gb": 0.0},
    ],
    ids=["custom", "directory", "uncompressed", "uncounted"],
)
async def test_a_sound_backup_passes_and_it_is_recorded(
    medianest_db: Database, tmp_path: Path, changes: dict[str, Any]
) -> None:
    backup = await make_backup(medianest_db, tmp_path, **changes)
    verified = await verify(Store(tmp_path), backup, ToolSettings())
    assert verified.verdict is Verdict.PASS, verified.verification
    assert load(backup.path).verification == verified.verification
    assert verified.manifest == backup.manifest, "what was known is not changed by a proof"


async def test_a_database_with_nothing_in_it_passes(empty_db: Database, tmp_path: Path) -> None:
    backup = await make_backup(empty_db, tmp_path)
    assert await verdict(backup) is Verdict.PASS, backup.verification


async def test_an_archive_of_newer_tools_passes(medianest_db: Database, tmp_path: Path) -> None:
    backup = await make_backup(medianest_db, tmp_path, major=18)
    assert await verdict(backup) is Verdict.PASS


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["gzip:9", "none"])
async def test_an_archive_cut_anywhere_is_found_even_without_its_hash(
    medianest_db: Database, tmp_path: Path, compression: str
) -> None:
    backup = await make_backup(medianest_db, tmp_path, compression=compression)
    assert backup.manifest is not None
    assert backup.archive_path is not None
    whole = backup.archive_path.read_bytes()
    tools = await tools_of(medianest_db)
    places = [0, 3, 60, len(whole) - 1, *(len(whole) * tenth // 10 for tenth in range(1, 10))]
    for place in places:
        backup.archive_path.write_bytes(whole[:place])
        assert await verdict(backup) is Verdict.FAIL, place
        checks = await archive_checks(tools, backup.archive_path, backup.manifest)
        assert verdict_of(checks) is Verdict.FAIL, f"{place} is found by its hash alone"


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["gzip:9", "none"])
async def test_a_single_flipped_bit_is_found(
    medianest_db: Database, tmp_path: Path, compression: str
) -> None:
    backup = await make_backup(medianest_db, tmp_path, compression=compression)
    assert backup.archive_path is not None
    whole = backup.archive_path.read_bytes()
    chance = random.Random(20250905)
    for _ in range(10):
        harmed = bytearray(whole)
        harmed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        backup.archive_path.write_bytes(harmed)
        assert await verdict(backup) is Verdict.FAIL
    backup.archive_path.write_bytes(whole)
    assert await verdict(backup) is Verdict.PASS, "a sound one is not accused"


@pytest.mark.slow
async def test_every_file_counts(medianest_db: Database, tmp_path: Path) -> None:
    backup = await make_backup(medianest_db, tmp_path, formats=("directory", "plain", "schema"))
    assert backup.manifest is not None
    for file in backup.manifest.files:
        path = backup.path / file.name
        kept = path.read_bytes()
        path.write_bytes(kept + b"x")
        assert await verdict(backup) is Verdict.FAIL, f"{file.name} grew"
        path.unlink()
        assert await verdict(backup) is Verdict.FAIL, f"{file.name} is gone"
        path.write_bytes(kept)
    assert await verdict(backup) is Verdict.PASS


async def test_an_archive_mangled_by_a_terminal_is_found_though_it_reads_with_exit_0(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    assert backup.archive_path is not None
    assert backup.manifest is not None
    backup.archive_path.write_bytes(backup.archive_path.read_bytes().replace(b"\n", b"\r\n"))
    checks = await archive_checks(
        await tools_of(medianest_db), backup.archive_path, backup.manifest
    )
    assert verdict_of(checks) is Verdict.FAIL


async def test_an_archive_of_another_database_is_found_without_its_hash(
    medianest_db: Database, empty_db: Database, tmp_path: Path
) -> None:
    with connected(empty_db) as connection:
        connection.execute("CREATE TABLE public.other (n int)")
    one = await make_backup(medianest_db, tmp_path / "one")
    two = await make_backup(empty_db, tmp_path / "two")
    assert one.manifest is not None
    assert two.archive_path is not None
    checks = await archive_checks(await tools_of(empty_db), two.archive_path, one.manifest)
    assert verdict_of(checks) is Verdict.FAIL


async def test_fewer_rows_than_counted_are_found_without_the_hash(
    medianest_db: Database, tmp_path: Path
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    manifest = backup.manifest
    assert manifest is not None
    assert manifest.tables is not None
    assert backup.archive_path is not None
    changed = tuple(
        replace(table, rows=(table.rows or 0) + 1) if table.name == "users" else table
        for table in manifest.tables
    )
    checks = await archive_checks(
        await tools_of(medianest_db), backup.archive_path, replace(manifest, tables=changed)
    )
    (failed,) = (check for check in checks if check.verdict is Verdict.FAIL)
    assert "users" in failed.answer


async def test_without_tools_it_could_not_be_verified_but_harm_is_still_told(
    medianest_db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    monkeypatch.setattr("console.tools._places", lambda _settings: [])
    assert await verdict(backup) is Verdict.COULD_NOT_VERIFY
    assert backup.archive_path is not None
    with backup.archive_path.open("ab") as file:
        file.write(b"!")
    assert await verdict(backup) is Verdict.FAIL


async def test_a_damaged_manifest_is_a_failure(medianest_db: Database, tmp_path: Path) -> None:
    backup = await make_backup(medianest_db, tmp_path)
    (backup.path / "manifest.json").write_text("{")
    verified = await verify(Store(tmp_path), load(backup.path), ToolSettings())
    assert verified.verdict is Verdict.FAIL


def plain_dump(rows: int = 3) -> bytes:
    body = b"".join(b"%d\tname\n" % n for n in range(rows))
    return (
        b"--\n-- PostgreSQL database dump\n--\n\n\\restrict KeY1\n\nSET x = 0;\n"
        b"\nCOPY public.t (id, name) FROM stdin;\n" + body + b"\\.\n\n\n"
        b'COPY public."Odd ""one" (id) FROM stdin;\n\\.\n\n'
        b"--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict KeY1\n\n"
    )


@pytest.mark.parametrize("step", [1, 2, 7, 64, 100_000])
def test_plain_sql_is_counted_the_same_however_it_is_cut_into_pieces(step: int) -> None:
    text = plain_dump()
    reader = SqlReader()
    for start in range(0, len(text), step):
        reader.feed(text[start : start + step])
    assert reader.rows == {("public", "t"): 3, ("public", 'Odd "one'): 0}
    assert reader.problem == ""


def test_plain_sql_cut_anywhere_is_not_whole() -> None:
    text = plain_dump()
    for length in range(len(text) - 2):
        reader = SqlReader()
        reader.feed(text[:length])
        assert reader.problem, text[length - 20 : length]


def test_restrict_keys_must_match(tmp_path: Path) -> None:
    path = tmp_path / "plain.sql"
    path.write_bytes(plain_dump().replace(b"\\unrestrict KeY1", b"\\unrestrict KeY2"))
    assert "keys differ" in read_plain(path, gzipped=False)[1]


@pytest.mark.parametrize("cut", [1, 8, 9, 30])
def test_gzip_that_ends_early_is_found(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "plain.sql.gz"
    path.write_bytes(gzip.compress(plain_dump(1000))[:-cut])
    assert "gzip" in read_plain(path, gzipped=True)[1]


def test_a_very_long_row_is_one_row() -> None:
    reader = SqlReader()
    reader.feed(b"\nCOPY public.t (a) FROM stdin;\n")
    for _ in range(50):
        reader.feed(b"x" * 100_000)
    reader.feed(b"\n\\.\n")
    assert reader.rows == {("public", "t"): 1}
    assert len(reader._rest) < 200_000


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"PGDMP\x01\x0e\x00more", FileKind.CUSTOM), (b"--\n-- PostgreSQL database dump\n", "plain")],
)
def test_a_file_is_judged_by_its_content(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "misnamed.txt"
    path.write_bytes(content)
    assert identify(path).kind == kind


@pytest.mark.parametrize("content", [b"", b"PGD", b"hello", b"PK\x03\x04"])
def test_what_is_no_dump_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.dump"
    path.write_bytes(content)
    with pytest.raises(ActionRefused):
        identify(path)


def test_nothing_asked_is_no_pass() -> None:
    assert verdict_of([]) is Verdict.COULD_NOT_VERIFY
    asked = [Check("a", Verdict.PASS, ""), Check("b", Verdict.COULD_NOT_VERIFY, "")]
    assert verdict_of(asked) is Verdict.COULD_NOT_VERIFY
    assert verdict_of([*asked, Check("c", Verdict.FAIL, "")]) is Verdict.FAIL


async def test_a_manifest_that_was_written_again_for_other_files_fails(
    medianest_db: Database, tmp_path: Path
) -> None:
    """Someone who can write a manifest cannot make an empty archive pass."""
    backup = await make_backup(medianest_db, tmp_path)
    manifest: Manifest | None = backup.manifest
    assert manifest is not None
    other = tmp_path / "home" / "20200101T000000Z-manual"
    shutil.copytree(backup.path, other)
    write_manifest(other, replace(manifest, toc_entries=1))
    assert await verdict(load(other)) is Verdict.FAIL
