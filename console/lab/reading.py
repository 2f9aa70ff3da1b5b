"""What a statement asks of each table: columns it compares, ranges over, joins by and orders by.

sqlglot reads it; what it cannot read yields nothing. Only plain columns of tables count, and only
predicates that must hold (joined by AND), as an index can serve no others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from console.plans import words
from queries.catalog import Catalog, Relation


class How(StrEnum):
    """How a parameter meets its column."""

    EQUAL = "equal"
    ANY = "any"
    """= ANY($1): an array of values."""
    ABOVE = "above"
    BELOW = "below"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a parameter stands for: a column's value, or how many rows are wanted."""

    table: int | None = None
    column: str = ""
    how: How = How.EQUAL
    rows: int | None = None
    """Of LIMIT and OFFSET."""


@dataclass(slots=True)
class Access:
    """What one block of a statement asks of one table."""

    table: int
    """Its oid."""
    equal: list[str] = field(default_factory=list)
    null: list[str] = field(default_factory=list)
    """IS NULL."""
    ranged: list[str] = field(default_factory=list)
    joined: list[str] = field(default_factory=list)
    ordered: list[str] = field(default_factory=list)
    is_limited: bool = False


@dataclass(slots=True)
class Reading:
    accesses: list[Access] = field(default_factory=list)
    meanings: dict[int, Meaning] = field(default_factory=dict)
    """By the n of $n; those that are missing are not understood."""


@dataclass(frozen=True)
class Names:
    """Which relation a name in a statement means."""

    catalog: Catalog
    schemas: tuple[str, ...] = ("public",)
    """The search path."""

    def table(self, schema: str, name: str) -> Relation | None:
        for wanted in (schema,) if schema else self.schemas:
            for relation in self._by_name.get(name, []):
                if relation.schema == wanted:
                    return relation
        return None

    @cached_property
    def _by_name(self) -> Mapping[str, list[Relation]]:
        found: dict[str, list[Relation]] = {}
        for relation in self.catalog.relations:
            if relation.kind in "rpm":
                found.setdefault(relation.name, []).append(relation)
        return found

    def columns(self, table: int) -> frozenset[str]:
        return frozenset(column.name for column in self.catalog.columns_of.get(table, []))


def read(text: str, names: Names) -> Reading:
    """What the statement asks; an empty reading where it is not understood."""
    # Imported here: sqlglot takes longer to load than the rest of the console.
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    try:
        tree = sqlglot.parse_one(words.spaced(text), dialect="postgres")
    except (SqlglotError, RecursionError):
        return Reading()
    reading = Reading()
    own_names = {cte.alias for cte in tree.find_all(exp.CTE)}
    for block in tree.find_all(exp.Select, exp.Update, exp.Delete):
        _Block(block, names, own_names, reading).read()
    return reading


