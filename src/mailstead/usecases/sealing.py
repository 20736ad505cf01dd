"""What we vouch for: DKIM signatures on our own mail, ARC seals and rewritten senders on what we send on."""

from __future__ import annotations

import secrets
from typing import Final

from mailstead.mailauth import arc, dkim
from mailstead.model.address import Address
from mailstead.model.authentication import ArcResult, Result
from mailstead.policy.srs import Srs
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.keys import Keys

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

    async def signature(self, octets: bytes, domain: str) -> bytes:
        """Give the DKIM-Signature fields of a domain of ours; nothing for a domain that has no keys.

        Spec: RFC 6376 §5.
        """
        keys = await self._keys.signing_keys(domain)
        return dkim.sign(octets, [dkim.load_key(key) for key in keys], self._clock.now()) if keys else b""

    async def sign(self, octets: bytes, domain: str) -> bytes:
        """Give the message with its signatures in front."""
        return await self.signature(octets, domain) + octets

    async def seal(self, octets: bytes, domain: str, results_text: str, chain: ArcResult | None) -> bytes:
        """Give the message with a further ARC set in front. Spec: RFC 8617 §5.1."""
        keys = await self._keys.signing_keys(domain)
        # One seal has one key; RSA is what every verifier knows.
        key = next((each for each in keys if each.algorithm == "rsa-sha256"), None)
        if key is None:
            return octets
        now = self._clock.now()
        signing_key = dkim.load_key(key)
        return arc.seal(octets, signing_key, self._authserv_id, results_text, chain or _NO_CHAIN, now) + octets

    async def rewritten(self, mail_from: Address | None, domain: str) -> Address | None:
        """Give the sender under which a domain of ours sends a message on: SPF is to pass, bounces are to come to us.

        A sender of ours stays as it is. One too long for SRS gets a handle.
        """
        if mail_from is None or await self._directory.domain(mail_from.domain) is not None:
            return mail_from
        today, of = self._clock.now().date(), self._srs_domain or domain
        # A bounce ends here (`usecases.bounces`), so nobody needs to know later whom a handle stands for.
        return self._srs.forward(mail_from, of, today) or self._srs.handle(secrets.token_hex(8), of, today)
