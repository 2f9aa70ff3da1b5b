"""An X.509 certificate read from its DER bytes: names, validity, key and signature.

Only what an operator asks about is read (RFC 5280, section 4.1); nothing is verified here. Python's
ssl module decodes a certificate only after it verified it, so an expired one would stay unread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

_OID, _BITS = 0x06, 0x03
_UTC_TIME = 0x17
_COMMON_NAME = "2.5.4.3"
_ALTERNATIVE_NAMES = "2.5.29.17"
_DNS, _ADDRESS = 0x82, 0x87
_EXTENSIONS = 0xA3
_VERSION = 0xA0

_RSA = "1.2.840.113549.1.1.1"
_EC = "1.2.840.10045.2.1"
_CURVES = {
    "1.2.840.10045.3.1.7": ("P-256", 256),
    "1.3.132.0.34": ("P-384", 384),
    "1.3.132.0.35": ("P-521", 521),
}
_KEYS = {"1.3.101.112": ("Ed25519", 256), "1.3.101.113": ("Ed448", 456)}
_SIGNATURES = {
    "1.2.840.113549.1.1.4": "RSA with MD5",
    "1.2.840.113549.1.1.5": "RSA with SHA-1",
    "1.2.840.113549.1.1.10": "RSA-PSS",
    "1.2.840.113549.1.1.11": "RSA with SHA-256",
    "1.2.840.113549.1.1.12": "RSA with SHA-384",
    "1.2.840.113549.1.1.13": "RSA with SHA-512",
    "1.2.840.10045.4.1": "ECDSA with SHA-1",
    "1.2.840.10045.4.3.2": "ECDSA with SHA-256",
    "1.2.840.10045.4.3.3": "ECDSA with SHA-384",
    "1.2.840.10045.4.3.4": "ECDSA with SHA-512",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    subject: str
    """Its common name; '' when it has none."""
    issuer: str
    names: tuple[str, ...]
    """Alternative DNS names and addresses; the common name counts only without any."""
    not_before: datetime
    not_after: datetime
    key: str
    """RSA, P-256, Ed25519 ..., or an object identifier."""
    key_bits: int | None
    signature: str
    is_self_signed: bool
    """Subject and issuer are the same."""

    def days_left(self, now: datetime) -> float:
        """Days until it expires; negative when it has."""
        return (self.not_after - now).total_seconds() / 86400

    @property
    def is_weak(self) -> bool:
        """Its key or signature is below what NIST SP 800-57 allows since 2014."""
        short = self.key == "RSA" and self.key_bits is not None and self.key_bits < 2048
        return short or self.signature.endswith(("MD5", "SHA-1"))

    def is_for(self, host: str) -> bool:
        """Whether a client that checks names would take it for `host` (RFC 6125, one wildcard)."""
        names = self.names or ((self.subject,) if self.subject else ())
        return any(_matches(name.lower(), host.lower()) for name in names)


def _matches(name: str, host: str) -> bool:
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:] and "." in host
    return name == host


@dataclass(frozen=True, slots=True)
class _Node:
    tag: int
    content: bytes

    def children(self) -> list[_Node]:
        return list(_nodes(self.content))


def read_certificate(der: bytes) -> Certificate:
    """Raises ValueError for bytes that are no certificate."""
    try:
        return _certificate(der)
    except (IndexError, OverflowError, UnicodeDecodeError, StopIteration) as error:
        raise ValueError("these bytes are no X.509 certificate") from error


def _certificate(der: bytes) -> Certificate:
    body, algorithm = next(_nodes(der)).children()[:2]
    parts = body.children()
    if parts[0].tag == _VERSION:
        parts = parts[1:]
    _serial, _algorithm, issuer, validity, subject, key = parts[:6]
    begins, ends = (_time(node) for node in validity.children()[:2])
    key_name, key_bits = _key(key)
    signature = _identifier(algorithm.children()[0])
    return Certificate(
        subject=_common_name(subject),
        issuer=_common_name(issuer),
        names=tuple(_alternative_names(parts[6:])),
        not_before=begins,
        not_after=ends,
        key=key_name,
        key_bits=key_bits,
        signature=_SIGNATURES.get(signature, signature),
        is_self_signed=subject.content == issuer.content,
    )


def _nodes(content: bytes) -> Iterator[_Node]:
    at = 0
    while at < len(content):
        tag, length, at = content[at], content[at + 1], at + 2
        if length & 0x80:
            width = length & 0x7F
            length, at = int.from_bytes(content[at : at + width], "big"), at + width
        if at + length > len(content):
            raise ValueError("a certificate cut short")
        yield _Node(tag, content[at : at + length])
        at += length


def _identifier(node: _Node) -> str:
    if node.tag != _OID:
        raise ValueError("an object identifier")
    numbers, number = [], 0
    for byte in node.content:
        number = (number << 7) | (byte & 0x7F)
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))


def _time(node: _Node) -> datetime:
    text = node.content.decode("ascii").removesuffix("Z")
    if node.tag == _UTC_TIME:
        # RFC 5280, 4.1.2.5.1: years 50 to 99 are of the last century.
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _common_name(name: _Node) -> str:
    for group in name.children():
        for pair in group.children():
            kind, value = pair.children()[:2]
            if _identifier(kind) == _COMMON_NAME:
                return value.content.decode("utf-8", "replace")
    return ""


def _key(node: _Node) -> tuple[str, int | None]:
    algorithm, bits = node.children()[:2]
    kinds = algorithm.children()
    kind = _identifier(kinds[0])
    if kind == _RSA and bits.tag == _BITS:
        modulus = next(_nodes(bits.content[1:])).children()[0]
        return "RSA", int.from_bytes(modulus.content, "big").bit_length()
    if kind == _EC and len(kinds) > 1 and kinds[1].tag == _OID:
        curve = _identifier(kinds[1])
        return _CURVES.get(curve, (curve, None))
    return _KEYS.get(kind, (kind, None))


def _alternative_names(rest: list[_Node]) -> Iterator[str]:
    for part in rest:
        if part.tag != _EXTENSIONS:
            continue
        for extension in part.children()[0].children():
            fields = extension.children()
            if _identifier(fields[0]) == _ALTERNATIVE_NAMES:
                yield from _general_names(next(_nodes(fields[-1].content)))


def _general_names(names: _Node) -> Iterator[str]:
    for name in names.children():
        if name.tag == _DNS:
            yield name.content.decode("ascii", "replace")
        elif name.tag == _ADDRESS and len(name.content) in (4, 16):
            yield str(ip_address(name.content))
