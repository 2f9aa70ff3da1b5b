"""A Grafana dashboard of what the agent serves to Prometheus."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

_COLUMNS = 24
_SCHEMA = 39
_OF_TARGET = '{target=~"$target"}'


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture; each query is an expression and its legend."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    kind: Literal["stat", "timeseries"] = "timeseries"
    width: int = 8
    height: int = 7
    words: tuple[tuple[str, str, str], ...] = ()
    """Values shown as words: value, text, colour."""
    thresholds: tuple[tuple[float | None, str], ...] = ((None, "green"),)


_YES_NO = (("1", "YES", "green"), ("0", "NO", "red"))


def _stat(
    title: str, expression: str, unit: str = "short", words: Any = (), thresholds: Any = None
) -> Panel:
    steps = thresholds or ((None, "green"),)
    return Panel(title, unit, ((expression, "{{target}}"),), "stat", 4, 4, words, steps)


def _of(name: str) -> str:
    return f"medianest_{name}{_OF_TARGET}"


PANELS: Sequence[Panel] = (
    _stat("Up", _of("up"), words=(("1", "UP", "green"), ("0", "DOWN", "red"))),
    _stat(
        "Connections in use",
        f"{_of('connections')} / {_of('connections_limit')}",
        "percentunit",
        thresholds=((None, "green"), (0.8, "orange"), (1, "red")),
    ),
    _stat(
        "Newest verified backup",
        _of("backup_age_seconds"),
        "s",
        thresholds=((None, "green"), (36 * 3600, "red")),
    ),
    _stat("Newest backup verified", _of("backup_verified"), words=_YES_NO),
    _stat("Last restore drill passed", _of("backup_drilled"), words=_YES_NO),
    _stat(
        "Alerts raised",
        f"sum by (target) ({_of('alerts')})",
        thresholds=((None, "green"), (1, "red")),
    ),
    Panel(
        "Connections",
        "short",
        (
            (_of("connections"), "{{target}}"),
            (_of("connections_active"), "{{target}} active"),
            (_of("connections_idle_in_transaction"), "{{target}} idle in transaction"),
            (_of("connections_limit"), "{{target}} limit"),
        ),
    ),
    Panel(
        "Transactions",
        "ops",
        (
            (f"rate({_of('transactions_total')}[5m])", "{{target}}"),
            (f"rate({_of('rollbacks_total')}[5m])", "{{target}} rolled back"),
        ),
    ),
    Panel(
        "Cache hits",
        "percentunit",
        (
            (
                f"rate({_of('blocks_hit_total')}[5m]) / (rate({_of('blocks_hit_total')}[5m])"
                f" + rate({_of('blocks_read_total')}[5m]))",
                "{{target}}",
            ),
        ),
    ),
    Panel("Statements", "ops", ((_of("statements_per_second"), "{{target}}"),)),
    Panel("Mean statement time", "s", ((_of("statement_mean_seconds"), "{{target}}"),)),
    Panel(
        "Locks and long transactions",
        "s",
        (
            (_of("lock_wait_seconds"), "{{target}} waits for a lock"),
            (_of("transaction_longest_seconds"), "{{target}} transaction"),
        ),
    ),
    Panel("Database size", "bytes", ((_of("database_bytes"), "{{target}}"),)),
    Panel(
        "Disks in use",
        "percentunit",
        ((f"1 - {_of('disk_free_bytes')} / {_of('disk_bytes')}", "{{target}} {{mount}}"),),
    ),
    Panel(
        "Temporary files and deadlocks",
        "short",
        (
            (f"rate({_of('temporary_bytes_total')}[5m])", "{{target}} bytes a second"),
            (f"increase({_of('deadlocks_total')}[1h])", "{{target}} deadlocks in an hour"),
        ),
    ),
    Panel("Backup size", "bytes", ((_of("backup_bytes"), "{{target}}"),)),
    Panel(
        "How long backups take",
        "s",
        (
            (_of("backup_duration_seconds"), "{{target}} backup"),
            (_of("backup_restore_seconds"), "{{target}} restore"),
        ),
    ),
    Panel(
        "Checks",
        "short",
        (
            ('medianest_checks{target=~"$target",severity=~"failure|warning|unknown"}',
             "{{target}} {{severity}}"),
        ),
    ),
)  # fmt: skip


def dashboard() -> str:
    """The dashboard as JSON, to be imported; Grafana asks for the data source."""
    document = {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
            }
        ],
        "uid": "medianest-console",
        "title": "MediaNest: PostgreSQL",
        "tags": ["postgresql", "medianest"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": [_target_choice()]},
        "panels": _placed(PANELS),
    }
    return json.dumps(document, indent=2) + "\n"


def _target_choice() -> dict[str, Any]:
    return {
        "name": "target",
        "label": "Database",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": "label_values(medianest_up, target)", "refId": "target"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


_SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}


def _placed(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """In rows from the left, as they fit."""
    placed, x, y, tallest = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > _COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        where = {"x": x, "y": y, "w": panel.width, "h": panel.height}
        placed.append(_panel(number, panel, where))
        x, tallest = x + panel.width, max(tallest, panel.height)
    return placed


def _panel(number: int, panel: Panel, where: dict[str, int]) -> dict[str, Any]:
    steps = [{"value": value, "color": color} for value, color in panel.thresholds]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.words:
        options = {value: {"text": text, "color": color} for value, text, color in panel.words}
        defaults["mappings"] = [{"type": "value", "options": options}]
    if panel.kind == "timeseries":
        defaults["color"] = {"mode": "palette-classic"}
        defaults["min"] = 0
    return {
        "id": number,
        "title": panel.title,
        "type": panel.kind,
        "datasource": _SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": _SOURCE, "expr": text, "legendFormat": name}
            for n, (text, name) in enumerate(panel.queries)
        ],
    }
