"""Who is let in from where: listen_addresses and the rules of pg_hba.conf and pg_ident.conf."""

from __future__ import annotations

from collections.abc import Iterator

from console import hba
from console.checks import facts
from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import counted, grouped, hidden
from console.errors import PrivilegeMissing
from console.findings import Evidence, Finding, Severity
from console.names import quoted
from console.parameters import Exposure, Parameters
from queries.security import HBA_RULES, IDENTITY_MAPS, HbaRule

LISTEN = "security.listen"
HBA_ERRORS = "security.hba-errors"
HBA_METHODS = "security.hba-methods"
HBA_ADDRESSES = "security.hba-addresses"
HBA_SUPERUSER = "security.hba-superuser"
HBA_REPLICATION = "security.hba-replication"
HBA_ORDER = "security.hba-order"
HBA_TLS = "security.hba-tls"
IDENTITIES = "security.ident-maps"

_ASKED = "pg_hba_file_rules, in their order"


async def listen(examination: Examination) -> Outcome:
    """From how far the server can be reached; a container without published port looks open."""
    found = await facts.parameters(examination)
    addresses = found.text("listen_addresses") or ""
    summary = f"reachable {found.exposure.value}"
    if "*" not in addresses and "0.0.0.0" not in addresses and "::" not in addresses.split(","):
        return Outcome(summary)
    finding = Finding(
        LISTEN,
        Severity.INFO,
        "listen_addresses",
        "The server listens on every address of its machine; right in a container, elsewhere name"
        " the addresses it needs.",
        Evidence("pg_settings: listen_addresses, port", f"{addresses}, port {found.text('port')}"),
        "ALTER SYSTEM SET listen_addresses = 'localhost'; -- then restart; in a container publish"
        " 127.0.0.1:5432:5432, or no port",
    )
    return Outcome(summary, (finding,))


async def _rows(examination: Examination) -> list[HbaRule]:
    session = examination.session
    return await examination.once("hba rules", lambda: session.fetch(HBA_RULES))


async def _rules(examination: Examination) -> list[hba.Rule] | None:
    """The rules that let somebody in or keep them out; None where the role may not see them."""
    try:
        return hba.rules(await _rows(examination))
    except PrivilegeMissing:
        return None


def _unseen(check: str, examination: Examination) -> Outcome:
    role = quoted(examination.role)
    return hidden(
        check,
        "the rules of pg_hba.conf",
        f"GRANT SELECT ON pg_hba_file_rules TO {role}; -- as a superuser\n"
        f"GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO {role};",
    )


async def hba_errors(examination: Examination) -> Outcome:
    """Lines that the server cannot read: it keeps the old rules, and does not start with these."""
    try:
        rows = await _rows(examination)
    except PrivilegeMissing:
        return _unseen(HBA_ERRORS, examination)
    wrong = [row for row in rows if row.error is not None]
    summary = counted(len(rows) - len(wrong), "rule")
    if not wrong:
        return Outcome(summary)
    finding = grouped(
        HBA_ERRORS,
        Severity.FAILURE,
        [f"line {row.line}: {row.error}" for row in wrong],
        f"{counted(len(wrong), 'line')} of pg_hba.conf cannot be read: the server goes on with the"
        " old rules, and will not start again.",
        "pg_hba_file_rules: error",
        (f"-- correct line {row.line} of {row.file or 'pg_hba.conf'}" for row in wrong),
    )
    return Outcome(summary, (finding,))


async def hba_methods(examination: Examination) -> Outcome:
    """Rules that let in without a password, or with one that can be read or replayed."""
    found = await _rules(examination)
    if found is None:
        return _unseen(HBA_METHODS, examination)
    parameters = await facts.parameters(examination)
    exposure = parameters.exposure
    # A server that does not listen lets nobody in over TCP, whatever the file says.
    live = [rule for rule in found if rule.is_local or exposure is not Exposure.SOCKET]
    methods = sorted({rule.method for rule in live})
    findings = [
        *_trusting(live, parameters),
        *_readable(live),
        *_outdated(live, exposure),
    ]
    return Outcome(f"{counted(len(live), 'rule')}: {', '.join(methods)}", tuple(findings))


def _trusting(rules: list[hba.Rule], found: Parameters) -> Iterator[Finding]:
    """trust is a password nobody needs: for the network a failure, inside the machine a warning."""
    trusting = [rule for rule in rules if rule.method == "trust"]
    remote = [rule for rule in trusting if rule.is_remote and found.exposure is Exposure.NETWORK]
    if remote:
        yield _rule_finding(
            HBA_METHODS,
            Severity.FAILURE,
            remote,
            f"{counted(len(remote), 'rule lets', 'rules let')} anybody on the network in as any"
            " role, without a password.",
            "scram-sha-256 in place of trust",
        )
    inside = [rule for rule in trusting if rule not in remote]
    if not inside:
        return
    closed = _socket_is_closed(found) and all(rule.is_local for rule in inside)
    yield _rule_finding(
        HBA_METHODS,
        Severity.INFO if closed else Severity.WARNING,
        inside,
        "Whoever is on the server's machine, or in its container, is let in as any role without a"
        " password" + (", if its socket lets that account in." if closed else "."),
        "peer for local and scram-sha-256 for 127.0.0.1 in place of trust (the container image"
        " writes trust; POSTGRES_INITDB_ARGS=--auth=scram-sha-256 makes it otherwise)",
    )


