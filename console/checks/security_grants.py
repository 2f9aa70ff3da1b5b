"""What everybody may do: grants to PUBLIC, functions of others' rights, reach of the server."""

from __future__ import annotations

from collections.abc import Iterator

from console.checks import facts
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import counted, grouped, hidden
from console.errors import PrivilegeMissing
from console.findings import Evidence, Finding, Severity
from queries.security import (
    DEFINER_FUNCTIONS,
    PUBLIC_GRANTS,
    PUBLIC_SCHEMA,
    SERVER_FUNCTIONS,
    SUBSCRIPTION_COUNT,
    SUBSCRIPTIONS,
    USER_MAPPINGS,
    DefinerFunction,
    PublicGrant,
)

PUBLIC_CREATE = "security.public-schema"
PUBLIC_DATABASE = "security.public-database"
PUBLIC_OBJECTS = "security.public-grants"
DEFAULTS = "security.default-privileges"
DEFINER_PATH = "security.definer-search-path"
DEFINER_RIGHTS = "security.definer-rights"
FUNCTIONS = "security.server-functions"
MAPPINGS = "security.foreign-servers"
SUBSCRIPTION = "security.subscriptions"


async def _grants(examination: Examination) -> list[PublicGrant]:
    session = examination.session
    return await examination.once("public grants", lambda: session.fetch(PUBLIC_GRANTS))


async def public_create(examination: Examination) -> Outcome:
    """Schemas where anybody may make objects: another's function call may then find his own."""
    grants = [
        grant
        for grant in await _grants(examination)
        if grant.kind == "schema" and "CREATE" in grant.privileges.split(", ")
    ]
    owner = await examination.session.fetch(PUBLIC_SCHEMA)
    findings = []
    if grants:
        findings.append(
            grouped(
                PUBLIC_CREATE,
                Severity.WARNING,
                [grant.name for grant in grants],
                "Every role may make objects in "
                + counted(len(grants), "schema")
                + ", and so put its own function in the way of another's (CVE-2018-1058).",
                "aclexplode(nspacl): CREATE for PUBLIC",
                (f"REVOKE CREATE ON SCHEMA {grant.name} FROM PUBLIC;" for grant in grants),
            )
        )
    if facts.major(examination) >= 15 and owner and owner[0].owner != "pg_database_owner":
        findings.append(_owner_finding(owner[0].owner))
    return Outcome(f"PUBLIC may create in {counted(len(grants), 'schema')}", tuple(findings))


def _owner_finding(owner: str) -> Finding:
    return Finding(
        PUBLIC_CREATE,
        Severity.INFO,
        "public",
        f"Schema public belongs to {owner}, as in databases that came from PostgreSQL 14 or older.",
        Evidence("pg_namespace: nspowner of public", owner),
        "ALTER SCHEMA public OWNER TO pg_database_owner;",
    )


async def public_database(examination: Examination) -> Outcome:
    """Who may connect at all: every role, unless that was revoked (PostgreSQL's default)."""
    grants = [grant for grant in await _grants(examination) if grant.kind == "database"]
    if not grants:
        return Outcome("PUBLIC may nothing")
    grant = grants[0]
    finding = Finding(
        PUBLIC_DATABASE,
        Severity.INFO,
        grant.name,
        f"Every role of the server has {grant.privileges} on this database (PostgreSQL's default).",
        Evidence("aclexplode(datacl) of PUBLIC", grant.privileges),
        f"REVOKE ALL ON DATABASE {grant.name} FROM PUBLIC;\n"
        f"GRANT CONNECT ON DATABASE {grant.name} TO app; -- each role that needs it",
    )
    return Outcome(f"PUBLIC: {grant.privileges}", (finding,))


async def public_objects(examination: Examination) -> Outcome:
    """Tables, views, sequences and columns that every role may read or write."""
    grants = [g for g in await _grants(examination) if g.kind in ("relation", "column")]
    writing = [g for g in grants if _writes(g)]
    reading = [g for g in grants if not _writes(g)]
    findings = []
    for severity, some, verb in (
        (Severity.WARNING, writing, "write"),
        (Severity.WARNING, reading, "read"),
    ):
        if some:
            findings.append(
                grouped(
                    PUBLIC_OBJECTS,
                    severity,
                    [f"{grant.name}: {grant.privileges}" for grant in some],
                    f"Every role may {verb} {counted(len(some), 'object')}.",
                    "aclexplode(relacl, attacl): PUBLIC, without what extensions grant",
                    (_revoke(grant) for grant in some),
                )
            )
    return Outcome(f"{counted(len(grants), 'object')} for PUBLIC", tuple(findings))


