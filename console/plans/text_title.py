"""The title of a node in EXPLAIN's text format, taken apart."""

from __future__ import annotations

import re
from typing import Any

_NAME = r'(?:"(?:[^"]|"")*"|[^\s."]+)'
_TARGET = re.compile(rf"(?:(?P<schema>{_NAME})\.)?(?P<name>{_NAME})(?: (?P<alias>{_NAME}))?\Z")
_JOIN = re.compile(
    r"(?P<kind>Hash|Merge|Nested Loop) ?"
    r"(?P<join>Left|Full|Right Semi|Right Anti|Right|Semi|Anti)? ?(?P<word>Join)?\Z"
)
_AGGREGATE = re.compile(
    r"(?:(?P<mode>Partial|Finalize) )?(?P<strategy>Group|Hash|Mixed|)Aggregate\Z"
)
_SETOP = re.compile(r"(?P<hashed>Hash)?SetOp (?P<command>.+)\Z")
_CUSTOM = re.compile(r"Custom Scan \((?P<provider>.+)\)\Z")
_STRATEGIES = {"Group": "Sorted", "Hash": "Hashed", "Mixed": "Mixed", "": "Plain"}
_OPERATIONS = ("Insert", "Update", "Delete", "Merge")
_KINDS = frozenset(
    {"Result", "ProjectSet", "Append", "Merge Append", "Recursive Union", "BitmapAnd", "BitmapOr",
     "Seq Scan", "Sample Scan", "Gather", "Gather Merge", "Index Scan", "Index Only Scan",
     "Bitmap Index Scan", "Bitmap Heap Scan", "Tid Scan", "Tid Range Scan", "Subquery Scan",
     "Function Scan", "Table Function Scan", "Values Scan", "CTE Scan", "Named Tuplestore Scan",
     "WorkTable Scan", "Foreign Scan", "Materialize", "Memoize", "Sort", "Incremental Sort",
     "Group", "WindowAgg", "Unique", "LockRows", "Limit", "Hash"}
)  # fmt: skip
_SOURCES = {
    "Function Scan": "Function Name",
    "Table Function Scan": "Table Function Name",
    "CTE Scan": "CTE Name",
    "WorkTable Scan": "CTE Name",
    "Named Tuplestore Scan": "Tuplestore Name",
}
_ONLY_ALIAS = ("Subquery Scan", "Values Scan")


def read_title(title: str) -> dict[str, Any] | None:
    """The properties a title says; None when it is no node's."""
    found: dict[str, Any] = {"Parallel Aware": False, "Async Capable": False}
    words, _, target = title.partition(" on ")
    words, _, index = words.partition(" using ")
    for prefix in ("Parallel", "Async"):
        if words.startswith(f"{prefix} "):
            words = words[len(prefix) + 1 :]
            found["Parallel Aware" if prefix == "Parallel" else "Async Capable"] = True
    if words.endswith(" Backward"):
        words = words.removesuffix(" Backward")
        found["Scan Direction"] = "Backward"
    kind = _kind(words)
    if kind is None:
        return None
    found |= kind
    if index:
        found["Index Name"] = unquoted(index.strip())
        found.setdefault("Scan Direction", "Forward")
    if target:
        found |= _target(str(kind["Node Type"]), target.strip())
    return found


def _kind(words: str) -> dict[str, Any] | None:
    join = _JOIN.match(words)
    if join is not None and (join["kind"] == "Nested Loop" or join["word"]):
        kind = join["kind"] if join["kind"] == "Nested Loop" else f"{join['kind']} Join"
        return {"Node Type": kind, "Join Type": join["join"] or "Inner"}
    aggregate = _AGGREGATE.match(words)
    if aggregate is not None:
        return {
            "Node Type": "Aggregate",
            "Strategy": _STRATEGIES[aggregate["strategy"]],
            "Partial Mode": aggregate["mode"] or "Simple",
        }
    setop = _SETOP.match(words)
    if setop is not None:
        strategy = "Hashed" if setop["hashed"] else "Sorted"
        return {"Node Type": "SetOp", "Strategy": strategy, "Command": setop["command"]}
    custom = _CUSTOM.match(words)
    if custom is not None:
        return {"Node Type": "Custom Scan", "Custom Plan Provider": custom["provider"]}
    if words in _OPERATIONS:
        return {"Node Type": "ModifyTable", "Operation": words}
    if words.startswith("Foreign ") and words[8:] in _OPERATIONS:
        return {"Node Type": "Foreign Scan", "Operation": words[8:]}
    return {"Node Type": words} if words in _KINDS else None


def _target(kind: str, target: str) -> dict[str, Any]:
    if kind == "Bitmap Index Scan":
        return {"Index Name": unquoted(target)}
    matched = _TARGET.match(target)
    if matched is None:
        return {"Alias": target}
    if kind in _ONLY_ALIAS:
        return {"Alias": unquoted(matched["name"])}
    name = unquoted(matched["name"])
    found = {_SOURCES.get(kind, "Relation Name"): name}
    if matched["schema"]:
        found["Schema"] = unquoted(matched["schema"])
    found["Alias"] = unquoted(matched["alias"]) if matched["alias"] else name
    return found


def unquoted(name: str) -> str:
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name
