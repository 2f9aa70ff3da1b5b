"""Roles: who is superuser, who may do too much, and whose the tables are."""

from __future__ import annotations

from collections.abc import Iterator

from console.checks import facts
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import (
    counted,
    grouped,
    hidden,
)
from console.findings import Finding, Severity
from console.names import quoted
from queries.security import (
    MEMBERSHIPS,
    TABLE_OWNERS,
    Membership,
    Role,
    TableOwner,
)

SUPERUSERS = "security.superusers"
SUPERUSER_SESSIONS = "security.superuser-sessions"
ROLE_RIGHTS = "security.role-rights"
MEMBERSHIP = "security.memberships"
EXPIRY = "security.password-expiry"
CONNECTION_LIMITS = "security.connection-limits"
OWNERSHIP = "security.ownership"

_TOOLS = ("medianest-console", "psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_basebackup", "pg")
_MIGHTY = {
    "pg_execute_server_program": "runs programs as the server's account",
    "pg_write_server_files": "writes any file of the server's account",
    "pg_read_server_files": "reads any file of the server's account",
    "pg_write_all_data": "writes every table",
    "pg_read_all_data": "reads every table",
    "pg_maintain": "locks and rewrites every table",
    "pg_create_subscription": "lets the server connect elsewhere",
    "pg_signal_backend": "ends other roles' sessions",
    "pg_checkpoint": "forces checkpoints",
}
_TO_THE_SYSTEM = frozenset(
    {"pg_execute_server_program", "pg_write_server_files", "pg_read_server_files"}
)


async def superusers(examination: Examination) -> Outcome:
    """Superusers that can log in besides the one of initdb."""
    roles = await facts.roles(examination)
    mighty = [role.name for role in roles if role.is_superuser and role.can_login]
    extra = [
        role.name
        for role in roles
        if role.is_superuser and role.can_login and not role.is_bootstrap
    ]
    summary = counted(len(mighty), "superuser that can log in", "superusers that can log in")
    if not extra:
        return Outcome(summary)
    finding = grouped(
        SUPERUSERS,
        Severity.WARNING,
        extra,
        f"{counted(len(extra), 'role is', 'roles are')} superuser besides the first one; each can"
        " read and change everything, and run programs on the server.",
        "pg_roles: rolsuper AND rolcanlogin AND oid <> 10",
        (f"ALTER ROLE {quoted(name)} NOSUPERUSER;" for name in extra),
    )
    return Outcome(summary, (finding,))


async def superuser_sessions(examination: Examination) -> Outcome:
    """Applications that are connected as superuser, by what they call themselves."""
    if not facts.sees_all_sessions(examination):
        return hidden(
            SUPERUSER_SESSIONS,
            "other roles' sessions",
            f"GRANT pg_read_all_stats TO {quoted(examination.role)};",
        )
    sessions = await facts.client_sessions(examination)
    mighty = [
        session
        for session in sessions
        if session.is_superuser and not session.is_own and not _is_tool(session.application)
    ]
    summary = f"{sum(session.sessions for session in sessions)} sessions looked at"
    if not mighty:
        return Outcome(summary)
    names = sorted({f"{session.application or 'nameless'} as {session.role}" for session in mighty})
    finding = grouped(
        SUPERUSER_SESSIONS,
        Severity.WARNING,
        names,
        "An application works as superuser: what it is talked into, the whole server does.",
        "pg_stat_activity joined with pg_roles: rolsuper, without psql, dumps and this console",
        (
            "CREATE ROLE app LOGIN PASSWORD '...'; -- then give it the tables and connect as it:",
            "REASSIGN OWNED BY old_role TO app; -- or GRANT what it needs on its schema",
        ),
    )
    return Outcome(summary, (finding,))


def _is_tool(application: str) -> bool:
    return application.partition(" ")[0].lower() in _TOOLS


