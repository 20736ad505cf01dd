"""Messages of an account: searched, read, appended, changed, removed. Spec: reference forwardemail 4.4, 4.10."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, create_model

from mailstead.mime.date import date_of
from mailstead.mime.header import first_values, text_of, unfolded
from mailstead.mime.parsed import parsed_message
from mailstead.mime.structure import has_attachment
from mailstead.model.flags import DELETED, DRAFT, FLAGGED, SEEN
from mailstead.model.mailbox import INBOX
from mailstead.model.people import Page
from mailstead.model.place import Place, thread_object_id
from mailstead.model.search import (
    And,
    Contains,
    Everything,
    HasAttachment,
    HasFlag,
    HeaderContains,
    Not,
    Nothing,
    SearchKey,
    SizeBetween,
    TextField,
    Within,
)
from mailstead.services.api.compositions import BODY_OCTETS_MAX, Composed, octets_of
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.errors import Refusal
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment, Octets, Words
from mailstead.usecases.message_views import MessageChange, MessageQuery, MessageView
from mailstead.usecases.messages import SORTS

WHOLE_OCTETS_MAX: Final = 16 * 1024 * 1024
"""Of messages that one answer shows with their content; further ones are listed without. As JSON they are five times
as large; whoever wants a larger one asks for ``eml``."""
PARSED_INLINE_MAX: Final = 64 * 1024
_WORDS: Final = """
    accept-language arc-authentication-results arc-message-signature arc-seal archived-at authentication-results
    auto-submitted autocrypt bcc bounces-to cc comments content-description content-disposition content-id
    content-language content-location content-md5 content-transfer-encoding content-type date delivered-to
    disposition-notification-options disposition-notification-to dkim-signature errors-to expires feedback-id from
    importance in-reply-to keywords list-archive list-help list-id list-owner list-post list-subscribe
    list-unsubscribe list-unsubscribe-post mail-followup-to mail-reply-to mime-version openpgp organization
    original-from original-message-id original-recipient original-subject precedence priority received received-spf
    references reply-to require-recipient-valid-since resent-bcc resent-cc resent-date resent-from resent-message-id
    resent-reply-to resent-sender resent-to return-path sender sensitivity solicitation thread-index thread-topic
    tls-report-domain tls-report-submitter tls-required to user-agent x-auto-response-suppress x-complaints-to
    x-entity-ref-id x-forwarded-for x-forwarded-to x-github-reason x-mailer x-mailgun-sid x-msmail-priority
    x-original-from x-original-to x-originating-ip x-priority x-report-abuse x-report-abuse-to x-sender x-ses-outgoing
    x-spam-flag x-spam-score x-spam-status
