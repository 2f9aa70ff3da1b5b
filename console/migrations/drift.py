"""Drift: what the database is, against what its applied migrations make of an empty one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from console.errors import ActionRefused
from console.findings import Severity
from console.migrations import prisma_ddl
from console.migrations.compare import Difference, Snapshot, compare, read_snapshot
from console.migrations.folder import Folder
from console.migrations.history import History
from console.migrations.losses import Loss, losses
from console.migrations.prisma_schema import read_schema
from console.migrations.replay import Bench, Report, bench, replay, run_sql, silent
from console.migrations.script import Script, closing
from console.target import Target

FOLDER = "the folder"
DATABASE = "this database"
SCHEMA = "schema.prisma"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides by name, and how each is made the other."""

    before_name: str
    after_name: str
    before: Snapshot
    after: Snapshot
    differences: tuple[Difference, ...]
    """From before to after."""
    notes: tuple[str, ...] = ()
    """What was not compared, and what the result must be read with."""

    def forward(self, *chosen: Difference) -> Script:
        """The SQL that makes `before` what `after` is, for all differences or those chosen."""
        return closing(chosen or self.differences, self.before, self.after)

    def backward(self, *chosen: Difference) -> Script:
        """The SQL that makes `after` what `before` is."""
        turned = [one.reversed for one in chosen or self.differences]
        return closing(turned, self.after, self.before)

    def losses(self, *chosen: Difference) -> tuple[Loss, ...]:
        """What `backward` takes from the data."""
        return losses([one.reversed for one in chosen or self.differences], self.after)

    def words(self, one: Difference) -> str:
        return one.words(self.before_name, self.after_name)


@dataclass(frozen=True, slots=True)
class Drift:
    place: str
    """Where the folder was replayed."""
    seconds: float
    migrations: tuple[str, ...]
    """Those that were replayed."""
    database: Comparison
    schema_file: Path | None
    schema: Comparison | None
    """From schema.prisma to the whole folder; None where there is no schema.prisma."""
    read_at: datetime

    @property
    def verdict(self) -> Severity:
        if self.database.differences:
            return Severity.FAILURE
        if self.schema is not None and self.schema.differences:
            return Severity.WARNING
        return Severity.OK


async def find_drift(
    target: Target,
    folder: Folder,
    history: History,
    *,
    on_live_server: bool = False,
    schema_file: Path | None = None,
    report: Report = silent,
) -> Drift:
    """Replay what was applied and compare; the whole folder where the history cannot tell.

    Raises ConsoleError: CommandFailed naming the migration that cannot be replayed.
    """
    began = datetime.now(UTC)
    report("reading this database")
    live = await read_snapshot(target)
    chosen, notes = applied_part(folder, history)
    wanted_schema = read_schema(schema_file) if schema_file is not None else None
    async with bench(target, live.major, on_live_server=on_live_server) as where:
        made = await replay(where, chosen, target.schema, report)
        notes += place_notes(where, live)
        database = compare_with_live(made.snapshot, live, target, notes)
        schema = None
        if wanted_schema is not None:
            report(f"making {SCHEMA}")
            whole = made
            if folder.names != chosen.names:
                whole = await replay(where, folder, target.schema, report)
            schema = await _compare_schema(where, wanted_schema, whole.snapshot, target)
        place = where.place
    seconds = (datetime.now(UTC) - began).total_seconds()
    return Drift(place, seconds, chosen.names, database, schema_file, schema, began)


def applied_part(folder: Folder, history: History) -> tuple[Folder, list[str]]:
    """The migrations whose effect the database has, with what must be said about that."""
    if history.problem is not None:
        return folder, [
            "The history cannot be read: the whole folder was replayed, also what may be pending."
        ]
    chosen = folder.only(history.applied)
    if not chosen.migrations:
        raise ActionRefused(
            "None of the folder's migrations is applied in this database.",
            "Apply them with npx prisma migrate deploy, or name the right folder.",
        )
    notes = []
    unknown = sorted(history.applied - set(folder.names))
    if unknown:
        notes.append(f"Not in the folder, so not replayed: {', '.join(unknown)}.")
    edited = [entry.name for entry in history.entries if entry.state == "edited after apply"]
    if edited:
        notes.append(f"Replayed as the file is now, not as it was applied: {', '.join(edited)}.")
    pending = [name for name in folder.names if name not in history.applied]
    if pending:
        notes.append(f"Not applied, so not replayed: {', '.join(pending)}.")
    return chosen, notes


def place_notes(where: Bench, live: Snapshot) -> list[str]:
    notes = []
    if where.major != live.major:
        notes.append(
            f"Replayed on {where.place}, as no server of PostgreSQL {live.major} is installed here:"
            " a definition may differ only in how that version writes it."
        )
    if where.stub_roles:
        notes.append(
            f"Made for the replay, without any right: roles {', '.join(where.stub_roles)}."
        )
    return notes


def compare_with_live(
    made: Snapshot, live: Snapshot, target: Target, notes: list[str]
) -> Comparison:
    """Only schemas that the migrations know; an extension more is told, not a difference."""
    ours = {target.schema or "public", *made.schemas}
    others = sorted(live.schemas - ours)
    if others:
        notes.append(f"Schemas the migrations do not know were not compared: {', '.join(others)}.")
    extra = sorted(
        part.name
        for key, part in live.parts.items()
        if part.kind == "extension" and key not in made.parts
    )
    if extra:
        notes.append(f"Installed beside the migrations: extension {', '.join(extra)}.")
    live = live.within(ours)
    kept = {k: p for k, p in live.parts.items() if p.kind != "extension" or p.name not in extra}
    live = live.having(kept)
    return Comparison(FOLDER, DATABASE, made, live, compare(made, live), tuple(notes))


async def _compare_schema(
    where: Bench, schema: prisma_ddl.Schema, made: Snapshot, target: Target
) -> Comparison:
    """PostgreSQL itself makes what schema.prisma says, so both sides are in its own words."""
    scratch = await where.new_database()
    script = prisma_ddl.statements(schema, target.schema or "public", made)
    await run_sql(scratch, script.encode())
    wanted = await read_snapshot(scratch)
    differences = compare(prisma_ddl.visible(wanted, schema), prisma_ddl.visible(made, schema))
    return Comparison(SCHEMA, FOLDER, wanted, made, differences, tuple(schema.remarks))
