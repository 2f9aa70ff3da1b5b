"""The tree of schemas, kinds, objects and their parts, drawn as far as it was opened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Tree
from textual.widgets.tree import TreeNode

from console import units
from console.relation_details import TABLE_KINDS, VIEW_KINDS, RelationDetails
from console.schema import Entry, EntryDetails, Inventory, Kind
from queries.catalog import RelationSize
from queries.objects import DataType, Extension, Routine
from screens.widgets.plain import one_line

PAGE = 200
"""Objects drawn at once: more than anybody scans, few enough to stay quick over SSH."""

_LONGEST_PADDING = 34


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node is; `key` stays the same from one reading to the next."""

    key: tuple[str, ...]
    schema: str = ""
    kind: Kind | None = None
    entry: Entry | None = None
    """The object it is, or is a part of."""
    is_object: bool = False
    is_more: bool = False


Node = TreeNode[Place]


class SchemaTree(Tree[Place]):
    """Draws an Inventory. What it lacks for a node just opened it asks for with Wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "open_or_enter", "Open", show=False),
        Binding("left", "close_or_leave", "Close", show=False),
    ]

    class Wanted(Message):
        """A node was opened whose children are not drawn yet."""

        def __init__(self, node: Node) -> None:
            super().__init__()
            self.node = node

    def __init__(self, id: str) -> None:
        super().__init__("", id=id)
        self.show_root = False
        self.guide_depth = 2
        self.auto_expand = False
        self.inventory: Inventory | None = None
        self.sizes: dict[int, RelationSize] = {}
        self.details: dict[str, EntryDetails] = {}
        self.filter_text = ""
        self.found: Sequence[Entry] = ()
        """What matched the filter when it was last drawn."""
        self.opened: set[tuple[str, ...]] = set()
        self._pages: dict[tuple[str, ...], int] = {}

    @property
    def place(self) -> Place | None:
        """What the cursor is on."""
        return self.cursor_node.data if self.cursor_node is not None else None

    def columns_known(self) -> dict[int, str]:
        """The columns of relations that were looked at, for the filter."""
        return {
            details.entry.oid: " ".join(c.name for c in details.relation.columns).casefold()
            for details in self.details.values()
            if details.relation is not None
        }

    def draw(self) -> None:
        """Draw it anew: what was opened is open, the cursor is where it was."""
        before = self.place
        scroll = self.scroll_y
        with self.app.batch_update():
            self.clear()
            self._fill(self.root, self._top())
            self._return_to(before, scroll)

    def _return_to(self, before: Place | None, scroll: float) -> None:
        if self.last_line < 0:  # also makes the lines, without which no node has a number
            return
        target = self._find(self.root, before.key) if before is not None else None
        self.move_cursor(target or self.root.children[0])
        if target is not None:
            self.scroll_to(y=scroll, animate=False)

    def _find(self, node: Node, key: tuple[str, ...]) -> Node | None:
        for child in node.children:
            if child.data is not None and child.data.key == key:
                return child
            if child.is_expanded and (found := self._find(child, key)) is not None:
                return found
        return None

    def fill(self, node: Node) -> None:
        """Draw a node's children from what is known by now."""
        if node.data is not None:
            node.remove_children()
            self._fill(node, self._below(node.data))

    def show_more(self, node: Node) -> None:
        """Replace a `more` node by the next page of its siblings."""
        parent = node.parent
        if parent is not None:
            where = parent.data.key if parent.data is not None else ()
            self._pages[where] = self._pages.get(where, 1) + 1
            place = parent.data
            line = self.cursor_line
            parent.remove_children()
            self._fill(parent, self._below(place) if place is not None else self._top())
            self.cursor_line = line

    def _fill(self, parent: Node, children: Iterable[tuple[Text, Place, bool]]) -> None:
        for label, place, opens in children:
            node = parent.add(label, place, allow_expand=opens)
            if opens and place.key in self.opened:
                if self._drawable(place):
                    self._fill(node, self._below(place))
                    node.expand()
                else:
                    self.opened.discard(place.key)

    def _drawable(self, place: Place) -> bool:
        return not place.is_object or (place.entry is not None and place.entry.key in self.details)

    def _top(self) -> Iterator[tuple[Text, Place, bool]]:
        inventory = self.inventory
        if inventory is None:
            return
        if self.filter_text:
            self.found = inventory.matching(self.filter_text, self.columns_known())
            yield from self._objects((), self.found, qualified=True)
            return
        for namespace in inventory.namespaces:
            kinds = inventory.kinds_in(namespace.name)
            amount = sum(amount for _, amount in kinds)
            label = Text.assemble(
                one_line(namespace.name, "bold"), (f"  {amount or 'empty'}", "dim")
            )
            yield label, Place(("schema", namespace.name), namespace.name), bool(kinds)
        for kind, amount in inventory.kinds_in(""):
            place = Place(("kind", "", kind.name), "", kind)
            yield Text.assemble((kind.value, "bold"), (f"  {amount}", "dim")), place, True

    def _below(self, place: Place) -> Iterator[tuple[Text, Place, bool]]:
        inventory = self.inventory
        if inventory is None:
            return
        if place.entry is not None:
            details = self.details.get(place.entry.key)
            if details is not None and details.relation is not None:
                yield from self._parts(place, details.relation)
        elif place.kind is not None:
            yield from self._objects(place.key, inventory.objects(place.schema, place.kind))
        else:
            for kind, amount in inventory.kinds_in(place.schema):
                label = Text(kind.value).append(f"  {amount}", "dim")
                yield label, Place(("kind", place.schema, kind.name), place.schema, kind), True

    def _objects(
        self, where: tuple[str, ...], entries: Sequence[Entry], qualified: bool = False
    ) -> Iterator[tuple[Text, Place, bool]]:
        shown = entries[: PAGE * self._pages.get(where, 1)]
        names = [one_line(f"{e.schema}.{e.title}" if qualified else e.title) for e in shown]
        width = _padding(names)
        for name, entry in zip(names, shown, strict=True):
            place = Place(("object", entry.key), entry.schema, entry.kind, entry, is_object=True)
            yield _pad(name, width).append(self._note(entry), "dim"), place, _has_parts(entry)
        if len(shown) < len(entries):
            more = f"… {len(entries) - len(shown):,} more: enter shows the next, / filters"
            yield Text(more, "italic"), Place((*where, "more"), is_more=True), False

    def _note(self, entry: Entry) -> str:
        thing = entry.thing
        if isinstance(thing, Routine):
            kind = {"p": "procedure", "a": "aggregate", "w": "window"}.get(thing.kind, "")
            return f"  {kind or thing.result or ''}"
        if isinstance(thing, DataType):
            return "  " + {"e": "enum", "d": "domain", "c": "composite", "r": "range"}[thing.kind]
        if isinstance(thing, Extension):
            return f"  {thing.version}"
        if thing.kind not in "rpm" or self.inventory is None:
            return ""
        if thing.kind == "p":
            return f"  {len(self.inventory.partitions(thing.oid))} partitions"
        size = self.sizes.get(thing.oid)
        whole = size.bytes + size.index_bytes if size is not None else thing.estimated_bytes or None
        rows = self.inventory.rows(thing)
        known = units.size(whole) if whole is not None else ""
        return f"{known:>9}" + (f"{units.count(rows):>7} rows" if rows else "")

    def _parts(self, place: Place, details: RelationDetails) -> Iterator[tuple[Text, Place, bool]]:
        """Headings of an object's parts, or the parts under one heading."""
        assert place.entry is not None
        if place.is_object:
            for heading, parts in _headings(details):
                key = (*place.key, heading)
                label = Text(heading).append(f"  {len(parts)}", "dim")
                yield label, Place(key, place.schema, place.kind, place.entry), True
            partitions = self._partitions(place.entry)
            if partitions:
                label = Text("partitions").append(f"  {len(partitions)}", "dim")
                key = (*place.key, "partitions")
                yield label, Place(key, place.schema, place.kind, place.entry), True
            return
        heading = place.key[-1]
        if heading == "partitions":
            yield from self._objects(place.key, self._partitions(place.entry))
            return
        parts = dict(_headings(details)).get(heading, [])
        names = [one_line(name) for name, _ in parts]
        width = _padding(names)
        for name, (plain, note) in zip(names, parts, strict=True):
            leaf = Place((*place.key, plain), place.schema, place.kind, place.entry)
            yield _pad(name, width).append("  ").append_text(one_line(note, "dim")), leaf, False

    def _partitions(self, entry: Entry) -> Sequence[Entry]:
        return self.inventory.partitions(entry.oid) if self.inventory is not None else ()

    def on_tree_node_expanded(self, event: Tree.NodeExpanded[Place]) -> None:
        place = event.node.data
        if place is not None:
            self.opened.add(place.key)
            if not event.node.children:
                self.post_message(self.Wanted(event.node))

    def on_tree_node_collapsed(self, event: Tree.NodeCollapsed[Place]) -> None:
        if event.node.data is not None:
            self.opened.discard(event.node.data.key)

    def action_open_or_enter(self) -> None:
        node = self.cursor_node
        if node is None or not node.allow_expand:
            return
        if not node.is_expanded:
            node.expand()
        elif node.children:
            self.move_cursor(node.children[0])

    def action_close_or_leave(self) -> None:
        node = self.cursor_node
        if node is None:
            return
        if node.is_expanded:
            node.collapse()
        elif node.parent is not None and not node.parent.is_root:
            self.move_cursor(node.parent)


