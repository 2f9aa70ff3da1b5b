"""The server behind the database: what holds old rows and WAL, what runs out, what drifted."""

from __future__ import annotations

from console import units
from console.checks import facts
from console.checks.check import Check, Examination, Outcome, unknown
from console.checks.grouping import counted, grouped
from console.checks.health import note, warning
from console.findings import Evidence, Finding, Severity
from console.names import quoted
from queries.health import (
    ALL_PREPARED_TRANSACTIONS,
    ARCHIVER,
    CHECKSUMS,
    COLLATED_INDEXES,
    COLLATION_DRIFT,
    CONNECTION_USE,
    EVENT_TRIGGERS,
    OPEN_TRANSACTIONS,
    REPLICATION_SLOTS,
    WRAPAROUND,
    ReplicationSlot,
    Wraparound,
)
from queries.objects import EXTENSIONS

WRAP = "server.wraparound"
TRANSACTIONS = "server.transactions"
PREPARED = "server.prepared"
SLOTS = "server.slots"
CONNECTIONS = "server.connections"
BLOCKED = "server.blocked"
COLLATIONS = "server.collations"
SUMS = "server.checksums"
UPDATES = "server.extension-updates"
EVENTS = "server.event-triggers"
ARCHIVE = "server.archiver"

_LAST_ID = 2**31
"""Ids older than this are in the future; the server stops writing 3 million before."""


async def wraparound(examination: Examination) -> Outcome:
    """How many of the transaction ids and multixact ids are used, by the oldest database."""
    rows = await examination.session.fetch(WRAPAROUND)
    warn = examination.threshold("server.wraparound.warn-percent") / 100
    fail = examination.threshold("server.wraparound.fail-percent") / 100
    oldest = max(rows, key=_share)
    findings = tuple(
        Finding(
            WRAP,
            Severity.FAILURE if _share(row) >= fail else Severity.WARNING,
            quoted(row.database),
            f"{units.percent(_share(row))} of the transaction ids are used: vacuum does not keep"
            " up, and at the end the server takes no more writes.",
            Evidence(
                "pg_database: age(datfrozenxid), mxid_age(datminmxid)",
                f"{row.xid_age}, {row.multixact_age} of {_LAST_ID}",
            ),
            f"-- in database {quoted(row.database)}, after ending what holds old rows"
            " (server.transactions, server.prepared, server.slots):\nVACUUM (FREEZE);",
        )
        for row in rows
        if _share(row) >= warn
    )
    share = units.percent(_share(oldest))
    return Outcome(f"{share} of the ids used (database {oldest.database})", findings)


def _share(row: Wraparound) -> float:
    return max(row.xid_age, row.multixact_age) / _LAST_ID


async def transactions(examination: Examination) -> Outcome:
    """Transactions that are open for long: they keep dead rows of every table."""
    minutes = examination.threshold("server.transactions.minutes")
    rows = await examination.session.fetch(OPEN_TRANSACTIONS, {"seconds": minutes * 60})
    findings = [
        warning(
            TRANSACTIONS,
            f"process {row.pid}",
            f"A transaction of {row.role} ({row.application or 'no application name'}) is open for"
            f" {units.duration(row.transaction_seconds)}, {row.state}: no VACUUM removes what was"
            " deleted since.",
            "pg_stat_activity: xact_start, state, backend_xmin",
            f"{units.duration(row.transaction_seconds)}, {row.state}",
            f"SELECT pg_terminate_backend({row.pid}); -- loses what it did not commit",
        )
        for row in rows
    ]
    if not facts.sees_all_sessions(examination):
        findings.append(
            unknown(
                TRANSACTIONS,
                "",
                "This role may not see the transactions of other roles.",
                "GRANT pg_read_all_stats TO CURRENT_USER;",
            )
        )
    return Outcome(f"{len(rows)} open for {minutes:g} min or more", tuple(findings))


