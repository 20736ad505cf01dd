"""Are our records in the DNS as they should be? Each record of the plan is looked up and judged by what it is for.

Not by its letters: an SPF record may be written in many ways, and does its work if our host passes.

Spec: RFC 7208, RFC 6376 §3.6.1, RFC 9989 §4.10, RFC 8461 §3, RFC 8460 §3, RFC 6698 §2.1, RFC 6186, RFC 8659 §3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mailstead.mailauth import dmarc_record, spf
from mailstead.mailauth.dkim_tags import Refused, tags_of, without_spaces
from mailstead.mailauth.mta_sts import published_id
from mailstead.mailauth.spf_record import is_record
from mailstead.mailauth.tlsrpt import targets as tls_report_targets
from mailstead.model.address import Address
from mailstead.model.authentication import Result
from mailstead.model.diagnosis import Diagnosis, Health
from mailstead.model.errors import DnsUnavailable, WebFailed, WebRefused
from mailstead.policy.dns_records import MailHost, Record
from mailstead.policy.sts_policy import policy_text
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Resolver
from mailstead.ports.web import WebClient

NOT_PUBLISHED: Final = "not published"
_DANE_EE_KEY_SHA256: Final = (3, 1, 1)


class RecordChecks:
    """Looks up records of one mail host and its domains."""

    def __init__(self, resolver: Resolver, web: WebClient, clock: Clock, host: MailHost) -> None:
        self._resolver = resolver
        self._web = web
        self._clock = clock
        self._host = host
        self._checks: Final[dict[str, Callable[[_Case], Awaitable[Diagnosis]]]] = {
            "host": self._address,
            "helo": self._helo,
            "tlsa": self._tlsa,
            "caa": self._caa,
            "mx": self._mx,
            "spf": self._spf,
            "dkim": self._dkim,
            "dmarc": self._dmarc,
            "mta-sts-host": self._alias,
            "mta-sts": self._mta_sts,
            "tls-rpt": self._tls_rpt,
            "srv": self._srv,
            "srv-path": self._srv_path,
            "autoconfig": self._alias,
            "autodiscover": self._alias,
            "openpgpkey": self._alias,
        }

    async def check(self, record: Record, domain: str = "", mode: str = "") -> Diagnosis:
        """Look a record up and judge it; `mode` is that of the domain's MTA-STS policy."""
        case = _Case(record, domain, mode)
        try:
            return await self._checks[record.purpose](case)
        except DnsUnavailable:
            return case.wrong("the DNS does not answer", "See what is said about the resolver.", Health.WARNING)

    async def _address(self, case: _Case) -> Diagnosis:
        record = case.record
        ask = self._resolver.a if record.kind == "A" else self._resolver.aaaa
        answer = await ask(record.name)
        found = ", ".join(answer.records)
        if record.is_template:
            return case.ok(found) if found else case.wrong(NOT_PUBLISHED, "Publish the address of the mail host.")
        if record.value in answer.records:
            return case.ok(found)
        advice = (
            "Publish the address; or, if the host has another one, set relay.source_ipv4 or relay.source_ipv6 to it."
        )
        return case.wrong(found or NOT_PUBLISHED, advice, Health.WARNING if found else Health.ERROR)

    async def _mx(self, case: _Case) -> Diagnosis:
        answer = await self._resolver.mx(case.record.name)
        found = ", ".join(f"{each.preference} {each.exchange or '.'}" for each in answer.records)
        hosts = {each.exchange for each in answer.records}
        if self._host.hostname not in hosts:
            return case.wrong(found or NOT_PUBLISHED, "Publish the record: until then no mail comes here.")
        if hosts != {self._host.hostname}:
            return case.wrong(found, "Other hosts take mail, too: remove them unless they are meant.", Health.WARNING)
        return case.ok(found)

    async def _helo(self, case: _Case) -> Diagnosis:
        texts = [text for text in (await self._resolver.txt(case.record.name)).records if is_record(text)]
        return case.ok(_texts(texts)) if len(texts) == 1 else case.optional(_texts(texts))

    async def _spf(self, case: _Case) -> Diagnosis:
        answer = await self._resolver.txt(case.record.name)
        texts = [text for text in answer.records if is_record(text)]
        if len(texts) != 1:
            advice = "Publish the record." if not texts else "Join the records to one: several are an error."
            return case.wrong(_texts(texts), advice)
        sender, failing = Address("postmaster", case.domain), []
        for address in self._host.addresses:
            result, _ = await spf.check(
                self._resolver,
                address,
                self._host.hostname,
                sender,
                receiver=self._host.hostname,
                now=self._clock.now(),
            )
            if result.result is Result.TEMPERROR:
                raise DnsUnavailable
            if result.result is not Result.PASS:
                failing.append(f"{address}: {result.result}")
        if failing:
            # Where a relay sends for us, what our own address gets does not matter.
            is_relayed = " a:" in case.record.value
            advice = "Let the record name the address, for example with mx or ip4:."
            status = Health.WARNING if is_relayed else Health.ERROR
            return case.wrong(f"{_texts(texts)} ({'; '.join(failing)})", advice, status)
        passing = f" (passes for {', '.join(self._host.addresses)})" if self._host.addresses else ""
        return case.ok(_texts(texts) + passing)

    async def _dkim(self, case: _Case) -> Diagnosis:
        answer = await self._resolver.txt(case.record.name)
        wanted = without_spaces(tags_of(case.record.value.encode())[b"p"])
        for text in answer.records:
            try:
                if without_spaces(tags_of(text).get(b"p", b"")) == wanted:
                    return case.ok("the key is published")
            except Refused:
                continue
        signs = "signs our mail" in case.record.why
        found = "another key" if answer.records else NOT_PUBLISHED
        advice = "Publish the record: signatures cannot be verified without it." if signs else "Publish the record."
        return case.wrong(found, advice, Health.ERROR if signs else Health.WARNING)

    async def _dmarc(self, case: _Case) -> Diagnosis:
        """Look up the tree as receivers do. Spec: RFC 9989 §4.10."""
        for name in dmarc_record.walk(case.domain):
            answer = await self._resolver.txt(f"_dmarc.{name}")
            texts = [text for text in answer.records if dmarc_record.parsed(text) is not None]
            if len(texts) > 1:
                return case.wrong(_texts(texts), f"Leave one record at _dmarc.{name}: several count for nothing.")
            record = dmarc_record.parsed(texts[0]) if texts else None
            if record is None:
                continue
            policy = record.policy if name == case.domain else record.subdomain_policy
            if record.asked(policy) == "none":
                advice = "It protects nobody yet; when the reports hold no surprise, ask for quarantine or reject."
                return case.wrong(_texts(texts), advice, Health.WARNING)
            return case.ok(_texts(texts))
        return case.wrong(NOT_PUBLISHED, "Publish the record: large providers refuse mail without.")

    async def _alias(self, case: _Case) -> Diagnosis:
        """Whether a name leads to our host, by CNAME or by addresses."""
        name, hostname = case.record.name, self._host.hostname
        answers = [await self._resolver.a(name), await self._resolver.aaaa(name)]
        addresses = [address for answer in answers for address in answer.records]
        if not addresses:
            return case.optional(NOT_PUBLISHED)
        own = {*(await self._resolver.a(hostname)).records, *(await self._resolver.aaaa(hostname)).records}
        found = ", ".join(dict.fromkeys([*(a.canonical_name for a in answers if a.canonical_name != name), *addresses]))
        if set(addresses) <= own:
            return case.ok(found)
        return case.wrong(found, "It leads elsewhere: correct it, or leave it if that is meant.", Health.WARNING)

    async def _mta_sts(self, case: _Case) -> Diagnosis:
        """The record and the policy behind it: one without the other is worse than none."""
        answer = await self._resolver.txt(case.record.name)
        if not any(text.startswith(b"v=STSv1") for text in answer.records):
            return case.optional(NOT_PUBLISHED)
        problem = await self._policy_problem(case)
        if problem:
            advice = "Serve the policy (service web, certificate with that name), or take the record out."
            return case.wrong(f"{_texts(answer.records)}, but {problem}", advice)
        if f"id={published_id(answer.records)}" != case.record.value.rpartition(" ")[2]:
            advice = "Publish the id: others look for a new policy only when it changes."
            return case.wrong(_texts(answer.records), advice, Health.WARNING)
        return case.ok(f"{_texts(answer.records)}, and the policy is served")

    async def _policy_problem(self, case: _Case) -> str:
        """Fetch our policy as others do; give what is wrong with it, or nothing."""
        url = f"https://mta-sts.{case.domain}/.well-known/mta-sts.txt"
        try:
            response = await self._web.get(url, limit_s=10)
        except (WebFailed, WebRefused) as error:
            return f"{url} cannot be fetched: {error.public_text}"
        if response.status != 200:
            return f"{url} answers {response.status}"
        if response.octets != policy_text(case.mode, self._host.hostname).encode():
            return f"{url} is not our policy"
        return ""

    async def _tls_rpt(self, case: _Case) -> Diagnosis:
        answer = await self._resolver.txt(case.record.name)
        if tls_report_targets(answer.records):
            return case.ok(_texts(answer.records))
        if answer.records:
            return case.wrong(_texts(answer.records), "The record cannot be read: correct it.", Health.WARNING)
        return case.optional(NOT_PUBLISHED)

    async def _tlsa(self, case: _Case) -> Diagnosis:
        answer = await self._resolver.tlsa(case.record.name)
        found = ", ".join(f"{a} {b} {c} {data.hex()}" for a, b, c, data in answer.records)
        if not answer.records:
            return case.optional(NOT_PUBLISHED)
        if any(
            tuple(each[:3]) == _DANE_EE_KEY_SHA256 and each.data.hex() == self._host.key_digest
            for each in answer.records
        ):
            if answer.is_authentic:
                return case.ok(found)
            advice = (
                "DNSSEC does not vouch for it, so it has no effect: sign the zone, or use a resolver that validates."
            )
            return case.wrong(found, advice, Health.WARNING)
        if any(each.usage != 3 for each in answer.records):
            return case.wrong(found, "Check that the records name the authority of our certificate.", Health.WARNING)
        return case.wrong(found, "Publish the present key: senders that use DANE send us nothing.")

    async def _caa(self, case: _Case) -> Diagnosis:
        """The nearest records up the tree count. Spec: RFC 8659 §3."""
        labels = case.record.name.split(".")
        for start in range(len(labels)):
            answer = await self._resolver.caa(".".join(labels[start:]))
            if not answer.records:
                continue
            found = ", ".join(f'{each.flags} {each.tag} "{each.value}"' for each in answer.records)
            issuers = [each.value.partition(";")[0].strip() for each in answer.records if each.tag.lower() == "issue"]
            if case.record.is_template or not issuers or case.record.value.split('"')[1] in issuers:
                return case.ok(found)
            advice = "The authority of the present certificate may issue no other one: allow it, too."
            return case.wrong(found, advice, Health.WARNING)
        return case.optional(NOT_PUBLISHED)

    async def _srv(self, case: _Case) -> Diagnosis:
        answer = await self._resolver.srv(case.record.name)
        found = ", ".join(f"{a} {b} {port} {target or '.'}" for a, b, port, target in answer.records)
        _, _, port, target = case.record.value.split()
        if any((each.port, each.target) == (int(port), target.rstrip(".")) for each in answer.records):
            return case.ok(found)
        if not answer.records:
            return case.optional(NOT_PUBLISHED)
        return case.wrong(found, "Mail programs are sent elsewhere: correct the record.", Health.WARNING)

    async def _srv_path(self, case: _Case) -> Diagnosis:
        """Spec: RFC 6764 §4. Without it programs begin at the root, which leads them on as well."""
        answer = await self._resolver.txt(case.record.name)
        if case.record.value.encode() in answer.records:
            return case.ok(_texts(answer.records))
        if not answer.records:
            return case.optional(NOT_PUBLISHED)
        return case.wrong(_texts(answer.records), "Programs begin at another path: correct the record.", Health.WARNING)


