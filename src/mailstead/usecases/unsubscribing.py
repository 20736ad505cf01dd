"""Leaving a mailing list: with one click where that is safe, by mail from one's own address, or by a link to open.

Nothing happens unless its owner asks. With one click we call the list's server, so the fields must be those that a
domain has signed (RFC 8058 §4), the client goes to no place that only we can reach (attack row 37), and nothing of the
owner goes along: no cookie, no address but what the list itself has put into the URL.

Spec: RFC 2369 §3.2; RFC 8058 §3, §4; RFC 6068.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from mailstead.mailauth.one_click import covering, may_be_left_with_one_click
from mailstead.mailauth.results import own_results
from mailstead.mime.address import addresses_of
from mailstead.mime.composition import Composition, Correspondent, compose
from mailstead.mime.header import first_values, header_end, text_of
from mailstead.mime.list_fields import ListFields, list_fields
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import BadAddress, MessageTooLarge, PolicyRefused, WebFailed
from mailstead.model.message import OctetRange
from mailstead.ports.resolver import Resolver
from mailstead.ports.web import WebClient
from mailstead.sieve.mailto import Mailto, mailto
from mailstead.sieve.words import BadWords
from mailstead.usecases.arrival_stamps import arrival_stamp
from mailstead.usecases.emails import Emails, OutgoingEmail
from mailstead.usecases.identities import Identities
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.messages import Messages

KIND: Final = "unsubscribed"
KEPT: Final = timedelta(days=3653)
HEADER_OCTETS_MAX: Final = 256 * 1024
MESSAGE_OCTETS_MAX: Final = 64 * 1024 * 1024
SUBJECT_CHARACTERS_MAX: Final = 200
BODY_CHARACTERS_MAX: Final = 1000
ONE_CLICK: Final = b"List-Unsubscribe=One-Click"
"""Spec: RFC 8058 §3.2."""
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
ANSWER_OCTETS_MAX: Final = 4096


class Way(StrEnum):
    """How a list is left."""

    NONE = "none"
    """It does not say."""
    ONE_CLICK = "one-click"
    MAIL = "mail"
    LINK = "link"
    """Its owner opens the page of the list himself."""


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """How a message's list can be left, and whether its owner did."""

    way: Way
    target: str = ""
    """Whom we would tell: host name, or address. Strangers have chosen it."""
    link: str = ""
    """A page to open, where there is one: http or https."""
    list_name: str = ""
    done_at: datetime | None = None
    """When the list was left, by any of its messages."""
    done_way: Way = Way.NONE


