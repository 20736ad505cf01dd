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
argument.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final, TypeAlias, TypeVar

KeyT = TypeVar("KeyT")

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


@dataclass(slots=True)
class _Counter:
    count: int = 0
    last_s: float = 0.0


Counters: TypeAlias = OrderedDict[KeyT, _Counter]
"""Least recently touched first."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to happen with an attempt before its password is looked at."""

    refused_s: float = 0.0
    """Not zero: refuse it; worth trying again after so many seconds."""
    slowed_s: float = 0.0
    """Let it wait so long first."""


class Failures:
    """The counters. Bounded: beyond `entries_max` of a kind, the one longest untouched is forgotten."""

    def __init__(
        self,
        free_count: int = FREE_COUNT,
        forgotten_s: float = FORGOTTEN_S,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._free_count = free_count
        self._forgotten_s = forgotten_s
        self._entries_max = entries_max
        self._networks: Counters[str] = OrderedDict()
        self._accounts: Counters[str] = OrderedDict()
        self._pairs: Counters[tuple[str, str]] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], float] = OrderedDict()

    def judge(self, address: str, account: str, now_s: float) -> Judgement:
        """Judge an attempt by the peer's IP address and the account name it gave, whether that exists or not."""
        network, account = network_of(address), _name(account)
        pair = (network, account)
        is_known = now_s - self._known.get(pair, float("-inf")) < KNOWN_S
        refused_s = self._refused_s(self._pairs, pair, PAIR_FREE_COUNT, now_s)
        if is_known:
            return Judgement(refused_s)
        refused_s = max(refused_s, self._refused_s(self._networks, network, self._free_count, now_s))
        of_account = self._current(self._accounts, account, now_s)
        slowed_s = min(SLOWED_MAX_S, _delay_s(of_account.count, self._free_count) / 2) if of_account else 0.0
        return Judgement(refused_s, slowed_s)

    def failed(self, address: str, account: str, now_s: float) -> None:
        """Count a wrong password."""
        network, account = network_of(address), _name(account)
        self._count(self._networks, network, now_s)
        self._count(self._accounts, account, now_s)
        self._count(self._pairs, (network, account), now_s)

    def succeeded(self, address: str, account: str, now_s: float) -> None:
        """Forget the failures of this pair, and know the network as the account's own."""
        pair = (network_of(address), _name(account))
        self._pairs.pop(pair, None)
        self._known[pair] = now_s
        self._known.move_to_end(pair)
        if len(self._known) > self._entries_max:
            self._known.popitem(last=False)

    def _current(self, counters: Counters[KeyT], key: KeyT, now_s: float) -> _Counter | None:
        counter = counters.get(key)
        return counter if counter and now_s - counter.last_s <= self._forgotten_s else None

    def _refused_s(self, counters: Counters[KeyT], key: KeyT, free_count: int, now_s: float) -> float:
        counter = self._current(counters, key, now_s)
        if counter is None:
            return 0.0
        return max(0.0, counter.last_s + min(REFUSED_MAX_S, _delay_s(counter.count, free_count)) - now_s)

    def _count(self, counters: Counters[KeyT], key: KeyT, now_s: float) -> None:
        counter = self._current(counters, key, now_s) or _Counter()
        counter.count += 1
        counter.last_s = now_s
        counters[key] = counter
        counters.move_to_end(key)
        if len(counters) > self._entries_max:
            counters.popitem(last=False)


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
