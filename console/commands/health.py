"""medianest-console health: is the database, or the agent, well? Made to be asked often."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from console.target import Target

_QUICK_SECONDS = 3


def register(commands: Any) -> None:
    from console.cli import add_target_options

    parser = commands.add_parser(
        "health",
        help="say in a line and an exit code how the database is, e.g. for a container",
        description="Look once. --quick only connects and asks one question, as a container's"
        " HEALTHCHECK should; without a host it tries 127.0.0.1, not the socket, on which the"
        " server of a first start listens alone.",
        epilog="Exit code: 0 well, 1 warnings (not with --quick), 2 not well, 3 a mistake in the"
        " command line or the settings.",
        allow_abbrev=False,
    )
    add_target_options(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--quick", action="store_true", help="connect and ask one question")
    how.add_argument(
        "--agent", action="store_true", help="ask nothing: whether the agent runs and looks"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> ExitCode:
    if options.agent:
        return _agent(options)
    if options.quick:
        return _quick(_over_tcp(_target(options)), options)
    return _look(_target(options), options)


def _target(options: argparse.Namespace) -> Target:
    """As every command chooses it; the settings, which take time, are read only where they count.

    --dsn, and without a settings file DATABASE_URL, say all there is to say.
    """
    import os

    from console.target import from_dsn, from_environment

    if options.dsn is not None and options.settings is None:
        return from_dsn(options.dsn)
    named = options.target is not None or options.settings is not None
    if not named and os.environ.get("DATABASE_URL", "").strip():
        return from_environment(os.environ)
    from console.commands.target import settings_and_target

    _settings, target = settings_and_target(options)
    return target


def _over_tcp(target: Target) -> Target:
    from dataclasses import replace

    if target.effective.get("host") or target.effective.get("hostaddr"):
        return target
    return replace(target, parameters={**target.parameters, "host": "127.0.0.1"})


def _quick(target: Target, options: argparse.Namespace) -> ExitCode:
    """A plain connection: what may be imported here decides how long the answer takes."""
    from time import perf_counter

    import psycopg

    began = perf_counter()
    parameters: dict[str, Any] = {
        "connect_timeout": str(_QUICK_SECONDS),
        "application_name": "medianest-console",
        "options": f"-c statement_timeout={_QUICK_SECONDS}s -c default_transaction_read_only=on",
        **target.parameters,
    }
    try:
        with psycopg.connect(**parameters, autocommit=True) as connection:
            major = connection.info.server_version // 10000
            connection.execute("SELECT")
    except psycopg.Error as error:
        from console.session import explain

        told = explain(error, target)
        return _say(options, ExitCode.FAILURES, "down", str(told))
    words = f"PostgreSQL {major} answered in {1000 * (perf_counter() - began):.0f} ms"
    return _say(options, ExitCode.OK, "ok", words)


def _look(target: Target, options: argparse.Namespace) -> ExitCode:
    """The live figures and what is wrong with them."""
    import asyncio

    from console.errors import ConsoleError
    from console.findings import Severity, exit_code, worst
    from console.overview import judge
    from console.session import APPLICATION_NAME, Session
    from queries.overview import OVERVIEW, Sample

    async def sample() -> tuple[Sample, bool]:
        session = Session(target)
        try:
            row = await session.fetch_one(OVERVIEW, {"own_name": APPLICATION_NAME})
            return row, session.server is not None and session.server.reads_all_stats
        finally:
            await session.close()

    try:
        row, sees_everything = asyncio.run(sample())
    except ConsoleError as error:
        return _say(options, ExitCode.FAILURES, "down", str(error))
    findings = judge(row, sees_everything=sees_everything)
    if not findings:
        usable = row.max_connections - row.reserved_connections
        words = f"healthy, {row.connections} of {usable} connections in use"
        return _say(options, ExitCode.OK, "ok", words)
    verdict = worst(findings)
    code = exit_code(verdict, fail_on_warning=True)
    if verdict is Severity.UNKNOWN:
        code = ExitCode.WARNINGS
    return _say(options, code, str(verdict), " ".join(f.message for f in findings))


def _agent(options: argparse.Namespace) -> ExitCode:
    from datetime import UTC, datetime

    from console.agent.presence import read_presence
    from console.settings import state_directory
    from console.units import age

    presence = read_presence(state_directory())
    now = datetime.now(UTC)
    if presence is None or not presence.running:
        return _say(options, ExitCode.FAILURES, "down", "No agent runs.")
    words = f"The agent (pid {presence.pid}) looked {age(presence.seen, now)}"
    if presence.is_late(now):
        return _say(options, ExitCode.FAILURES, "late", f"{words}: it is stuck.")
    targets = ", ".join(f"{name} {doing.verdict}" for name, doing in presence.targets.items())
    return _say(options, ExitCode.OK, "ok", f"{words}: {targets or 'nothing to watch'}")


def _say(options: argparse.Namespace, code: ExitCode, verdict: str, words: str) -> ExitCode:
    from console.output import write

    if options.json:
        import json

        write(json.dumps({"verdict": verdict, "message": words}, ensure_ascii=False) + "\n")
    else:
        write(f"{verdict}: {words}\n")
    return code
