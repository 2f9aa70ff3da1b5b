"""A store as a few operations on files, whatever it is: fsspec does the talking.

fsspec is taken for its S3 and SFTP clients; each is imported when a store of its kind is opened.
Everything here blocks: call it in a thread.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from console.errors import CommandFailed, SettingsError
from console.offsite.policy import StoreSettings

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_MOST_PARTS = 9_000
"""S3 takes 10,000 parts a file."""
_PART_BYTES = 8 * 1024 * 1024


class Place:
    """One opened store. Paths are relative to the url's directory, with slashes.

    Every method raises CommandFailed, naming the store, when it cannot be done.
    """

    def __init__(self, name: str, settings: StoreSettings) -> None:
        self.name = name
        self.settings = settings
        parts = urlsplit(settings.url)
        self.kind = parts.scheme
        path = unquote(parts.path)
        self._root = parts.netloc + path.rstrip("/") if self.kind == "s3" else path.rstrip("/")
        with self._explained():
            self._files = _OPENERS[self.kind](settings)

    def require_root(self) -> None:
        """The bucket or directory must be there: an unmounted NAS is not to be written under."""
        with self._explained():
            place = self._root.partition("/")[0] if self.kind == "s3" else self._root or "/"
            if not self._files.isdir(place):
                raise FileNotFoundError(errno.ENOENT, "it is not there", self.settings.url)

    def names(self, path: str = "") -> list[str]:
        """What a directory holds, sorted; [] when it is not there."""
        with self._explained():
            try:
                found = self._files.ls(self._full(path), detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return sorted(str(entry).rstrip("/").rpartition("/")[2] for entry in found)

    def size(self, path: str) -> int | None:
        """Bytes of a file as the store tells them; None when it is not there."""
        with self._explained():
            try:
                return int(self._files.size(self._full(path)))
            except FileNotFoundError:
                return None

    @contextmanager
    def reading(self, path: str) -> Iterator[BinaryIO]:
        """A file's content from its beginning. Raises FileNotFoundError when it is not there."""
        options = {"block_size": _PART_BYTES} if self.kind == "s3" else {}
        with (
            self._explained(missing=True),
            self._files.open(self._full(path), "rb", **options) as stream,
        ):
            yield cast(BinaryIO, stream)

    def read(self, path: str) -> bytes:
        """A small file, whole. Raises FileNotFoundError when it is not there."""
        with self.reading(path) as stream:
            return stream.read()

    @contextmanager
    def writing(self, path: str, expected: int = 0) -> Iterator[BinaryIO]:
        """A file to be written anew, 0600 where there are modes; durable at the end of the block.

        After an error there may be a part of it, or none: publish by another file, later.
        """
        with self._explained():
            stream = self._create(self._full(path), expected)
            try:
                yield stream
            except BaseException:
                _abandon(stream)
                raise
            stream.close()

    def publish(self, path: str, content: bytes) -> None:
        """A small file that appears whole or not at all."""
        if self.kind == "s3":
            with self._explained():
                self._files.pipe_file(self._full(path), content)
            return
        partial = path + ".partial"
        with self.writing(partial) as stream:
            stream.write(content)
        with self._explained():
            self._files.mv(self._full(partial), self._full(path))

    def remove(self, path: str) -> None:
        """A file or a directory with all that is in it; nothing when it is not there."""
        with self._explained(), suppress(FileNotFoundError):
            self._files.rm(self._full(path), recursive=True)

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _create(self, path: str, expected: int) -> BinaryIO:
        if self.kind == "s3":
            part = max(_PART_BYTES, expected // _MOST_PARTS)
            return cast(BinaryIO, self._files.open(path, "wb", block_size=part))
        parent = path.rpartition("/")[0]
        if self.kind == "file":
            Path(parent).mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            return _Durable(io.FileIO(descriptor, "wb"))
        self._files.makedirs(parent, exist_ok=True, mode=0o700)
        stream = self._files.ftp.open(path, "wb", 32768)
        stream.set_pipelined(True)
        self._files.ftp.chmod(path, 0o600)
        return cast(BinaryIO, stream)

    @contextmanager
    def _explained(self, *, missing: bool = False) -> Iterator[None]:
        """Say what the store answered; `missing` lets FileNotFoundError through."""
        try:
            yield
        except FileNotFoundError as error:
            if missing:
                raise
            raise _failure(self, error) from error
        except _kinds() as error:
            raise _failure(self, error) from error


class _Durable(io.BufferedWriter):
    """A local file that is on the disk once it is closed."""

    def close(self) -> None:
        if not self.closed:
            self.flush()
            os.fsync(self.fileno())
        super().close()


def _abandon(stream: Any) -> None:
    """Close what will not be finished: an upload in parts is given up, not completed."""
    with suppress(*_kinds()):
        if hasattr(stream, "discard"):
            stream.discard()
            stream.closed = True
        else:
            stream.close()


def _open_local(_settings: StoreSettings) -> Any:
    from fsspec.implementations.local import LocalFileSystem

    return LocalFileSystem(skip_instance_cache=True)


def _open_s3(settings: StoreSettings) -> Any:
    with _installed("s3fs"):
        import s3fs
    lines = _secret_lines(settings.credentials_file, 2)
    return s3fs.S3FileSystem(
        key=lines[0] if lines else None,
        secret=lines[1] if lines else None,
        endpoint_url=settings.endpoint,
        client_kwargs={"region_name": settings.region} if settings.region else {},
        config_kwargs={
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "retries": {"max_attempts": 2},
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _open_sftp(settings: StoreSettings) -> Any:
    with _installed("paramiko"):
        import paramiko
        from fsspec.implementations.sftp import SFTPFileSystem

    class TrustedHosts(SFTPFileSystem):  # type: ignore[misc]
        """fsspec's own trusts whoever answers; this one only hosts that are known."""

        def _connect(self) -> None:
            self.client = paramiko.SSHClient()
            known = settings.known_hosts or Path("~/.ssh/known_hosts").expanduser()
            if known.exists() or settings.known_hosts:
                self.client.load_host_keys(str(known))
            self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()
            self.ftp.get_channel().settimeout(_READ_SECONDS)

    parts = urlsplit(settings.url)
    password = _secret_lines(settings.credentials_file, 1)
    return TrustedHosts(
        parts.hostname or "localhost",
        port=parts.port or 22,
        username=unquote(parts.username) if parts.username else None,
        password=password[0] if password else None,
        key_filename=str(settings.key_file) if settings.key_file else None,
        look_for_keys=settings.key_file is None and not password,
        allow_agent=settings.key_file is None and not password,
        timeout=_CONNECT_SECONDS,
        banner_timeout=_CONNECT_SECONDS,
        auth_timeout=_CONNECT_SECONDS,
        skip_instance_cache=True,
    )


_OPENERS = {"file": _open_local, "s3": _open_s3, "sftp": _open_sftp}


@contextmanager
def _installed(package: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise SettingsError(
            f"Stores of this kind need the package {package}, which is not installed.",
            "Install medianest-console[offsite].",
        ) from error


def _secret_lines(path: Path | None, amount: int) -> list[str]:
    """The first lines of a credentials file. Raises SettingsError, without what it holds."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SettingsError(
            f"The credentials file {path} cannot be read ({reason}).",
            "Check the path and its permissions.",
        ) from error
    if len(lines) < amount:
        raise SettingsError(
            f"The credentials file {path} has {len(lines)} of {amount} lines.",
            "For s3 write the key id and the secret, for sftp the password.",
        )
    return lines


def _kinds() -> tuple[type[Exception], ...]:
    """What the clients that are loaded raise when a store does not do as asked."""
    kinds: list[type[Exception]] = [OSError, EOFError]
    for module, names in (
        ("botocore.exceptions", ("BotoCoreError", "ClientError")),
        ("paramiko.ssh_exception", ("SSHException",)),
    ):
        if module in sys.modules:
            kinds += [getattr(sys.modules[module], name) for name in names]
    return tuple(kinds)


def _failure(place: Place, error: Exception) -> CommandFailed:
    reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    first = reason.splitlines()[0].rstrip(".")
    number = getattr(error, "errno", None)
    name = type(error).__name__
    if number in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space there, or keep less in its retention."
    elif isinstance(error, FileNotFoundError):
        hint = "Create the bucket or directory, mount it, or correct the url."
    elif isinstance(error, PermissionError) or "Credential" in name or "Authentication" in name:
        hint = "Check the credentials and what they may do there."
    elif "known_hosts" in first or "BadHostKey" in name:
        hint = "Compare the host's key with the host's owner, then add it to known_hosts."
    else:
        hint = "Check that the store can be reached; what is missing is copied by the next run."
    return CommandFailed(f"The store '{place.name}' failed: {first}.", hint)
