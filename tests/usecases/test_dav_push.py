"""Push for calendars: who is told, when it is tried again, and that a restart forgets nothing."""

import asyncio
import re
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, NewResource, ResourceFacts
from mailstead.model.errors import NoSuchShare, PolicyRefused, WebFailed
from mailstead.net.web import SafeWebClient
from mailstead.ports.web import WebResponse
from mailstead.usecases.dav_push import LIFE, LIFE_MIN, DavPush
from mailstead.usecases.sharings import Sharings
from mailstead.usecases.web_push import Vapid, base64url, public_octets, unbase64url

URL = "https://push.test/secret-of-the-device"
CALENDAR = CollectionKind.CALENDAR
LIMIT_S = 20.0


class Device:
    """What a phone holds, and how it reads."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.public = base64url(public_octets(self.key))
        self.secret = base64url(b"0123456789abcdef")

    def read(self, octets):
        """Spec: RFC 8291 §3.4."""
        salt, sender = octets[:16], octets[21 : 21 + octets[20]]
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender))
        info = b"WebPush: info\x00" + public_octets(self.key) + sender

        def derived(key_salt, key, what, length):
            return HKDF(SHA256(), length, salt=key_salt, info=what).derive(key)

        seed = derived(unbase64url(self.secret), shared, info, 32)
        key = derived(salt, seed, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = derived(salt, seed, b"Content-Encoding: nonce\x00", 12)
        return AESGCM(key).decrypt(nonce, octets[21 + octets[20] :], None).rstrip(b"\x02").decode()


class Web:
    def __init__(self):
        self.posted = []
        self.answers = []

    async def post(self, url, octets, headers, *, octets_max, limit_s):
        self.posted.append((url, octets, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 201
        if isinstance(answer, Exception):
            raise answer
        return WebResponse(answer)


@pytest.fixture
def device():
    return Device()


@pytest.fixture
def web():
    return Web()


def made(storage, bus, clock, web):
    return DavPush(
        storage,
        bus,
        clock,
        web,
        Vapid(b"s" * 32, "https://mail.example.test"),
        b"k" * 32,
        token_of=lambda owner_id, collection: f"token-{collection.modseq}",
        merged_s=0.0,
    )


@pytest.fixture
def push(storage, bus, clock, web):
    return made(storage, bus, clock, web)


@pytest.fixture
def me(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
async def opened(collections, me, alice):
    return await collections.open(me, alice, CALENDAR, "default")


async def put(opened, name):
    await opened.store.put(
        opened.collection.collection_id, [NewResource(name, name.encode(), ResourceFacts(name, "VEVENT"))]
    )
    return (await opened.store.collection_by_id(opened.collection.collection_id)).modseq


async def told(push, *owners):
    push._changed.update(owners)
    return await push.tell_changes()


async def test_a_change_is_told_once_and_only_the_device_reads_it(push, web, device, me, alice, opened):
    await push.register(me, opened, URL, device.public, device.secret, None)
    assert await told(push, alice.account_id) == 0  # nothing has changed since
    modseq = await put(opened, "a")
    assert await told(push, alice.account_id) == 1
    assert await told(push, alice.account_id) == 0
    ((url, octets, headers),) = web.posted
    assert url == URL
    text = device.read(octets)
    assert re.search(r"<P:topic>(.*)</P:topic>", text)[1] == push.topic(opened) == headers["Topic"]
    assert f"<D:sync-token>token-{modseq}</D:sync-token>" in text
    assert (headers["Content-Encoding"], headers["TTL"]) == ("aes128gcm", "86400")
    assert headers["Authorization"].startswith("vapid t=")
    assert len(headers["Topic"]) <= 32


async def test_many_changes_make_one_message(push, web, device, me, alice, opened):
    await push.register(me, opened, URL, device.public, device.secret, None)
    for number in range(5):
        await put(opened, f"{number}")
    assert await told(push, alice.account_id) == 1
    assert len(web.posted) == 1


async def test_a_restart_forgets_nothing_and_two_processes_tell_once(
    push, storage, bus, clock, web, device, me, alice, opened
):
    await push.register(me, opened, URL, device.public, device.secret, None)
    await put(opened, "a")
    others = [made(storage, bus, clock, web) for _ in range(3)]
    assert sum(await asyncio.gather(*(told(each, alice.account_id) for each in others))) == 1


@pytest.mark.parametrize("names_it", [True, False])
async def test_a_device_is_not_told_what_it_has_done_itself(
    push, web, collections, device, me, alice, opened, names_it
):
    registered, _ = await push.register(me, opened, URL, device.public, device.secret, None)
    await push.register(me, opened, f"{URL}-other", device.public, device.secret, None)
    await put(opened, "a")
    await push.spare(me, opened, "a", frozenset({registered.push_id, "unknown"}) if names_it else None)
    await told(push, alice.account_id)
    assert [url for url, _, _ in web.posted] == ([f"{URL}-other"] if names_it else [])
    again = await collections.open(me, alice, CALENDAR, "default")
    await opened.store.delete(opened.collection.collection_id, "a")
    await push.spare(me, again, "a", None)
    assert await told(push, alice.account_id) == 0
    await put(opened, "b")
    assert await told(push, alice.account_id) == 2


async def test_others_changes_are_told_all_the_same(push, web, collections, device, me, bob, actor_of, alice, opened):
    registered, _ = await push.register(me, opened, URL, device.public, device.secret, None)
    mine = frozenset({registered.push_id})
    await put(opened, "a")
    await put(opened, "b")
    await push.spare(me, opened, "b", mine)  # a change of another device came between
    assert await told(push, alice.account_id) == 1
    await put(opened, "c")
    again = await collections.open(me, alice, CALENDAR, "default")
    await put(opened, "d")
    await push.spare(me, again, "d", mine)  # c was not told yet
    assert await told(push, alice.account_id) == 1
    again = await collections.open(me, alice, CALENDAR, "default")
    await put(opened, "e")
    await push.spare(actor_of(bob), again, "e", mine)  # not bob's device
    assert await told(push, alice.account_id) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_a_device_that_is_gone_is_told_no_more(push, web, storage, device, me, alice, opened, status):
    await push.register(me, opened, URL, device.public, device.secret, None)
    await put(opened, "a")
    web.answers = [status]
    assert await told(push, alice.account_id) == 0
    assert await storage.sharing.pushes() == []


@pytest.mark.parametrize("failure", [503, 429, WebFailed("down")])
async def test_what_fails_is_tried_again_later_and_later(push, web, clock, device, me, alice, opened, failure):
    await push.register(me, opened, URL, device.public, device.secret, None)
    await put(opened, "a")
    web.answers = [failure, failure, 201]
    waited = []
    await told(push, alice.account_id)
    while len(web.posted) < 3:
        before = len(web.posted)
        clock.passed_s += 1
        await push.tell_changes()
        waited.append(len(web.posted) - before)
    assert [index + 1 for index, each in enumerate(waited) if each] == [8, 8 + 64]


async def test_what_always_fails_is_given_up_until_the_next_change(push, web, clock, device, me, alice, opened):
    await push.register(me, opened, URL, device.public, device.secret, None)
    await put(opened, "a")
    web.answers = [500] * 4
    await told(push, alice.account_id)
    for _ in range(10):
        clock.passed_s += 3600
        await push.tell_changes()
    assert len(web.posted) == 4
    await put(opened, "b")
    assert await told(push, alice.account_id) == 1


async def test_a_refusal_is_not_tried_again(push, web, clock, device, me, alice, opened):
    await push.register(me, opened, URL, device.public, device.secret, None)
    await put(opened, "a")
    web.answers = [400]
    await told(push, alice.account_id)
    clock.passed_s += 3600
    await told(push, alice.account_id)
    assert len(web.posted) == 1


async def test_a_sharee_is_told_while_it_may_see(
    push, web, storage, collections, clock, device, me, alice, bob, actor_of, opened
):
    sharings, him = Sharings(storage, collections, clock), actor_of(bob)
    await sharings.share(me, opened, Address.parse("bob@example.test"), Access.READ)
    his = await collections.open(him, bob, CALENDAR, "default-alice")
    await push.register(him, his, URL, device.public, device.secret, None)
    await put(opened, "a")
    assert await told(push, alice.account_id) == 1
    await sharings.unshare(me, opened, Address.parse("bob@example.test"))
    await put(opened, "b")
    assert await told(push, alice.account_id) == 0
    assert await storage.sharing.pushes() == []


async def test_registered_again_is_renewed(push, storage, clock, device, me, opened):
    first, is_new = await push.register(me, opened, URL, device.public, device.secret, None)
    assert (is_new, first.expires_at) == (True, clock.now() + LIFE)
    clock.passed_s += 3600
    again, is_new = await push.register(
        me, opened, URL, device.public, device.secret, clock.now() + timedelta(minutes=1)
    )
    assert (is_new, again.push_id, again.expires_at) == (False, first.push_id, clock.now() + LIFE_MIN)
    assert await storage.sharing.pushes() == [again]


async def test_registrations_end(push, storage, clock, device, me, alice, bob, actor_of, opened):
    push_id = (await push.register(me, opened, URL, device.public, device.secret, None))[0].push_id
    with pytest.raises(NoSuchShare):
        await push.unregister(actor_of(bob), push_id)
    await push.unregister(me, push_id)
    with pytest.raises(NoSuchShare):
        await push.unregister(me, push_id)
    await push.register(me, opened, URL, device.public, device.secret, None)
    clock.passed_s += LIFE.total_seconds()
    await put(opened, "a")
    assert await told(push, alice.account_id) == 0
    assert await push.forget_old(clock.now()) == 1


@pytest.mark.parametrize(
    ("url", "public", "secret"),
    [
        ("http://push.test/x", None, None),
        ("https://", None, None),
        ("file:///etc/passwd", None, None),
        ("https://push.test/" + "x" * 3000, None, None),
        (URL, "AAAA", None),
        (URL, None, "AAAA"),
    ],
)
async def test_what_is_no_subscription(push, device, me, opened, url, public, secret):
    with pytest.raises(PolicyRefused):
        await push.register(me, opened, url, public or device.public, secret or device.secret, None)


async def test_attack_037_a_push_service_inside_the_house_is_not_reached(
    storage, bus, clock, device, me, alice, opened
):
    web = SafeWebClient(resolver=None, allows_private=False, ca_file="", hostname="us.test")
    push = made(storage, bus, clock, web)
    await push.register(me, opened, "https://127.0.0.1/admin", device.public, device.secret, None)
    await put(opened, "a")
    assert await told(push, alice.account_id) == 0
    assert await storage.sharing.pushes() == []


async def test_the_worker_is_woken_by_changes(push, web, device, me, alice, opened):
    stop = asyncio.Event()
    running = asyncio.create_task(push.run(stop))
    async with asyncio.timeout(LIMIT_S):
        await push.register(me, opened, URL, device.public, device.secret, None)
        await put(opened, "a")
        while not web.posted:
            await asyncio.sleep(0)
        await put(opened, "b")
        while len(web.posted) < 2:
            await asyncio.sleep(0)
    stop.set()
    await running
    assert len(web.posted) == 2
