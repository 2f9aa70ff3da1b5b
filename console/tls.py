"""What a server shows of its TLS before anybody logs in: protocol, cipher and certificate.

PostgreSQL begins in plain text: the client sends SSLRequest and the server answers S or N (its
documentation, "SSL Session Encryption"). Nothing is sent after the handshake, and no trust is
needed to look; a second handshake tells whether a client that verifies would trust what it sees.
"""

from __future__ import annotations

import select
import socket
import ssl
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from console.certificate import Certificate, read_certificate
from console.errors import ConnectionFailed

_SSL_REQUEST = struct.pack("!II", 8, 80877103)
SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Handshake:
    """What the server showed; without TLS only `at` and `is_offered` (false) say something."""

    at: datetime
    is_offered: bool
    protocol: str = ""
    """TLSv1.3, TLSv1.2 ..., the best that both sides know."""
    cipher: str = ""
    certificate: Certificate | None = None
    complaint: str = ""
    """Why a client that verifies would not trust it; '' when it would."""


def handshake(
    host: str, port: int, *, authorities: Path | None = None, seconds: float = SECONDS
) -> Handshake:
    """Ask the server at host and port for TLS and read what it shows.

    `authorities` is a PEM file to trust besides the system's. Raises ConnectionFailed when nobody
    answers in `seconds`, or not as PostgreSQL does.
    """
    looking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    looking.check_hostname = False
    looking.verify_mode = ssl.CERT_NONE
    # A server that offers only what is outdated is to be seen, not refused.
    looking.set_ciphers("ALL:@SECLEVEL=0")
    now = datetime.now(UTC)
    try:
        with socket.create_connection((host, port), seconds) as plain:
            if not _offers(plain, host, port):
                return Handshake(now, is_offered=False)
            with looking.wrap_socket(plain, server_hostname=host) as secure:
                der = secure.getpeercert(binary_form=True)
                protocol = secure.version() or ""
                cipher = (secure.cipher() or ("", "", 0))[0]
        certificate = read_certificate(der) if der else None
    except OSError as error:
        raise ConnectionFailed(
            f"The TLS of {host}:{port} could not be read: {_reason(error)}.",
            "Check that the port is PostgreSQL's own and is reachable from here.",
        ) from error
    except ValueError as error:
        raise ConnectionFailed(
            f"The certificate of {host}:{port} could not be read: {error}.",
            "Look at it with: openssl s_client -starttls postgres -connect HOST:PORT.",
        ) from error
    complaint = _complaint(host, port, authorities, seconds)
    return Handshake(now, True, protocol, cipher, certificate, complaint)


def _offers(plain: socket.socket, host: str, port: int) -> bool:
    plain.sendall(_SSL_REQUEST)
    answer = plain.recv(1)
    if answer == b"N":
        return False
    # Bytes before the handshake are not the server's, or not meant well (CVE-2021-23214).
    if answer != b"S" or select.select([plain], [], [], 0)[0]:
        raise ConnectionFailed(
            f"{host}:{port} does not answer as PostgreSQL does.",
            "Check host and port; a proxy in between must pass PostgreSQL's protocol on.",
        )
    return True


def _complaint(host: str, port: int, authorities: Path | None, seconds: float) -> str:
    """Shake hands again as a client that verifies chain and name does."""
    strict = ssl.create_default_context()
    try:
        if authorities is not None:
            strict.load_verify_locations(authorities)
        with socket.create_connection((host, port), seconds) as plain:
            if not _offers(plain, host, port):
                return "the server offered TLS once and then not again"
            with strict.wrap_socket(plain, server_hostname=host):
                return ""
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except OSError as error:
        return _reason(error)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).rstrip(".")