class _Case:
    """One record under examination."""

    def __init__(self, record: Record, domain: str, mode: str) -> None:
        self.record = record
        self.domain = domain
        self.mode = mode

    @property
    def _name(self) -> str:
        record = self.record
        if record.purpose in {"dkim", "srv", "srv-path"}:
            return f"{record.purpose} {record.name.partition('.')[0]}"
        return f"address {record.value}" if record.purpose == "host" and not record.is_template else record.purpose

    @property
    def _expected(self) -> str:
        return f"{self.record.name} {self.record.kind} {self.record.value}"

    def ok(self, found: str) -> Diagnosis:
        return Diagnosis(self._name, Health.OK, found, domain=self.domain)

    def optional(self, found: str) -> Diagnosis:
        """Nothing is there, and nothing need be."""
        return Diagnosis(self._name, Health.SKIPPED, found, self._expected, f"Optional. {self.record.why}", self.domain)

    def wrong(self, found: str, advice: str, status: Health = Health.ERROR) -> Diagnosis:
        return Diagnosis(self._name, status, found, self._expected, advice, self.domain)


def _texts(texts: tuple[bytes, ...] | list[bytes]) -> str:
    """Give what stands in the DNS, which strangers may have written, for a terminal."""
    shown = (ascii(text.decode("utf-8", "replace"))[1:-1] for text in texts)
    return " | ".join(shown)[:400] or NOT_PUBLISHED
