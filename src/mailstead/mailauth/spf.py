"""SPF: whether a domain lets a client send its mail.

Spec: RFC 7208; RFC 8616 §4 (internationalised addresses).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, NamedTuple, TypeVar

from mailstead.mailauth.iprev import address_of, client_ip, leads_to
from mailstead.mailauth.spf_macro import (
    NAME_OCTETS_MAX,
    BadRecord,
    MacroString,
    expanded,
    letters,
    macro_string,
    shortened,
)
from mailstead.mailauth.spf_record import RECORD_OCTETS_MAX, Mechanism, Record, is_record, parsed
from mailstead.model.address import Address, normal_domain
from mailstead.model.authentication import Result, SpfResult
from mailstead.model.errors import BadAddress, DnsUnavailable
from mailstead.ports.resolver import Answer, Resolver

TERMS_MAX: Final = 10
"""Terms that look something up, over all records of a check. Spec: RFC 7208 §4.6.4."""
VOID_TERMS_MAX: Final = 2
"""Of them those that may find nothing. Spec: RFC 7208 §4.6.4."""
NAMES_MAX: Final = 10
"""Names of one mx or ptr. Spec: RFC 7208 §4.6.4."""
OPEN_PREFIX: Final = {4: 8, 6: 16}
"""A network wider than that lets nearly everybody pass (attack row 33)."""
EXPLANATION_CHARACTERS_MAX: Final = 500
_ABOUT_CLIENT: Final = frozenset("iph")

RecordT = TypeVar("RecordT")


class _Identity(NamedTuple):
    """Who is checked."""

    local_part: str
    domain: str
    scope: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What check_host() says, and what is needed to explain it."""

    result: Result
    mechanism: str = ""
    is_from_all: bool = False
    exp: MacroString | None = None
    exp_domain: str = ""


async def check(
    resolver: Resolver, client_address: str, helo: str, mail_from: Address | None, *, receiver: str, now: datetime
) -> tuple[SpfResult, SpfResult | None]:
    """Check the identities MAIL FROM and HELO at the same time.

    Gives the result that counts, and that of HELO besides; for the null sender, whose MAIL FROM is postmaster at the
    HELO name, the first is of HELO and there is no second.

    Spec: RFC 7208 §2.3, §2.4.
    Shapes: `receiver` is our name, for the macro r.
    """
    client = client_ip(client_address)

    def checked(local_part: str, domain: str, scope: str) -> Coroutine[Any, Any, SpfResult]:
        identity = _Identity(local_part or "postmaster", _domain_of(domain), scope)
        return _checked(_Check(resolver, client, helo, identity, receiver, now))

    if mail_from is None:
        return await checked("", helo, "helo"), None
    async with asyncio.TaskGroup() as group:
        of_helo = group.create_task(checked("", helo, "helo"))
        of_mail_from = await checked(mail_from.local_part, mail_from.domain, "mfrom")
    return of_mail_from, of_helo.result()


def _domain_of(text: str) -> str:
    """Give a domain that can be asked for; empty for address literals, single labels and what is no domain.

    Spec: RFC 7208 §4.3.
    """
    try:
        domain = normal_domain(text.removesuffix("."))
    except BadAddress:
        return ""
    return domain if "." in domain and domain[0] != "[" and len(domain) <= NAME_OCTETS_MAX else ""


async def _checked(check: _Check) -> SpfResult:
    """Run one check, and turn what goes wrong into its result. Spec: RFC 7208 §2.6, §4.3."""
    domain, scope = check.identity.domain, check.identity.scope
    if not domain or check.client is None:
        return SpfResult(Result.NONE, domain, scope)
    try:
        outcome = await check.check_host(domain)
    except DnsUnavailable:
        return SpfResult(Result.TEMPERROR, domain, scope, explanation="the DNS does not answer")
    except BadRecord as error:
        return SpfResult(Result.PERMERROR, domain, scope, explanation=str(error))
    explanation = ""
    if outcome.result is Result.FAIL:
        explanation = await check.explanation(outcome) or f"{domain} does not let {check.client} send its mail"
    return SpfResult(outcome.result, domain, scope, outcome.mechanism, explanation, outcome.is_from_all)


