"""The SQL that makes, drops or changes one part.

Names come from the catalogs already quoted; definitions are PostgreSQL's own words. An empty answer
of `change` says that it must be dropped and made again, ByHand that no SQL can be drafted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from console.errors import ActionRefused
from console.migrations.compare import Change
from console.table_ddl import literal, options_list
from queries.parts import Part

_VERBATIM = frozenset({"index", "trigger", "policy", "rule", "statistics", "function",
                       "procedure", "aggregate"})  # fmt: skip
_ON_A_TABLE = frozenset({"trigger", "policy", "rule"})
_TYPE_KINDS = {"enum": "TYPE", "composite type": "TYPE", "range type": "TYPE", "domain": "DOMAIN"}
_CHARACTERS = ("text", "character varying", "character(")


class ByHand(ActionRefused):
    """No SQL can be drafted for this: `message` says why."""


def word(part: Part) -> str:
    """The kind as DROP and COMMENT ON write it."""
    return _TYPE_KINDS.get(part.kind, part.kind.upper())


def create(part: Part, columns: Sequence[Part] = ()) -> list[str]:
    """Make it; `columns` are those of a table. Raises ByHand."""
    made = [*_made(part, columns), *_state_statements(part)]
    commented = (one for one in (part, *columns) if one.facets.get("comment"))
    return made + [_comment(one, one.facets["comment"]) for one in commented]


def _made(part: Part, columns: Sequence[Part]) -> Iterator[str]:
    facets, name = part.facets, part.sql_name
    definition = facets.get("definition") or ""
    if part.kind in _VERBATIM:
        yield definition
    elif part.kind == "table":
        yield from _table(part, columns)
    elif part.kind == "column":
        yield f"ALTER TABLE {part.table} ADD COLUMN {column(part)}"
    elif part.kind == "constraint":
        yield f"ALTER TABLE {part.table} ADD CONSTRAINT {name} {definition}"
    elif part.kind in ("view", "materialized view"):
        yield _view(part, "CREATE")
    elif part.kind == "schema":
        yield f"CREATE SCHEMA {name}"
    elif part.kind == "extension":
        yield f"CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA {facets['schema']}"
    elif part.kind == "sequence":
        yield f"CREATE SEQUENCE {name} {definition}"
    elif part.kind in _TYPE_KINDS:
        yield _type(part)
    else:
        raise ByHand(f"A {part.kind} has to be made by hand.")


def _table(part: Part, columns: Sequence[Part]) -> Iterator[str]:
    facets = part.facets
    kind = "UNLOGGED TABLE" if facets.get("persistence") else "TABLE"
    if facets.get("bound"):
        yield f"CREATE {kind} {part.sql_name} PARTITION OF {facets['parents']} {facets['bound']}"
    else:
        body = ",\n".join(f"    {column(one)}" for one in columns)
        text = f"CREATE {kind} {part.sql_name} (\n{body}\n)"
        if facets.get("parents"):
            text += f" INHERITS ({facets['parents']})"
        if facets.get("partition key"):
            text += f" PARTITION BY {facets['partition key']}"
        yield text
    for facet in ("options", "row security", "replica identity"):
        if facets.get(facet):
            yield from _table_change(part, Change(facet, None, facets[facet]))


def column(part: Part) -> str:
    """A column as CREATE TABLE and ADD COLUMN write it."""
    facets = part.facets
    words = [part.sql_name, facets["type"] or ""]
    if facets.get("collation"):
        words.append(f"COLLATE {facets['collation']}")
    words += [facets[f] or "" for f in ("generated", "identity") if facets.get(f)]
    if facets.get("default") is not None:
        words.append(f"DEFAULT {facets['default']}")
    if facets.get("not null"):
        words.append("NOT NULL")
    return " ".join(words)


def _view(part: Part, how: str) -> str:
    kind = part.kind.upper()
    options = part.facets.get("options")
    given = f" WITH ({options_list(options.split(', '))})" if options else ""
    return f"{how} {kind} {part.sql_name}{given} AS\n{part.facets['definition']}"


def _type(part: Part) -> str:
    facets = part.facets
    if part.kind == "enum":
        return f"CREATE TYPE {part.sql_name} AS ENUM ({', '.join(map(literal, labels(part)))})"
    if part.kind == "domain":
        words = [f"CREATE DOMAIN {part.sql_name} AS {facets['definition']}"]
        words += [f"DEFAULT {facets['default']}"] if facets.get("default") else []
        words += [facets[f] or "" for f in ("not null", "checks") if facets.get(f)]
        return " ".join(words)
    if part.kind == "range type":
        return f"CREATE TYPE {part.sql_name} AS RANGE {facets['definition']}"
    return f"CREATE TYPE {part.sql_name} AS {facets['definition'] or '()'}"


def labels(part: Part) -> list[str]:
    """An enum's values in order."""
    found: list[str] = json.loads(part.facets.get("labels") or "[]")
    return found