async def role_rights(examination: Examination) -> Outcome:
    """CREATEROLE, CREATEDB, REPLICATION and BYPASSRLS of login roles that are no superusers."""
    ordinary = [
        role for role in await facts.roles(examination) if role.can_login and not role.is_superuser
    ]
    findings = [*_rights(ordinary, facts.major(examination))]
    return Outcome(f"{counted(len(ordinary), 'login role')} looked at", tuple(findings))


def _rights(roles: list[Role], major: int) -> Iterator[Finding]:
    near_superuser = "; before PostgreSQL 16 that is nearly superuser" if major < 16 else ""
    kinds = (
        (
            "CREATEROLE",
            [role.name for role in roles if role.creates_roles],
            Severity.WARNING,
            f"can make roles and change others' passwords{near_superuser}",
        ),
        (
            "BYPASSRLS",
            [role.name for role in roles if role.bypasses_row_security],
            Severity.WARNING,
            "sees all rows in spite of row security",
        ),
        (
            "REPLICATION",
            [role.name for role in roles if role.replicates],
            Severity.INFO,
            "can copy the whole cluster; a role for standbys and base backups should do nothing"
            " else",
        ),
        (
            "CREATEDB",
            [role.name for role in roles if role.creates_databases],
            Severity.INFO,
            "can make databases (Prisma's migrate dev asks for it; production needs it not)",
        ),
    )
    for right, names, severity, what in kinds:
        if names:
            yield grouped(
                ROLE_RIGHTS,
                severity,
                names,
                f"{right}: {counted(len(names), 'login role')} {what}.",
                f"pg_roles: {right} of login roles that are no superusers",
                (f"ALTER ROLE {quoted(name)} NO{right};" for name in names),
            )


async def memberships(examination: Examination) -> Outcome:
    """Members of PostgreSQL's mighty roles, and who may pass a membership on."""
    found = await examination.session.fetch(MEMBERSHIPS)
    ordinary = [membership for membership in found if not membership.is_superuser]
    mighty = [membership for membership in ordinary if membership.role in _MIGHTY]
    findings = []
    for severity, some in (
        (Severity.WARNING, [m for m in mighty if m.role in _TO_THE_SYSTEM]),
        (Severity.INFO, [m for m in mighty if m.role not in _TO_THE_SYSTEM]),
    ):
        if some:
            findings.append(_membership(severity, some))
    admins = [m for m in ordinary if m.is_admin and not m.role.startswith("pg_")]
    if admins:
        findings.append(
            grouped(
                MEMBERSHIP,
                Severity.INFO,
                [f"{m.member} of {m.role}" for m in admins],
                f"{counted(len(admins), 'role')} may make others members of a role.",
                "pg_auth_members: admin_option of roles that are no superusers",
                (
                    f"REVOKE ADMIN OPTION FOR {quoted(m.role)} FROM {quoted(m.member)};"
                    for m in admins
                ),
            )
        )
    return Outcome(f"{counted(len(found), 'membership')} looked at", tuple(findings))


def _membership(severity: Severity, some: list[Membership]) -> Finding:
    return grouped(
        MEMBERSHIP,
        severity,
        [f"{m.member} in {m.role} ({_MIGHTY[m.role]})" for m in some],
        f"{counted(len(some), 'membership')} in a role of PostgreSQL's own that can do much.",
        "pg_auth_members: members of " + ", ".join(sorted({m.role for m in some})),
        (f"REVOKE {m.role} FROM {quoted(m.member)};" for m in some),
    )


async def expiry(examination: Examination) -> Outcome:
    """Login roles whose password has expired, or never does."""
    logins = [role for role in await facts.roles(examination) if role.can_login]
    gone = [role.name for role in logins if role.has_expired]
    endless = [role.name for role in logins if not role.expires]
    findings = []
    if gone:
        findings.append(
            grouped(
                EXPIRY,
                Severity.WARNING,
                gone,
                f"{counted(len(gone), 'password has', 'passwords have')} expired; peer, cert and"
                " trust still let the role in.",
                "pg_roles: rolvaliduntil < now()",
                (f"ALTER ROLE {quoted(name)} NOLOGIN;" for name in gone),
            )
        )
    if endless:
        findings.append(
            grouped(
                EXPIRY,
                Severity.INFO,
                endless,
                f"{counted(len(endless), 'password never expires', 'passwords never expire')};"
                " usual where an application logs in.",
                "pg_roles: rolvaliduntil is not set",
                (f"ALTER ROLE {quoted(name)} VALID UNTIL '2030-01-01';" for name in endless),
            )
        )
    return Outcome(f"{counted(len(logins), 'login role')} looked at", tuple(findings))