async def prepared(examination: Examination) -> Outcome:
    """Prepared transactions that nobody ended."""
    seconds = examination.threshold("server.prepared.minutes") * 60
    rows = await examination.session.fetch(ALL_PREPARED_TRANSACTIONS)
    findings = tuple(
        warning(
            PREPARED,
            row.gid,
            f"It was prepared {units.duration(row.seconds)} ago and never ended: its locks and old"
            " rows stay, also after a restart.",
            "pg_prepared_xacts",
            f"database {row.database}, owner {row.owner}",
            f"ROLLBACK PREPARED '{row.gid.replace(chr(39), chr(39) * 2)}';"
            f" -- or COMMIT PREPARED, in database {quoted(row.database)}",
        )
        for row in rows
        if row.seconds >= seconds
    )
    return Outcome(counted(len(rows), "prepared transaction"), findings)


async def slots(examination: Examination) -> Outcome:
    """Replication slots that nobody reads, and those whose WAL is lost."""
    most = examination.threshold("server.slots.megabytes") * 1024**2
    rows = await examination.session.fetch(REPLICATION_SLOTS)
    findings = tuple(_slot(row, most) for row in rows if not row.is_active)
    return Outcome(f"{counted(len(rows), 'slot')}, {len(findings)} inactive", findings)


def _slot(row: ReplicationSlot, most: float) -> Finding:
    lost = row.wal_status == "lost"
    held = row.retained_bytes or 0
    grave = lost or held >= most
    return Finding(
        SLOTS,
        Severity.WARNING if grave else Severity.INFO,
        row.name,
        "Its WAL is gone: what read it must be built anew."
        if lost
        else f"Nobody reads this slot; it keeps {units.size(held)} of WAL, and all that comes.",
        Evidence(
            "pg_replication_slots: active, wal_status, restart_lsn",
            f"false, {row.wal_status or 'none'}, {units.size(held)} behind",
        ),
        f"SELECT pg_drop_replication_slot('{row.name}'); -- when its reader is gone for good",
    )


async def connections(examination: Examination) -> Outcome:
    """Connections taken, of those that applications may have."""
    use = await examination.session.fetch_one(CONNECTION_USE)
    share = use.connections / max(1, use.available)
    summary = f"{use.connections} of {use.available}"
    if share * 100 < examination.threshold("server.connections.percent"):
        return Outcome(summary)
    finding = warning(
        CONNECTIONS,
        "",
        f"{units.percent(share)} of the connections are taken; with all of them taken nobody gets"
        " in.",
        "pg_stat_activity; max_connections without those reserved",
        summary,
        "-- lower connection_limit of the applications, or put a pooler in between",
    )
    return Outcome(summary, (finding,))


async def blocked(examination: Examination) -> Outcome:
    """Sessions that wait for another's lock at this moment."""
    use = await examination.session.fetch_one(CONNECTION_USE)
    summary = f"{counted(use.blocked, 'session')} waiting"
    if not use.blocked:
        return Outcome(summary)
    message = "Sessions wait for a lock that another one holds (see the Activity tab)."
    return Outcome(summary, (note(BLOCKED, "", message, "pg_blocking_pids", str(use.blocked)),))


async def collations(examination: Examination) -> Outcome:
    """Collations whose library changed under the indexes that are sorted by them."""
    drifted = await examination.session.fetch(COLLATION_DRIFT)
    if not drifted:
        return Outcome("as when they were made, where a version is kept")
    indexes = await examination.session.fetch(
        COLLATED_INDEXES, {"is_default": any(row.is_default for row in drifted)}
    )
    rebuild = [f"REINDEX INDEX CONCURRENTLY {index.name};" for index in indexes]
    finding = grouped(
        COLLATIONS,
        Severity.WARNING,
        [row.name for row in drifted],
        f"The system's library sorts differently since; {counted(len(indexes), 'index', 'indexes')}"
        " may miss rows or let duplicates in.",
        "collversion beside pg_collation_actual_version: "
        + ", ".join(f"{row.recorded} and {row.actual or 'none'}" for row in drifted[:3]),
        [*rebuild, *(f"{row.statement} -- after the indexes" for row in drifted)],
    )
    return Outcome(f"{counted(len(drifted), 'collation')} drifted, {len(indexes)} indexes",
                   (finding,))  # fmt: skip


