"""Whether somebody asks the server how it is, and asks in a way that tells the truth."""

from __future__ import annotations

from collections.abc import Iterator

from console.deploy.model import Container, Flaw, Platform, Project, Rule
from console.deploy.quantities import number, seconds, truth
from console.deploy.reading import Map, Node, Place, Scalar, as_map, as_scalar, scalars
from console.findings import Severity

_COMPOSE = (Platform.COMPOSE,)
_KUBERNETES = (Platform.KUBERNETES,)
_INTERVAL_S = 15
_FIX = """\
healthcheck:
  test: ["CMD-SHELL", "pg_isready -q -h 127.0.0.1 -U $${POSTGRES_USER:-postgres}"]
  interval: 15s
  timeout: 5s
  retries: 5
  start_period: 60s"""
_COMMAND = '["pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres", "-d", "postgres"]'
_READINESS = (
    f"readinessProbe:\n  exec:\n    command: {_COMMAND}\n  periodSeconds: 15\n  timeoutSeconds: 5"
)
_LIVENESS = (
    f"livenessProbe:\n  exec:\n    command: {_COMMAND}\n  periodSeconds: 15\n"
    "  timeoutSeconds: 5\n  failureThreshold: 8"
)
_STARTUP = (
    f"startupProbe:\n  exec:\n    command: {_COMMAND}\n  periodSeconds: 10\n"
    "  timeoutSeconds: 5\n  failureThreshold: 180"
)


def healthcheck(container: Container, project: Project) -> Iterator[Flaw]:
    check = as_map(container.spec.get("healthcheck"), "healthcheck")
    test = _test(check)
    place = container.spec.where("healthcheck", "test")
    is_switched_off = "disable" in check.entries
    fix = container.mended(compose=f"{_FIX}\n  disable: false" if is_switched_off else _FIX)
    if not test or _is_disabled(check, test):
        yield Flaw(
            place if check.entries else container.place,
            Severity.WARNING,
            "nobody asks whether the server answers, so nothing can wait for it or notice",
            fix,
        )
        return
    message = _untrue(" ".join(word.raw for word in test), test)
    if message:
        yield Flaw(place, Severity.WARNING, message, fix)


def _test(check: Map) -> tuple[Scalar, ...]:
    return scalars(check.get("test"), "healthcheck.test")


def _is_disabled(check: Map, test: tuple[Scalar, ...]) -> bool:
    return truth(as_scalar(check.get("disable"), "disable")) or test[0].text == "NONE"


def _untrue(command: str, words: tuple[Scalar, ...]) -> str:
    """Why a command does not tell whether the server takes connections; '' when it does."""
    for word in words:
        _ = word.text  # a variable without a value may be the whole command
    if "pg_isready" not in command and "psql" not in command:
        return "the health check does not ask PostgreSQL"
    if not any(host in command for host in ("127.0.0.1", "localhost", "::1")):
        return (
            "the health check asks over the unix socket, where the server of the first start"
            " answers before the database is ready; ask over 127.0.0.1"
        )
    return ""


def timing(container: Container, project: Project) -> Iterator[Flaw]:
    check = as_map(container.spec.get("healthcheck"), "healthcheck")
    if not _test(check) or _is_disabled(check, _test(check)):
        return  # healthcheck tells
    interval = as_scalar(check.get("interval"), "interval")
    flaws = []
    if interval is None or seconds(interval) > _INTERVAL_S:
        flaws.append("asked less often than every 15 seconds")
    start = as_scalar(check.get("start_period"), "start_period")
    if start is None or seconds(start) <= 0:
        flaws.append("given no time to start or to recover (start_period)")
    if flaws:
        yield Flaw(
            container.spec.where("healthcheck", "interval"),
            Severity.WARNING,
            f"the server is {' and '.join(flaws)}",
            container.mended(compose=_FIX),
        )


def probes(container: Container, project: Project) -> Iterator[Flaw]:
    wanted = (
        ("readinessProbe", "clients are sent to a server that may not answer", _READINESS),
        ("livenessProbe", "a server that hangs is never started again", _LIVENESS),
    )
    for key, why, fix in wanted:
        node = container.spec.get(key)
        if node is None:
            message = f"there is no {key}: {why}"
            yield Flaw(container.place, Severity.WARNING, message, container.mended(container=fix))
            continue
        message = _probe_flaw(node, key)
        if message:
            where = container.spec.where(key)
            yield Flaw(where, Severity.WARNING, message, container.mended(container=fix))
    yield from _start_up(container)


def _probe_flaw(node: Node, key: str) -> str:
    probe = as_map(node, key)
    if "tcpSocket" in probe.entries:
        return ""  # the server of the first start listens on no port
    command = scalars(as_map(probe.get("exec"), "exec").get("command"), "exec.command")
    return _untrue(" ".join(word.raw for word in command), command).replace("health check", key)


def _start_up(container: Container) -> Iterator[Flaw]:
    """A liveness probe must not end a server that replays its WAL."""
    if "livenessProbe" not in container.spec.entries:
        return
    probe = as_map(container.spec.get("startupProbe"), "startupProbe")
    if not probe.entries:
        place: Place = container.spec.where("livenessProbe")
        patience = 0.0
    else:
        place = container.spec.where("startupProbe")
        patience = _value(probe, "periodSeconds", 10) * _value(probe, "failureThreshold", 3)
    if patience < 300:
        yield Flaw(
            place,
            Severity.WARNING,
            "the liveness probe may end the server while it recovers after a crash: give it 5"
            " minutes or more with a startupProbe",
            container.mended(container=_STARTUP),
        )


def _value(probe: Map, key: str, default: float) -> float:
    given = as_scalar(probe.get(key), key)
    return default if given is None else number(given)


RULES = (
    Rule(
        "deploy.healthcheck",
        "A health check asks PostgreSQL itself, over 127.0.0.1.",
        healthcheck,
        _COMPOSE,
    ),
    Rule(
        "deploy.healthcheck-timing",
        "It asks every 15 seconds and leaves time to start.",
        timing,
        _COMPOSE,
    ),
    Rule("deploy.probes", "Probes ask PostgreSQL and leave time to recover.", probes, _KUBERNETES),
)
