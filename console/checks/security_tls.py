"""Encryption on the way: TLS of the server, its certificate, and the sessions of now."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from console import tls
from console.checks import facts
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import (
    Rule,
    alter_system,
    broken,
    counted,
    grouped,
    hidden,
    settings_finding,
)
from console.errors import ConnectionFailed
from console.findings import Evidence, Finding, Severity
from console.names import quoted
from console.parameters import Exposure, Parameters, is_loopback

TLS = "security.tls"
CERTIFICATE = "security.certificate"
PLAIN_SESSIONS = "security.plaintext-sessions"
SESSION = "security.session"

_EXPIRES_SOON_DAYS = 30
_PROTOCOLS = ("TLSv1.2", "TLSv1.3")
_WEAK_CIPHERS = ("RC4", "3DES", "DES-CBC", "NULL", "EXPORT", "LOW", "aNULL", "eNULL", "MD5")


async def server_tls(examination: Examination) -> Outcome:
    """Whether the server has TLS, and from which protocol and ciphers on."""
    found = await facts.parameters(examination)
    if not found.is_on("ssl"):
        return Outcome("off", (_no_tls(found),))
    wrong = broken(found, _TLS_RULES)
    least = found.text("ssl_min_protocol_version")
    summary = f"on, from {least}"
    if not wrong:
        return Outcome(summary)
    finding = settings_finding(
        TLS,
        facts.graver(found.exposure),
        "TLS is on, and takes what has been broken.",
        found,
        wrong,
    )
    return Outcome(summary, (finding,))


def _no_tls(found: Parameters) -> Finding:
    exposure = found.exposure
    answer = found.shown("ssl") + "; " + found.shown("listen_addresses")
    if exposure is Exposure.NETWORK:
        message = (
            "The server has no TLS: what passes between it and its clients can be read and"
            " changed on the way."
        )
        fix = (
            "-- put server.crt and server.key (0600) into the data directory, then:\n"
            + alter_system(found, "ssl", "on")
        )
    else:
        message = f"The server has no TLS, and is reachable {exposure.value}."
        fix = ""
    evidence = Evidence("pg_settings: ssl, listen_addresses", answer)
    return Finding(TLS, facts.graver(exposure), "ssl", message, evidence, fix)


def _protocol_holds(found: Parameters) -> bool | None:
    least = found.text("ssl_min_protocol_version")
    return None if least is None else least in _PROTOCOLS


def _ciphers_hold(found: Parameters) -> bool | None:
    ciphers = found.text("ssl_ciphers")
    if ciphers is None:
        return None
    allowed = [part for part in ciphers.replace(",", ":").split(":") if part[:1] not in "!-"]
    return not any(part.lstrip("+") in _WEAK_CIPHERS or part == "ALL" for part in allowed)


_TLS_RULES = (
    Rule("ssl_min_protocol_version", _protocol_holds, "TLSv1.2", "older TLS is broken"),
    Rule("ssl_ciphers", _ciphers_hold, "HIGH:!aNULL:!MD5:!3DES", "weak ciphers are allowed"),
)


async def certificate(examination: Examination) -> Outcome | None:
    """What the server shows in the handshake; the private key's file where it can be seen."""
    found = await facts.parameters(examination)
    if not found.is_on("ssl") or found.exposure is Exposure.SOCKET:
        return None
    host, port = _place(examination)
    roots = examination.target.effective.get("sslrootcert")
    authorities = Path(roots) if roots and Path(roots).is_file() else None
    try:
        seen = await asyncio.to_thread(tls.handshake, host, port, authorities=authorities)
    except ConnectionFailed as error:
        return Outcome("could not be read", (unknown(CERTIFICATE, f"{host}:{port}", str(error)),))
    findings = [
        *_certificate_findings(host, port, seen, found.exposure),
        *_key_file(found),
    ]
    shown = seen.certificate
    if shown is None:
        return Outcome("none shown", tuple(findings))
    days = shown.days_left(seen.at)
    summary = (
        f"{seen.protocol}, {shown.key}"
        + (f" {shown.key_bits} bits" if shown.key == "RSA" else "")
        + f", {shown.signature}, {_left(days)}"
    )
    return Outcome(summary, tuple(findings))


def _left(days: float) -> str:
    return f"expired {-days:.0f} days ago" if days < 0 else f"{days:.0f} days left"


def _place(examination: Examination) -> tuple[str, int]:
    """Where the server is asked: over TCP, for a socket has no TLS."""
    effective = examination.target.effective
    host = effective.get("host", "").partition(",")[0]
    if not host or host.startswith(("/", "@")):
        host = "localhost"
    host = effective.get("hostaddr", "").partition(",")[0] or host
    return host, int(effective.get("port", "5432").partition(",")[0] or 5432)


