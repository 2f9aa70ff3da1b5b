"""The lines below a node in EXPLAIN's text format, and those after the tree."""

from __future__ import annotations

import re
from typing import Any

_LISTS = frozenset(
    {"Output", "Sort Key", "Presorted Key", "Group Key", "Hash Key", "Params Evaluated",
     "Conflict Arbiter Indexes"}
)  # fmt: skip
TEXTS = frozenset(
    {"Filter", "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "TID Cond",
     "Order By", "One-Time Filter", "Cache Key", "Cache Mode", "Function Call", "Sampling",
     "Remote SQL", "Relations", "Run Condition", "Window", "Conflict Resolution",
     "Conflict Filter", "Repeatable Seed", "Table Function Call", "Key Order"}
)  # fmt: skip
_COUNTS = frozenset(
    {"Heap Fetches", "Workers Planned", "Workers Launched", "Index Searches", "Subplans Removed",
     "Tuples Inserted", "Conflicting Tuples", "Planned Partitions"}
)  # fmt: skip
_FLAGS = frozenset({"Single Copy", "Inner Unique", "Disabled"})
_SPECIAL = frozenset(
    {"Buffers", "I/O Timings", "WAL", "Sort Method", "Buckets", "Batches", "Hits", "Heap Blocks",
     "Full-sort Groups", "Pre-sorted Groups", "Storage", "Planning", "Planning Time", "JIT",
     "Execution Time", "Total runtime", "Settings", "Serialization", "Query Identifier",
     "Functions", "Options", "Timing", "Memory"}
)  # fmt: skip

_PAIRS = re.compile(r"(?P<name>[A-Z][A-Za-z ]*?): (?P<value>\S+)(?: \(originally (?P<was>\d+)\))?")
_WORKER = re.compile(r"Worker (?P<number>\d+):\s*(?P<rest>.*)\Z")
_ACTUAL = re.compile(
    r"actual(?: time=(?P<first>[\d.]+)\.\.(?P<last>[\d.]+))? rows=(?P<rows>[\d.]+)"
    r" loops=(?P<loops>\d+)"
)
_RENAMED = {
    "Buckets": "Hash Buckets",
    "Hits": "Cache Hits",
    "Misses": "Cache Misses",
    "Evictions": "Cache Evictions",
    "Overflows": "Cache Overflows",
    "Memory Usage": "Peak Memory Usage",
}


def is_known(name: str) -> bool:
    return name in _LISTS | TEXTS | _COUNTS | _FLAGS | _SPECIAL or name.startswith(
        ("Rows Removed by", "Worker ", "Trigger ")
    )


def add(node: dict[str, Any], name: str, value: str) -> None:
    """One line of a node, under the names and in the types of the JSON format."""
    if name in _LISTS:
        node[name] = split_list(value)
    elif name in _COUNTS or name.startswith("Rows Removed by"):
        node[name] = number(value)
    elif name in _FLAGS:
        node[name] = value == "true"
    elif name == "Buffers":
        node.update(blocks(value))
    elif name == "I/O Timings":
        node.update(io_times(value))
    elif name == "WAL":
        node.update(_wal(value))
    elif name == "Heap Blocks":
        for kind, count in re.findall(r"(exact|lossy)=(\d+)", value):
            node[f"{kind.capitalize()} Heap Blocks"] = int(count)
    elif name == "Sort Method":
        _sort_method(node, value)
    elif name.endswith("-sort Groups") or name.endswith("-sorted Groups"):
        node[name] = _sort_groups(value)
    elif name in ("Buckets", "Batches", "Hits", "Storage"):
        _pairs(node, f"{name}: {value}")
    else:
        node[name] = value
    if name == "Planned Partitions" and " " in value:
        _pairs(node, f"{name}: {value}")


def number(text: str) -> float | int:
    matched = re.match(r"-?\d+(\.\d+)?", text)
    if matched is None or len(matched[0]) > 30:
        return 0
    return float(matched[0]) if matched[1] else int(matched[0])


