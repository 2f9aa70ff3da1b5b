"""What each check asks, how grave what it finds can be, and how that is mended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from console import documents


@dataclass(frozen=True, slots=True)
class About:
    severity: Literal["failure", "warning", "info"]
    """The gravest it can find; what it cannot ask is unknown instead."""
    asks: str
    """Where the evidence comes from."""
    fix: str
    """What a finding proposes."""


@cache
def about_checks() -> Mapping[str, About]:
    """By the check's id, as check_about.yaml has it."""
    text = files("console").joinpath("check_about.yaml").read_text("utf-8")
    return documents.parse(text, dict[str, About], "check_about.yaml")
