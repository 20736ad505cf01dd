"""Speaking unasked: while a client idles, or has asked by NOTIFY, changes are told as they happen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from mailstead.model.errors import MailsteadError
from mailstead.proto.imap.write import responses
from mailstead.services.imap.notifying import MAILBOXES_MAX, Notifying

if TYPE_CHECKING:
    from mailstead.services.imap.session import ImapSession


KEEP_ALIVE_S: Final = 120.0
"""An idle client hears something so often, or mobile networks and address translators forget the connection."""


class Watching:
    """Turns wake-ups into a short task that tells the client; wake-ups in the meantime merge into one more round."""

    __slots__ = ("_is_telling", "_session", "_timer", "_told", "_wrote_s", "is_idle", "notifying")

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self._is_telling = False
        self._timer: asyncio.TimerHandle | None = None
        self._told: asyncio.Future[None] | None = None
        self._wrote_s = 0.0
        """When the idle client heard something last, roughly."""
        self.is_idle = False
        self.notifying: Notifying | None = None

    def begin_idle(self) -> None:
        """IDLE has begun."""
        self.is_idle = True
        self._wrote_s = asyncio.get_running_loop().time()
        self._set_timer()
        if self._session.is_stale:
            self.wake()

    def end_idle(self) -> None:
        """IDLE has ended."""
        self.is_idle = False
        self._set_timer()

    def set_notifying(self, notifying: Notifying | None) -> None:
        """NOTIFY has been set, changed or ended."""
        self.notifying = notifying
        self._set_timer()

    def stop(self) -> None:
        """The session ends."""
        self.is_idle = False
        self.set_notifying(None)

    def wake(self) -> None:
        """Something has changed: tell it soon, unless a task is at it already."""
        if (self.is_idle or self.notifying is not None) and not self._is_telling:
            self._is_telling = True
            self._session.line.spawn(self._tell())

    async def quiet(self) -> None:
        """Wait until what is being told unasked has been told: answers of a command must not fall into it."""
        while self._is_telling:
            if self._told is None:
                self._told = asyncio.get_running_loop().create_future()
            await self._told

    async def _tell(self) -> None:
        session = self._session
        try:
            while session.is_stale and not session.is_working and (self.is_idle or self.notifying is not None):
                session.is_stale = False
                await self._tell_once()
        except MailsteadError:
            session.is_stale = True  # the store is not available just now: the next poll tries again
        finally:
            self._is_telling = False
            if self._told is not None:
                self._told.set_result(None)
                self._told = None

    async def _tell_once(self) -> None:
        session, notifying = self._session, self.notifying
        if session.selected is not None and (self.is_idle or (notifying is not None and notifying.pushes_selected)):
            may_expunge = self.is_idle or (notifying is not None and notifying.may_expunge)
            await session.tell_changes(may_expunge=may_expunge, is_unasked=True)
        if notifying is not None and notifying.groups and self.notifying is notifying:
            mailboxes = await session.store.mailboxes()
            marks = await session.store.annotation_marks() if notifying.wants_annotations else {}
            if session.is_working:
                session.is_stale = True
                return
            if len(mailboxes) > MAILBOXES_MAX:
                # Spec: RFC 5465 §5.8: from now on as after NOTIFY NONE
                session.connection.send(responses.ok("There are too many mailboxes to watch", b"NOTIFICATIONOVERFLOW"))
                self.set_notifying(None)
            else:
                session.connection.send(notifying.differences(session, mailboxes))
                session.connection.send(notifying.annotation_differences(session, marks, mailboxes))
        session.line.flush()

    def _set_timer(self) -> None:
        """Look now and then without being woken, in case a wake-up was lost. Spec: ports.changebus."""
        is_wanted = self.is_idle or self.notifying is not None
        if is_wanted and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._interval_s, self._poll)
        elif not is_wanted and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _interval_s(self) -> float:
        return min(self._session.service.poll_s, KEEP_ALIVE_S)

    def _keep_alive(self) -> None:
        """Say something if the next round would be too late. What is being told unasked must not be cut into."""
        now_s = asyncio.get_running_loop().time()
        if not self.is_idle or self._is_telling or self._session.is_working:
            return
        if now_s + self._interval_s - self._wrote_s > KEEP_ALIVE_S * 1.01:  # timers come a little late
            self._wrote_s = now_s
            self._session.connection.send(responses.ok("Still here"))
            self._session.line.flush()

    def _poll(self) -> None:
        self._timer = None
        self._keep_alive()
        self._session.is_stale = True
        self._set_timer()
        if not self._session.is_working:
            self.wake()
