"""Which tables a table leans on, and which lean on it: one or two foreign keys away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.foreign_keys import ForeignKey


@dataclass(frozen=True, slots=True)
class Edge:
    """A foreign key as met on the way from the centre, and what follows beyond it."""

    key: ForeignKey
    outgoing: bool
    """It leads from the nearer table to its target."""
    beyond: tuple[Edge, ...]
    seen_before: bool
    """The table it leads to was already shown; its own keys are not repeated."""

    @property
    def is_self(self) -> bool:
        return self.key.is_self

    @property
    def table(self) -> str:
        """The table it leads to."""
        return self.key.target if self.outgoing else self.key.table


@dataclass(frozen=True, slots=True)
class RelationGraph:
    table: str
    edges: tuple[Edge, ...]


def relation_graph(keys: Sequence[ForeignKey], table_oid: int, hops: int = 1) -> RelationGraph:
    """The keys around a table, outgoing first. `hops` is how many keys away to look."""
    name = next(
        (
            key.table if key.constraint.table_oid == table_oid else key.target
            for key in keys
            if table_oid in (key.constraint.table_oid, key.constraint.target_oid)
        ),
        "",
    )
    expanded: set[int] = {table_oid}
    edges = tuple(
        _edge(keys, key, outgoing, hops - 1, expanded)
        for key, outgoing in _around(keys, table_oid, None)
    )
    return RelationGraph(name, edges)


def _edge(
    keys: Sequence[ForeignKey], key: ForeignKey, outgoing: bool, hops: int, expanded: set[int]
) -> Edge:
    oid = _far_oid(key, outgoing)
    seen_before = oid in expanded
    beyond: tuple[Edge, ...] = ()
    if hops > 0 and not seen_before:
        expanded.add(oid)
        beyond = tuple(
            _edge(keys, further, way, hops - 1, expanded)
            for further, way in _around(keys, oid, key)
        )
    return Edge(key, outgoing, beyond, seen_before)


def _around(
    keys: Sequence[ForeignKey], oid: int, came_by: ForeignKey | None
) -> list[tuple[ForeignKey, bool]]:
    """Keys of a table and keys that point to it; one that does both counts once, as its own."""
    own = [(k, True) for k in keys if k.constraint.table_oid == oid and k is not came_by]
    others = [
        (k, False)
        for k in keys
        if k.constraint.target_oid == oid and k.constraint.table_oid != oid and k is not came_by
    ]
    return own + others


def _far_oid(key: ForeignKey, outgoing: bool) -> int:
    oid = key.constraint.target_oid if outgoing else key.constraint.table_oid
    return oid or 0


def draw(graph: RelationGraph, *, ascii_only: bool = False) -> str:
    """The graph as lines of text: → this table's key, ← another's key to it, ↺ to itself."""
    lines = [graph.table]
    _draw_edges(graph.edges, "", lines)
    text = "\n".join(lines)
    return text.translate(_ASCII) if ascii_only else text


_ASCII = str.maketrans({"├": "|", "└": "`", "─": "-", "│": "|", "→": ">", "←": "<", "↺": "@"})


def _draw_edges(edges: Sequence[Edge], indent: str, lines: list[str]) -> None:
    for n, edge in enumerate(edges):
        last = n == len(edges) - 1
        lines.append(f"{indent}{'└─' if last else '├─'} {_words(edge)}")
        _draw_edges(edge.beyond, indent + ("   " if last else "│  "), lines)


def _words(edge: Edge) -> str:
    key = edge.key
    if edge.is_self:
        words = f"↺ {key.columns} → {key.target_columns} of itself"
    elif edge.outgoing:
        words = f"{key.columns} → {key.target} ({key.target_columns})"
    else:
        words = f"← {key.table} ({key.columns})"
    notes = [f"on delete {key.on_delete}"]
    if key.state != "valid":
        notes.append(key.state)
    if edge.seen_before and not edge.is_self and edge.beyond == ():
        notes.append("shown above")
    return f"{words}  {', '.join(notes)}"
