"""Schema: what the database is made of, as a tree, and everything about what is selected."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static, Tree

from console import units
from console.errors import ConsoleError
from console.findings import Severity, worst
from console.schema import (
    Entry,
    EntryDetails,
    Inventory,
    Kind,
    read_entry,
    read_inventory,
    read_sizes,
)
from queries.catalog import RelationSize
from screens import schema_details
from screens.keys import TABS, Key
from screens.schema_tree import PAGE, Node, Place, SchemaTree
from screens.widgets import marks
from screens.widgets.plain import many_lines, one_line
from screens.widgets.tab import Tab

WIDE = 100
"""From this many columns on the tree and the details are side by side."""


PAUSE = 0.12
"""Seconds the cursor or the typing rests before the server is asked."""

SIZED = (Kind.TABLES, Kind.MATERIALIZED_VIEWS)
"""What has a size of its own to show in the tree."""


@dataclass(frozen=True, slots=True)
class Reading:
    inventory: Inventory
    sizes: dict[int, RelationSize]
    details: dict[str, EntryDetails]


class SchemaTab(Tab):
    IDENTITY = "schema"
    TITLE = "Schema"
    KEYS: ClassVar[tuple[Key, ...]] = TABS["schema"]
    EXPLANATION = """
What the database is made of. Right opens a line of the tree and left closes it; enter shows
everything about it (beside the tree where there is room); d shows the SQL that would make it again.

size       of rows, TOAST and indexes on disk, partitions included.
rows       the planner's estimate (pg_class.reltuples), or what statistics counted since.
dead rows  versions that nobody can see any more and no vacuum has cleaned up; counted by the
           statistics system, not exact. Autovacuum comes when they are more than
           autovacuum_vacuum_threshold + autovacuum_vacuum_scale_factor x rows.
analyzed   when the planner last learned what is in the table, by ANALYZE or autovacuum.
scans      since statistics were reset.

