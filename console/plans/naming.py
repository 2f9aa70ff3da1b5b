"""What a plan node is called: the words PostgreSQL's own text format uses for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_$]*\Z")

_SOURCES = (
    "Function Name",
    "Table Function Name",
    "CTE Name",
    "Tuplestore Name",
)
_WITHOUT_ALIAS = ("Bitmap Index Scan",)


def title(properties: Mapping[str, Any]) -> str:
    """The node's line up to its figures, e.g. 'Index Scan using users_pkey on users u'."""
    words = operation(properties)
    index = _name(properties, "Index Name")
    if index and properties.get("Node Type") in _WITHOUT_ALIAS:
        return f"{words} on {index}"
    if index:
        words += f" using {index}"
    target = source(properties)
    return f"{words} on {target}" if target else words


def operation(properties: Mapping[str, Any]) -> str:
    """What it does, without what it does it to: 'Parallel Hash Left Join'."""
    kind = str(properties.get("Node Type", ""))
    words = _kind(kind, properties)
    if properties.get("Parallel Aware") is True:
        words = f"Parallel {words}"
    if properties.get("Async Capable") is True:
        words = f"Async {words}"
    if properties.get("Scan Direction") == "Backward":
        words += " Backward"
    return words


def _kind(kind: str, properties: Mapping[str, Any]) -> str:
    if kind == "Aggregate":
        return _aggregate(properties)
    if kind == "SetOp":
        hashed = "Hash" if properties.get("Strategy") == "Hashed" else ""
        return f"{hashed}SetOp {properties.get('Command', '')}".rstrip()
    if kind == "ModifyTable" or "Operation" in properties:
        operation = str(properties.get("Operation", kind))
        return f"Foreign {operation}" if kind == "Foreign Scan" else operation
    if kind == "Custom Scan":
        return f"Custom Scan ({properties.get('Custom Plan Provider', '')})"
    join = properties.get("Join Type")
    if not isinstance(join, str) or join == "Inner":
        return kind
    return f"{kind.removesuffix(' Join')} {join} Join"


def _aggregate(properties: Mapping[str, Any]) -> str:
    strategy = {
        "Sorted": "GroupAggregate",
        "Hashed": "HashAggregate",
        "Mixed": "MixedAggregate",
    }.get(str(properties.get("Strategy")), "Aggregate")
    mode = str(properties.get("Partial Mode", "Simple"))
    return strategy if mode == "Simple" else f"{mode} {strategy}"


def source(properties: Mapping[str, Any]) -> str:
    """What it reads or writes, quoted as SQL would: 'public.users u'; '' for most nodes."""
    relation = _name(properties, "Relation Name")
    if not relation:
        relation = next((found for key in _SOURCES if (found := _name(properties, key))), "")
    schema = _name(properties, "Schema")
    if schema and relation:
        relation = f"{schema}.{relation}"
    alias = _name(properties, "Alias")
    if not alias or relation.rpartition(".")[2] == alias:
        return relation
    return f"{relation} {alias}" if relation else alias


def _name(properties: Mapping[str, Any], key: str) -> str:
    value = properties.get(key)
    if not isinstance(value, str) or not value:
        return ""
    if _PLAIN_NAME.match(value):
        return value
    return '"' + value.replace('"', '""') + '"'
