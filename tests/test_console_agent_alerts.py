"""When something is told, as a table of moments; and what is judged worth telling."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from console.agent.alerts import Alert, Notice, raised, step
from console.agent.clock import Moment
from console.agent.conditions import Condition, Kind, filling, judge
from console.agent.health import Reading, Statements
from console.agent.memory import Memory
from console.agent.outbox import Address, Outbox, addresses, messages_of
from console.agent.policy import Alerts, QuietHours, Receiver, Templates, Thresholds
from console.backup import jsonfile
from console.errors import SettingsError
from console.machine import Disk
from queries.agent import LockWait
from queries.overview import Sample

START = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)
POLICY = Alerts(after_seconds=30, repeat_hours=12)


def moment(seconds: float, boot: str = "boot") -> Moment:
    return Moment(START + timedelta(seconds=seconds), seconds, boot)


def down(holds: bool, severity: Any = "failure") -> Condition:
    return Condition(Kind.DOWN, "", holds, severity, "No connection.", "Start it.")


class Teller:
    """A target's alerts through a row of looks."""

    def __init__(self, policy: Alerts = POLICY) -> None:
        self.policy = policy
        self.book: dict[str, Alert] = {}
        self.told: list[tuple[float, str]] = []

    def look(self, seconds: float, *conditions: Condition) -> list[Notice]:
        now = moment(seconds)
        self.book, notices = step(self.book, conditions, now, self.policy, now.wall)
        self.told += [(seconds, notice.what) for notice in notices]
        return notices


def test_what_holds_is_told_once_and_its_end_once() -> None:
    teller = Teller()
    for seconds in range(0, 300, 15):
        teller.look(seconds, down(seconds < 150))
    assert teller.told == [(30, "raised"), (180, "cleared")]
    assert teller.book == {}


def test_what_flickers_is_told_once() -> None:
    teller = Teller()
    for n in range(40):
        teller.look(15 * n, down(n < 4 or n % 2 == 0))
    assert teller.told == [(30, "raised")]
    teller = Teller()
    for n in range(40):
        teller.look(15 * n, down(n % 2 == 0))
    assert teller.told == []


def test_what_lasts_is_repeated() -> None:
    teller = Teller()
    for hour in range(30):
        teller.look(hour * 3600, down(True))
    assert teller.told == [(3600, "raised"), (13 * 3600, "repeated"), (25 * 3600, "repeated")]
    assert teller.look(30 * 3600, down(True)) == []
    silent = Teller(replace(POLICY, repeat_hours=0))
    for hour in range(30):
        silent.look(hour * 3600, down(True))
    assert silent.told == [(3600, "raised")]


def test_what_gets_worse_is_told_again() -> None:
    teller = Teller()
    for seconds, severity in ((0, "warning"), (30, "warning"), (60, "failure"), (90, "warning")):
        teller.look(seconds, down(True, severity))
    assert teller.told == [(30, "raised"), (60, "raised")]


def test_what_is_not_seen_stays_as_it_is() -> None:
    teller = Teller()
    teller.look(0, down(True))
    teller.look(30, down(True))
    for seconds in range(60, 600, 60):
        teller.look(seconds)
    assert raised(teller.book) == {"down"}
    teller.look(9 * 86_400)
    assert teller.book == {}
    assert [what for _at, what in teller.told] == ["raised"]


def test_warnings_wait_for_the_end_of_quiet_hours_and_failures_do_not() -> None:
    quiet = replace(POLICY, quiet=QuietHours.from_text("11:00-13:00"))
    teller = Teller(quiet)
    for seconds in (0, 30, 60, 3599, 3600):
        teller.look(seconds, down(True, "warning"))
    assert teller.told == [(3600, "raised")]
    teller = Teller(quiet)
    for seconds in (0, 30):
        teller.look(seconds, down(True))
    assert teller.told == [(30, "raised")]


def test_a_warning_that_came_and_went_in_quiet_hours_is_never_told() -> None:
    teller = Teller(replace(POLICY, quiet=QuietHours.from_text("11:00-13:00")))
    for seconds in range(0, 7200, 60):
        teller.look(seconds, down(seconds < 1800, "warning"))
    assert teller.told == []


