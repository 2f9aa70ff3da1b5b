"""Receiving, base backups and the audit: whatever is damaged is found before it is needed."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from recovery import Recovery, Workload, receiving, recovery_server, wait_until

from console.backup.manifest import Verdict
from console.cli import main
from console.errors import ActionRefused, ExitCode
from console.findings import Severity
from console.pitr import archive as archives
from console.pitr.audit import Audit, audit, look
from console.pitr.base import bases, make_base, verify_base
from console.pitr.names import lsn, lsn_text
from console.pitr.setup import look as look_at_server
from console.pitr.setup import remove_slot, set_up
from console.pitr.status import ask_status, read_status
from console.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[18, 15], ids=["pg18", "pg15"])
def kept(request: pytest.FixtureRequest) -> Iterator[Recovery]:
    """An archive with a base backup and six segments behind it, and no receiver any more."""
    with recovery_server(request.param) as recovery:
        asyncio.run(_fill(recovery))
        yield recovery


async def _fill(recovery: Recovery) -> None:
    await set_up(recovery.target, recovery.settings)
    with receiving(recovery), Workload(recovery.database):
        base = await make_base(recovery.target, recovery.settings, recovery.archive)
        await verify_base(recovery.archive, base, recovery.settings)
        for _ in range(4):
            recovery.sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000))")
            recovery.switch()
        recovery.sql("INSERT INTO sales SELECT g, 'x' FROM generate_series(-20000, -1) g")
        wait_until(lambda: _packed(recovery) >= 5, 60, "segments are packed")
        position = recovery.sql("SELECT pg_current_wal_flush_lsn()::text")[0][0]
        wait_until(lambda: lsn(recovery.state.recovery_lsn) >= lsn(position), 20, "all is received")


def _packed(recovery: Recovery) -> int:
    """How many segments are packed; none of them while a whole one is not."""
    paths = _whole(recovery)
    return len(paths) if all(path.suffix == ".gz" for path in paths) else 0


@pytest.fixture
def copy(kept: Recovery, tmp_path: Path) -> Recovery:
    """The same archive, to be damaged."""
    shutil.copytree(kept.settings.pitr.directory, tmp_path / "archive", symlinks=True)
    pitr = replace(kept.settings.pitr, directory=tmp_path / "archive")
    return replace(kept, settings=replace(kept.settings, pitr=pitr))


async def test_what_was_received_is_whole_and_recoverable(kept: Recovery) -> None:
    found = await audit(kept.archive, kept.settings)
    assert found.good
    assert len(found.runs) == 1
    status = await ask_status(kept.target, kept.settings)
    (window,) = status.windows
    assert window.to_lsn == lsn(kept.state.recovery_lsn)
    assert window.bases[0].verdict is Verdict.PASS
    assert {f.check for f in status.findings if f.severity is Severity.FAILURE} == {
        "pitr.receiver"
    }, "only that nothing receives is wrong"


def _whole(recovery: Recovery) -> list[Path]:
    files = recovery.archive.current.fresh().files.values()
    return [file.path for file in files if not file.partial]


def _partial(recovery: Recovery) -> Path:
    (path,) = recovery.archive.current.directory.glob("*.partial")
    return path


def _flip_packed(path: Path) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[len(content) // 200] ^= 1
    path.write_bytes(gzip.compress(bytes(content), 1))


def _flip_file(path: Path) -> None:
    content = bytearray(path.read_bytes())
    # A single bit among repeated bytes may unpack to the same content, which is no damage.
    for at in range(len(content) // 3, len(content) // 3 + 8):
        content[at] ^= 0xFF
    path.write_bytes(bytes(content))


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _plain_but_short(path: Path) -> None:
    path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes())[:5_000_000])
    path.unlink()


def _of_other_timeline(path: Path) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[4] = 7
    path.write_bytes(gzip.compress(bytes(content), 1))


def _of_other_server(path: Path) -> None:
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[24:32] = os.urandom(8)
    path.write_bytes(gzip.compress(bytes(content), 1))


def _renamed(path: Path) -> None:
    """A neighbour under its name, as a mistaken copy would leave it."""
    neighbour = sorted(path.parent.glob("*.gz"))
    other = neighbour[0] if neighbour[0] != path else neighbour[1]
    path.write_bytes(other.read_bytes())


HARM: dict[str, Callable[[Path], None]] = {
    "removed": Path.unlink,
    "bit in the content": _flip_packed,
    "bytes in the file": _flip_file,
    "truncated": _truncate,
    "empty": _empty,
    "plain and short": _plain_but_short,
    "wrong timeline": _of_other_timeline,
    "other server": _of_other_server,
    "another segment": _renamed,
}


@pytest.mark.parametrize("harm", list(HARM))
@pytest.mark.parametrize("place", ["first", "middle", "last"])
async def test_a_damaged_segment_is_found(copy: Recovery, place: str, harm: str) -> None:
    paths = _whole(copy)
    path = {"first": paths[0], "middle": paths[len(paths) // 2], "last": paths[-1]}[place]
    HARM[harm](path)
    found = await audit(copy.archive, copy.settings)
    assert [trouble.segment for trouble in found.troubles] == [path.name[:24]], harm
    assert all(trouble.received for trouble in found.troubles)
    _no_window_crosses(copy, found)


def _no_window_crosses(copy: Recovery, found: Audit) -> None:
    (trouble,) = found.troubles
    assert all(run.end <= trouble.start or run.start >= trouble.end for run in found.runs)


@pytest.mark.parametrize("harm", ["removed", "truncated", "short", "flipped", "zeroed", "stale"])
async def test_a_damaged_unfinished_segment_is_found(copy: Recovery, harm: str) -> None:
    path = _partial(copy)
    received = lsn(copy.state.recovery_lsn) % (16 << 20)
    assert received > 1_000_000
    content = bytearray(path.read_bytes())
    if harm == "removed":
        path.unlink()
    elif harm == "truncated":
        path.write_bytes(content[: received // 2])
    elif harm == "short":
        path.write_bytes(content[: received - 100])
    else:
        if harm == "flipped":
            content[received // 2] ^= 1
        elif harm == "zeroed":
            content[received // 2 : received // 2 + 4096] = bytes(4096)
        else:  # the last write never came to the disk
            content[received - 5000 : received] = bytes(5000)
        path.write_bytes(content)
    found = await audit(copy.archive, copy.settings)
    assert [trouble.segment for trouble in found.troubles] == [path.name[:24]]
    if harm in ("removed", "truncated", "short"):
        assert not look(copy.archive).good, "already seen without reading all"


async def test_missing_segments_are_seen_without_reading(copy: Recovery) -> None:
    for path in _whole(copy)[-2:]:
        path.unlink()
    _partial(copy).unlink()
    status = await ask_status(copy.target, copy.settings)
    (missing,) = [f for f in status.findings if f.check == "pitr.segment"]
    assert missing.severity is Severity.FAILURE
    assert "it was received, and is gone" in missing.message


async def test_the_loss_of_the_newest_segment_is_no_early_end(copy: Recovery) -> None:
    """PostgreSQL would start on what is left, without an error and with half the rows."""
    _partial(copy).unlink()
    found = look(copy.archive)
    assert [trouble.received for trouble in found.troubles] == [True]
    assert lsn_text(found.troubles[0].start) == lsn_text(found.runs[-1].end)


async def test_a_base_backup_with_a_flipped_byte_fails(copy: Recovery) -> None:
    (base,) = bases(copy.archive)
    table = max((base.data / "base").rglob("*"), key=lambda path: path.stat().st_size)
    _flip_file(table)
    verified = await verify_base(copy.archive, base, copy.settings)
    assert verified.verdict is Verdict.FAIL
    status = read_status(copy.archive, copy.settings)
    assert not status.windows, "nothing can be recovered from a damaged base"


async def test_a_changed_base_json_is_damage(copy: Recovery) -> None:
    (base,) = bases(copy.archive)
    path = base.path / "base.json"
    content = json.loads(path.read_text())
    content["stop_lsn"] = "0/1"
    path.write_text(json.dumps(content))
    assert bases(copy.archive)[0].problem == "base.json was changed after it was written"


async def test_an_archive_of_another_server_is_refused(kept: Recovery, copy: Recovery) -> None:
    path = copy.archive.directory / "archive.json"
    content = json.loads(path.read_text())
    content["system_identifier"] += 1
    path.write_text(json.dumps(content))
    with pytest.raises(ActionRefused, match="of another server"):
        await set_up(copy.target, copy.settings)
    fresh, _ = await set_up(copy.target, copy.settings, new_archive=True)
    assert fresh.info.system_identifier == content["system_identifier"] - 1
    assert list(copy.settings.pitr.directory.glob("live.until-*"))


async def test_an_existing_archive_is_read_where_it_is(copy: Recovery, tmp_path: Path) -> None:
    """Plain files as archive_command copies them; and as pgBackRest lays them out."""
    existing = tmp_path / "existing" / "15-1" / "0000000100000000"
    existing.mkdir(parents=True)
    for path in _whole(copy):
        (existing / f"{path.name[:24]}-{'a' * 40}.gz").write_bytes(path.read_bytes())
    settings = _with_source(copy.settings, tmp_path / "existing")
    recovery = replace(copy, settings=settings)
    await set_up(recovery.target, settings, new_archive=True)
    found = await audit(recovery.archive, settings)
    assert found.good
    assert found.runs[0].segments == len(_whole(copy))
    middle = sorted(existing.iterdir())[2]
    _flip_packed(middle)
    assert not (await audit(recovery.archive, settings)).good, "its hash is known by now"


def _with_source(settings: Settings, path: Path) -> Settings:
    return replace(settings, pitr=replace(settings.pitr, archives={"live": path}))


async def test_setting_up_says_what_stands_in_the_way() -> None:
    with recovery_server(15, {"wal_level": "minimal", "max_wal_senders": "0"}) as recovery:
        readiness = await look_at_server(recovery.target, recovery.settings)
        wrong = [f.subject for f in readiness.findings if f.severity is Severity.FAILURE]
        assert {"wal_level", "max_wal_senders"} <= set(wrong)
        with pytest.raises(ActionRefused, match="wal_level is minimal"):
            await set_up(recovery.target, recovery.settings)
        assert archives.find(recovery.settings.pitr, "live") is None


async def test_a_lost_slot_is_a_gap_that_is_told(tmp_path: Path) -> None:
    with recovery_server(18) as recovery:
        await set_up(recovery.target, recovery.settings)
        with receiving(recovery), Workload(recovery.database):
            await make_base(recovery.target, recovery.settings, recovery.archive)
        wait_until(lambda: not _active(recovery), 20, "the slot is free")
        assert await remove_slot(recovery.target, "medianest_console")
        for _ in range(12):
            recovery.sql("SELECT pg_logical_emit_message(false, 'x', 'x')")
            recovery.switch()
        recovery.sql("CHECKPOINT", "CHECKPOINT")
        with receiving(recovery):
            wait_until(lambda: len(recovery.archive.stretches) == 2, 20, "a new stretch begins")
            wait_until(lambda: recovery.state.phase == "receiving", 20, "it goes on")
        (gap,) = recovery.state.gaps
        assert lsn(gap.start) < lsn(gap.end)
        status = await ask_status(recovery.target, recovery.settings)
        told = [f for f in status.findings if f.check == "pitr.gap"]
        assert [f.severity for f in told] == [Severity.FAILURE]
        assert status.windows[-1].to_lsn <= lsn(gap.start) + (16 << 20)


def _active(recovery: Recovery) -> bool:
    return bool(recovery.sql("SELECT active FROM pg_replication_slots")[0][0])


def test_exit_codes_follow_the_audit(copy: Recovery, capsys: pytest.CaptureFixture[str]) -> None:
    settings = copy.settings.pitr.directory.parent / "settings.yaml"
    url = "host={host} port={port} user={user} dbname={dbname} passfile={passfile}".format(
        **copy.database
    )
    settings.write_text(
        f"targets:\n  live:\n    url: {url}\npitr:\n  directory: {copy.settings.pitr.directory}\n"
    )
    common = ["--settings", str(settings), "--target", "live"]
    assert main(["pitr", "audit", "--json", *common]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["good"] is True
    _whole(copy)[1].unlink()
    assert main(["pitr", "audit", *common]) == ExitCode.FAILURES
    assert "it was received, and is gone" in capsys.readouterr().out
    assert main(["pitr", "status", "--json", *common]) == ExitCode.FAILURES
    told = json.loads(capsys.readouterr().out)
    assert told["troubles"][0]["received"] is True
    assert told["bases"][0]["ended_at"].endswith("+00:00")