def _socket_is_closed(found: Parameters) -> bool:
    """Accounts other than the server's own cannot open the socket."""
    permissions = found.text("unix_socket_permissions")
    return permissions is not None and not int(permissions, 8) & 0o007


def _readable(rules: list[hba.Rule]) -> Iterator[Finding]:
    plain = [rule for rule in rules if rule.method == "password"]
    if plain:
        open_ones = any(rule.is_remote and rule.takes_plain_text for rule in plain)
        yield _rule_finding(
            HBA_METHODS,
            Severity.FAILURE if open_ones else Severity.WARNING,
            plain,
            "Passwords are sent as they are" + (", readable on the way." if open_ones else "."),
            "scram-sha-256 in place of password",
        )
    believed = [rule for rule in rules if rule.method == "ident" and rule.is_remote]
    if believed:
        yield _rule_finding(
            HBA_METHODS,
            Severity.WARNING,
            believed,
            "ident believes what the client's machine says about its user.",
            "scram-sha-256 or cert in place of ident",
        )


def _outdated(rules: list[hba.Rule], exposure: Exposure) -> Iterator[Finding]:
    md5 = [rule for rule in rules if rule.method == "md5"]
    if md5:
        remote = any(rule.is_remote for rule in md5)
        yield _rule_finding(
            HBA_METHODS,
            facts.graver(exposure) if remote else Severity.INFO,
            md5,
            "md5 takes SCRAM passwords too, but still lets those in that are kept as MD5.",
            "scram-sha-256 in place of md5, when security.passwords finds no MD5 any more",
        )


async def hba_addresses(examination: Examination) -> Outcome:
    """Rules for half the Internet."""
    found = await _rules(examination)
    if found is None:
        return _unseen(HBA_ADDRESSES, examination)
    wide = [rule for rule in found if rule.lets_in and rule.is_wide]
    summary = f"{len(wide)} of {counted(len(found), 'rule')} for wide networks"
    if not wide:
        return Outcome(summary)
    finding = _rule_finding(
        HBA_ADDRESSES,
        facts.graver(await facts.exposure(examination)),
        wide,
        f"{counted(len(wide), 'rule lets', 'rules let')} clients in from anywhere that reaches the"
        " server.",
        "the network of the application, e.g. 172.18.0.0/16, in place of all or 0.0.0.0/0",
    )
    return Outcome(summary, (finding,))


async def hba_superuser(examination: Examination) -> Outcome:
    """Superusers who may come in over the network."""
    found = await _rules(examination)
    if found is None:
        return _unseen(HBA_SUPERUSER, examination)
    roles = await facts.roles(examination)
    mighty = {role.name for role in roles if role.is_superuser and role.can_login}
    remote = [
        rule
        for rule in found
        if rule.lets_in
        and rule.is_remote
        and rule.reaches(mighty)
        and rule.databases != ("replication",)
    ]
    summary = f"{counted(len(remote), 'rule')} for superusers from elsewhere"
    if not remote:
        return Outcome(summary)
    finding = _rule_finding(
        HBA_SUPERUSER,
        facts.graver(await facts.exposure(examination)),
        remote,
        f"A superuser ({', '.join(sorted(mighty))}) may come in from another machine.",
        "before it: host all " + ",".join(quoted(name) for name in sorted(mighty)) + " all reject;"
        " work as superuser over the socket",
    )
    return Outcome(summary, (finding,))


async def hba_replication(examination: Examination) -> Outcome:
    """Rules by which the whole cluster can be copied away."""
    found = await _rules(examination)
    if found is None:
        return _unseen(HBA_REPLICATION, examination)
    rules = [rule for rule in found if rule.lets_in and rule.is_replication and rule.is_remote]
    loose = [rule for rule in rules if rule.is_wide or "all" in rule.users]
    summary = f"{counted(len(rules), 'rule')} for replication from elsewhere"
    if not loose:
        return Outcome(summary)
    finding = _rule_finding(
        HBA_REPLICATION,
        facts.graver(await facts.exposure(examination)),
        loose,
        f"{counted(len(loose), 'rule')} for replication from anywhere, or for any role with that"
        " right.",
        "the standby's address and its own role in these rules",
    )
    return Outcome(summary, (finding,))