"""
HEADER_NAMES: Final = tuple(_WORDS.split())
"""Fields that can be asked for as parameters of their own."""
_ADDRESSES: Final = {
    "from": TextField.FROM,
    "to": TextField.TO,
    "cc": TextField.CC,
    "bcc": TextField.BCC,
}
"""Those whose display names are found decoded."""
_ENCRYPTED: Final = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")

ShownParts = Annotated[bool, Field(description="Whether this is shown.")]


class PartsAsked(Model):
    """How much of a message is shown."""

    nodemailer: ShownParts = True
    attachments: ShownParts = True
    raw: ShownParts = True


class _MessagesAsked(Listed, PartsAsked):
    """Which messages are wanted: all conditions hold."""

    model_config = ConfigDict(populate_by_name=True)

    folder: str = ""
    """Path or id; without it, all folders."""
    is_unread: bool | None = None
    is_flagged: bool | None = None
    is_deleted: bool | None = None
    is_draft: bool | None = None
    is_junk: bool | None = None
    is_copied: bool | None = None
    is_encrypted: bool | None = None
    is_searchable: bool | None = None
    is_expired: bool | None = None
    has_attachment: bool | None = None
    has_attachments: bool | None = None
    subject: str = ""
    body: str = ""
    text: str = ""
    headers: str | list[str] = ""
    """``Name`` or ``Name:value``."""
    message_id: str = ""
    search: str = ""
    q: str = ""
    since: Moment | None = None
    before: Moment | None = None
    min_size: Octets | None = None
    max_size: Octets | None = None
    lightweight: bool = False
    """Neither nodemailer nor raw: nothing but what is known without reading messages."""
    sort: str = Field("", pattern=rf"^-?({'|'.join(SORTS)})?$")


_header_fields: Any = {f"header_{name.replace('-', '_')}": (str, Field("", alias=name)) for name in HEADER_NAMES}
MessagesAsked: Any = create_model("MessagesAsked", __base__=_MessagesAsked, **_header_fields)
"""With a parameter for each of `HEADER_NAMES`."""


class MessageAsked(PartsAsked):
    """In which form a message is wanted."""

    eml: bool = False
    """As it is, message/rfc822."""


class MessageAppended(Composed):
    """A message to be kept."""

    folder: str = INBOX
    """Made, where it is missing."""
    flags: Words = Field(default_factory=list)
    labels: Words = Field(default_factory=list)


class MessageChanged(Composed):
    """What is to change; the fields of a message are for drafts, whose content they replace."""

    folder: str | None = None
    flags: Words | None = None
    labels: Words | None = None


class MessageShown(Shown):
    """A message."""

    id: str
    object: Literal["message"] = "message"
    root_id: str
    folder_id: str
    folder_path: str
    thread_id: str
    header_message_id: str
    is_unread: bool
    is_flagged: bool
    is_deleted: bool
    is_draft: bool
    is_junk: bool
    is_copied: bool
    is_encrypted: bool
    is_searchable: bool
    is_expired: bool
    has_attachment: bool
    retention_date: Moment | None
    internal_date: Moment
    header_date: Moment | None
    subject: str
    flags: list[str]
    labels: list[str]
    size: int
    uid: int
    modseq: int
    transaction: str
    remote_address: str
    created_at: Moment
    updated_at: Moment
    nodemailer: dict[str, Any] | None = None
    raw: str | None = None


class JunkWord(Shown):
    """A word that speaks for or against."""

    word: str
    probability: float


class JunkShown(Shown):
    """What the junk filter thinks of a message."""

    has_learned: bool
    """False: it knows too few of your messages to judge."""
    probability: float | None
    words: list[JunkWord]


async def list_messages(call: Call) -> Answer:
    """Give a page, newest first."""
    asked = call.query
    page = await call.house.messages.find(call.actor, _query(asked), listing_of(_Sorted(asked)))
    shown = [_shown(view) for view in page.items]
    if not asked.lightweight and (asked.nodemailer or asked.raw):
        size, chosen = 0, []
        for view in page.items:
            size += view.record.size_octets
            if size > WHOLE_OCTETS_MAX:
                break
            chosen.append(view)
        shown = [*await _with_content(call, chosen, asked), *shown[len(chosen) :]]
    return Answer(shown, page=Page(page.items, page.item_count))


class _Sorted:
    """What `listing_of` reads: ``q`` is a condition like the others here."""

    def __init__(self, asked: Any) -> None:
        self.page, self.limit, self.sort = asked.page, asked.limit, asked.sort


async def show_message(call: Call) -> Answer:
    """Give a message, as JSON or as it is."""
    view = await call.house.messages.show(call.actor, _checked_id(call))
    if call.query.eml:
        return Answer(
            call.house.messages.pieces(call.actor, view),
            headers={
                "content-type": "message/rfc822",
                "content-disposition": f'attachment; filename="{view.place.object_id}.eml"',
                "content-length": str(view.record.size_octets),
            },
        )
    if view.record.size_octets > WHOLE_OCTETS_MAX or not (call.query.nodemailer or call.query.raw):
        return Answer(_shown(view))
    return Answer((await _with_content(call, [view], call.query))[0])


async def append_message(call: Call) -> Answer:
    """Keep a message."""
    asked: MessageAppended = call.body
    octets = await asyncio.to_thread(octets_of, asked, call.files, call.house.clock.now(), call.actor.address)
    internaldate = asked.date if asked.date is not None and asked.date < call.house.clock.now() else None
    flags = [*asked.flags, *asked.labels]
    view = await call.house.messages.append(call.actor, asked.folder, octets, flags, internaldate)
    return Answer(_shown(view), headers={"location": f"/v1/messages/{view.place.object_id}"})


async def change_message(call: Call) -> Answer:
    """Change flags, labels and folder, and a draft's content."""
    asked: MessageChanged = call.body
    octets = None
    if asked.is_composed or call.files:
        octets = await asyncio.to_thread(octets_of, asked, call.files, call.house.clock.now(), call.actor.address)
    change = MessageChange(asked.flags, asked.labels, asked.folder, octets)
    return Answer(_shown(await call.house.messages.change(call.actor, _checked_id(call), change)))


