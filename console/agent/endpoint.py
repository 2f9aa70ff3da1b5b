"""The Prometheus endpoint: GET /metrics over HTTP, with a password or a token where one is set."""

from __future__ import annotations

import base64
import hmac
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from console.agent.policy import Metrics
from console.errors import CommandFailed, SettingsError

_SECONDS = 10


class Endpoint:
    """Serves in threads of its own until closed."""

    def __init__(self, policy: Metrics, registry: CollectorRegistry) -> None:
        """Raises SettingsError for a secret's file that cannot be read, CommandFailed when the
        address cannot be listened on."""
        accepted = _accepted(policy)
        handler = type("Handler", (_Handler,), {"registry": registry, "accepted": accepted})
        host, port = policy.address
        kind = _Server6 if ":" in host else ThreadingHTTPServer
        try:
            self._server = kind((host, port), handler)
        except OSError as error:
            raise CommandFailed(
                f"The metrics cannot be served on {policy.listen}: {error.strerror}.",
                "Choose another agent.metrics.listen, or end what listens there.",
            ) from error
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server6(ThreadingHTTPServer):
    address_family = socket.AF_INET6


def _accepted(policy: Metrics) -> tuple[bytes, ...]:
    """Values of the header Authorization that are let in; none when everybody is."""
    found = []
    if policy.password_file is not None:
        pair = f"{policy.user}:{_secret(policy.password_file)}".encode()
        found.append(b"Basic " + base64.b64encode(pair))
    if policy.token_file is not None:
        found.append(f"Bearer {_secret(policy.token_file)}".encode())
    return tuple(found)


def _secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"The secret in {path} cannot be read ({getattr(error, 'strerror', 'no text')}).",
            "Correct agent.metrics, or the file's permissions.",
        ) from error
    if not secret:
        raise SettingsError(f"{path} holds no secret.", "Write one into its first line.")
    return secret


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    accepted: tuple[bytes, ...]
    timeout = _SECONDS
    server_version = "medianest-console"
    sys_version = ""

    def do_GET(self) -> None:
        if not self._is_let_in():
            self._answer(401, b"A password or token is needed.\n", "text/plain")
        elif self.path.partition("?")[0] != "/metrics":
            self._answer(404, b"There is only /metrics.\n", "text/plain")
        else:
            encode, kind = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.registry), kind)

    def _is_let_in(self) -> bool:
        given = self.headers.get("Authorization", "").encode("utf-8", "replace")
        # Every one is compared, in constant time, so that nothing is told by how long it takes.
        matches = [hmac.compare_digest(given, accepted) for accepted in self.accepted]
        return not self.accepted or any(matches)

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="metrics"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: a scrape every few seconds is no event."""
