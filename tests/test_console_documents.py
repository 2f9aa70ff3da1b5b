"""YAML into dataclasses: every mistake is FILE:LINE, what was expected, what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import pytest

from console.documents import load, parse
from console.errors import SettingsError


@dataclass(frozen=True)
class Pair:
    left: str
    right: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        left, separator, right = text.partition("=")
        if not separator:
            raise ValueError("LEFT=RIGHT")
        return cls(left, right)


@dataclass(frozen=True)
class Inner:
    size: int
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("a size of 0 or more")


@dataclass(frozen=True)
class Outer:
    name: str
    mode: Literal["fast", "slow"] = "fast"
    on: bool = False
    place: Path | None = None
    inner: Inner | None = None
    words: tuple[str, ...] = ()
    pairs: dict[Pair, Pair] = field(default_factory=dict)


def test_every_kind_of_value_is_read() -> None:
    content = (
        "name: x\nmode: slow\non: yes\nplace: ~/a\ninner: {size: 1_000, ratio: 2}\n"
        "words: [a, 'null', 12]\npairs:\n  a=b: c=d\n"
    )
    read = parse(content, Outer, "f.yaml")
    assert read == Outer(
        "x",
        "slow",
        True,
        Path("~/a").expanduser(),
        Inner(1000, 2.0),
        ("a", "null", "12"),
        {Pair("a", "b"): Pair("c", "d")},
    )


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("name: x\nmod: slow", 2, "'mode'"),
        ("name: x\nmode: quick", 2, "one of fast, slow, found 'quick'"),
        ("mode: slow", 1, "a key 'name'"),
        ("name: x\non: 7", 2, "true or false, found '7'"),
        ("name: x\ninner:\n  size: much", 3, "a whole number, found 'much'"),
        ("name: x\ninner:\n  size: -1", 3, "a size of 0 or more"),
        ("name: x\ninner: 5", 2, "a mapping (key: value), found '5'"),
        ("name: x\nwords: a", 2, "a list, found 'a'"),
        ("name: x\nwords:\n- a\n- {b: c}", 4, "text, found a mapping"),
        ("name: x\nname: y", 2, "each key once"),
        ("name: x\npairs:\n  a=b: c", 3, "LEFT=RIGHT, found 'c'"),
        ("name: x\npairs:\n  a: c=d", 3, "LEFT=RIGHT, found 'a'"),
        ("name: x\n? [a]\n: b", 2, "a plain key"),
        ("name: null", 1, "text, found 'null'"),
        ("name: x\n\tmode: fast", 2, "found character"),
        ("name: [", 1, "expected"),
        ("", 1, "a key 'name'"),
        ("- a", 1, "a mapping (key: value), found a list"),
        ("name: x\nname2: " + "[" * 2000, 1, ""),
    ],
)
def test_a_mistake_is_said_with_its_line(content: str, line: int, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(content, Outer, "f.yaml")
    assert caught.value.message.startswith("f.yaml:")
    assert words in caught.value.message
    if words:
        assert caught.value.message.startswith(f"f.yaml:{line}: "), caught.value.message
    assert caught.value.hint


def test_a_long_value_is_not_repeated_whole() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(f"name: x\nmode: {'s' * 500}", Outer, "f.yaml")
    assert len(caught.value.message) < 120


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read \(No such file"):
        load(tmp_path / "none.yaml", Outer)
    odd = tmp_path / "odd.yaml"
    odd.write_bytes(b"name: \xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        load(odd, Outer)
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path, Outer)
