"""The rules of the deployment audit; each module one concern, each rule one question."""

from __future__ import annotations

from console.deploy.model import Rule
from console.deploy.rules import (
    cluster,
    health,
    image,
    lifecycle,
    limits,
    network,
    privileges,
    secrets,
    server,
    storage,
)

RULES: tuple[Rule, ...] = (
    *image.RULES,
    *storage.RULES,
    *secrets.RULES,
    *network.RULES,
    *privileges.RULES,
    *limits.RULES,
    *health.RULES,
    *lifecycle.RULES,
    *server.RULES,
    *cluster.RULES,
)
