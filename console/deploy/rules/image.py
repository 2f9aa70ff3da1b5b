"""The image: pinned, supported, and of the same kind as the server that runs."""

from __future__ import annotations

from collections.abc import Iterator

from console.deploy.images import Image
from console.deploy.model import Container, Flaw, Project, Rule
from console.deploy.reading import Unsettled
from console.findings import Severity
from console.releases import known


def pinned(container: Container, project: Project) -> Iterator[Flaw]:
    image = container.parsed_image
    if image.digest:
        return
    if image.tag in ("", "latest"):
        yield _flaw(
            container,
            image,
            Severity.FAILURE,
            "the image has no fixed version: the next pull may bring a major that cannot read the"
            " data",
            _better_tag(image, project),
        )
    elif not image.names_distribution:
        yield _flaw(
            container,
            image,
            Severity.WARNING,
            "the image's tag names no distribution: when it moves to the next one, the sort order"
            " of text changes under the indexes",
            _better_tag(image, project),
        )


def _better_tag(image: Image, project: Project) -> str:
    try:
        version, minor = image.version
    except Unsettled:
        server = project.server
        version, minor = (server.major, server.minor) if server else (newest_major(), None)
    if image.family is not None and image.family.name != "postgres":
        return f"{image.reference}:TAG@sha256:DIGEST"
    number = f"{version}.{minor}" if minor is not None else str(version)
    is_guessed = not any(letter.isdigit() for letter in image.written_tag) and not project.server
    hint = "  # or the major that wrote your data" if is_guessed else ""
    return f"{image.reference}:{number}-bookworm{hint}"


def supported(container: Container, project: Project) -> Iterator[Flaw]:
    image = container.parsed_image
    major, minor = image.version
    releases = known()
    release = releases.major(major)
    if release is None and major > max(map(int, releases.majors)):
        raise Unsettled(image.place, f"PostgreSQL {major} is newer than what is known here")
    if release is None or release.end.on < project.today:
        yield _flaw(
            container,
            image,
            Severity.FAILURE,
            f"PostgreSQL {major} gets no more fixes"
            + (f" since {release.end}" if release else "")
            + "; move the data with a dump and restore or pg_upgrade before the tag changes",
            f"{image.reference}:{newest_major()}-bookworm",
        )
    elif minor is not None and minor < release.newest_known:
        newest = f"{major}.{release.newest_known}"
        yield _flaw(
            container,
            image,
            Severity.WARNING,
            f"{major}.{minor} lacks the fixes of {newest}",
            f"{image.reference}:{image.tag.replace(f'{major}.{minor}', newest, 1)}",
        )


def newest_major() -> int:
    return max(map(int, known().majors))


def same_major(container: Container, project: Project) -> Iterator[Flaw]:
    image = container.parsed_image
    server = project.server
    if server is None:
        yield Flaw(
            image.place,
            Severity.INFO,
            "the image was not compared with a running server",
            f"medianest-console deploy audit --server-version N {image.place.file}",
        )
        return
    major, minor = image.version
    if major != server.major:
        yield _flaw(
            container,
            image,
            Severity.FAILURE,
            f"the server runs PostgreSQL {server.major}, the image is {major}: it will refuse to"
            " start on this data",
            _for_server(image, server.major),
        )
    elif minor is not None and server.minor is not None and minor < server.minor:
        yield _flaw(
            container,
            image,
            Severity.WARNING,
            f"the server runs {server.major}.{server.minor}, the image would go back to"
            f" {major}.{minor}",
            f"{image.reference}:{image.tag.replace(f'{major}.{minor}', f'{major}.{server.minor}')}",
        )


def _for_server(image: Image, major: int) -> str:
    suffix = "alpine" if image.distribution == "Alpine" else "bookworm"
    return f"{image.reference}:{major}-{suffix}"


def same_distribution(container: Container, project: Project) -> Iterator[Flaw]:
    server = project.server
    if server is None:
        return
    image = container.parsed_image
    distribution = image.distribution
    if not server.distribution or not distribution:
        yield Flaw(
            image.place,
            Severity.INFO,
            "the distribution could not be compared with the running server's",
        )
    elif distribution != server.distribution:
        suffix = "alpine" if server.distribution == "Alpine" else "bookworm"
        yield _flaw(
            container,
            image,
            Severity.FAILURE,
            f"the server was built on {server.distribution}, the image is {distribution}: text"
            " sorts differently there, so indexes would be wrong, and the data has another owner",
            f"{image.reference}:{server.major}-{suffix}",
        )


def _flaw(
    container: Container, image: Image, severity: Severity, message: str, better: str
) -> Flaw:
    fix = container.mended(compose=f"image: {better}", container=f"image: {better}")
    shown = container.image.shown if container.image else ""
    return Flaw(image.place, severity, message, fix, shown)


RULES = (
    Rule("deploy.image-pinned", "The image is fixed to a major and a distribution.", pinned),
    Rule("deploy.image-supported", "The image's release still gets fixes and has them.", supported),
    Rule(
        "deploy.image-major",
        "The image is of the running server's major, and not older.",
        same_major,
    ),
    Rule(
        "deploy.image-distribution",
        "The image is of the running server's distribution, so text sorts alike.",
        same_distribution,
    ),
)