def _state_statements(part: Part) -> Iterator[str]:
    """What is said of a new part after it was made."""
    if part.kind == "trigger" and part.facets.get("state"):
        yield f"ALTER TABLE {part.table} {part.facets['state']} TRIGGER {part.sql_name}"


def owned_by(part: Part) -> list[str]:
    """A sequence's column, to be said when the column is there."""
    owner = part.facets.get("owner column")
    if part.kind != "sequence" or owner is None:
        return []
    return [f"ALTER SEQUENCE {part.sql_name} OWNED BY {part.table}.{owner}"]


def drop(part: Part) -> list[str]:
    name = part.sql_name
    if part.kind in ("column", "constraint"):
        return [f"ALTER TABLE {part.table} DROP {part.kind.upper()} {name}"]
    if part.kind in _ON_A_TABLE:
        return [f"DROP {part.kind.upper()} {name} ON {part.table}"]
    if part.kind == "sequence":
        # It goes with the column that owns it.
        return [f"DROP SEQUENCE IF EXISTS {name}"]
    return [f"DROP {word(part)} {name}"]


def _comment(part: Part, text: str | None) -> str:
    name = part.sql_name
    if part.kind == "column":
        name = f"{part.table}.{name}"
    elif part.kind in (*_ON_A_TABLE, "constraint"):
        name = f"{name} ON {part.table}"
    return f"COMMENT ON {word(part)} {name} IS {'NULL' if text is None else literal(text)}"


def change(before: Part, after: Part, changes: Sequence[Change]) -> list[str]:
    """Change it in place; [] when it must be dropped and made again. Raises ByHand."""
    rest = [one for one in changes if one.facet != "comment"]
    said = [_comment(after, one.after) for one in changes if one.facet == "comment"]
    if not rest:
        return said
    statements = list(_changed(before, after, rest))
    return [*statements, *said] if statements else []


def _changed(before: Part, after: Part, changes: Sequence[Change]) -> Iterator[str]:
    if after.kind == "column":
        yield from _column_changes(before, after, {one.facet: one for one in changes})
    elif after.kind == "table":
        for one in changes:
            yield from _table_change(after, one)
    elif after.kind == "sequence":
        yield from _sequence_changes(after, {one.facet for one in changes})
    elif after.kind == "constraint":
        if before.facets["definition"] == f"{after.facets['definition']} NOT VALID":
            yield f"ALTER TABLE {after.table} VALIDATE CONSTRAINT {after.sql_name}"
    elif after.kind in ("function", "procedure"):
        if {one.facet for one in changes} == {"definition"}:
            yield after.facets["definition"] or ""
    elif after.kind == "view":
        yield from _view_change(before, after)
    elif [one.facet for one in changes] == ["state"]:
        yield _state_change(after)
    elif after.kind == "extension":
        yield f"ALTER EXTENSION {after.sql_name} SET SCHEMA {after.facets['schema']}"
    elif after.kind == "domain" and "definition" not in {one.facet for one in changes}:
        yield from _domain_changes(after, {one.facet for one in changes})
    elif after.kind in ("domain", "composite type", "range type", "foreign table"):
        raise ByHand(f"A {after.kind} that is in use has to be changed by hand.")


def _state_change(after: Part) -> str:
    state = after.facets["state"]
    if after.kind == "trigger":
        return f"ALTER TABLE {after.table} {state or 'ENABLE'} TRIGGER {after.sql_name}"
    if state is not None:
        raise ByHand(f"Nobody wants the index {after.sql_name} to be invalid.")
    return f"REINDEX INDEX {after.sql_name}"


