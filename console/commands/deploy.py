"""medianest-console deploy: judge a deployment's files, or write sound ones."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from console.errors import ExitCode

if TYPE_CHECKING:
    from console.deploy.model import Server

_EPILOG = (
    "Exit code: 0 all is well, 1 warnings (with --fail-on warning), 2 failures, 3 something could"
    " not be told, also a file that cannot be read."
)
_KINDS = {
    "compose": "write a compose file",
    "hardened": "write a compose file without root, capabilities or a published port",
    "kubernetes": "write Kubernetes manifests",
    "systemd": "write a unit for Debian's own server",
}
_COMPANIONS = {
    "agent": "write a compose file for the agent, without root and read-only",
    "agent-image": "write the Dockerfile of the agent's image",
    "agent-unit": "write a confined systemd unit for the agent",
    "prometheus": "write Prometheus' configuration to read the agent",
    "prometheus-rules": "write Prometheus' rules for alerts",
    "grafana": "write a Grafana dashboard of what the agent serves",
}


def register(commands: Any) -> None:
    parser = commands.add_parser(
        "deploy",
        help="judge the files of a deployment, or write sound ones",
        description="Judge how PostgreSQL is deployed, or write a deployment that is sound.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_audit(actions)
    for kind, meaning in _KINDS.items():
        _add_version(_add_writer(actions, kind, meaning))
    for kind, meaning in _COMPANIONS.items():
        _add_writer(actions, kind, meaning)


def _add_audit(actions: Any) -> None:
    from console.cli import add_target_options

    parser = actions.add_parser(
        "audit",
        help="judge compose files, Kubernetes manifests and systemd units",
        description="Judge every PostgreSQL in compose files (several are merged in order),"
        " Kubernetes manifests and systemd units (*.service), with FILE:LINE and the mended YAML.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_target_options(parser)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--format", choices=["text", "markdown", "json"], default="text")
    parser.add_argument(
        "--fail-on",
        choices=["warning", "failure"],
        default="failure",
        help="exit with 1 when there are warnings",
    )
    _add_version(parser)
    parser.set_defaults(run=run_audit)


def _add_writer(actions: Any, kind: str, meaning: str) -> argparse.ArgumentParser:
    from console.cli import add_target_options

    parser = actions.add_parser(kind, help=meaning, allow_abbrev=False)
    add_target_options(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="a new file; default: print it")
    parser.set_defaults(run=run_writer, kind=kind)
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server-version",
        metavar="N",
        help="what the server runs, e.g. 17, 17.6 or what version() answers; else asked from"
        " --dsn or --target where given",
    )


def run_audit(options: argparse.Namespace) -> ExitCode:
    import os
    from pathlib import Path

    from console.deploy.audit import audit
    from console.deploy.report import FORMATS
    from console.findings import exit_code
    from console.output import write

    done = audit(map(Path, options.files), variables=os.environ, server=_server(options))
    write(FORMATS[options.format](done))
    return exit_code(done.verdict, fail_on_warning=options.fail_on == "warning")


def run_writer(options: argparse.Namespace) -> ExitCode:
    from pathlib import Path

    from console.deploy.writers import COMPANIONS, companion, deployment
    from console.errors import ActionRefused
    from console.output import tell, write

    if options.kind in COMPANIONS:
        content = companion(options.kind)
    else:
        content = deployment(options.kind, _server(options))
    if options.output is None:
        write(content)
        return ExitCode.OK
    path = Path(options.output)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError as error:
        raise ActionRefused(f"{path} is there already.", "Name a new file.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ActionRefused(f"{path} cannot be written ({reason}).", "Name another.") from error
    more = "" if options.kind == "grafana" else "; what to do before the first start is at its top"
    tell(f"Written to {path}{more}.")
    return ExitCode.OK


def _server(options: argparse.Namespace) -> Server | None:
    """What --server-version says, else the database that --dsn or --target names."""
    from console.deploy.audit import parse_server

    if options.server_version is not None:
        return parse_server(options.server_version)
    if options.dsn is None and options.target is None:
        return None
    import asyncio

    return parse_server(asyncio.run(_asked(options)))


async def _asked(options: argparse.Namespace) -> str:
    """What version() answers on the target."""
    from console.commands.target import settings_and_target
    from console.session import Session
    from queries.build import SERVER_BUILD

    _, target = settings_and_target(options)
    session = Session(target)
    try:
        return (await session.fetch_one(SERVER_BUILD)).version
    finally:
        await session.close()
