"""The DNS as a dictionary: `Zones({"example.org": {"TXT": [b"v=spf1 -all"], "MX": [(10, "mx.example.org")]}})`.

Keys are names in lower case without final dot. A name that is not there does not exist (NXDOMAIN). The value of a type may
be `UNAVAILABLE`: asking for it raises DnsUnavailable; a name whose whole entry is `UNAVAILABLE` does so for all types.
``"CNAME": "other.name"`` is followed. `authentic` names the zones (with all below them) whose answers are authentic.
"""

from ipaddress import ip_address

from mailstead.model.errors import DnsUnavailable
from mailstead.ports.resolver import Answer, Caa, Mx, Srv, Tlsa

UNAVAILABLE = object()


class Zones:
    def __init__(self, names=None, *, authentic=()):
        self.names = {name.lower().rstrip("."): entry for name, entry in (names or {}).items()}
        self.authentic = tuple(authentic)
        self.questions = []

    async def _ask(self, name, kind, make):
        name = name.lower().rstrip(".")
        self.questions.append((name, kind))
        is_authentic = True
        for _ in range(10):
            is_authentic = is_authentic and any(f".{name}".endswith(f".{zone}") for zone in self.authentic)
            entry = self.names.get(name)
            if entry is UNAVAILABLE:
                raise DnsUnavailable
            if entry is None:
                # an empty non-terminal exists
                exists = any(other.endswith(f".{name}") for other in self.names)
                return Answer((), exists=exists, is_authentic=is_authentic, canonical_name=name)
            if kind not in entry and "CNAME" in entry:
                name = entry["CNAME"].lower().rstrip(".")
                continue
            records = entry.get(kind, ())
            if records is UNAVAILABLE:
                raise DnsUnavailable
            return Answer(tuple(make(record) for record in records), is_authentic=is_authentic, canonical_name=name)
        raise DnsUnavailable

    async def a(self, name):
        return await self._ask(name, "A", str)

    async def aaaa(self, name):
        return await self._ask(name, "AAAA", str)

    async def mx(self, name):
        found = await self._ask(name, "MX", lambda record: Mx(record[0], record[1].lower().rstrip(".")))
        return Answer(tuple(sorted(found.records)), found.exists, found.is_authentic, found.canonical_name)

    async def txt(self, name):
        return await self._ask(name, "TXT", lambda text: text if isinstance(text, bytes) else text.encode())

    async def ptr(self, address):
        return await self._ask(ip_address(address).reverse_pointer, "PTR", lambda name: name.lower().rstrip("."))

    async def tlsa(self, name):
        return await self._ask(name, "TLSA", lambda record: Tlsa(*record))

    async def srv(self, name):
        return await self._ask(name, "SRV", lambda record: Srv(*record))

    async def caa(self, name):
        return await self._ask(name, "CAA", lambda record: Caa(*record))