def _has_parts(entry: Entry) -> bool:
    return entry.relation is not None and entry.relation.kind in (*TABLE_KINDS, *VIEW_KINDS)


def _headings(details: RelationDetails) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a relation is made of: (heading, (name, note) of each), without empty ones."""
    definitions = details.definition_by_oid

    def constraints(types: str) -> list[tuple[str, str]]:
        return [
            (c.name, (definitions[c.oid].definition or "(locked)") if c.oid in definitions else "")
            for c in details.constraints
            if c.type in types
        ]

    found = [
        ("columns", [(c.name, c.type + " not null" * c.not_null) for c in details.columns]),
        ("keys", constraints("pu") + constraints("f")),
        (
            "indexes",
            [
                (i.name, i.method + " unique" * i.is_unique + " INVALID" * (not i.is_valid))
                for i in details.indexes
            ],
        ),
        ("constraints", constraints("cx")),
    ]
    for heading, kind in (
        ("triggers", "trigger"),
        ("policies", "policy"),
        ("rules", "rule"),
        ("statistics", "statistics"),
    ):
        extras = details.extras_of(kind)
        found.append((heading, [(e.name, "DISABLED" * (e.enabled == "D")) for e in extras]))
    return [(heading, parts) for heading, parts in found if parts]


def _padding(names: Sequence[Text]) -> int:
    return min(_LONGEST_PADDING, max((cell_len(name.plain) for name in names), default=0))


def _pad(name: Text, width: int) -> Text:
    name.pad_right(max(0, width - cell_len(name.plain)))
    return name
