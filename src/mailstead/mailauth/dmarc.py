"""DMARC: whether the domain in From stands behind a message, and what it asks for if it does not.

Spec: RFC 9989; records of RFC 7489 are understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailstead.mailauth import dmarc_record
from mailstead.mailauth.dmarc_author import author
from mailstead.mailauth.dmarc_record import Record, walk
from mailstead.model.authentication import DkimResult, DmarcResult, Result, SpfResult
from mailstead.model.errors import DnsUnavailable
from mailstead.ports.resolver import Resolver

__all__ = ["author", "check", "organizational_domain"]


async def check(resolver: Resolver, author_domain: str, spf: SpfResult, dkim: Sequence[DkimResult]) -> DmarcResult:
    """Find the policy of the author's domain, and whether SPF or DKIM passes for it.

    Alignment is told even where no policy is found (the result is none then): others ask whether the author's domain
    stands behind the message. Trouble with the DNS is temperror, unless the message passes without the missing answer.

    Spec: RFC 9989 §4.10, §5.3; RFC 8601 §2.7.1 (words).
    """
    domain = author_domain.lower().removesuffix(".")
    if domain.startswith("["):
        return DmarcResult(Result.NONE, domain, reason="an address literal is no domain")
    return await _Check(resolver, domain).result(spf, dkim)


async def organizational_domain(resolver: Resolver, domain: str) -> str:
    """Give the domain under which all that belongs to the same organization lies.

    Spec: RFC 9989 §4.10.2.
    Errors: DnsUnavailable.
    """
    return await _Check(resolver, domain).organizational_domain(domain)


class _Check:
    """One message: each record is asked for once, whichever walk meets it first."""

    def __init__(self, resolver: Resolver, author_domain: str) -> None:
        self._resolver: Final = resolver
        self._author_domain: Final = author_domain
        self._records: dict[str, Record | DnsUnavailable | None] = {}

    async def result(self, spf: SpfResult, dkim: Sequence[DkimResult]) -> DmarcResult:
        """Put it all together."""
        try:
            policy_domain, record = await self._policy_record()
            policy = await self._policy(policy_domain, record) if record.applies else "none"
        except DnsUnavailable:
            return DmarcResult(Result.TEMPERROR, self._author_domain, reason="the policy cannot be fetched now")
        # Whom everybody may use, nobody stands behind (attack row 33).
        spf_result = Result.NEUTRAL if spf.is_from_all else spf.result
        is_spf_aligned = await self._aligned({(spf.domain, spf_result)}, is_strict=record.is_spf_strict)
        signers = {(each.domain, each.result) for each in dkim}
        is_dkim_aligned = await self._aligned(signers, is_strict=record.is_dkim_strict)
        if not record.applies:
            result, reason = Result.NONE, "no policy is published"
        elif is_spf_aligned or is_dkim_aligned:
            result, reason = Result.PASS, ""
        elif is_spf_aligned is None or is_dkim_aligned is None:
            result, reason = Result.TEMPERROR, "the DNS does not answer"
        else:
            result, reason = Result.FAIL, "neither SPF nor DKIM passes for the domain"
        return DmarcResult(
            result,
            self._author_domain,
            policy_domain if record.applies else "",
            policy,
            bool(is_spf_aligned),
            bool(is_dkim_aligned),
            reason,
            record.aggregate_to,
        )

    async def _record(self, domain: str) -> Record | None:
        """Give the one record at a name; several are none. Errors: DnsUnavailable. Spec: RFC 9989 §4.10, step 2."""
        if domain not in self._records:
            self._records[domain] = await self._asked(domain)
        record = self._records[domain]
        if isinstance(record, DnsUnavailable):
            raise record
        return record

    async def _asked(self, domain: str) -> Record | DnsUnavailable | None:
        try:
            answer = await self._resolver.txt(f"_dmarc.{domain}")
        except DnsUnavailable as error:
            return error  # who does not answer is not asked again either
        found = [record for text in answer.records if (record := dmarc_record.parsed(text)) is not None]
        return found[0] if len(found) == 1 else None

    async def _walk(self, domain: str) -> list[tuple[str, Record]]:
        """Give the records from a domain upwards. Errors: DnsUnavailable. Spec: RFC 9989 §4.10."""
        found: list[tuple[str, Record]] = []
        for name in walk(domain):
            record = await self._record(name)
            if record is None:
                continue
            found.append((name, record))
            if record.psd != "u":
                break
        return found

    async def organizational_domain(self, domain: str) -> str:
        """Errors: DnsUnavailable. Spec: RFC 9989 §4.10.2."""
        found = await self._walk(domain)
        if not found:
            return domain
        name, record = found[-1]
        if record.psd == "y" and name != domain:
            return ".".join(domain.split(".")[-name.count(".") - 2 :])
        return name

    async def _policy_record(self) -> tuple[str, Record]:
        """Give the record that applies: of the author's domain, its organizational domain, or the public suffix.

        Errors: DnsUnavailable.
        Spec: RFC 9989 §4.10.1.
        """
        if record := await self._record(self._author_domain):
            return self._author_domain, record
        found = await self._walk(self._author_domain)
        if not found:
            return "", Record()
        domain = await self.organizational_domain(self._author_domain)
        # The last one is of the organizational domain, or else of the public suffix above it.
        return next((each for each in found if each[0] == domain), found[-1])

    async def _policy(self, policy_domain: str, record: Record) -> str:
        """Errors: DnsUnavailable. Spec: RFC 9989 §4.10.1; §3.2.13 (a domain that does not exist: NXDOMAIN)."""
        if policy_domain == self._author_domain:
            return record.asked(record.policy)
        if record.nonexistent_policy != record.subdomain_policy:
            answer = await self._resolver.a(self._author_domain)
            if not answer.exists:
                return record.asked(record.nonexistent_policy)
        return record.asked(record.subdomain_policy)

    async def _aligned(self, identifiers: set[tuple[str, Result]], *, is_strict: bool) -> bool | None:
        """Tell whether one that passes is the author's; None: it cannot be told now.

        Spec: RFC 9989 §4.10.2.
        """
        is_unknown = False
        for domain, result in sorted(identifiers):
            if result not in {Result.PASS, Result.TEMPERROR}:
                continue
            try:
                if not await self._belongs(domain.lower().removesuffix("."), is_strict=is_strict):
                    continue
            except DnsUnavailable:
                is_unknown = True
                continue
            if result is Result.PASS:
                return True
            is_unknown = True
        return None if is_unknown else False

    async def _belongs(self, domain: str, *, is_strict: bool) -> bool:
        """Errors: DnsUnavailable. Spec: RFC 9989 §4.4 (relaxed and strict)."""
        if not domain or domain == self._author_domain or is_strict:
            return bool(domain) and domain == self._author_domain
        organizational_domain = await self.organizational_domain(self._author_domain)
        if not f".{domain}".endswith(f".{organizational_domain}"):
            return False  # nothing above it can be the author's; no need to ask
        return await self.organizational_domain(domain) == organizational_domain
