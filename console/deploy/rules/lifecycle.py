"""How the container starts, stops, is waited for, and what its log may take."""

from __future__ import annotations

from collections.abc import Iterator

from console.deploy.model import Container, Flaw, Platform, Project, Rule
from console.deploy.quantities import seconds
from console.deploy.reading import Scalar, as_map, as_scalar, inside
from console.findings import Severity

_COMPOSE = (Platform.COMPOSE,)
_GRACE_S = 60
_UNBOUNDED = ("json-file",)
_SIGNALS = {"15": "SIGTERM", "9": "SIGKILL", "3": "SIGQUIT", "2": "SIGINT"}


def restart(container: Container, project: Project) -> Iterator[Flaw]:
    policy = as_scalar(container.spec.get("restart"), "restart")
    if policy is None or policy.text in ("no", "false", "off"):
        yield Flaw(
            policy.place if policy else container.place,
            Severity.WARNING,
            "the server stays down after a crash or a restart of the host",
            container.mended(compose="restart: unless-stopped"),
        )


def grace(container: Container, project: Project) -> Iterator[Flaw]:
    if container.pod is None:
        key, default, owner = "stop_grace_period", "10 s", container.spec
    else:
        key, default, owner = "terminationGracePeriodSeconds", "30 s", container.pod
    given = as_scalar(owner.get(key), key)
    if given is None or seconds(given) < _GRACE_S:
        yield Flaw(
            given.place if given else container.place,
            Severity.WARNING,
            f"a stop that takes longer than {given.shown if given else default} is ended by force,"
            " and the next start has to recover",
            container.mended(
                compose="stop_grace_period: 2m", pod="terminationGracePeriodSeconds: 120"
            ),
        )


def stop_signal(container: Container, project: Project) -> Iterator[Flaw]:
    given = as_scalar(container.spec.get("stop_signal"), "stop_signal")
    if given is None:
        return
    name = _SIGNALS.get(given.text, given.text.upper())
    name = name if name.startswith("SIG") else f"SIG{name}"
    fix = container.mended(compose="stop_signal: SIGINT")
    if name == "SIGTERM":
        message = "SIGTERM makes the server wait for every client to leave, until it is killed"
        yield Flaw(given.place, Severity.WARNING, message, fix, name)
    elif name in ("SIGKILL", "SIGQUIT"):
        message = f"{name} stops the server without a checkpoint: every start has to recover"
        yield Flaw(given.place, Severity.FAILURE, message, fix, name)


def waits_for_health(container: Container, project: Project) -> Iterator[Flaw]:
    for other in project.containers:
        depends = as_map(other.spec.get("depends_on"), "depends_on")
        if container.name not in depends.entries:
            continue
        condition = as_scalar(inside(depends.get(container.name), "condition"), "condition")
        if condition is None or condition.text != "service_healthy":
            yield Flaw(
                depends.where(container.name),
                Severity.WARNING,
                f"the service {other.name} starts before {container.name} answers",
                other.mended(
                    compose=f"depends_on:\n  {container.name}:\n    condition: service_healthy"
                ),
            )


def logging(container: Container, project: Project) -> Iterator[Flaw]:
    node = as_map(container.spec.get("logging"), "logging")
    driver = as_scalar(node.get("driver"), "logging.driver")
    size = as_scalar(inside(node.get("options"), "max-size"), "logging.options.max-size")
    if (driver is None or driver.text in _UNBOUNDED) and size is None:
        yield Flaw(
            container.spec.where("logging") if node.entries else container.place,
            Severity.WARNING,
            "the container's log grows until the disk is full",
            container.mended(
                compose="logging:\n  driver: json-file\n  options:\n"
                '    max-size: "10m"\n    max-file: "5"'
            ),
            _driver_shown(driver),
        )


def _driver_shown(driver: Scalar | None) -> str:
    return driver.shown if driver else "docker's default, json-file"


RULES = (
    Rule("deploy.restart", "The server is started again after a crash.", restart, _COMPOSE),
    Rule("deploy.stop-grace", "The server has a minute or more to stop.", grace),
    Rule("deploy.stop-signal", "The server is stopped fast and cleanly.", stop_signal, _COMPOSE),
    Rule(
        "deploy.depends-on",
        "Services wait until the server is healthy.",
        waits_for_health,
        _COMPOSE,
    ),
    Rule("deploy.logging", "The container's log is limited.", logging, _COMPOSE),
)
