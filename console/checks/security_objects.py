"""Row security, untrusted languages and extensions that reach out of the database."""

from __future__ import annotations

from collections.abc import Iterator

from console.checks import facts
from console.checks.check import Check, Examination, Outcome
from console.checks.grouping import counted, grouped
from console.findings import Finding, Severity
from console.names import quoted
from queries.backup import INSTALLED_EXTENSIONS
from queries.security import (
    DEFINER_VIEWS,
    ROW_SECURITY,
    UNTRUSTED_LANGUAGES,
    RowSecurity,
)

ROWS = "security.row-security"
VIEWS = "security.definer-views"
LANGUAGES = "security.languages"
EXTENSIONS = "security.extensions"

_REACHING = {
    "adminpack": "writes files of the server",
    "dblink": "opens connections from the server",
    "file_fdw": "reads files and runs programs of the server",
    "pg_surgery": "changes rows past every rule",
    "plperlu": "runs any Perl as the server's account",
    "plpython3u": "runs any Python as the server's account",
    "plpythonu": "runs any Python as the server's account",
    "pltclu": "runs any Tcl as the server's account",
    "xml2": "is outdated, and reads files by its XSLT",
}


async def row_security(examination: Examination) -> Outcome | None:
    """Tables under row security: whether their policies hold back anything, and for whom."""
    found = await examination.session.fetch(ROW_SECURITY)
    if not found:
        return None
    owners = {owner.role for owner in await facts.client_sessions(examination) if not owner.is_own}
    enabled = sum(table.is_enabled for table in found)
    return Outcome(
        f"{counted(enabled, 'table')} under row security", tuple(_row_findings(found, owners))
    )


def _row_findings(found: list[RowSecurity], connected: set[str]) -> Iterator[Finding]:
    asked = "pg_class.relrowsecurity, relforcerowsecurity; pg_policy"
    off = [table.name for table in found if table.policies and not table.is_enabled]
    if off:
        yield grouped(
            ROWS, Severity.FAILURE, off,
            f"{counted(len(off), 'table has', 'tables have')} policies that do nothing: row"
            " security is not enabled.",
            asked, (f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;" for name in off),
        )  # fmt: skip
    shut = [table.name for table in found if table.is_enabled and not table.policies]
    if shut:
        yield grouped(
            ROWS, Severity.INFO, shut,
            f"{counted(len(shut), 'table')} under row security without a policy: only the owner"
            " sees rows.",
            asked, (f"CREATE POLICY ... ON {name} USING (...); -- or DISABLE" for name in shut),
        )  # fmt: skip
    open_ones = [table.name for table in found if table.is_enabled and table.open_policies]
    if open_ones:
        yield grouped(
            ROWS, Severity.WARNING, open_ones,
            f"{counted(len(open_ones), 'table has', 'tables have')} a policy that is just true.",
            "pg_get_expr(polqual), pg_get_expr(polwithcheck)",
            (f"-- ALTER POLICY ... ON {name} USING (...);" for name in open_ones),
        )  # fmt: skip
    past = [
        table.name
        for table in found
        if table.is_enabled and not table.is_forced and table.owner in connected
    ]
    if past:
        yield grouped(
            ROWS, Severity.WARNING, past,
            f"{counted(len(past), 'table')} whose owner is the role of a connected application:"
            " row security does not hold its owner back.",
            asked, (f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY;" for name in past),
        )  # fmt: skip


async def definer_views(examination: Examination) -> Outcome | None:
    """Views that show what row security would hide, because they read as their owner."""
    if facts.major(examination) < 15:
        return None
    found = await examination.session.fetch(DEFINER_VIEWS)
    if not found:
        return Outcome("none over tables under row security")
    names = list(dict.fromkeys(view.name for view in found))
    finding = grouped(
        VIEWS,
        Severity.WARNING,
        [f"{view.name} reads {view.reads} as {view.owner}" for view in found],
        f"{counted(len(names), 'view reads', 'views read')} tables under row security with the"
        " owner's rights.",
        "pg_rewrite, pg_depend, reloptions security_invoker",
        (f"ALTER VIEW {name} SET (security_invoker = true);" for name in names),
    )
    return Outcome(counted(len(names), "view"), (finding,))


async def languages(examination: Examination) -> Outcome:
    """Languages in which a function does whatever the server's account can."""
    found = await examination.session.fetch(UNTRUSTED_LANGUAGES)
    if not found:
        return Outcome("none that is untrusted")
    findings = [
        grouped(
            LANGUAGES,
            Severity.WARNING if language.functions else Severity.INFO,
            list(language.names) or [language.language],
            f"Language {language.language} is not trusted:"
            f" {counted(language.functions, 'function')} of this database can do what the server's"
            " account can.",
            "pg_language: NOT lanpltrusted; pg_proc without catalogs and extensions",
            () if language.language == "c"
            else (f"DROP EXTENSION {quoted(language.language)}; -- when nothing needs it",),
        )
        for language in found
    ]  # fmt: skip
    names = ", ".join(language.language for language in found)
    return Outcome(names, tuple(findings))


async def extensions(examination: Examination) -> Outcome:
    """Extensions that read files, open connections or pass rules by."""
    found = await examination.session.fetch(INSTALLED_EXTENSIONS)
    reaching = [extension.name for extension in found if extension.name in _REACHING]
    summary = counted(len(found), "extension")
    if not reaching:
        return Outcome(summary)
    finding = grouped(
        EXTENSIONS,
        Severity.WARNING,
        [f"{name} ({_REACHING[name]})" for name in reaching],
        f"{counted(len(reaching), 'extension reaches', 'extensions reach')} out of the database.",
        "pg_extension",
        (f"DROP EXTENSION {quoted(name)}; -- when nothing needs it" for name in reaching),
    )
    return Outcome(summary, (finding,))


CHECKS = (
    Check(ROWS, "Row security", "Row security holds back what it is meant to.", row_security,
          cis="4.7"),
    Check(VIEWS, "Views past policies", "No view shows what row security hides.", definer_views,
          cis="4.7", oldest=15),
    Check(LANGUAGES, "Languages", "No function is written in an untrusted language.", languages,
          cis="4.5"),
    Check(EXTENSIONS, "Extensions", "No extension reaches out of the database.", extensions,
          cis="1.8"),
)  # fmt: skip
