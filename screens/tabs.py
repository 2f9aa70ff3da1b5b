"""Every tab, once: its key, its names, the question it answers and where its code is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from screens.widgets.banner import digit
from screens.widgets.tab import Tab


@dataclass(frozen=True, slots=True)
class TabEntry:
    """A tab before it is needed: its module is imported when it is first shown."""

    identity: str
    title: str
    short: str
    """Its name where the terminal is narrow."""
    question: str
    """What it answers, in a sentence."""
    module: str
    name: str

    @property
    def key(self) -> str:
        """The digit that shows it: 1 to 9, and 0 for the tenth."""
        return digit(1 + TABS.index(self))

    def build(self) -> Tab:
        tab: Tab = getattr(import_module(self.module), self.name)()
        return tab


TABS = (
    TabEntry(
        "overview",
        "Overview",
        "Over",
        "Is it well right now? Connections, transactions, cache, size, vacuum, replication.",
        "screens.overview",
        "OverviewTab",
    ),
    TabEntry(
        "schema",
        "Schema",
        "Schema",
        "What is in it? Tables to types, with sizes, dead rows, last vacuum, and the DDL.",
        "screens.schema",
        "SchemaTab",
    ),
    TabEntry(
        "indexes",
        "Indexes",
        "Idx",
        "Which indexes are there, used, missing, doubled, broken or bloated?",
        "screens.indexes",
        "IndexesTab",
    ),
    TabEntry(
        "foreign_keys",
        "Foreign keys",
        "FKs",
        "What refers to what, is it enforced, is it indexed, are there orphans?",
        "screens.foreign_keys",
        "ForeignKeysTab",
    ),
    TabEntry(
        "checks",
        "Checks",
        "Check",
        "Is it ready? Each finding with what was asked, what came back, and the fix.",
        "screens.checks",
        "ChecksTab",
    ),
    TabEntry(
        "timings",
        "Timings",
        "Time",
        "Which statements take the time, in all and right now, with their I/O, spills and WAL?",
        "screens.timings",
        "TimingsTab",
    ),
    TabEntry(
        "activity",
        "Activity",
        "Act",
        "Who is at work, who blocks whom, how far are vacuum and builds, what is waited for?",
        "screens.activity",
        "ActivityTab",
    ),
    TabEntry(
        "backups",
        "Backups",
        "Back",
        "What could be restored, how well is it proven, and for how long is it kept?",
        "screens.backups",
        "BackupsTab",
    ),
    TabEntry(
        "plans",
        "Plans",
        "Plan",
        "Where does a statement's time go, what would help, and did it?",
        "screens.plans",
        "PlansTab",
    ),
    TabEntry(
        "migrations",
        "Migrations",
        "Migr",
        "What did Prisma apply, is the database still that, and what is the way back?",
        "screens.migrations",
        "MigrationsTab",
    ),
)
