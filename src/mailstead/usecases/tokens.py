"""Tokens of the API: made, listed, ended, and known again when a program brings one.

Only their hashes are kept. Whose rights a token has is `usecases.people`'s to say.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Final

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import LimitReached, MailsteadError, NoSuchToken, NoSuchUser, PolicyRefused
from mailstead.model.people import OBJECT_ID_OCTETS, ApiToken, ObjectId, User
from mailstead.model.secret import Secret
from mailstead.policy.tokens import TOKEN_OCTETS, token_of
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log
from mailstead.usecases.audit import Audit

TOKENS_MAX: Final = 50
"""Of one user."""
NETWORKS_MAX: Final = 20
LABEL_CHARACTERS_MAX: Final = 100

_log = log.get("people")


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token and its text, which is shown this once."""

    token: ApiToken
    secret: Secret


class Tokens:
    """A user's tokens: his own (`user` None), or for administrators of the server anybody's."""

    def __init__(self, storage: Storage, clock: Clock, audit: Audit) -> None:
        self._people = storage.people
        self._clock = clock
        self._audit = audit
        self._used: set[ObjectId] = set()
        """Tokens whose use today is noted, or being noted."""
        self._used_on: date | None = None
        self._to_note: list[ObjectId] = []
        self._noting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._noting is not None:
            await asyncio.gather(self._noting, return_exceptions=True)

    async def find(self, token: Secret, peer: Peer) -> tuple[User, ApiToken] | None:
        """Give the token and its user, where it is good at this moment and from there; its use is noted."""
        found = await self._people.token(sha256(token.reveal().encode("utf-8", "replace")).digest())
        if found is None:
            return None
        api_token = found[1]
        if api_token.expires_at is not None and api_token.expires_at <= self._clock.now():
            return None
        if api_token.networks and not is_within(peer.address, api_token.networks):
            return None
        self._note_use(api_token)
        return found

    async def list(self, actor: Actor, user: User | None = None) -> list[ApiToken]:
        """Give them by creation. Errors: NotAllowed, NoSuchUser."""
        return await self._people.tokens((await self._whose(actor, user)).user_id)

    async def create(
        self,
        actor: Actor,
        label: str,
        *,
        user: User | None = None,
        expires_at: datetime | None = None,
        networks: Sequence[str] = (),
    ) -> NewToken:
        """Make a token of 256 bits; its text is given this once. One made with a token can do no more than that one.

        Errors: NotAllowed, NoSuchUser, LimitReached; PolicyRefused (label, networks, an end that is over).
        """
        user = await self._whose(actor, user)
        label = label.strip()
        if not label or len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
            raise PolicyRefused(f"A label has 1 to {LABEL_CHARACTERS_MAX} printable characters")
        now = self._clock.now().replace(microsecond=0)
        if expires_at is not None and expires_at <= now:
            raise PolicyRefused("A token runs out at some time to come")
        token = ApiToken(
            ObjectId(secrets.token_hex(OBJECT_ID_OCTETS)),
            user.user_id,
            label,
            now,
            expires_at,
            networks=read_networks(networks),
        )
        if len(tokens := await self._people.tokens(user.user_id)) >= TOKENS_MAX:
            raise LimitReached(f"A user has at most {TOKENS_MAX} tokens")
        if actor.token_id is not None and user.user_id == actor.user_id:
            token = _narrowed(token, next((one for one in tokens if one.token_id == actor.token_id), None))
        secret = token_of(secrets.token_bytes(TOKEN_OCTETS))
        await self._people.add_token(token, sha256(secret.encode()).digest())
        self._audit.note(actor, "token.add", user.address, label=label, token=token.token_id)
        return NewToken(token, Secret(secret))

    async def remove(self, actor: Actor, token_id: str, user: User | None = None) -> None:
        """End a token. Errors: NotAllowed, NoSuchUser, NoSuchToken."""
        user = await self._whose(actor, user)
        await self._people.remove_token(user.user_id, ObjectId(token_id))
        self._audit.note(actor, "token.remove", user.address, token=token_id)

    async def remove_all(self, actor: Actor, user: User | None = None) -> int:
        """End all tokens of a user; how many there were. Errors: NotAllowed, NoSuchUser."""
        user = await self._whose(actor, user)
        tokens = await self._people.tokens(user.user_id)
        for token in tokens:
            try:
                await self._people.remove_token(user.user_id, token.token_id)
            except NoSuchToken:
                continue
        self._audit.note(actor, "token.remove", user.address, count=str(len(tokens)))
        return len(tokens)

    async def reset(self, actor: Actor, label: str = "API", user: User | None = None) -> NewToken:
        """End all tokens of a user and make a new one. Errors: as `create`."""
        made = await self.create(actor, label, user=user)
        for token in await self.list(actor, user):
            if token.token_id != made.token.token_id:
                await self.remove(actor, token.token_id, user)
        return made

    async def _whose(self, actor: Actor, user: User | None) -> User:
        """Give the user who is meant. Errors: NotAllowed, NoSuchUser."""
        if user is not None:
            if user.user_id != actor.user_id:
                actor.must_be_admin()
            return user
        found = await self._people.user(actor.user_id) if actor.user_id is not None else None
        if found is None:
            raise NoSuchUser
        return found

    def _note_use(self, token: ApiToken) -> None:
        """Note on which day a token was used last: once a day, behind the call, which does not wait."""
        today = self._clock.now().date()
        if self._used_on != today:
            self._used.clear()
            self._used_on = today
        if token.token_id in self._used or token.last_used_on == today.isoformat():
            return
        self._used.add(token.token_id)
        self._to_note.append(token.token_id)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.get_running_loop().create_task(self._write_uses())

    async def _write_uses(self) -> None:
        while self._to_note:
            token_ids, self._to_note = self._to_note, []
            try:
                await self._people.note_token_use(token_ids, self._clock.now().date().isoformat())
            except MailsteadError as error:
                self._used.difference_update(token_ids)  # the next use tries again
                _log.warning("uses of tokens are not noted", count=len(token_ids), error=error.public_text)


def read_networks(texts: Sequence[str]) -> tuple[str, ...]:
    """Give networks in their normal form. Errors: PolicyRefused."""
    if len(texts) > NETWORKS_MAX:
        raise PolicyRefused(f"At most {NETWORKS_MAX} networks")
    try:
        return tuple(dict.fromkeys(str(ip_network(text.strip())) for text in texts))
    except ValueError:
        raise PolicyRefused("A network is written 192.0.2.0/24 or 2001:db8::/32, or is one address") from None


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Whether an IP address (an IPv4 one also mapped into IPv6) is in one of the networks."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(plain in ip_network(network) for network in networks)


def _narrowed(token: ApiToken, of: ApiToken | None) -> ApiToken:
    """Give a token that lasts no longer and is good from no more places. Errors: NoSuchToken, PolicyRefused."""
    if of is None:
        raise NoSuchToken
    if of.expires_at is not None:
        token = replace(token, expires_at=min(of.expires_at, token.expires_at or of.expires_at))
    if of.networks:
        inside = [ip_network(network) for network in token.networks]
        outside = [ip_network(network) for network in of.networks]
        if not all(
            any(
                type(each) is type(wide) and each.network_address in wide and each.prefixlen >= wide.prefixlen
                for wide in outside
            )
            for each in inside
        ):
            raise PolicyRefused("A token made with a token is good from no other networks")
        token = replace(token, networks=token.networks or of.networks)
    return token