def test_the_end_of_a_warning_waits_too() -> None:
    teller = Teller(replace(POLICY, quiet=QuietHours.from_text("12:30-13:00")))
    for seconds in range(0, 7200, 60):
        teller.look(seconds, down(seconds < 2400, "warning"))
    assert teller.told == [(60, "raised"), (3600, "cleared")]


def test_a_restart_tells_nothing_again() -> None:
    teller = Teller()
    for seconds in (0, 30, 60):
        teller.look(seconds, down(True))
    kept = jsonfile.encode(Memory(book=teller.book))
    teller.book = jsonfile.decode(kept, Memory).book
    for seconds in (90, 120, 150):
        teller.look(seconds, down(True))
    assert teller.told == [(30, "raised")]


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 200), st.booleans()), max_size=60))
def test_raised_and_cleared_take_turns(looks: list[tuple[int, bool]]) -> None:
    teller, now = Teller(replace(POLICY, repeat_hours=0)), 0
    for passed, holds in looks:
        now += passed
        teller.look(now, down(holds))
    whats = [what for _at, what in teller.told]
    assert whats == ["raised", "cleared"] * (len(whats) // 2) + ["raised"] * (len(whats) % 2)


SAMPLE = Sample(
    at=START, transactions=0, rollbacks=0, blocks_hit=0, blocks_read=0, deadlocks=0, temp_bytes=0,
    reset_at=None, connections=10, active=1, idle_in_transaction=0, waiting_for_lock=0,
    max_connections=103, reserved_connections=3, longest_pid=None, longest_state=None,
    longest_seconds=None, oldest_xid_age=0, freeze_max_age=1, prepared_transactions=0, standbys=0,
    standby_bytes_behind=None, inactive_slots=0, slot_bytes_retained=None, archive_mode="off",
    last_archived_at=None, last_archive_failure_at=None, in_recovery=False,
    replay_seconds_behind=None,
)  # fmt: skip


def holding(*known: str, thresholds: Thresholds | None = None, **parts: Any) -> set[str]:
    sample = replace(SAMPLE, **{k: v for k, v in parts.items() if k in Sample.__slots__})
    more = {key: value for key, value in parts.items() if key not in Sample.__slots__}
    reading = Reading(moment(0), **{"up": True, "sample": sample, **more})
    found = judge(reading, thresholds or Thresholds(), known)
    assert all(condition.message for condition in found if condition.holds)
    return {condition.key for condition in found if condition.holds}


FULL = Disk("/data", 100, 19)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, set()),
        ({"up": False, "sample": None, "problem": "gone"}, {"down"}),
        ({"full": True, "sample": None, "problem": "taken"}, {"connections"}),
        ({"connections": 79}, set()),
        ({"connections": 80}, {"connections"}),
        ({"longest_seconds": 899.0}, set()),
        ({"longest_seconds": 900.0}, {"transaction"}),
        ({"lock_wait": LockWait(7, 59.0, "a")}, set()),
        ({"lock_wait": LockWait(7, 60.0, None)}, {"lock"}),
        ({"standbys": 1, "standby_bytes_behind": 300 << 20}, {"replication standby"}),
        ({"inactive_slots": 1, "slot_bytes_retained": 300 << 20}, {"replication slot"}),
        ({"inactive_slots": 0, "slot_bytes_retained": 300 << 20}, set()),
        ({"in_recovery": True, "replay_seconds_behind": 301.0}, {"replication replay"}),
        ({"archive_mode": "on", "last_archive_failure_at": START}, {"archiving"}),
        ({"archive_mode": "on", "last_archived_at": START}, set()),
        ({"statements": Statements(100, 51.0, 2.0)}, {"slow"}),
        ({"statements": Statements(99, 999.0, 2.0)}, set()),
        ({"certificate_days": 13.9}, {"certificate"}),
        ({"certificate_days": 14.0}, set()),
        ({"disks": {"/data/pg": FULL, "/data/backups": FULL}}, {"disk /data"}),
        ({"disks": {"/data/pg": Disk("/data", 100, 21)}}, set()),
    ],
)
def test_what_is_worth_telling(parts: dict[str, Any], expected: set[str]) -> None:
    assert holding(**parts) == expected


