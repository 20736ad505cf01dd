"""WebSockets: who may listen, what is told in which form, which limits hold, and with which code it ends."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind, CollectionTraits
from mailstead.model.envelope import Peer
from mailstead.model.flags import FlagOperation
from mailstead.model.secret import Secret
from mailstead.model.uidset import UidSet
from mailstead.services.api.house import ApiTerms
from mailstead.services.api.socket_limits import SocketTerms
from mailstead.usecases.mailboxes import Draft
from mailstead.wiring.api import make_app
from mailstead.wiring.house import ADMINISTRATOR
from services.api.asking import BASE_URL, PASSWORD, asking, basic
from services.api.listening import listening
from usecases.api_home import event

ALICE = "alice@example.test"
MESSAGE = b"From: Bob <bob@example.test>\r\nSubject: Secret plans\r\n\r\nHello, Alice\r\n"
PEER = Peer("192.0.2.9", 1, tls_version="TLSv1.3")
GOLDEN = Path(__file__).parents[2] / "golden" / "api"
AUTH = {"event": "auth", "username": ALICE, "password": PASSWORD}


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as made:
        yield made


def app_of(api, terms=None, **limits):
    return make_app(
        api.house,
        terms=replace(ApiTerms(base_url=BASE_URL), **(terms or {})),
        sockets=replace(SocketTerms(), **limits),
    )


async def account_of(api, name="alice"):
    return await api.house.storage.directory.find(Address.parse(f"{name}@example.test"))


async def alias_id(api, name="alice"):
    entry = await api.house.storage.people.address_entry("example.test", name)
    return entry.profile.object_id


async def append(api, name="alice", folder="INBOX", count=1):
    account = await account_of(api, name)
    actor = await api.house.accounts.log_in(str(account.address), Secret(PASSWORD), PEER, "imap")
    return await api.house.mailboxes.append(actor, folder, [Draft(MESSAGE) for _ in range(count)])


# who may listen


async def test_an_owner_listens_by_address_and_password(api):
    async with listening(api.app, authorization=basic(ALICE, PASSWORD)) as socket:
        assert await socket.next() == {"event": "connected", "aliasId": await alias_id(api)}
        await append(api)
        told = await socket.next()
        assert (told["event"], told["message"]["subject"], told["message"]["from"]) == (
            "newMessage", "Secret plans", "Bob <bob@example.test>",
        )  # fmt: skip


async def test_a_user_listens_by_a_token_to_what_he_looks_after_and_hears_no_content(api):
    object_id = await alias_id(api)
    token = await api.token("domain admin")
    async with listening(api.app, f"/v1/ws?alias_id={object_id}", authorization=basic(token)) as socket:
        assert await socket.next() == {"event": "connected", "aliasId": object_id}
        await append(api)
        told = await socket.next()
        assert (told["event"], told["message"]["uid"]) == ("newMessage", 1)
        assert "Secret" not in str(told)
        assert "bob@" not in str(told)
        store = api.house.storage.accounts.of((await account_of(api)).account_id)
        inbox = (await store.mailbox("INBOX")).mailbox_id
        await store.store_flags(inbox, UidSet.of([1]), FlagOperation.ADD, ["\\Seen", "Secret"])
        told = await socket.next()
        assert (told["event"], told["flags"]) == ("flagsUpdated", ["\\Seen"])
        assert "Secret" not in str(told)
        await api.ask("POST", "/v1/calendar-events", {"ical": event("one", summary="Secret tea").decode()})
        while (told := await socket.next())["event"] != "calendarEventCreated":
            pass
        assert "Secret" not in str(told)


@pytest.mark.parametrize("is_token", [False, True])
async def test_a_first_frame_logs_in(api, is_token):
    object_id = await alias_id(api)
    frame = {**AUTH, "alias_id": object_id}
    if is_token:
        frame |= {"username": await api.token("domain admin"), "password": ""}
    async with listening(api.app, "/v1/ws?auth=message") as socket:
        socket.say(frame)
        assert await socket.next() == {"event": "connected", "aliasId": object_id}
        socket.say({"event": "ignored"})
        await append(api)
        assert (await socket.next())["event"] == "newMessage"


async def test_nobody_hears_broadcasts_only(api):
    async with listening(api.app) as socket:
        assert await socket.next() == {"event": "connected", "broadcastOnly": True}
        await append(api)
        socket.say({"event": "ignored"})
    assert await socket.end() == []


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?username=alice@example.test&password=x", {}, 400),
        ("?token=x", {}, 400),
        ("?Authorization=Basic", {}, 400),
        ("?auth=message", {"authorization": basic(ALICE, PASSWORD)}, 400),
        ("?auth=other", {}, 400),
        ("?alias_id=1&alias_id=2", {}, 400),
        ("", {"authorization": basic(ALICE, "wrong")}, 401),
        ("", {"authorization": basic("nobody@example.test", PASSWORD)}, 401),
        ("", {"authorization": basic("no-such-token")}, 401),
        ("", {"authorization": "Basic ???"}, 401),
        ("?alias_id=" + "0" * 24, {"authorization": basic(ALICE, PASSWORD)}, 403),
    ],
)
async def test_handshakes_are_refused_with_a_status(api, query, headers, status):
    async with listening(api.app, f"/v1/ws{query}", **headers) as socket:
        assert await socket.end() == []
    assert (socket.status, socket.is_accepted) == (status, False)
    assert socket.body["statusCode"] == status
    assert ("www-authenticate" in socket.headers) == (status == 401)


async def test_attack_092_a_token_opens_no_mailbox_of_others(api):
    object_id = await alias_id(api)
    for role, query, status in (
        ("member", f"?alias_id={object_id}", 403),
        ("stranger", f"?alias_id={object_id}", 403),
        ("domain admin", "", 400),
        ("domain admin", "?alias_id=" + "f" * 24, 403),
    ):
        async with listening(api.app, f"/v1/ws{query}", authorization=basic(await api.token(role))) as socket:
            await socket.end()
        assert socket.status == status, (role, query)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("nonsense", 4400),
        ("[1]", 4400),
        ({"event": "hello"}, 4400),
        ({**AUTH, "event": "log in"}, 4400),
        ({**AUTH, "more": 1}, 4400),
        ({**AUTH, "username": ""}, 4400),
        ({**AUTH, "username": 7}, 4400),
        ({**AUTH, "password": "x" * 1024}, 4400),
        ("[" * 1000, 4400),
        ({**AUTH, "password": "wrong"}, 4401),
        ({**AUTH, "username": "no-such-token", "password": ""}, 4401),
        ({**AUTH, "alias_id": "0" * 24}, 4403),
    ],
)
async def test_a_first_frame_is_refused_with_a_code(api, frame, code):
    async with listening(api.app, "/v1/ws?auth=message") as socket:
        socket.say(frame)
        assert await socket.end() == []
    assert (socket.code, socket.is_accepted) == (code, True)
    assert PASSWORD not in socket.reason


async def test_who_says_nothing_is_let_go(api):
    async with listening(app_of(api, log_in_s=0.0), "/v1/ws?auth=message") as socket:
        await socket.end()
    assert socket.code == 4408


async def test_attack_089_pages_of_elsewhere_do_not_listen(api):
    log_in = {"authorization": basic(ALICE, PASSWORD)}
    for headers in ({"origin": "https://evil.test"}, {"sec_fetch_site": "cross-site"}):
        for query in ("", "?auth=message"):
            async with listening(api.app, f"/v1/ws{query}", **headers, **(log_in if not query else {})) as socket:
                await socket.end()
            assert socket.status == 403
    app = app_of(api, {"allowed_origins": frozenset({"https://webmail.test"})})
    for origin in (BASE_URL, "https://webmail.test"):
        async with listening(app, origin=origin, **log_in) as socket:
            assert (await socket.next())["event"] == "connected"


async def test_credentials_go_over_tls_only(api):
    async with listening(api.app, authorization=basic(ALICE, PASSWORD)) as socket:
        socket.scope["state"]["tls_version"] = None
        await socket.end()
    assert socket.status == 403


# how it ends


async def test_attack_064_a_changed_password_ends_it(api):
    async with listening(api.app, authorization=basic(ALICE, PASSWORD)) as socket:
        await socket.next()
        await api.house.accounts.set_password(ADMINISTRATOR, Address.parse(ALICE), Secret(PASSWORD + "-new"))
        await socket.end()
    assert socket.code == 4001


async def test_attack_064_a_token_that_is_taken_back_ends_it(api):
    token, object_id = await api.token("domain admin"), await alias_id(api)
    async with listening(api.app, f"/v1/ws?alias_id={object_id}", authorization=basic(token)) as socket:
        await socket.next()
        people, user = api.house.storage.people, api.users["domain admin"]
        await people.remove_token(user.user_id, (await people.tokens(user.user_id))[0].token_id)
        await socket.end()
    assert socket.code == 4001


async def test_attack_010_who_does_not_read_is_cut_off_and_nothing_is_kept_for_him(api):
    app = app_of(api, queued_octets=2000, cut_s=0.0)
    async with listening(app, authorization=basic(ALICE, PASSWORD)) as socket:
        await socket.next()
        socket.reads.clear()
        for _ in range(4):
            await append(api, count=2)
        async with asyncio.timeout(20):
            await socket._task
        assert (socket.is_aborted, socket.code) == (True, None)
        socket.reads.set()


async def test_attack_010_who_reads_again_in_time_hears_why(api):
    app = app_of(api, queued_frames=3, cut_s=20.0)
    async with listening(app, authorization=basic(ALICE, PASSWORD)) as socket:
        await socket.next()
        socket.reads.clear()
        await append(api, count=20)
        async with asyncio.timeout(20):
            await socket.is_closing.wait()
        socket.reads.set()
        await socket.end()
    assert (socket.code, socket.is_aborted) == (1013, False)


# limits


async def statuses(app, count, query="", address="192.0.2.1", first="", **headers):
    """Open so many at once; give how each fared."""
    found = []
    async with AsyncExitStack() as stack:
        for _ in range(count):
            socket = await stack.enter_async_context(listening(app, f"/v1/ws{query}", address, **headers))
            if first:
                socket.say(first)
            if query == "?auth=message" and not first:
                while not (socket.is_accepted or socket.status):
                    await asyncio.sleep(0)
                found.append(socket.status or "open")
                continue
            message = await socket.raw()
            found.append("open" if message else socket.status or socket.code)
    return found


async def test_there_are_so_many_and_no_more(api):
    assert await statuses(app_of(api), 4) == ["open"] * 3 + [429]
    log_in = {"authorization": basic(ALICE, PASSWORD)}
    assert await statuses(app_of(api, of_account=2), 3, **log_in) == ["open", "open", 429]
    assert await statuses(app_of(api, of_account=2), 3, "?auth=message", first=AUTH) == ["open", "open", 4429]
    assert await statuses(app_of(api, waiting=2), 3, "?auth=message") == ["open", "open", 429]
    assert await statuses(app_of(api, opened_per_minute=2), 3) == ["open", "open", 429]
    assert await statuses(app_of(api, in_all=2), 3) == ["open", "open", 429]


async def test_who_has_left_makes_room(api):
    app = app_of(api)
    for _ in range(3):
        assert await statuses(app, 3) == ["open"] * 3


async def test_a_network_of_ipv6_counts_as_one(api):
    app = app_of(api, waiting=2, waiting_wide=3)
    async with AsyncExitStack() as stack:
        found = []
        for address in ("2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:1::3", "2001:db8:1:2::1", "2001:db8:1:3::1"):
            socket = await stack.enter_async_context(listening(app, "/v1/ws?auth=message", address))
            while not (socket.is_accepted or socket.status):
                await asyncio.sleep(0)
            found.append(socket.status or "open")
    assert found == ["open", "open", 429, "open", 429]


async def test_attack_061_wrong_log_ins_are_counted_with_those_of_other_protocols(api):
    app = app_of(api, failures=3)
    for _ in range(3):
        assert await statuses(app, 1, authorization=basic(ALICE, "wrong")) == [401]
    assert await statuses(app, 1, authorization=basic(ALICE, PASSWORD)) == [429]
    assert await statuses(app, 1, address="198.51.100.1", authorization=basic(ALICE, PASSWORD)) == ["open"]


# what is told


async def test_frames_as_messagepack(api):
    async with listening(api.app, "/v1/ws?msgpackr=true", authorization=basic(ALICE, PASSWORD)) as socket:
        first = msgspec.msgpack.decode((await socket.raw())["bytes"])
        assert first == {"event": "connected", "aliasId": await alias_id(api)}
        await append(api)
        assert msgspec.msgpack.decode((await socket.raw())["bytes"])["event"] == "newMessage"


async def test_every_event_has_its_frame(api):
    """The names of fields are written down in tests/golden/api/events.json."""
    kept = msgspec.json.decode((GOLDEN / "events.json").read_bytes())
    found = {}
    await api.ask("GET", "/v1/calendars")
    async with listening(api.app, authorization=basic(ALICE, PASSWORD)) as socket:
        await socket.next()

        async def told(*names):
            for _ in names:
                frame = await socket.next()
                assert frame["notification_id"]
                assert frame["timestamp"].endswith("Z")
                found[frame["event"]] = fields_of(frame)
            assert set(names) <= set(found), found.keys()

        store = api.house.storage.accounts.of((await account_of(api)).account_id)
        inbox = (await store.mailbox("INBOX")).mailbox_id
        await append(api)
        await told("newMessage")
        await store.store_flags(inbox, UidSet.of([1]), FlagOperation.ADD, ["\\Seen"])
        await told("flagsUpdated")
        await store.copy(inbox, UidSet.of([1]), "Archive")
        await told("messagesCopied")
        await store.move(inbox, UidSet.of([1]), "Trash")
        await told("messagesMoved")
        await store.expunge((await store.mailbox("Trash")).mailbox_id, None, only_deleted=False)
        await told("messagesExpunged")
        await store.create_mailbox("Work")
        await told("mailboxCreated")
        await store.rename_mailbox("Work", "Office")
        await told("mailboxRenamed")
        await store.delete_mailbox("Office")
        await told("mailboxDeleted")
        calendar = (await api.ask("POST", "/v1/calendars", {"name": "Work"})).json()["id"]
        await told("calendarCreated")
        body = {"ical": event("one").decode(), "calendar_id": calendar}
        made = (await api.ask("POST", "/v1/calendar-events", body)).json()["id"]
        await told("calendarEventCreated")
        await api.ask("PUT", f"/v1/calendar-events/{made}", {"ical": event("one", summary="New").decode()})
        await told("calendarEventUpdated")
        await api.ask("DELETE", f"/v1/calendar-events/{made}")
        await told("calendarEventDeleted")
        await api.ask("PUT", f"/v1/calendars/{calendar}", {"name": "Office"})
        await told("calendarUpdated")
        await api.ask("DELETE", f"/v1/calendars/{calendar}")
        await told("calendarDeleted")
        made = (await api.ask("POST", "/v1/contacts", {"full_name": "Ada"})).json()["id"]
        await told("contactCreated")
        await api.ask("PUT", f"/v1/contacts/{made}", {"full_name": "Bea"})
        await told("contactUpdated")
        await api.ask("DELETE", f"/v1/contacts/{made}")
        await told("contactDeleted")
        book = await store.dav.create_collection(CollectionKind.ADDRESSBOOK, "more", CollectionTraits("More"))
        await told("addressBookCreated")
        await store.dav.set_traits(book.collection_id, CollectionTraits("Other"))
        await told("addressBookUpdated")
        await store.dav.delete_collection(book.collection_id)
        await told("addressBookDeleted")
    assert found == kept


def fields_of(value):
    """Give the names in a frame, without the values."""
    return {name: fields_of(each) if isinstance(each, dict) else "" for name, each in value.items()}
