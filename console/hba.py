"""pg_hba.conf as the server reads it: what each rule lets in, and which rule hides another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from queries.security import HbaRule

Network = IPv4Network | IPv6Network

WIDE = {4: 16, 6: 32}
"""Networks with fewer bits than this are more than one site (CIS 5.9 wants them narrow)."""

_COVERED = {
    "local": {"local"},
    "host": {"host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc"},
    "hostssl": {"hostssl"},
    "hostnossl": {"hostnossl"},
    "hostgssenc": {"hostgssenc"},
    "hostnogssenc": {"hostnogssenc"},
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule without mistakes."""

    line: int
    type: str
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    """As the file has it; '' for local."""
    networks: tuple[Network, ...]
    """What `address` means; empty for a host name, samehost and samenet."""
    method: str

    @property
    def is_local(self) -> bool:
        return self.type == "local"

    @property
    def is_loopback(self) -> bool:
        """It lets in only what comes from the server's own machine, over TCP."""
        if self.is_local:
            return False
        if not self.networks:
            return self.address in ("samehost", "localhost")
        return all(network.is_loopback for network in self.networks)

    @property
    def is_remote(self) -> bool:
        return not self.is_local and not self.is_loopback

    @property
    def lets_in(self) -> bool:
        return self.method != "reject"

    @property
    def is_wide(self) -> bool:
        """It takes clients from more than one site, or from anywhere."""
        return self.is_remote and any(n.prefixlen < WIDE[n.version] for n in self.networks)

    @property
    def is_replication(self) -> bool:
        return "replication" in self.databases

    @property
    def takes_plain_text(self) -> bool:
        """A client may come in without TLS."""
        return self.type in ("host", "hostnossl", "hostnogssenc")

    def reaches(self, roles: Iterable[str]) -> bool:
        """Whether it can match one of these roles; a +group or pattern counts as matching."""
        return any(
            user == "all" or user in roles or user.startswith(("+", "/")) for user in self.users
        )

    def covers(self, other: Rule) -> bool:
        """Whether everything that `other` matches is already matched here."""
        return (
            other.type in _COVERED.get(self.type, set())
            and _names_cover(self.databases, other.databases, is_database=True)
            and _names_cover(self.users, other.users, is_database=False)
            and (self.is_local or self._reaches_network_of(other))
        )

    def _reaches_network_of(self, other: Rule) -> bool:
        if not other.networks or not self.networks:
            return self.address == other.address or self.address == "all"
        return all(any(_holds(mine, theirs) for mine in self.networks) for theirs in other.networks)

    def __str__(self) -> str:
        """As the file would have it, on one line."""
        parts = [self.type, ",".join(self.databases), ",".join(self.users)]
        if self.address:
            parts.append(self.address)
        return f"line {self.line}: {' '.join([*parts, self.method])}"


def _holds(mine: Network, theirs: Network) -> bool:
    if isinstance(mine, IPv4Network) and isinstance(theirs, IPv4Network):
        return theirs.subnet_of(mine)
    if isinstance(mine, IPv6Network) and isinstance(theirs, IPv6Network):
        return theirs.subnet_of(mine)
    return False


def _names_cover(mine: Sequence[str], theirs: Sequence[str], *, is_database: bool) -> bool:
    """`all` covers every name, except that databases' all leaves replication out."""
    has_all = "all" in mine
    return all(
        name in mine or (has_all and not (is_database and name == "replication")) for name in theirs
    )


def rules(rows: Iterable[HbaRule]) -> list[Rule]:
    """The rules that the server could read, in their order."""
    return [
        Rule(
            line=row.line,
            type=row.type,
            databases=tuple(row.databases),
            users=tuple(row.users),
            address=_address(row),
            networks=_networks(row),
            method=row.method,
        )
        for row in rows
        if row.error is None
    ]


def _address(row: HbaRule) -> str:
    if row.address is None or row.netmask is None:
        return row.address or ""
    networks = _networks(row)
    return str(networks[0]) if networks else row.address


def _networks(row: HbaRule) -> tuple[Network, ...]:
    if row.address == "all":
        return (ip_network("0.0.0.0/0"), ip_network("::/0"))
    if row.address is None or row.netmask is None:
        return ()
    try:
        bits = bin(int(ip_address(row.netmask))).count("1")
        return (ip_network(f"{row.address}/{bits}", strict=False),)
    except ValueError:
        return ()  # a host's name, which no mask belongs to


def shadowed(all_rules: Sequence[Rule]) -> list[tuple[Rule, Rule]]:
    """Rules that never apply, each with the earlier one that takes everything from it."""
    pairs = []
    for number, rule in enumerate(all_rules):
        earlier = next((r for r in all_rules[:number] if r.covers(rule)), None)
        if earlier is not None:
            pairs.append((rule, earlier))
    return pairs
