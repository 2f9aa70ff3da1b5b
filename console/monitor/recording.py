"""Looks at the sessions kept in a file, to ask later what went on: JSON lines, plain or zlib.

The first line says what was recorded; each further one is a look, or why there was none. Every
line is flushed, so that a recorder that was killed leaves what it had; literals in statements are
masked. A file ends when it has reached its size.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from console.errors import ActionRefused, ConsoleError
from console.monitor.activity import Sample
from console.statements import without_literals
from queries.activity import Backend

FORMAT = "medianest-console recording"
VERSION = 1
MOST_BYTES = 64 << 20
"""Of a file, unless told otherwise."""
LONGEST_LINE = 32 << 20
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Heading:
    target: str
    server: str
    """Its version."""
    role: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Gap:
    """A moment that could not be looked at."""

    at: datetime
    reason: str


class Recorder:
    """Writes looks; `.z` at the end of the name compresses. Raises ActionRefused at the limit."""

    def __init__(self, path: Path, heading: Heading, *, most_bytes: int = MOST_BYTES) -> None:
        """Raises ActionRefused when the file is there already or cannot be made."""
        self.path = path
        self.written = 0
        self._most = most_bytes
        self._pack = zlib.compressobj() if path.suffix == ".z" else None
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError as error:
            raise ActionRefused(
                f"{path} is there already.", "Choose another name; nothing is overwritten."
            ) from error
        except OSError as error:
            raise ActionRefused(
                f"{path} cannot be written ({error.strerror}).", "Choose another place."
            ) from error
        self._file = os.fdopen(descriptor, "wb")
        head = asdict(heading) | {"started_at": heading.started_at.isoformat()}
        self._line({"format": FORMAT, "version": VERSION, **head})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def add(self, sample: Sample) -> None:
        self._line(
            {
                "at": sample.at.isoformat(),
                "backends": [_packed(backend) for backend in sample.backends],
            }
        )

    def add_gap(self, gap: Gap) -> None:
        self._line({"at": gap.at.isoformat(), "gap": gap.reason})

    def close(self) -> None:
        if not self._file.closed:
            if self._pack is not None:
                self._file.write(self._pack.flush())
            self._file.close()

    def _line(self, value: dict[str, Any]) -> None:
        content = (json.dumps(value, separators=(",", ":"), default=str) + "\n").encode()
        if self._pack is not None:
            content = self._pack.compress(content) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        if self.written + len(content) > self._most:
            self.close()
            raise ActionRefused(
                f"{self.path} has reached its size of {self._most >> 20} MB; recording ends.",
                "Allow more with --max-mb, or look less often.",
            )
        try:
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise ActionRefused(f"{self.path} cannot be written ({error.strerror}).") from error
        self.written += len(content)


def _packed(backend: Backend) -> dict[str, Any]:
    """Only what is known."""
    packed = {
        name: value for name, value in asdict(backend).items() if value not in (None, [], False)
    }
    if backend.query is not None:
        packed["query"] = without_literals(backend.query)
    if backend.started_at is not None:
        packed["started_at"] = backend.started_at.isoformat()
    return packed


@dataclass(frozen=True, slots=True)
class Recording:
    heading: Heading
    samples: tuple[Sample, ...]
    gaps: tuple[Gap, ...]
    is_cut: bool
    """It ends in the middle of a line: the recorder was killed."""


def read_recording(path: Path) -> Recording:
    """Raises ConsoleError for a file that is no recording; a cut end is left out, and said."""
    samples: list[Sample] = []
    gaps: list[Gap] = []
    lines = _lines(path)
    heading = _heading(next(lines, b""), path)
    is_cut = False
    for line in lines:
        try:
            value = json.loads(line)
            at = datetime.fromisoformat(value["at"])
            if "gap" in value:
                gaps.append(Gap(at, str(value["gap"])))
            else:
                samples.append(Sample(at, tuple(map(_unpacked, value["backends"]))))
        except (ValueError, KeyError, TypeError, RecursionError):
            is_cut = True
            break
    return Recording(heading, tuple(samples), tuple(gaps), is_cut)


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            yield from _split(file.read(2), file, path)
    except OSError as error:
        raise ActionRefused(f"{path} cannot be read ({error.strerror}).") from error


def _split(start: bytes, file: Any, path: Path) -> Iterator[bytes]:
    """Lines of a plain or a compressed file; zlib's first byte is no character of JSON."""
    unpack = zlib.decompressobj() if start[:1] == b"\x78" else None
    rest = b""
    chunk = start
    while chunk:
        try:
            # Bounded: a small file may unpack to more than there is memory.
            plain = unpack.decompress(chunk, LONGEST_LINE) if unpack else chunk
        except zlib.error as error:
            raise ActionRefused(f"{path} is damaged ({error}).") from error
        *whole, rest = (rest + plain).split(b"\n")
        yield from whole
        if len(rest) > LONGEST_LINE:
            raise ActionRefused(f"{path} is not a recording: a line is too long.")
        chunk = (unpack.unconsumed_tail if unpack else b"") or file.read(_CHUNK)
    if rest:
        yield rest


def _heading(line: bytes, path: Path) -> Heading:
    try:
        value = json.loads(line)
        if value["format"] != FORMAT or value["version"] > VERSION:
            raise ValueError(value["format"])
        return Heading(
            str(value["target"]),
            str(value["server"]),
            str(value["role"]),
            datetime.fromisoformat(value["started_at"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ActionRefused(
            f"{path} is not a recording of this console.",
            "Make one with medianest-console activity --record FILE.",
        ) from error


_NOBODY = Backend(
    pid=0,
    started_at=None,
    leader_pid=None,
    kind=None,
    database=None,
    role=None,
    application=None,
    client=None,
    state=None,
    wait_class=None,
    wait_event=None,
    query_seconds=None,
    state_seconds=None,
    transaction_seconds=None,
    query_id=None,
    query=None,
    blocked_by=(),
    is_hidden=False,
)


def _unpacked(value: dict[str, Any]) -> Backend:
    """Raises TypeError or ValueError for what no recorder writes."""
    if isinstance(value.get("started_at"), str):
        value["started_at"] = datetime.fromisoformat(value["started_at"])
    value["blocked_by"] = tuple(int(pid) for pid in value.get("blocked_by", ()))
    return replace(_NOBODY, **value)


def explained(error: ConsoleError) -> str:
    """A gap's reason, on one line."""
    return " ".join(str(error).split())