def split_list(text: str) -> list[str]:
    """At the commas that are within neither parentheses nor quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()]


def blocks(value: str) -> dict[str, int]:
    """'shared hit=1 read=2, temp written=3' as block counts."""
    found: dict[str, int] = {}
    for where, counts in re.findall(r"(shared|local|temp)((?: \w+=\d+)+)", value):
        for what, count in re.findall(r"(\w+)=(\d{1,18})", counts):
            found[f"{where.capitalize()} {what.capitalize()} Blocks"] = int(count)
    return found


def io_times(value: str) -> dict[str, float]:
    """Up to PostgreSQL 14 without saying where, then by shared, local and temp."""
    found: dict[str, float] = {}
    for where, times in re.findall(
        r"(?:(shared(?:/local)?|local|temp) )?((?:\w+=[\d.]+ ?)+)", value
    ):
        place = "Shared " if where == "shared" else f"{where.capitalize()} " if where else ""
        place = "" if "/" in where else place
        for what, ms in re.findall(r"(\w+)=([\d.]+)", times):
            found[f"{place}I/O {what.capitalize()} Time"] = float(number(ms))
    return found


def _wal(value: str) -> dict[str, int]:
    names = {"records": "Records", "fpi": "FPI", "bytes": "Bytes", "buffers full": "Buffers Full"}
    found = re.findall(r"(records|fpi|bytes|buffers full)=(\d{1,18})", value)
    return {f"WAL {names[what]}": int(count) for what, count in found}


def _sort_method(node: dict[str, Any], value: str) -> None:
    matched = re.match(r"(?P<method>.+?)\s+(?P<where>Memory|Disk): (?P<kb>\d{1,18})kB", value)
    if matched is None:
        node["Sort Method"] = value
        return
    node["Sort Method"] = matched["method"]
    node["Sort Space Used"] = int(matched["kb"])
    node["Sort Space Type"] = matched["where"]


def _sort_groups(value: str) -> dict[str, Any]:
    found: dict[str, Any] = {"Group Count": number(value)}
    method = re.search(r"Sort Methods?: (.+?)  ", value + "  ")
    if method is not None:
        found["Sort Methods Used"] = [one.strip() for one in method[1].split(",")]
    for where in ("Memory", "Disk"):
        sizes = re.search(rf"Average {where}: (\d{{1,18}})kB.*?Peak {where}: (\d{{1,18}})kB", value)
        if sizes is not None:
            found[f"Sort Space {where}"] = {
                "Average Sort Space Used": int(sizes[1]),
                "Peak Sort Space Used": int(sizes[2]),
            }
    return found


def _pairs(node: dict[str, Any], line: str) -> None:
    """'Buckets: 1024 (originally 512)  Batches: 2  Memory Usage: 9kB' and such."""
    for matched in _PAIRS.finditer(line):
        name, value = matched["name"].strip(), matched["value"]
        if name == "Batches":
            name = "HashAgg Batches" if node.get("Node Type") == "Aggregate" else "Hash Batches"
        name = _RENAMED.get(name, name)
        node[name] = number(value) if value[:1].isdigit() else value
        if matched["was"]:
            node[f"Original {name}"] = number(matched["was"])


def worker_of(node: dict[str, Any], line: str) -> dict[str, Any] | None:
    """The worker that a line is about, with what the line says of it."""
    matched = _WORKER.match(line)
    if matched is None:
        return None
    wanted = number(matched["number"])
    workers = node.setdefault("Workers", [])
    worker: dict[str, Any] | None = next(
        (one for one in workers if one["Worker Number"] == wanted), None
    )
    if worker is None:
        worker = {"Worker Number": wanted}
        workers.append(worker)
    rest = matched["rest"].strip()
    actual = _ACTUAL.match(rest)
    if actual is not None:
        if actual["first"] is not None:
            worker["Actual Startup Time"] = float(number(actual["first"]))
            worker["Actual Total Time"] = float(number(actual["last"]))
        worker["Actual Rows"] = float(number(actual["rows"]))
        worker["Actual Loops"] = number(actual["loops"])
    elif ":" in rest:
        name, _, value = rest.partition(":")
        add(worker, name.strip(), value.strip())
    return worker


def add_to_whole(whole: dict[str, Any], line: str) -> bool:
    """A line about the plan as a whole; False when it is a node's."""
    name, _, value = line.partition(":")
    value = value.strip()
    if name in ("Planning Time", "Execution Time", "Planning time", "Execution time"):
        whole[name.title()] = float(number(value))
    elif name == "Total runtime":
        whole["Execution Time"] = float(number(value))
    elif name == "Settings":
        found = re.findall(r"([\w.]+) = '((?:[^']|'')*)'", value)
        whole["Settings"] = {key: text.replace("''", "'") for key, text in found}
    elif name == "Query Identifier":
        whole["Query Identifier"] = number(value)
    elif name == "Query Text":
        whole["Query Text"] = value
    elif name == "Serialization":
        serialization: dict[str, Any] = whole.setdefault("Serialization", {})
        for key, ms in re.findall(r"(time)=([\d.]+) ms", value):
            serialization[key.capitalize()] = float(number(ms))
        for volume in re.findall(r"output=(\d{1,18})kB", value):
            serialization["Output Volume"] = int(volume)
        for form in re.findall(r"format=(\w+)", value):
            serialization["Format"] = form
    else:
        return False
    return True


def add_to_section(whole: dict[str, Any], section: str, line: str) -> None:
    """A line under 'Planning:' or 'JIT:'."""
    part: dict[str, Any] = whole.setdefault(section, {})
    name, _, value = line.partition(":")
    value = value.strip()
    if name == "Buffers":
        part.update(blocks(value))
    elif name == "I/O Timings":
        part.update(io_times(value))
    elif name == "Functions":
        part["Functions"] = number(value)
    elif name == "Options":
        part["Options"] = {
            key: on == "true" for key, on in re.findall(r"(\w+) (true|false)", value)
        }
    elif name == "Timing":
        found = re.findall(r"(Generation|Inlining|Optimization|Emission|Total) ([\d.]+) ms", value)
        part["Timing"] = {key: float(number(ms)) for key, ms in found}