Tables that another session has locked (ACCESS EXCLUSIVE) are never opened, so nothing waits: they
say so instead. What an extension brought is counted with the extension, not listed.
The filter looks for every word in schema, name and arguments, and in the columns of tables that
were looked at.
"""

    def __init__(self) -> None:
        super().__init__()
        self.inventory: Inventory | None = None
        self.shows_ddl = False
        self.reading = False
        """On a narrow terminal: the details cover the tree."""
        self._shown = ("", False)
        """What the details were last about: something else starts at its top."""

    def compose_body(self) -> ComposeResult:
        yield Static(Text("Reading…", style="dim"), id="schema-headline", classes="headline")
        with Horizontal(id="schema-panes"):
            yield SchemaTree("schema-tree")
            with VerticalScroll(id="schema-details"):
                yield Static(id="schema-text")

    @property
    def objects(self) -> SchemaTree:
        return self.query_one(SchemaTree)

    @property
    def is_wide(self) -> bool:
        return self.size.width >= WIDE

    def first_focus(self) -> Widget | None:
        if self.reading and not self.is_wide:
            return self.query_one("#schema-details")
        return self.objects

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def _arrange(self) -> None:
        self.set_class(self.is_wide, "-wide")
        self.set_class(self.reading and not self.is_wide, "-covered")

    async def load(self) -> Reading:
        inventory = await read_inventory(self.session)
        tree = self.objects
        if self.inventory is None:
            tree.opened |= _first_opened(inventory, self.console.target.schema)
        wanted = {key[1] for key in tree.opened if key[0] == "object"}
        if tree.place is not None and tree.place.entry is not None:
            wanted.add(tree.place.entry.key)
        details = {}
        for key in wanted & inventory.entry_by_key.keys():
            details[key] = await read_entry(self.session, inventory.entry_by_key[key])
        shown = [
            entry.oid
            for namespace in inventory.namespaces
            for kind in SIZED
            if ("kind", namespace.name, kind.name) in tree.opened
            for entry in inventory.objects(namespace.name, kind)[:PAGE]
        ]
        return Reading(inventory, await read_sizes(self.session, shown), details)

    def show(self, value: Reading) -> None:
        self.inventory = value.inventory
        self.query_one("#schema-headline", Static).update(headline(value.inventory))
        tree = self.objects
        tree.inventory, tree.details = value.inventory, value.details
        tree.sizes = value.sizes
        tree.draw()
        self._show_details()

    def refilter(self) -> None:
        self.objects.filter_text = self.filter_text
        self.objects.draw()
        self._show_details()
        self._size_matches()

    @work(group="sizes", exclusive=True)
    async def _size_matches(self) -> None:
        """Once typing pauses, the sizes of what was found."""
        await asyncio.sleep(PAUSE)
        known = len(self.objects.sizes)
        try:
            await self._learn_sizes(self.objects.found[:PAGE])
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        if len(self.objects.sizes) > known:
            self.objects.draw()

    def copied_text(self) -> str | None:
        place = self.objects.place
        if place is None:
            return None
        if place.entry is None:
            return place.schema or None
        details = self.objects.details.get(place.entry.key)
        return details.ddl if details is not None else f"{place.entry.schema}.{place.entry.title}"

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Place]) -> None:
        if self.is_wide:
            self._look(PAUSE)

    def on_tree_node_selected(self, event: Tree.NodeSelected[Place]) -> None:
        node, place = event.node, event.node.data
        if place is None:
            return
        if place.is_more:
            self._show_more(node)
        elif place.entry is None or (node.allow_expand and not place.is_object):
            node.toggle()
        elif place.is_object or not self.is_wide:
            self.shows_ddl = self.shows_ddl and self.is_wide
            self._read()

    def on_schema_tree_wanted(self, message: SchemaTree.Wanted) -> None:
        self._fill(message.node)

    @work(group="fill")
    async def _fill(self, node: Node) -> None:
        """Ask what an opened node lacks, then draw what is below it."""
        place, inventory = node.data, self.inventory
        if place is None or inventory is None:
            return
        try:
            if place.entry is not None:
                await self._details_of(place.entry)
            elif place.kind is not None:
                await self._learn_sizes(inventory.objects(place.schema, place.kind)[:PAGE])
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        self.objects.fill(node)

    @work(group="fill")
    async def _show_more(self, node: Node) -> None:
        place, inventory = node.parent.data if node.parent else None, self.inventory
        try:
            if place is not None and place.kind is not None and inventory is not None:
                drawn = len(node.parent.children) - 1 if node.parent else 0
                entries = inventory.objects(place.schema, place.kind)
                await self._learn_sizes(entries[drawn : drawn + PAGE])
        except ConsoleError as error:
            self.console.say(str(error), error=True)
        self.objects.show_more(node)

    async def _learn_sizes(self, entries: Sequence[Entry]) -> None:
        """Learn the sizes of what is about to be drawn."""
        oids = [e.oid for e in entries if e.kind in SIZED and e.oid not in self.objects.sizes]
        if oids:
            self.objects.sizes |= await read_sizes(self.session, oids)

    def _read(self) -> None:
        """Go into the details: they cover a narrow terminal, and take the focus on a wide one."""
        self.reading = True
        self._arrange()
        self.query_one("#schema-details").focus()
        self._look()

    def _look(self, pause: float = 0) -> None:
        """Show what the cursor is on, and ask for it first where it is not known yet."""
        place = self.objects.place
        if (
            place is not None
            and place.entry is not None
            and place.entry.key not in self.objects.details
        ):
            self._look_at(place.entry, pause)
        else:
            self._show_details()

    @work(group="look", exclusive=True)
    async def _look_at(self, entry: Entry, pause: float) -> None:
        await asyncio.sleep(pause)
        try:
            await self._details_of(entry)
        except ConsoleError as error:
            self._fill_details(Group(Text(error.message, "bold"), Text(error.hint)))
            return
        self._show_details()

    async def _details_of(self, entry: Entry) -> EntryDetails:
        known = self.objects.details.get(entry.key)
        if known is None:
            known = await read_entry(self.session, entry)
            self.objects.details[entry.key] = known
            if known.relation is not None:
                self.objects.sizes |= known.relation.sizes
        return known

    def _show_details(self) -> None:
        place, inventory = self.objects.place, self.inventory
        if inventory is None:
            return
        if place is None:
            self._fill_details(Text("Nothing matches the filter.", "dim"))
        elif place.entry is None:
            self._fill_details(_summary(inventory, place))
        elif (details := self.objects.details.get(place.entry.key)) is not None:
            body = schema_details.ddl(details) if self.shows_ddl else None
            self._fill_details(body or schema_details.describe(details, inventory))
        elif self.is_wide or self.reading:
            self._look()

    def _fill_details(self, body: RenderableType) -> None:
        self.query_one("#schema-text", Static).update(body)
        place = self.objects.place
        shown = (place.entry.key if place is not None and place.entry else "", self.shows_ddl)
        if shown != self._shown:
            self._shown = shown
            self.query_one("#schema-details").scroll_home(animate=False)

    def action_ddl(self) -> None:
        self.shows_ddl = not self.shows_ddl or not (self.is_wide or self.reading)
        place = self.objects.place
        if place is not None and place.entry is not None and not self.is_wide:
            self._read()
        else:
            self._look()

    def action_close(self) -> None:
        if self.reading:
            self.reading = False
            self._arrange()
            self.objects.focus()
        elif self.shows_ddl and self.is_wide:
            self.action_ddl()
        else:
            super().action_close()


def _first_opened(inventory: Inventory, schema: str | None) -> set[tuple[str, ...]]:
    """The schema that the target names, or the one with most objects, with its tables."""
    sizes = {
        n.name: sum(amount for _, amount in inventory.kinds_in(n.name))
        for n in inventory.namespaces
    }
    if not sizes:
        return set()
    name = schema if schema in sizes else max(sizes, key=lambda name: sizes[name])
    return {("schema", name), ("kind", name, Kind.TABLES.name)}


def headline(inventory: Inventory) -> Text:
    """The verdict, what there is, and what looks wrong."""
    findings = inventory.findings
    verdict = worst(findings) if findings else Severity.OK
    text = Text.assemble(marks.badge(verdict), "  ", _counts(inventory))
    for finding in findings:
        text.append("\n")
        text.append_text(one_line(finding.message, marks.style(finding.severity)))
        text.append_text(one_line(f" → {finding.fix}"))
    return text


def _counts(inventory: Inventory) -> Text:
    amounts = [(kind.value.lower(), inventory.count(kind)) for kind in Kind]
    amounts.insert(1, ("indexes", inventory.totals.indexes))
    amounts = [(kind, n) for kind, n in amounts if kind != Kind.EXTENSIONS.value.lower()]
    words = [f"{units.count(n)} {word if n != 1 else _one(word)}" for word, n in amounts if n]
    return Text.assemble((units.size(inventory.totals.bytes), "bold"), " · ", " · ".join(words))


def _one(word: str) -> str:
    return {"indexes": "index"}.get(word, word.removesuffix("s"))


def _summary(inventory: Inventory, place: Place) -> RenderableType:
    """What a schema or a kind of object holds."""
    if place.is_more:
        return Text("Enter shows the next ones; / finds any by a part of its name.", "dim")
    namespace = next((n for n in inventory.namespaces if n.name == place.schema), None)
    if namespace is None:
        return Text("Extensions installed in this database.", "dim")
    text = Text.assemble(one_line(namespace.name, "bold"), ("  schema", "dim"))
    if namespace.comment is not None:
        text.append("\n").append_text(many_lines(namespace.comment, "italic"))
    text.append("\n\nowner  ", "dim").append_text(one_line(namespace.owner)).append("\n")
    for kind, amount in inventory.kinds_in(namespace.name):
        text.append(f"\n{amount:>7,}  {kind.value.lower()}")
    return text