def _certificate_findings(
    host: str, port: int, seen: tls.Handshake, exposure: Exposure
) -> Iterator[Finding]:
    asked = f"SSLRequest to {host}:{port}, then the handshake"
    subject = f"{host}:{port}"
    if not seen.is_offered or seen.certificate is None:
        message = "The server's ssl is on, but TLS was not offered: something stands in between."
        evidence = Evidence(asked, "N", seen.at)
        yield Finding(CERTIFICATE, facts.graver(exposure), subject, message, evidence)
        return
    shown = seen.certificate
    days = shown.days_left(seen.at)
    evidence = Evidence(
        asked,
        f"{seen.protocol} {seen.cipher}; subject {shown.subject or 'without name'}, issuer"
        f" {shown.issuer or 'without name'}, names {', '.join(shown.names) or 'none'}, from"
        f" {shown.not_before:%Y-%m-%d} to {shown.not_after:%Y-%m-%d}, {shown.key}"
        f" {shown.key_bits or ''}, {shown.signature}",
        seen.at,
    )
    renew = "-- put a new server.crt and server.key in place, then: SELECT pg_reload_conf();"
    if days < 0:
        message = f"The certificate has expired {-days:.0f} days ago."
        yield Finding(CERTIFICATE, Severity.FAILURE, subject, message, evidence, renew)
    elif days < _EXPIRES_SOON_DAYS:
        message = f"The certificate expires in {days:.0f} days."
        yield Finding(CERTIFICATE, Severity.WARNING, subject, message, evidence, renew)
    if shown.is_weak:
        message = f"Its key or signature is weak: {shown.key} {shown.key_bits}, {shown.signature}."
        yield Finding(CERTIFICATE, Severity.WARNING, subject, message, evidence, renew)
    if seen.complaint and days >= 0:
        yield _untrusted(host, seen, exposure, subject, evidence)


def _untrusted(
    host: str, seen: tls.Handshake, exposure: Exposure, subject: str, evidence: Evidence
) -> Finding:
    """A chain that a client which verifies refuses; with only one's own machine to fear, a note."""
    shown = seen.certificate
    signed = " It signed itself." if shown is not None and shown.is_self_signed else ""
    named = shown is not None and shown.is_for(host)
    return Finding(
        CERTIFICATE,
        Severity.INFO if is_loopback(host) else facts.graver(exposure),
        subject,
        f"A client with sslmode=verify-full refuses it ({seen.complaint}).{signed}"
        + ("" if named else f" It is not for the name {host}."),
        evidence,
        "-- issue it for the host's name by an authority that clients have as sslrootcert; a client"
        " with sslmode=require takes any certificate, also a stranger's",
    )


def _key_file(found: Parameters) -> Iterator[Finding]:
    """The private key's permissions, where the file is visible from here."""
    name, directory = found.text("ssl_key_file"), found.text("data_directory")
    if not name or not directory:
        return
    path = Path(directory) / name
    try:
        state = os.stat(path)
    except OSError:
        return
    mode = stat.S_IMODE(state.st_mode)
    allowed = 0o640 if state.st_uid == 0 else 0o600
    if mode & ~allowed:
        yield Finding(
            CERTIFICATE,
            Severity.FAILURE,
            str(path),
            f"The private key can be read by others (mode {mode:04o}).",
            Evidence(f"stat {path}", f"mode {mode:04o}, owner {state.st_uid}"),
            f"chmod {allowed:o} {path}",
        )


async def plain_sessions(examination: Examination) -> Outcome:
    """Sessions of other machines whose connection is not encrypted."""
    if not facts.sees_all_sessions(examination):
        return hidden(
            PLAIN_SESSIONS,
            "other roles' sessions",
            f"GRANT pg_read_all_stats TO {quoted(examination.role)};",
        )
    sessions = await facts.client_sessions(examination)
    remote = [s for s in sessions if not s.is_socket and not is_loopback(s.address)]
    plain = [s for s in remote if not s.is_encrypted]
    total = sum(session.sessions for session in remote)
    summary = f"{counted(total, 'session')} of other machines"
    if not plain:
        return Outcome(summary)
    number = sum(session.sessions for session in plain)
    finding = grouped(
        PLAIN_SESSIONS,
        Severity.WARNING,
        [f"{s.role} from {s.address} ({s.sessions}, {s.application or 'nameless'})" for s in plain],
        f"{counted(number, 'session')} of other machines without TLS; inside one container network"
        " that is usual, across machines it is not.",
        "pg_stat_ssl joined with pg_stat_activity: NOT ssl, client_addr not of this machine",
        ("-- sslmode=require (better verify-full) in the application's URL; hostssl in"
         " pg_hba.conf",),
    )  # fmt: skip
    return Outcome(summary, (finding,))


async def own_session(examination: Examination) -> Outcome:
    """How this very session reaches the server."""
    sessions = await facts.client_sessions(examination)
    own = next(session for session in sessions if session.is_own)
    if own.is_socket:
        return Outcome("over the unix socket")
    if own.is_encrypted:
        return Outcome(f"{own.protocol} from {own.address}")
    summary = f"without TLS from {own.address}"
    if is_loopback(own.address):
        return Outcome(summary)
    finding = Finding(
        SESSION,
        Severity.WARNING,
        f"{own.role} from {own.address}",
        "The console itself is connected without TLS from another machine's address.",
        Evidence("pg_stat_ssl of this session", "ssl = false"),
        "-- add ?sslmode=verify-full to the address, or go through an SSH tunnel",
    )
    return Outcome(summary, (finding,))


CHECKS = (
    Check(TLS, "TLS", "Clients can use TLS, and none that is broken.", server_tls, cis="6.8"),
    Check(CERTIFICATE, "Certificate", "The certificate is valid, strong and for this host.",
          certificate, cis="6.8"),
    Check(PLAIN_SESSIONS, "Plain sessions", "Sessions of other machines are encrypted.",
          plain_sessions, cis="5.8", privileges="pg_read_all_stats"),
    Check(SESSION, "This session", "The console's own session is encrypted or local.", own_session,
          cis="5.8"),
)  # fmt: skip
