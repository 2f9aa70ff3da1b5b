"""Headless Chromium by its own protocol; a terminal on the page is read from what it is sent."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pyte

_STARTING_SECONDS = 30.0


class Page:
    """One page. What the terminal on it was sent is on `screen`."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = asyncio.Event()
        self.requested: list[str] = []
        """Every address the page asked for."""

    async def listen(self) -> None:
        async for message in self._socket:
            event = message.json()
            if "id" in event:
                self._answers.pop(event["id"]).set_result(event.get("result", {}))
            elif event["method"] == "Network.webSocketCreated":
                self._opened(event["params"]["url"])
            elif event["method"] == "Network.webSocketFrameReceived":
                self._received(event["params"]["response"])
            elif event["method"] == "Network.requestWillBeSent":
                self.requested.append(event["params"]["request"]["url"])

    def _opened(self, url: str) -> None:
        size = parse_qs(urlsplit(url).query)
        self._screen.resize(int(size["height"][0]), int(size["width"][0]))

    def _received(self, frame: dict[str, Any]) -> None:
        binary = 2
        if frame["opcode"] == binary:
            self._stream.feed(base64.b64decode(frame["payloadData"]))
            self._changed.set()

    async def tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await answer

    async def open(self, url: str) -> None:
        await self.tell("Network.enable")
        await self.tell("Page.enable")
        await self.tell("Emulation.setFocusEmulationEnabled", enabled=True)
        await self.tell("Page.navigate", url=url)

    async def address(self) -> str:
        answer = await self.tell("Runtime.evaluate", expression="location.href")
        return str(answer["result"]["value"])

    async def press(self, text: str) -> None:
        """One printable key."""
        known = {"key": text, "windowsVirtualKeyCode": ord(text.upper())}
        await self.tell("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        await self.tell("Input.dispatchKeyEvent", type="keyUp", **known)

    @property
    def text(self) -> str:
        return "\n".join(self._screen.display)

    async def wait(self, *words: str, seconds: float = 30.0) -> str:
        """The terminal once it shows all the words. Raises AssertionError with what it showed."""
        try:
            async with asyncio.timeout(seconds):
                while not all(word in self.text for word in words):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never showed {words}; the page shows\n{self.text}") from None
        return self.text

    async def picture(self) -> bytes:
        """PNG of the page as it is."""
        answer = await self.tell("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


@asynccontextmanager
async def browser(program: str, profile: Path) -> AsyncIterator[Page]:
    """A page of a Chromium of its own, which ends with the block."""
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        program, "--headless=new", *root, "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--remote-debugging-port=0", f"--user-data-dir={profile}",
        "--window-size=1200,800", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = await _port(profile / "DevToolsActivePort")
        async with aiohttp.ClientSession() as client:
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [page for page in await answer.json() if page["type"] == "page"]
            url = pages[0]["webSocketDebuggerUrl"]
            async with client.ws_connect(url, max_msg_size=0) as socket:
                page = Page(socket)
                listening = asyncio.create_task(page.listen())
                yield page
                listening.cancel()
    finally:
        process.terminate()
        await process.wait()


async def _port(path: Path) -> int:
    async with asyncio.timeout(_STARTING_SECONDS):
        while not path.exists() or not path.read_text().strip():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return int(path.read_text().split()[0])