def _writes(grant: PublicGrant) -> bool:
    return bool({"INSERT", "UPDATE", "DELETE", "TRUNCATE"} & set(grant.privileges.split(", ")))


def _revoke(grant: PublicGrant) -> str:
    table, _, column = grant.name.partition(" (")
    if grant.kind == "column":
        return f"REVOKE ALL ({column} ON {table} FROM PUBLIC;"
    return f"REVOKE ALL ON {table} FROM PUBLIC;"


async def defaults(examination: Examination) -> Outcome:
    """What objects made from now on will be open to."""
    grants = [grant for grant in await _grants(examination) if grant.kind == "default"]
    if not grants:
        return Outcome("none for PUBLIC")
    finding = grouped(
        DEFAULTS,
        Severity.WARNING,
        [f"{g.name}: {g.privileges}" + (f" in {g.schema}" if g.schema else "") for g in grants],
        "What is made from now on is open to every role.",
        "aclexplode(defaclacl) of PUBLIC",
        (_revoke_default(grant) for grant in grants),
    )
    return Outcome(counted(len(grants), "default for PUBLIC", "defaults for PUBLIC"), (finding,))


def _revoke_default(grant: PublicGrant) -> str:
    where = f" IN SCHEMA {grant.schema}" if grant.schema else ""
    _, _, kind = grant.privileges.rpartition(" on ")
    return (
        f"ALTER DEFAULT PRIVILEGES FOR {grant.name.upper()[:5]}{grant.name[5:]}{where}"
        f" REVOKE ALL ON {kind.upper()} FROM PUBLIC;"
    )


async def _definers(examination: Examination) -> list[DefinerFunction]:
    session = examination.session
    return await examination.once("definer functions", lambda: session.fetch(DEFINER_FUNCTIONS))


async def definer_path(examination: Examination) -> Outcome:
    """SECURITY DEFINER functions that find objects by the caller's search_path."""
    functions = await _definers(examination)
    loose = [function for function in functions if not function.sets_search_path]
    summary = f"{len(functions) - len(loose)} of {counted(len(functions), 'function')} fixed"
    if not loose:
        return Outcome(counted(len(functions), "SECURITY DEFINER function"))
    grave = any(function.owner_is_superuser and function.is_public for function in loose)
    finding = grouped(
        DEFINER_PATH,
        Severity.FAILURE if grave else Severity.WARNING,
        [function.name for function in loose],
        f"{counted(len(loose), 'function runs', 'functions run')} with the owner's rights and the"
        " caller's search_path, so a caller can have the owner run his own functions.",
        "pg_proc: prosecdef without search_path in proconfig",
        (
            f"ALTER {_kind(function)} {function.name} SET search_path = pg_catalog, pg_temp;"
            " -- and the schemas it needs"
            for function in loose
        ),
    )
    return Outcome(summary, (finding,))


def _kind(function: DefinerFunction) -> str:
    return "PROCEDURE" if function.is_procedure else "FUNCTION"


async def definer_rights(examination: Examination) -> Outcome:
    """SECURITY DEFINER functions of superusers, and those that anybody may call."""
    functions = [f for f in await _definers(examination) if not f.is_trigger]
    mighty = [f for f in functions if f.owner_is_superuser and f.is_public]
    public = [f for f in functions if f.is_public and not f.owner_is_superuser]
    findings = []
    for severity, some, message in (
        (Severity.WARNING, mighty, "run as superuser for whoever calls"),
        (Severity.INFO, public, "run with their owner's rights for whoever calls"),
    ):
        if some:
            findings.append(
                grouped(
                    DEFINER_RIGHTS,
                    severity,
                    [f"{function.name} of {function.owner}" for function in some],
                    f"{counted(len(some), 'function')} {message}.",
                    "pg_proc: prosecdef, EXECUTE for PUBLIC",
                    (
                        f"REVOKE EXECUTE ON {_kind(function)} {function.name} FROM PUBLIC;"
                        for function in some
                    ),
                )
            )
    return Outcome(counted(len(functions), "SECURITY DEFINER function"), tuple(findings))


