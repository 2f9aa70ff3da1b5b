"""The list of every check, as text, Markdown and JSON; docs/checks.md is made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from console.checks.check import Check
from console.checks.registry import CHECKS
from console.report import escaped, wrapped

_ABOUT_CATEGORIES = {
    "schema": "The database against its profile. Readiness: these decide the verdict.",
    "data": "Rows against what the profile and the catalogs promise. Readiness.",
    "integrity": "Stored data against its constraints and checksums; reads whole tables.",
    "migrations": "Prisma's history of migrations. Readiness.",
    "speed": "What the application waits for. Readiness.",
    "index": "Indexes that cost more than they give. Advice.",
    "foreign-key": "Foreign keys that are slow, doubled or of another type. Advice.",
    "table": "Tables without key, statistics or room. Advice.",
    "column": "Types and names that trouble somebody later. Advice.",
    "server": "What holds old rows and WAL, what runs out, what drifted. Advice.",
    "security": "Who gets in, and what they may do. Advice.",
    "settings": "The server's settings. Advice.",
    "storage": "Room on the disks. Advice.",
}


def as_text() -> str:
    """80 columns: a heading a category, an entry a check."""
    lines: list[str] = []
    for category, checks in _by_category():
        lines += [*wrapped(f"{category}: {_ABOUT_CATEGORIES[category]}", "", ""), ""]
        for check in checks:
            lines.append(f"  {check.id}")
            lines += wrapped(f"{check.meaning}{_note(check)}", "      ", "      ")
        lines.append("")
    return "\n".join(lines)


def _by_category() -> Iterator[tuple[str, list[Check]]]:
    for category in dict.fromkeys(check.category for check in CHECKS):
        yield category, [check for check in CHECKS if check.category == category]


def _note(check: Check) -> str:
    """What sets a check apart, e.g. (CIS 4.3; needs superuser)."""
    parts = [
        f"CIS {check.cis}" if check.cis else "",
        f"needs {check.privileges}" if check.privileges else "",
        f"from PostgreSQL {check.oldest} on" if check.oldest > 13 else "",
        "" if check.by_default else "only when named",
    ]
    known = "; ".join(part for part in parts if part)
    return f" ({known})" if known else ""


def as_markdown() -> str:
    """The documentation page: a table a category, then the thresholds and the settings."""
    default = sum(check.by_default for check in CHECKS)
    lines = [
        "# Checks",
        "",
        "Made by `medianest-console checks list --format markdown`; do not edit.",
        "",
        f"There are {len(CHECKS)} checks; `medianest-console check` runs {default} of them, the"
        " others when their id or category is named with `--only`, or switched on in the settings.",
        "",
        "The verdict is made of the categories schema, data, integrity, migrations and speed. The"
        " others are advice: they are told beside the verdict and change it only by a failure, or"
        " when they were named. What could not be asked, for want of a privilege or an extension,"
        " is *unknown*, never well. Each finding carries what was asked, what came back and when,"
        " and its fix. Privileges are those beyond CONNECT; all checks run on PostgreSQL 13 to 18"
        " unless a version is given.",
    ]
    for category, checks in _by_category():
        lines += [
            "",
            f"## {category}",
            "",
            _ABOUT_CATEGORIES[category],
            "",
            "| Check | All is well when | At worst | Asks | Fix | Needs |",
            "|---|---|---|---|---|---|",
            *(_row(check) for check in checks),
        ]
    return "\n".join([*lines, *_settings()]) + "\n"


def _row(check: Check) -> str:
    about = check.about
    needs = [check.privileges] if check.privileges else []
    needs += [f"PostgreSQL {check.oldest}"] if check.oldest > 13 else []
    name = f"`{check.id}`" + (f" (CIS {check.cis})" if check.cis else "")
    name += "" if check.by_default else ", when named"
    cells = (check.meaning, about.severity, about.asks, about.fix, "; ".join(needs))
    return f"| {name} | {' | '.join(map(escaped, cells))} |"


def _settings() -> Iterator[str]:
    yield from (
        "",
        "## In the settings",
        "",
        "```yaml",
        "checks:",
        "  on: [index.boolean]          # run by default; ids or categories",
        "  off: [column]                # not unless named",
        "  thresholds:",
        "    index.unused.days: 30",
        "  silence:",
        "    - check: index.unused",
        "      object: public.orders_*  # the finding's subject; all when left out",
        "      reason: the yearly report needs them",
        "      until: 2027-01-31        # from the next day on it is told again, with this reason",
        "```",
        "",
        "Silenced findings are counted in the headline and listed at the end of the report. What"
        " is unknown cannot be silenced.",
        "",
        "| Threshold | Default | Meaning |",
        "|---|---|---|",
    )
    for check in CHECKS:
        for name, threshold in check.thresholds.items():
            yield f"| `{name}` | {threshold.default:g} | {threshold.meaning} |"


def as_json() -> str:
    """A list of {id, category, title, meaning, severity, asks, fix, cis, privileges, versions,
    default, advice, needs_profile, thresholds}."""
    return json.dumps([_object(check) for check in CHECKS], indent=2, ensure_ascii=False) + "\n"


def _object(check: Check) -> dict[str, object]:
    return {
        "id": check.id,
        "category": check.category,
        "title": check.title,
        "meaning": check.meaning,
        "severity": check.about.severity,
        "asks": check.about.asks,
        "fix": check.about.fix,
        "cis": check.cis or None,
        "privileges": check.privileges or None,
        "versions": f"{check.oldest}-18",
        "default": check.by_default,
        "advice": check.is_advice,
        "needs_profile": check.needs_profile,
        "thresholds": {name: one.default for name, one in check.thresholds.items()},
    }


FORMATS = {"text": as_text, "markdown": as_markdown, "json": as_json}