async def connection_limits(examination: Examination) -> Outcome:
    """Login roles that may take every connection there is."""
    logins = [r for r in await facts.roles(examination) if r.can_login and not r.is_superuser]
    endless = [role.name for role in logins if role.connection_limit == -1]
    summary = f"{len(logins) - len(endless)} of {counted(len(logins), 'login role')} limited"
    if not endless:
        return Outcome(summary)
    finding = grouped(
        CONNECTION_LIMITS,
        Severity.INFO,
        endless,
        f"{counted(len(endless), 'role')} may take all connections, so one application's leak"
        " stops the others.",
        "pg_roles: rolconnlimit = -1 of login roles that are no superusers",
        (f"ALTER ROLE {quoted(name)} CONNECTION LIMIT 50;" for name in endless),
    )
    return Outcome(summary, (finding,))


async def ownership(examination: Examination) -> Outcome:
    """Whose the tables are: a superuser's, or the application's own."""
    owners = await examination.session.fetch(TABLE_OWNERS)
    summary = f"{counted(sum(owner.tables for owner in owners), 'table')}" + (
        f" of {counted(len(owners), 'role')}" if owners else ""
    )
    findings = [*_ownership(owners)]
    if not facts.sees_all_sessions(examination) and owners:
        findings.append(
            unknown(
                OWNERSHIP,
                "",
                "This role may not see whether the owners' sessions are an application's.",
                f"GRANT pg_read_all_stats TO {quoted(examination.role)};",
            )
        )
    return Outcome(summary, tuple(findings))


def _ownership(owners: list[TableOwner]) -> Iterator[Finding]:
    acting = [owner for owner in owners if owner.sessions and not owner.is_superuser]
    if acting:
        yield grouped(
            OWNERSHIP,
            Severity.INFO,
            [f"{owner.owner} ({counted(owner.tables, 'table')})" for owner in acting],
            "The role that the application uses owns its tables and so could drop them; Prisma's"
            " migrations want it so, unless they have a role of their own.",
            "pg_class.relowner with sessions in pg_stat_activity",
            ("-- let migrations run as an owner role, and the application as one with GRANTs",),
        )
    mixed = [owner.owner for owner in owners if owner.is_superuser]
    if mixed and len(owners) > len(mixed):
        yield grouped(
            OWNERSHIP,
            Severity.INFO,
            mixed,
            "Some tables belong to a superuser and others do not; migrations of the application's"
            " role will fail on those.",
            "pg_class.relowner of ordinary tables",
            (f"REASSIGN OWNED BY {quoted(name)} TO app; -- in this database" for name in mixed),
        )


CHECKS = (
    Check(SUPERUSERS, "Superusers", "Nobody but the first role is superuser.", superusers,
          cis="4.3"),
    Check(SUPERUSER_SESSIONS, "Superuser sessions", "No application works as superuser.",
          superuser_sessions, cis="4.3", privileges="pg_read_all_stats"),
    Check(ROLE_RIGHTS, "Role rights",
          "No login role can make roles or pass row security by.", role_rights, cis="4.3, 7.1"),
    Check(MEMBERSHIP, "Memberships", "PostgreSQL's mighty roles have no members by accident.",
          memberships, cis="4.9"),
    Check(EXPIRY, "Password expiry", "No password has expired or lives for ever.", expiry,
          cis="4.4", by_default=False),
    Check(CONNECTION_LIMITS, "Connection limits", "No role may take every connection.",
          connection_limits, cis="5.5", by_default=False),
    Check(OWNERSHIP, "Ownership", "The application's role does not own what it works on.",
          ownership, cis="4.6"),
)  # fmt: skip
