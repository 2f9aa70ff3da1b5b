"""One migration, drift and a rollback plan, to be read in a dialog."""

from __future__ import annotations

from rich.text import Text

from console import units
from console.migrations import text
from console.migrations.drift import Drift
from console.migrations.history import Entry
from console.migrations.rollback import RollbackPlan, loss_words
from screens.widgets import marks
from screens.widgets.plain import many_lines, one_line


def migration_body(entry: Entry, script: str | None) -> Text:
    """State, times, checksum, what a failure said, what would help, and its SQL."""
    body = marks.badge(entry.severity).append(f"  {entry.state}", "bold")
    if entry.remark:
        body.append(": ").append_text(one_line(entry.remark))
    for name, value in _facts(entry):
        body.append(f"\n{name:<10}", "dim").append(value)
    if entry.fix:
        body.append("\n→ ", "bold").append_text(one_line(entry.fix))
    if entry.logs:
        body.append("\n\n").append_text(many_lines(entry.logs.strip(), "red"))
    body.append("\n\n")
    if script is None:
        return body.append("Its migration.sql is not here.", "dim")
    return body.append_text(_sql(script))


def _facts(entry: Entry) -> list[tuple[str, str]]:
    agrees = {
        True: "agrees with the file",
        False: "is of another file",
        None: "nothing to compare",
    }
    facts = [("checksum", agrees[entry.checksum_agrees]), ("attempts", str(entry.attempts))]
    if entry.started_at is not None:
        facts.append(("began", f"{entry.started_at:%Y-%m-%d %H:%M:%S %Z}"))
    if entry.applied_at is not None:
        took = units.duration(entry.seconds)
        facts.append(("applied", f"{entry.applied_at:%Y-%m-%d %H:%M:%S %Z}, after {took}"))
    return facts


def _sql(script: str) -> Text:
    """SQL with its comments set back."""
    body = many_lines(script)
    body.highlight_regex(r"(?m)^--.*$", "dim")
    return body


def drift_line(found: Drift) -> Text:
    """One line for the headline."""
    number = len(found.database.differences)
    line = Text("drift: ", "dim")
    line.append(
        f"{number} difference{'s' if number > 1 else ''}" if number else "none",
        "bold red" if number else "green",
    )
    if found.schema is not None:
        number = len(found.schema.differences)
        line.append("; schema.prisma ", "dim")
        line.append(f"differs in {number}" if number else "agrees", "yellow" if number else "green")
    return line.append(f"  as of {found.read_at:%H:%M:%S} UTC", "dim")


def drift_body(found: Drift) -> Text:
    """The verdict, every difference in words, then the SQL that closes them, both ways."""
    first, _, rest = text.drift(found).partition("\n")
    body = marks.badge(found.verdict)
    body.append("  ").append_text(one_line(first.partition("  ")[2], "bold")).append("\n")
    shown = _sql(rest)
    shown.highlight_regex(r"(?m)^- The .*$", marks.style(found.verdict))
    shown.highlight_regex(r"(?m)^note: .*$", "dim")
    return body.append_text(shown)


def rollback_risk(plan: RollbackPlan) -> str:
    """What would be lost, a line each."""
    if not plan.losses:
        return "No data is lost by it."
    return "\n".join(f"Lost: {loss_words(one)}" for one in plan.losses)


def plan_body(plan: RollbackPlan) -> Text:
    """What is undone and lost, what stands in the way, then the SQL."""
    body = Text()
    for name in plan.undone:
        body.append("undoes ", "dim").append_text(one_line(name, "bold")).append("\n")
    for one in plan.losses:
        body.append_text(one_line(f"Lost: {loss_words(one)}", "bold red")).append("\n")
    if not plan.losses:
        body.append("No data is lost by it.\n", "green")
    if plan.drift:
        told = f"The database has drifted, first {plan.drift[0].subject}: it is not run over that."
        body.append_text(one_line(told, "bold yellow")).append("\n")
    for note in plan.notes:
        body.append_text(one_line(f"note: {note}", "dim")).append("\n")
    return body.append("\n").append_text(_sql(plan.text))
