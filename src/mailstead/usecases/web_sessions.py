"""Sessions of browsers: how somebody comes in on the web, and stays.

A session is a token of 256 bits, of which only the hash is kept. It gets a new token at each change of right (attack
row 90): at the log-in, when a second factor is shown, when the password changes. It ends after some days without use,
when it is revoked, when the password it began with is another one (by whatever way), when its owner is disabled, and,
where a second factor was turned on since, if none was shown for it.

Between password and second factor there is no session, but a signed text that is good for minutes and for nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest, digest
from typing import Final

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AuthenticationFailed,
    FactorNeeded,
    MailsteadError,
    NoSuchSession,
    NotAllowed,
)
from mailstead.model.people import FactorKind, ObjectId, WebSession, owner_of
from mailstead.model.secret import Secret
from mailstead.policy.failures import network_of
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.telemetry import log, metrics
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.audit import Audit
from mailstead.usecases.factors import STRONG_FOR, SecondFactors
from mailstead.usecases.passkeys import Passkeys, Purpose, new_object_id
from mailstead.usecases.people import Users

SESSION_PREFIX: Final = "msw_"
PENDING_PREFIX: Final = "msf_"
TOKEN_OCTETS: Final = 32
TOKEN_CHARACTERS_MAX: Final = 300
LIFE: Final = timedelta(days=30)
IDLE: Final = timedelta(days=7)
PENDING_LIFE: Final = timedelta(minutes=5)
SEEN_EVERY: Final = timedelta(minutes=10)
"""How exactly the last use is known: each note of it is a write."""
SESSIONS_MAX: Final = 50
"""Of one owner; the oldest ends when there would be more."""
PROGRAM_CHARACTERS_MAX: Final = 200
SERVICE: Final = "web"

_PENDING: Final = struct.Struct("!I8s16s")
_MAC_OCTETS: Final = 32
_USED: Final = "log-in under way"

_log = log.get("accounts")


@dataclass(frozen=True, slots=True)
class Begun:
    """A session has begun, or goes on with a new token; the token is shown this once."""

    token: Secret
    session: WebSession
    actor: Actor


@dataclass(frozen=True, slots=True)
class FactorAsked:
    """The password is right, and a second factor is wanted."""

    token: Secret
    """Goes back with the second factor, within minutes."""
    kinds: frozenset[FactorKind]
    passkey_options: str = ""
    """What the browser is to be asked for, in JSON; empty: there is no passkey."""


@dataclass(frozen=True, slots=True)
class ProofAsked:
    """With what somebody who is logged in shows once more who he is."""

    kinds: frozenset[FactorKind]
    """Empty: with the password."""
    passkey_options: str = ""
    """As of `FactorAsked`."""


class WebSessions:
    """Begins, finds, lists and ends sessions. `key` is the house's own, for nothing else."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        accounts: Accounts,
        users: Users,
        second_factors: SecondFactors,
        passkeys: Passkeys,
        audit: Audit,
        key: bytes,
    ) -> None:
        self._factors = storage.factors
        self._memory = storage.memory
        self._clock = clock
        self._accounts = accounts
        self._users = users
        self._second_factors = second_factors
        self._passkeys = passkeys
        self._audit = audit
        self._key = key
        self._noting: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Wait for what is being written."""
        await asyncio.gather(*self._noting, return_exceptions=True)

    # coming in

    async def start(self, address: str, password: Secret, peer: Peer, program: str) -> Begun | FactorAsked:
        """Begin with address and password.

        Errors: AuthenticationFailed, one and the same for all that is wrong; TooManyFailures; TryAgainLater.
        """
        actor = await self._users.check_password(address, password, peer, SERVICE)
        return await self._begin_or_ask(actor, peer, program)

    async def finish(self, token: Secret, code: Secret, peer: Peer, program: str) -> Begun:
        """Go on with a code of a device, or a recovery code.

        Errors: NoSuchSession, when it took too long, or the password is another one meanwhile; AuthenticationFailed;
        TooManyFailures.
        """
        actor = await self._pending_actor(token, peer)
        await self._second_factors.check(owner_of(actor.user_id, actor.account_id), code, peer, SERVICE)
        return await self._finished(token, actor, peer, program)

    async def finish_with_passkey(self, token: Secret, response: str, peer: Peer, program: str) -> Begun:
        """Go on with a passkey. Errors: as `finish`."""
        actor = await self._pending_actor(token, peer)
        owner = owner_of(actor.user_id, actor.account_id)
        await self._shown(_of_pending(token), response, peer, owner)
        return await self._finished(token, actor, peer, program)

    def passkey_options(self, peer: Peer) -> str:
        """Give what a browser is to be asked for, to log in with a passkey alone, in JSON."""
        return self._passkeys.authentication_options(_alone(peer))

    async def start_with_passkey(self, response: str, peer: Peer, program: str) -> Begun:
        """Begin with a passkey alone: who has it, and was verified by it, has shown two factors.

        Errors: AuthenticationFailed.
        """
        owner = await self._shown(_alone(peer), response, peer, None)
        actor = await self._users.actor_of_owner(owner, peer.address)
        return await self._begin(actor, peer, program, strong_at=self._clock.now())

    async def start_for(self, owner: str, peer: Peer, program: str) -> Begun | FactorAsked:
        """Begin for somebody whom another provider vouches for (OIDC); our second factors are asked for all the same.

        Errors: AuthenticationFailed for an owner who is gone, or disabled.
        """
        actor = await self._users.actor_of_owner(owner, peer.address)
        return await self._begin_or_ask(actor, peer, program)

    # being in

    async def act(self, token: Secret, peer: Peer) -> Begun:
        """Give who acts by a session, with the rights of this moment.

        Errors: AuthenticationFailed, one and the same for all that is wrong.
        """
        session = await self._found(token)
        actor = await self._actor_of(session, peer)
        now = self._clock.now()
        if now - session.last_seen_at >= SEEN_EVERY:
            session = replace(session, last_seen_at=now, peer=peer.address)
            self._note_seen(session, _hash(token))
        return Begun(token, session, actor)

    async def strengthen(self, token: Secret, code: Secret, peer: Peer) -> Begun:
        """Show a code for a session that is there; it gets a new token. Errors: as `act`, and of the code."""
        begun = await self.act(token, peer)
        await self._second_factors.check(begun.session.owner, code, peer, SERVICE)
        return await self._renewed(begun, strong_at=self._clock.now())

    async def passkey_options_of(self, token: Secret, peer: Peer) -> str:
        """Give what the browser is to be asked for, to show a passkey for a session. Errors: as `act`."""
        begun = await self.act(token, peer)
        passkeys = await self._second_factors.passkeys(begun.session.owner)
        return self._passkeys.authentication_options(_of_session(begun.session), passkeys)

    async def proof_asked(self, token: Secret, peer: Peer) -> ProofAsked:
        """Give with what is shown once more who it is. Errors: as `act`."""
        begun = await self.act(token, peer)
        kinds = await self._second_factors.kinds(begun.session.owner)
        return ProofAsked(kinds, await self.passkey_options_of(token, peer) if FactorKind.PASSKEY in kinds else "")

    async def start_again(self, token: Secret, password: Secret, peer: Peer, program: str) -> Begun:
        """Show the password once more: a session begins in the place of the one that is there.

        Errors: as `start`; FactorNeeded, where a second factor is on: the password says too little then.
        """
        there = await self.act(token, peer)
        if there.actor.address is None:
            raise AuthenticationFailed(service=SERVICE)
        actor = await self._users.check_password(there.actor.address.key, password, peer, SERVICE)
        owner = owner_of(actor.user_id, actor.account_id)
        if owner != there.session.owner:  # the address was another's before
            raise AuthenticationFailed(service=SERVICE)
        if await self._second_factors.needed(owner):
            raise FactorNeeded
        begun = await self._begin(actor, peer, program, strong_at=None)
        await self._end(owner, [there.session])
        return begun

    async def strengthen_with_passkey(self, token: Secret, response: str, peer: Peer) -> Begun:
        """Show a passkey for a session that is there; it gets a new token. Errors: as `act`."""
        begun = await self.act(token, peer)
        await self._shown(_of_session(begun.session), response, peer, begun.session.owner)
        return await self._renewed(begun, strong_at=self._clock.now())

    async def factor_added(self, actor: Actor) -> Begun | None:
        """Go on after the actor turned a second factor on, with which the session is strong; the others end.

        None: the actor has no session of ours.
        """
        session = await self._own_session(actor)
        owner = owner_of(actor.user_id, actor.account_id)
        others = [each for each in await self._factors.sessions(owner) if each.strong_at is None]
        if session is None:
            await self._end(owner, others)
            return None
        await self._end(owner, [each for each in others if each.session_id != session.session_id])
        return await self._renewed(Begun(Secret(""), session, actor), strong_at=self._clock.now())

    async def change_password(self, actor: Actor, old: Secret, new: Secret, peer: Peer) -> Begun | None:
        """Set one's own password; all other sessions end, and this one goes on with a new token.

        Errors: AuthenticationFailed, TooManyFailures (old); FactorNeeded, where one is on and was not shown lately;
        NotAllowed with a token or an app password; PolicyRefused (new).
        """
        if actor.token_id is not None or actor.app_password_id is not None or actor.address is None:
            raise NotAllowed
        owner = owner_of(actor.user_id, actor.account_id)
        if await self._second_factors.needed(owner):
            self.must_be_strong(actor)
        shown = await self._users.check_password(actor.address.key, old, peer, SERVICE)
        if owner_of(shown.user_id, shown.account_id) != owner:
            raise AuthenticationFailed
        if actor.user_id is None:
            await self._accounts.set_password(actor, actor.address, new, old)
        else:
            await self._users.set_password(actor, actor.user_id, new, old)
        now = await self._users.actor_of_owner(owner, peer.address)
        session = await self._own_session(actor)
        sessions = await self._factors.sessions(owner)
        await self._end(owner, [each for each in sessions if each.session_id != actor.session_id])
        if session is None:
            return None
        changed = replace(session, fingerprint=now.fingerprint)
        return await self._renewed(Begun(Secret(""), changed, now), strong_at=session.strong_at)

    async def is_fresh(self, begun: Begun) -> bool:
        """Whether it was shown lately who it is: by a second factor where one is on, else by the log-in."""
        session = begun.session
        at = session.strong_at if await self._second_factors.needed(session.owner) else session.created_at
        return at is not None and self._clock.now() - at <= STRONG_FOR

    async def must_be_fresh(self, begun: Begun) -> None:
        """Refuse what outlives the session, to whoever may only have found a browser open. Errors: FactorNeeded."""
        if not await self.is_fresh(begun):
            raise FactorNeeded

    def must_be_strong(self, actor: Actor) -> None:
        """Errors: FactorNeeded, where no second factor was shown lately."""
        if actor.strong_at is None or self._clock.now() - actor.strong_at > STRONG_FOR:
            raise FactorNeeded

    # going out

    async def list(self, actor: Actor) -> list[WebSession]:
        """One's own sessions that are good, newest first. Errors: NotAllowed."""
        owner = _own(actor)
        there = await self._factors.sessions(owner)
        fingerprint = (await self._users.actor_of_owner(owner)).fingerprint
        now = self._clock.now()
        return [each for each in there if compare_digest(each.fingerprint, fingerprint) and _is_alive(each, now)]

    async def end(self, token: Secret) -> None:
        """Log out. A session that is over already is no error."""
        session = await self._factors.session(_hash(token)) if _is_token(token) else None
        if session is not None:
            await self._factors.remove_sessions(session.owner, [session.session_id])

    async def revoke(self, actor: Actor, session_ids: Sequence[ObjectId] | None = None) -> int:
        """End some of one's own sessions, or (None) all but the one that asks; give how many.

        Errors: NotAllowed; NoSuchSession, for one that is not there, or another's: then none ends.
        """
        owner = _own(actor)
        there = {each.session_id: each for each in await self._factors.sessions(owner)}
        if session_ids is None:
            gone = [each for each in there.values() if each.session_id != actor.session_id]
        elif unknown := set(session_ids) - there.keys():
            raise NoSuchSession(session_ids=sorted(unknown))
        else:
            gone = [there[session_id] for session_id in session_ids]
        await self._end(owner, gone)
        if gone:
            domain = actor.address.domain if actor.address is not None else ""
            self._audit.note(actor, "session.revoke", actor.name, domain, count=str(len(gone)))
        return len(gone)

    async def list_of(self, actor: Actor, address: Address) -> Sequence[WebSession]:
        """Give the sessions of an account or user, to an administrator. Errors: NotAllowed, NoSuchUser."""
        actor.must_be_admin()
        return await self._factors.sessions(await self._users.owner_at(address))

    async def revoke_of(self, actor: Actor, address: Address) -> int:
        """End all sessions of an account or user, for an administrator. Errors: NotAllowed, NoSuchUser."""
        actor.must_be_admin()
        owner = await self._users.owner_at(address)
        there = await self._factors.sessions(owner)
        await self._end(owner, there)
        self._audit.note(actor, "session.revoke", address.key, address.domain, count=str(len(there)))
        return len(there)

    # inside

    async def _begin_or_ask(self, actor: Actor, peer: Peer, program: str) -> Begun | FactorAsked:
        owner = owner_of(actor.user_id, actor.account_id)
        kinds = await self._second_factors.kinds(owner)
        if not kinds:
            return await self._begin(actor, peer, program, strong_at=None)
        token = self._pending(owner, actor.fingerprint)
        options = ""
        if FactorKind.PASSKEY in kinds:
            passkeys = await self._second_factors.passkeys(owner)
            options = self._passkeys.authentication_options(_of_pending(token), passkeys)
        return FactorAsked(token, kinds, options)

    async def _begin(self, actor: Actor, peer: Peer, program: str, strong_at: datetime | None) -> Begun:
        now = self._clock.now()
        owner = owner_of(actor.user_id, actor.account_id)
        there = await self._factors.sessions(owner)
        await self._end(owner, there[SESSIONS_MAX - 1 :])
        session = WebSession(
            session_id=new_object_id(),
            owner=owner,
            created_at=now,
            expires_at=now + LIFE,
            last_seen_at=now,
            peer=peer.address,
            program=_shown_program(program),
            fingerprint=actor.fingerprint,
            strong_at=strong_at,
        )
        token = _new_token()
        await self._factors.put_session(session, _hash(token))
        domain = actor.address.domain if actor.address is not None else ""
        how = "passkey or second factor" if strong_at is not None else "password"
        acting = replace(actor, session_id=session.session_id, strong_at=strong_at, peer=peer.address)
        self._audit.note(acting, "log-in.succeeded", actor.name, domain, service=SERVICE, how=how)
        return Begun(token, session, acting)

    async def _renewed(self, begun: Begun, strong_at: datetime | None) -> Begun:
        """Give a session a new token; the old one is good no more."""
        session = replace(begun.session, strong_at=strong_at, last_seen_at=self._clock.now())
        token = _new_token()
        await self._factors.put_session(session, _hash(token))
        return Begun(token, session, replace(begun.actor, session_id=session.session_id, strong_at=strong_at))

    async def _found(self, token: Secret) -> WebSession:
        session = await self._factors.session(_hash(token)) if _is_token(token) else None
        if session is None or not _is_alive(session, self._clock.now()):
            raise AuthenticationFailed(service=SERVICE)
        return session

    async def _actor_of(self, session: WebSession, peer: Peer) -> Actor:
        actor = await self._users.actor_of_owner(session.owner, peer.address)
        if not compare_digest(actor.fingerprint, session.fingerprint):
            raise AuthenticationFailed(service=SERVICE)
        if session.strong_at is None and await self._second_factors.needed(session.owner):
            raise AuthenticationFailed(service=SERVICE)
        return replace(actor, session_id=session.session_id, strong_at=session.strong_at)

    async def _own_session(self, actor: Actor) -> WebSession | None:
        if actor.session_id is None:
            return None
        there = await self._factors.sessions(owner_of(actor.user_id, actor.account_id))
        return next((each for each in there if each.session_id == actor.session_id), None)

    async def _end(self, owner: str, sessions: Sequence[WebSession]) -> None:
        if sessions:
            await self._factors.remove_sessions(owner, [each.session_id for each in sessions])

    async def _shown(self, purpose: Purpose, response: str, peer: Peer, owner: str | None) -> str:
        """Give the owner of the passkey that was shown. Errors: AuthenticationFailed, which is counted."""
        try:
            return (await self._passkeys.shown(purpose, response, owner)).owner
        except AuthenticationFailed as error:
            metrics.LOG_INS.labels(SERVICE, "failed").inc()
            _log.info("passkey refused", peer=peer.address, **error.log_fields)
            raise

    def _note_seen(self, session: WebSession, token_hash: bytes) -> None:
        task = asyncio.create_task(self._write_seen(session, token_hash))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def _write_seen(self, session: WebSession, token_hash: bytes) -> None:
        try:
            await self._factors.note_session_use(session.session_id, token_hash, session.last_seen_at, session.peer)
        except MailsteadError as error:
            _log.warning("the use of a session was not noted", error=error.public_text)

    # between password and second factor

    def _pending(self, owner: str, fingerprint: bytes) -> Secret:
        end = int((self._clock.now() + PENDING_LIFE).timestamp())
        body = _PENDING.pack(end, secrets.token_bytes(8), fingerprint) + owner.encode()
        text = base64.urlsafe_b64encode(digest(self._key, body, "sha256") + body).decode().rstrip("=")
        return Secret(PENDING_PREFIX + text)

    async def _pending_actor(self, token: Secret, peer: Peer) -> Actor:
        """Errors: NoSuchSession."""
        end, fingerprint, owner = self._read_pending(token)
        if self._clock.now() > end:
            raise NoSuchSession("That took too long; please begin again")
        if await self._memory.recall(_USED, [_hash(token).hex()], self._clock.now()):
            raise NoSuchSession
        try:
            actor = await self._users.actor_of_owner(owner, peer.address)
        except AuthenticationFailed:
            raise NoSuchSession from None
        if not compare_digest(actor.fingerprint.rstrip(b"\0"), fingerprint):  # as it was padded
            raise NoSuchSession
        return actor

    async def _finished(self, token: Secret, actor: Actor, peer: Peer, program: str) -> Begun:
        end, _, _ = self._read_pending(token)
        used = await self._memory.remember_first(_USED, _hash(token).hex(), b"1", self._clock.now(), end + PENDING_LIFE)
        if used is not None:
            raise NoSuchSession
        return await self._begin(actor, peer, program, strong_at=self._clock.now())

    def _read_pending(self, token: Secret) -> tuple[datetime, bytes, str]:
        text = token.reveal()
        if not text.startswith(PENDING_PREFIX) or len(text) > TOKEN_CHARACTERS_MAX:
            raise NoSuchSession
        encoded = text.removeprefix(PENDING_PREFIX)
        try:
            octets = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
            mac, body = octets[:_MAC_OCTETS], octets[_MAC_OCTETS:]
            if not compare_digest(mac, digest(self._key, body, "sha256")):
                raise NoSuchSession
            end, _, fingerprint = _PENDING.unpack_from(body)
            return datetime.fromtimestamp(end, UTC), fingerprint.rstrip(b"\0"), body[_PENDING.size :].decode("ascii")
        except (binascii.Error, struct.error, UnicodeError, ValueError):
            raise NoSuchSession from None