async def delete_message(call: Call) -> Answer:
    """Remove a message."""
    return Answer(_shown(await call.house.messages.delete(call.actor, _checked_id(call))))


async def explain_junk(call: Call) -> Answer:
    """Say what the junk filter thinks of a message."""
    view = await call.house.messages.show(call.actor, _checked_id(call))
    score = await call.house.junk_filter.explain(call.actor, view.mailbox.name, view.record.uid)
    if score is None:
        return Answer(JunkShown(has_learned=False, probability=None, words=[]))
    words = [JunkWord(word=each.word, probability=round(each.probability, 4)) for each in score.telling]
    return Answer(JunkShown(has_learned=True, probability=round(score.probability, 4), words=words))


def _checked_id(call: Call) -> str:
    """Errors: Refusal, for what cannot be an id. Spec: reference forwardemail 4.4 (400 bad id, 404 missing)."""
    object_id = call.path["message_id"]
    if Place.of(object_id) is None:
        raise Refusal(400, "The id of a message has 24 hexadecimal digits")
    return object_id


def _query(asked: Any) -> MessageQuery:
    keys: list[SearchKey] = []
    flags = (("is_flagged", FLAGGED), ("is_deleted", DELETED), ("is_draft", DRAFT))
    for name, flag in flags:
        keys += _if(getattr(asked, name), HasFlag(flag))
    keys += _if(None if asked.is_unread is None else not asked.is_unread, HasFlag(SEEN))
    for attached in (asked.has_attachment, asked.has_attachments):
        keys += _if(attached, HasAttachment())
    for never in (asked.is_copied, asked.is_expired):
        keys += _if(never, Nothing())
    if asked.is_encrypted is not None:
        forms = [Not(HeaderContains("content-type", each)) for each in _ENCRYPTED]
        keys += _if(not asked.is_encrypted, And(tuple(forms)))
    texts = (
        (TextField.SUBJECT, asked.subject),
        (TextField.BODY, asked.body),
        (TextField.BODY, asked.text),
        (TextField.TEXT, asked.search),
        (TextField.TEXT, asked.q),
    )
    keys += [Contains(field, text) for field, text in texts if text]
    keys += _header_keys(asked)
    if asked.since is not None or asked.before is not None:
        keys.append(Within(_seconds(asked.since), _seconds(asked.before)))
    if asked.min_size is not None or asked.max_size is not None:
        above = None if asked.min_size is None else asked.min_size - 1
        keys.append(SizeBetween(above, None if asked.max_size is None else asked.max_size + 1))
    key: SearchKey = keys[0] if len(keys) == 1 else And(tuple(keys)) if keys else Everything()
    if any(isinstance(each, Nothing) for each in keys):
        key = Nothing()
    return MessageQuery(key, asked.folder, asked.is_junk, asked.is_searchable)


def _header_keys(asked: Any) -> Iterable[SearchKey]:
    if asked.message_id:
        yield HeaderContains("message-id", asked.message_id)
    for each in [asked.headers] if isinstance(asked.headers, str) else asked.headers:
        name, _, value = each.partition(":")
        if name.strip():
            yield HeaderContains(name.strip().lower(), value.strip())
    for name in HEADER_NAMES:
        value = getattr(asked, f"header_{name.replace('-', '_')}")
        if value:
            yield Contains(_ADDRESSES[name], value) if name in _ADDRESSES else HeaderContains(name, value)


def _if(wanted: bool | None, key: SearchKey) -> list[SearchKey]:
    return [] if wanted is None else [key if wanted else Not(key)]


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


