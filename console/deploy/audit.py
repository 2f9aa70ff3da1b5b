"""The audit: read the files, find the databases in them, ask every rule about each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from console.deploy import compose, kubernetes, systemd
from console.deploy.compose_files import ComposeReader
from console.deploy.images import ALPINE, DEBIAN, is_undecided
from console.deploy.model import Container, Flaw, Project, Rule, Server, kind_of
from console.deploy.reading import (
    Map,
    Node,
    Place,
    Scalar,
    Unsettled,
    fault,
    read_documents,
    read_text,
)
from console.deploy.rules import RULES
from console.errors import SettingsError
from console.findings import Evidence, Finding, Severity, worst

_TEMPLATE = re.compile(r"\{\{-|\{\{ ?(?:\.Values|\.Release|\.Chart|include |template )")
_VERSION = re.compile(r"(?:PostgreSQL\s+)?(\d{1,2})(?:\.(\d{1,3}))?(?![\d.])(.*)", re.DOTALL)
_OPERATORS = ("postgresql.cnpg.io/", "acid.zalan.do/", "postgres-operator.crunchydata.com/")
_DATABASE_NAMES = re.compile(r"postgres|(?:^|[-_])(?:db|pg|database)(?:$|[-_\d])")


@dataclass(frozen=True, slots=True)
class Located:
    finding: Finding
    place: Place


@dataclass(frozen=True, slots=True)
class Audit:
    files: tuple[str, ...]
    server: Server | None
    databases: tuple[str, ...]
    """What was judged."""
    rules: int
    """How many rules were asked."""
    located: tuple[Located, ...]
    """Worst first, then by place."""
    at: datetime

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(located.finding for located in self.located)

    @property
    def verdict(self) -> Severity:
        """OK only when a database was judged and nothing was found."""
        return worst(self.findings) if self.findings else Severity.OK


def parse_server(text: str) -> Server:
    """`17`, `17.6`, or what version() answers. Raises SettingsError."""
    match = _VERSION.match(text.strip())
    if match is None:
        raise SettingsError(
            "The server's version is not understood.", "Write it as 17, 17.6 or version() says it."
        )
    rest = match.group(3)
    distribution = DEBIAN if re.search("Debian|pgdg", rest) else ""
    if re.search("Alpine|musl", rest):
        distribution = ALPINE
    minor = int(match.group(2)) if match.group(2) else None
    return Server(int(match.group(1)), minor, distribution)


def audit(
    paths: Iterable[Path],
    *,
    variables: Mapping[str, str],
    server: Server | None = None,
    today: date | None = None,
) -> Audit:
    """Judge compose files (merged in order), manifests and units. Raises SettingsError.

    `variables` are the shell's, for compose's ${NAME}; a .env beside the first compose file adds
    to them.
    """
    now = datetime.now(UTC)
    paths = tuple(paths)
    sorted_files = _Sorted()
    for path in paths:
        sorted_files.add(path)
    located = [*sorted_files.located]
    project = _project(sorted_files, variables, server, today or now.date())
    databases = [container for container in project.containers if container.is_database]
    for container in databases:
        for rule in RULES:
            if container.platform in rule.platforms:
                located += _asked(rule, container, project, now)
    for unit in sorted_files.units:
        located += [_located(r, f, unit.name, now) for r, f in systemd.judge(unit)]
    names = [c.name for c in databases] + [unit.name for unit in sorted_files.units]
    located += _undecided(project, now)
    if not names and not located:
        place = Place(str(paths[0]) if paths else "", 1)
        located.append(_unknown("deploy.no-database", place, "", _NO_DATABASE, now))
    return Audit(
        files=tuple(map(str, paths)),
        server=server,
        databases=tuple(names),
        rules=len(RULES) * bool(databases) + len(systemd.RULES) * bool(sorted_files.units),
        located=_once(located),
        at=now,
    )


_NO_DATABASE = "no PostgreSQL was found in these files, so nothing was judged"


class _Sorted:
    """The files' documents by what they are."""

    def __init__(self) -> None:
        self.compose: list[tuple[Path, Node]] = []
        self.manifests: list[Node] = []
        self.units: list[systemd.Unit] = []
        self.located: list[Located] = []

    def add(self, path: Path) -> None:
        text = read_text(path)
        if path.suffix == ".service":
            self.units.append(systemd.read_unit(text, str(path)))
            return
        if _TEMPLATE.search(text) is not None:
            line = text[: _template_start(text)].count("\n") + 1
            message = "this is a template: audit what helm template or kustomize build writes"
            place = Place(str(path), line)
            self.located.append(_unknown("deploy.template", place, "", message, _now()))
            return
        for document in read_documents(text, str(path)):
            self._add_document(path, document)

    def _add_document(self, path: Path, document: Node) -> None:
        if isinstance(document, Scalar) and document.is_null:
            return
        if not isinstance(document, Map):
            raise fault(document.place, "expected a compose file or a Kubernetes manifest")
        if kubernetes.is_manifest(document):
            self.manifests.append(document)
        elif "services" in document.entries or "include" in document.entries:
            self.compose.append((path, document))
        else:
            raise fault(
                document.place,
                "expected a compose file (services) or a Kubernetes manifest (apiVersion, kind)",
                "Name the files of one deployment, and no others.",
            )


