"""Failed log-ins: one count over all protocols, and a delay that grows instead of a lock-out (attack row 61).

Failures are counted by network (an IPv4 address, or an IPv6 /64, as one customer has one), by account name, and by the
pair of both. What follows:

* A network with many failures is refused for a while that doubles with each further one: spraying from one place.
* The same for a pair after a few: somebody who keeps trying the same account.
* An account under attack from everywhere is never locked. Who comes from elsewhere waits some seconds, so a thousand
  addresses guess slowly, while its owner gets in; from a network where a log-in to the account has succeeded
  lately, the owner does not even wait.
* A success resets only its own pair: an attacker with one account of his own gains nothing for the others.

Account names are counted whether they exist or not, so delays tell nothing. Pure: time (seconds that only ascend) is an
argument, and so is where the counts are kept: in this process (`LocalCounts`), or where all processes of the host see
them (`storage.embedded.shared_counts`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple, Protocol

FREE_COUNT: Final = 10
"""Failures of a network, and of an account, before its delay grows."""
PAIR_FREE_COUNT: Final = 5
REFUSED_MAX_S: Final = 300.0
"""Longest time for which a network or pair is refused after its last failure."""
SLOWED_MAX_S: Final = 8.0
"""Longest wait of a fresh network at an account under attack; clients give up after some 10 to 30 seconds."""
FORGOTTEN_S: Final = 600.0
KNOWN_S: Final = 30 * 86400.0
"""How long a network stays known to an account after a success."""
ENTRIES_MAX: Final = 100_000
NAME_CHARACTERS_MAX: Final = 320


class Kind(IntEnum):
    """What is counted."""

    NETWORK = 0
    ACCOUNT = 1
    PAIR = 2
    KNOWN = 3
    """Pairs with a success; of them only the moment matters."""


class Count(NamedTuple):
    """How often, and when last (seconds that only ascend)."""

    times: int
    last_s: float


class Counts(Protocol):
    """Where the counts are. Bounded: what was touched longest ago is forgotten early. No verb waits or fails."""

    def get(self, kind: Kind, key: str) -> Count | None:
        """What is there."""

    def add(self, kind: Kind, key: str, now_s: float, forgotten_s: float) -> None:
        """Count one more; begin at one where nothing is there, or only what is older than `forgotten_s`."""

    def forget(self, kind: Kind, key: str) -> None:
        """Remove it."""


class LocalCounts:
    """Counts of this process."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._kinds: dict[Kind, OrderedDict[str, Count]] = {kind: OrderedDict() for kind in Kind}

    def get(self, kind: Kind, key: str) -> Count | None:
        """See `Counts.get`."""
        return self._kinds[kind].get(key)

    def add(self, kind: Kind, key: str, now_s: float, forgotten_s: float) -> None:
        """See `Counts.add`."""
        counts = self._kinds[kind]
        there = counts.get(key)
        counts[key] = Count(1 if there is None or now_s - there.last_s > forgotten_s else there.times + 1, now_s)
        counts.move_to_end(key)
        if len(counts) > self._entries_max:
            counts.popitem(last=False)

    def forget(self, kind: Kind, key: str) -> None:
        """See `Counts.forget`."""
        self._kinds[kind].pop(key, None)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to happen with an attempt before its password is looked at."""

    refused_s: float = 0.0
    """Not zero: refuse it; worth trying again after so many seconds."""
    slowed_s: float = 0.0
    """Let it wait so long first."""


class Failures:
    """The rules, over the counts."""

    def __init__(
        self, free_count: int = FREE_COUNT, forgotten_s: float = FORGOTTEN_S, counts: Counts | None = None
    ) -> None:
        self._free_count = free_count
        self._forgotten_s = forgotten_s
        self._counts = counts or LocalCounts()

    def judge(self, address: str, account: str, now_s: float) -> Judgement:
        """Judge an attempt by the peer's IP address and the account name it gave, whether that exists or not."""
        network, account = network_of(address), _name(account)
        pair = _pair(network, account)
        known = self._counts.get(Kind.KNOWN, pair)
        refused_s = self._refused_s(Kind.PAIR, pair, PAIR_FREE_COUNT, now_s)
        if known is not None and now_s - known.last_s < KNOWN_S:
            return Judgement(refused_s)
        refused_s = max(refused_s, self._refused_s(Kind.NETWORK, network, self._free_count, now_s))
        of_account = self._current(Kind.ACCOUNT, account, now_s)
        slowed_s = min(SLOWED_MAX_S, _delay_s(of_account.times, self._free_count) / 2) if of_account else 0.0
        return Judgement(refused_s, slowed_s)

    def failed(self, address: str, account: str, now_s: float) -> None:
        """Count a wrong password."""
        network, account = network_of(address), _name(account)
        self._counts.add(Kind.NETWORK, network, now_s, self._forgotten_s)
        self._counts.add(Kind.ACCOUNT, account, now_s, self._forgotten_s)
        self._counts.add(Kind.PAIR, _pair(network, account), now_s, self._forgotten_s)

    def succeeded(self, address: str, account: str, now_s: float) -> None:
        """Forget the failures of this pair, and know the network as the account's own."""
        pair = _pair(network_of(address), _name(account))
        self._counts.forget(Kind.PAIR, pair)
        self._counts.add(Kind.KNOWN, pair, now_s, KNOWN_S)

    def _current(self, kind: Kind, key: str, now_s: float) -> Count | None:
        count = self._counts.get(kind, key)
        return count if count and now_s - count.last_s <= self._forgotten_s else None

    def _refused_s(self, kind: Kind, key: str, free_count: int, now_s: float) -> float:
        count = self._current(kind, key, now_s)
        if count is None:
            return 0.0
        return max(0.0, count.last_s + min(REFUSED_MAX_S, _delay_s(count.times, free_count)) - now_s)


def network_of(address: str) -> str:
    """Give what one customer has: an IPv4 address (also mapped into IPv6), an IPv6 /64; other texts as they are."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)


def _delay_s(count: int, free_count: int) -> float:
    """Give 0 up to the free count, then 1, 2, 4 … seconds."""
    return 0.0 if count < free_count else float(2 ** min(count - free_count, 16))


def _name(account: str) -> str:
    return account.casefold()[:NAME_CHARACTERS_MAX]


def _pair(network: str, account: str) -> str:
    """Name a pair; no network has a space."""
    return f"{network} {account}"
