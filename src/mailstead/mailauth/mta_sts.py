"""MTA-STS: a domain says over HTTPS which hosts take its mail, and that they have verified TLS.

Theory of operation. A TXT record says that there is a policy, and by its id when it has changed; only HTTPS says what
the policy is. So whoever forges DNS can make us fetch, but neither change nor end a policy: one that we have is kept
until it runs out, whatever DNS says and however often fetching fails. A policy is fetched anew when the id changes, and
without that in the second half of its life, behind the back of the mail that asks for it.

Spec: RFC 8461; attack row 36.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mailstead.model.errors import DnsUnavailable, TryAgainLater, WebFailed, WebRefused
from mailstead.ports.clock import Clock
from mailstead.ports.memory import Memory
from mailstead.ports.resolver import Resolver
from mailstead.ports.web import WebClient
from mailstead.telemetry import log

_log = log.get("mta-sts")

POLICY_OCTETS_MAX: Final = 65536
FETCH_LIMIT_S: Final = 60.0
MAX_AGE_MAX_S: Final = 31_557_600
MX_MAX: Final = 200
FAILURE_KEPT_S: Final = 300.0
"""How long a policy that could not be had is not asked for again. Spec: RFC 8461 §3.3."""

POLICIES: Final = "mta-sts"
"""Kind in memory; keys are domains."""
FAILURES: Final = "mta-sts-failure"

FETCH_ERROR: Final = "sts-policy-fetch-error"
INVALID: Final = "sts-policy-invalid"
CERTIFICATE_INVALID: Final = "sts-webpki-invalid"
"""Spec: RFC 8460 §4.3.2.2."""


class Mode(StrEnum):
    """Spec: RFC 8461 §5."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain asks for. Spec: RFC 8461 §3.2."""

    mode: Mode
    mx: tuple[str, ...]
    """Names or ``*.name``, lower-case."""
    max_age_s: int
    policy_id: str
    lines: tuple[str, ...]
    """As written, for reports."""

    def allows(self, mx_host: str) -> bool:
        """Whether a host may take the domain's mail; the asterisk stands for exactly one label. Spec: RFC 8461 §4.1."""
        host = mx_host.removesuffix(".").lower()
        parent = host.partition(".")[2]
        return host in self.mx or (bool(parent) and f"*.{parent}" in self.mx)


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """The policy that holds, and what went wrong when looking for a newer one."""

    policy: Policy | None
    failure: str
    """Result type of TLS-RPT, or empty. With a policy: that is an older one, which still holds."""


class BadPolicy(Exception):
    """A text is no policy."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A policy in memory."""

    policy: Policy
    fetched_at: datetime

    def is_old(self, now: datetime) -> bool:
        return now - self.fetched_at > timedelta(seconds=self.policy.max_age_s / 2)


class MtaSts:
    """Finds the policies of domains."""

    def __init__(self, resolver: Resolver, web: WebClient, memory: Memory, clock: Clock) -> None:
        self._resolver = resolver
        self._web = web
        self._memory = memory
        self._clock = clock
        self._fetching: dict[str, asyncio.Task[PolicyResult]] = {}

    async def policy_for(self, domain: str) -> PolicyResult:
        """Give the policy of a domain; a mail domain's only, as the domains above it do not count.

        Spec: RFC 8461 §3, §5.1.
        Errors: StorageUnavailable.
        """
        domain = domain.removesuffix(".").lower()
        policy_id = await self._published_id(domain)
        kept = await self._kept(domain)
        if not policy_id:
            return PolicyResult(kept.policy if kept else None, "")
        if kept is not None and kept.policy.policy_id == policy_id:
            if kept.is_old(self._clock.now()) and not await self._known_failure(domain, policy_id):
                self._fetch_once(domain, policy_id)
            return PolicyResult(kept.policy, "")
        failure = await self._known_failure(domain, policy_id)
        # Who gives up waiting must not end it for the others.
        result = PolicyResult(None, failure) if failure else await asyncio.shield(self._fetch_once(domain, policy_id))
        if result.policy is None and kept is not None:
            return PolicyResult(kept.policy, result.failure)
        return result

    async def _published_id(self, domain: str) -> str:
        """Give the id of the policy that DNS tells of; empty: of none, or DNS does not answer. Spec: RFC 8461 §3.1."""
        try:
            answer = await self._resolver.txt(f"_mta-sts.{domain}")
        except DnsUnavailable:
            return ""
        return published_id(answer.records)

    def _fetch_once(self, domain: str, policy_id: str) -> asyncio.Task[PolicyResult]:
        """Begin to fetch, or join who is just fetching."""
        task = self._fetching.get(domain)
        if task is None:
            task = asyncio.create_task(self._fetch(domain, policy_id))
            self._fetching[domain] = task
            task.add_done_callback(lambda _: self._fetching.pop(domain, None))
        return task

    async def _remember(self, kind: str, domain: str, value: bytes, until: datetime) -> None:
        """Keep something if that can be done; mail does not wait for it."""
        try:
            await self._memory.remember(kind, {domain: value}, until)
        except TryAgainLater as error:
            _log.warning("an MTA-STS policy is not remembered", domain=domain, error=repr(error))

    async def _fetch(self, domain: str, policy_id: str) -> PolicyResult:
        """Get the policy over HTTPS and remember it, or that it could not be had. Spec: RFC 8461 §3.3."""
        failure = FETCH_ERROR
        now = self._clock.now()
        kept = await self._kept(domain)
        if kept is not None and kept.policy.policy_id == policy_id and not kept.is_old(now):
            return PolicyResult(kept.policy, "")  # somebody else has fetched it while we looked into our memory
        try:
            response = await self._web.get(
                f"https://mta-sts.{domain}/.well-known/mta-sts.txt",
                octets_max=POLICY_OCTETS_MAX,
                limit_s=FETCH_LIMIT_S,
            )
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if response.status == 200 and media_type == "text/plain":
                policy = parse_policy(response.octets, policy_id)
                until = now + timedelta(seconds=policy.max_age_s)
                await self._remember(POLICIES, domain, _octets(policy, now), until)
                return PolicyResult(policy, "")
        except WebRefused:
            pass
        except WebFailed as error:
            failure = CERTIFICATE_INVALID if "certificate" in error.log_fields else FETCH_ERROR
        except BadPolicy:
            failure = INVALID
        until = now + timedelta(seconds=FAILURE_KEPT_S)
        await self._remember(FAILURES, domain, f"{policy_id} {failure}".encode(), until)
        return PolicyResult(None, failure)

    async def _known_failure(self, domain: str, policy_id: str) -> str:
        """Give why this policy could not be had a short while ago, or nothing."""
        found = await self._memory.recall(FAILURES, [domain], self._clock.now())
        failed_id, _, failure = found.get(domain, b"").decode().partition(" ")
        return failure if failed_id == policy_id else ""

    async def _kept(self, domain: str) -> _Kept | None:
        found = await self._memory.recall(POLICIES, [domain], self._clock.now())
        if domain not in found:
            return None
        facts = json.loads(found[domain])
        policy = Policy(Mode(facts["mode"]), tuple(facts["mx"]), facts["max_age_s"], facts["id"], tuple(facts["lines"]))
        return _Kept(policy, datetime.fromisoformat(facts["fetched_at"]))


