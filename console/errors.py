"""Every error an operator can meet: one sentence what happened, one what to do.

ConsoleError
├── SettingsError       a settings or profile file cannot be used (FILE:LINE)
├── ConnectionFailed    no usable session with the server
│   ├── PasswordRefused
│   ├── DatabaseMissing
│   └── TooManyClients
├── ServerUnsupported   older than PostgreSQL 13
├── ReadOnlyRefused     the server does not hold the session read-only
├── PrivilegeMissing    the role may not do this
├── QueryFailed         a statement failed
│   └── TimedOut        by statement_timeout, lock_timeout or cancellation
├── ActionRefused       a precondition of an action does not hold
└── CommandFailed       a tool (pg_dump, initdb ...) failed
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process says to its caller."""

    OK = 0
    WARNINGS = 1
    FAILURES = 2
    UNKNOWN = 3
    """Something could not be checked or reached; also every usage and settings mistake."""
    INTERRUPTED = 130


class ConsoleError(Exception):
    """What happened (`message`) and what to do about it (`hint`), each one sentence."""

    title = "Something went wrong"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class SettingsError(ConsoleError):
    title = "Settings"


class ConnectionFailed(ConsoleError):
    title = "Cannot connect"


class PasswordRefused(ConnectionFailed):
    title = "Password refused"


class DatabaseMissing(ConnectionFailed):
    title = "Database missing"


class TooManyClients(ConnectionFailed):
    title = "Too many clients"


class ServerUnsupported(ConsoleError):
    title = "Server too old"


class ReadOnlyRefused(ConsoleError):
    title = "Not read-only"


class PrivilegeMissing(ConsoleError):
    title = "Not allowed"


class QueryFailed(ConsoleError):
    title = "Query failed"


class TimedOut(QueryFailed):
    title = "Took too long"


class ActionRefused(ConsoleError):
    title = "Refused"


class CommandFailed(ConsoleError):
    title = "Command failed"