class Unsubscribing:
    """Every verb begins with an actor, whose own account alone is reached (NotAllowed without one)."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        messages: Messages,
        emails: Emails,
        identities: Identities,
        resolver: Resolver,
        web: WebClient,
        *,
        hostname: str,
    ) -> None:
        self._mailboxes = mailboxes
        self._messages = messages
        self._emails = emails
        self._identities = identities
        self._resolver = resolver
        self._web = web
        self._hostname = hostname
        self._clock = mailboxes.clock

    async def state(self, actor: Actor, object_id: str) -> Unsubscription:
        """How the list of a message can be left; asks nobody outside, so pages may show it. Errors: NoSuchMessage."""
        view = await self._messages.show(actor, object_id)
        header = await self._header(actor, view)
        return await self._state(actor, header)

    async def unsubscribe(self, actor: Actor, peer: Peer, object_id: str) -> Unsubscription:
        """Leave the list of a message; once for all its messages that were there by then.

        What was to go with one click goes by mail if the signature does not hold any more; what can only be opened
        comes back as it is, with `done_at` None: the page shows the link.
        Errors: NoSuchMessage; PolicyRefused when the list does not say how; WebRefused, WebFailed; all of
        `Emails.send`.
        """
        view = await self._messages.show(actor, object_id)
        header = await self._header(actor, view)
        state = await self._state(actor, header)
        if state.done_at is not None and view.record.internaldate_s <= state.done_at.timestamp():
            return state
        told = list_fields(header)
        way = state.way
        if way is Way.ONE_CLICK and not await self._is_signed(actor, view):
            way = _without_one_click(told).way
        if way is Way.ONE_CLICK:
            await self._click(_https(told))
        elif way is Way.MAIL:
            await self._write(actor, peer, object_id, told)
        elif way is Way.NONE:
            raise PolicyRefused("The message does not say how its list is left")
        else:
            return replace(_without_one_click(told), done_at=state.done_at, done_way=state.done_way)
        now = self._clock.now()
        mark = f"{_key(header, told)} {int(now.timestamp())} {way}"
        await self._mailboxes.of(actor).remember_first(KIND, mark, now, now + KEPT)
        return await self._state(actor, header)

    async def _state(self, actor: Actor, header: bytes) -> Unsubscription:
        told = list_fields(header)
        state = _without_one_click(told)
        if self._seems_signed(header, told):
            state = replace(state, way=Way.ONE_CLICK, target=_host(_https(told)))
        prefix = f"{_key(header, told)} "
        marks = await self._mailboxes.of(actor).remembered(KIND, self._clock.now())
        done = [mark.removeprefix(prefix).split(" ") for mark in marks if mark.startswith(prefix)]
        if not done:
            return state
        at_s, way = max((int(at_s), way) for at_s, way in done)
        return replace(state, done_at=datetime.fromtimestamp(at_s, UTC), done_way=Way(way))

    def _seems_signed(self, header: bytes, told: ListFields) -> bool:
        """Whether it passed when it came, as far as our own results say; it is verified before anything is done."""
        if not (told.wants_one_click and told.is_unambiguous and _https(told)):
            return False
        if arrival_stamp(header, self._hostname) is None:
            return False
        result, _ = own_results(header, self._hostname).get("dkim", ("", ""))
        return result == "pass" and any(covering(header))

    async def _is_signed(self, actor: Actor, view: MessageView) -> bool:
        if view.record.size_octets > MESSAGE_OCTETS_MAX:
            raise MessageTooLarge
        (octets,) = await self._messages.octets(actor, [view])
        return await may_be_left_with_one_click(octets, self._resolver, self._clock.now())

    async def _click(self, url: str) -> None:
        """Spec: RFC 8058 §3.2. Errors: WebRefused, WebFailed."""
        answer = await self._web.post(url, ONE_CLICK, FORM, octets_max=ANSWER_OCTETS_MAX)
        if not 200 <= answer.status < 300:  # a redirect is none either: the sender MUST NOT give one
            raise WebFailed(f"The list answered {answer.status}; try again later, or open its page", url_host=url[:200])

    async def _write(self, actor: Actor, peer: Peer, object_id: str, told: ListFields) -> None:
        wish = _mailto(told)
        assert wish is not None  # the way was chosen by it
        identity = (await self._identities.answering(actor, object_id)).identity
        now = self._clock.now()
        octets = compose(
            Composition(
                sent_at=now,
                message_id=f"<{secrets.token_hex(12)}@{identity.address.domain}>",
                authors=(Correspondent("", str(identity.address)),),
                to=(Correspondent("", wish.recipients[0]),),
                subject=(wish.subject or "unsubscribe")[:SUBJECT_CHARACTERS_MAX],
                text=(wish.body or "unsubscribe")[:BODY_CHARACTERS_MAX],
            )
        )
        owner = replace(actor, user_id=None, groups={}, is_admin=False)
        await self._emails.send(owner, peer, OutgoingEmail(octets))

    async def _header(self, actor: Actor, view: MessageView) -> bytes:
        stop = min(view.record.header_octets, HEADER_OCTETS_MAX)
        (octets,) = await self._mailboxes.of(actor).read_octets([OctetRange(view.record.blob_id, 0, stop)])
        return octets[: header_end(octets)]


def _without_one_click(told: ListFields) -> Unsubscription:
    link = next((uri for uri in told.unsubscribe if uri.lower().startswith(("https:", "http:"))), "")
    name = told.name or told.list_id
    wish = _mailto(told)
    if wish is not None:
        return Unsubscription(Way.MAIL, wish.recipients[0], link, name)
    if link:
        return Unsubscription(Way.LINK, _host(link), link, name)
    return Unsubscription(Way.NONE, list_name=name)


def _https(told: ListFields) -> str:
    return next((uri for uri in told.unsubscribe if uri.lower().startswith("https:")), "")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _mailto(told: ListFields) -> Mailto | None:
    """Give the first that names one address; other fields than subject and body are not ours to set."""
    for uri in told.unsubscribe:
        if not uri.lower().startswith("mailto:"):
            continue
        try:
            wish = mailto(uri)
            Address.parse(wish.recipients[0])
        except (BadWords, BadAddress):
            continue
        if len(wish.recipients) == 1:
            return wish
    return None


def _key(header: bytes, told: ListFields) -> str:
    """Give what stands for a list: its id with the author, as anybody may write another's id."""
    authors = [
        f"{text_of(each.local_part or b'')}@{text_of(each.domain)}".casefold()
        for each in addresses_of(first_values(header).get(b"from", b""))
        if each.domain is not None
    ]
    return hashlib.sha256("\0".join([told.list_id, *authors[:1]]).encode("utf-8", "replace")).hexdigest()[:32]
