"""Wakes the devices of programs that use the API when mail comes for an account.

Theory of operation. Whoever has stored a copy says so (`stored`), which only notes it and cannot fail or wait. One task
per process (`run`) looks what is new in the account since the devices were told last: the highest key of octets that
they were told of is a preference of the account, so a restart forgets nothing that the next delivery would not bring.
What several processes note, one of them tells: whoever claims the message.

A message says that mail has come, and where, but nothing of what is in it; and only the device can read even that.
Neither tokens nor addresses of push services are ever logged.

Spec: reference forwardemail 4.5; RFC 8030 §5; RFC 8291; RFC 8292.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from mailstead.model.errors import MailsteadError, NoSuchAccount, WebFailed, WebRefused
from mailstead.model.flags import DRAFT, SEEN
from mailstead.model.ids import AccountId, BlobId
from mailstead.model.message import Wanted
from mailstead.model.search import Everything
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage
from mailstead.ports.web import WebClient
from mailstead.telemetry import log, metrics
from mailstead.usecases import web_push
from mailstead.usecases.device_tokens import FAILURES_MAX, TOLD, Kept, is_good, kept_devices, subscription_of
from mailstead.usecases.happenings import notification_id
from mailstead.usecases.message_views import MessageView
from mailstead.usecases.web_push import Vapid

NOTED_MAX: Final = 10_000
TOGETHER: Final = 8
NEW_MAX: Final = 20
"""Messages told at once; of more, the newest."""
LATE: Final = timedelta(hours=1)
"""Older mail wakes nobody any more."""
LIMIT_S: Final = 30.0
TTL_S: Final = 86_400
SILENT_USES: Final = frozenset({"\\Drafts", "\\Sent", "\\Archive", "\\Junk", "\\Trash"})
"""What comes into these is nothing to look up for. Spec: reference forwardemail 4.5."""

_CLAIM: Final = "device push claim"
_TAKEN: Final = frozenset({200, 201, 202, 204})
_NOWHERE: Final = 404
"""As which an address counts that we do not post to: one inside our own network."""
_GONE: Final = frozenset({404, 410})
_log = log.get("push")


class DevicePush:
    """One object per process, any number of processes."""

    def __init__(self, storage: Storage, clock: Clock, web: WebClient, vapid: Vapid) -> None:
        self._accounts = storage.accounts
        self._people = storage.people
        self._memory = storage.memory
        self._clock = clock
        self._web = web
        self._vapid = vapid
        self._noted: dict[AccountId, None] = {}
        self._woken = asyncio.Event()

    @property
    def public_key(self) -> str:
        """What push services are told of us. Spec: RFC 8292 §4."""
        return self._vapid.public_key

    def stored(self, account_id: AccountId) -> None:
        """Note that a delivery has stored a copy. Never fails, never waits."""
        if len(self._noted) < NOTED_MAX:
            self._noted[account_id] = None
            self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop, and then once more, for what was noted last."""
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._woken.set())
        try:
            while not stop.is_set():
                await self._woken.wait()
                self._woken.clear()
                await self.tell()
        finally:
            stopping.cancel()
        await self.tell()

    async def tell(self) -> int:
        """Tell the devices of the accounts that were noted; gives how many messages were taken."""
        noted, self._noted = self._noted, {}
        gate = asyncio.Semaphore(TOGETHER)
        outcomes = await asyncio.gather(*(self._tell(gate, each) for each in noted), return_exceptions=True)
        count = 0
        for outcome in outcomes:
            if isinstance(outcome, MailsteadError):
                _log.info("devices are not told", error=outcome.public_text)
            elif isinstance(outcome, Exception):
                metrics.BUGS.labels("device push").inc()
                _log.error("devices are not told", error=type(outcome).__name__)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                count += outcome
        return count

    async def _tell(self, gate: asyncio.Semaphore, account_id: AccountId) -> int:
        async with gate:
            store, now = self._accounts.of(account_id), self._clock.now()
            preferences = await store.preferences()
            kept = kept_devices(preferences)
            devices = {key: each for key, each in kept.items() if is_good(each, now)}
            if not devices:
                return 0
            told = BlobId(int(preferences.get(TOLD, b"0")))
            last = await store.last_blob_id()
            entry = await self._people.address_entry_of_account(account_id)
            alias_id = "" if entry is None else entry.profile.object_id
            count = 0
            for view in await self._new(store, told, now):
                claim = f"{account_id} {view.record.blob_id}"
                if await self._memory.remember_first(_CLAIM, claim, b"", now, now + LATE) is None:
                    text = _text(account_id, alias_id, view)
                    count += await self._tell_all(store, devices, text, now)
            await store.set_preferences({TOLD: str(last).encode()})
            return count

    @staticmethod
    async def _new(store: AccountStore, told: BlobId, now: datetime) -> list[MessageView]:
        mailboxes = {each.mailbox_id: each for each in await store.mailboxes() if each.is_selectable}
        found = await store.newest(list(mailboxes), Everything(), 0, NEW_MAX, Wanted.NARROW)
        since_s = (now - LATE).timestamp()
        return [
            MessageView(mailboxes[mailbox_id], record)
            for mailbox_id, record in reversed(found.messages)
            if record.blob_id > told and record.savedate_s >= since_s
        ]

    async def _tell_all(self, store: AccountStore, devices: dict[str, Kept], text: bytes, now: datetime) -> int:
        """Tell each device; those that are gone, or fail too often, are forgotten."""
        outcomes = await asyncio.gather(*(self._post(each, text, now) for each in devices.values()))
        changed: dict[str, bytes | None] = {}
        for key, status in zip(tuple(devices), outcomes, strict=True):
            kept = devices[key]
            if status in _TAKEN:
                kept = msgspec.structs.replace(kept, used_s=int(now.timestamp()), failure_count=0)
            elif status:
                kept = msgspec.structs.replace(kept, failure_count=kept.failure_count + 1)
            if status in _GONE or kept.failure_count >= FAILURES_MAX:
                changed[key] = None
                del devices[key]
            else:
                changed[key] = msgspec.json.encode(kept)
                devices[key] = kept
        # One that was removed meanwhile stays removed.
        there = await store.preferences()
        with suppress(NoSuchAccount):
            await store.set_preferences({key: value for key, value in changed.items() if key in there})
        return sum(status in _TAKEN for status in outcomes)

    async def _post(self, kept: Kept, text: bytes, now: datetime) -> int:
        """Post once; give the status, 0 where there was no answer, which counts for nothing: it may be our fault."""
        to = subscription_of(kept.token)
        own_key, salt = ec.generate_private_key(ec.SECP256R1()), secrets.token_bytes(web_push.SALT_OCTETS)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(TTL_S),
            "Urgency": "high",
            "Authorization": self._vapid.authorization(to.url, now),
        }
        octets = web_push.encrypted(text, to.public_key, to.auth_secret, own_key, salt)
        try:
            answer = await self._web.post(to.url, octets, headers, octets_max=1024, limit_s=LIMIT_S)
        except WebRefused as error:
            _log.info("a device is told no more", error=error.public_text)
            return _NOWHERE
        except WebFailed as error:
            _log.info("a device was not told", error=error.public_text)
            return 0
        return answer.status


def _text(account_id: AccountId, alias_id: str, view: MessageView) -> bytes:
    """Give what a device is told: the event as over a WebSocket, without content, and whether to show anything."""
    flags = view.record.flags
    is_silent = view.mailbox.special_use in SILENT_USES or SEEN in flags or DRAFT in flags
    return msgspec.json.encode(
        {
            "event": "newMessage",
            "notification_id": notification_id(account_id, "newMessage", view.place.object_id),
            "alias_id": alias_id,
            "mailbox": view.mailbox.name,
            "silent": is_silent,
            "message": {"id": view.place.object_id, "uid": view.record.uid, "flags": view.flags},
        }
    )
