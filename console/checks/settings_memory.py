"""Memory and connections: sizes against each other, and against what the machine has."""

from __future__ import annotations

from collections.abc import Iterator

from console import machine
from console.checks import facts
from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import alter_system
from console.findings import Evidence, Finding, Severity
from console.parameters import Parameters
from console.units import percent, size
from queries.storage import STORAGE_IDENTITY

MEMORY = "settings.memory"
CONNECTIONS = "settings.connections"

_GB = 1 << 30
_BUFFERS_MOST = 0.4
"""Of RAM: beyond it PostgreSQL's documentation sees no gain (shared_buffers)."""
_BUFFERS_USUAL = 0.25


async def memory(examination: Examination) -> Outcome:
    """Sizes against each other, and against the machine's memory where it can be seen."""
    found = await facts.parameters(examination)
    identity = await examination.session.fetch_one(STORAGE_IDENTITY)
    pid = identity.backend_pid
    ram = machine.memory_bytes(pid) if machine.runs_here(pid) else None
    buffers = found.bytes("shared_buffers")
    summary = f"shared_buffers {size(buffers)} of " + (
        f"{size(ram)} RAM" if ram is not None else "RAM that cannot be seen from here"
    )
    return Outcome(summary, tuple(memory_findings(found, ram)))


def memory_findings(found: Parameters, ram: int | None) -> Iterator[Finding]:
    """`ram` in bytes; None where the server is on another machine."""
    buffers = found.bytes("shared_buffers") or 0
    cache = found.bytes("effective_cache_size") or 0
    if cache < buffers:
        yield _memory(
            Severity.WARNING, found, ("effective_cache_size", "shared_buffers"),
            "effective_cache_size is less than shared_buffers, which is part of it.",
            alter_system(found, "effective_cache_size", _setting(buffers * 3)),
        )  # fmt: skip
    if ram is None:
        yield _memory(
            Severity.INFO, found, ("shared_buffers", "work_mem", "max_connections"),
            "The server's memory cannot be seen from here, so sizes were compared only with each"
            " other.", "",
        )  # fmt: skip
        return
    if buffers > ram * _BUFFERS_MOST:
        yield _memory(
            Severity.WARNING, found, ("shared_buffers",),
            f"shared_buffers is {percent(buffers / ram)} of {size(ram)} RAM; what the system would"
            " cache and sessions need is missing.",
            alter_system(found, "shared_buffers", _setting(int(ram * _BUFFERS_USUAL))),
        )  # fmt: skip
    elif buffers <= 128 << 20 and ram >= 2 * _GB:
        yield _memory(
            Severity.INFO, found, ("shared_buffers",),
            f"shared_buffers is the small default on a machine with {size(ram)} RAM.",
            alter_system(found, "shared_buffers", _setting(int(ram * _BUFFERS_USUAL)),
                         "a quarter of RAM when the machine is the database's alone"),
        )  # fmt: skip
    if cache > ram:
        yield _memory(
            Severity.WARNING, found, ("effective_cache_size",),
            f"effective_cache_size is more than the machine's {size(ram)} RAM, so the planner"
            " believes in a cache that is not there.",
            alter_system(found, "effective_cache_size", _setting(int(ram * 0.6))),
        )  # fmt: skip
    yield from _sessions_memory(found, ram, buffers)


def _sessions_memory(found: Parameters, ram: int, buffers: int) -> Iterator[Finding]:
    """One work_mem a connection, which is the least when all of them sort at once."""
    work, slots = found.bytes("work_mem") or 0, found.number("max_connections") or 0
    workers = found.number("autovacuum_max_workers") or 0
    maintenance = found.bytes("maintenance_work_mem") or 0
    together = int(buffers + work * slots + maintenance * workers)
    if together > ram:
        fair = max(1 << 20, int((ram - buffers) / 2 / max(slots, 1)))
        yield _memory(
            Severity.WARNING, found, ("work_mem", "max_connections", "maintenance_work_mem"),
            f"All connections sorting at once would take {size(together)} of {size(ram)} RAM.",
            alter_system(found, "work_mem", _setting(fair)) + "\n-- or lower max_connections",
        )  # fmt: skip


def _memory(
    severity: Severity, found: Parameters, names: tuple[str, ...], message: str, fix: str
) -> Finding:
    answer = "; ".join(found.shown(name) for name in names)
    evidence = Evidence(f"pg_settings: {', '.join(names)}", answer)
    return Finding(MEMORY, severity, names[0], message, evidence, fix)


def _setting(amount: int) -> str:
    return f"{max(1, amount >> 20)}MB"


_MANY_CONNECTIONS = 500


async def connections(examination: Examination) -> Outcome:
    """Slots for the profile's connections, and not so many that each costs all others."""
    found = await facts.parameters(examination)
    slots = int(found.number("max_connections") or 0)
    reserved = int(found.number("superuser_reserved_connections") or 0) + int(
        found.number("reserved_connections") or 0
    )
    wanted = examination.limits.connections
    findings = []
    asked = "pg_settings: max_connections, superuser_reserved_connections"
    if slots - reserved < wanted:
        findings.append(
            Finding(
                CONNECTIONS, Severity.FAILURE, "max_connections",
                f"Ordinary roles have {slots - reserved} connections; the application needs"
                f" {wanted}.",
                Evidence(asked, f"{slots}, of them {reserved} reserved"),
                alter_system(found, "max_connections", str(wanted + reserved + 20)),
            )
        )  # fmt: skip
    elif slots > _MANY_CONNECTIONS:
        findings.append(
            Finding(
                CONNECTIONS, Severity.INFO, "max_connections",
                f"{slots} connections are more than a machine works on at once; a pooler in front"
                " answers sooner.",
                Evidence(asked, str(slots)),
                alter_system(found, "max_connections", "200", "with PgBouncer in front"),
            )
        )  # fmt: skip
    return Outcome(f"{slots}, of them {reserved} reserved; {wanted} needed", tuple(findings))


CHECKS = (
    Check(MEMORY, "Memory", "Memory settings fit each other and the machine.", memory),
    Check(CONNECTIONS, "Connections", "There are slots enough, and not too many.", connections),
)
