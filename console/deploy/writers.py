"""Deployments that pass their own audit, written from templates."""

from __future__ import annotations

from importlib.resources import files

from console import __version__
from console.deploy.images import ALPINE, Image, parse_image
from console.deploy.model import Server
from console.deploy.reading import Place, Scalar
from console.errors import ActionRefused
from console.releases import known

TEMPLATES = {
    "compose": "compose.yaml",
    "hardened": "hardened.yaml",
    "kubernetes": "kubernetes.yaml",
    "systemd": "postgresql.service",
}
COMPANIONS = {
    "agent": "agent.yaml",
    "agent-image": "agent.Dockerfile",
    "agent-unit": "agent.service",
    "prometheus": "prometheus.yaml",
    "prometheus-rules": "prometheus-rules.yaml",
    "grafana": None,
}
"""What goes with a server: templates by kind; None is made by a module of its own."""
_PROBE = '["pg_isready", "-q", "-h", "127.0.0.1", "-U", "medianest", "-d", "medianest"]'


def deployment(kind: str, server: Server | None = None) -> str:
    """The text of a deployment of `kind`, one of TEMPLATES.

    Its image is of the running server's version and distribution; without one, the newest known.
    Raises ActionRefused for a major whose image is not known.
    """
    image = _image(server)
    major = image.major
    under_root = f"{image.volume_target}/pgdata"
    values = {
        "@IMAGE@": f"{image.reference}:{image.tag}",
        "@UID@": str(image.uid),
        "@VOLUME_TARGET@": image.volume_target,
        "@PGDATA@": image.data_directory if major >= 18 else under_root,
        "@PROBE@": _PROBE,
        "@MAJOR@": str(major),
    }
    template = files(__package__).joinpath("templates", TEMPLATES[kind]).read_text("utf-8")
    for mark, value in values.items():
        template = template.replace(mark, value)
    return template


def companion(kind: str) -> str:
    """The text of what runs beside a server or reads what the agent serves, one of COMPANIONS."""
    template = COMPANIONS[kind]
    if template is None:
        from console.deploy.grafana import dashboard

        return dashboard()
    text = files(__package__).joinpath("templates", template).read_text("utf-8")
    newest = max(map(int, known().majors))
    return text.replace("@VERSION@", __version__).replace("@MAJOR@", str(newest))


def _image(server: Server | None) -> Image:
    majors = sorted(map(int, known().majors))
    major = server.major if server else majors[-1]
    release = known().major(major)
    if release is None:
        raise ActionRefused(
            f"No image of PostgreSQL {major} is known here.",
            f"Give a version from {majors[0]} to {majors[-1]}.",
        )
    minor = max(release.newest_known, (server.minor or 0) if server else 0)
    suffix = "alpine" if server and server.distribution == ALPINE else "bookworm"
    text = f"postgres:{major}.{minor}-{suffix}"
    return parse_image(Scalar(Place("", 0), text))
