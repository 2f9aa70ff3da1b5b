"""Who can reach the server over the network (compose)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from console.deploy.model import Container, Flaw, Platform, Project, Rule
from console.deploy.quantities import truth
from console.deploy.reading import Map, Scalar, Unsettled, as_items, as_map, as_scalar
from console.findings import Severity

_COMPOSE = (Platform.COMPOSE,)


def published(container: Container, project: Project) -> Iterator[Flaw]:
    for item in as_items(container.spec.get("ports"), "ports"):
        port = as_map(item, "an item of ports")
        address = as_scalar(port.get("host_ip"), "ports.host_ip")
        target = as_scalar(port.get("target"), "ports.target")
        if address is not None and _is_loopback(address):
            continue
        number = target.raw if target else "5432"
        yield Flaw(
            target.place if target else item.place,
            Severity.FAILURE,
            "the server's port is open to every address of the host, past its firewall",
            container.mended(compose=f'ports: !override\n  - "127.0.0.1:5432:{number}"'),
            f"{address.shown if address else '0.0.0.0'}, port {target.shown if target else '?'}",
        )


def _is_loopback(address: Scalar) -> bool:
    try:
        return ipaddress.ip_address(address.text.strip("[]")).is_loopback
    except ValueError:
        return False


def _publishes(container: Container) -> bool:
    return bool(as_items(container.spec.get("ports"), "ports"))


def internal_network(container: Container, project: Project) -> Iterator[Flaw]:
    mode = as_scalar(container.spec.get("network_mode"), "network_mode")
    fix = (
        container.mended(compose="networks:\n  - database")
        + "\nnetworks:\n  database:\n    internal: true"
    )
    if mode is not None and mode.text != "none":
        is_host = mode.text == "host"
        yield Flaw(
            mode.place,
            Severity.FAILURE if is_host else Severity.WARNING,
            "the server shares the host's network"
            if is_host
            else "the server is not on a network of the project's own",
            fix,
            mode.shown,
        )
    elif mode is None:
        yield from _not_internal(container, project, fix)


def _not_internal(container: Container, project: Project, fix: str) -> Iterator[Flaw]:
    joined = as_map(container.spec.get("networks"), "networks")
    declared = as_map(project.compose.get("networks") if project.compose else None, "networks")
    names = list(joined.entries) or ["default"]
    outside = None
    for name in names:
        network = as_map(declared.get(name), f"networks.{name}")
        if truth(as_scalar(network.get("internal"), "internal")):
            return
        if "external" in network.entries and not _is_false(network):
            outside = network
    if outside is not None:
        raise Unsettled(outside.where("external"), "an external network is not in these files")
    yield Flaw(
        container.spec.where("networks") if joined.entries else container.place,
        Severity.WARNING,
        "none of the server's networks is internal: it reaches the internet and is reached by"
        " every service",
        fix,
        ", ".join(names),
    )


def _is_false(network: Map) -> bool:
    external = network.get("external")
    return isinstance(external, Scalar) and not truth(external)


RULES = (
    Rule(
        "deploy.port-published",
        "The port is not published, or only on loopback.",
        published,
        _COMPOSE,
    ),
    Rule(
        "deploy.network-internal",
        "The server is on an internal network of its own.",
        internal_network,
        _COMPOSE,
    ),
)
