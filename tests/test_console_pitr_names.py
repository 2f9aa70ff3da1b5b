"""Positions, segments, histories and page headers, against what PostgreSQL itself says."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import Any

import psycopg
import pytest

from console.local_server import LocalServer
from console.pitr.names import (
    History,
    Segment,
    lsn,
    lsn_text,
    parse_history,
    reached,
    segment_of,
)
from console.pitr.partial import record_end
from console.pitr.segment import Damaged, Identity, check_pages
from console.pitr.waldump import _Reading

MB16 = 16 * 1024 * 1024


@pytest.mark.parametrize("position", ["0/1000028", "0/FFFFFFFF", "1/1", "A/BCDEF012"])
def test_names_of_segments_are_the_servers_own(position: str, server: LocalServer) -> None:
    database: dict[str, Any] = {**server.conninfo("postgres")}
    with psycopg.connect(**database) as connection:
        row = connection.execute("SELECT pg_walfile_name(%s::pg_lsn)", (position,)).fetchone()
    assert row is not None
    assert Segment(lsn(position) // MB16, 1, MB16).name == row[0]
    assert segment_of(row[0], MB16).start <= lsn(position) < segment_of(row[0], MB16).end


def test_positions_are_read_and_written_as_the_server_does() -> None:
    assert lsn_text(lsn("1/A0000028")) == "1/A0000028"
    assert lsn("2/0") - lsn("1/FFFFFFFF") == 1
    for wrong in ("", "0", "0/", "x/1", "0/123456789", "-1/0"):
        with pytest.raises(ValueError, match="position"):
            lsn(wrong)


def test_an_idle_servers_place_behind_a_page_header_counts_as_reached() -> None:
    assert reached(lsn("0/2000000"), lsn("0/2000028"))
    assert reached(lsn("0/2002000"), lsn("0/2002018"))
    assert not reached(lsn("0/2001FF8"), lsn("0/2002018"))
    assert not reached(lsn("0/2000000"), lsn("0/2000060"))


def test_a_history_says_which_timeline_a_position_is_of() -> None:
    history = parse_history(3, "1\t0/5000000\tno recovery target\n2\t0/9000060\tbefore X\n\n")
    assert [history.timeline_at(lsn(at)) for at in ("0/1", "0/5000000", "0/9000060")] == [1, 2, 3]
    names = [segment.name for segment in history.segments(lsn("0/4000000"), lsn("0/A000000"), MB16)]
    assert names == [
        "000000010000000000000004",
        "000000020000000000000005",
        "000000020000000000000006",
        "000000020000000000000007",
        "000000020000000000000008",
        "000000030000000000000009",
    ]


@pytest.mark.parametrize("text", ["", "x\t0/1\n", "1\n", "1\t0/9\n1\t0/9\n", "5\t0/1\n"])
def test_a_damaged_history_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"history|position"):
        parse_history(3, text)


def test_a_record_goes_on_behind_page_headers() -> None:
    # Seen on 15.18: an ABORT of 70 bytes at 0/501C168, and the server's insert position after it.
    assert record_end(lsn("0/501C168"), 70, MB16) == lsn("0/501C1B0")
    # Seen on 15.18: a full page of 8241 bytes, and where the next record began.
    assert record_end(lsn("0/10020F0"), 8241, MB16) == lsn("0/1004140")
    assert record_end(lsn("0/1001FF8"), 24, MB16) == lsn("0/1002000") + 24 + 16
    assert record_end(lsn("0/1FFFFF8"), 24, MB16) == lsn("0/2000000") + 40 + 16


def test_pages_are_compared_with_name_server_and_timeline() -> None:
    identity = Identity(42, 15, MB16)
    segment = Segment(5, 1, MB16)
    with pytest.raises(Damaged, match="no WAL of PostgreSQL 15"):
        check_pages(bytes(MB16), segment, identity, History(1))
    with pytest.raises(Damaged, match="ends after 0 bytes"):
        check_pages(b"", segment, identity, History(1))


LINES = b"""\
rmgr: Heap        len (rec/tot):     54/    54, tx:        727, lsn: 0/02FFFFC0, prev 0/02FFFF88, \
desc: DELETE off 10 flags 0x00 KEYS_UPDATED , blkref #0: rel 1663/5/16384 blk 207
rmgr: Heap        len (rec/tot):     54/    54, tx:        728, lsn: 0/03000028, prev 0/02FFFFC0, \
desc: DELETE xmax: 755, off: 24, infobits: [KEYS_UPDATED], flags: 0x00, blkref #0: \
rel 1663/5/16384 blk 250
rmgr: Transaction len (rec/tot):     34/    34, tx:        727, lsn: 0/03158D98, prev 0/03158D60, \
desc: COMMIT 2026-11-26 11:58:59.164606 UTC; subxacts: 728 729
rmgr: XLOG        len (rec/tot):     98/    98, tx:          0, lsn: 0/03158DD0, prev 0/03158D98, \
desc: RESTORE_POINT hello world
rmgr: Transaction len (rec/tot):     66/    66, tx:        731, lsn: 0/03158E40, prev 0/03158DD0, \
desc: COMMIT_PREPARED 730: 2026-11-26 11:59:00.164606 UTC
"""


def test_rows_deleted_by_subtransactions_count_for_their_transaction() -> None:
    reading = _Reading(frozenset(), Counter(), repeats_first=False)
    reading.read(BytesIO(LINES))
    deleted, named = reading.found.events
    assert (deleted.kind, deleted.rows, deleted.relation, deleted.xid) == (
        "delete",
        2,
        (5, 16384),
        727,
    )
    assert (named.kind, named.name) == ("restore point", "hello world")
    assert [end.xid for end in reading.found.ends] == [727, 730]
    assert reading.found.records == 5
    assert lsn_text(reading.found.last or 0) == "0/3158E40"