def _is_alive(session: WebSession, now: datetime) -> bool:
    return now < session.expires_at and now - session.last_seen_at < IDLE


def _own(actor: Actor) -> str:
    """Errors: NotAllowed, for programs: app passwords and tokens."""
    if actor.app_password_id is not None or actor.token_id is not None or actor.address is None:
        raise NotAllowed
    return owner_of(actor.user_id, actor.account_id)


def _alone(peer: Peer) -> Purpose:
    return Purpose("log-in", network_of(peer.address))


def _of_pending(token: Secret) -> Purpose:
    return Purpose("factor", _hash(token).hex())


def _of_session(session: WebSession) -> Purpose:
    return Purpose("factor", f"session {session.session_id}")


def _new_token() -> Secret:
    return Secret(SESSION_PREFIX + secrets.token_urlsafe(TOKEN_OCTETS))


def _is_token(token: Secret) -> bool:
    text = token.reveal()
    return text.startswith(SESSION_PREFIX) and len(text) <= TOKEN_CHARACTERS_MAX


def _hash(token: Secret) -> bytes:
    return sha256(token.reveal().encode("utf-8", "replace")).digest()


def _shown_program(program: str) -> str:
    """Cut a User-Agent short, without what could act on a terminal (attack row 100)."""
    return "".join(letter if letter.isprintable() else "?" for letter in program[:PROGRAM_CHARACTERS_MAX])
