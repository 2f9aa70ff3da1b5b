"""Statements of a cut-over: names, doors, and what belongs to a database besides its content."""

from __future__ import annotations

from psycopg import sql
from psycopg.sql import SQL, Composed, Identifier, Literal

_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)
"""Settings that are lists of quoted names: a literal would become one name (dumputils.c)."""


def rename_database(name: str, becomes: str) -> Composed:
    return SQL("ALTER DATABASE {} RENAME TO {}").format(Identifier(name), Identifier(becomes))


def allow_connections(name: str, allowed: bool) -> Composed:
    return SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(Identifier(name), Literal(allowed))


def mark_template(name: str, template: bool) -> Composed:
    return SQL("ALTER DATABASE {} IS_TEMPLATE {}").format(Identifier(name), Literal(template))


def limit_connections(name: str, limit: int) -> Composed:
    return SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(Identifier(name), Literal(limit))


def own_database(name: str, owner: str) -> Composed:
    return SQL("ALTER DATABASE {} OWNER TO {}").format(Identifier(name), Identifier(owner))


def comment_database(name: str, comment: str | None) -> Composed:
    return SQL("COMMENT ON DATABASE {} IS {}").format(Identifier(name), Literal(comment))


def revoke_database(name: str, grantee: str) -> Composed:
    """Take every privilege from a role ('' is PUBLIC), and what it has granted on."""
    return SQL("REVOKE ALL ON DATABASE {} FROM {} CASCADE").format(
        Identifier(name), _grantee(grantee)
    )


def grant_database(name: str, privilege: str, grantee: str, grantable: bool) -> Composed:
    """Raises KeyError for a privilege that databases do not have."""
    return SQL("GRANT {} ON DATABASE {} TO {}{}").format(
        _PRIVILEGES[privilege],
        Identifier(name),
        _grantee(grantee),
        SQL(" WITH GRANT OPTION" if grantable else ""),
    )


_PRIVILEGES = {
    "CONNECT": SQL("CONNECT"),
    "CREATE": SQL("CREATE"),
    "TEMPORARY": SQL("TEMPORARY"),
}


def _grantee(name: str) -> sql.Composable:
    return Identifier(name) if name else SQL("PUBLIC")


def act_as(role: str) -> Composed:
    """Until the transaction's end."""
    return SQL("SET LOCAL ROLE {}").format(Identifier(role))


def act_as_oneself() -> SQL:
    return SQL("SET LOCAL ROLE NONE")


def forget_settings(name: str, role: str) -> Composed:
    return SQL("{} RESET ALL").format(_setting_of(name, role))


def keep_setting(name: str, role: str, setting: str, value: str) -> list[Composed]:
    """Statements, in one transaction, that store a setting exactly as another database has it.

    A list goes through the session's own setting, which PostgreSQL stores as it stands.
    """
    place, known = _setting_of(name, role), Identifier(*setting.split("."))
    if setting.lower() in _LISTS:
        return [
            SQL("SELECT set_config({}, {}, true)").format(Literal(setting), Literal(value)),
            SQL("{} SET {} FROM CURRENT").format(place, known),
        ]
    return [SQL("{} SET {} TO {}").format(place, known, Literal(value))]


def _setting_of(name: str, role: str) -> Composed:
    if not role:
        return SQL("ALTER DATABASE {}").format(Identifier(name))
    return SQL("ALTER ROLE {} IN DATABASE {}").format(Identifier(role), Identifier(name))
