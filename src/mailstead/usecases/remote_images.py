"""Pictures in messages that lie on the web, fetched by the house so that their owners do not see the reader.

The frame that shows a message has no origin and sends no cookies, so the address of a picture says by itself for whom
it is: it is signed with a key of the account, and ends. It is made only when the reader asks for remote content. Who
has such an address can have one picture fetched until it ends, and nothing else.

What is fetched: over the client that never leaves the public Internet (attack row 37), without cookies, referrer or
anything of the reader, a few redirects followed, each one checked anew. What is given: raster images by their first
octets, under headers with which nothing in them could ever run (attack rows 86, 87).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from hmac import compare_digest, digest
from typing import Final
from urllib.parse import quote, urljoin
from weakref import WeakValueDictionary

from mailstead.mime.showing.raster import raster
from mailstead.mime.showing.web_addresses import web_address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, PolicyRefused, TryAgainLater, WebFailed, WebRefused
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.ports.web import WebClient, WebResponse

PATH: Final = "/remote-image/"
"""Where the web service answers for `fetch`; what comes behind is the token."""
LIFE: Final = timedelta(hours=1)
STEP_S: Final = 900
"""Ends are multiples of it, so that a message shown twice has the same addresses and the browser has its pictures."""
URL_CHARACTERS_MAX: Final = 3000
TOKEN_CHARACTERS_MAX: Final = 8000
OCTETS_MAX: Final = 8 << 20
LIMIT_S: Final = 20.0
"""Of all redirects together."""
REDIRECTS_MAX: Final = 3
AT_ONCE_MAX: Final = 12
AT_ONCE_PER_ACCOUNT_MAX: Final = 6
WAITING_PER_ACCOUNT_MAX: Final = 100
PER_HOUR_MAX: Final = 3000
"""Of one account, in one process."""
_COUNTED_MAX: Final = 10_000

_END: Final = struct.Struct("!I16s")
_MAC_OCTETS: Final = 32
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REFUSED: Final = "This address of a picture is not good, or not any more"
_FIELDS: Final = {
    "Accept": "image/webp,image/png,image/jpeg,image/gif",
    # Neither the reader's program nor our name.
    "User-Agent": "Mozilla/5.0 (compatible; mail image proxy)",
}
# Nothing of this has a meaning of its own in a URL; what is there stays, the rest is escaped. Spec: RFC 3986 §2.
_KEPT: Final = "!#$%&'()*+,/:;=?@[]~"


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """A picture as it may be passed on."""

    media_type: str
    suffix: str
    octets: bytes = field(repr=False)

    def headers(self) -> dict[str, str]:
        """Give the header fields of the answer: it is this kind of picture, and nothing else."""
        return {
            "Content-Type": self.media_type,
            "Content-Length": str(len(self.octets)),
            "Content-Disposition": f'inline; filename="picture.{self.suffix}"',
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            # The frame has no origin, so that everything is of another site for it.
            "Cross-Origin-Resource-Policy": "cross-origin",
            "Cache-Control": f"private, max-age={int(LIFE.total_seconds())}, immutable",
        }


class RemoteImages:
    """Makes addresses and fetches what they stand for. `key` is the house's own, for nothing else."""

    def __init__(self, storage: Storage, web: WebClient, clock: Clock, key: bytes) -> None:
        self._directory = storage.directory
        self._web = web
        self._clock = clock
        self._key = key
        self._at_once = asyncio.Semaphore(AT_ONCE_MAX)
        self._turns: WeakValueDictionary[AccountId, _Turn] = WeakValueDictionary()
        self._counts: OrderedDict[AccountId, tuple[int, int]] = OrderedDict()

    def addresses(self, actor: Actor) -> Callable[[str], str | None]:
        """Give what makes addresses for the actor's account; for `showing.message.shown`.

        Shapes: a path of our own (`PATH` and a token); None for what is no web address, or a very long one.
        Errors: NotAllowed for an actor without an account.
        """
        if actor.account_id is None:
            raise NotAllowed
        account_id = actor.account_id
        now_s = int(self._clock.now().timestamp())
        end_s = -(-(now_s + int(LIFE.total_seconds())) // STEP_S) * STEP_S
        key = self._key_of(account_id)

        def address(url: str) -> str | None:
            url = _ascii(url)
            if not url or len(url) > URL_CHARACTERS_MAX:
                return None
            head = _END.pack(end_s, account_id.encode("ascii")) + url.encode("ascii")
            return PATH + base64.urlsafe_b64encode(digest(key, head, "sha256") + head).decode("ascii").rstrip("=")

        return address

    async def fetch(self, token: str, actor: Actor | None = None) -> RemoteImage:
        """Fetch the picture that a token stands for. `actor`, where the request says who asks, must be its account.

        Errors: PolicyRefused for a token that is not good, one and the same for all that may be wrong with it, and for
        what is no picture; WebRefused, WebFailed; TryAgainLater when an account asks for too much.
        """
        account_id, url = self._read(token)
        if actor is not None and actor.account_id != account_id:
            raise PolicyRefused(_REFUSED)
        account = await self._directory.account(account_id)
        if account is None or not account.is_enabled:
            raise PolicyRefused(_REFUSED)
        self._count(account_id)
        turn = self._turns.get(account_id)
        if turn is None:
            turn = self._turns[account_id] = _Turn()
        if turn.waiting_count >= WAITING_PER_ACCOUNT_MAX:
            raise TryAgainLater
        turn.waiting_count += 1
        try:
            async with turn.semaphore, self._at_once:
                return await self._fetched(url)
        finally:
            turn.waiting_count -= 1

    async def _fetched(self, url: str) -> RemoteImage:
        try:
            async with asyncio.timeout(LIMIT_S):
                response = await self._followed(url)
        except TimeoutError:
            raise WebFailed from None
        if response.status != 200:
            raise WebFailed(f"The web server answers {response.status}")
        found = raster(response.octets)
        if found is None or not found.is_reasonable:
            raise PolicyRefused("That is no picture that can be shown")
        return RemoteImage(found.media_type, found.suffix, response.octets)

    async def _followed(self, url: str) -> WebResponse:
        """Ask, and go where the answer leads; never from https to http."""
        for _ in range(REDIRECTS_MAX + 1):
            response = await self._web.send("GET", url, None, _FIELDS, octets_max=OCTETS_MAX, limit_s=LIMIT_S)
            if response.status not in _REDIRECTS:
                return response
            try:
                target = _ascii(web_address(urljoin(url, response.headers.get("location", ""))))
            except ValueError:
                target = ""
            if not target or (url.startswith("https:") and not target.startswith("https:")):
                raise WebRefused("The picture's address leads to where we do not go")
            url = target
        raise WebRefused("The picture's address leads on and on")

    def _read(self, token: str) -> tuple[AccountId, str]:
        """Take a token apart. Errors: PolicyRefused."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise PolicyRefused(_REFUSED)
        try:
            octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            mac, head = octets[:_MAC_OCTETS], octets[_MAC_OCTETS:]
            end_s, account_octets = _END.unpack_from(head)
            account_id = AccountId(account_octets.decode("ascii"))
            url = head[_END.size :].decode("ascii")
        except (binascii.Error, struct.error, ValueError):
            raise PolicyRefused(_REFUSED) from None
        is_signed = compare_digest(mac, digest(self._key_of(account_id), head, "sha256"))
        if not is_signed or self._clock.now().timestamp() > end_s:
            raise PolicyRefused(_REFUSED)
        return account_id, url

    def _key_of(self, account_id: AccountId) -> bytes:
        return digest(self._key, account_id.encode("ascii"), "sha256")

    def _count(self, account_id: AccountId) -> None:
        """Count one more in this hour. Errors: TryAgainLater."""
        hour = int(self._clock.monotonic_s() // 3600)
        counted_in, count = self._counts.pop(account_id, (hour, 0))
        count = count if counted_in == hour else 0
        self._counts[account_id] = (hour, count + 1)
        if len(self._counts) > _COUNTED_MAX:
            self._counts.popitem(last=False)
        if count >= PER_HOUR_MAX:
            raise TryAgainLater("Too many pictures were asked for; please try again later")


class _Turn:
    """How many fetches of an account are under way or wait."""

    def __init__(self) -> None:
        self.semaphore: Final = asyncio.Semaphore(AT_ONCE_PER_ACCOUNT_MAX)
        self.waiting_count = 0


def _ascii(url: str) -> str:
    """Escape what is not ASCII, and nothing that is there already; a host outside ASCII as A-labels."""
    if url.isascii():
        return url
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    try:
        return f"{scheme}://{host.encode('idna').decode('ascii')}{slash}{quote(path, safe=_KEPT)}"
    except UnicodeError:
        return ""
