"""Statements that make, name and drop whole databases; identifiers are always quoted."""

from __future__ import annotations

from psycopg import sql

from queries.backup import DatabaseProperties, RoleInUse

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def create_database(
    name: str, like: DatabaseProperties | None, server_major: int, owner: str | None = None
) -> sql.Composed:
    """CREATE DATABASE from template0 with the encoding and locale of another, where it is known."""
    parts = [sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))]
    if owner is not None:
        parts.append(sql.SQL("OWNER {}").format(sql.Identifier(owner)))
    if like is not None:
        parts += _locale(like, server_major)
    return sql.SQL(" ").join(parts)


def copy_database(name: str, original: str) -> sql.Composed:
    return sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(original)
    )


def _locale(like: DatabaseProperties, server_major: int) -> list[sql.Composed]:
    options: list[tuple[str, str | None]] = [
        ("ENCODING", like.encoding),
        ("LC_COLLATE", like.collate),
        ("LC_CTYPE", like.ctype),
    ]
    if server_major >= 15:
        options.append(("LOCALE_PROVIDER", _PROVIDERS[like.provider]))
        if like.provider == "i":
            options.append(("ICU_LOCALE", like.locale))
        if like.provider == "b":
            options.append(("BUILTIN_LOCALE", like.locale))
    if server_major >= 16 and like.provider == "i" and like.rules:
        options.append(("ICU_RULES", like.rules))
    return [
        sql.SQL("{} {}").format(sql.SQL(keyword), sql.Literal(text))
        for keyword, text in options
        if text is not None
    ]


def drop_database(name: str) -> sql.Composed:
    """Ends sessions that are in it first (13 and later)."""
    return sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))


def comment_on_database(name: str, comment: str) -> sql.Composed:
    return sql.SQL("COMMENT ON DATABASE {} IS {}").format(
        sql.Identifier(name), sql.Literal(comment)
    )


def create_role(role: RoleInUse) -> sql.Composed:
    """A role of that name that owns and is granted things, and can do nothing else."""
    return sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(role.name))


def create_schema(name: str) -> sql.Composed:
    return sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name))


def create_extension(name: str, schema: str) -> sql.Composed:
    return sql.SQL("CREATE EXTENSION {} SCHEMA {}").format(
        sql.Identifier(name), sql.Identifier(schema)
    )


def check_indexes(amcheck_schema: str) -> sql.Composed:
    """Have amcheck compare every B-tree index with its table; one row, the number checked.

    An index that is damaged raises an error that names it.
    """
    return sql.SQL(
        "SELECT count({}.bt_index_check(c.oid::regclass, true)) FROM pg_index AS i"
        " JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS a ON a.oid = c.relam"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid AND i.indisready"
        " AND c.relpersistence = 'p' AND n.nspname !~ '^pg_'"
    ).format(sql.Identifier(amcheck_schema))


def trial_statements(rows: int) -> tuple[sql.Composed, ...]:
    """A little of what a real database has, to try a backup and a restore on."""
    return tuple(
        sql.SQL(statement).format(rows=sql.Literal(rows))
        for statement in (
            "CREATE TYPE public.colour AS ENUM ('red', 'green')",
            "CREATE TABLE public.parent (id int PRIMARY KEY, name text NOT NULL UNIQUE)",
            "CREATE TABLE public.child (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
            " parent_id int NOT NULL REFERENCES public.parent, shade public.colour,"
            " CHECK (parent_id > 0))",
            "CREATE INDEX ON public.child (parent_id)",
            "INSERT INTO public.parent SELECT g, 'name ' || g FROM generate_series(1, {rows}) AS g",
            "INSERT INTO public.child (parent_id, shade)"
            " SELECT id, 'green'::public.colour FROM public.parent",
            "CREATE VIEW public.seen AS SELECT shade, count(*) AS n FROM public.child GROUP BY 1",
        )
    )


def set_search_path(search_path: str) -> sql.Composed:
    """Give the session a search path that is written as in ALTER DATABASE ... SET."""
    return sql.SQL("SELECT pg_catalog.set_config('search_path', {}, false)").format(
        sql.Literal(search_path)
    )