async def checksums(examination: Examination) -> Outcome:
    """Whether pages carry checksums, and whether any was wrong."""
    rows = await examination.session.fetch(CHECKSUMS)
    failed = [row for row in rows if row.failures]
    if not rows or rows[0].setting != "on":
        message = "Pages carry no checksums: damage on the disk is read as if it were data."
        fix = "pg_checksums --enable -D DATA -- while the server is stopped"
        return Outcome("off", (note(SUMS, "", message, "data_checksums", "off", fix),))
    findings = tuple(
        Finding(
            SUMS,
            Severity.FAILURE,
            row.database,
            f"{counted(row.failures, 'page')} came back damaged from the disk"
            f" (last {row.last_failure:%Y-%m-%d %H:%M} UTC)."
            if row.last_failure
            else f"{counted(row.failures, 'page')} came back damaged from the disk.",
            Evidence("pg_stat_database.checksum_failures", str(row.failures)),
            "medianest-console check --only integrity.corruption\n"
            "-- then restore what is damaged from a backup, and look at the disk",
        )
        for row in failed
    )
    return Outcome("on" + ("" if failed else ", no failure counted"), findings)


async def extension_updates(examination: Examination) -> Outcome:
    """Extensions older than the files that are installed."""
    rows = await examination.session.fetch(EXTENSIONS)
    findings = tuple(
        note(
            UPDATES,
            row.name,
            f"Version {row.version} is in use, {row.default_version} is installed.",
            "pg_extension.extversion; pg_available_extensions.default_version",
            f"{row.version}; {row.default_version}",
            f"ALTER EXTENSION {quoted(row.name)} UPDATE;",
        )
        for row in rows
        if row.default_version is not None and row.version != row.default_version
    )
    return Outcome(f"{counted(len(rows), 'extension')}, {len(findings)} to update", findings)


async def event_triggers(examination: Examination) -> Outcome:
    """Functions that run at every DDL statement, also at those of a migration."""
    rows = await examination.session.fetch(EVENT_TRIGGERS)
    findings = tuple(
        note(
            EVENTS,
            quoted(row.name),
            f"At {row.event} it runs {row.function}() of {row.owner}"
            f"{'' if row.is_enabled else ' (disabled)'}; an error in it stops migrations.",
            "pg_event_trigger",
            f"{row.event}, {row.function}",
            f"ALTER EVENT TRIGGER {quoted(row.name)} DISABLE; -- when nobody knows it",
        )
        for row in rows
    )
    return Outcome(counted(len(rows), "event trigger"), findings)


async def archiver(examination: Examination) -> Outcome:
    """Whether the last finished WAL file reached its archive."""
    row = await examination.session.fetch_one(ARCHIVER)
    if row.mode == "off":
        return Outcome("archive_mode is off")
    summary = f"{counted(row.archived, 'file')} archived, {row.failed} failures"
    failing = row.last_failed is not None and (
        row.last_archived is None or row.last_failed > row.last_archived
    )
    if not failing:
        return Outcome(summary)
    finding = warning(
        ARCHIVE,
        row.last_failed_file or "",
        "The archive command fails: WAL piles up on the disk, and recovery ends before it.",
        "pg_stat_archiver: last_failed_time, last_archived_time",
        f"{row.last_failed:%Y-%m-%d %H:%M} UTC, {row.last_archived or 'never'}",
        "-- read the server's log for archive_command's own words, and mend it",
    )
    return Outcome(summary, (finding,))


CHECKS = (
    Check(WRAP, "Transaction ids", "Vacuum keeps transaction ids from running out.", wraparound),
    Check(TRANSACTIONS, "Open transactions", "No transaction is open for long.", transactions,
          privileges="pg_read_all_stats"),
    Check(PREPARED, "Prepared", "No prepared transaction was forgotten.", prepared),
    Check(SLOTS, "Slots", "Every replication slot is read.", slots),
    Check(CONNECTIONS, "Connections", "Connections are left for applications.", connections),
    Check(BLOCKED, "Blocked", "No session waits for another's lock.", blocked, by_default=False),
    Check(COLLATIONS, "Collations", "Text is sorted as when its indexes were built.", collations),
    Check(SUMS, "Checksums", "Pages carry checksums, and none was wrong.", checksums,
          cis="1.4.3"),
    Check(UPDATES, "Extensions", "Extensions are as new as their files.", extension_updates),
    Check(EVENTS, "Event triggers", "Nothing unknown runs at DDL.", event_triggers),
    Check(ARCHIVE, "WAL archive", "Every finished WAL file is archived.", archiver),
)  # fmt: skip
