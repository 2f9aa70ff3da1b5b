"""The settings of a store: where it is, who may read it, for whom it is sealed, what it keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from console.backup.policy import Retention

SCHEMES = ("file", "s3", "sftp")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One entry of `offsite`: a place that gets a copy of every verified backup."""

    url: str
    """file:///mnt/nas/backups, s3://BUCKET/PREFIX or sftp://USER@HOST:PORT/DIRECTORY."""
    endpoint: str | None = None
    """The address of an S3-compatible service that is not Amazon's."""
    region: str | None = None
    """S3's region, where the service asks for one."""
    credentials_file: Path | None = None
    """For s3 two lines, key id and secret; for sftp one, the password. Without it what the AWS
    tools use (environment, ~/.aws), or the SSH agent and keys."""
    key_file: Path | None = None
    """A private SSH key for sftp."""
    known_hosts: Path | None = None
    """The SSH hosts that are trusted; ~/.ssh/known_hosts when left out."""
    recipients: tuple[str, ...] = ()
    """For whom copies are sealed: age's public keys (age1...) or SSH's (ssh-ed25519 ...)."""
    identity_file: Path | None = None
    """The private key of one of them; needed to read copies, never to make them."""
    check: Literal["content", "size"] = "content"
    """Prove a copy by reading all of it back, or by the sizes the store tells."""
    retention: Retention = field(default_factory=Retention)
    automatic: bool = True
    """Copy after each verified backup; else only by `backup push`."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in SCHEMES or not parts.path.strip("/") + parts.netloc:
            raise ValueError("a url as file:///DIRECTORY, s3://BUCKET/PREFIX or sftp://HOST/PATH")
        if parts.password is not None:
            raise ValueError("a url without a password; use credentials_file")
        if parts.scheme == "file" and parts.netloc:
            raise ValueError("three slashes in file:///DIRECTORY")
