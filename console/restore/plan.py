"""A restore before it begins: what will be done, in plain words, and how long it should take."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console.backup import jsonfile
from console.backup.manifest import FileKind
from console.backup.policy import BackupSettings
from console.backup.store import explained
from console.errors import ActionRefused
from console.restore import names
from console.restore.estimate import estimate, siblings
from console.restore.journal import restores_directory
from console.restore.looking import Preflight, Wish
from console.restore.options import Hooks, Options, words_of
from console.restore.preflight import preflight
from console.restore.source import Source
from console.target import Target
from console.tools import ToolSettings
from console.units import age, duration

EXPECTED_ROWS = "expected-rows.json"


@dataclass(frozen=True, slots=True)
class Request:
    """What the operator asks for."""

    into: str = ""
    """Another name; '' is the target's own, with a cut-over."""
    owner: str = ""
    privileges: bool = True
    locale: str = ""
    create_roles: bool = True
    safety: bool = True
    hooks: Hooks = field(default_factory=Hooks)
    jobs: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A restore that may begin unless `preflight` found a failure."""

    options: Options
    source: Source
    preflight: Preflight
    seconds: float | None
    """Expected time; None when nothing is known to expect it from."""
    basis: str
    """Where the expectation comes from."""

    @property
    def may_begin(self) -> bool:
        return self.preflight.may_begin

    @property
    def needs_confirmation(self) -> bool:
        """A database that is there gives its name away."""
        return self.options.replaces is not None

    @property
    def lines(self) -> tuple[str, ...]:
        """The plan in plain words, a step each."""
        return _lines(self)

    def require(self) -> None:
        """Raises ActionRefused naming the first failure, with its remedy."""
        if self.may_begin:
            return
        first = self.preflight.findings[0]
        raise ActionRefused(first.message, first.fix or "Mend it and begin again.")


async def make_plan(
    target: Target,
    source: Source,
    request: Request,
    settings: BackupSettings,
    tool_settings: ToolSettings,
) -> Plan:
    """Ask everything a restore depends on; changes nothing.

    Raises ActionRefused for requests that contradict themselves.
    """
    stamp = _free_stamp()
    _refuse_contradictions(target, source, request)
    database = request.into or target.dbname
    cut_over = not request.into
    scratch, before = names.scratch(database, stamp), names.before(database, stamp)
    wish = Wish(
        database=database,
        owner=request.owner,
        privileges=request.privileges,
        locale=request.locale,
        create_roles=request.create_roles,
        names=(scratch, before) if cut_over else (scratch,),
        replaces=cut_over,
    )
    found = await preflight(target, source, wish, tool_settings)
    live = found.live if cut_over else None
    options = Options(
        id=f"{stamp}-{_safe(target.name or database)}",
        target=target.name,
        place=target.place,
        system_identifier=found.abilities.system_identifier if found.abilities else "",
        database=database,
        scratch=scratch,
        replaces=live.oid if live else None,
        before=before if live else "",
        archive=str(source.path.resolve()),
        backup=str(source.backup.path.resolve()) if source.backup else "",
        jobs=request.jobs or settings.jobs,
        owner=request.owner,
        privileges=request.privileges,
        locale=request.locale,
        missing_roles=found.missing_roles,
        safety=request.safety and live is not None,
        hooks=request.hooks if cut_over else Hooks(),
    )
    return Plan(options, source, found, *_expect(source, found))


def _free_stamp() -> str:
    """Now, or the second after the newest restore's, also when the clock was set back."""
    moment = datetime.now(UTC)
    others = restores_directory().glob(f"{names.STAMPS}-*")
    newest = max((path.name.partition("-")[0] for path in others), default="")
    if names.stamp(moment) <= newest:
        moment = names.moment(newest) + timedelta(seconds=1)
    return names.stamp(moment)


def _refuse_contradictions(target: Target, source: Source, request: Request) -> None:
    if request.into == target.dbname:
        raise ActionRefused(
            f"--into names the live database '{target.dbname}' itself.",
            "Leave --into away to replace it with a cut-over, or choose another name.",
        )
    if len(request.into.encode()) > names.LONGEST:
        raise ActionRefused(
            f"The name '{request.into}' is longer than {names.LONGEST} bytes.",
            "Choose a shorter one.",
        )
    mapped = request.owner or not request.privileges
    if mapped and source.opened.kind is FileKind.PLAIN:
        raise ActionRefused(
            "Owners and privileges in plain SQL cannot be left out.",
            "Choose the backup's custom or directory archive.",
        )
    for command in (request.hooks.before, request.hooks.after):
        words_of(command)


def _safe(name: str) -> str:
    """Fit for a directory's name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:60] or "database"


def _expect(source: Source, found: Preflight) -> tuple[float | None, str]:
    expected = estimate(source.backup, found.expected_bytes, siblings(source.backup))
    return expected.seconds, expected.basis


def _lines(plan: Plan) -> tuple[str, ...]:
    options, source = plan.options, plan.source
    made = ""
    if source.manifest is not None:
        made = f", made {age(source.manifest.taken_at, datetime.now(UTC))}"
    lines = [f"Restore {source.name}{made} ({source.reason}) on {options.place}."]
    if options.replaces is not None:
        lines.append(
            f"Back up '{options.database}' as it is now; go on with a warning if it cannot be read."
            if options.safety
            else f"No safety backup of '{options.database}', as asked."
        )
    if options.missing_roles:
        lines.append(f"Create without login: role {', '.join(options.missing_roles)}.")
    lines += [
        f"Create '{options.scratch}' and restore everything into it, {options.jobs} sessions at a"
        " time. The live database stays in use.",
        "Analyze it, and compare it with what was dumped: rows of every table, keys, indexes.",
    ]
    if options.replaces is not None:
        lines += [
            f"Once you type the name {options.database}: close both databases, end their sessions,"
            " change both names in one transaction, open them (measured; usually below a second).",
            f"Keep the old database as '{options.before}' until `restore finish`;"
            " `restore undo` swaps back.",
        ]
    else:
        lines.append(f"Give it the name '{options.database}'.")
    expected = duration(plan.seconds) if plan.seconds else "unknown"
    lines.append(f"Expected time: {expected} ({plan.basis}).")
    return tuple(lines)


def write_expected_rows(directory: Path, rows: dict[tuple[str, str], int]) -> None:
    """Keep what a bare dump file holds, to compare with. Raises CommandFailed."""
    with explained(directory):
        jsonfile.write(
            directory / EXPECTED_ROWS, [[schema, name, n] for (schema, name), n in rows.items()]
        )


def read_expected_rows(directory: Path) -> dict[tuple[str, str], int]:
    """Empty when the backup's manifest has them instead."""
    path = directory / EXPECTED_ROWS
    if not path.exists():
        return {}
    return {(schema, name): n for schema, name, n in jsonfile.read(path)}