class _Block:
    """A SELECT, UPDATE or DELETE without what is nested in it."""

    def __init__(self, block: Any, names: Names, ctes: set[str], reading: Reading) -> None:
        self.block = block
        self.names = names
        self.reading = reading
        self.sources = dict(self._sources(ctes))
        self.accesses: dict[str, Access] = {
            alias: Access(table.oid) for alias, table in self.sources.items()
        }

    def read(self) -> None:
        for predicate in self._predicates():
            self._predicate(predicate)
        self._assignments()
        self._meanings()
        self._order()
        self._limits()
        self.reading.accesses += self.accesses.values()

    def _sources(self, ctes: set[str]) -> Iterator[tuple[str, Relation]]:
        from sqlglot import exp

        for table in self._own(exp.Table):
            if table.name in ctes and not table.db:
                continue
            found = self.names.table(_folded(table.args.get("db")), _folded(table.this))
            if found is not None:
                alias = table.args.get("alias")
                yield _folded(alias.this) if alias is not None else found.name, found

    def _own(self, *kinds: Any) -> Iterator[Any]:
        """Nodes of these kinds that belong to no nested query."""
        from sqlglot import exp

        queries = (exp.Select, exp.SetOperation, exp.Update, exp.Delete, exp.Insert)
        for node in self.block.walk(
            prune=lambda node: node is not self.block and isinstance(node, queries)
        ):
            if isinstance(node, kinds) and node is not self.block:
                yield node

    def _predicates(self) -> Iterator[Any]:
        """What must hold of every row, of WHERE and of inner and outer joins alike."""
        from sqlglot import exp

        for holder in self._own(exp.Where, exp.Join):
            condition = holder.this if isinstance(holder, exp.Where) else holder.args.get("on")
            if condition is not None:
                yield from _conjuncts(condition)

    def _predicate(self, predicate: Any) -> None:
        from sqlglot import exp

        if isinstance(predicate, exp.EQ):
            self._equality(predicate.this, predicate.expression)
        elif isinstance(predicate, exp.In):
            self._equality(predicate.this, *predicate.expressions)
        elif isinstance(predicate, exp.Is) and isinstance(predicate.expression, exp.Null):
            self._note(predicate.this, "null")
        elif isinstance(predicate, exp.Between):
            self._range(predicate.this, predicate.args["low"])
        elif isinstance(predicate, exp.GT | exp.GTE | exp.LT | exp.LTE):
            self._range(predicate.this, predicate.expression)
            self._range(predicate.expression, predicate.this)

    def _equality(self, left: Any, *rights: Any) -> None:
        for one, others in ((left, rights), *((right, (left,)) for right in rights)):
            place = self._column(one)
            if place is None:
                continue
            alias, column = place
            partners = [self._column(other) for other in others]
            if any(partner is not None and partner[0] == alias for partner in partners):
                continue
            access = self.accesses[alias]
            known = access.joined if any(partners) else access.equal
            if column not in known:
                known.append(column)

    def _range(self, side: Any, other: Any) -> None:
        if self._column(other) is None:
            self._note(side, "ranged")

    def _note(self, side: Any, kind: str) -> None:
        place = self._column(side)
        if place is not None:
            known: list[str] = getattr(self.accesses[place[0]], kind)
            if place[1] not in known:
                known.append(place[1])

    def _meanings(self) -> None:
        """What parameters are compared with, wherever that is: under OR and NOT too."""
        from sqlglot import exp

        for node in self._own(exp.EQ, exp.NEQ, exp.Like, exp.ILike):
            self._compared(node.this, How.EQUAL, node.expression)
            self._compared(node.expression, How.EQUAL, node.this)
        for node in self._own(exp.In):
            self._compared(node.this, How.EQUAL, *node.expressions)
        for node in self._own(exp.Between):
            self._compared(node.this, How.ABOVE, node.args["low"])
            self._compared(node.this, How.BELOW, node.args["high"])
        for node in self._own(exp.GT, exp.GTE):
            self._compared(node.this, How.ABOVE, node.expression)
            self._compared(node.expression, How.BELOW, node.this)
        for node in self._own(exp.LT, exp.LTE):
            self._compared(node.this, How.BELOW, node.expression)
            self._compared(node.expression, How.ABOVE, node.this)

    def _compared(self, side: Any, how: How, *others: Any) -> None:
        place = self._column(side)
        if place is not None:
            for other in others:
                self._mean(other, self.accesses[place[0]].table, place[1], how)

    def _mean(self, node: Any, table: int, column: str, how: How) -> None:
        """Remember what a parameter stands for, where the node is one."""
        from sqlglot import exp

        node = _bare(node)
        if isinstance(node, exp.Any):
            node, how = _bare(node.this), How.ANY
        number = _number(node)
        if number is not None:
            self.reading.meanings.setdefault(number, Meaning(table, column, how))

    def _column(self, node: Any) -> tuple[str, str] | None:
        """Alias and column, where the node is a plain column of one of our own tables."""
        from sqlglot import exp

        node = _bare(node)
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            return None
        column, alias = _folded(node.this), _folded(node.args.get("table"))
        candidates = [alias] if alias else list(self.sources)
        for one in candidates:
            if one in self.sources and column in self.names.columns(self.sources[one].oid):
                return one, column
        return None

    def _assignments(self) -> None:
        """UPDATE ... SET column = $n, or by $n more or less."""
        from sqlglot import exp

        if not isinstance(self.block, exp.Update):
            return
        for assignment in self.block.expressions:
            place = self._column(assignment.this) if isinstance(assignment, exp.EQ) else None
            if place is not None:
                table = self.accesses[place[0]].table
                value = _bare(assignment.expression)
                if isinstance(value, exp.Add | exp.Sub):
                    self._mean(value.this, table, place[1], How.SET)
                    value = value.expression
                self._mean(value, table, place[1], How.SET)

    def _order(self) -> None:
        """Columns of ORDER BY, when all are of one table and run the same way."""
        from sqlglot import exp

        order = self.block.args.get("order")
        if order is None or self.block.args.get("group") or self.block.args.get("distinct"):
            return
        places = [self._column(one.this) for one in order.expressions]
        directions = {bool(one.args.get("desc")) for one in order.expressions}
        aliases = {place[0] for place in places if place is not None}
        if None in places or len(aliases) != 1 or len(directions) != 1:
            return
        access = self.accesses[aliases.pop()]
        access.ordered = [place[1] for place in places if place is not None]
        access.is_limited = isinstance(self.block.args.get("limit"), exp.Limit | exp.Fetch)

    def _limits(self) -> None:
        for kind, rows in (("limit", 20), ("offset", 0)):
            clause = self.block.args.get(kind)
            number = _number(_bare(clause.expression)) if clause is not None else None
            if number is not None:
                self.reading.meanings.setdefault(number, Meaning(rows=rows))


def _conjuncts(condition: Any) -> Iterator[Any]:
    from sqlglot import exp

    condition = condition.unnest() if isinstance(condition, exp.Paren) else condition
    if isinstance(condition, exp.And):
        yield from _conjuncts(condition.this)
        yield from _conjuncts(condition.expression)
    else:
        yield condition


def _bare(node: Any) -> Any:
    """Without parentheses and casts."""
    from sqlglot import exp

    while isinstance(node, exp.Paren | exp.Cast | exp.Tuple):
        if isinstance(node, exp.Tuple):
            if len(node.expressions) != 1:
                return node
            node = node.expressions[0]
        else:
            node = node.this
    return node


def _number(node: Any) -> int | None:
    """n of $n."""
    from sqlglot import exp

    if isinstance(node, exp.Parameter) and str(node.name).isdigit():
        return int(node.name)
    return None


def _folded(identifier: Any) -> str:
    """A name as the server reads it: in lower case unless it is quoted."""
    if identifier is None:
        return ""
    name = str(identifier.name)
    return name if identifier.args.get("quoted") else name.lower()
