"""EXPLAIN's text format, read into what its JSON format would have said.

Indentation makes the tree. A line that begins nothing new continues the one before it, since
terminals and mails wrap plans.
"""

from __future__ import annotations

import re
from typing import Any

from console.plans import text_lines
from console.plans.text_title import read_title
from console.plans.tree import PlanUnreadable

_COST = r"cost=(?P<startup>[\d.]+)\.\.(?P<total>[\d.]+) rows=(?P<rows>\d+) width=(?P<width>\d+)"
_ACTUAL = (
    r"actual(?: time=(?P<first>[\d.]+)\.\.(?P<last>[\d.]+))?"
    r" rows=(?P<found>[\d.]+) loops=(?P<loops>\d+)"
)
_FIGURES = re.compile(
    rf"\s*(?:\({_COST}\)\s*(?:\({_ACTUAL}\)|\((?P<never>never executed)\))?"
    rf"|\({_ACTUAL.replace('?P<', '?P<_')}\)|\((?P<_never>never executed)\))\s*\Z"
)
_SUBPLAN = re.compile(r"(?P<name>(?:InitPlan|SubPlan) .+|CTE .+)\Z")
_PROPERTY = re.compile(r"(?P<name>[A-Z][\w/ -]*?):(?: +(?P<value>.*))?\Z", re.DOTALL)
_TRIGGER = re.compile(
    r"Trigger (?:for constraint )?(?P<name>.+?)(?: on (?P<relation>.+?))?:"
    r"(?: time=(?P<ms>[\d.]+))? calls=(?P<calls>\d+)\Z"
)
_PARTITION = re.compile(r"(?:Foreign )?(?:Insert|Update|Delete|Merge) on [^()]+\Z")
"""A partition that the node above writes to."""
_MOST_WRAPS = 400
"""Lines that one expression may be wrapped over."""


def read_text(content: str) -> dict[str, Any]:
    """The document of a plan in text format. Raises PlanUnreadable."""
    reading = _Reading()
    for indent, line in _unwrapped(content):
        reading.take(indent, line)
    return reading.document()


class _Reading:
    def __init__(self) -> None:
        self.root: dict[str, Any] | None = None
        self.whole: dict[str, Any] = {}
        self.open: list[tuple[int, dict[str, Any]]] = []
        """The nodes from the root to the last one, with the column each begins at."""
        self.subplan: tuple[int, str] | None = None
        self.section: str | None = None
        self.worker: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        if self.root is None:
            raise PlanUnreadable(
                "There is no plan in this text.",
                "Give all of what EXPLAIN printed, as text, JSON, YAML or XML.",
            )
        return {"Plan": self.root, **self.whole}

    def take(self, indent: int, line: str) -> None:
        subplan = _SUBPLAN.match(line)
        if self.root is not None and _PARTITION.match(line):
            return
        if self.root is None or line.startswith("->"):
            self._node(indent, line)
        elif subplan is not None and ":" not in line.split("(")[0]:
            self.subplan = (indent, subplan["name"])
        elif not self._whole_plan(indent, line):
            self._property(line)

    def _node(self, indent: int, line: str) -> None:
        arrow = line.startswith("->")
        node = read_node(line[2:].strip() if arrow else line)
        if node is None:
            if self.root is None:
                return  # what stands before a plan: a prompt, a log's prefix, the query
            raise PlanUnreadable(f"This line of the plan cannot be read: {line[:60]}")
        self.worker = self.section = None
        if self.root is None:
            self.root = node
            self.open = [(indent, node)]
            return
        # What a subplan hangs from is said by its heading, which stands further left.
        column = min(indent, self.subplan[0]) if self.subplan else indent
        while len(self.open) > 1 and self.open[-1][0] >= column:
            self.open.pop()
        self._relate(node, indent)
        self.open[-1][1].setdefault("Plans", []).append(node)
        self.open.append((indent, node))

    def _relate(self, node: dict[str, Any], indent: int) -> None:
        if self.subplan is not None and self.subplan[0] < indent:
            name = self.subplan[1]
            node["Subplan Name"] = name
            is_sub = name.startswith("SubPlan")
            node["Parent Relationship"] = "SubPlan" if is_sub else "InitPlan"
        else:
            siblings = self.open[-1][1].get("Plans", [])
            ordinary = [one for one in siblings if "Subplan Name" not in one]
            node["Parent Relationship"] = "Inner" if ordinary else "Outer"
        self.subplan = None

    def _whole_plan(self, indent: int, line: str) -> bool:
        """Lines about the plan as a whole stand after the tree, at the left edge."""
        trigger = _TRIGGER.match(line)
        if trigger is not None:
            is_constraint = line.startswith("Trigger for constraint")
            self.whole.setdefault("Triggers", []).append(
                {
                    "Constraint Name" if is_constraint else "Trigger Name": trigger["name"],
                    "Relation": trigger["relation"] or "",
                    "Time": float(trigger["ms"] or 0),
                    "Calls": int(trigger["calls"]),
                }
            )
            return True
        if indent > self.open[0][0] and self.section is not None:
            text_lines.add_to_section(self.whole, self.section, line)
            return True
        self.section = None
        if line in ("Planning:", "JIT:"):
            self.section = line[:-1]
            return True
        return text_lines.add_to_whole(self.whole, line)

    def _property(self, line: str) -> None:
        node = self.open[-1][1]
        worker = text_lines.worker_of(node, line)
        if worker is not None:
            self.worker = worker
            return
        matched = _PROPERTY.match(line)
        if matched is not None:
            text_lines.add(node, matched["name"], (matched["value"] or "").strip())


