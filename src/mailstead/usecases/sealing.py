"""What we vouch for: DKIM signatures on our own mail, ARC seals and rewritten senders on what we send on."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from mailstead.mailauth import arc, dkim
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Result
from mailstead.policy.srs import Srs
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import metrics
from mailstead.usecases.keys import Keys

INLINE_OCTETS_MAX: Final = 64 * 1024
"""Larger messages are hashed in a thread, as the house has other things to do."""

_NO_CHAIN: Final = ArcResult(Result.NONE)


class Sealing:
    """Signs, seals, rewrites with the keys of our domains. A domain without keys signs nothing."""

    def __init__(
        self, storage: Storage, keys: Keys, srs: Srs, clock: Clock, *, authserv_id: str, srs_domain: str = ""
    ) -> None:
        self._directory = storage.directory
        self._keys = keys
        self._srs = srs
        self._clock = clock
        self._authserv_id = authserv_id
        self._srs_domain = srs_domain

    async def signature(self, octets: bytes, domain: str, *, held_s: int = 0) -> bytes:
        """Give the DKIM-Signature fields of a domain of ours; nothing for a domain that has no keys.

        `held_s`: how long the message waits before it goes out; so much longer the signature is good.
        Spec: RFC 6376 §5.
        """
        keys = [dkim.load_key(key) for key in await self._keys.signing_keys(domain)]
        if not keys:
            return b""
        metrics.count_as_relay("dkim_signed")
        now = self._clock.now()
        valid_s = dkim.SIGNATURE_VALID_S + held_s
        if len(octets) <= INLINE_OCTETS_MAX:
            return dkim.sign(octets, keys, now, valid_s=valid_s)
        return await asyncio.to_thread(dkim.sign, octets, keys, now, valid_s=valid_s)

    async def sign(self, octets: bytes, domain: str) -> bytes:
        """Give the message with its signatures in front."""
        return await self.signature(octets, domain) + octets

    async def seal(self, octets: bytes, domain: str, results_text: str, chain: ArcResult | None) -> bytes:
        """Give the fields of a further ARC set, to stand in front; nothing where none can be. Spec: RFC 8617 §5.1."""
        keys = await self._keys.signing_keys(domain)
        # One seal has one key; RSA is what every verifier knows.
        key = next((each for each in keys if each.algorithm == "rsa-sha256"), None)
        if key is None:
            return b""
        what = (octets, dkim.load_key(key), self._authserv_id, results_text, chain or _NO_CHAIN, self._clock.now())
        if len(octets) <= INLINE_OCTETS_MAX:
            return arc.seal(*what)
        return await asyncio.to_thread(arc.seal, *what)

    async def rewritten(self, mail_from: Address | None, domain: str, *, is_vouched_for: bool = True) -> Address | None:
        """Give the sender under which a domain of ours sends a message on: SPF is to pass, bounces are to come to us.

        A sender of ours stays as it is, if somebody vouches for it: SPF would pass for one that a stranger has made up,
        and its bounces would come to whom it names. One too long for SRS gets a handle.
        """
        if mail_from is None or (is_vouched_for and await self._directory.domain(mail_from.domain) is not None):
            return mail_from
        today, of = self._clock.now().date(), self._srs_domain or domain
        # A bounce ends here (`usecases.bounces`), so nobody needs to know later whom a handle stands for.
        return self._srs.forward(mail_from, of, today) or self._srs.handle(secrets.token_hex(8), of, today)
