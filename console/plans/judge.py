"""May a statement be run to measure it? Our reading of it is advice; the server's plan decides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from console.errors import ActionRefused
from console.plans import words
from console.plans.tree import Plan
from console.plans.words import Kind

READING = ("select", "with", "values", "table", "(")
WRITING = ("insert", "update", "delete", "merge")

_NEVER = re.compile(
    r"""
      pg_(?:terminate|cancel)_backend | pg_reload_conf | pg_rotate_logfile\w* | pg_switch_wal
    | pg_create_restore_point | pg_promote | pg_wal_replay_(?:pause|resume)
    | pg_(?:start|stop)_backup | pg_backup_(?:start|stop)
    | pg_stat_reset\w* | pg_stat_statements_reset | pg_(?:restore|clear|set)_\w+_stats
    | pg_(?:try_)?advisory_\w+ | pg_replication_(?:slot|origin)_\w+
    | pg_(?:create|drop|copy|sync)_\w*slots?\w* | pg_logical_\w+ | pg_export_snapshot
    | pg_read_(?:binary_)?file\w* | pg_file_\w+ | pg_ls_\w+ | pg_stat_file | pg_log_\w+
    | lo_\w+ | dblink\w* | pg_notify | set_config
    | (?:query|cursor)_to_xml\w* | ts_stat | ts_rewrite
    | pg_import_system_collations | pg_prewarm | autoprewarm\w* | pg_nextoid
    | brin_\w+ | gin_clean_pending_list | pg_truncate_visibility_map | heap_force_\w+
    | binary_upgrade_\w+ | pg_background_\w+ | http_\w+
    """,
    re.VERBOSE,
)
"""Functions whose doing a rollback does not undo, or that run SQL out of a string."""

_SEQUENCES = ("nextval", "setval")
_EXPLAIN = re.compile(
    r"\s*explain\b\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|(?:(?:analy[sz]e|verbose)\b\s*)*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the words of a statement say, before the server is asked."""

    text: str
    """The statement alone: without EXPLAIN in front and semicolons behind."""
    verb: str
    """Its first word in lower case."""
    forbidden: tuple[str, ...]
    """Functions it calls that are never run from here."""
    writes: tuple[str, ...]
    """Why it seems to write; empty when it seems to read."""
    functions: frozenset[str]
    """Names it calls, in lower case."""
    parameters: int
    """The highest n of its $n."""


def judge(text: str) -> Judgement:
    """Read a statement. Raises ActionRefused when it is none, several, or has no plan."""
    statement = _alone(text)
    found = list(words.words(statement))
    if not found:
        raise ActionRefused("There is no statement to explain.", "Write a query first.")
    verb = found[0].text.lower()
    if found[0].kind not in (Kind.NAME, Kind.SIGN) or verb not in READING + WRITING:
        raise ActionRefused(
            f"{found[0].text.upper()[:20]} is not a statement with a plan.",
            "SELECT, WITH, VALUES, TABLE, INSERT, UPDATE, DELETE and MERGE have one.",
        )
    if any(word.kind is Kind.SIGN and word.text == ";" for word in found):
        raise ActionRefused("These are several statements.", "Explain one statement at a time.")
    called = words.called_names(statement)
    return Judgement(
        statement,
        verb,
        tuple(sorted(name for name in called if _NEVER.fullmatch(name))),
        tuple(_writes(statement, verb, called)),
        called,
        words.parameters(statement),
    )


def _alone(text: str) -> str:
    """Without an EXPLAIN that was pasted along, and without the semicolons around it."""
    found = list(words.words(text))
    while found and found[0].text == ";":
        text = text[found[0].end :]
        found = list(words.words(text))
    if found and found[0].kind is Kind.NAME and found[0].text.lower() == "explain":
        matched = _EXPLAIN.match(text, found[0].start)
        text = text[matched.end() :] if matched else text
        found = list(words.words(text))
    while found and found[-1].text == ";" and found[-1].kind is Kind.SIGN:
        text = text[: found[-1].start]
        found = found[:-1]
    return text.strip()


def _writes(statement: str, verb: str, called: frozenset[str]) -> Iterator[str]:
    if verb in WRITING:
        yield f"It is {'an' if verb in ('insert', 'update') else 'a'} {verb.upper()}."
    for name in _SEQUENCES:
        if name in called:
            yield f"{name}() changes a sequence."
    if verb not in WRITING and any(
        word.kind is Kind.NAME and word.text.lower() == "into" for word in words.words(statement)
    ):
        # Not even the server's read-only transaction stops this one when it is EXECUTEd.
        yield "INTO makes or fills a table."
    yield from _parsed_writes(statement, verb)


def _parsed_writes(statement: str, verb: str) -> Iterator[str]:
    """What sqlglot finds inside; what it cannot read, the server will judge alone."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse(words.spaced(statement), dialect="postgres")
    except (SqlglotError, RecursionError):
        return
    kinds = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
    for tree in parsed:
        if tree is None:
            continue
        for found in tree.find_all(*kinds):
            if found is not tree or verb not in WRITING:
                yield f"There is {found.key.upper()} within it."
        if tree.find(exp.Lock) is not None:
            yield "It locks rows (FOR UPDATE or FOR SHARE)."


def plan_writes(plan: Plan) -> tuple[str, ...]:
    """Why the server's own plan writes or locks; empty when it only reads. This decides."""
    reasons = []
    for node in plan.nodes:
        if node.kind == "ModifyTable" or "Operation" in node.properties:
            reasons.append(f"The plan has {node.title}.")
        elif node.kind == "LockRows":
            reasons.append("The plan locks rows.")
    return tuple(dict.fromkeys(reasons))


def plan_calls(plan: Plan) -> frozenset[str]:
    """Names of functions in the plan's expressions, in which views are opened."""
    found: set[str] = set()
    for node in plan.nodes:
        for value in node.properties.values():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and "(" in text:
                    found |= words.called_names(text)
        if node.kind == "Function Scan":
            found.add(node.text_of("Function Name").lower())
    return frozenset(found)


def never_run(names: frozenset[str]) -> tuple[str, ...]:
    """Those of the functions that are never run from here."""
    return tuple(sorted(name for name in names if _NEVER.fullmatch(name)))
