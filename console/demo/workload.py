"""A modest workload like MediaNest's own: a few statements a second, so that figures live.

Run as `python -m console.demo.workload CONNINFO`. The rows it adds are few and its own: they
begin with a prefix no other row has, the oldest go as new ones come, and what an earlier run left
is removed at the start. It never changes the schema and outlives restarts of the server.
"""

from __future__ import annotations

import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from random import Random
from types import FrameType
from typing import Any, LiteralString, NoReturn

import psycopg

OWN_PREFIX = "cworkload"
_AFTER_OWN_PREFIX = "cworkloae"
_ROWS_KEPT = 200
"""Rows of its own in each table it inserts into."""

_PAUSE_SECONDS = 0.25
_RECONNECT_SECONDS = 0.5
_POOL_SECONDS = 300.0
_SESSION = "-c statement_timeout=10s -c lock_timeout=2s"

Connection = psycopg.Connection[tuple[Any, ...]]


class Workload:
    """One client of MediaNest's; `step` does one thing a user would cause."""

    def __init__(self, connection: Connection, random: Random) -> None:
        self._connection = connection
        self._random = random
        self._requests: deque[str] = deque()
        self._errors: deque[str] = deque()
        self._number = 0
        self._pooled_at = float("-inf")
        self._users: list[tuple[str, str]] = []
        self._sessions: list[str] = []
        self._steps: list[Callable[[], None]] = [
            *[self._sign_in] * 3,
            *[self._look_up_session] * 6,
            *[self._list_own_requests] * 5,
            *[self._list_newest_requests] * 3,
            *[self._look_at_downloads] * 2,
            *[self._count_request] * 5,
            *[self._request_media] * 2,
            *[self._complete_request] * 2,
            self._log_error,
            self._show_dashboard,
        ]

    def remove_leftovers(self) -> None:
        """Delete what an earlier run added and could not delete."""
        own = {"first": OWN_PREFIX, "after": _AFTER_OWN_PREFIX}
        self._ask("DELETE FROM media_requests WHERE id >= %(first)s AND id < %(after)s", own)
        self._ask("DELETE FROM error_logs WHERE id >= %(first)s AND id < %(after)s", own)

    def step(self) -> None:
        """Do one thing; raises psycopg.Error when the database does not let us."""
        if time.monotonic() - self._pooled_at > _POOL_SECONDS or not self._users:
            self._meet_users()
        if self._users:
            self._random.choice(self._steps)()

    def _ask(self, query: LiteralString, bound: dict[str, Any]) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(query, bound)
        return cursor.fetchall() if cursor.description else []

    def _meet_users(self) -> None:
        """Choose whom to be for a while: those who asked for something lately."""
        self._users = [
            (str(row[0]), str(row[1]))
            for row in self._ask(
                "SELECT DISTINCT u.id, u.email FROM users u JOIN (SELECT user_id"
                " FROM media_requests ORDER BY created_at DESC LIMIT %(count)s) r"
                " ON r.user_id = u.id",
                {"count": 100},
            )
        ]
        self._sessions = [
            str(row[0])
            for row in self._ask(
                "SELECT session_token FROM sessions ORDER BY expires DESC LIMIT %(count)s",
                {"count": 100},
            )
        ]
        self._pooled_at = time.monotonic()

    def _user(self) -> str:
        return self._random.choice(self._users)[0]

    def _identifier(self) -> str:
        self._number += 1
        return f"{OWN_PREFIX}{self._random.getrandbits(32):010}{self._number % 10**6:06}"

    def _sign_in(self) -> None:
        user, email = self._random.choice(self._users)
        self._ask(
            "SELECT id, email, role, status, password_hash FROM users WHERE email = %(email)s",
            {"email": email},
        )
        self._ask("UPDATE users SET last_login_at = now() WHERE id = %(user)s", {"user": user})

    def _look_up_session(self) -> None:
        if self._sessions:
            self._ask(
                "SELECT s.id, s.expires, u.id, u.role FROM sessions s"
                " JOIN users u ON u.id = s.user_id WHERE s.session_token = %(token)s",
                {"token": self._random.choice(self._sessions)},
            )

    def _list_own_requests(self) -> None:
        status = self._random.choice(("pending", "approved", "completed"))
        self._ask(
            "SELECT id, title, media_type, status, created_at FROM media_requests"
            " WHERE user_id = %(user)s AND status = %(status)s LIMIT 50",
            {"user": self._user(), "status": status},
        )

    def _list_newest_requests(self) -> None:
        self._ask(
            "SELECT r.id, r.title, r.status, r.created_at, u.name FROM media_requests r"
            " JOIN users u ON u.id = r.user_id ORDER BY r.created_at DESC LIMIT %(count)s",
            {"count": 20},
        )

    def _look_at_downloads(self) -> None:
        self._ask(
            "SELECT id, playlist_url, created_at FROM youtube_downloads"
            " WHERE user_id = %(user)s AND status = %(status)s ORDER BY created_at LIMIT 10",
            {"user": self._user(), "status": "queued"},
        )

    def _count_request(self) -> None:
        endpoint = self._random.choice(("/api/media/search", "/api/dashboard"))
        bound = {"user": self._user(), "endpoint": endpoint}
        counted = self._ask(
            "UPDATE rate_limits SET request_count = request_count + 1, window_start = now()"
            " WHERE id = (SELECT min(id) FROM rate_limits"
            " WHERE user_id = %(user)s AND endpoint = %(endpoint)s) RETURNING id",
            bound,
        )
        if not counted:
            self._ask(
                "INSERT INTO rate_limits (user_id, endpoint, request_count)"
                " VALUES (%(user)s, %(endpoint)s, 1)",
                bound,
            )

    def _request_media(self) -> None:
        identifier = self._identifier()
        self._ask(
            "INSERT INTO media_requests (id, user_id, title, media_type, tmdb_id)"
            " VALUES (%(id)s, %(user)s, %(title)s, 'movie', %(tmdb)s)",
            {
                "id": identifier,
                "user": self._user(),
                "title": "The Silent Harbour",
                "tmdb": str(self._random.randrange(1000, 800_000)),
            },
        )
        self._requests.append(identifier)
        if len(self._requests) > _ROWS_KEPT:
            oldest = {"id": self._requests.popleft()}
            self._ask("DELETE FROM media_requests WHERE id = %(id)s", oldest)

    def _complete_request(self) -> None:
        if self._requests:
            self._ask(
                "UPDATE media_requests SET status = 'completed', completed_at = now()"
                " WHERE id = %(id)s",
                {"id": self._random.choice(self._requests)},
            )

    def _log_error(self) -> None:
        identifier = self._identifier()
        self._ask(
            "INSERT INTO error_logs (id, correlation_id, user_id, error_code, error_message,"
            " request_path, request_method, status_code, metadata) VALUES (%(id)s, %(id)s,"
            " %(user)s, 'RATE_LIMITED', 'Too many requests', '/api/media/search', 'GET', 429,"
            " '{\"attempt\": 1}')",
            {"id": identifier, "user": self._user()},
        )
        self._errors.append(identifier)
        if len(self._errors) > _ROWS_KEPT:
            oldest = {"id": self._errors.popleft()}
            self._ask("DELETE FROM error_logs WHERE id = %(id)s", oldest)

    def _show_dashboard(self) -> None:
        self._ask(
            "SELECT status, count(*) FROM media_requests"
            " WHERE created_at > now() - %(window)s::interval GROUP BY status",
            {"window": "1 day"},
        )
        self._ask("SELECT service_name, status, response_time_ms FROM service_status", {})


def run(conninfo: str, random: Random) -> NoReturn:
    """Work for ever, connecting anew whenever the server is gone."""
    while True:
        try:
            with psycopg.connect(
                conninfo, autocommit=True, application_name="medianest", options=_SESSION
            ) as connection:
                _work(Workload(connection, random), connection, random)
        except psycopg.OperationalError:
            time.sleep(_RECONNECT_SECONDS)


def _work(workload: Workload, connection: Connection, random: Random) -> NoReturn:
    workload.remove_leftovers()
    while True:
        try:
            workload.step()
        except psycopg.Error:
            # Someone tries out the console on this database: tables vanish, locks are held.
            if connection.closed:
                raise
        time.sleep(random.expovariate(1 / _PAUSE_SECONDS))


def _leave(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    run(sys.argv[1], Random())
