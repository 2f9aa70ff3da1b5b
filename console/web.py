"""The console as a web page: on this machine's loopback alone, and only with its token.

The page is textual-serve's: a process of the app for each visit, drawn by the browser. What
textual-serve leaves open is closed here: without the token of this run nothing is answered, a
Host that is not this machine's is refused (DNS rebinding), and a websocket from another page too.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import re
import secrets
import shlex
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from console.errors import ActionRefused
from console.output import tell, write

LOOPBACK = "127.0.0.1"
_OWN_NAMES = frozenset({LOOPBACK, "localhost", "::1"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; font-src 'self' data:; connect-src 'self';"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_FOREIGN = re.compile(r'<link[^>]*href="https://[^>]*>')
"""What the page of textual-serve asks of another host: a font."""

_FOCUS = """<script>
  // Keys go to the terminal without a click on it.
  setInterval(() => {
    const terminal = document.querySelector(".xterm-helper-textarea");
    if (terminal && document.activeElement === document.body) terminal.focus();
  }, 200);
</script>
"""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ConsoleServer(Server):
    """textual-serve's server, behind a token."""

    def __init__(self, command: str, port: int) -> None:
        super().__init__(command, host=LOOPBACK, port=port, title="MediaNest Console")
        self.token = secrets.token_urlsafe(32)
        self._cookie = f"medianest-console-{port}"

    @property
    def address(self) -> str:
        """What opens the page the first time."""
        return f"http://{self.host}:{self.port}/?token={self.token}"

    async def application(self) -> web.Application:
        """The web application with the guard before every route."""
        application = await self._make_app()
        application.middlewares.append(self._guard)
        application.on_response_prepare.append(_add_headers)
        return application

    async def on_startup(self, app: web.Application) -> None:
        """Print nothing: `serve` says where the page is."""

    async def handle_index(self, request: web.Request) -> Any:
        """The page; it comes back under the name it was asked by, such as a tunnel's."""
        self.public_url = f"http://{request.host}"
        page: Any = await super().handle_index(request)
        page.text = _FOREIGN.sub("", page.text).replace("</body>", f"{_FOCUS}</body>")
        return page

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own(request.host):
            raise web.HTTPForbidden(text="This page answers only to the name localhost.\n")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="Another page may not use this one.\n")
        if "token" in request.query and request.path == "/":
            self._require(request.query["token"])
            answer = web.HTTPSeeOther("/")
            answer.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict", path="/")
            raise answer
        self._require(request.cookies.get(self._cookie, ""))
        return await handler(request)

    def _require(self, token: str) -> None:
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            raise web.HTTPForbidden(
                text="Open the address that `medianest-console serve` printed: it holds a token.\n"
            )


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


def is_own(host: str) -> bool:
    """Whether a Host header names this machine's loopback, at any port (a tunnel's may differ)."""
    try:
        return urlsplit(f"//{host}").hostname in _OWN_NAMES
    except ValueError:
        return False


def serve(words: Sequence[str], port: int) -> None:
    """Serve the app, started with these words of the command line, until a signal.

    Raises ActionRefused when the port is taken.
    """
    # textual-serve tells every traceback with its variables, among them the environment.
    logging.getLogger("textual-serve").setLevel(logging.CRITICAL)
    asyncio.run(_serve(shlex.join([sys.executable, "-m", "console", *words]), port))


async def _serve(command: str, port: int) -> None:
    server = ConsoleServer(command, port)
    # No log of requests: the first one holds the token.
    runner = web.AppRunner(await server.application(), access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError as error:
            raise ActionRefused(
                f"Port {port} of {LOOPBACK} cannot be had ({os.strerror(error.errno or 0)}).",
                "Name another with --port.",
            ) from error
        write(f"{server.address}\n")
        tell("Open this address in a browser of this machine; ^C ends it.")
        tell(f"From another machine: ssh -L {port}:{LOOPBACK}:{port} HOST, then the same address.")
        await _until_signalled()
    finally:
        await runner.cleanup()


async def _until_signalled() -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()
