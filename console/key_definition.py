"""A foreign key as pg_get_constraintdef writes it, read into its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from console.identifiers import TableName, Tokens
from console.names import listed

_RULES = ("NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT")


@dataclass(frozen=True, slots=True)
class ForeignKey:
    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]
    has_period: bool = False
    """The last pair of columns are periods (18 and later)."""
    match_full: bool = False
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"
    on_delete_columns: tuple[str, ...] = ()
    """The columns that ON DELETE SET NULL or SET DEFAULT sets, when not all (15 and later)."""
    is_deferrable: bool = False
    is_deferred: bool = False
    is_enforced: bool = True
    is_validated: bool = True

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `(COLUMN, ...) REFERENCES TABLE(COLUMN, ...) [...]`, with FOREIGN KEY or without."""
        tokens = Tokens(text)
        tokens.accept("FOREIGN", "KEY")
        columns, has_period = _columns(tokens)
        tokens.expect("REFERENCES")
        target = tokens.table()
        target_columns, _ = _columns(tokens)
        if len(columns) != len(target_columns):
            raise ValueError("as many columns on both sides")
        match_full = tokens.accept("MATCH", "FULL")
        tokens.accept("MATCH", "SIMPLE")
        on_update, _ = _rule(tokens, "UPDATE")
        on_delete, on_delete_columns = _rule(tokens, "DELETE")
        if on_update == "NO ACTION":
            on_update, _ = _rule(tokens, "UPDATE")
        is_deferrable = tokens.accept("DEFERRABLE")
        is_deferred = tokens.accept("INITIALLY", "DEFERRED")
        is_enforced = not tokens.accept("NOT", "ENFORCED")
        is_validated = not tokens.accept("NOT", "VALID") and is_enforced
        if tokens.peek():
            raise ValueError(f"nothing more from {tokens.peek()!r} on")
        return cls(
            columns, target, target_columns, has_period, match_full, on_update, on_delete,
            on_delete_columns, is_deferrable, is_deferred, is_enforced, is_validated,
        )  # fmt: skip

    def text(self, *, relative_to: str | None = None) -> str:
        """As pg_get_constraintdef writes it after FOREIGN KEY; rules of NO ACTION are left out.

        With `relative_to` the target is written as a profile of that schema writes it.
        """
        target = str(self.target)
        if relative_to == self.target.schema:
            target = listed([self.target.name])
        columns = _listed(self.columns, self.has_period)
        parts = [f"({columns}) REFERENCES {target}"]
        parts[0] += f"({_listed(self.target_columns, self.has_period)})"
        if self.match_full:
            parts.append("MATCH FULL")
        if self.on_update != "NO ACTION":
            parts.append(f"ON UPDATE {self.on_update}")
        if self.on_delete != "NO ACTION":
            parts.append(f"ON DELETE {self.on_delete}")
        if self.on_delete_columns:
            parts.append(f"({listed(self.on_delete_columns)})")
        if self.is_deferrable:
            parts.append("DEFERRABLE")
        if self.is_deferred:
            parts.append("INITIALLY DEFERRED")
        if not self.is_enforced:
            parts.append("NOT ENFORCED")
        elif not self.is_validated:
            parts.append("NOT VALID")
        return " ".join(parts)

    def __str__(self) -> str:
        return self.text()


def _listed(columns: tuple[str, ...], has_period: bool) -> str:
    if not has_period:
        return listed(columns)
    return listed(columns[:-1]) + f", PERIOD {listed(columns[-1:])}"


def _columns(tokens: Tokens) -> tuple[tuple[str, ...], bool]:
    """A list in parentheses, and whether its last entry is a PERIOD."""
    tokens.expect("(")
    names: list[str] = []
    has_period = False
    while True:
        if tokens.peek() == "PERIOD" and tokens.peek(1) not in (",", ")"):
            has_period = tokens.accept("PERIOD")
        names.append(tokens.identifier())
        if tokens.accept(")"):
            return tuple(names), has_period
        tokens.expect(",")


def _rule(tokens: Tokens, event: str) -> tuple[str, tuple[str, ...]]:
    if not tokens.accept("ON", event):
        return "NO ACTION", ()
    for rule in _RULES:
        if tokens.accept(*rule.split()):
            columns: tuple[str, ...] = ()
            if rule.startswith("SET") and tokens.peek() == "(":
                columns, _ = _columns(tokens)
            return rule, columns
    raise ValueError(f"one of {', '.join(_RULES)} after ON {event}")
