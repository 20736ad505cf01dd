"""A house with an ordinary domain and a chat domain beside it, a client for it, and a relay elsewhere that signs its mail."""

import base64
import contextlib
from dataclasses import dataclass, replace
from typing import Any

import player

from mailauth.zones import Zones
from mailstead.mailauth import dkim
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.proto.sasl.client import plain_response
from services.smtp.smtp_house import ADMIN, PASSWORD, SmtpHouse, open_smtp_house

TLS_PEER = Peer("192.0.2.77", 50000, 2465, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
CLEAR_PEER = Peer("192.0.2.77", 50000, 2525)
ADA, BEA = "ada@chat.test", "bea@chat.test"
REMOTE = "carl@relay.test"


class Talk:
    """A client that says lines and reads whole replies."""

    def __init__(self, session, peer):
        self.conversation = player.MemoryConversation(session, peer)

    async def read(self):
        lines = []
        while True:
            lines.append((await self.conversation.line()).decode())
            if lines[-1][3:4] != "-":
                return "\n".join(lines)

    async def say(self, *lines):
        await self.conversation.send("".join(f"{line}\r\n" for line in lines).encode())
        return [await self.read() for _ in lines]

    async def send(self, sender, to, octets):
        """One message to one recipient or several; the answer to its end, or the refusal before."""
        to = [to] if isinstance(to, str) else to
        answers = await self.say(f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{each}>" for each in to))
        refused = [answer for answer in answers if answer[0] != "2"]
        if refused:
            await self.say("RSET")
            return refused[0]
        await self.say("DATA")
        stuffed = octets.replace(b"\r\n.", b"\r\n..").removesuffix(b"\r\n")
        await self.conversation.send(stuffed + b"\r\n.\r\n")
        return await self.read()


@dataclass
class ChatHouse:
    smtp: SmtpHouse
    relay_keys: list[Any]

    @property
    def house(self):
        return self.smtp.house

    @contextlib.asynccontextmanager
    async def mx(self, peer=TLS_PEER):
        async with self._talk(self.smtp.mx(is_encrypted=peer.is_encrypted), peer) as client:
            yield client

    @contextlib.asynccontextmanager
    async def login(self, name):
        async with self._talk(self.smtp.submission(), TLS_PEER) as client:
            response = base64.b64encode(plain_response(name, Secret(PASSWORD))).decode()
            assert (await client.say(f"AUTH PLAIN {response}"))[0].startswith("235 ")
            yield client

    @contextlib.asynccontextmanager
    async def _talk(self, session, peer):
        client = Talk(session, peer)
        await client.read()
        await client.say("EHLO [127.0.0.1]")
        try:
            yield client
        finally:
            await client.conversation.close()

    def signed(self, octets):
        """With the signature of relay.test."""
        return dkim.sign(octets, [dkim.load_key(key) for key in self.relay_keys], self.house.clock.now()) + octets

    async def terms(self, domain="chat.test", **changes):
        directory = self.smtp.storage.directory
        found = await directory.domain(domain)
        await directory.set_terms(domain, replace(found.terms, **changes))

    async def messages(self, name):
        return await self.smtp.messages(name)

    async def queued(self):
        """All that waits to leave, as it would be sent, with its item."""
        items = await self.smtp.queued()
        return [(item, await self.smtp.storage.queue.octets(item.item_id)) for item in items]


_keys: list[Any] = []


def publish(zones, keys):
    for key in keys:
        zones.names[f"{key.selector}._domainkey.{key.domain}"] = {"TXT": [dkim.public_record(key)]}


@contextlib.asynccontextmanager
async def open_chat_house(folder, *, clock=None, **how):
    """ada and bea at chat.test, alice and bob at example.test; relay.test is elsewhere and has published its keys."""
    zones = Zones()
    async with open_smtp_house(folder, zones=zones, clock=clock, **how) as smtp:
        house = smtp.house
        if not _keys:
            _keys.extend(dkim.new_keys("relay.test", house.clock.now(), "s"))
        publish(zones, _keys)
        await house.domains.add(ADMIN, "chat.test", "chatmail")
        for address in (ADA, BEA):
            await house.accounts.create(ADMIN, Address.parse(address), Secret(PASSWORD))
        yield ChatHouse(smtp, list(_keys))