def read_node(line: str) -> dict[str, Any] | None:
    """A node from its line without the arrow; None when it is none."""
    figures = _FIGURES.search(line)
    if figures is None:
        return None
    node = read_title(line[: figures.start()].strip())
    if node is None:
        return None
    if figures["startup"] is not None:
        node["Startup Cost"] = float(figures["startup"])
        node["Total Cost"] = float(figures["total"])
        node["Plan Rows"] = int(figures["rows"])
        node["Plan Width"] = int(figures["width"])
    prefix = "_" if figures["startup"] is None else ""
    loops = figures[f"{prefix}loops"]
    if figures[f"{prefix}never"] is not None:
        node |= {"Actual Rows": 0, "Actual Loops": 0}
    elif loops is not None:
        if figures[f"{prefix}first"] is not None:
            node["Actual Startup Time"] = float(figures[f"{prefix}first"])
            node["Actual Total Time"] = float(figures[f"{prefix}last"])
        node["Actual Rows"] = float(figures[f"{prefix}found"])
        node["Actual Loops"] = int(loops)
    return node


def _unwrapped(content: str) -> list[tuple[int, str]]:
    """Lines with their indentation, each wrapped one put together again."""
    found: list[list[str]] = []
    indents: list[int] = []
    width = max((len(line.rstrip()) for line in content.split("\n")), default=0)
    for raw in content.split("\n"):
        line = raw.strip()
        if not line:
            continue
        if found and not _begins(line, found[-1]):
            if len(found[-1]) > _MOST_WRAPS:
                raise PlanUnreadable("This is not the text of a plan.")
            found[-1].append(line)
        else:
            found.append([line])
            indents.append(len(raw) - len(raw.lstrip()))
    return [(indent, _joined(parts, width)) for indent, parts in zip(indents, found, strict=True)]


def _begins(line: str, before: list[str]) -> bool:
    """Whether a line begins something, rather than continuing what was wrapped before it."""
    if line.startswith("->"):
        return True
    so_far = " ".join(before)
    if so_far.count("(") > so_far.count(")") and so_far.startswith("->"):
        return False
    if _SUBPLAN.match(line) and ":" not in line.split("(")[0]:
        return True
    if _TRIGGER.match(line) or _PARTITION.match(line) or line.startswith("Worker "):
        return True
    matched = _PROPERTY.match(line)
    if matched is not None:
        return text_lines.is_known(matched["name"]) or so_far.count("(") <= so_far.count(")")
    return _FIGURES.search(line) is not None and read_node(line) is not None


def _joined(parts: list[str], width: int) -> str:
    """Wrapped at a space, or in the middle of a word where the terminal ended."""
    line = parts[0]
    for part in parts[1:]:
        spaced, tight = f"{line} {part}", line + part
        complete = _FIGURES.search(tight) is not None and _FIGURES.search(spaced) is None
        line = tight if complete else spaced
    return line
