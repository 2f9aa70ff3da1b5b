"""Units: what an operator reads never claims more, or less, than the number says."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from console import units

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_the_examples_in_the_docstrings_hold() -> None:
    outcome = doctest.testmod(units)
    assert outcome.attempted > 8
    assert outcome.failed == 0


@given(st.integers(min_value=0, max_value=2**62))
def test_a_size_is_short_and_within_five_percent(amount: int) -> None:
    number, unit = units.size(amount).split(" ")
    scale = 1024 ** ("B", "kB", "MB", "GB", "TB", "PB", "EB").index(unit)
    assert abs(float(number) * scale - amount) <= 0.05 * amount
    assert len(units.size(amount)) <= 7


@given(st.integers(min_value=0, max_value=10**17))
def test_a_count_is_short_and_within_five_percent(amount: int) -> None:
    text = units.count(amount)
    scale = 1000 ** "kMGTP".index(text[-1]) * 1000 if text[-1].isalpha() else 1
    assert abs(float(text.rstrip("kMGTP")) * scale - amount) <= 0.05 * amount
    assert len(text) <= 5


@given(st.floats(min_value=0, max_value=1, exclude_min=True, exclude_max=True))
def test_only_a_whole_is_a_hundred_percent_and_only_nothing_is_zero(fraction: float) -> None:
    assert units.percent(fraction) not in ("0%", "100%")


@given(st.floats(min_value=0, max_value=10**9))
def test_a_duration_never_has_sixty_of_anything(seconds: float) -> None:
    text = units.duration(seconds)
    assert not text.startswith(("60 s", "60 min", "1000 ms"))
    assert " 60 min" not in text
    assert " 24 h" not in text


@given(st.integers(min_value=2, max_value=10**9))
def test_an_age_counts_what_has_passed_and_no_more(seconds: int) -> None:
    text = units.age(NOW - timedelta(seconds=seconds), NOW)
    number, unit, _ = text.split(" ")
    one = {"s": 1, "min": 60, "h": 3600, "days": 86_400, "months": 2_629_800, "years": 31_557_600}
    assert int(number) * one[unit] <= seconds
    assert int(number) >= 1