def _view_change(before: Part, after: Part) -> Iterator[str]:
    """In place, so that grants stay, where the columns stay or only more are added."""
    old, new = before.facets["columns"] or "", after.facets["columns"] or ""
    if new == old or new.startswith(f"{old}, "):
        if before.facets.get("options") and not after.facets.get("options"):
            return
        yield _view(after, "CREATE OR REPLACE")


def _table_change(part: Part, one: Change) -> Iterator[str]:
    alter = f"ALTER TABLE {part.sql_name}"
    if one.facet == "persistence":
        yield f"{alter} SET {'UNLOGGED' if one.after else 'LOGGED'}"
    elif one.facet == "options":
        old, new = _options(one.before), _options(one.after)
        gone = [name for name in old if name not in new]
        if gone:
            yield f"{alter} RESET ({', '.join(gone)})"
        if new:
            yield f"{alter} SET ({options_list([f'{n}={v}' for n, v in new.items()])})"
    elif one.facet == "row security":
        yield f"{alter} {'ENABLE' if one.after else 'DISABLE'} ROW LEVEL SECURITY"
        yield f"{alter} {'FORCE' if one.after == 'forced' else 'NO FORCE'} ROW LEVEL SECURITY"
    elif one.facet == "replica identity" and one.after != "i":
        words = {None: "DEFAULT", "f": "FULL", "n": "NOTHING"}
        yield f"{alter} REPLICA IDENTITY {words[one.after]}"
    else:
        raise ByHand(f"The {one.facet} of {part.sql_name} has to be changed by hand.")


def _options(text: str | None) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in (text or "").split(", ") if pair)
    return {name: setting for name, _, setting in pairs}


def _sequence_changes(after: Part, facets: set[str]) -> Iterator[str]:
    if "definition" in facets:
        yield f"ALTER SEQUENCE {after.sql_name} {after.facets['definition']}"
    if "owner column" in facets:
        yield from owned_by(after) or [f"ALTER SEQUENCE {after.sql_name} OWNED BY NONE"]


def _domain_changes(after: Part, facets: set[str]) -> Iterator[str]:
    alter = f"ALTER DOMAIN {after.sql_name}"
    if "checks" in facets:
        raise ByHand(f"The checks of the domain {after.sql_name} have to be changed by hand.")
    if "default" in facets:
        default = after.facets["default"]
        yield f"{alter} SET DEFAULT {default}" if default else f"{alter} DROP DEFAULT"
    if "not null" in facets:
        yield f"{alter} {'SET' if after.facets['not null'] else 'DROP'} NOT NULL"


def _column_changes(before: Part, after: Part, changes: dict[str, Change]) -> Iterator[str]:
    alter = f"ALTER TABLE {after.table} ALTER COLUMN {after.sql_name}"
    facets = after.facets
    if "generated" in changes:
        # What is computed can be computed again; what was is gone, see losses.
        yield f"ALTER TABLE {after.table} DROP COLUMN {after.sql_name}"
        yield f"ALTER TABLE {after.table} ADD COLUMN {column(after)}"
        return
    retyped = "type" in changes or "collation" in changes
    if "identity" in changes and before.facets.get("identity"):
        yield f"{alter} DROP IDENTITY IF EXISTS"
    if retyped:
        if before.facets.get("default") is not None:
            yield f"{alter} DROP DEFAULT"
        yield f"{alter} TYPE {_new_type(after)}"
    if "not null" in changes and not facets.get("not null"):
        yield f"{alter} DROP NOT NULL"
    if "default" in changes or retyped:
        yield from _default(alter, facets.get("default"), before.facets.get("default"), retyped)
    if "not null" in changes and facets.get("not null"):
        yield f"{alter} SET NOT NULL"
    if "identity" in changes and facets.get("identity"):
        yield f"{alter} ADD {facets['identity']}"


def _default(alter: str, wanted: str | None, old: str | None, retyped: bool) -> Iterator[str]:
    if wanted is not None:
        yield f"{alter} SET DEFAULT {wanted}"
    elif old is not None and not retyped:
        yield f"{alter} DROP DEFAULT"


def _new_type(after: Part) -> str:
    """Without USING values that are too long are refused; with it they would be cut in silence."""
    kind = after.facets["type"] or ""
    collation = f" COLLATE {after.facets['collation']}" if after.facets.get("collation") else ""
    if kind.startswith(_CHARACTERS):
        return f"{kind}{collation}"
    return f"{kind}{collation} USING {after.sql_name}::{kind}"
