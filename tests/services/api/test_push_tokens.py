"""Devices over HTTP, in the fields of the reference."""

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Peer, Recipient
from mailstead.usecases.web_push import unbase64url
from services.api.asking import asking
from services.api.golden import same_as_golden


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def test_a_device_is_as_the_reference_has_it(api):
    body = {"platform": "fcm", "token": "token-of-a-phone", "device_name": "My phone"}
    answer = await api.ask("POST", "/v1/push-tokens", body)
    assert answer.status == 201
    made = answer.json()
    others = ("id", "alias", "last_used_at", "expires_at", "created_at", "updated_at")
    same_as_golden("push_token", made, *others)
    entry = await api.house.storage.people.address_entry("example.test", "alice")
    assert made["alias"] == entry.profile.object_id
    listed = await api.ask("GET", "/v1/push-tokens?platform=fcm")
    assert (listed.json(), listed.headers["x-item-count"]) == ([made], "1")
    assert (await api.ask("GET", "/v1/push-tokens?platform=apns")).json() == []
    answer = await api.ask("DELETE", f"/v1/push-tokens/{made['id']}")
    assert (answer.status, answer.body) == (204, b"")
    assert (await api.ask("DELETE", f"/v1/push-tokens/{made['id']}")).status == 404
    await api.ask("POST", "/v1/push-tokens", body)
    assert (await api.ask("DELETE", "/v1/push-tokens")).status == 204
    assert (await api.ask("GET", "/v1/push-tokens")).json() == []


async def test_a_user_registers_a_device_for_a_mailbox_but_does_not_see_its_token(api):
    entry = await api.house.storage.people.address_entry("example.test", "alice")
    alias_id = entry.profile.object_id
    body = {"platform": "apns", "token": "token", "alias_id": alias_id}
    made = await api.ask("POST", "/v1/push-tokens", body, by="domain admin")
    assert (made.status, made.json()["token"]) == (201, "")
    assert (await api.ask("GET", "/v1/push-tokens")).json()[0]["token"] == "token"
    assert (await api.ask("GET", f"/v1/push-tokens?alias_id={alias_id}", by="domain admin")).json() == [made.json()]
    for by, status in (("stranger", 404), ("member", 404), (None, 401)):
        assert (await api.ask("POST", "/v1/push-tokens", body, by=by)).status == status
    assert (await api.ask("POST", "/v1/push-tokens", {**body, "alias_id": ""}, by="domain admin")).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"platform": "fcm"},
        {"platform": "smoke", "token": "x"},
        {"platform": "fcm", "token": "x" * 4097},
        {"platform": "fcm", "token": "x", "device_name": "x" * 256},
        {"platform": "fcm", "token": "x", "alias_id": "alice"},
        {"platform": "fcm", "token": "x", "more": 1},
        {"platform": "web-push", "token": "x"},
    ],
)
async def test_attack_093_what_is_no_device(api, body):
    assert (await api.ask("POST", "/v1/push-tokens", body)).status == 400


async def test_a_browser_learns_our_key(api):
    answer = await api.ask("GET", "/v1/push-tokens/key")
    assert answer.json() == {"public_key": api.house.dav_push.public_key}
    assert len(unbase64url(answer.json()["public_key"])) == 65


async def test_mail_that_is_delivered_is_told_to_devices(api):
    """From the moment at which a reception accepts it."""
    bob = Envelope(Address("bob", "far.test"))
    reception = api.house.receptions.begin(Peer("127.0.0.1", 1), "far.test", bob)
    more = reception.add_recipient(Recipient(Address.parse("alice@example.test")))
    if more is not None:
        await more
    reception.write(b"From: bob@far.test\r\nSubject: hello\r\n\r\nHello\r\n")
    noted = []
    api.house.device_push._woken = Noting(noted)
    await reception.accept()
    assert noted == [True]


class Noting:
    """Stands where the task waits to be woken."""

    def __init__(self, noted):
        self.noted = noted

    def set(self):
        self.noted.append(True)
