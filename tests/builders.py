"""Values as the server would give them, fixed, so that pictures of screens are fixed too."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from console.findings import Evidence, Finding, Severity
from console.report import CheckResult, Report
from queries.activity import Backend
from queries.overview import Sample
from queries.server import Server

NOW = datetime(2026, 1, 15, 3, 0, 0, tzinfo=UTC)

SERVER = Server(
    version_number=150018,
    version="15.18 (Debian 15.18-0+deb12u1)",
    database="medianest",
    role="console",
    is_superuser=False,
    in_recovery=False,
    read_only=True,
    started_at=NOW - timedelta(days=3),
    reads_all_stats=True,
)

_SAMPLE = Sample(
    at=NOW,
    transactions=1_000_000,
    rollbacks=200,
    blocks_hit=9_900_000,
    blocks_read=100_000,
    deadlocks=0,
    temp_bytes=0,
    reset_at=None,
    connections=14,
    active=2,
    idle_in_transaction=0,
    waiting_for_lock=0,
    max_connections=100,
    reserved_connections=3,
    longest_pid=4242,
    longest_state="active",
    longest_seconds=0.4,
    oldest_xid_age=1_200_000,
    freeze_max_age=200_000_000,
    prepared_transactions=0,
    standbys=0,
    standby_bytes_behind=None,
    inactive_slots=0,
    slot_bytes_retained=None,
    archive_mode="off",
    last_archived_at=None,
    last_archive_failure_at=None,
    in_recovery=False,
    replay_seconds_behind=None,
)


def sample(**changes: Any) -> Sample:
    return dataclasses.replace(_SAMPLE, **changes)


def samples(number: int = 120) -> list[Sample]:
    """Two seconds apart, with a load that rises and falls."""
    made = []
    total = _SAMPLE.transactions
    for n in range(number):
        total += 40 + (n * 7) % 60
        made.append(
            sample(
                at=NOW + timedelta(seconds=2 * n),
                transactions=total,
                blocks_hit=_SAMPLE.blocks_hit + 5000 * n,
                blocks_read=_SAMPLE.blocks_read + 20 * n,
                connections=10 + (n // 9) % 8,
            )
        )
    return made


def report() -> Report:
    missing = Finding(
        "schema.indexes",
        Severity.FAILURE,
        "public.users_email_key",
        "The critical index users_email_key is missing.",
        Evidence("pg_index", "no index of that name", NOW),
        'CREATE UNIQUE INDEX "users_email_key" ON "public"."users" ("email");',
    )
    hostile = Finding(
        "schema.indexes", Severity.INFO, "[/foo]", "An extra index [red]x[/] is there."
    )
    return Report(
        target="medianest @ db:5432",
        server_version="15.18",
        role="console",
        profile="medianest",
        profile_reason="named by --profile",
        started=NOW,
        finished=NOW + timedelta(seconds=0.5),
        results=(
            CheckResult("schema.tables", "Tables", "Every table is there.", "11/11 tables"),
            CheckResult(
                "schema.indexes",
                "Indexes",
                "Every index is there.",
                "33 indexes (34 expected), 5/6 critical",
                (missing, hostile),
                seconds=0.012,
            ),
        ),
    )


_BACKEND = Backend(
    pid=4242,
    started_at=NOW - timedelta(hours=2),
    leader_pid=None,
    kind="client backend",
    database="medianest",
    role="medianest",
    application="medianest",
    client="10.0.0.7",
    state="idle",
    wait_class="Client",
    wait_event="ClientRead",
    query_seconds=3.0,
    state_seconds=2.5,
    transaction_seconds=None,
    query_id=None,
    query="SELECT 1",
    blocked_by=(),
    is_hidden=False,
)


def backend(**changes: Any) -> Backend:
    return dataclasses.replace(_BACKEND, **changes)


_FIGURES = ("bytes", "size", "scans", "rows", "read", "fetched", "transactions", "pages")


def steady(value: Any, name: str = "") -> Any:
    """What a server answered, with every time and figure fixed, so that its picture is too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {
            field.name: steady(getattr(value, field.name), field.name)
            for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **changes)
    if isinstance(value, dict):
        return {key: steady(inner, name) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(steady(inner, name) for inner in value)
    if isinstance(value, str) and not isinstance(value, Enum):
        return re.sub(r"\bfor \d+ \w+", "for 3 min", value)
    if isinstance(value, datetime):
        return NOW if name == "at" else NOW - timedelta(days=3)
    if isinstance(value, float) or (
        isinstance(value, int) and not isinstance(value, bool) and name.endswith(_FIGURES)
    ):
        return type(value)(len(name) * 8192)
    return value
