"""Devices of programs: kept, made young, forgotten; woken by mail with nothing of what is in it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, NoSuchAlias, NoSuchPushToken, PolicyRefused, WebFailed, WebRefused
from mailstead.model.people import Group, ObjectId, User, UserId
from mailstead.usecases.account_events import AccountEvents
from mailstead.usecases.device_push import NEW_MAX, DevicePush
from mailstead.usecases.device_tokens import DEVICES_MAX, FAILURES_MAX, LIFE, DeviceTokens, Platform
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.staging import Staging
from mailstead.usecases.web_push import Vapid
from usecases.test_dav_push import URL, Device, Web

MESSAGE = b"From: Bob <bob@example.test>\r\nSubject: Secret plans\r\n\r\nHello, Alice\r\n"
WEB, APNS = Platform.WEB_PUSH, Platform.APNS


@pytest.fixture
def device():
    return Device()


@pytest.fixture
def web():
    return Web()


@pytest.fixture
async def tokens(storage, bus, clock):
    events = AccountEvents(storage, bus)
    yield DeviceTokens(storage, clock, events)
    await events.close()


@pytest.fixture
def push(storage, clock, web):
    return DevicePush(storage, clock, web, Vapid(b"s" * 32, "https://mail.example.test"))


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def subscription(device, url=URL):
    return json.dumps({"endpoint": url, "keys": {"p256dh": device.public, "auth": device.secret}})


async def arrive(mailboxes, push, actor, folder="INBOX", flags=frozenset()):
    await mailboxes.append(actor, folder, [Draft(MESSAGE, flags)])
    push.stored(actor.account_id)
    return await push.tell()


async def test_a_device_is_kept_and_made_young_again(tokens, actor, clock):
    first = await tokens.add(actor, APNS, "a" * 64, "phone")
    clock.passed_s += 1000
    again = await tokens.add(actor, APNS, "a" * 64, "my phone")
    assert (again.object_id, again.kept.created_s) == (first.object_id, first.kept.created_s)
    assert (again.kept.used_s, again.kept.device_name) == (first.kept.used_s + 1000, "my phone")
    other = await tokens.add(actor, Platform.FCM, "a" * 64, "")
    assert [each.object_id for each in await tokens.find(actor)] == [first.object_id, other.object_id]
    assert [each.object_id for each in await tokens.find(actor, APNS)] == [first.object_id]
    await tokens.remove(actor, first.object_id)
    with pytest.raises(NoSuchPushToken):
        await tokens.remove(actor, first.object_id)
    assert await tokens.remove_all(actor) == 1
    assert await tokens.find(actor) == []


async def test_a_device_runs_out(tokens, actor, clock):
    await tokens.add(actor, APNS, "old", "")
    clock.passed_s += (LIFE - timedelta(seconds=1)).total_seconds()
    assert len(await tokens.find(actor)) == 1
    clock.passed_s += 1
    assert await tokens.find(actor) == []


async def test_there_are_so_many_devices_and_the_oldest_goes(tokens, actor, clock):
    for number in range(DEVICES_MAX + 1):
        clock.passed_s += 1
        await tokens.add(actor, APNS, f"token-{number}", "")
    found = [each.kept.token for each in await tokens.find(actor)]
    assert (len(found), "token-0" in found) == (DEVICES_MAX, False)


@pytest.mark.parametrize(
    ("platform", "token", "error"),
    [
        (APNS, "a b", PolicyRefused),
        (APNS, "", PolicyRefused),
        (APNS, "x" * 4097, LimitReached),
        (WEB, "nonsense", PolicyRefused),
        (WEB, "[]", PolicyRefused),
        (WEB, '{"endpoint": "https://push.test/x", "keys": {}}', PolicyRefused),
        (WEB, '{"endpoint": 7, "keys": {"p256dh": "x", "auth": "x"}}', PolicyRefused),
    ],
)
async def test_what_is_no_token(tokens, actor, platform, token, error):
    with pytest.raises(error):
        await tokens.add(actor, platform, token, "")


@pytest.mark.parametrize("url", ["http://push.test/x", "https://user:pw@push.test/x", "ftp://push.test", "https://"])
async def test_attack_037_a_push_service_is_on_the_web_over_tls(tokens, actor, device, url):
    with pytest.raises(PolicyRefused):
        await tokens.add(actor, WEB, subscription(device, url), "")


async def test_mail_wakes_a_device_and_says_nothing_of_itself(tokens, push, web, device, mailboxes, actor):
    await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])  # before anybody has registered
    added = await tokens.add(actor, WEB, subscription(device), "browser")
    assert await arrive(mailboxes, push, actor) == 1
    ((url, octets, headers),) = web.posted
    assert (url, headers["Content-Encoding"]) == (URL, "aes128gcm")
    told = json.loads(device.read(octets))
    assert (told["event"], told["mailbox"], told["silent"], told["message"]["uid"]) == ("newMessage", "INBOX", False, 2)
    assert told["alias_id"] == added.listened.object_id
    assert "Secret" not in str(told)
    push.stored(actor.account_id)
    assert await push.tell() == 0  # told already


@pytest.mark.parametrize(
    ("folder", "flags", "is_silent"),
    [
        ("INBOX", (), False),
        ("Junk", (), True),
        ("Sent", (), True),
        ("Trash", (), True),
        ("INBOX", ("\\Seen",), True),
        ("INBOX", ("\\Draft",), True),
    ],
)
async def test_what_is_shown_and_what_is_silent(tokens, push, web, device, mailboxes, actor, folder, flags, is_silent):
    await tokens.add(actor, WEB, subscription(device), "")
    await arrive(mailboxes, push, actor, folder, frozenset(flags))
    assert json.loads(device.read(web.posted[0][1]))["silent"] is is_silent


async def test_a_device_that_fails_is_forgotten_after_three_times(tokens, push, web, device, mailboxes, actor):
    await tokens.add(actor, WEB, subscription(device), "")
    web.answers = [500, 400, 201, WebFailed(), 500, 500]
    counts = []
    for _ in web.answers[:]:
        await arrive(mailboxes, push, actor)
        counts.append([each.kept.failure_count for each in await tokens.find(actor)])
    assert counts == [[1], [2], [0], [0], [1], [2]]
    web.answers = [500]
    await arrive(mailboxes, push, actor)
    assert (await tokens.find(actor), FAILURES_MAX) == ([], 3)


@pytest.mark.parametrize("answer", [410, 404, WebRefused()])
async def test_a_device_that_is_gone_is_forgotten_at_once(tokens, push, web, device, mailboxes, actor, answer):
    await tokens.add(actor, WEB, subscription(device), "")
    web.answers = [answer]
    await arrive(mailboxes, push, actor)
    assert await tokens.find(actor) == []


async def test_a_use_makes_it_young(tokens, push, device, mailboxes, actor, clock):
    await tokens.add(actor, WEB, subscription(device), "")
    clock.passed_s += 5000
    await arrive(mailboxes, push, actor)
    (kept,) = await tokens.find(actor)
    assert kept.kept.used_s == int(clock.now().timestamp())


async def test_two_processes_tell_a_message_once(storage, tokens, push, web, device, mailboxes, actor, clock):
    other = DevicePush(storage, clock, web, Vapid(b"s" * 32, "https://mail.example.test"))
    await tokens.add(actor, WEB, subscription(device), "")
    await mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])
    for each in (push, other):
        each.stored(actor.account_id)
    assert await push.tell() + await other.tell() == 1


async def test_of_very_much_mail_the_newest_is_told(tokens, push, web, device, mailboxes, actor):
    await tokens.add(actor, WEB, subscription(device), "")
    await mailboxes.append(actor, "INBOX", [Draft(MESSAGE) for _ in range(NEW_MAX + 5)])
    push.stored(actor.account_id)
    assert await push.tell() == NEW_MAX
    assert json.loads(device.read(web.posted[-1][1]))["message"]["uid"] == NEW_MAX + 5


async def test_attack_092_a_token_reaches_devices_of_what_its_user_looks_after(storage, tokens, actor, bob, actor_of):
    people, user_id = storage.people, UserId("1" * 24)
    theirs = await tokens.add(actor_of(bob), APNS, "bobs", "")
    ours = await tokens.add(actor, APNS, "alices", "")
    entry = await people.address_entry_of_account(bob.account_id)
    await people.add_user(User(user_id, "u@people.test"), None)
    await people.set_member("example.test", user_id, Group.USER)
    await people.set_address_profile("example.test", "bob", replace(entry.profile, user_id=user_id))
    user = Actor(None, None, user_id=user_id, groups={"example.test": Group.USER}, token_id=ObjectId("a" * 24))
    assert [each.object_id for each in await tokens.find(user)] == [theirs.object_id]
    assert [each.kept.token for each in await tokens.find(user, alias_id=entry.profile.object_id)] == ["bobs"]
    with pytest.raises(NoSuchAlias):
        await tokens.find(user, alias_id=ours.listened.object_id)
    for bad in (ours.object_id, theirs.object_id[:16] + "0" * 8, "0" * 24):
        with pytest.raises(NoSuchPushToken):
            await tokens.remove(user, bad)
    with pytest.raises(NoSuchPushToken):
        await tokens.remove(actor, theirs.object_id)
    with pytest.raises(PolicyRefused):
        await tokens.add(user, APNS, "x", "")
    await tokens.remove(user, theirs.object_id)
    assert await tokens.find(actor_of(bob)) == []
