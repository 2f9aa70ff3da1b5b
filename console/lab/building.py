"""Indexes of the copy that has them: taken away before it is copied, and built one by one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import Error

import queries
from console.errors import ActionRefused
from console.lab.candidates import Candidate
from console.lab.statements import Skipped
from console.names import qualified, quoted
from console.plans import words
from console.plans.words import Kind
from console.profile import Profile
from console.session import Connection
from queries.catalog import INDEX_DEFINITIONS, RELATION_SIZES, Catalog, Index, read_catalog
from queries.lab import drop_index


@dataclass(frozen=True, slots=True)
class Tried:
    """An index to try: how to make it, and whether the database has it."""

    name: str
    """Its name, or what tells it from other candidates."""
    statement: str
    reason: str
    was_there: Index | None = None
    """As the database has it; None where it has none."""


@dataclass(frozen=True, slots=True)
class Built:
    tried: Tried
    index: Index
    names: frozenset[str]
    """Its own, and those of its parts on partitions, which plans read instead."""
    bytes: int
    seconds: float


def typed_candidates(texts: Iterable[str]) -> tuple[Candidate, ...]:
    """Candidates an operator wrote. Raises ActionRefused for what is no CREATE INDEX."""
    return tuple(Candidate(_checked(text), "asked for") for text in texts)


def _checked(text: str) -> str:
    statement = text.strip().rstrip(";").strip()
    found = list(words.words(statement))
    verbs = [word.text.lower() for word in found[:3] if word.kind is Kind.NAME]
    if verbs[:2] != ["create", "index"] and verbs != ["create", "unique", "index"]:
        raise ActionRefused(
            f"{statement[:60]!r} makes no index.", "Write it as CREATE INDEX ON TABLE (COLUMN)."
        )
    if any(word.kind is Kind.SIGN and word.text == ";" for word in found):
        raise ActionRefused(
            "A candidate is one statement.", "Give --candidate once for each index."
        )
    return statement


async def of_profile(
    connection: Connection, profile: Profile, names: Iterable[str]
) -> tuple[list[Tried], list[Skipped]]:
    """The profile's indexes of these names, as the copy has them or as the profile would."""
    catalog = await read_catalog(connection)
    existing = {(index.schema, index.name): index for index in catalog.indexes}
    elsewhere = {index.name: index for index in catalog.indexes}
    relations = {(relation.schema, relation.name) for relation in catalog.relations}
    wanted, skipped = [], []
    for name in names:
        place = _in_profile(profile, name)
        own = existing.get((place[0] if place else profile.schema, name))
        if own is None and place is None:
            own = elsewhere.get(name)
        if own is not None:
            wanted.append(Tried(name, await _definition(connection, own), _why(profile, own), own))
        elif place is None:
            skipped.append(Skipped(name, "There is no such index, here or in the profile."))
        elif (place[0], place[1]) not in relations:
            skipped.append(Skipped(name, f"Its table {place[1]} is not there."))
        else:
            wanted.append(Tried(name, place[2], "the profile has it, the database does not"))
    return wanted, skipped


def _in_profile(profile: Profile, name: str) -> tuple[str, str, str] | None:
    """Schema and table of a profile's index, and how it is made."""
    for table_name, table in profile.tables.items():
        index = table.indexes.get(name)
        if index is not None and not index.is_constraint:
            unique = "UNIQUE " if index.is_unique else ""
            on = qualified(table_name.schema, table_name.name)
            statement = f"CREATE {unique}INDEX {quoted(name)} ON {on} USING {index.definition}"
            return table_name.schema, table_name.name, statement
    return None


def _why(profile: Profile, index: Index) -> str:
    if (index.schema, index.name) in profile.critical_indexes:
        return "critical in the profile"
    return "in the profile" if _in_profile(profile, index.name) else "asked for"


async def _definition(connection: Connection, index: Index) -> str:
    rows = await queries.fetch(connection, INDEX_DEFINITIONS, {"oids": [index.oid]})
    return rows[0].definition


async def take_away(
    connection: Connection, tried: Sequence[Tried]
) -> tuple[list[Tried], list[Skipped]]:
    """Drop those that are there; one that guards a rule stays, and is not tried."""
    kept, skipped = [], []
    for one in tried:
        try:
            if one.was_there is not None:
                await connection.execute(drop_index(one.was_there.schema, one.was_there.name))
            kept.append(one)
        except Error as error:
            skipped.append(Skipped(one.name, f"It stays: {error.diag.message_primary or error}."))
    return kept, skipped


async def build(connection: Connection, tried: Tried) -> Built:
    """Build it; with the statistics of its expressions, if it has any. Raises psycopg.Error."""
    before = {index.oid for index in (await read_catalog(connection)).indexes}
    began = time.monotonic()
    # Through the extended protocol it is one statement, whatever an operator wrote.
    await connection.execute(tried.statement.encode(), binary=True)
    seconds = time.monotonic() - began
    made = [i for i in (await read_catalog(connection)).indexes if i.oid not in before]
    if not made:
        raise ActionRefused(
            "The statement made no index.", "There may be one of that name: leave out the name."
        )
    index = next((one for one in made if one.parent_oid is None), made[0])
    if index.has_expressions:
        await connection.execute(f"ANALYZE {qualified(index.schema, index.table)}".encode())
    sizes = await queries.fetch(connection, RELATION_SIZES, {"oids": [one.oid for one in made]})
    names = frozenset(one.name for one in made)
    return Built(tried, index, names, sum(size.bytes for size in sizes), seconds)


async def tear_down(connection: Connection, built: Built) -> None:
    """Raises psycopg.Error."""
    await connection.execute(drop_index(built.index.schema, built.index.name))


def indexes_beside(catalog: Catalog, built: Built) -> Sequence[Index]:
    """The other indexes of its table."""
    own = catalog.indexes_of.get(built.index.table_oid, [])
    return [index for index in own if index.name != built.index.name]
