"""Mailboxes of other people's IMAP servers. Implements `ports.remote_source`.

Theory of operation. A host is looked up once, addresses that are not public fall away, and the connection goes to one
of those that are left, as for web addresses. Each session has one thread for its blocking conversation; who waits for
it may give up at any time, which closes the socket and so ends the thread.

Spec: RFC 3501 §6; RFC 6154 (SPECIAL-USE), RFC 8438 (STATUS=SIZE); attack row 37.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from mailstead.mime.facts import message_ids_in
from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress, NoSuchMailbox, SourceFailed, SourceRefused, WebFailed
from mailstead.model.ids import Uid, UidValidity
from mailstead.model.remote_imports import RemoteMailbox, RemoteMessage, RemoteSecurity, RemoteServer
from mailstead.model.secret import Secret
from mailstead.net.addresses import is_disguised, is_public
from mailstead.net.imap_wire import ANSWER_OCTETS_MAX, TOO_LARGE, Wire, quoted
from mailstead.net.outbound.tls import verifying_context
from mailstead.net.web import ADDRESSES_MAX, CONNECT_LIMIT_S, PORT_OF_SERVICES_MAX, addresses_of
from mailstead.ports.remote_source import OpenedRemote
from mailstead.ports.resolver import Resolver
from mailstead.proto.imap import answers

SILENCE_S: Final = 60.0
"""A server that says nothing for so long is given up."""
COMMAND_S: Final = 120.0
OCTETS_S: Final = 600.0
"""For the messages that are fetched together."""
SIZED_MESSAGES_MAX: Final = 100_000
"""Where a server tells no sizes of mailboxes, those of so many messages are asked for and added up."""
SIZED_STEP: Final = 5000
LISTING_OCTETS_EACH: Final = 8 * 1024
MAILBOXES_MAX: Final = 2000
TEXT_CHARACTERS_MAX: Final = 200
PORTS: Final = frozenset({143, 993})
_PASSING: Final = (b"[UNAVAILABLE]", b"[INUSE]", b"[LIMIT]", b"[SERVERBUG]")
"""Spec: RFC 5530 §3: answers to a log-in that say nothing about the password."""

T = TypeVar("T")


class ImapSource:
    """Connects; one object for all sessions."""

    def __init__(self, resolver: Resolver, *, allows_private: bool, ca_file: str, message_octets_max: int) -> None:
        self._resolver = resolver
        self._allows_private = allows_private
        self._ca_file = ca_file
        self._octets_max = message_octets_max
        self._context: ssl.SSLContext | None = None

    @contextlib.asynccontextmanager
    async def connect(self, server: RemoteServer, password: Secret) -> AsyncIterator[ImapSourceSession]:
        """See `RemoteSource.connect`."""
        host = self._checked(server, password)
        addresses = await self._addresses(host)
        if self._context is None:
            self._context = await asyncio.to_thread(verifying_context, self._ca_file)
        session = ImapSourceSession(host, self._octets_max)
        try:
            await session.start(server, password, addresses, self._context, allows_own=self._allows_private)
            yield session
        finally:
            session.close()

    def _checked(self, server: RemoteServer, password: Secret) -> str:
        """Give the host in the form in which it is looked up. Errors: SourceRefused."""
        host = server.host.strip().removesuffix(".")
        try:
            host = host if ":" in host else normal_domain(host)
        except BadAddress:
            raise SourceRefused("That is not the name of a server") from None
        if is_disguised(host):
            raise SourceRefused("That is not the name of a server")
        if server.real_port <= PORT_OF_SERVICES_MAX and server.real_port not in PORTS:
            raise SourceRefused("That port is not one for IMAP; it is 993, or 143 with STARTTLS")
        if any(letter in text for text in (server.username, password.reveal()) for letter in "\r\n\0"):
            raise SourceRefused("A user name or password has no control characters")
        return host

    async def _addresses(self, host: str) -> list[str]:
        try:
            found = await addresses_of(self._resolver, host)
        except WebFailed as error:
            raise SourceFailed(error.public_text) from None
        usable = [address for address in found if self._allows_private or is_public(address)]
        if not usable:
            raise SourceRefused(f"{host} is not on the public Internet", addresses=found)
        return usable[:ADDRESSES_MAX]


class ImapSourceSession:
    """Implements `ports.remote_source.RemoteSession`; made by `ImapSource.connect`."""

    def __init__(self, host: str, message_octets_max: int) -> None:
        self._host = host
        self._octets_max = message_octets_max
        self._thread = ThreadPoolExecutor(1, "imap-source")
        self._socket: socket.socket | None = None
        self._wire: Wire | None = None
        self._listed: dict[str, answers.Listed] = {}
        self._name = ""
        self._uidvalidity = UidValidity(0)
        self._message_count = 0
        self._is_closed = False
        self._listed_to: tuple[Uid, int] | None = None
        """The highest UID listed, and the number at which the next ones begin."""

    @property
    def has_labels(self) -> bool:
        """See `RemoteSession.has_labels`."""
        return self._talk.offers("X-GM-EXT-1")

    async def start(
        self,
        server: RemoteServer,
        password: Secret,
        addresses: Sequence[str],
        context: ssl.SSLContext,
        *,
        allows_own: bool,
    ) -> None:
        """Connect, encrypt, log in. Errors: SourceRefused, SourceFailed."""

        def work() -> None:
            connected = self._connected(addresses, server.real_port)
            if connected.getpeername()[0] == connected.getsockname()[0] and not allows_own:
                raise SourceRefused(f"{self._host} is this server itself")
            if server.security is RemoteSecurity.TLS:
                connected = self._socket = context.wrap_socket(connected, server_hostname=self._host)
            wire = Wire(connected, self._host)
            if wire.state != "NONAUTH":
                raise SourceRefused(f"{self._host} lets in whoever comes")
            if server.security is RemoteSecurity.STARTTLS:
                if not wire.offers("STARTTLS"):
                    raise SourceRefused(f"{self._host} offers no encryption at that port")
                wire.start_tls(context)
                self._socket = wire.sock
            self._log_in(wire, server.username, password)
            self._wire = wire

        await self._run(work, CONNECT_LIMIT_S * len(addresses) + COMMAND_S)

    def close(self) -> None:
        """End the conversation. What the thread waits for comes to its end with the socket."""
        self._is_closed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        self._thread.shutdown(wait=False)

    async def mailboxes(self, *, with_sizes: bool = True) -> list[RemoteMailbox]:
        """See `RemoteSession.mailboxes`."""
        return await self._run(lambda: self._mailboxes(with_sizes), COMMAND_S * 2)

    async def open(self, name: str) -> OpenedRemote:
        """See `RemoteSession.open`."""
        return await self._run(lambda: self._open(name), COMMAND_S)

    async def listing(self, after: Uid, limit: int) -> Sequence[RemoteMessage]:
        """See `RemoteSession.listing`."""
        return await self._run(lambda: self._listing(after, limit), COMMAND_S)

    async def octets(self, messages: Sequence[RemoteMessage]) -> Mapping[Uid, bytes | None]:
        """See `RemoteSession.octets`."""
        return await self._run(lambda: self._octets(messages), OCTETS_S)

    # in the thread

    async def _run(self, work: Callable[[], T], limit_s: float) -> T:
        """Do blocking work in the thread, and name what goes wrong for the fact."""
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except TimeoutError:
            raise SourceFailed(f"{self._host} does not answer in time") from None
        except ssl.SSLCertVerificationError as error:
            raise SourceRefused(f"The certificate of {self._host} is not valid: {error.verify_message}") from None
        except ssl.SSLError as error:
            raise SourceFailed(f"{self._host} cannot be spoken with over TLS: {error.reason}") from None
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else "no answer"
            raise SourceFailed(f"The connection to {self._host} has failed: {reason}") from None
        except (imaplib.IMAP4.error, answers.BadAnswer, ValueError) as error:
            raise SourceFailed(f"{self._host} does not answer as it should", error=type(error).__name__) from None

    @property
    def _talk(self) -> Wire:
        assert self._wire is not None
        return self._wire

    def _connected(self, addresses: Sequence[str], port: int) -> socket.socket:
        failure = OSError("no address")
        for address in addresses:
            try:
                connected = socket.create_connection((address, port), CONNECT_LIMIT_S)
            except OSError as error:
                failure = error
                continue
            connected.settimeout(SILENCE_S)
            self._socket = connected
            if self._is_closed:  # nobody waits any more
                connected.close()
            return connected
        raise failure

    def _log_in(self, wire: Wire, username: str, password: Secret) -> None:
        try:
            wire.say_password(username, password)
        except UnicodeEncodeError:
            raise SourceRefused(f"{self._host} takes only ASCII in user names and passwords") from None
        except wire.abort:
            raise
        except wire.error as error:
            words = error.args[0] if error.args else b""
            said = words if isinstance(words, bytes) else str(words).encode("utf-8", "replace")
            if any(code in said.upper() for code in _PASSING):
                raise SourceFailed(f"{self._host} lets nobody in just now") from None
            text = f"{self._host} refuses the user name or password"
            shown = _shown(said, password)
            raise SourceRefused(f"{text}: {shown}" if shown else text) from None

    def _mailboxes(self, with_sizes: bool) -> list[RemoteMailbox]:
        wire = self._talk
        self._list()
        tells_sizes = wire.offers("STATUS=SIZE")
        items = "(MESSAGES SIZE)" if tells_sizes else "(MESSAGES)"
        left = SIZED_MESSAGES_MAX
        found: list[RemoteMailbox] = []
        for each in self._listed.values():
            wire.allow()
            kind, data = wire.status(quoted(each.wire_name.decode("ascii")), items)
            if kind != "OK" or not data or data[-1] is None:
                continue  # listed, and not to be opened
            counts = answers.counts(_pieces(data))
            message_count = counts.get("MESSAGES", 0)
            size = counts.get("SIZE")
            if with_sizes and not tells_sizes and message_count <= left:
                left -= message_count
                size = self._size(each.name) if message_count else 0
            found.append(RemoteMailbox(each.name, each.levels, each.special_use, message_count, size))
        return found

    def _list(self) -> None:
        wire = self._talk
        wire.allow()
        if wire.offers("SPECIAL-USE") and wire.offers("LIST-EXTENDED"):
            kind, _ = wire.xatom("LIST", '""', '"*"', "RETURN", "(SPECIAL-USE)")
            data = wire.response("LIST")[1]
        else:
            kind, data = wire.list('""', '"*"')
        if kind != "OK":
            raise wire.error("LIST is refused")
        listed = [each for each in answers.listed(_pieces(data)) if each.is_selectable][:MAILBOXES_MAX]
        self._listed = {each.name: each for each in sorted(listed, key=lambda each: each.levels)}

    def _size(self, name: str) -> int:
        """Add up what the messages of a mailbox are."""
        count = self._open(name).message_count
        sum_octets = 0
        for first in range(1, count + 1, SIZED_STEP):
            last = min(first + SIZED_STEP - 1, count)
            sum_octets += sum(each.size_octets or 0 for each in self._fetch(f"{first}:{last}", "(RFC822.SIZE)"))
        return sum_octets

    def _open(self, name: str) -> OpenedRemote:
        wire = self._talk
        if name not in self._listed:
            self._list()
        if name not in self._listed:
            raise NoSuchMailbox(name=name)
        wire.allow()
        kind, data = wire.select(quoted(self._listed[name].wire_name.decode("ascii")), readonly=True)
        if kind != "OK":
            raise NoSuchMailbox(name=name)
        self._name = name
        self._message_count = int(data[-1] or b"0")
        self._listed_to = None
        _, uidvalidity = wire.response("UIDVALIDITY")
        if not uidvalidity or not isinstance(uidvalidity[-1], bytes):
            raise wire.error("no UIDVALIDITY")
        self._uidvalidity = UidValidity(int(uidvalidity[-1]))
        return OpenedRemote(self._uidvalidity, self._message_count)

    def _listing(self, after: Uid, limit: int) -> list[RemoteMessage]:
        labels = " X-GM-LABELS" if self.has_labels else ""
        items = f"(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]{labels})"
        first = self._first_after(after)
        while first <= self._message_count:
            last = min(first + limit - 1, self._message_count)
            found = {
                each.uid: _message(each)
                for each in self._fetch(f"{first}:{last}", items, limit * LISTING_OCTETS_EACH)
                if each.uid is not None and each.uid > after
            }
            first = last + 1
            if found:
                self._listed_to = (max(found), first)
                return [found[uid] for uid in sorted(found)]
        return []

    def _first_after(self, after: Uid) -> int:
        """Give the number of the first message with a higher UID: remembered, or searched for by halving."""
        wire = self._talk
        _, exists = wire.response("EXISTS")
        if exists and isinstance(exists[-1], bytes):
            self._message_count = int(exists[-1])
        _, expunged = wire.response("EXPUNGE")
        if any(expunged):  # numbers have moved
            uidvalidity = self._uidvalidity
            if self._open(self._name).uidvalidity != uidvalidity:
                raise wire.error("another UIDVALIDITY")
        if not after:
            return 1
        if self._listed_to is not None and self._listed_to[0] == after:
            return self._listed_to[1]
        low, high = 1, self._message_count + 1
        while low < high:
            middle = (low + high) // 2
            uids = [each.uid for each in self._fetch(f"{middle}", "(UID)") if each.seqnum == middle and each.uid]
            if not uids or uids[-1] > after:
                high = middle
            else:
                low = middle + 1
        return low

    def _octets(self, messages: Sequence[RemoteMessage]) -> dict[Uid, bytes | None]:
        wire = self._talk
        uids = ",".join(str(each.uid) for each in messages)
        # A server may count otherwise than it sends; one that is far off is no server to talk to.
        expected = sum(each.size_octets for each in messages)
        wire.allow(2 * expected + self._octets_max + ANSWER_OCTETS_MAX, self._octets_max)
        kind, data = wire.uid("FETCH", uids, "(UID BODY.PEEK[])")
        if kind != "OK":
            raise wire.error("FETCH is refused")
        wanted = {each.uid for each in messages}
        return {
            each.uid: None if each.octets == TOO_LARGE else each.octets
            for each in answers.fetched(_pieces(data))
            if each.uid in wanted and each.octets is not None
        }

    def _fetch(self, numbers: str, items: str, octets: int = 0) -> list[answers.Fetched]:
        wire = self._talk
        wire.allow(max(octets, SIZED_STEP * 256))
        kind, data = wire.fetch(numbers, items)
        if kind != "OK":
            raise wire.error("FETCH is refused")
        return answers.fetched(_pieces(data))


def _pieces(data: Sequence[object]) -> list[answers.Piece]:
    """Give what `imaplib` has gathered without its None, which stands for nothing."""
    pieces: list[answers.Piece] = []
    for each in data:
        if isinstance(each, bytes):
            pieces.append(each)
        elif isinstance(each, tuple):
            pieces.append((each[0], each[1]))
    return pieces


def _message(each: answers.Fetched) -> RemoteMessage:
    assert each.uid is not None
    _, _, value = (each.header or b"").partition(b":")
    message_ids = message_ids_in(value.strip())
    return RemoteMessage(
        each.uid,
        each.seqnum,
        each.size_octets or 0,
        each.flags,
        each.internaldate,
        message_ids[0] if message_ids else None,
        each.labels,
    )


def _shown(said: bytes, password: Secret) -> str:
    """Give what a server says to a log-in, for people: bounded, printable, and never with the password in it."""
    text = said.decode("utf-8", "replace")
    if not password or password.reveal() in text:
        return ""
    text = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return text[:TEXT_CHARACTERS_MAX]