async def hba_order(examination: Examination) -> Outcome:
    """Rules that never apply because an earlier one takes all they match."""
    found = await _rules(examination)
    if found is None:
        return _unseen(HBA_ORDER, examination)
    pairs = hba.shadowed(found)
    summary = f"{len(found) - len(pairs)} of {counted(len(found), 'rule')} can apply"
    if not pairs:
        return Outcome(summary)
    # A rule that was to keep somebody out, and does not, is worse than one said twice.
    harmful = any(later.method != earlier.method for later, earlier in pairs)
    finding = grouped(
        HBA_ORDER,
        Severity.WARNING if harmful else Severity.INFO,
        [f"{later} (hidden by line {earlier.line}: {earlier.method})" for later, earlier in pairs],
        f"{counted(len(pairs), 'rule never applies', 'rules never apply')}: the first match"
        " decides.",
        _ASKED,
        (f"-- move line {later.line} above line {earlier.line}" if later.method != earlier.method
         else f"-- remove line {later.line}" for later, earlier in pairs),
    )  # fmt: skip
    return Outcome(summary, (finding,))


async def hba_tls(examination: Examination) -> Outcome | None:
    """Rules that let clients of other machines in without TLS although the server has it."""
    parameters = await facts.parameters(examination)
    if not parameters.is_on("ssl"):
        return None
    found = await _rules(examination)
    if found is None:
        return _unseen(HBA_TLS, examination)
    plain = [rule for rule in found if rule.lets_in and rule.is_remote and rule.takes_plain_text]
    summary = f"{len(plain)} of {counted(len(found), 'rule')} let remote clients in without TLS"
    if not plain:
        return Outcome(summary)
    finding = _rule_finding(
        HBA_TLS,
        facts.graver(parameters.exposure),
        plain,
        "The server has TLS, and lets clients of other machines in without it.",
        "hostssl in place of host",
    )
    return Outcome(summary, (finding,))


async def identities(examination: Examination) -> Outcome | None:
    """Maps that make any account of the machine any role."""
    if facts.major(examination) < 15:
        return None
    try:
        maps = await examination.session.fetch(IDENTITY_MAPS)
    except PrivilegeMissing:
        role = quoted(examination.role)
        return hidden(
            IDENTITIES,
            "pg_ident.conf",
            f"GRANT SELECT ON pg_ident_file_mappings TO {role}; -- as a superuser\n"
            f"GRANT EXECUTE ON FUNCTION pg_ident_file_mappings() TO {role};",
        )
    wrong = [entry for entry in maps if entry.error is not None]
    anyone = [entry for entry in maps if entry.system_name in ("/^(.*)$", "/.*", "/^.*$", "all")]
    findings = []
    for severity, entries, message in (
        (Severity.FAILURE, wrong, "cannot be read by the server."),
        (Severity.WARNING, anyone, "take any account of the system for a role."),
    ):
        if entries:
            findings.append(
                grouped(
                    IDENTITIES,
                    severity,
                    [f"line {e.line}: {e.map} {e.system_name} {e.role}".rstrip() for e in entries],
                    f"Lines of pg_ident.conf {message}",
                    "pg_ident_file_mappings",
                    (f"-- name the accounts in line {e.line} of pg_ident.conf" for e in entries),
                )
            )
    return Outcome(counted(len(maps), "mapping"), tuple(findings))


def _rule_finding(
    check: str, severity: Severity, rules: list[hba.Rule], message: str, instead: str
) -> Finding:
    return grouped(
        check,
        severity,
        [str(rule) for rule in rules],
        message,
        _ASKED,
        (f"-- in pg_hba.conf: {instead}", "SELECT pg_reload_conf();"),
    )


_HBA = "superuser, or SELECT on pg_hba_file_rules and EXECUTE on its function"

CHECKS = (
    Check(LISTEN, "Listening", "The server listens where it must and nowhere else.", listen,
          cis="5.2"),
    Check(HBA_ERRORS, "Access rules", "Every line of pg_hba.conf can be read.", hba_errors,
          cis="5.4", privileges=_HBA),
    Check(HBA_METHODS, "Access methods", "Nobody comes in without a password, or shows it.",
          hba_methods, cis="5.3, 5.4", privileges=_HBA),
    Check(HBA_ADDRESSES, "Access addresses", "Rules name the networks of the applications.",
          hba_addresses, cis="5.9", privileges=_HBA),
    Check(HBA_SUPERUSER, "Superuser access", "Superusers come in from the server's machine only.",
          hba_superuser, cis="5.11", privileges=_HBA),
    Check(HBA_REPLICATION, "Replication access", "Only standbys may copy the cluster.",
          hba_replication, cis="7.1", privileges=_HBA),
    Check(HBA_ORDER, "Order of rules", "No access rule is hidden by an earlier one.", hba_order,
          cis="5.4", privileges=_HBA),
    Check(HBA_TLS, "TLS in rules", "Clients of other machines must use TLS.", hba_tls,
          cis="5.8", privileges=_HBA),
    Check(IDENTITIES, "Identity maps", "No map makes any account any role.", identities,
          cis="5.3", privileges="superuser", oldest=15),
)  # fmt: skip