async def functions(examination: Examination) -> Outcome:
    """Functions that reach files or steer the server, granted beyond superusers."""
    found = await examination.session.fetch(SERVER_FUNCTIONS)
    summary = f"{counted(len(found), 'grant')} beyond superusers"
    if not found:
        return Outcome(summary)
    finding = grouped(
        FUNCTIONS,
        Severity.WARNING,
        [f"{function.name} to {function.grantee}" for function in found],
        f"{counted(len(found), 'grant')} on functions that read files, write them or steer the"
        " server.",
        "aclexplode(proacl) of pg_read_file, pg_ls_dir, lo_import, lo_export, pg_reload_conf ...",
        (f"REVOKE EXECUTE ON FUNCTION {f.name} FROM {f.grantee};" for f in found),
    )
    return Outcome(summary, (finding,))


async def mappings(examination: Examination) -> Outcome | None:
    """Mappings to foreign servers that hold a password or serve everybody."""
    found = await examination.session.fetch(USER_MAPPINGS)
    if not found:
        return None
    keeping = [m for m in found if m.keeps_password]
    everybody = [m for m in found if m.role == "PUBLIC"]
    findings = []
    for some, message in (
        (keeping, "a password in plain text, which backups hold too"),
        (everybody, "every role on the other server as the same one"),
    ):
        if some:
            findings.append(
                grouped(
                    MAPPINGS,
                    Severity.WARNING,
                    [f"{m.role} on {m.server}" for m in some],
                    f"{counted(len(some), 'user mapping has', 'user mappings have')} {message}.",
                    "pg_user_mappings: names of options only",
                    (f"DROP USER MAPPING FOR {m.role} SERVER {m.server};" for m in some),
                )
            )
    dark = [m for m in found if m.keeps_password is None]
    if dark:
        names = f"{counted(len(dark), 'mapping')} hidden from this role"
        findings.append(unknown(MAPPINGS, "", f"{names}.", "-- run this check as a superuser"))
    return Outcome(counted(len(found), "user mapping"), tuple(findings))


async def subscriptions(examination: Examination) -> Outcome | None:
    """Subscriptions whose connection text holds a password."""
    number = (await examination.session.fetch_one(SUBSCRIPTION_COUNT)).number
    if not number:
        return None
    try:
        found = await examination.session.fetch(SUBSCRIPTIONS)
    except PrivilegeMissing:
        return hidden(
            SUBSCRIPTION,
            "the connection texts of subscriptions",
            "-- run this check as a superuser",
        )
    return Outcome(
        counted(number, "subscription"),
        tuple(_keeping([s.name for s in found if s.keeps_password])),
    )


def _keeping(names: list[str]) -> Iterator[Finding]:
    if names:
        yield grouped(
            SUBSCRIPTION,
            Severity.WARNING,
            names,
            f"{counted(len(names), 'subscription keeps', 'subscriptions keep')} a password in its"
            " connection text, which backups hold too.",
            "pg_subscription: whether subconninfo holds a password (the text is not read)",
            (f"ALTER SUBSCRIPTION {name} CONNECTION '... passfile=...';" for name in names),
        )


CHECKS = (
    Check(PUBLIC_CREATE, "Schema public", "Not every role may make objects in a schema.",
          public_create, cis="4.10"),
    Check(PUBLIC_DATABASE, "Database grants", "Only named roles may connect.", public_database,
          cis="4.6"),
    Check(PUBLIC_OBJECTS, "Grants to PUBLIC", "No table is open to every role.", public_objects,
          cis="4.6"),
    Check(DEFAULTS, "Default privileges", "What is made later is not open to every role.",
          defaults, cis="4.6"),
    Check(DEFINER_PATH, "Definer functions",
          "Functions with their owner's rights have a search_path of their own.", definer_path,
          cis="4.5"),
    Check(DEFINER_RIGHTS, "Definer rights",
          "Functions with a superuser's rights are not for everybody.", definer_rights, cis="4.5"),
    Check(FUNCTIONS, "Server functions", "Only superusers reach files and steer the server.",
          functions, cis="4.3"),
    Check(MAPPINGS, "Foreign servers", "No user mapping keeps a password or serves everybody.",
          mappings, privileges="superuser to see all"),
    Check(SUBSCRIPTION, "Subscriptions", "No subscription keeps a password.", subscriptions,
          privileges="superuser"),
)  # fmt: skip
