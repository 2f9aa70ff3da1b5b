"""Copies in every kind of store: whole or not there, sealed, proven, and brought back the same."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from backups import make_backup, settings_for, small_disk
from stores import files_below, identity, store_of

from console.backup.dump import silent
from console.backup.manifest import (
    Proof,
    Record,
    Tier,
    Verdict,
    write_manifest,
    write_record,
)
from console.backup.policy import Retention
from console.backup.store import Backup, Store, load
from console.backup.verify import verify
from console.documents import parse
from console.errors import CommandFailed, ConsoleError, SettingsError
from console.offsite import copies
from console.offsite.copies import COPY, Copy
from console.offsite.fetch import examine, fetch
from console.offsite.place import Place
from console.offsite.policy import StoreSettings
from console.offsite.push import push_missing
from console.settings import Settings
from console.target import Target
from console.tools import ToolSettings

TARGET = "home"


@pytest.fixture
async def backup(medianest18: Target, tmp_path: Path) -> Backup:
    return await verified(await make_backup(medianest18.parameters, tmp_path / "backups"))


async def verified(backup: Backup) -> Backup:
    found = await verify(Store(backup.path.parents[1]), backup, ToolSettings())
    assert found.verdict is Verdict.PASS, found.verification
    return found


async def pushed(store: Store, settings: StoreSettings, **options: Any) -> None:
    (answer,) = await push_missing(store, TARGET, {"vault": settings}, silent, **options)
    if answer.problem:
        raise answer.problem


def store_holding(backup: Backup) -> Store:
    return Store(backup.path.parents[1])


def held(settings: StoreSettings) -> tuple[Copy, ...]:
    return copies.copies(Place("vault", settings), TARGET)


async def brought_back(settings: StoreSettings, root: Path, found: Copy) -> Backup:
    place = Place("vault", settings)
    return await fetch(place, Store(root), found, TARGET, settings_for(root), silent)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "s3", "sftp"])
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
async def test_a_copy_comes_back_byte_for_byte_from_every_kind_of_store(
    kind: str, sealed: bool, backup: Backup, tmp_path: Path
) -> None:
    key = tmp_path / "identity"
    recipients = (identity(key),) if sealed else ()
    with store_of(kind, tmp_path, recipients=recipients, identity_file=key) as settings:
        await pushed(store_holding(backup), settings)
        assert load(backup.path).record.copies[0].problem == ""
        (copy,) = held(settings)
        assert copy.id == backup.id
        assert copy.backup.verdict is Verdict.PASS
        assert copy.manifest is not None
        assert copy.manifest.sealed is sealed
        (check,) = await examine(Place("vault", settings), copy, TARGET, silent)
        assert check.verdict is Verdict.PASS
        back = await brought_back(settings, tmp_path / "other", copy)
    assert (await verified(back)).id == backup.id
    for file in (*backup.path.iterdir(),):
        if file.name != "record.json":
            assert (back.path / file.name).read_bytes() == file.read_bytes(), file.name
            assert (back.path / file.name).stat().st_mode & 0o777 == 0o600


async def test_a_sealed_copy_shows_its_manifest_and_nothing_else(
    backup: Backup, tmp_path: Path
) -> None:
    recipient = identity(tmp_path / "identity")
    with store_of("file", tmp_path, recipients=(recipient,)) as settings:
        await pushed(store_holding(backup), settings)
    stored = files_below(tmp_path / "remote")
    where = f"{TARGET}/{backup.id}/"
    assert stored[where + "manifest.json"] == (backup.path / "manifest.json").read_bytes()
    for name, content in stored.items():
        if name.endswith(".age"):
            assert content.startswith(b"age-encryption.org/v1")
            assert b"media_requests" not in content
    assert {Path(name).name for name in stored if not name.endswith(".age")} == {
        COPY,
        "manifest.json",
        "record.json",
    }
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "remote" / TARGET).rglob("*"))


async def test_what_is_there_is_not_copied_again_and_what_is_unverified_not_at_all(
    backup: Backup, medianest18: Target, tmp_path: Path
) -> None:
    store = store_holding(backup)
    await make_backup(medianest18.parameters, tmp_path / "backups")
    with store_of("file", tmp_path) as settings:
        await pushed(store, settings)
        before = files_below(tmp_path / "remote")
        await pushed(store, settings)
        assert files_below(tmp_path / "remote") == before
        assert [copy.id for copy in held(settings)] == [backup.id]


@pytest.mark.parametrize("place", [0, 0.5, 1], ids=["first byte", "middle", "last byte"])
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
async def test_a_flipped_byte_is_found_and_never_brought_back(
    place: float, sealed: bool, backup: Backup, tmp_path: Path
) -> None:
    key = tmp_path / "identity"
    recipients = (identity(key),) if sealed else ()
    with store_of("file", tmp_path, recipients=recipients, identity_file=key) as settings:
        await pushed(store_holding(backup), settings)
        (copy,) = held(settings)
        name = "archive.dump" + (".age" if sealed else "")
        path = tmp_path / "remote" / TARGET / backup.id / name
        content = bytearray(path.read_bytes())
        content[int((len(content) - 1) * place)] ^= 1
        path.write_bytes(content)
        (check,) = await examine(Place("vault", settings), copy, TARGET, silent)
        assert check.verdict is Verdict.FAIL
        assert name in check.answer
        with pytest.raises(CommandFailed):
            await brought_back(settings, tmp_path / "other", copy)
    assert Store(tmp_path / "other").backups(TARGET) == ()


@pytest.mark.parametrize("name", ["archive.dump", "manifest.json", COPY, "schema.sql"])
async def test_a_lost_file_is_told(name: str, backup: Backup, tmp_path: Path) -> None:
    with store_of("file", tmp_path) as settings:
        await pushed(store_holding(backup), settings)
        (tmp_path / "remote" / TARGET / backup.id / name).unlink()
        found = held(settings)
        if name == COPY:
            assert found == ()
            return
        with pytest.raises(ConsoleError):
            await brought_back(settings, tmp_path / "other", found[0])
        await pushed(store_holding(backup), settings, only=backup.id)
    assert Store(tmp_path / "other").backups(TARGET) == ()


async def test_a_manifest_that_leads_outside_is_not_followed(
    backup: Backup, tmp_path: Path
) -> None:
    assert backup.manifest is not None
    evil = replace(backup.manifest.files[0], name="../../../evil")
    with store_of("file", tmp_path) as settings:
        await pushed(store_holding(backup), settings)
        (copy,) = held(settings)
        assert copy.manifest is not None
        files = (replace(copy.manifest.files[0], name=evil.name), *copy.manifest.files[1:])
        forged = Copy(
            replace(copy.backup, manifest=replace(backup.manifest, files=(evil,))),
            replace(copy.manifest, files=files),
        )
        with pytest.raises(CommandFailed, match="outside"):
            await brought_back(settings, tmp_path / "a" / "b" / "other", forged)
    assert not list(tmp_path.rglob("evil"))


async def test_a_wrong_identity_or_none_is_explained(backup: Backup, tmp_path: Path) -> None:
    recipient = identity(tmp_path / "identity")
    identity(tmp_path / "stranger")
    with store_of("file", tmp_path, recipients=(recipient,)) as settings:
        await pushed(store_holding(backup), settings)
        (copy,) = held(settings)
        with pytest.raises(SettingsError, match="no identity"):
            await brought_back(settings, tmp_path / "other", copy)
        stranger = replace(settings, identity_file=tmp_path / "stranger")
        with pytest.raises(CommandFailed, match="cannot be decrypted"):
            await brought_back(stranger, tmp_path / "other", copy)
    assert Store(tmp_path / "other").backups(TARGET) == ()


async def test_a_full_store_is_told_and_the_backup_is_none_the_worse(backup: Backup) -> None:
    with small_disk(1) as disk:
        (disk / "filler").write_bytes(b"x" * 900_000)
        settings = StoreSettings(f"file://{disk}")
        with pytest.raises(CommandFailed, match="No space") as failed:
            await pushed(store_holding(backup), settings)
        assert "retention" in failed.value.hint
        assert held(settings) == ()
        assert load(backup.path).verdict is Verdict.PASS
        assert "No space" in load(backup.path).record.copies[0].problem
        (disk / "filler").unlink()
        await pushed(store_holding(backup), settings)
        assert [copy.id for copy in held(settings)] == [backup.id]
        assert load(backup.path).record.copies[0].problem == ""


async def test_an_unmounted_disk_is_not_written_under(backup: Backup, tmp_path: Path) -> None:
    settings = StoreSettings(f"file://{tmp_path / 'mnt' / 'nas'}")
    with pytest.raises(CommandFailed, match="not there") as failed:
        await pushed(store_holding(backup), settings)
    assert "mount" in failed.value.hint
    assert not (tmp_path / "mnt").exists()


async def test_one_store_that_fails_keeps_no_other_from_its_copy(
    backup: Backup, tmp_path: Path
) -> None:
    with store_of("file", tmp_path) as good:
        bad = StoreSettings(f"file://{tmp_path / 'gone'}")
        stores = {"bad": bad, "good": good}
        first, second = await push_missing(store_holding(backup), TARGET, stores, silent)
        assert first.problem is not None
        assert second.copied == (backup.id,)
        assert len(held(good)) == 1


@pytest.mark.slow
async def test_a_store_that_does_not_answer_or_refuses_says_so_in_a_sentence(
    backup: Backup, tmp_path: Path
) -> None:
    with store_of("s3", tmp_path) as settings:
        bucket = replace(settings, url="s3://nowhere/backups")
        with pytest.raises(CommandFailed) as failed:
            await pushed(store_holding(backup), bucket)
        assert "bucket" in failed.value.hint
    with pytest.raises(CommandFailed) as failed:
        await pushed(store_holding(backup), settings)
    assert failed.value.hint.startswith("Check that the store can be reached")


@pytest.mark.slow
async def test_a_host_that_is_not_known_is_not_trusted(backup: Backup, tmp_path: Path) -> None:
    with store_of("sftp", tmp_path) as settings:
        empty = tmp_path / "nobody"
        empty.write_text("")
        with pytest.raises(CommandFailed, match="known_hosts"):
            await pushed(store_holding(backup), replace(settings, known_hosts=empty))
        assert files_below(tmp_path / "remote") == {}


async def test_cancelling_publishes_nothing_and_the_next_run_ends_it(
    backup: Backup, tmp_path: Path
) -> None:
    with store_of("file", tmp_path) as settings:
        for turns in range(0, 60, 6):
            task = asyncio.create_task(pushed(store_holding(backup), settings))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert len(held(settings)) <= 1
        await pushed(store_holding(backup), settings)
        (copy,) = held(settings)
        (check,) = await examine(Place("vault", settings), copy, TARGET, silent)
        assert check.verdict is Verdict.PASS


async def test_each_store_keeps_by_its_own_retention(backup: Backup, tmp_path: Path) -> None:
    store = store_holding(backup)
    assert backup.manifest is not None
    aged(backup, store, "20260101T020000Z-daily", days=40)
    aged(backup, store, "20260105T020000Z-daily", days=36)
    brief = Retention(daily_days=7, keep_at_least=1)
    with store_of("file", tmp_path, retention=Retention(daily_days=90)) as settings:
        await pushed(store, settings)
        assert len(held(settings)) == 3
        await pushed(store, replace(settings, retention=brief))
        assert [copy.id for copy in held(settings)] == [backup.id]
        await pushed(store, replace(settings, retention=brief))
        assert len(held(settings)) == 1, "what retention lets go is not copied again"
    assert len(store.backups(TARGET)) == 3


def aged(like: Backup, store: Store, identity_: str, days: int) -> None:
    """The same backup again, as one made some days earlier."""
    assert like.manifest is not None
    path = like.path.with_name(identity_)
    shutil.copytree(like.path, path)
    at = like.manifest.taken_at - timedelta(days=days)
    write_manifest(path, replace(like.manifest, id=identity_, taken_at=at, tier=Tier.DAILY))
    proof = Proof("verify", Verdict.PASS, datetime.now(UTC), 1.0, ())
    write_record(path, Record(proofs=(proof,)))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        ("offsite: {a: {url: 'ftp://x/y'}}", "a url as file:///DIRECTORY"),
        ("offsite: {a: {url: 's3://key:secret@bucket/x'}}", "without a password"),
        ("offsite: {a: {url: 'file://nas/x'}}", "three slashes"),
        ("offsite: {a: {url: 'file:///x', chek: size}}", "'check'"),
        ("offsite: {a: {}}", "a key 'url'"),
    ],
)
def test_a_mistake_in_the_settings_names_the_line(content: str, wanted: str) -> None:
    with pytest.raises(SettingsError) as failed:
        parse(content, Settings, "settings.yaml")
    assert "settings.yaml:1" in failed.value.message
    assert wanted in failed.value.message
    assert "secret" not in str(failed.value)