def _octets(policy: Policy, fetched_at: datetime) -> bytes:
    facts = {
        "mode": policy.mode,
        "mx": policy.mx,
        "max_age_s": policy.max_age_s,
        "id": policy.policy_id,
        "lines": policy.lines,
        "fetched_at": fetched_at.isoformat(),
    }
    return json.dumps(facts).encode()


# RFC 8461 §3.1:
#   sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
#   sts-field       = sts-id / sts-extension ; sts-field-delim = *WSP ";" *WSP ; sts-version = %s"v=STSv1"
#   sts-id          = %s"id" *WSP "=" *WSP 1*32(ALPHA / DIGIT)
_ID: Final = re.compile(rb"id[ \t]*=[ \t]*([A-Za-z0-9]{1,32})")
_TEXT_VERSION: Final = re.compile(rb"v=STSv1[ \t]*;")


def published_id(texts: tuple[bytes, ...]) -> str:
    """Give the id that the TXT records of ``_mta-sts`` have; empty unless exactly one record is right.

    Spec: RFC 8461 §3.1.
    """
    records = [text for text in texts if _TEXT_VERSION.match(text)]
    if len(records) != 1:
        return ""
    ids = [match[1] for field in records[0].split(b";")[1:] if (match := _ID.fullmatch(field.strip(b" \t")))]
    return ids[0].decode("ascii") if len(ids) == 1 else ""


# RFC 8461 §3.2:
#   sts-policy-field = sts-policy-version / sts-policy-mode / sts-policy-mx / sts-policy-max-age / sts-policy-extension
#   sts-policy-term  = LF / CRLF
#   each of the form   name ":" *WSP value
_FIELD: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*([^\x00-\x1f\x7f]*)")
_MAX_AGE: Final = re.compile(r"[0-9]{1,10}")
_MX: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def parse_policy(octets: bytes, policy_id: str) -> Policy:
    """Read a policy. Unknown fields say nothing; of a field given twice the first counts.

    Spec: RFC 8461 §3.2.
    Errors: BadPolicy.
    """
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise BadPolicy("not UTF-8") from None
    lines = tuple(stripped for line in text.replace("\r\n", "\n").split("\n") if (stripped := line.strip(" \t")))
    fields: dict[str, str] = {}
    mx: list[str] = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise BadPolicy("a line is no field")
        if match[1] == "mx":
            mx.append(_mx(match[2]))
        else:
            fields.setdefault(match[1], match[2])
    if fields.get("version") != "STSv1":
        raise BadPolicy("not version STSv1")
    if not _MAX_AGE.fullmatch(fields.get("max_age", "")):
        raise BadPolicy("no max_age")
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError:
        raise BadPolicy("no mode that we know") from None
    if not mx and mode is not Mode.NONE:
        raise BadPolicy("no mx")
    if len(mx) > MX_MAX:
        raise BadPolicy("too many mx")
    return Policy(mode, tuple(mx), min(int(fields["max_age"]), MAX_AGE_MAX_S), policy_id, lines)


def _mx(value: str) -> str:
    """Errors: BadPolicy."""
    name = value.removesuffix(".").lower()
    if not _MX.fullmatch(name):
        raise BadPolicy("an mx is no host name")
    return name
