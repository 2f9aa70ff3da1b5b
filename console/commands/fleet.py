"""medianest-console fleet: how every target of the settings is, a line each."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.fleet import Member

_EPILOG = (
    "Exit code, by the worst target: 0 all well, 1 warnings, 2 one fails or is down, 3 something"
    " could not be seen, also a mistake in the command line or the settings."
)
_HEADINGS = ("TARGET", "VERDICT", "PG", "ROLE", "CONN", "SIZE", "PROVEN", "ALERTS")
_RIGHT = frozenset({"CONN", "SIZE"})


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "fleet",
        help="say how every target of the settings is",
        description="Ask all targets at once, each for five seconds at most, and say how each is.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--settings", metavar="FILE", default=argparse.SUPPRESS, help="a settings file (YAML)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> ExitCode:
    import asyncio
    import json
    from dataclasses import asdict

    from console import fleet
    from console.commands.target import settings_with_targets
    from console.findings import Severity, exit_code
    from console.output import write

    settings = settings_with_targets(options)
    members = asyncio.run(fleet.look(settings))
    if options.json:
        listed = [_document(member, asdict) for member in members]
        write(json.dumps(listed, indent=1, ensure_ascii=False, default=str) + "\n")
    else:
        write(_table(members))
    verdict = fleet.worst(members)
    if verdict is Severity.INFO:
        return ExitCode.OK
    return exit_code(verdict, fail_on_warning=True)


def _table(members: Sequence[Member]) -> str:
    """A line each, then what is wrong with whom."""
    from console import fleet_words as words

    rows = [_HEADINGS, *(_row(member) for member in members)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = [
        "  ".join(
            cell.rjust(width) if heading in _RIGHT else cell.ljust(width)
            for heading, cell, width in zip(_HEADINGS, row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]
    lines += [
        f"{finding.severity}: {member.name}: {words.reason(finding)}"
        for member in members
        for finding in member.findings
    ]
    return "\n".join(lines) + "\n"


def _row(member: Member) -> tuple[str, ...]:
    from console import fleet_words as words

    return (
        member.name,
        words.state(member),
        words.version(member.live),
        words.role(member.live),
        words.connections(member.live),
        words.database_size(member.live),
        words.proven(member),
        words.alerts(member),
    )


def _document(member: Member, asdict: Any) -> dict[str, object]:
    from console.findings import in_brief

    live = member.live
    return {
        "target": member.name,
        "database": member.label,
        "at": member.at.isoformat(),
        "verdict": "down" if live is None else str(member.verdict),
        "problem": member.problem,
        "version": None if live is None else live.server.version,
        "role": None if live is None else "standby" if live.place.in_recovery else "primary",
        "replication": None if live is None else asdict(live.place),
        **_cluster(live, asdict),
        "connections": None if live is None else live.sample.connections,
        "connections_allowed": None
        if live is None
        else live.sample.max_connections - live.sample.reserved_connections,
        "bytes": None if live is None else live.database_bytes,
        "verified_backup": _backup(member.verified),
        "drilled_backup": _backup(member.drilled),
        "alerts": None if member.alerts is None else [alert.message for alert in member.alerts],
        "findings": in_brief(member.findings),
    }


def _cluster(live: Any, asdict: Any) -> dict[str, object]:
    """The same names for every target; a target that is down, or without one, has null."""
    names = ("followers", "slots", "conflicts", "manager", "citus")
    if live is None:
        return dict.fromkeys(names)
    told = asdict(live.cluster)
    return {name: told[name] for name in names}


def _backup(backup: Any) -> dict[str, str] | None:
    return None if backup is None else {"id": backup.id, "made_at": backup.made_at.isoformat()}
