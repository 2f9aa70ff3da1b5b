"""What is known of PostgreSQL images: whose account, where the data lies, which version a tag says.

Facts of the official image are those of its Dockerfiles and entrypoint (docker-library/postgres).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from console.deploy.reading import UNSET_START, Place, Scalar, Unsettled

ALPINE, DEBIAN = "Alpine", "Debian"


@dataclass(frozen=True, slots=True)
class Family:
    """Images that behave alike."""

    name: str
    uids: dict[str, int] = field(default_factory=dict)
    """The account that owns the data, by distribution."""
    distribution: str = ""
    """Where the tag does not say."""
    data: str = ""
    """PGDATA, when it does not depend on the major."""
    is_official: bool = False
    """Built on the official image, with its entrypoint and its directories."""


_BOTH = {ALPINE: 70, DEBIAN: 999}
_FAMILIES = {
    "postgres": Family("postgres", _BOTH, DEBIAN, is_official=True),
    "postgis/postgis": Family("postgis", _BOTH, DEBIAN, is_official=True),
    "postgis": Family("postgis", _BOTH, DEBIAN, is_official=True),
    "pgvector/pgvector": Family("pgvector", {DEBIAN: 999}, DEBIAN, is_official=True),
    "pgvector": Family("pgvector", {DEBIAN: 999}, DEBIAN, is_official=True),
    "timescale/timescaledb": Family("timescaledb", {ALPINE: 70}, ALPINE, is_official=True),
    "timescaledb": Family("timescaledb", {ALPINE: 70}, ALPINE, is_official=True),
    "bitnami/postgresql": Family(
        "bitnami", {DEBIAN: 1001}, DEBIAN, data="/bitnami/postgresql/data"
    ),
    "bitnamilegacy/postgresql": Family(
        "bitnami", {DEBIAN: 1001}, DEBIAN, data="/bitnami/postgresql/data"
    ),
    "supabase/postgres": Family("supabase", data="/var/lib/postgresql/data"),
    "timescale/timescaledb-ha": Family(
        "timescaledb-ha", {DEBIAN: 1000}, DEBIAN, data="/home/postgres/pgdata/data"
    ),
    "cloudnative-pg/postgresql": Family("cloudnative-pg", {DEBIAN: 26}, DEBIAN),
}
_CODENAMES = ("bullseye", "bookworm", "trixie", "forky")
_MAJOR = re.compile(r"(?:^|-)(?:pg)?(\d{1,3})(?:\.(\d{1,3}))?(?=$|[-.])")
_PG_MAJOR = re.compile(r"(?:^|-)pg(\d{1,3})(?:\.(\d{1,3}))?(?=$|[-.])")


@dataclass(frozen=True, slots=True)
class Image:
    place: Place
    name: str
    """Without registry, tag or digest, e.g. postgres or postgis/postgis."""
    reference: str
    """Everything before tag and digest."""
    written_tag: str
    digest: str
    family: Family | None

    @property
    def tag(self) -> str:
        """Raises Unsettled when a variable without a value is in it."""
        return Scalar(self.place, self.written_tag).text

    @property
    def version(self) -> tuple[int, int | None]:
        """Major, and minor where the tag says it. Raises Unsettled when it says neither."""
        pattern = _PG_MAJOR if _PG_MAJOR.search(self.tag) else _MAJOR
        match = pattern.search(self.tag)
        if match is None or not 8 <= int(match.group(1)) <= 40:
            raise Unsettled(self.place, "the image's tag names no major version")
        return int(match.group(1)), int(match.group(2)) if match.group(2) else None

    @property
    def major(self) -> int:
        return self.version[0]

    @property
    def distribution(self) -> str:
        """Alpine or Debian; '' when unknown. Raises Unsettled."""
        tag = self.tag.lower()
        if "alpine" in tag:
            return ALPINE
        if any(name in tag for name in (*_CODENAMES, "debian")):
            return DEBIAN
        return self.family.distribution if self.family else ""

    @property
    def names_distribution(self) -> bool:
        """Whether the tag says so exactly that it cannot move: a release, or alpine."""
        tag = self.tag.lower()
        return "alpine" in tag or any(name in tag for name in (*_CODENAMES, "debian-"))

    @property
    def uid(self) -> int:
        """Of the account that owns the data. Raises Unsettled for an image not known."""
        found = self.family.uids.get(self.distribution) if self.family else None
        if found is None:
            raise Unsettled(self.place, f"the account of the image {self.name} is not known")
        return found

    @property
    def data_directory(self) -> str:
        """PGDATA where the environment sets none. Raises Unsettled."""
        if self.family is not None and self.family.is_official:
            major = self.major
            return f"/var/lib/postgresql/{major}/docker" if major >= 18 else _OLD_DATA
        if self.family is not None and self.family.data:
            return self.family.data
        raise Unsettled(self.place, f"where the image {self.name} keeps its data is not known")

    @property
    def volume_target(self) -> str:
        """Where the volume is to be mounted. Raises Unsettled."""
        if self.family is not None and self.family.is_official:
            return "/var/lib/postgresql" if self.major >= 18 else _OLD_DATA
        return self.data_directory.removesuffix("/data")


_OLD_DATA = "/var/lib/postgresql/data"


def parse_image(scalar: Scalar) -> Image:
    """REGISTRY/NAME:TAG@DIGEST taken apart; parts may hold unset variables."""
    rest, _, digest = scalar.raw.strip().partition("@")
    path, slash, last = rest.rpartition("/")
    last, _, tag = last.partition(":")
    reference = f"{path}{slash}{last}"
    parts = [part for part in reference.split("/") if part]
    if len(parts) > 1 and (set(parts[0]) & set(".:") or parts[0] == "localhost"):
        parts = parts[1:]
    if len(parts) > 1 and parts[0] == "library":
        parts = parts[1:]
    name = "/".join(parts)
    family = _FAMILIES.get("/".join(parts[-2:])) or _FAMILIES.get(parts[-1] if parts else "")
    return Image(scalar.place, name, reference, tag, digest, family)


def is_database(image: Scalar | None) -> bool:
    """Whether the image is known to be a PostgreSQL server's."""
    return image is not None and parse_image(image).family is not None


def is_undecided(image: Scalar | None) -> bool:
    """Whether a variable without a value hides which image it is."""
    return image is not None and UNSET_START in parse_image(image).reference
