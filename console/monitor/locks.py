"""Who blocks whom, as trees: at each root the session that waits for nobody and must end first.

Who blocks is the server's own answer (pg_blocking_pids), which knows queues and parallel groups;
pg_locks tells what for. Each waiting session stands once, under the blocker nearest to it in the
queue, with its other blockers named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from console import units
from console.monitor.activity import by_pid, is_waiting
from console.monitor.lock_words import conflicts, described, gives_way
from queries.activity import Backend
from queries.locks import Lock

Blocker = int | str
"""A process, or the gid of a prepared transaction."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a session waits for."""

    what: str
    """E.g. 'AccessExclusiveLock on users'."""
    mode: str
    seconds: float | None
    is_exact: bool
    """13 does not tell since when; then it is the age of the statement."""


@dataclass(frozen=True, slots=True)
class Node:
    """A session or prepared transaction in a tree, before those that wait for it."""

    who: Blocker
    backend: Backend | None
    """None for a prepared transaction, and for a session that has just ended."""
    depth: int
    waiting: Waiting | None
    """None for a root."""
    also_blocked_by: tuple[Blocker, ...]
    behind: int
    """How many wait for it, directly or through others."""
    root: Blocker
    is_deadlock: bool = False
    """It waits for itself in the end; the server will cancel one of the circle."""

    @property
    def key(self) -> str:
        started = self.backend.started_at if self.backend else ""
        return f"{self.who}/{started}"

    @property
    def is_root(self) -> bool:
        return self.depth == 0


def blocking_tree(backends: Sequence[Backend], locks: Sequence[Lock]) -> list[Node]:
    """Roots with most sessions behind them first, each followed by its tree, depth first."""
    known = by_pid(backends)
    edges = _edges(backends, locks)
    roots, circles = _roots(edges)
    children = _children(edges, roots)
    behind = {who: _behind(who, edges) for who in {*roots, *edges}}
    nodes: list[Node] = []

    def place(who: Blocker, parent: Blocker | None, depth: int, root: Blocker) -> None:
        others = tuple(blocker for blocker in edges.get(who, ()) if blocker != parent)
        backend = known.get(who) if isinstance(who, int) else None
        in_circle = who in circles
        waiting = _waiting(who, backends, locks) if depth or in_circle else None
        nodes.append(Node(who, backend, depth, waiting, others, len(behind[who]), root, in_circle))
        for child in sorted(children.get(who, ()), key=lambda c: _since(c, backends, locks)):
            place(child, who, depth + 1, root)

    for root in sorted(roots, key=lambda root: (-len(behind[root]), str(root))):
        place(root, None, 0, root)
    return nodes


def _edges(
    backends: Sequence[Backend], locks: Sequence[Lock]
) -> dict[Blocker, tuple[Blocker, ...]]:
    """Who waits for whom; a parallel worker's wait is its leader's."""
    edges: dict[Blocker, set[Blocker]] = {}
    for backend in backends:
        if not backend.blocked_by:
            continue
        waiter = backend.leader_pid or backend.pid
        for blocker in backend.blocked_by:
            found: Iterable[Blocker] = [blocker] if blocker else _prepared(backend.pid, locks)
            edges.setdefault(waiter, set()).update(who for who in found if who != waiter)
    return {waiter: tuple(sorted(found, key=str)) for waiter, found in edges.items() if found}


def _prepared(pid: int, locks: Sequence[Lock]) -> list[Blocker]:
    """The prepared transactions that hold what the process waits for."""
    wanted = [lock for lock in locks if lock.pid == pid and not lock.is_granted]
    found = [
        lock.gid or "a prepared transaction"
        for lock in locks
        if lock.pid == 0
        and lock.is_granted
        and any(w.object == lock.object and conflicts(w.mode, lock.mode) for w in wanted)
    ]
    return list(dict.fromkeys(found)) or ["a prepared transaction"]


def _roots(edges: Mapping[Blocker, Sequence[Blocker]]) -> tuple[list[Blocker], set[Blocker]]:
    """Those who wait for nobody; of a circle without such a one, the first; and all in circles."""
    roots = {blocker for blockers in edges.values() for blocker in blockers if blocker not in edges}
    circles = {who for who in edges if _reaches(who, who, edges)}
    reached = set(roots).union(*(_behind(root, edges) for root in roots))
    for who in sorted(circles, key=str):
        if who not in reached:
            roots.add(who)
            reached |= {who} | _behind(who, edges)
    return sorted(roots, key=str), circles


