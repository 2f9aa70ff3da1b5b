"""What a database holds, asked of its catalogs and rows and not of pg_dump: to compare two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

Fingerprint = dict[str, list[str]]
"""Sorted lines by the kind of thing."""

_OURS: LiteralString = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_t%'"
)
_OF_RELATION: LiteralString = " FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"

_QUESTIONS: Mapping[str, LiteralString] = {
    "schemas": "SELECT concat_ws('|', nspname, nspowner::regrole,"
    " ARRAY(SELECT a::text FROM unnest(nspacl) AS a ORDER BY 1))"
    " FROM pg_namespace AS n WHERE " + _OURS,
    "relations": "SELECT concat_ws('|', c.oid::regclass, relkind, relpersistence,"
    " relowner::regrole, relrowsecurity, relforcerowsecurity, relispartition, relispopulated,"
    " relreplident, (SELECT string_agg(o, ',' ORDER BY o) FROM unnest(reloptions) AS o),"
    " ARRAY(SELECT a::text FROM unnest(relacl) AS a ORDER BY 1),"
    " pg_get_expr(relpartbound, c.oid), pg_get_partkeydef(c.oid))" + _OF_RELATION + " WHERE "
    "c.relkind <> 'c' AND " + _OURS,
    "columns": "SELECT concat_ws('|', c.oid::regclass, attname, format_type(atttypid, atttypmod),"
    " attnotnull, attidentity, attgenerated, attcollation::regcollation, attstorage, attoptions,"
    " pg_get_expr(adbin, adrelid), attacl)"
    + _OF_RELATION
    + " JOIN pg_attribute ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped"
    " LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
    " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'c') AND " + _OURS,
    "constraints": "SELECT concat_ws('|', coalesce(nullif(conrelid, 0)::regclass::text,"
    " contypid::regtype::text), conname, pg_get_constraintdef(p.oid), convalidated)"
    " FROM pg_constraint AS p JOIN pg_namespace AS n ON n.oid = connamespace WHERE " + _OURS,
    "indexes": "SELECT concat_ws('|', pg_get_indexdef(indexrelid), indisvalid, indisclustered,"
    " indisreplident)" + _OF_RELATION + " JOIN pg_index ON indexrelid = c.oid WHERE " + _OURS,
    "triggers": "SELECT concat_ws('|', pg_get_triggerdef(g.oid), tgenabled)"
    + _OF_RELATION
    + " JOIN pg_trigger AS g ON tgrelid = c.oid WHERE NOT tgisinternal AND "
    + _OURS,
    "rules and views": "SELECT concat_ws('|', pg_get_ruledef(r.oid), ev_enabled)"
    + _OF_RELATION
    + " JOIN pg_rewrite AS r ON ev_class = c.oid WHERE "
    + _OURS,
    "policies": "SELECT concat_ws('|', c.oid::regclass, polname, polcmd, polpermissive,"
    " polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))"
    + _OF_RELATION
    + " JOIN pg_policy ON polrelid = c.oid WHERE "
    + _OURS,
    "functions": "SELECT concat_ws('|', p.oid::regprocedure, prokind, CASE WHEN prokind <> 'a'"
    " THEN pg_get_functiondef(p.oid) END, proowner::regrole, proacl) FROM pg_proc AS p"
    " JOIN pg_namespace AS n ON n.oid = pronamespace WHERE " + _OURS,
    "types": "SELECT concat_ws('|', t.oid::regtype, typtype, typbasetype::regtype, typdefault,"
    " typnotnull, ARRAY(SELECT enumlabel FROM pg_enum WHERE enumtypid = t.oid"
    " ORDER BY enumsortorder)) FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = typnamespace"
    " WHERE typtype IN ('e', 'd', 'r', 'c') AND " + _OURS,
    "event triggers": "SELECT concat_ws('|', evtname, evtevent, evtenabled, evttags,"
    " evtfoid::regprocedure) FROM pg_event_trigger",
    "extensions": "SELECT concat_ws('|', extname, extversion, extnamespace::regnamespace)"
    " FROM pg_extension",
    "comments": "SELECT concat_ws('|', i.type, i.identity, description) FROM pg_description,"
    " pg_identify_object(classoid, objoid, objsubid) AS i WHERE objoid >= 16384",
    "large objects": "SELECT concat_ws('|', oid, lomowner::regrole, md5(lo_get(oid)), lomacl)"
    " FROM pg_largeobject_metadata",
    "default privileges": "SELECT concat_ws('|', defaclrole::regrole, defaclobjtype, defaclacl)"
    " FROM pg_default_acl",
    "statistics objects": "SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext",
    "database": "SELECT concat_ws('|', datdba::regrole, pg_encoding_to_char(encoding), datcollate,"
    " datctype, datconnlimit, ARRAY(SELECT a::text FROM unnest(datacl) AS a ORDER BY 1),"
    " shobj_description(oid, 'pg_database'),"
    " (SELECT string_agg(concat(nullif(setrole, 0)::regrole, setconfig), ';' ORDER BY setrole)"
    " FROM pg_db_role_setting WHERE setdatabase = d.oid))"
    " FROM pg_database AS d WHERE datname = current_database()",
}

_TABLES: LiteralString = (
    "SELECT n.nspname, c.relname, c.relkind"
    + _OF_RELATION
    + " WHERE c.relkind IN ('r', 'm', 'S') AND c.relispopulated AND "
    + _OURS
)


def fingerprint(database: Mapping[str, Any]) -> Fingerprint:
    """Every definition, grant, comment and row of a database, as its superuser sees it."""
    with psycopg.connect(**database, autocommit=True) as connection:
        connection.execute("SET search_path = pg_catalog")
        found = {
            kind: sorted(str(row[0]) for row in connection.execute(question))
            for kind, question in _QUESTIONS.items()
        }
        tables = connection.execute(_TABLES).fetchall()
        found["rows"] = sorted(_rows(connection, *table) for table in tables)
    return found


def _rows(connection: psycopg.Connection[Any], schema: str, name: str, kind: str) -> str:
    table = sql.Identifier(schema, name)
    question = (
        sql.SQL("SELECT concat_ws('|', last_value, is_called) FROM {}")
        if kind == "S"
        else sql.SQL(
            "SELECT concat_ws('|', count(*), md5(string_agg(md5(t::text), '' ORDER BY t::text)))"
            " FROM {} AS t"
        )
    )
    row = connection.execute(question.format(table)).fetchone()
    assert row is not None
    return f"{schema}.{name}: {row[0]}"


def differences(one: Fingerprint, other: Fingerprint) -> list[str]:
    """What is in one and not in the other, each with its kind."""
    return [
        f"{kind}: {sign} {line}"
        for kind in one
        for sign, lines in (
            ("-", set(one[kind]) - set(other[kind])),
            ("+", set(other[kind]) - set(one[kind])),
        )
        for line in sorted(lines)
    ]
