"""Every key of the settings file, as Markdown, from the dataclasses that read it."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import textwrap
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from console.backup.policy import default_directory
from console.check_settings import THRESHOLDS
from console.settings import Settings

_HEAD = """\
# Settings

Made by `python docs/make_reference.py`; do not edit.

`~/.config/medianest-console/settings.yaml`, all of it optional. `medianest-console init` asks a few
questions and writes one; a mistake in it is reported as `FILE:LINE: what, expected, found`.

```yaml
target: home                 # opened when nothing else is named
targets:
  home:
    url: postgresql://console@nas:5432/medianest
    password_file: ~/.config/medianest-console/home.password
    profile: medianest       # or a profile file
refresh_seconds: 1
read_only: false
```
"""
_WORDS: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Path: "path",
}
_NAMES: dict[str, str] = {
    "CheckName": "check's id or category",
    "ThresholdName": "threshold",
    "Day": "date",
    "QuietHours": "hours as `22:00-07:00`",
}


def page() -> str:
    """docs/settings.md: an example, the keys section by section, the thresholds of checks."""
    return _HEAD + "".join(_sections(Settings, "")) + _thresholds()


def _sections(shape: type[Any], path: str) -> list[str]:
    """The section of one dataclass, then those of the dataclasses in it."""
    title = f"`{path}`" if path else "The file"
    rows, inner = [], []
    told = docstrings(shape)
    hints = get_type_hints(shape)
    for field in dataclasses.fields(shape):
        kind = hints[field.name]
        nested = _nested(kind)
        if nested is not None:
            place, of = nested
            inner += _sections(of, f"{path}{'.' if path else ''}{field.name}{place}")
            continue
        meaning = told[field.name].replace("|", "\\|")
        rows.append(f"| `{field.name}` | {_words(kind)} | {_default(field)} | {meaning} |")
    table = ["| key | value | default | meaning |", "|---|---|---|---|", *rows]
    about = (inspect.getdoc(shape) or "").partition("\n")[0]
    return [f"\n## {title}\n\n{about}\n\n" + "\n".join(table) + "\n", *inner]


def docstrings(shape: type[Any]) -> dict[str, str]:
    """The first line of the docstring under each field; KeyError later when one has none."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(shape)))
    assert isinstance(tree.body[0], ast.ClassDef)
    body = tree.body[0].body
    found = {}
    for line, after in itertools.pairwise(body):
        if (
            isinstance(line, ast.AnnAssign)
            and isinstance(line.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            found[line.target.id] = " ".join(str(after.value.value).split())
    return found


def _nested(kind: Any) -> tuple[str, type[Any]] | None:
    """What a field of dataclasses adds to the path, and the dataclass."""
    if hasattr(kind, "from_text"):
        return None
    origin, inner = get_origin(kind), get_args(kind)
    place, found = "", kind
    if origin is dict:
        place, found = ".NAME", inner[1]
    elif origin is tuple:
        place, found = "[]", inner[0]
    if isinstance(found, type) and dataclasses.is_dataclass(found):
        return place, found
    return None


def _words(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _words(next(part for part in inner if part is not types.NoneType))
    if origin is tuple:
        return f"list: {_words(inner[0])}"
    if origin is dict:
        return f"{_words(inner[0])}: {_words(inner[1])}"
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in inner)
    return _WORDS.get(kind) or _NAMES.get(kind.__name__, kind.__name__)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is default_directory:
        return "`~/.local/share/medianest-console/backups`"
    if field.default_factory is not dataclasses.MISSING:
        return "none"
    if field.default is dataclasses.MISSING:
        return "required"
    return _value(field.default)


def _value(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, tuple):
        return ", ".join(f"`{part}`" for part in value)
    if isinstance(value, float) and value.is_integer():
        return f"`{value:.0f}`"
    return f"`{value}`"


def _thresholds() -> str:
    rows = [
        f"| `{name}` | `{threshold.default:g}` | {threshold.meaning} |"
        for name, threshold in THRESHOLDS.items()
    ]
    table = ["| threshold | default | meaning |", "|---|---|---|", *rows]
    return (
        "\n## The names in `checks.thresholds`\n\nBy check and name; the last word is the unit.\n\n"
        + "\n".join(table)
        + "\n"
    )
