"""The agent's log: a line of JSON for each thing that happens, to standard output or a file."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from console.backup.store import explained

_BYTES, _KEPT = 10_000_000, 4


def open_log(path: Path | None) -> Any:
    """A structlog logger; to a rotated file (0600) where one is named. Raises CommandFailed."""
    import structlog

    handler: logging.Handler = logging.StreamHandler(sys.stdout)
    if path is not None:
        with explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            handler = RotatingFileHandler(
                path, maxBytes=_BYTES, backupCount=_KEPT, encoding="utf-8"
            )
    lines = logging.getLogger("medianest-console.agent")
    for old in lines.handlers[:]:
        lines.removeHandler(old)
        old.close() if isinstance(old, RotatingFileHandler) else old.flush()
    lines.addHandler(handler)
    lines.setLevel(logging.INFO)
    lines.propagate = False
    # psycopg would write of lost connections beside the lines of JSON; the agent tells of them.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    return structlog.wrap_logger(
        lines,
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.BoundLogger,
    )
