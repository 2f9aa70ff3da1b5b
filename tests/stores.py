"""Real stores for the tests: a directory, an S3 service of moto's, an SSH server of our own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyrage
import pytest

from console.offsite.policy import StoreSettings

KEY_ID = "AKIAtest"
SECRET = "s3-secret-of-the-test"
BUCKET = "vault"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _answers(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert process.poll() is None, process.returncode
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def s3_service() -> Iterator[str]:
    """The address of an S3 service with one empty bucket."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with ended(process):
        _answers(port, process)
        address = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(f"{address}/{BUCKET}", method="PUT")
        with urllib.request.urlopen(request, timeout=20):
            pass
        yield address


@contextmanager
def ssh_service(directory: Path) -> Iterator[tuple[int, Path, Path]]:
    """Its port, a private key it accepts, and the known_hosts that trusts it."""
    sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None:
        pytest.skip("no sshd is installed")
    for name in ("host", "user"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(directory / name)], check=True
        )
    port = free_port()
    (directory / "authorized").write_text((directory / "user.pub").read_text())
    (directory / "authorized").chmod(0o600)
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {directory / 'host'}\nPidFile none\n"
        f"AuthorizedKeysFile {directory / 'authorized'}\nStrictModes no\nUsePAM no\n"
        "PermitRootLogin yes\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen(
        [sshd, "-D", "-e", "-f", str(directory / "sshd_config")], stderr=subprocess.DEVNULL
    )
    with ended(process):
        _answers(port, process)
        kind, key, *_ = (directory / "host.pub").read_text().split()
        known = directory / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
        yield port, directory / "user", known


def identity(path: Path) -> str:
    """A new age identity in a file; its recipient."""
    made = pyrage.x25519.Identity.generate()
    path.write_text(f"# created for a test\n{made}\n")
    path.chmod(0o600)
    return str(made.to_public())


@contextmanager
def store_of(kind: str, directory: Path, **changes: object) -> Iterator[StoreSettings]:
    """A store of that kind: file, s3 or sftp, empty and ready."""
    root = directory / "remote"
    root.mkdir()
    if kind == "file":
        yield StoreSettings(f"file://{root}", **changes)  # type: ignore[arg-type]
    elif kind == "s3":
        secrets = directory / "s3.credentials"
        secrets.write_text(f"{KEY_ID}\n{SECRET}\n")
        with s3_service() as address:
            yield StoreSettings(
                f"s3://{BUCKET}/backups",
                endpoint=address,
                region="eu-west-1",
                credentials_file=secrets,
                **changes,  # type: ignore[arg-type]
            )
    else:
        with ssh_service(directory) as (port, key, known):
            url = f"sftp://{os.environ.get('USER') or 'root'}@127.0.0.1:{port}{root}"
            yield StoreSettings(url, key_file=key, known_hosts=known, **changes)  # type: ignore[arg-type]


def files_below(root: Path) -> dict[str, bytes]:
    """What a local or SSH store's directory holds."""
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
