"""What the agent writes down: rolled up, bounded, readable while it writes; its sense of time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from console.agent.clock import Moment
from console.agent.history import HOURS, RAW, AgentHistory, Event, HistoryReader
from console.agent.policy import AgentSettings, Alerts, Metrics, QuietHours, Receiver, Templates
from console.documents import parse
from console.errors import CommandFailed, SettingsError
from console.settings import Settings

NOW = datetime(2030, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def history(tmp_path: Path) -> AgentHistory:
    return AgentHistory(tmp_path / "state" / "history.sqlite")


def reader(history: AgentHistory) -> HistoryReader:
    return HistoryReader(history.path)


def test_the_file_is_private(history: AgentHistory) -> None:
    assert history.path.stat().st_mode & 0o777 == 0o600
    assert history.path.parent.stat().st_mode & 0o777 == 0o700


def test_figures_come_back_as_they_were_and_none_is_left_out(history: AgentHistory) -> None:
    history.add("home", NOW, {"connections": 7, "unknown": None})
    found = reader(history).points("home", "connections", NOW - timedelta(hours=1), NOW)
    assert [(point.at, point.mean) for point in found] == [(NOW, 7)]
    assert reader(history).names("home") == ("connections",)


def test_minutes_and_hours_keep_lows_means_and_highs(history: AgentHistory) -> None:
    for n in range(240):
        history.add("home", NOW - timedelta(hours=1) + timedelta(seconds=15 * n), {"load": n % 20})
    history.tidy(NOW, 200)
    week = reader(history).points("home", "load", NOW - timedelta(days=7), NOW)
    assert len(week) == 12
    assert {(point.low, point.mean, point.high) for point in week} == {(0, 9.5, 19)}
    year = reader(history).points("home", "load", NOW - timedelta(days=365), NOW)
    assert [(point.low, point.mean, point.high) for point in year] == [(0, 9.5, 19)]


def test_rolling_up_again_changes_nothing(history: AgentHistory) -> None:
    for n in range(480):
        history.add("home", NOW - timedelta(hours=2) + timedelta(seconds=15 * n), {"load": n})
    history.tidy(NOW, 200)
    since = NOW - timedelta(days=365)
    once = reader(history).points("home", "load", since, NOW)
    history.tidy(NOW + timedelta(minutes=7), 200)
    assert reader(history).points("home", "load", since, NOW) == once


def test_the_file_stays_below_its_size_and_what_goes_is_the_finest(tmp_path: Path) -> None:
    history = AgentHistory(tmp_path / "history.sqlite")
    start = NOW - timedelta(hours=60)
    names = [f"figure.{n}" for n in range(40)]
    for n in range(0, 60 * 60, 3):
        figures = dict.fromkeys(names, float(n))
        history.add("home", start + timedelta(minutes=n), figures)
    history.tidy(NOW - timedelta(hours=57), 200)
    for hour in range(56, -1, -1):
        history.tidy(NOW - timedelta(hours=hour), 200)
    history.tidy(NOW, 1)
    assert history.path.stat().st_size < 1.3e6
    kept = {step: amount for step, amount in history.amounts().items() if amount}
    assert kept[HOURS] == 40 * 60
    assert kept.get(RAW, 0) < 40 * 20 * 24


def test_what_is_remembered_survives_a_restart(history: AgentHistory) -> None:
    history.remember({"home": {"alerts": {"down": [1, "ä"]}, "made": []}, "": {"outbox": [3]}})
    history.note(Event(NOW, "home", "down", "failure", "", "No connection."))
    history.close()
    again = AgentHistory(history.path)
    assert again.recall("", "outbox") == [3]
    assert again.recall("home", "alerts") == {"down": [1, "ä"]}
    assert again.recall("away", "alerts") is None
    (event,) = reader(again).events("home", NOW - timedelta(days=1))
    assert event.message == "No connection."


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_text("no database at all, but long enough to be looked at as one" * 30)
    with pytest.raises(CommandFailed, match="cannot be used"):
        AgentHistory(path)


def test_a_jump_of_the_clock_is_seen_and_does_not_lengthen_time() -> None:
    start = Moment(NOW, 1000, "boot")
    later = Moment(NOW + timedelta(hours=25), 4600, "boot")
    assert later.seconds_since(start) == 3600
    assert later.jumped(start) == 24 * 3600
    assert start.by_the_clock_of(later) == NOW + timedelta(hours=24)
    other_boot = replace(later, boot="another", uptime=5)
    assert other_boot.seconds_since(start) == 25 * 3600
    assert other_boot.jumped(start) == 0
    assert start.by_the_clock_of(other_boot) == NOW
    assert replace(start, wall=NOW - timedelta(days=9), boot="").seconds_since(start) == 0


def test_the_real_clock_goes_on() -> None:
    first = Moment.now()
    assert 0 <= Moment.now().seconds_since(first) < 60
    assert first.wall.tzinfo is not None


@pytest.mark.parametrize(
    ("text", "clock", "quiet"),
    [
        ("22:00-07:00", time(23, 0), True),
        ("22:00-07:00", time(6, 59), True),
        ("22:00-07:00", time(7, 0), False),
        ("22:00-07:00", time(12, 0), False),
        ("12:00-13:30", time(13, 29), True),
        ("12:00-13:30", time(13, 30), False),
    ],
)
def test_quiet_hours_go_over_midnight(text: str, clock: time, quiet: bool) -> None:
    assert QuietHours.from_text(text).holds(datetime.combine(NOW, clock)) is quiet


def test_the_settings_of_an_agent_are_read() -> None:
    settings = parse(
        """
agent:
  drill: weekly
  alerts:
    to: [{url_file: /etc/medianest/ntfy}]
    quiet: 22:00-07:00
    thresholds: {connections_percent: 70}
    templates: {cleared: "{target}: over"}
  metrics: {listen: 127.0.0.1:9646}
""",
        Settings,
        "settings.yaml",
    ).agent
    assert settings.drill == "weekly"
    assert settings.alerts.thresholds.connections_percent == 70
    assert settings.alerts.templates.cleared == "{target}: over"
    assert settings.metrics.address == ("127.0.0.1", 9646)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agent: {metrics: {listen: 0.0.0.0:9646}}", "password_file or token_file"),
        ("agent: {metrics: {listen: nowhere}}", "HOST:PORT"),
        ("agent: {alerts: {to: [{}]}}", "either url or url_file"),
        ("agent: {alerts: {quiet: night}}", "22:00-07:00"),
        ("agent: {alerts: {templates: {raised: '{password}'}}}", "in braces"),
        ("agent: {health_seconds: 0}", "from 1 to 3600"),
        ("agent: {checks_hour: 24}", "from 0 to 23"),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_line(text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected) as told:
        parse(text, Settings, "settings.yaml")
    assert "settings.yaml:1" in str(told.value)


def test_a_receivers_address_is_in_no_representation() -> None:
    settings = AgentSettings(alerts=Alerts(to=(Receiver(url="json://user:secret@host/"),)))
    assert "secret" not in repr(settings)
    assert Templates().raised.startswith("{message}")
    assert Metrics().listen is None