def _reaches(start: Blocker, goal: Blocker, edges: Mapping[Blocker, Sequence[Blocker]]) -> bool:
    seen: set[Blocker] = set()
    pending = list(edges.get(start, ()))
    while pending:
        who = pending.pop()
        if who == goal:
            return True
        if who not in seen:
            seen.add(who)
            pending.extend(edges.get(who, ()))
    return False


def _behind(who: Blocker, edges: Mapping[Blocker, Sequence[Blocker]]) -> set[Blocker]:
    """Everybody who waits for it, through others too."""
    found: set[Blocker] = set()
    pending = [who]
    while pending:
        current = pending.pop()
        for waiter, blockers in edges.items():
            if current in blockers and waiter not in found and waiter != who:
                found.add(waiter)
                pending.append(waiter)
    return found


def _children(
    edges: Mapping[Blocker, Sequence[Blocker]], roots: Iterable[Blocker]
) -> dict[Blocker, list[Blocker]]:
    """Each waiter under its deepest blocker, which is the one just ahead of it."""
    depths: dict[Blocker, int] = {}

    def depth(who: Blocker, path: frozenset[Blocker]) -> int:
        if who not in depths:
            ahead = [b for b in edges.get(who, ()) if b not in path]
            depths[who] = 1 + max((depth(b, path | {who}) for b in ahead), default=-1)
        return depths[who]

    top = set(roots)
    for root in top & set(edges):
        depths[root] = 0  # the one chosen of a circle
    found: dict[Blocker, list[Blocker]] = {}
    for waiter in edges:
        if waiter not in top:
            depth(waiter, frozenset())
    for waiter, blockers in edges.items():
        if waiter not in top:
            ahead = [b for b in blockers if depths.get(b, 0) < depths[waiter]] or list(blockers)
            found.setdefault(max(ahead, key=lambda b: depths.get(b, 0)), []).append(waiter)
    return found


def _waiting(who: Blocker, backends: Sequence[Backend], locks: Sequence[Lock]) -> Waiting | None:
    """What it, or one of its parallel workers, waits for."""
    group = [b for b in backends if who in (b.pid, b.leader_pid) and is_waiting(b)]
    pids = {backend.pid for backend in group}
    wanted = [lock for lock in locks if lock.pid in pids and not lock.is_granted]
    age = max((b.query_seconds or 0.0 for b in group), default=None)
    if not wanted:
        event = next((b.wait_event for b in group if b.wait_event), "")
        return Waiting(f"{event} lock".strip(), "", age, False) if group else None
    lock = max(wanted, key=lambda lock: lock.waited_seconds or 0.0)
    held_rows = [row for row in locks if row.pid == lock.pid and row.kind == "tuple"]
    what = described(lock, held_rows)
    exact = lock.waited_seconds is not None
    return Waiting(what, lock.mode, lock.waited_seconds if exact else age, exact)


def _since(who: Blocker, backends: Sequence[Backend], locks: Sequence[Lock]) -> float:
    waiting = _waiting(who, backends, locks)
    return -((waiting.seconds if waiting else None) or 0.0)


def unblocking(node: Node) -> str:
    """What would let those behind a root go on, in a sentence."""
    if node.is_deadlock:
        return "A circle: the server cancels one of them after deadlock_timeout."
    many = "1 session" if node.behind == 1 else f"{node.behind} sessions"
    if isinstance(node.who, str):
        gid = node.who.replace("'", "''")
        return f"COMMIT PREPARED '{gid}' or ROLLBACK PREPARED '{gid}' lets {many} go on."
    backend = node.backend
    if backend is None:
        return f"Process {node.who} has just ended; {many} will go on."
    return f"{gives_way(backend)} frees {many}."


def age_words(waiting: Waiting) -> str:
    """How long; with ≤ where the server tells only the age of the statement."""
    return ("" if waiting.is_exact else "≤ ") + units.duration(waiting.seconds)