class _Check:
    """One evaluation of check_host() with all the records that it leads to, and its limits."""

    def __init__(
        self,
        resolver: Resolver,
        client: IPv4Address | IPv6Address | None,
        helo: str,
        identity: _Identity,
        receiver: str,
        now: datetime,
    ) -> None:
        self._resolver: Final = resolver
        self.client: Final = client
        self._helo: Final = helo
        self.identity: Final = identity
        self._receiver: Final = receiver
        self._now: Final = now
        self._term_count = 0
        self._void_terms: set[int] = set()
        self._client_names: tuple[str, ...] | None = None

    # records

    async def check_host(self, domain: str) -> _Outcome:
        """Evaluate the record of a domain.

        Errors: BadRecord (permerror), DnsUnavailable (temperror).
        Spec: RFC 7208 §4.4 to §4.7, §6.1 (redirect).
        """
        record = await self._record(domain)
        if record is None:
            return _Outcome(Result.NONE)
        for mechanism in record.mechanisms:
            is_open = await self._matches(mechanism, domain, record)
            if is_open is not None:
                result = mechanism.qualifier
                is_from_all = result is Result.PASS and is_open
                return _Outcome(result, mechanism.text, is_from_all, record.exp, domain)
        if record.redirect is None:
            return _Outcome(Result.NEUTRAL)
        self._count_term()
        outcome = await self.check_host(await self._target(record.redirect, domain))
        if outcome.result is Result.NONE:
            raise BadRecord(f"the redirect of {domain!a} leads to no record")
        return outcome

    async def _record(self, domain: str) -> Record | None:
        """Errors: BadRecord, also for several. Spec: RFC 7208 §4.4, §4.5."""
        texts = [text for text in await self._ask(self._resolver.txt, domain) if is_record(text)]
        if len(texts) > 1:
            raise BadRecord(f"{domain!a} has several records")
        return parsed(texts[0]) if texts else None

    # mechanisms

    async def _matches(self, mechanism: Mechanism, domain: str, record: Record) -> bool | None:
        """Tell a match by whether it is one of nearly everybody; None is none.

        Spec: RFC 7208 §5.
        """
        client = self.client
        assert client is not None
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            if client.version != mechanism.network.version or client not in mechanism.network:
                return None
            return record.is_open or mechanism.network.prefixlen < OPEN_PREFIX[client.version]
        self._count_term()
        target = domain if mechanism.target is None else await self._target(mechanism.target, domain)
        match mechanism.name:
            case "include":
                return await self._included(target)
            case "exists":
                has_address = bool(await self._ask(self._resolver.a, target))
                # Without the client in the question, the answer is the same for all clients.
                return not _ABOUT_CLIENT & letters(mechanism.target or ()) if has_address else None
            case "ptr":
                names = await self._names_of_client()
                return False if any(_is_within(name, target) for name in names) else None
            case "a":
                hosts = [target]
            case _:
                exchanges = await self._ask(self._resolver.mx, target)
                if len(exchanges) > NAMES_MAX:
                    raise BadRecord(f"{target!a} has more than {NAMES_MAX} mail exchangers")
                hosts = [mx.exchange for mx in exchanges if mx.exchange]
        prefix = mechanism.prefix4 if client.version == 4 else mechanism.prefix6
        host_bits = client.max_prefixlen - prefix
        ask = self._resolver.a if client.version == 4 else self._resolver.aaaa
        for host in hosts:
            for address in await self._ask(ask, host):
                if int(client) >> host_bits == int(address_of(address)) >> host_bits:
                    return prefix < OPEN_PREFIX[client.version]
        return None

    async def _included(self, target: str) -> bool | None:
        """Spec: RFC 7208 §5.2."""
        outcome = await self.check_host(target)
        if outcome.result is Result.NONE:
            raise BadRecord(f"the include of {target!a} leads to no record")
        return outcome.is_from_all if outcome.result is Result.PASS else None

    async def _names_of_client(self) -> tuple[str, ...]:
        """Give the names of the client that lead back to it; asked for once.

        What goes wrong here only makes names fewer: their owner is the client's, not the domain's, so none of it
        may change the result for the worse or the better.

        Spec: RFC 7208 §5.5.
        """
        if self._client_names is not None:
            return self._client_names
        client = self.client
        assert client is not None
        names: list[str] = []
        try:
            for name in (await self._resolver.ptr(str(client))).records[:NAMES_MAX]:
                try:
                    if _can_be_asked(name) and await leads_to(self._resolver, name, client):
                        names.append(name.lower().removesuffix("."))
                except DnsUnavailable:
                    continue
        except DnsUnavailable:
            pass
        self._client_names = tuple(names)
        return self._client_names

    # limits

    def _count_term(self) -> None:
        """Errors: BadRecord. Spec: RFC 7208 §4.6.4."""
        self._term_count += 1
        if self._term_count > TERMS_MAX:
            raise BadRecord(f"the record looks up more than {TERMS_MAX} times")

    async def _ask(self, ask: Callable[[str], Awaitable[Answer[RecordT]]], name: str) -> tuple[RecordT, ...]:
        """Ask for the term that was counted last; a name that cannot be one is not there.

        Errors: BadRecord, when too many terms find nothing; DnsUnavailable.
        Spec: RFC 7208 §4.6.4 (void lookups), §4.8 (names from macros).
        """
        records = (await ask(name)).records if _can_be_asked(name) else ()
        if not records and self._term_count:
            self._void_terms.add(self._term_count)
            if len(self._void_terms) > VOID_TERMS_MAX:
                raise BadRecord(f"more than {VOID_TERMS_MAX} look-ups of the record find nothing")
        return records

    # macros

    async def _target(self, pieces: MacroString, domain: str) -> str:
        """Give the name that a domain-spec stands for. Spec: RFC 7208 §4.8, §7.3."""
        if "p" in letters(pieces) and self._client_names is None:
            self._count_term()
        return shortened(expanded(pieces, await self._values(pieces, domain)))

    async def _values(self, pieces: MacroString, domain: str) -> dict[str, str]:
        """Give the values of the macro letters. Spec: RFC 7208 §7.2."""
        client, identity = self.client, self.identity
        assert client is not None
        values = {
            "s": f"{identity.local_part}@{identity.domain}",
            "l": identity.local_part,
            "o": identity.domain,
            "d": domain,
            "i": str(client) if client.version == 4 else ".".join(f"{int(client):032X}"),
            "v": "in-addr" if client.version == 4 else "ip6",
            "h": self._helo,
            "c": str(client),
            "r": self._receiver or "unknown",
            "t": str(int(self._now.timestamp())),
        }
        if "p" in letters(pieces):
            names = await self._names_of_client()
            within = [name for name in names if _is_within(name, domain)]
            values["p"] = domain if domain in within else next(iter([*within, *names]), "unknown")
        return values

    async def explanation(self, outcome: _Outcome) -> str:
        """Give what the domain says about a fail; empty if it says nothing that can be shown.

        Spec: RFC 7208 §6.2.
        """
        if outcome.exp is None:
            return ""
        try:
            name = shortened(expanded(outcome.exp, await self._values(outcome.exp, outcome.exp_domain)))
            texts = (await self._resolver.txt(name)).records if _can_be_asked(name) else ()
            if len(texts) != 1 or len(texts[0]) > RECORD_OCTETS_MAX:
                return ""
            pieces = macro_string(texts[0].decode("ascii"), is_explanation=True)
            text = expanded(pieces, await self._values(pieces, outcome.exp_domain))
        except (BadRecord, DnsUnavailable, UnicodeDecodeError):
            return ""
        return text[:EXPLANATION_CHARACTERS_MAX] if text.isascii() and text.isprintable() else ""


def _is_within(name: str, domain: str) -> bool:
    return f".{name}".lower().endswith(f".{domain}".lower())


def _can_be_asked(name: str) -> bool:
    """Whether a name can exist. Spec: RFC 1035 §2.3.4; RFC 8616 §4 (a local part that is not ASCII matches nothing)."""
    return name.isascii() and len(name) <= NAME_OCTETS_MAX and all(0 < len(each) <= 63 for each in name.split("."))
