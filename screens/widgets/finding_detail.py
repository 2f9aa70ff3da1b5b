"""A finding, whole: what it says, its proof, and what would mend it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from console.findings import Finding
from console.report import printable
from screens.widgets import marks


def finding_body(finding: Finding) -> RenderableType:
    """For a DetailDialog; every text from the server is shown as it is."""
    head = marks.mark(finding.severity).append(f"  {finding.check}", style="dim")
    parts: list[RenderableType] = [head]
    if finding.subject:
        parts.append(Text(printable(finding.subject), style="bold"))
    parts += [Text(), Text(printable(finding.message))]
    if finding.fix:
        parts += [Text(), Text("To mend it", style="bold"), Text(printable(finding.fix))]
    if finding.evidence is not None:
        evidence = finding.evidence
        parts += [
            Text(),
            Text("Asked", style="bold"),
            Text(printable(evidence.asked)),
            Text("Found", style="bold"),
            Text(printable(evidence.answer)),
            Text(f"at {evidence.at:%Y-%m-%d %H:%M:%S} UTC", style="dim"),
        ]
    return Group(*parts)
