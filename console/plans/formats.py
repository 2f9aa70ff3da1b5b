"""Plans as people have them: JSON, text, YAML or XML, as psql framed them or a log held them.

Every reader gives the same document: what EXPLAIN (FORMAT JSON) would have said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn
from xml.etree import ElementTree

import yaml

from console.plans import text_lines
from console.plans.text_format import read_text
from console.plans.tree import Plan, PlanUnreadable, build

LARGEST = 64 * 1024 * 1024
"""Characters; a larger input is no plan."""

_HINT = "Give all of what EXPLAIN printed, as text, JSON, YAML or XML."
_FOOTER = re.compile(r"\s*\(\d+ (?:rows?|Zeilen?|lignes?|filas?)\)\s*\Z")
_RULE = re.compile(r"[-+|─┼═╪╔╗╚╝╟╢╠╣│║┌┐└┘├┤┬┴ =]+\Z")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?\Z")


def read(text: str) -> Plan:
    """The plan in a text of any format. Raises PlanUnreadable, a line that says what is wrong."""
    if len(text) > LARGEST:
        raise PlanUnreadable("The input is too large for a plan.", _HINT)
    content = _unframed(text)
    if not content.strip():
        raise PlanUnreadable("The input is empty.", _HINT)
    try:
        return build(_document(content))
    except RecursionError as error:
        raise PlanUnreadable("The plan is nested too deeply to be read.", _HINT) from error
    except ValueError as error:
        raise PlanUnreadable("A figure of the plan is no number.", _HINT) from error


def _document(content: str) -> Mapping[str, Any]:
    start = content.lstrip()
    if start.startswith(("[", "{")):
        return _json(start)
    if start.startswith("<"):
        return _xml(start)
    if re.match(r"(?:- )?(?:Plan|Query Text|Query Identifier):", start):
        return _yaml(content)
    logged = re.search(r"^[\t ]*[\[{]\s*$", content, re.MULTILINE)
    if logged is not None and '"Node Type"' in content:
        return _json(content[logged.start() :].lstrip())
    return read_text(content)


def _fail(what: str, error: Exception | None = None) -> NoReturn:
    raise PlanUnreadable(what, _HINT) from error


def _json(content: str) -> Mapping[str, Any]:
    try:
        # What follows the document (a log's next line) is none of the plan's business.
        value, _end = json.JSONDecoder(parse_constant=_no_constant).raw_decode(content)
    except ValueError as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        _fail(f"The JSON cannot be read{place}.", error)
    return _first(value, "JSON")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _first(value: Any, name: str) -> Mapping[str, Any]:
    """The first plan of an array; a rule may turn one statement into several."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        _fail(f"The {name} is not what EXPLAIN prints.")
    if "Plan" not in value and "Node Type" in value:
        return {"Plan": value}
    return value


def _yaml(content: str) -> Mapping[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for event in yaml.parse(content, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                _fail("The YAML uses aliases, which EXPLAIN never does.")
        value = yaml.load(content, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        _fail("The YAML cannot be read" + (f" at line {mark.line + 1}." if mark else "."), error)
    except (ValueError, TypeError) as error:
        _fail("The YAML cannot be read.", error)
    return _first(value, "YAML")


# XML names cannot hold spaces, slashes or hyphens apart, so EXPLAIN writes all as hyphens.
_XML_NAMES = {
    "One Time Filter": "One-Time Filter",
    "Full sort Groups": "Full-sort Groups",
    "Pre sorted Groups": "Pre-sorted Groups",
}
_XML_TEXT = text_lines.TEXTS | {
    "Item",
    "Relation Name",
    "Alias",
    "Schema",
    "Index Name",
    "CTE Name",
    "Subplan Name",
    "Function Name",
    "Tuplestore Name",
    "Trigger Name",
    "Constraint Name",
    "Relation",
    "Query Text",
}


def _xml(content: str) -> Mapping[str, Any]:
    if "<!" in content.replace("<![CDATA[", ""):
        _fail("The XML declares a document type, which EXPLAIN never does.")
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        _fail(f"The XML cannot be read at line {error.position[0]}.", error)
    except ValueError as error:
        _fail("The XML cannot be read.", error)
    query = next((one for one in root.iter() if _tag(one) in ("Query", "explain")
                  and any(_tag(child) == "Plan" for child in one)), None)  # fmt: skip
    if query is None:
        _fail("The XML has no plan in it.")
    value = _xml_value(query)
    return value if isinstance(value, dict) else {}


def _tag(element: ElementTree.Element) -> str:
    name = element.tag.rpartition("}")[2].replace("-", " ").replace("I O ", "I/O ")
    return _XML_NAMES.get(name, name)


_XML_LISTS = {"Plans": "Plan", "Workers": "Worker", "Triggers": "Trigger"}


def _xml_value(element: ElementTree.Element) -> Any:
    children = list(element)
    name = _tag(element)
    if not children:
        if name in _XML_LISTS:
            return []
        return _scalar(name, element.text or "")
    if name in _XML_LISTS or all(_tag(child) == "Item" for child in children):
        return [_xml_value(child) for child in children]
    return {_tag(child): _xml_value(child) for child in children}


def _scalar(name: str, text: str) -> Any:
    if name in _XML_TEXT or name.islower():  # settings are named in lower case
        return text
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.match(text) and len(text) < 30:
        return float(text) if re.search(r"[.eE]", text) else int(text)
    return text


def _unframed(text: str) -> str:
    """Without what psql, a spreadsheet or a mail put around the plan's own lines."""
    lines = text.lstrip("﻿").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [line for line in lines if not _FOOTER.match(line)]
    lines = [line for line in lines if not (line.strip() and _RULE.match(line.strip()))]
    lines = [line for line in lines if line.strip().strip('|│║"+ ') != "QUERY PLAN"]
    filled = [line.strip() for line in lines if line.strip()]
    for left, right in (("|", "|"), ("│", "│"), ("║", "║")):
        if filled and all(line.startswith(left) and line.endswith(right) for line in filled):
            lines = [_inside(line) for line in lines]
    filled = [line.rstrip() for line in lines if line.strip()]
    continued = [line for line in filled if line.endswith("+")]
    if len(continued) >= max(1, len(filled) - 2):
        lines = [line.rstrip().removesuffix("+").rstrip() for line in lines]
    filled = [line.strip() for line in lines if line.strip()]
    if filled and all(len(line) > 1 and line[0] == line[-1] == '"' for line in filled):
        lines = [line.strip()[1:-1].replace('""', '"') for line in lines]
    return _without_margin([line.expandtabs(4) for line in lines])


def _inside(line: str) -> str:
    return line.strip()[1:-1].rstrip()


def _without_margin(lines: list[str]) -> str:
    """psql puts a space before every line; YAML takes indentation at its word."""
    margins = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    margin = min(margins, default=0)
    return "\n".join(line[margin:] if line.strip() else "" for line in lines)