async def _with_content(call: Call, views: list[MessageView], asked: PartsAsked) -> list[MessageShown]:
    octets = await call.house.messages.octets(call.actor, views)
    work = partial(_contents, list(zip(views, octets, strict=True)), asked)
    if sum(map(len, octets)) > PARSED_INLINE_MAX:
        return await asyncio.to_thread(work)
    return work()


def _contents(read: list[tuple[MessageView, bytes]], asked: PartsAsked) -> list[MessageShown]:
    found = []
    for view, octets in read:
        shown = _shown(view)
        if asked.nodemailer:
            shown.nodemailer = parsed_message(octets, has_attachments=asked.attachments, has_raw=False)
        if asked.raw:
            shown.raw = octets.decode("utf-8", "replace")
        found.append(shown)
    return found


def message_of(view: MessageView) -> MessageShown:
    """Give a message as lists show it."""
    return _shown(view)


def _shown(view: MessageView) -> MessageShown:
    """Give what is known without the octets."""
    record, place = view.record, view.place
    values = first_values(record.listed_header or b"")
    sent_at = date_of(values[b"date"]) if b"date" in values else None
    saved_at = _moment(record.savedate_s)
    return MessageShown(
        id=place.object_id,
        root_id=place.object_id,
        folder_id=Place(place.mailbox_id, place.uidvalidity).object_id,
        folder_path=view.mailbox.name,
        thread_id=thread_object_id(record.thread_id),
        header_message_id=unfolded(values.get(b"message-id", b"")).decode("ascii", "replace").strip(),
        is_unread=SEEN not in record.flags,
        is_flagged=FLAGGED in record.flags,
        is_deleted=DELETED in record.flags,
        is_draft=DRAFT in record.flags,
        is_junk=view.is_junk,
        is_copied=False,
        is_encrypted=_is_encrypted(values),
        is_searchable=view.is_searchable,
        is_expired=False,
        has_attachment=has_attachment(record.body_structure or b""),
        retention_date=None,
        internal_date=_moment(record.internaldate_s),
        header_date=sent_at.astimezone(UTC) if sent_at is not None else None,
        subject=text_of(values.get(b"subject", b"")),
        flags=view.flags,
        labels=view.labels,
        size=record.size_octets,
        uid=record.uid,
        modseq=record.modseq,
        transaction="",
        remote_address="",
        created_at=saved_at,
        updated_at=saved_at,
    )


def _is_encrypted(values: Mapping[bytes, bytes]) -> bool:
    content_type = values.get(b"content-type", b"").strip().lower().decode("ascii", "replace")
    return content_type.startswith(_ENCRYPTED)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


_endpoint: Final = partial(Endpoint, tag="messages", auth=Auth.ALIAS, right=Right.CALLER)
_ONE: Final = "/v1/messages/{message_id}"

ENDPOINTS: Final = (
    _endpoint(
        "GET",
        "/v1/messages",
        "list-messages",
        "Messages of all folders or one, newest first",
        handler=list_messages,
        query=MessagesAsked,
        shows=list[MessageShown],
    ),
    _endpoint(
        "POST",
        "/v1/messages",
        "append-message",
        "Keep a message, as in a folder of drafts or of sent mail",
        handler=append_message,
        body=MessageAppended,
        shows=MessageShown,
        status=201,
        takes_files=True,
        body_octets_max=BODY_OCTETS_MAX,
    ),
    _endpoint(
        "GET",
        _ONE,
        "show-message",
        "One message, as JSON or as it is (eml)",
        handler=show_message,
        query=MessageAsked,
        shows=MessageShown,
        other_media_type="message/rfc822",
    ),
    _endpoint(
        "PUT",
        _ONE,
        "change-message",
        "Flags, labels and folder of a message, and the content of a draft",
        handler=change_message,
        body=MessageChanged,
        shows=MessageShown,
        takes_files=True,
        body_octets_max=BODY_OCTETS_MAX,
    ),
    _endpoint("DELETE", _ONE, "delete-message", "Remove a message at once", handler=delete_message, shows=MessageShown),
    _endpoint(
        "GET",
        f"{_ONE}/junk",
        "explain-junk",
        "What the junk filter thinks of a message, and by which words",
        handler=explain_junk,
        query=Model,
        shows=JunkShown,
        is_ours=True,
        command="junk explain",
    ),
)
