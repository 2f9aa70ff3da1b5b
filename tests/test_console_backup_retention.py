"""What may go and what is due: pure decisions over a history, with nothing good ever lost."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from console.backup.history import remarks
from console.backup.manifest import (
    Manifest,
    Proof,
    Record,
    TableRows,
    Tier,
    Verdict,
)
from console.backup.policy import Retention, Schedule
from console.backup.retention import Decision, expires_at, plan_prune
from console.backup.schedule import due, period_start
from console.backup.store import Backup
from console.findings import Severity

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
ONE = Retention(keep_at_least=1)


def backup(
    days: float,
    tier: Tier = Tier.DAILY,
    verdict: Verdict | None = Verdict.PASS,
    *,
    held: bool = False,
    rows: int = 100,
    drill: Verdict | None = None,
    damaged: bool = False,
) -> Backup:
    """A backup made `days` before NOW."""
    made_at = NOW - timedelta(days=days)
    identity = f"{made_at:%Y%m%dT%H%M%SZ}-{tier}"
    proofs = []
    if verdict is not None:
        proofs.append(Proof("verify", verdict, made_at, 1.0, ()))
    if drill is not None:
        proofs.append(Proof("drill", drill, made_at, 9.0, (), "here", 8.0))
    manifest = Manifest(
        schema_version=1,
        id=identity,
        tier=tier,
        note="",
        target="home",
        database="home",
        place="",
        origin="created",
        started_at=made_at,
        taken_at=made_at,
        seconds=1.0,
        server_version="15.1",
        server_version_number=150001,
        tools_version="15.1",
        wal_position=None,
        in_recovery=False,
        compression="gzip:9",
        database_bytes=1000,
        files=(),
        toc_entries=1,
        data_entries=1,
        tables=(TableRows("public", "t", rows),),
    )
    record = Record(held, tuple(proofs))
    return Backup(Path("/b/home") / identity, None if damaged else manifest, record)


def kept(decisions: tuple[Decision, ...]) -> set[str]:
    return {decision.backup.id for decision in decisions if decision.keep}


def plan(*backups: Backup, policy: Retention = ONE, now: datetime = NOW) -> tuple[Decision, ...]:
    return plan_prune(backups, policy, now)


@pytest.mark.parametrize(("tier", "days"), [(Tier.DAILY, 7), (Tier.WEEKLY, 30), (Tier.MONTHLY, 90)])
def test_each_tier_has_its_time(tier: Tier, days: int) -> None:
    newest = backup(0.5)
    inside, outside = backup(days - 0.1, tier), backup(days + 0.1, tier)
    decisions = plan(newest, inside, outside)
    assert kept(decisions) == {newest.id, inside.id}
    assert f"older than {days} days" in decisions[2].reason
    assert expires_at(inside, ONE) == inside.made_at + timedelta(days=days)


def test_manual_and_held_ones_stay() -> None:
    newest, manual = backup(0), backup(900, Tier.MANUAL)
    held = backup(800, held=True)
    assert kept(plan(newest, manual, held)) == {newest.id, manual.id, held.id}
    assert expires_at(manual, ONE) is None
    assert expires_at(held, ONE) is None


def test_before_deployment_ones_are_counted_and_only_good_ones_count() -> None:
    newest = backup(0)
    good = [backup(100 + n, Tier.PRE_DEPLOYMENT) for n in range(7)]
    bad = [backup(99 - n, Tier.PRE_DEPLOYMENT, Verdict.FAIL) for n in range(9)]
    stays = kept(plan(newest, *good, *bad))
    assert {b.id for b in good[:5]} <= stays
    assert not {b.id for b in good[5:]} & stays


def test_failing_backups_never_push_out_good_ones() -> None:
    good = [backup(40 + n) for n in range(7)]
    failing = [backup(n, verdict=Verdict.FAIL) for n in range(40)]
    assert {b.id for b in good} <= kept(plan(*good, *failing))


def test_a_clock_set_forward_expires_nothing() -> None:
    good = [backup(n) for n in range(6)]
    assert kept(plan(*good, now=NOW + timedelta(days=365))) == {b.id for b in good}


def test_a_clock_set_back_expires_nothing() -> None:
    good = [backup(n) for n in range(6)]
    assert kept(plan(*good, now=NOW - timedelta(days=365))) == {b.id for b in good}


def test_without_any_verified_backup_nothing_goes() -> None:
    all_of_them = [backup(n * 100, verdict=None) for n in range(5)]
    assert kept(plan(*all_of_them)) == {b.id for b in all_of_them}


def test_the_last_verified_one_before_an_unverified_one_stays() -> None:
    newest = backup(0)
    doubtful = backup(5, verdict=Verdict.COULD_NOT_VERIFY)
    predecessor, older = backup(20), backup(21)
    assert kept(plan(newest, doubtful, predecessor, older)) == {
        newest.id,
        doubtful.id,
        predecessor.id,
    }


def test_a_much_smaller_one_does_not_replace_what_was_before() -> None:
    newest, full = backup(0, rows=3), backup(20, rows=1000)
    decisions = plan(newest, full)
    assert kept(decisions) == {newest.id, full.id}
    assert "in doubt" in decisions[1].reason


def test_some_are_kept_whatever_their_age() -> None:
    good = [backup(100 * n) for n in range(5)]
    assert kept(plan(*good, policy=Retention(keep_at_least=3))) == {b.id for b in good[:3]}


def test_a_failed_drill_makes_a_backup_count_no_more() -> None:
    undone = backup(0, drill=Verdict.FAIL)
    good = backup(30)
    assert good.id in kept(plan(undone, good))
    assert undone.verdict is Verdict.FAIL


def test_damaged_ones_go_when_old_and_count_for_nothing() -> None:
    newest, damaged, good = backup(0), backup(50, damaged=True), backup(60)
    assert kept(plan(newest, damaged, good)) == {newest.id}
    only = plan(damaged)
    assert kept(only) == {damaged.id}


def test_in_any_history_the_newest_good_one_and_held_ones_stay() -> None:
    chance = random.Random(7)
    for _ in range(300):
        history = [
            backup(
                chance.uniform(-3, 400) + n / 86400,
                chance.choice(list(Tier)),
                chance.choice([*Verdict, None]),
                held=chance.random() < 0.1,
                rows=chance.choice([0, 5, 100]),
                damaged=chance.random() < 0.1,
            )
            for n in range(chance.randrange(1, 25))
        ]
        now = NOW + timedelta(days=chance.uniform(-500, 500))
        decisions = plan(*history, now=now)
        stays = kept(decisions)
        assert len(decisions) == len(history)
        ordered = sorted(history, key=lambda b: b.id, reverse=True)
        good = [b for b in ordered if b.verdict is Verdict.PASS]
        assert not good or good[0].id in stays
        assert good or len(stays) == len({b.id for b in history})
        assert all(b.id in stays for b in history if b.record.held)
        again = plan(*(d.backup for d in decisions if d.keep), now=now)
        assert all(decision.keep for decision in again), "what stays once, stays"


def test_the_first_run_makes_the_longest_lived() -> None:
    assert due([], Schedule(), NOW) is Tier.MONTHLY
    assert due([], Schedule(tiers=("daily",)), NOW) is Tier.DAILY
    assert due([], Schedule(tiers=()), NOW) is None


def test_a_longer_lived_one_serves_as_the_shorter_lived() -> None:
    assert due([backup(0, Tier.MONTHLY)], Schedule(), NOW) is None


def test_each_day_after_the_hour_one_is_due_and_only_one() -> None:
    schedule = Schedule(tiers=("daily",), hour=2)
    yesterday = backup(1)
    early = NOW.replace(hour=1)
    assert due([yesterday], schedule, early) is None
    assert due([yesterday], schedule, NOW.replace(hour=2)) is Tier.DAILY
    assert due([yesterday, backup(0)], schedule, NOW) is None


def test_missed_runs_are_made_up_for_once() -> None:
    schedule = Schedule(tiers=("daily",))
    assert due([backup(9)], schedule, NOW) is Tier.DAILY
    assert due([backup(9), backup(0)], schedule, NOW) is None


def test_a_failed_one_is_tried_again_and_manual_ones_do_not_count() -> None:
    schedule = Schedule(tiers=("daily",))
    assert due([backup(0, verdict=Verdict.FAIL)], schedule, NOW) is Tier.DAILY
    assert due([backup(0, Tier.MANUAL)], schedule, NOW) is Tier.DAILY
    assert due([backup(0, verdict=None)], schedule, NOW) is None


def test_one_dated_in_the_future_is_not_believed() -> None:
    assert due([backup(-40)], Schedule(tiers=("daily",)), NOW) is Tier.DAILY


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    at = datetime(2026, 6, 17, 1, tzinfo=UTC)
    assert period_start(Tier.DAILY, 2, at) == datetime(2026, 6, 16, 2, tzinfo=UTC)
    assert period_start(Tier.WEEKLY, 2, at) == datetime(2026, 6, 15, 2, tzinfo=UTC)
    assert period_start(Tier.MONTHLY, 2, at) == datetime(2026, 6, 1, 2, tzinfo=UTC)
    first = datetime(2026, 6, 1, 1, tzinfo=UTC)
    assert period_start(Tier.MONTHLY, 2, first) == datetime(2026, 5, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong", [{"daily_days": 0}, {"pre_deployment_count": 0}, {"keep_at_least": 0}]
)
def test_a_policy_that_would_keep_nothing_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Retention(**wrong)


def said(*backups: Backup) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in remarks(backups, NOW)}


def test_history_says_what_is_wrong_with_it() -> None:
    assert said() == {"backup.verified": Severity.FAILURE}
    assert said(backup(0, verdict=None)) == {"backup.verified": Severity.FAILURE}
    sound = said(backup(0, drill=Verdict.PASS), backup(1))
    assert sound == {"backup.verified": Severity.OK, "backup.drill": Severity.OK}
    assert said(backup(3))["backup.verified"] is Severity.WARNING
    assert said(backup(0, verdict=Verdict.FAIL), backup(1))["backup.newest"] is Severity.FAILURE
    assert said(backup(0))["backup.drill"] is Severity.WARNING
    assert said(backup(0, rows=1), backup(1))["backup.shrunk"] is Severity.WARNING
    assert said(backup(0), backup(5))["backup.gap"] is Severity.INFO
