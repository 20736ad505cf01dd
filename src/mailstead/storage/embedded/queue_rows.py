"""Rows of the queue file as values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import apsw
import msgspec

from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.errors import StoreDamaged
from mailstead.model.ids import AccountId
from mailstead.model.queue import (
    Destination,
    ItemKind,
    QueuedRecipient,
    QueueItem,
    QueueItemId,
    RecipientId,
    RecipientState,
    RemoteReply,
)
from mailstead.storage.embedded import octets
from mailstead.storage.embedded.moments import moment_of, moment_or_none
from mailstead.storage.embedded.rows import select

POSITION_BITS: Final = 20
"""Of a recipient's key: more recipients than any message may have."""

ITEM_COLUMNS: Final = (
    "item_id, queue_id, kind, mail_from, size_octets, accepted_at, expires_at, domain, account_id, notify_to, body, "
    "smtputf8, ret, envid, require_tls, tls_optional, priority, message_id"
)
RECIPIENT_COLUMNS: Final = (
    "recipient_id, destination, state, address, notify, orcpt, url, via, attempt_count, next_attempt_at, "
    "last_attempt_at, last_reply, is_delay_told"
)

_read_reply = msgspec.json.Decoder(RemoteReply).decode
_write_json = msgspec.json.Encoder().encode


def recipient_ids(item_id: int) -> tuple[int, int]:
    """Give the first and the last key that a recipient of an item can have."""
    first = item_id << POSITION_BITS
    return first, first | (1 << POSITION_BITS) - 1


def address_text(address: Address | None) -> str | None:
    """Give an address as it is kept: unquoted, so that it comes back as it was."""
    return None if address is None else f"{address.local_part}@{address.domain}"


@lru_cache(maxsize=4096)
def address_of(text: str) -> Address:
    """Read what `address_text` has given; senders come again and again."""
    local_part, _, domain = text.rpartition("@")
    return Address(local_part, domain)


@lru_cache(maxsize=4096)
def destination_of(key: str) -> Destination:
    """Read a destination's key; few are in use at a time, so they are made once."""
    return Destination.of_key(key)


def message_octets(db: apsw.Connection, item_id: int, size_octets: int) -> bytes:
    """Read the octets of an item that is not finished. Errors: StoreDamaged."""
    base = item_id << octets.PLACE_SHIFT
    pieces = [
        octets.decompressed(stored) if is_compressed else stored
        for is_compressed, stored in select(
            db,
            "SELECT is_compressed, octets FROM chunk WHERE place >= ? AND place < ? ORDER BY place",
            (base, base + max(size_octets, 1)),
        )
    ]
    whole: bytes = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if len(whole) != size_octets:
        raise StoreDamaged(item_id=item_id)
    return whole


def reply_text(reply: RemoteReply) -> str:
    """Give a reply as it is kept."""
    try:
        return _write_json(reply).decode()
    except UnicodeEncodeError:  # a server has said what is no UTF-8
        text = reply.text.encode("utf-8", "replace").decode()
        return _write_json(replace(reply, text=text)).decode()


def reply_of(text: str) -> RemoteReply:
    """Read what `reply_text` has given."""
    return _read_reply(text)


def item_of(row: Sequence[Any], recipients: Sequence[QueuedRecipient]) -> QueueItem:
    """Give an item from its `ITEM_COLUMNS`."""
    (
        item_id, queue_id, kind, mail_from, size_octets, accepted_at, expires_at, domain, account_id, notify_to, body,
        smtputf8, ret, envid, require_tls, tls_optional, priority, message_id,
    ) = row  # fmt: skip
    return QueueItem(
        item_id=QueueItemId(item_id),
        queue_id=queue_id,
        kind=ItemKind(kind),
        mail_from=address_of(mail_from) if mail_from is not None else None,
        recipients=tuple(recipients),
        size_octets=size_octets,
        accepted_at=moment_of(accepted_at),
        expires_at=moment_of(expires_at),
        domain=domain,
        account_id=AccountId(account_id) if account_id is not None else None,
        notify_to=address_of(notify_to) if notify_to is not None else None,
        body=body,
        smtputf8=bool(smtputf8),
        ret=ret,
        envid=envid,
        require_tls=bool(require_tls),
        tls_optional=bool(tls_optional),
        priority=priority,
        message_id=message_id,
    )


def recipient_of(row: Sequence[Any]) -> QueuedRecipient:
    """Give a recipient from its `RECIPIENT_COLUMNS`."""
    (
        recipient_id, destination, state, address, notify, orcpt, url, via, attempt_count, next_attempt_at,
        last_attempt_at, last_reply, is_delay_told,
    ) = row  # fmt: skip
    return QueuedRecipient(
        recipient_id=RecipientId(recipient_id),
        recipient=Recipient(address_of(address), frozenset(notify.split()), orcpt),
        destination=destination_of(destination),
        url=url,
        via=address_of(via) if via is not None else None,
        state=RecipientState(state),
        attempt_count=attempt_count,
        next_attempt_at=moment_or_none(next_attempt_at),
        last_attempt_at=moment_or_none(last_attempt_at),
        last_reply=reply_of(last_reply) if last_reply is not None else None,
        is_delay_told=bool(is_delay_told),
    )
