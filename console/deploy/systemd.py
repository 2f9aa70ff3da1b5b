"""Units of systemd that run PostgreSQL: read with line numbers, and judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from console.deploy.model import Flaw
from console.deploy.quantities import seconds
from console.deploy.reading import Place, Scalar, Unsettled, fault
from console.findings import Severity

_SECTION = re.compile(r"\[([A-Za-z0-9-]+)\]")
_TRUE = frozenset({"1", "yes", "true", "on"})
_SECRET = re.compile(r"\b\w*PASSWORD=", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unit:
    name: str
    place: Place
    """Of its [Service]."""
    settings: dict[str, Scalar] = field(default_factory=dict)
    """Of [Service]; the last value counts."""
    environment: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitRule:
    id: str
    meaning: str
    setting: str
    is_met: Callable[[Scalar], bool]
    severity: Severity
    message: str
    better: str


def read_unit(text: str, source: str) -> Unit:
    """Raises SettingsError with FILE:LINE for a line that is none of a unit's."""
    settings: dict[str, Scalar] = {}
    environment: list[Scalar] = []
    section, place = "", Place(source, 1)
    continued: tuple[str, Place] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if continued is None and (not line.strip() or line.lstrip().startswith(("#", ";"))):
            continue
        here = Place(source, number)
        begun, at = continued or ("", here)
        if line.endswith("\\"):
            continued = (begun + line[:-1] + " ", at)
            continue
        whole, continued = (begun + line).strip(), None
        heading = _SECTION.fullmatch(whole)
        if heading:
            section = heading.group(1)
            place = at if section == "Service" else place
            continue
        name, separator, value = whole.partition("=")
        if not separator or not section:
            raise fault(at, "expected [Section] or Name=value")
        if section == "Service":
            scalar = Scalar(at, value.strip(), is_plain=False)
            settings[name.strip()] = scalar
            environment += [scalar] if name.strip() == "Environment" else []
    if "ExecStart" not in settings:
        raise fault(place, "expected a [Service] with ExecStart")
    return Unit(source.rpartition("/")[2], place, settings, tuple(environment))


def judge(unit: Unit) -> Iterator[tuple[UnitRule, Flaw]]:
    for rule in RULES:
        value = unit.settings.get(rule.setting)
        try:
            if value is not None and rule.is_met(value):
                continue
        except Unsettled as unsettled:
            flaw = Flaw(unsettled.place, Severity.UNKNOWN, f"cannot be told: {unsettled.reason}")
            yield rule, flaw
            continue
        yield (
            rule,
            Flaw(
                value.place if value else unit.place,
                rule.severity,
                rule.message,
                f"[Service]\n{rule.better}",
                f"{rule.setting}={value.shown}" if value else f"no {rule.setting}",
            ),
        )
    for value in unit.environment:
        if _SECRET.search(value.raw):
            message = "a password stands in the unit, which everybody may read"
            fix = "[Service]\nLoadCredential=password:/etc/medianest/password"
            yield _PASSWORD, Flaw(value.place, Severity.FAILURE, message, fix, "Environment")


def _is_true(value: Scalar) -> bool:
    return value.text.lower() in _TRUE


def _is_one_of(*allowed: str) -> Callable[[Scalar], bool]:
    return lambda value: value.text in allowed


def _is_limited(value: Scalar) -> bool:
    return value.text not in ("", "infinity")


def _is_patient(value: Scalar) -> bool:
    if value.text == "infinity":
        return True
    return seconds(value.part(value.text.replace("min", "m").replace(" ", ""))) >= 60


def _rule(
    name: str, meaning: str, setting: str, is_met: Callable[[Scalar], bool], message: str, fix: str
) -> UnitRule:
    return UnitRule(f"deploy.unit-{name}", meaning, setting, is_met, Severity.WARNING, message, fix)


_PASSWORD = UnitRule(
    "deploy.unit-password",
    "No password stands in the unit.",
    "ExecStart",
    lambda value: _SECRET.search(value.raw) is None,
    Severity.FAILURE,
    "a password stands in the unit's command, which everybody may read",
    "LoadCredential=password:/etc/medianest/password",
)

RULES = (
    _PASSWORD,
    UnitRule(
        "deploy.unit-user",
        "The server runs as an account of its own.",
        "User",
        lambda value: value.text not in ("", "root", "0"),
        Severity.FAILURE,
        "PostgreSQL refuses to run as root",
        "User=postgres\nGroup=postgres",
    ),
    _rule(
        "new-privileges",
        "No program of the unit can gain rights.",
        "NoNewPrivileges",
        _is_true,
        "a program of the unit can gain rights that the server has not",
        "NoNewPrivileges=yes",
    ),
    _rule(
        "capabilities",
        "The unit has no capabilities.",
        "CapabilityBoundingSet",
        _is_one_of(""),
        "the unit keeps capabilities that PostgreSQL does not need",
        "CapabilityBoundingSet=",
    ),
    _rule(
        "read-only-root",
        "The system is read-only for the unit.",
        "ProtectSystem",
        _is_one_of("strict"),
        "the unit can write outside its own directories",
        "ProtectSystem=strict\nReadWritePaths=/var/lib/postgresql /run/postgresql",
    ),
    _rule(
        "private-tmp",
        "The unit has a /tmp of its own.",
        "PrivateTmp",
        _is_one_of("yes", "true", "1", "on", "disconnected"),
        "the unit shares /tmp with everybody",
        "PrivateTmp=yes",
    ),
    _rule(
        "memory",
        "Memory is limited.",
        "MemoryMax",
        _is_limited,
        "the server may take all of the host's memory",
        "MemoryMax=2G",
    ),
    _rule(
        "cpu",
        "Processor time is limited.",
        "CPUQuota",
        _is_limited,
        "the server may take every processor",
        "CPUQuota=200%",
    ),
    _rule(
        "tasks",
        "The number of processes is limited.",
        "TasksMax",
        _is_limited,
        "the server may start processes without end",
        "TasksMax=512",
    ),
    _rule(
        "restart",
        "The server is started again after a crash.",
        "Restart",
        _is_one_of("always", "on-failure", "on-abnormal", "on-abort"),
        "the server stays down after a crash",
        "Restart=on-failure",
    ),
    _rule(
        "stop-time",
        "The server has a minute or more to stop.",
        "TimeoutStopSec",
        _is_patient,
        "a slow stop is ended by force, and the next start has to recover",
        "TimeoutStopSec=120",
    ),
    _rule(
        "stop-signal",
        "The server is stopped fast and cleanly.",
        "KillSignal",
        _is_one_of("SIGINT", "2"),
        "systemd's SIGTERM makes the server wait for every client to leave",
        "KillSignal=SIGINT",
    ),
    _rule(
        "kill-mode",
        "Only the main process is signalled.",
        "KillMode",
        _is_one_of("mixed", "process"),
        "every backend gets the stop signal at once",
        "KillMode=mixed",
    ),
    _rule(
        "out-of-memory",
        "The kernel ends other processes first.",
        "OOMScoreAdjust",
        lambda value: value.text.startswith("-"),
        "when memory runs out the kernel may choose the server's main process",
        "OOMScoreAdjust=-900\nEnvironment=PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj"
        " PG_OOM_ADJUST_VALUE=0",
    ),
)