def _template_start(text: str) -> int:
    match = _TEMPLATE.search(text)
    return match.start() if match else 0


def _now() -> datetime:
    return datetime.now(UTC)


def _project(
    files: _Sorted, variables: Mapping[str, str], server: Server | None, today: date
) -> Project:
    reader = ComposeReader(variables)
    if files.compose:
        reader.add_env_file(files.compose[0][0].parent / ".env")
    merged = reader.project(files.compose)
    manifests = kubernetes.manifests(files.manifests)
    found = (*compose.containers(merged, reader.variables), *kubernetes.containers(manifests))
    return Project(found, merged, manifests, server, today)


def _asked(rule: Rule, container: Container, project: Project, now: datetime) -> Iterator[Located]:
    try:
        for flaw in rule.judge(container, project):
            yield _located(rule, flaw, container.name, now)
    except Unsettled as unsettled:
        message = f"cannot be told: {unsettled.reason}"
        yield _unknown(rule.id, unsettled.place, container.name, message, now, rule.meaning)


def _located(rule: Rule | systemd.UnitRule, flaw: Flaw, name: str, now: datetime) -> Located:
    evidence = Evidence(f"{flaw.place}: {rule.meaning}", flaw.answer or "not so", now)
    message = flaw.message[:1].upper() + flaw.message[1:] + "."
    subject = f"{flaw.place} {name}".rstrip()
    finding = Finding(rule.id, flaw.severity, subject, message, evidence, flaw.fix)
    return Located(finding, flaw.place)


def _unknown(
    check: str, place: Place, name: str, message: str, now: datetime, asked: str = ""
) -> Located:
    message = message[:1].upper() + message[1:] + "."
    evidence = Evidence(f"{place}: {asked or 'Which PostgreSQL runs here?'}", "unknown", now)
    subject = f"{place} {name}".rstrip()
    return Located(Finding(check, Severity.UNKNOWN, subject, message, evidence), place)


def _undecided(project: Project, now: datetime) -> Iterator[Located]:
    """What may be a database but cannot be judged."""
    for container in project.containers:
        is_named = _DATABASE_NAMES.search(container.name.lower()) is not None
        looks = is_named or any(name.startswith("POSTGRES_PASS") for name in container.environment)
        if is_undecided(container.image):
            reason = "a variable hides which image this is, so it was not judged"
        elif container.image is None and looks:
            reason = "the image is built here from one that is not known, so it was not judged"
        else:
            continue
        yield _unknown("deploy.image-unknown", container.place, container.name, reason, now)
    for manifest in project.manifests:
        version = manifest.get("apiVersion")
        if isinstance(version, Scalar) and version.raw.startswith(_OPERATORS):
            reason = f"an operator makes the pods of this {kind_of(manifest)}: they were not judged"
            place = manifest.where("kind")
            yield _unknown("deploy.operator", place, kubernetes.name_of(manifest), reason, now)


def _once(located: list[Located]) -> tuple[Located, ...]:
    """Each finding once, worst first, then as they stand in the files."""
    unique = {(one.finding.check, one.finding.subject, one.finding.message): one for one in located}
    return tuple(
        sorted(
            unique.values(),
            key=lambda one: (one.finding.severity.rank, one.place, one.finding.check),
        )
    )
