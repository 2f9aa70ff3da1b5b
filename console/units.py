"""Numbers as an operator reads them: short, steady in width, and never more exact than they are.

Everything is a pure function from a number (or None for 'not known') to a few characters. What is
not known is written `-`, which is neither zero nor a claim.
"""

from __future__ import annotations

from datetime import datetime

UNKNOWN = "-"

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_COUNTS = ("", "k", "M", "G", "T", "P")


def size(amount: int | None) -> str:
    """Bytes in PostgreSQL's own units (1 kB is 1024 bytes).

    >>> size(0), size(512), size(8192), size(1_258_291), size(17_179_869_184), size(None)
    ('0 B', '512 B', '8.0 kB', '1.2 MB', '16 GB', '-')
    >>> size(1_048_575), size(-8192)
    ('1.0 MB', '-8.0 kB')
    """
    if amount is None:
        return UNKNOWN
    return _scaled(amount, 1024, _SIZES, " ")


def count(amount: float | None) -> str:
    """A number of things, exact below ten thousand.

    >>> count(0), count(9_999), count(12_345), count(123_456), count(4_500_000), count(None)
    ('0', '9999', '12.3k', '123k', '4.5M', '-')
    >>> count(999_999), count(-20_000)
    ('1.0M', '-20k')
    """
    if amount is None:
        return UNKNOWN
    if abs(amount) < 10_000:
        return f"{amount:.0f}"
    return _scaled(amount, 1000, _COUNTS, "")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its word.

    >>> counted(1, "role"), counted(3, "role"), counted(2, "policy", "policies")
    ('1 role', '3 roles', '2 policies')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def percent(fraction: float | None) -> str:
    """A fraction of one as a percentage; 100% and 0% only when it is exactly that.

    >>> percent(1), percent(0.5), percent(0.987), percent(0.99999), percent(0.00001), percent(0)
    ('100%', '50%', '98.7%', '99.9%', '0.1%', '0%')
    >>> percent(1.25), percent(None)
    ('125%', '-')
    """
    if fraction is None:
        return UNKNOWN
    hundredths = fraction * 100
    if 0 < hundredths < 100:
        hundredths = min(max(hundredths, 0.1), 99.9)
    return f"{hundredths:.1f}".removesuffix(".0") + "%"


def duration(seconds: float | None) -> str:
    """A length of time, to two figures or two units.

    >>> duration(0), duration(0.00025), duration(0.0012), duration(0.25), duration(4.5)
    ('0 ms', '0.25 ms', '1.2 ms', '250 ms', '4.5 s')
    >>> duration(59.96), duration(180), duration(3599.9), duration(7500), duration(273_600)
    ('1 min', '3 min', '1 h 00 min', '2 h 05 min', '3 d 04 h')
    >>> duration(-4.5), duration(None)
    ('-4.5 s', '-')
    """
    if seconds is None:
        return UNKNOWN
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.9995:
        return _milliseconds(seconds * 1000)
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(round(seconds / 3600), 24)
    if days < 100:
        return f"{days} d {hours:02d} h"
    return f"{count(round(seconds / 86400))} d"


def _milliseconds(amount: float) -> str:
    if amount == 0:
        return "0 ms"
    if amount < 1:
        return f"{max(amount, 0.01):.2f} ms"
    return (f"{amount:.1f} ms" if amount < 9.95 else f"{amount:.0f} ms").replace(".0 ms", " ms")


def age(since: datetime | None, now: datetime) -> str:
    """How long ago `since` was, both aware of their time zone; 'never' for None.

    >>> from datetime import UTC, timedelta
    >>> now = datetime(2030, 1, 1, tzinfo=UTC)
    >>> age(now - timedelta(seconds=20), now), age(now - timedelta(minutes=3), now)
    ('20 s ago', '3 min ago')
    >>> age(now - timedelta(hours=5, minutes=40), now), age(now - timedelta(days=400), now)
    ('5 h ago', '13 months ago')
    >>> age(now, now), age(None, now)
    ('just now', 'never')
    >>> age(now + timedelta(minutes=10), now)
    'in 10 min'
    """
    if since is None:
        return "never"
    seconds = (now - since).total_seconds()
    if abs(seconds) < 2:
        return "just now"
    length = _length(abs(seconds))
    return f"{length} ago" if seconds > 0 else f"in {length}"


def _length(seconds: float) -> str:
    """The whole part of the largest fitting unit: what has certainly passed."""
    for unit, one, upto in (
        ("s", 1, 120),
        ("min", 60, 7200),
        ("h", 3600, 172_800),
        ("days", 86_400, 5_184_000),
        ("months", 2_629_800, 63_115_200),
    ):
        if seconds < upto:
            return f"{int(seconds // one)} {unit}"
    return f"{int(seconds // 31_557_600)} years"


def _scaled(amount: float, base: int, units: tuple[str, ...], gap: str) -> str:
    """The number in the largest unit that keeps it at or above one, with two figures or more."""
    scaled, place = float(amount), 0
    while abs(scaled) >= base and place < len(units) - 1:
        scaled /= base
        place += 1
    text = _figures(scaled, place)
    if float(text) in (base, -base) and place < len(units) - 1:
        text, place = _figures(float(text) / base, place + 1), place + 1
    return f"{text}{gap}{units[place]}"


def _figures(scaled: float, place: int) -> str:
    if place == 0 or abs(scaled) >= 99.95:
        return f"{scaled:.0f}"
    rounded = f"{scaled:.1f}"
    return rounded.removesuffix(".0") if abs(scaled) >= 10 else rounded
