"""In which form passwords are kept, and will be; the verifiers themselves stay on the server."""

from __future__ import annotations

from collections.abc import Iterator

from console.checks import facts
from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import (
    Rule,
    broken,
    counted,
    grouped,
    hidden,
    one_of,
    settings_finding,
)
from console.errors import PrivilegeMissing
from console.findings import Finding, Severity
from console.names import quoted
from console.parameters import Exposure
from queries.security import PASSWORD_FORMS, PasswordForm

PASSWORDS = "security.passwords"
PASSWORD_ENCRYPTION = "security.password-encryption"

_ITERATIONS = 4096
"""PostgreSQL's own default, and the least that RFC 7677 asks of SCRAM-SHA-256."""


async def passwords(examination: Examination) -> Outcome:
    """In which form pg_authid keeps passwords; the verifiers themselves stay on the server."""
    try:
        forms = await examination.session.fetch(PASSWORD_FORMS)
    except PrivilegeMissing:
        return hidden(
            PASSWORDS,
            "in which form passwords are kept (pg_authid)",
            "-- run this check as a superuser",
        )
    scram = sum(form.form == "scram" for form in forms)
    kept = sum(form.form != "none" for form in forms)
    exposure = await facts.exposure(examination)
    return Outcome(
        f"{scram} of {kept} passwords kept as SCRAM-SHA-256",
        tuple(_password_findings(forms, exposure)),
    )


def _password_findings(forms: list[PasswordForm], exposure: Exposure) -> Iterator[Finding]:
    asked = "pg_authid: beginning of rolpassword of login roles (the value is not read)"
    md5 = [form.role for form in forms if form.form in ("md5", "other")]
    if md5:
        yield grouped(
            PASSWORDS,
            Severity.WARNING,
            md5,
            f"{counted(len(md5), 'password is', 'passwords are')} kept as MD5: whoever reads the"
            " verifier, in a backup too, can log in with it.",
            asked,
            (
                "SET password_encryption = 'scram-sha-256';",
                *(f"\\password {quoted(name)} -- in psql" for name in md5),
            ),
        )
    weak = [f.role for f in forms if f.iterations is not None and f.iterations < _ITERATIONS]
    if weak:
        yield grouped(
            PASSWORDS,
            Severity.WARNING,
            weak,
            f"{counted(len(weak), 'password has', 'passwords have')} fewer than {_ITERATIONS} SCRAM"
            " iterations and can be guessed quicker.",
            asked,
            (
                f"SET scram_iterations = {_ITERATIONS};",
                *(f"\\password {quoted(name)} -- in psql" for name in weak),
            ),
        )
    none = [form.role for form in forms if form.form == "none"]
    if none:
        yield grouped(
            PASSWORDS,
            Severity.INFO,
            none,
            f"{counted(len(none), 'login role has', 'login roles have')} no password; only peer,"
            " cert, ident or trust lets them in"
            + (" (see security.hba-methods)." if exposure is Exposure.NETWORK else "."),
            asked,
            (f"ALTER ROLE {quoted(name)} NOLOGIN; -- when nobody uses it" for name in none),
        )


_ENCRYPTION = one_of(
    "password_encryption", ("scram-sha-256",), "new passwords; set the old ones again"
)
_SCRAM = Rule(
    "scram_iterations",
    lambda found: None if (n := found.number("scram_iterations")) is None else n >= _ITERATIONS,
    str(_ITERATIONS),
    "fewer make guessing quicker",
)


async def password_encryption(examination: Examination) -> Outcome:
    found = await facts.parameters(examination)
    wrong = broken(found, (_ENCRYPTION, _SCRAM))
    summary = found.text("password_encryption") or ""
    if not wrong:
        return Outcome(summary)
    finding = settings_finding(
        PASSWORD_ENCRYPTION,
        Severity.WARNING,
        "New passwords are kept in a weak form.",
        found,
        wrong,
    )
    return Outcome(summary, (finding,))


CHECKS = (
    Check(PASSWORDS, "Passwords", "Every password is kept as SCRAM-SHA-256.", passwords,
          cis="5.12", privileges="superuser"),
    Check(PASSWORD_ENCRYPTION, "Password encryption", "New passwords are kept as SCRAM-SHA-256.",
          password_encryption, cis="5.12"),
)  # fmt: skip
