"""What a change of schema takes from the data, in words, and where to count it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from console.migrations.compare import Difference, Snapshot
from console.migrations.statements import labels
from queries.parts import Part

_WIDER = {
    "smallint": ("integer", "bigint", "numeric", "text"),
    "integer": ("bigint", "numeric", "text"),
    "bigint": ("numeric", "text"),
    "real": ("double precision", "text"),
}


@dataclass(frozen=True, slots=True)
class Loss:
    what: str
    """A sentence."""
    table: str | None = None
    """Where it can be counted: the table, as SQL names it."""
    column: str | None = None
    """Rows with a value in it are counted; None counts all rows."""
    is_certain: bool = True
    """False: only values that do not fit are lost or refused."""


def losses(differences: Iterable[Difference], source: Snapshot) -> tuple[Loss, ...]:
    """What is lost when `source` is made what the differences' `after` says."""
    return tuple(loss for one in differences for loss in _losses(one, source))


def _losses(one: Difference, source: Snapshot) -> Iterator[Loss]:
    before, after = one.before, one.after
    if before is None:
        return
    if after is None:
        yield from _dropped(before)
        return
    changed = {change.facet for change in one.changes}
    if one.kind == "column":
        yield from _column(before, after, changed)
    elif one.kind == "enum":
        gone = [label for label in labels(before) if label not in labels(after)]
        if gone:
            values = ", ".join(f"'{label}'" for label in gone)
            yield Loss(
                f"It is refused while a row holds {values} of {before.sql_name}.", is_certain=False
            )


def _dropped(part: Part) -> Iterator[Loss]:
    if part.kind == "table":
        yield Loss(f"Every row of {part.sql_name}.", part.sql_name)
    elif part.kind == "column" and not part.facets.get("generated"):
        yield Loss(f"The values of {part.key[1]}.", part.table, part.sql_name)
    elif part.kind == "sequence" and part.facets.get("owner column") is None:
        yield Loss(f"The position of the sequence {part.sql_name}.")


def _column(before: Part, after: Part, changed: set[str]) -> Iterator[Loss]:
    name = after.key[1]
    old, new = before.facets["type"] or "", after.facets["type"] or ""
    if "generated" in changed and not before.facets.get("generated"):
        yield Loss(f"The values of {name}, which will be computed.", before.table, before.sql_name)
    elif "type" in changed and not widens(old, new):
        yield Loss(
            f"Values of {name} that do not fit {new} are refused or rounded (it is {old}).",
            before.table,
            before.sql_name,
            is_certain=False,
        )
    if "not null" in changed and after.facets.get("not null"):
        yield Loss(f"It is refused while {name} has NULLs.", is_certain=False)
    if "identity" in changed and after.facets.get("identity"):
        yield Loss(f"The position of the identity of {name}: it starts again.", is_certain=False)


def widens(old: str, new: str) -> bool:
    """Whether every value of the old type is one of the new, unchanged.

    >>> widens("integer", "bigint"), widens("character varying(20)", "text"), widens("text", "uuid")
    (True, True, False)
    """
    if new == "text" and old.startswith(("character varying", "uuid")):
        return True
    if new in _WIDER.get(old, ()):
        return True
    one, other = (re.fullmatch(r"character varying(?:\((\d+)\))?", kind) for kind in (old, new))
    if one and other:
        return other[1] is None or (one[1] is not None and int(one[1]) <= int(other[1]))
    return False
