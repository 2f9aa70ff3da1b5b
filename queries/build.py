"""What the server was built as."""

from __future__ import annotations

from dataclasses import dataclass

from queries import Query


@dataclass(frozen=True, slots=True)
class ServerBuild:
    version: str
    """As version() says it: release, packager, platform and compiler."""


SERVER_BUILD = Query("server_build", ServerBuild)
