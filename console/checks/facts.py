"""What several checks read: settings as applications get them, roles, who is connected."""

from __future__ import annotations

import queries
from console.checks.check import Examination
from console.findings import Severity
from console.parameters import Exposure, Parameters
from console.session import Limits, connect
from queries.parameters import PARAMETERS, ROLE_PARAMETERS, RoleParameter
from queries.security import CLIENT_SESSIONS, ROLES, ClientSessions, Role

_AS_GIVEN = Limits(statement_ms=None, lock_ms=None, idle_in_transaction_ms=None)


async def parameters(examination: Examination) -> Parameters:
    """Settings as a plain session gets them; our own session's limits would hide the server's."""

    async def ask() -> Parameters:
        async with connect(examination.target, limits=_AS_GIVEN, plans_as_usual=True) as connection:
            return Parameters.of(await queries.fetch(connection, PARAMETERS))

    return await examination.once("parameters", ask)


async def role_parameters(examination: Examination) -> list[RoleParameter]:
    """What ALTER ROLE and ALTER DATABASE give the sessions of this database."""
    session = examination.session
    return await examination.once("role parameters", lambda: session.fetch(ROLE_PARAMETERS))


async def roles(examination: Examination) -> list[Role]:
    session = examination.session
    return await examination.once("roles", lambda: session.fetch(ROLES))


async def client_sessions(examination: Examination) -> list[ClientSessions]:
    session = examination.session
    return await examination.once("client sessions", lambda: session.fetch(CLIENT_SESSIONS))


async def exposure(examination: Examination) -> Exposure:
    return (await parameters(examination)).exposure


def graver(exposure: Exposure, reachable: Severity = Severity.WARNING) -> Severity:
    """`reachable` for a server on the network; a note where only its own machine can come in."""
    return reachable if exposure is Exposure.NETWORK else Severity.INFO


def sees_all_sessions(examination: Examination) -> bool:
    server = examination.session.server
    return server is not None and server.reads_all_stats


def major(examination: Examination) -> int:
    """The server's major version."""
    server = examination.session.server
    return 0 if server is None else server.major
