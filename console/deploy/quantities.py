"""Sizes and times as compose, Kubernetes and PostgreSQL write them; what none is, is Unsettled."""

from __future__ import annotations

import re

from console.deploy.reading import Scalar, Unsettled

_NUMBER = r"(\d{1,15}(?:\.\d{1,9})?)"
_DOCKER = re.compile(rf"{_NUMBER}\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_KUBERNETES = re.compile(rf"{_NUMBER}(m|[kMGTPE]|[KMGTPE]i|e\d{{1,2}})?")
_POSTGRES = re.compile(rf"\s*'?{_NUMBER}\s*(B|kB|MB|GB|TB)?'?\s*")
_DURATION = re.compile(rf"{_NUMBER}(us|ms|s|m|h|d)")

_DOCKER_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_POSTGRES_UNITS = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TRUE = frozenset({"true", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "no", "n", "off", "0"})


def docker_bytes(scalar: Scalar) -> int:
    """`512m`, `2gb` or plain bytes, in units of 1024."""
    match = _DOCKER.fullmatch(scalar.text.strip())
    if match is None:
        raise Unsettled(scalar.place, "a size that cannot be read")
    return int(float(match.group(1)) * _DOCKER_UNITS[match.group(2).lower()])


def kubernetes_bytes(scalar: Scalar) -> int:
    """`512Mi`, `2G`, `1e9` (Kubernetes' resource.Quantity)."""
    return int(kubernetes_quantity(scalar))


def kubernetes_quantity(scalar: Scalar) -> float:
    match = _KUBERNETES.fullmatch(scalar.text.strip())
    if match is None:
        raise Unsettled(scalar.place, "a quantity that cannot be read")
    number, unit = float(match.group(1)), match.group(2) or ""
    if unit == "m":
        return number / 1000
    if unit.startswith("e"):
        return number * 10.0 ** int(unit[1:])
    if not unit:
        return number
    power = "KMGTPE".index(unit[0].upper()) + 1
    return float(number * (1024 if unit.endswith("i") else 1000) ** power)


def number(scalar: Scalar) -> float:
    """A plain number, also a negative one."""
    match = re.fullmatch(rf"(-?){_NUMBER}", scalar.text.strip())
    if match is None:
        raise Unsettled(scalar.place, "a number that cannot be read")
    return float(match.group(2)) * (-1 if match.group(1) else 1)


def postgres_bytes(scalar: Scalar, unit: str) -> int:
    """A setting such as 256MB; a bare number counts in `unit` (kB, or 8kB for pages)."""
    match = _POSTGRES.fullmatch(scalar.text)
    if match is None:
        raise Unsettled(scalar.place, "a memory setting that cannot be read")
    if match.group(2):
        return int(float(match.group(1)) * _POSTGRES_UNITS[match.group(2)])
    return int(float(match.group(1)) * (8192 if unit == "8kB" else 1024))


def seconds(scalar: Scalar) -> float:
    """`1m30s` or a bare number of seconds (also a Go duration's parts)."""
    text = scalar.text.strip()
    if re.fullmatch(_NUMBER, text):
        return float(text)
    parts = _DURATION.findall(text)
    if not parts or "".join(amount + unit for amount, unit in parts) != text:
        raise Unsettled(scalar.place, "a time that cannot be read")
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)


def truth(scalar: Scalar | None) -> bool:
    """False when absent."""
    if scalar is None:
        return False
    text = scalar.text.strip().lower()
    if text not in _TRUE | _FALSE:
        raise Unsettled(scalar.place, "neither true nor false")
    return text in _TRUE