@pytest.mark.parametrize(
    ("key", "stays", "over"),
    [
        ("connections", {"connections": 72}, {"connections": 71}),
        ("transaction", {"longest_seconds": 810.0}, {"longest_seconds": 809.0}),
        ("disk /data", {"disks": {"d": Disk("/data", 100, 28)}},
         {"disks": {"d": Disk("/data", 100, 29)}}),
    ],
)  # fmt: skip
def test_what_rose_is_over_a_tenth_below(
    key: str, stays: dict[str, Any], over: dict[str, Any]
) -> None:
    assert holding(key, **stays) == {key}
    assert holding(**stays) == set()
    assert holding(key, **over) == set()


def test_a_disk_that_fills_up_is_told_in_time() -> None:
    disk = Disk("/data", 1000, 700)
    assert filling(disk, 100, Thresholds()).holds
    assert not filling(disk, 99, Thresholds()).holds
    assert not filling(disk, -5, Thresholds()).holds


NOTICE = Notice("raised", Kind.DISK, "/data", "warning", "It is full.", "Free some.", START, 60)


def test_a_message_is_made_by_its_template_for_those_who_want_it() -> None:
    near, far = Address("json://a/", "warning"), Address("json://b/", "failure")
    policy = Alerts(templates=Templates(raised="{target}|{subject}|{message}|{severity}|{since}"))
    (message,) = messages_of([NOTICE], "home", policy, [near, far], moment(0))
    assert message.receiver == near.name
    assert message.title == "home: a disk is nearly full (/data)"
    assert message.body == "home|/data|It is full.|warning|2030-05-01 12:00:00 UTC"
    both = messages_of(
        [replace(NOTICE, severity="failure")], "home", POLICY, [near, far], moment(0)
    )
    assert [m.body for m in both] == ["It is full. Free some."] * 2


def test_a_message_waits_longer_each_time_and_those_behind_it_wait_in_order() -> None:
    address = Address("json://a/", "warning")
    first, second = messages_of([NOTICE, NOTICE], "home", POLICY, [address], moment(0))
    outbox = Outbox().with_more([first, second])
    assert outbox.next_for(address.name, moment(0)) is first
    outbox = outbox.failed(first, moment(0))
    assert outbox.next_for(address.name, moment(4)) is None
    again = outbox.next_for(address.name, moment(5))
    assert again is not None
    assert again.tries == 1
    outbox = outbox.failed(again, moment(5))
    assert outbox.next_for(address.name, moment(14)) is None
    third = outbox.next_for(address.name, moment(15))
    assert third is not None
    outbox = outbox.without(third)
    assert outbox.next_for(address.name, moment(15)) is second


def test_the_outbox_is_bounded_and_forgets_who_is_gone() -> None:
    address = Address("json://a/", "warning")
    messages = messages_of([NOTICE] * 500, "home", POLICY, [address], moment(0))
    outbox = Outbox().with_more(messages)
    assert len(outbox.messages) == 200
    assert outbox.current([], moment(0)).messages == ()
    assert len(outbox.current([address.name], moment(86_399)).messages) == 200
    assert outbox.current([address.name], moment(86_400)).messages == ()
    assert jsonfile.decode(jsonfile.encode(outbox), Outbox) == outbox


def test_addresses_come_from_files_and_hide_their_secrets(tmp_path: Path) -> None:
    path = tmp_path / "urls"
    path.write_text("# the family\nntfy://host/secret-topic\n\njson://u:secret@host/\n")
    policy = Alerts(to=(Receiver(url_file=path), Receiver(url="json://u:secret@host/")))
    found = addresses(policy)
    assert len(found) == 2
    assert "secret" not in repr(found) + "".join(address.name for address in found)
    with pytest.raises(SettingsError, match="cannot be read"):
        addresses(Alerts(to=(Receiver(url_file=tmp_path / "none"),)))
