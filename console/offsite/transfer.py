"""Bytes on their way between here and a store: counted, hashed, sealed by age, and stoppable.

age (the format of age-encryption.org, here by pyrage) authenticates each 64 kB, so a flipped byte
is found where it is; it seals at several hundred MB a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from console.errors import CommandFailed, SettingsError

Answer = TypeVar("Answer")

_CHUNK = 1024 * 1024
_TOLD_SECONDS = 0.3


class Stopped(Exception):
    """The transfer was given up by whoever waits for it."""


@dataclass(slots=True)
class Transfer:
    """How far it is, and whether it is to go on."""

    done_bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        self._stop.set()

    def advance(self, amount: int) -> None:
        """Raises Stopped once nobody waits any more."""
        if self._stop.is_set():
            raise Stopped
        self.done_bytes += amount


async def in_thread(
    transfer: Transfer, work: Callable[[], Answer], tell: Callable[[int], None]
) -> Answer:
    """Do blocking work; `tell` hears its bytes. When cancelled, the work is stopped first."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_TOLD_SECONDS)
            tell(transfer.done_bytes)
    except asyncio.CancelledError:
        transfer.stop()
        await asyncio.wait({task})
        task.exception()
        raise
    return task.result()


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Writable(Protocol):
    def write(self, data: bytes, /) -> Any: ...


class Measured:
    """A stream that knows the length and SHA-256 of what went through, and what broke it.

    pyrage tells only the words of an error of a stream, so the error itself is kept here.
    """

    def __init__(self, stream: Any, transfer: Transfer | None = None) -> None:
        self._stream = stream
        self._transfer = transfer
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.error: Exception | None = None

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def read(self, size: int = -1) -> bytes:
        return self._keeping(lambda: self._seen(self._stream.read(size)))

    def write(self, data: bytes) -> int:
        def put() -> int:
            self._seen(data)
            self._stream.write(data)
            return len(data)

        return self._keeping(put)

    def flush(self) -> None:
        """age flushes at its end; the stream is flushed by whoever closes it."""

    def _seen(self, data: bytes) -> bytes:
        self._hash.update(data)
        self.bytes += len(data)
        if self._transfer is not None:
            self._transfer.advance(len(data))
        return data

    def _keeping(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except Exception as error:
            self.error = error
            raise


def copy(source: _Readable, into: _Writable) -> None:
    """All of it, as it is."""
    while data := source.read(_CHUNK):
        into.write(data)


def seal(source: Measured, into: Measured, recipients: Sequence[Any]) -> None:
    """All of it, encrypted for `recipients` (of `recipients_of`)."""
    import pyrage

    try:
        pyrage.encrypt_io(source, into, list(recipients))
    except (pyrage.EncryptError, OSError) as error:
        raise source.error or into.error or error from None


def unseal(source: Measured, into: Measured, identities: Sequence[Any]) -> None:
    """All of it, decrypted. Raises CommandFailed for a wrong identity or altered content."""
    import pyrage

    try:
        pyrage.decrypt_io(source, into, list(identities))
    except (pyrage.DecryptError, OSError) as error:
        own = source.error or into.error
        if own is not None:
            raise own from None
        raise CommandFailed(
            f"The copy cannot be decrypted: {str(error).rstrip('.').lower()}.",
            "Use the identity of one of its recipients, or another copy if it was altered.",
        ) from None


def recipients_of(keys: Sequence[str]) -> list[Any]:
    """age's recipients for public keys. Raises SettingsError for one that is none."""
    if not keys:
        return []
    pyrage = _pyrage()
    found = []
    for key in keys:
        kind = pyrage.ssh if key.startswith("ssh-") else pyrage.x25519
        try:
            found.append(kind.Recipient.from_str(key.strip()))
        except pyrage.RecipientError as error:
            raise SettingsError(
                f"'{key[:12]}...' is no age recipient: {error}.",
                "Write age1... as age-keygen prints it, or an ssh-ed25519 or ssh-rsa public key.",
            ) from error
    return found


def identities_of(path: Path | None) -> list[Any]:
    """age's identities of a file. Raises SettingsError when there are none."""
    if path is None:
        raise SettingsError(
            "The copy is encrypted, and the settings name no identity to read it with.",
            "Put the store's identity_file into the settings.",
        )
    pyrage = _pyrage()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"The identity file {path} cannot be read ({error.strerror}).",
            "Check the path and its permissions.",
        ) from error
    try:
        if content.startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = (line.strip() for line in content.decode().splitlines())
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if _is_key(line)]
    except (pyrage.IdentityError, UnicodeDecodeError):
        found = []
    if not found:
        raise SettingsError(
            f"The identity file {path} holds no key that age can use.",
            "Use what age-keygen wrote, or an SSH private key without a passphrase.",
        )
    return found


def _is_key(line: str) -> bool:
    return bool(line) and not line.startswith("#")


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError as error:
        raise SettingsError(
            "Encryption needs the package pyrage, which is not installed.",
            "Install medianest-console[offsite].",
        ) from error
    return pyrage


def file_reader(path: Path) -> BinaryIO:
    """A local file. Raises CommandFailed, so that no store is blamed for it."""
    try:
        return path.open("rb")
    except OSError as error:
        raise CommandFailed(
            f"{path} cannot be read: {error.strerror}.", "Verify the backup."
        ) from error
