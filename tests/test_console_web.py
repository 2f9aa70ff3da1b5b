"""medianest-console serve: who is let in, what a browser sees, and what is left afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psycopg
import pytest
from browser import browser
from psycopg.conninfo import make_conninfo

from console.errors import ExitCode
from console.target import Target
from console.web import is_own

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


class Served:
    """A running `serve`: its process, and the address it printed."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self.process = process
        self.address = address
        self.root = address.partition("?")[0]
        self.token = address.partition("=")[2]


@pytest.fixture
async def served(medianest18: Target) -> AsyncIterator[Served]:
    variables = {f"PG{key.upper()}": value for key, value in medianest18.parameters.items()}
    variables["PGDATABASE"] = variables.pop("PGDBNAME")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", "serve", "--port", str(free_port()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **variables},
    )  # fmt: skip
    assert process.stdout is not None
    address = (await process.stdout.readline()).decode().strip()
    yield Served(process, address)
    if process.returncode is None:
        process.kill()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def sessions(target: Target) -> int:
    async with await psycopg.AsyncConnection.connect(make_conninfo(**target.parameters)) as asked:
        cursor = await asked.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE application_name = 'medianest-console' AND datname = current_database()"
        )
        row = await cursor.fetchone()
    return int(row[0]) if row else -1


async def test_nothing_is_answered_without_the_token(served: Served) -> None:
    async with aiohttp.ClientSession() as stranger:
        for path in ("", "ws", "static/js/textual.js", "?token=", "?token=guessed", "download/x"):
            async with stranger.get(served.root + path) as answer:
                assert answer.status == 403, path
                assert "script" not in await answer.text()


async def test_the_token_leaves_the_address_and_opens_the_page(served: Served) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        async with client.get(served.address, allow_redirects=False) as answer:
            assert answer.status == 303
            assert answer.headers["Location"] == "/"
            cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        async with client.get(served.root) as answer:
            page = await answer.text()
            assert answer.status == 200
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert served.token not in page


async def test_another_name_or_another_page_is_refused_even_with_the_token(served: Served) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        async with client.get(served.address) as answer:
            assert answer.status == 200
        for headers in (
            {"Host": "rebound.example"},
            {"Host": "127.0.0.1.rebound.example"},
            {"Origin": "https://elsewhere.example"},
            {"Origin": "http://localhost:1"},
            {"Origin": "null"},
        ):
            async with client.get(served.root, headers=headers) as answer:
                assert answer.status == 403, headers
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await client.ws_connect(served.root + "ws", headers=headers)
            assert refused.value.status == 403


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1:8600", True),
        ("localhost", True),
        ("LOCALHOST:9000", True),
        ("[::1]:8600", True),
        ("localhost.example", False),
        ("127.0.0.1@example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_which_names_are_this_machines(host: str, own: bool) -> None:
    assert is_own(host) is own


async def test_it_listens_on_the_loopback_address_alone(served: Served) -> None:
    port = int(served.root.rstrip("/").rpartition(":")[2])
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]
    assert listening == [f"0100007F:{port:04X}"]


async def test_a_signal_ends_the_sessions_of_every_visit(
    served: Served, medianest18: Target
) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        async with client.get(served.address):
            pass
        async with client.ws_connect(served.root + "ws?width=80&height=24") as visit:
            seen = b""
            while b"of 97" not in seen:
                seen += (await visit.receive(timeout=30)).data
            assert await sessions(medianest18) > 0
            served.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(served.process.wait(), 20) == ExitCode.OK
    assert await sessions(medianest18) == 0


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
async def test_a_browser_shows_the_console_and_takes_its_keys(
    served: Served, tmp_path: Path
) -> None:
    assert CHROMIUM is not None
    async with browser(CHROMIUM, tmp_path / "profile") as page:
        await page.open(served.address)
        await page.wait("Overview", "of 97")
        assert await page.address() == served.root, "the token is gone from the address"
        await page.press("3")
        await page.wait("accounts_pkey")
        (tmp_path / "page.png").write_bytes(await page.picture())
        assert (tmp_path / "page.png").stat().st_size > 10_000
        await page.press("q")
        own = (served.root, "data:", "blob:")
        assert [url for url in page.requested if not url.startswith(own)] == []


async def test_a_taken_port_is_said(served: Served) -> None:
    port = served.root.rstrip("/").rpartition(":")[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", "serve", "--port", port,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _said, complaint = await process.communicate()
    assert process.returncode == ExitCode.UNKNOWN
    assert "--port" in complaint.decode()
    assert "Traceback" not in complaint.decode()
