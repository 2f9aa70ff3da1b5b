"""How MediaNest keeps its secrets: counted by their shape on the server, never read."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from console.checks import facts
from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import counted
from console.findings import Evidence, Finding, Severity
from console.identifiers import TableName
from console.parameters import Exposure
from queries.security import MEDIANEST_EXPIRED, MEDIANEST_SECRETS, MedianestSecrets

PASSWORDS = "security.medianest-passwords"
TOKENS = "security.medianest-tokens"
SECRETS = "security.medianest-secrets"
EXPIRED = "security.medianest-expired"

_COLUMNS = {
    "users": ("password_hash", "plex_token"),
    "session_tokens": ("token_hash", "expires_at"),
    "service_config": ("api_key",),
    "sessions": ("expires",),
    "verification_tokens": ("expires",),
}


async def _relations(examination: Examination) -> dict[str, sql.Identifier] | None:
    """MediaNest's tables; None unless the profile has them and the database too."""
    if examination.profile is None:
        return None
    schema = examination.profile.schema
    structure = await examination.structure()
    for table, columns in _COLUMNS.items():
        name = TableName(schema, table)
        found = structure.tables.get(name)
        if name not in examination.profile.tables or found is None:
            return None
        if any(column not in found.columns for column in columns):
            return None
    return {table: sql.Identifier(schema, table) for table in _COLUMNS}


async def _secrets(examination: Examination) -> MedianestSecrets | None:
    relations = await _relations(examination)
    if relations is None:
        return None

    async def ask() -> MedianestSecrets:
        return await examination.session.fetch_one(MEDIANEST_SECRETS, relations=relations)

    return await examination.once("medianest secrets", ask)


async def passwords(examination: Examination) -> Outcome | None:
    found = await _secrets(examination)
    if found is None:
        return None
    summary = f"{found.bcrypt - found.cheap} of {found.passwords} are bcrypt of cost 10 or more"
    return Outcome(summary, tuple(_password_findings(found)))


def _password_findings(found: MedianestSecrets) -> Iterator[Finding]:
    asked = "users.password_hash: how many match bcrypt's form, and its cost (no value is read)"
    other = found.passwords - found.bcrypt
    if other:
        yield Finding(
            PASSWORDS,
            Severity.FAILURE,
            "users.password_hash",
            f"{counted(other, 'password is', 'passwords are')} not of bcrypt's form, and perhaps"
            " plain text.",
            Evidence(asked, f"{found.bcrypt} of {found.passwords} are bcrypt"),
            "-- hash them with bcrypt, cost 12, and ask these users for a new password:\n"
            "UPDATE users SET requires_password_change = true WHERE password_hash !~ '^\\$2[aby]';",
        )
    if found.cheap:
        yield Finding(
            PASSWORDS,
            Severity.WARNING,
            "users.password_hash",
            f"{counted(found.cheap, 'password has', 'passwords have')} a bcrypt cost below 10 and"
            " can be guessed quickly.",
            Evidence(asked, f"{found.cheap} of {found.passwords} cost less than 10"),
            "-- raise the cost in the application; hashes are renewed as users log in",
        )


async def tokens(examination: Examination) -> Outcome | None:
    found = await _secrets(examination)
    if found is None:
        return None
    summary = f"{found.hashed} of {found.tokens} look like hashes"
    plain = found.tokens - found.hashed
    if not plain:
        return Outcome(summary)
    finding = Finding(
        TOKENS,
        Severity.FAILURE,
        "session_tokens.token_hash",
        f"{counted(plain, 'token does', 'tokens do')} not look like a hash: whoever reads the table"
        " or a backup could be that user.",
        Evidence(
            "session_tokens.token_hash: how many have the form of SHA-256, bcrypt or argon2 (no"
            " value is read)",
            summary,
        ),
        "-- store SHA-256 of the token, and end these sessions:\n"
        "DELETE FROM session_tokens WHERE token_hash !~ '^[0-9a-f]{64}$';",
    )
    return Outcome(summary, (finding,))


async def secrets(examination: Examination) -> Outcome | None:
    """Keys to other services that stand in the tables, and in every backup, as they are."""
    found = await _secrets(examination)
    if found is None:
        return None
    plain = [
        (f"users.plex_token: {found.plain_plex_tokens} of {found.plex_tokens}")
        if found.plain_plex_tokens
        else "",
        (f"service_config.api_key: {found.plain_api_keys} of {found.api_keys}")
        if found.plain_api_keys
        else "",
    ]
    plain = [part for part in plain if part]
    number = found.plain_plex_tokens + found.plain_api_keys
    summary = f"{number} of {found.plex_tokens + found.api_keys} in plain text"
    if not plain:
        return Outcome(summary)
    reachable = await facts.exposure(examination) is Exposure.NETWORK
    finding = Finding(
        SECRETS,
        Severity.WARNING if reachable else Severity.INFO,
        "users.plex_token, service_config.api_key",
        "Keys to Plex and other services are kept in plain text: whoever reads these tables, or a"
        " backup, can use them.",
        Evidence("how many do not have the form of an encrypted value (no value is read)",
                 "; ".join(plain)),
        "-- encrypt them in the application, with a key that is not in the database; until then"
        "\n-- encrypt backups and keep these tables from other roles",
    )  # fmt: skip
    return Outcome(summary, (finding,))


async def expired(examination: Examination) -> Outcome | None:
    """Sessions and tokens past their time; a few days' worth is usual, months' are not."""
    relations = await _relations(examination)
    if relations is None:
        return None
    found = await examination.session.fetch_one(MEDIANEST_EXPIRED, relations=relations)
    total = found.sessions + found.tokens + found.verifications
    old = found.old_sessions + found.old_tokens + found.old_verifications
    summary = f"{total} expired, {old} of them for more than 30 days"
    if not old:
        return Outcome(summary)
    finding = Finding(
        EXPIRED,
        Severity.INFO,
        "sessions, session_tokens, verification_tokens",
        f"{counted(old, 'row')} expired more than 30 days ago and still there: nobody cleans up.",
        Evidence(
            "rows whose time is past, in UTC",
            f"sessions {found.old_sessions}, session_tokens {found.old_tokens},"
            f" verification_tokens {found.old_verifications}",
        ),
        "DELETE FROM sessions WHERE expires < now() AT TIME ZONE 'UTC' - interval '30 days';\n"
        "DELETE FROM session_tokens"
        " WHERE expires_at < now() AT TIME ZONE 'UTC' - interval '30 days';\n"
        "DELETE FROM verification_tokens"
        " WHERE expires < now() AT TIME ZONE 'UTC' - interval '30 days';",
    )
    return Outcome(summary, (finding,))


_READS = "SELECT on MediaNest's tables"

CHECKS = (
    Check(PASSWORDS, "Users' passwords", "MediaNest's passwords are bcrypt hashes.", passwords,
          needs_profile=True, privileges=_READS),
    Check(TOKENS, "Session tokens", "MediaNest keeps hashes of tokens, not tokens.", tokens,
          needs_profile=True, privileges=_READS),
    Check(SECRETS, "Keys to services", "Keys to other services are encrypted.", secrets,
          needs_profile=True, privileges=_READS, cis="6.9"),
    Check(EXPIRED, "Expired sessions", "Expired sessions and tokens are cleaned up.", expired,
          needs_profile=True, privileges=_READS),
)  # fmt: skip
