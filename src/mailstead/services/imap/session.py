"""One IMAP client's conversation: takes events, runs commands, keeps the client up to date.

Theory of operation. `handle` gives each event to a function of `commands`, by the type of its command. A command gives
a `Reply`; before it is sent, what happened in the selected mailbox meanwhile is told. Between commands nothing runs: a
wake-up of the change bus marks the session stale, and only where the client may be spoken to unasked (IDLE, NOTIFY) a
short task reads the changes and sends them.

Taking changes into the view happens without a pause between reading and sending: whoever has read changes checks that
nobody else has moved the view meanwhile, and looks again otherwise. So no lock is needed.

An idle session must stay small (thousands of them wait): slots only, and whatever few need is made when it is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError, NotAllowed
from mailstead.model.uidset import UidSet
from mailstead.net.line import Line
from mailstead.ports.storage import AccountStore
from mailstead.proto.imap.capabilities import CHATMAIL, PUSH
from mailstead.proto.imap.connection import MECHANISMS, ImapConnection, ImapLimits
from mailstead.proto.imap.types import commands as wire
from mailstead.proto.imap.types.events import (
    AppendAborted,
    AppendBegin,
    AppendEnd,
    AppendNext,
    Closed,
    Event,
    IdleDone,
    LiteralChunk,
    Request,
    Result,
    SaslCancelled,
    SaslResponse,
)
from mailstead.proto.imap.types.fetch import FetchItem
from mailstead.proto.imap.view import BadSequence
from mailstead.proto.imap.write import code, responses
from mailstead.proto.sasl import TOKEN_MECHANISMS
from mailstead.services.imap.commands import COMMANDS, append, authenticate, idle
from mailstead.services.imap.commands.fetch import send_messages
from mailstead.services.imap.errors import SERVERBUG, Refused, Reply, reply_for
from mailstead.services.imap.selected import Selected
from mailstead.services.imap.watching import Watching
from mailstead.telemetry import metrics
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.announcements import Announcements
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.push_tokens import PushTokens

if TYPE_CHECKING:
    from mailstead.proto.sasl import Exchange, Tokens
    from mailstead.services.imap.commands.append import Incoming
    from mailstead.usecases.accounts import ScramLookup

PROGRESS_AFTER_S: Final = 10.0
"""How long a command may be silent before the client hears that it is still at work. Spec: RFC 9585 §3."""


@dataclass(frozen=True, slots=True)
class ImapService:
    """What all sessions of the service share."""

    mailboxes: Mailboxes
    accounts: Accounts
    limits: ImapLimits
    hostname: str = "localhost"
    poll_s: float = 60.0
    without: frozenset[str] = frozenset()
    """Capabilities not to be offered (``STARTTLS`` where there is no certificate)."""
    announcements: Announcements | None = None
    """What clients of chatmail domains are told; None: there are no such domains."""
    push_tokens: PushTokens | None = None
    """Where their devices register."""
    tokens: Tokens | None = None
    """Who knows access tokens; None: none are taken."""

    @property
    def further(self) -> tuple[str, ...]:
        """Capabilities that chatmail domains have beside the others."""
        wakes = self.announcements is not None and self.announcements.wakes_devices
        return (CHATMAIL, PUSH) if wakes else (CHATMAIL,)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """How somebody may log in, in the order in which it is offered."""
        return MECHANISMS if self.tokens is None else (*MECHANISMS, *TOKEN_MECHANISMS)

    def session(self, *, is_tls: bool = False) -> ImapSession:
        """Make the session of a new conversation; `is_tls`: TLS is on already."""
        return ImapSession(self, is_encrypted=is_tls)


class ImapSession:
    """One client's conversation. Is a `net.line.Session`."""

    __slots__ = (
        "_connection",
        "_leave",
        "_progress_timer",
        "_revocations",
        "_watch",
        "actor",
        "exchange",
        "incoming",
        "is_chatmail",
        "is_deciding",
        "is_stale",
        "is_working",
        "line",
        "progress_counts",
        "selected",
        "service",
        "store",
        "tag",
        "watching",
    )

    line: Line
    actor: Actor
    store: AccountStore

    def __init__(self, service: ImapService, *, is_encrypted: bool) -> None:
        self.service = service
        self._connection = ImapConnection(
            service.limits, is_encrypted=is_encrypted, mechanisms=service.mechanisms, without=service.without
        )
        self.selected: Selected | None = None
        self.watching: Watching | None = None
        """Made by IDLE and NOTIFY: how the client is told things unasked."""
        self.incoming: Incoming | None = None
        """The APPEND or REPLACE whose messages are arriving."""
        self.exchange: Exchange[ScramLookup] | None = None
        """The SASL exchange under way."""
        self.is_chatmail = False
        """The account is of a chatmail domain; as of log-in."""
        self.is_stale = False
        """Something has changed in the account since the last look."""
        self.is_working = False
        """A command is being answered."""
        self.is_deciding = False
        """A message literal waits to be let in or refused."""
        self.tag = b""
        self.progress_counts: tuple[int, int] | None = None
        self._progress_timer: asyncio.TimerHandle | None = None
        self._leave: Callable[[], None] | None = None
        self._watch: AbstractContextManager[None] | None = None
        self._revocations: AbstractContextManager[None] | None = None

    # what the driver calls

    @property
    def connection(self) -> ImapConnection:
        """Grammar and state of the conversation."""
        return self._connection

    def started(self, line: Line) -> Awaitable[None] | None:
        """Greet. Spec: RFC 9051 §7.1.1."""
        self.line = line
        if self.service.announcements is not None:
            return self._greet_after_a_look(self.service.announcements)
        self._greet()
        return None

    def _greet(self) -> None:
        self._connection.greet(f"{self.service.hostname} Mailstead is ready")

    async def _greet_after_a_look(self, announcements: Announcements) -> None:
        """Whose client it is nobody knows yet: one chatmail domain is enough for all to hear of it."""
        with contextlib.suppress(MailsteadError):
            if await announcements.serves_chatmail():
                self._connection.offer(self.service.further)
        self._greet()

    def handle(self, event: Event) -> Awaitable[None] | None:
        """Answer one event."""
        match event:
            case Request(tag, command):
                self.tag = tag
                self.is_working = True
                return self._run(COMMANDS[type(command)], command)
            case LiteralChunk(data):
                append.take_chunk(self, data)
                return None
            case AppendBegin(tag, command, message):
                self.tag = tag
                self.is_working = True
                return self._guard_literal(append.begin(self, command, message))
            case AppendNext(_, message):
                return self._guard_literal(append.go_on(self, message))
            case AppendEnd():
                return self._run(append.end, None)
            case AppendAborted():
                append.drop(self)
                self.is_working = False
                return None
            case SaslResponse(_, data):
                return self._run(authenticate.go_on, data)
            case SaslCancelled():
                self.exchange = None
                self.is_working = False
                return None
            case IdleDone():
                self.is_working = True
                return self._run(idle.done, None)
            case Closed():
                return None

    def failed(self, error: Exception) -> None:
        """Answer a bug vaguely and temporarily; the driver has logged it."""
        del error
        if self.is_working:
            append.drop(self)
            if self.is_deciding:
                self._refuse_literal(SERVERBUG)
            else:
                self.finish(SERVERBUG)

    def stopping(self) -> None:
        """Say goodbye, unless an answer is being written: the driver asks again behind it. Spec: RFC 9051 §7.1.5."""
        if not self._is_answering:
            self._connection.refuse("The server is shutting down; please come back soon", b"UNAVAILABLE")

    def ended(self) -> None:
        """Release all."""
        append.drop(self)
        self._end_progress()
        self.log_out()
        if self._connection.refused_count:
            metrics.REFUSALS.labels("imap", "BAD", "wire").inc(self._connection.refused_count)

    @property
    def _is_answering(self) -> bool:
        """Whether a goodbye now could fall into the middle of an answer; while a literal arrives it cannot."""
        return self.is_working and self.incoming is None

    # running commands

    async def _run(self, run: Callable[[ImapSession, Any], Awaitable[Reply | None]], command: Any) -> None:
        """Run a command, tell what has changed meanwhile, finish. A command that gives None has more to hear."""
        may_create = isinstance(command, wire.Copy | wire.Move) or run is append.end
        try:
            if self.watching is not None:
                await self.watching.quiet()
            reply = await run(self, command)
            if reply is None:
                return
        except Refused as refusal:
            reply = refusal.reply
        except BadSequence as error:
            reply = Reply(Result.BAD, str(error) or "No such message", b"CLIENTBUG")
        except MailsteadError as error:
            reply = reply_for(error, may_create=may_create)
        self._end_progress()
        if reply.result is not Result.OK:
            word = reply.code.split(b" ", 1)[0].decode("ascii") or "none"
            metrics.refused("imap", reply.result.name, word)
        if self.selected is not None and (self.is_stale or self.selected.view.has_held or type(command) in _LOOKS):
            try:
                await self.tell_changes(may_expunge=not _holds_expunge(command))
            except MailsteadError as error:
                if reply.result is Result.OK and type(command) in _LOOKS:
                    reply = reply_for(error)
        self.finish(reply)

    def finish(self, reply: Reply) -> None:
        """End the command under way."""
        self._end_progress()
        self.is_working = False
        self._connection.finish(*reply)
        if self.watching is not None and self.is_stale:
            self.watching.wake()

    async def _guard_literal(self, decide: Awaitable[None]) -> None:
        """Let a literal come, or end its command by a refusal."""
        self.is_deciding = True
        try:
            if self.watching is not None:
                await self.watching.quiet()
            await decide
        except Refused as refusal:
            reply = refusal.reply
        except BadSequence as error:
            reply = Reply(Result.BAD, str(error) or "No such message")
        except MailsteadError as error:
            reply = reply_for(error, may_create=True)
        else:
            self.is_deciding = False
            self._connection.accept_literal()
            return
        append.drop(self)
        metrics.refused("imap", reply.result.name, reply.code.decode("ascii") or "none")
        self._refuse_literal(reply)

    def _refuse_literal(self, reply: Reply) -> None:
        self.is_deciding = self.is_working = False
        self._connection.refuse_literal(*reply)

    # keeping the client up to date

    async def tell_changes(self, *, may_expunge: bool, is_unasked: bool = False) -> None:
        """Bring the view and the client up to date with the selected mailbox.

        With `is_unasked`, nothing is told if a command has begun while the changes were read.

        Spec: RFC 9051 §5.2, §7.5.1; RFC 5465 §5.1 (what to FETCH of new messages)
        """
        while (selected := self.selected) is not None:
            self.is_stale = False
            asked = selected.highestmodseq
            changes = await self.store.changes_since(selected.mailbox_id, asked)
            if is_unasked and self.is_working:
                self.is_stale = True
                return
            if self.selected is not selected or selected.highestmodseq != asked:
                continue
            if changes.is_gone:
                # Spec: RFC 2180 §3.3: whose selected mailbox somebody else deletes is told so and disconnected
                self.selected = None
                self._connection.refuse("The selected mailbox was deleted or replaced", b"UNAVAILABLE")
                return
            if selected.is_ahead(changes):
                arrived = selected.view.arrived_uids(changes)
                data = selected.apply(changes, may_expunge=may_expunge, condstore=self.condstore, qresync=self.qresync)
                self._connection.send(data)
                items = self._new_message_items()
                for uid in arrived if items else ():
                    await send_messages(self, UidSet(((uid, uid),)), items, in_pieces=False)
            return

    def _new_message_items(self) -> tuple[FetchItem, ...]:
        notifying = self.watching.notifying if self.watching is not None else None
        return notifying.new_message_items if notifying is not None else ()

    def begin_watching(self) -> Watching:
        """Give what tells the client things unasked; made when first needed."""
        if self.watching is None:
            self.watching = Watching(self)
        return self.watching

    def wake(self) -> None:
        """The account has changed (a nudge of the change bus)."""
        self.is_stale = True
        if self.watching is not None and not self.is_working:
            self.watching.wake()

    def open_selected(self) -> Selected:
        """Give the selected mailbox; the state table has made sure that there is one."""
        assert self.selected is not None
        return self.selected

    def writable(self) -> Selected:
        """Give the selected mailbox if it may be changed. Spec: RFC 9051 §6.3.3 (EXAMINE)."""
        selected = self.open_selected()
        if selected.is_read_only:
            raise Refused("This mailbox is open for reading only", b"READ-ONLY")
        return selected

    @property
    def condstore(self) -> bool:
        """Whether FETCH responses must carry MODSEQ. Spec: RFC 7162 §3.1."""
        return "CONDSTORE" in self._connection.enabled

    @property
    def qresync(self) -> bool:
        """Whether VANISHED takes the place of EXPUNGE. Spec: RFC 7162 §3.2.10."""
        return "QRESYNC" in self._connection.enabled

    @property
    def rev2(self) -> bool:
        """Whether IMAP4rev2 is enabled. Spec: RFC 9051 §6.3.1."""
        return "IMAP4REV2" in self._connection.enabled

    @property
    def is_utf8(self) -> bool:
        """Whether names go out as UTF-8."""
        return self._connection.is_utf8

    def enable_condstore(self) -> None:
        """Enable CONDSTORE by using it; the client learns the mailbox's modseq. Spec: RFC 7162 §3.1."""
        if self.condstore:
            return
        self._connection.enable(("CONDSTORE",))
        if self.selected is not None:
            self._connection.send(responses.ok("CONDSTORE is on", code.highestmodseq(self.selected.highestmodseq)))

    # progress of long commands

    def begin_progress(self) -> None:
        """From now on, until the reply, the client hears now and then that we are at work. Spec: RFC 9585 §3."""
        self._end_progress()
        self.progress_counts = None
        self._progress_timer = asyncio.get_running_loop().call_later(PROGRESS_AFTER_S, self._tell_progress)

    def progress(self, done: int, goal: int) -> None:
        """Note how far a long command has come; told by the next tick."""
        self.progress_counts = (done, goal)

    def _tell_progress(self) -> None:
        done, goal = self.progress_counts or (None, None)
        self._connection.send(responses.ok("Still at work", code.inprogress(self.tag, done, goal)))
        self.line.flush()
        self._progress_timer = asyncio.get_running_loop().call_later(PROGRESS_AFTER_S, self._tell_progress)

    def _end_progress(self) -> None:
        if self._progress_timer is not None:
            self._progress_timer.cancel()
            self._progress_timer = None

    # who it is

    def log_in(self, actor: Actor, *, is_chatmail: bool = False) -> None:
        """Become this actor's session, for good (attack row 55: until UNAUTHENTICATE or the end).

        `is_chatmail`: of a chatmail domain.

        Errors: TooManyConnections, NotAllowed.
        """
        if self._leave is not None:
            raise NotAllowed
        store = self.service.mailboxes.of(actor)
        self._leave = self.service.mailboxes.admit(actor)
        self.actor = actor
        self.store = store
        self._watch = self.service.mailboxes.watch(actor, self.wake)
        self._watch.__enter__()
        self._revocations = self.service.accounts.watch_revocations(actor, self._revoked)
        self._revocations.__enter__()
        self.is_chatmail = is_chatmail
        self._connection.log_in(self.service.further if is_chatmail else (), takes_bare_lf=is_chatmail)

    def log_out(self) -> None:
        """Forget who it was and all that was open. Spec: RFC 8437 §2."""
        self.close_selected()
        if self.watching is not None:
            self.watching.stop()
            self.watching = None
        for scope in (self._watch, self._revocations):
            if scope is not None:
                scope.__exit__(None, None, None)
        self._watch = self._revocations = None
        if self._leave is not None:
            self._leave()
            self._leave = None
            self.is_chatmail = False
            del self.actor, self.store

    def close_selected(self) -> None:
        """Let go of the selected mailbox."""
        self.selected = None

    def _revoked(self) -> None:
        """The password is no longer good: end at once, with a goodbye if that cannot fall into a literal.

        Spec: attack row 64
        """
        if self._is_answering:
            self.line.abort()
            return
        self._connection.refuse("Your log-in is no longer valid", b"EXPIRED")
        self.line.close()


_LOOKS: Final = frozenset({wire.Noop, wire.Check, wire.Expunge})
"""Commands by which a client asks for news: they look even if no wake-up has come."""


def _holds_expunge(command: object) -> bool:
    """Whether EXPUNGE may not be told now: sequence numbers are in use. Spec: RFC 9051 §7.5.1."""
    return isinstance(command, wire.Fetch | wire.Store | wire.Search | wire.Sort | wire.Thread) and not command.by_uid
