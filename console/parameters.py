"""The server's settings as numbers with a meaning: bytes, seconds, on or off."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from console import units
from queries.parameters import Parameter

_SIZES = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_ON = ("on", "true", "yes", "1")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


class Exposure(StrEnum):
    """From how far away a client can reach the server at all."""

    SOCKET = "only over its unix socket"
    LOOPBACK = "only from its own machine"
    NETWORK = "over the network"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Settings by name; those the role may not see, or the version does not have, are not there."""

    by_name: dict[str, Parameter]

    @classmethod
    def of(cls, rows: Iterable[Parameter]) -> Parameters:
        return cls({row.name: row for row in rows})

    def text(self, name: str) -> str | None:
        found = self.by_name.get(name)
        return None if found is None else found.setting

    def is_on(self, name: str) -> bool | None:
        """None where it is not there; true for every text but off, false, no and nothing."""
        found = self.text(name)
        return None if found is None else found.lower() not in ("off", "false", "no", "0", "")

    def number(self, name: str) -> float | None:
        """In the setting's own unit."""
        found = self.text(name)
        return None if found is None else float(found)

    def bytes(self, name: str) -> int | None:
        """A size; negative settings (-1 for off) stay as they are."""
        found = self.by_name.get(name)
        if found is None:
            return None
        amount = int(float(found.setting))
        return amount if amount < 0 else amount * _factor(found.unit or "B", _SIZES)

    def seconds(self, name: str) -> float | None:
        """A length of time; negative settings (-1 for off) stay as they are."""
        found = self.by_name.get(name)
        if found is None:
            return None
        amount = float(found.setting)
        return amount if amount < 0 else amount * _SECONDS[found.unit or "s"]

    def equals(self, name: str, text: str) -> bool | None:
        """Whether a setting is what `text` means in a configuration file, e.g. 256MB or 5min.

        None where it is not visible.
        """
        found = self.by_name.get(name)
        if found is None:
            return None
        if found.kind == "bool":
            return found.setting == ("on" if text.lower() in _ON else "off")
        if found.kind not in ("integer", "real"):
            return found.setting.lower() == text.lower()
        return float(found.setting) == _amount(text, found.unit)

    def shown(self, name: str) -> str:
        """For a person: `shared_buffers = 128 MB (default)`."""
        found = self.by_name.get(name)
        if found is None:
            return f"{name} is not visible"
        return f"{name} = {_value(found)} ({found.source})"

    @property
    def exposure(self) -> Exposure:
        """By listen_addresses; a container that publishes no port is still NETWORK."""
        listen = [part.strip() for part in (self.text("listen_addresses") or "").split(",")]
        addresses = [part for part in listen if part]
        if not addresses:
            return Exposure.SOCKET
        if all(is_loopback(address) for address in addresses):
            return Exposure.LOOPBACK
        return Exposure.NETWORK


def is_loopback(address: str) -> bool:
    """Whether an address or name is the machine's own.

    >>> is_loopback("localhost"), is_loopback("127.0.0.5"), is_loopback("::1"), is_loopback("*")
    (True, True, True, False)
    """
    if address == "localhost":
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _factor(unit: str, sizes: dict[str, int]) -> int:
    found = re.fullmatch(r"(\d*)([A-Za-z]+)", unit)
    if found is None:
        raise ValueError(f"a unit of bytes, not {unit!r}")
    return int(found[1] or 1) * sizes[found[2]]


def _amount(text: str, unit: str | None) -> float | None:
    """The number in `unit` that `text` means; None for what is no number."""
    found = re.fullmatch(r"(-?[\d.]+)\s*([A-Za-z]*)", text.strip())
    if found is None:
        return None
    number, own = float(found[1]), found[2]
    if not own or unit is None:
        return number
    if own in _SECONDS and unit in _SECONDS:
        return number * _SECONDS[own] / _SECONDS[unit]
    if own in _SIZES:
        return number * _SIZES[own] / _factor(unit, _SIZES)
    return None


def _value(parameter: Parameter) -> str:
    unit = parameter.unit
    number = parameter.setting
    if unit is None or number.startswith("-") or number == "0":
        return number or "''"
    if unit in _SECONDS:
        return units.duration(float(number) * _SECONDS[unit])
    return units.size(int(float(number)) * _factor(unit, _SIZES))
