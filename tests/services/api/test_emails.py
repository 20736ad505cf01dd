"""Mail that programs send, over the API: JSON and multipart, dates, limits, and what is refused."""

import gzip
import json
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mailstead.model.address import Address
from mailstead.model.mailbox import INBOX
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.queue import Outcome, QueueQuery, RecipientState, RemoteReply
from mailstead.wiring.house import ADMINISTRATOR
from services.api.asking import asking

GOLDEN = Path(__file__).parents[2] / "golden" / "api"
FIELDS = {
    "id", "object", "alias", "domain", "user", "status", "is_locked", "is_bounce", "is_redacted", "envelope",
    "messageId", "date", "subject", "accepted", "hard_bounces", "soft_bounces", "deliveries", "requireTLS", "dsn",
    "rcptTo", "created_at", "updated_at", "link",
}  # fmt: skip
"""Spec: reference forwardemail 4.10 (Email)."""
CHANCE = {
    "id", "alias", "domain", "messageId", "date", "deliveries", "created_at", "updated_at", "link", "message", "headers",
}  # fmt: skip
"""Fields that another run has otherwise."""


@pytest.fixture
async def api(tmp_path):
    async with asking(tmp_path) as opened:
        yield opened


async def send(api, by="alice@example.test", **fields):
    return await api.ask("POST", "/v1/emails", {"to": "x@far.test", "subject": "s", "text": "t", **fields}, by=by)


async def queued(api):
    return await api.house.storage.queue.items(QueueQuery(limit=100))


async def settle(api, reply, state):
    now = api.house.clock.now()
    queue = api.house.storage.queue
    for delivery in await queue.lease(now, now + timedelta(minutes=3), 10, 10):
        again = now + timedelta(minutes=5) if state is RecipientState.WAITING else None
        await queue.settle(
            delivery, [Outcome(each.recipient_id, state, reply, again) for each in delivery.item.recipients]
        )


async def inbox(api, name):
    account = await api.house.storage.directory.find(Address.parse(f"{name}@example.test"))
    store = api.house.storage.accounts.of(account.account_id)
    snapshot = await store.snapshot(INBOX)
    records = await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW)
    return await store.read_octets([OctetRange(each.blob_id, 0, each.size_octets) for each in records])


async def test_an_email_has_all_fields_and_goes_its_way(api):
    answer = await send(api, to=["Ann <x@far.test>", {"address": "bob@example.test"}], bcc="y@far.test", html="<p>t")
    assert answer.status == 200, answer.body
    shown = answer.json()
    assert {*shown} == FIELDS | {"message", "headers", "rejectedErrors"}
    assert (shown["object"], shown["status"], shown["accepted"]) == ("email", "queued", ["bob@example.test"])
    assert shown["envelope"] == {
        "from": "alice@example.test", "to": ["x@far.test", "bob@example.test", "y@far.test"],
    }  # fmt: skip
    assert "y@far.test" not in shown["message"]
    assert "Bcc" not in shown["headers"]
    assert shown["headers"]["Message-ID"] == f"<{shown['messageId']}>"
    assert None not in {shown["alias"], shown["domain"]}
    [local] = await inbox(api, "bob")
    assert b"y@far.test" not in local
    golden = {key: value for key, value in shown.items() if key not in CHANCE}
    assert golden == json.loads((GOLDEN / "email.json").read_text())
    reply = RemoteReply(250, "2.0.0", "Taken", "mx.far.test", "192.0.2.9", "encrypted")
    await settle(api, reply, RecipientState.DELIVERED)
    [listed] = (await api.ask("GET", "/v1/emails")).json()
    assert {*listed} == FIELDS
    assert (listed["status"], listed["is_redacted"]) == ("sent", True)
    [delivery] = [each for each in listed["deliveries"] if each["recipient"] == "x@far.test"]
    assert (delivery["responseCode"], delivery["mx"]["host"], delivery["tls"]["enabled"]) == (250, "mx.far.test", True)
    by_message_id = await api.ask("GET", f"/v1/emails/{shown['messageId'].replace('@', '%40')}")
    assert "not kept" in by_message_id.json()["message"]
    assert (await api.ask("GET", "/v1/emails?q=nothing")).json() == []
    assert len((await api.ask("GET", "/v1/emails?domain=example.test&sort=-created_at")).json()) == 1


async def test_what_servers_refuse_is_told(api):
    shown = (await send(api)).json()
    reply = RemoteReply(550, "5.1.1", "Nobody", "mx.far.test", "192.0.2.9", is_permanent=True)
    await settle(api, reply, RecipientState.FAILED)
    told = (await api.ask("GET", f"/v1/emails/{shown['id']}")).json()
    assert (told["status"], told["hard_bounces"], told["accepted"]) == ("bounced", ["x@far.test"], [])
    [error] = told["rejectedErrors"]
    assert (error["responseCode"], error["message"], error["bounceInfo"]["action"]) == (550, "Nobody", "reject")
    assert (await api.ask("DELETE", f"/v1/emails/{shown['id']}")).status == 400


async def test_a_date_ahead_schedules_and_delete_cancels(api):
    at = (api.house.clock.now() + timedelta(days=1)).replace(microsecond=0)
    shown = (await send(api, date=at.isoformat())).json()
    assert datetime.fromisoformat(shown["date"]) == at
    assert [each["id"] for each in (await api.ask("GET", "/v1/emails?is_scheduled=true")).json()] == [shown["id"]]
    assert (await api.ask("GET", "/v1/emails?is_scheduled=false")).json() == []
    cancelled = await api.ask("DELETE", f"/v1/emails/{shown['id']}")
    assert (cancelled.status, cancelled.json()["status"]) == (200, "rejected")
    assert (await send(api, date=(at + timedelta(days=40)).isoformat())).status == 400


async def test_multipart_with_files(api):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\nx@far.test, bob@example.test\r\n'
        b'--b\r\nContent-Disposition: form-data; name="subject"\r\n\r\nGr\xc3\xb6\xc3\x9fe\r\n'
        b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nHello\r\n'
        b'--b\r\nContent-Disposition: form-data; name="requireTLS"\r\n\r\nyes\r\n'
        b'--b\r\nContent-Disposition: form-data; name="attachments"; filename="../a.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n%PDF-\xff\r\n--b--\r\n"
    )
    answer = await api.ask("POST", "/v1/emails", body, content_type="multipart/form-data; boundary=b")
    assert answer.status == 200, answer.body
    assert (answer.json()["subject"], answer.json()["requireTLS"]) == ("Größe", True)
    [local] = await inbox(api, "bob")
    [part] = message_from_bytes(local, policy=policy.SMTP).iter_attachments()
    assert (part.get_filename(), part.get_content()) == ("a.pdf", b"%PDF-\xff")
    [item] = await queued(api)
    assert item.require_tls is True


async def test_wishes_for_notices(api):
    dsn = {"id": "i1", "return": "headers", "notify": ["failure", "delay"], "recipient": "alice@example.test"}
    shown = (await send(api, dsn=dsn)).json()
    assert shown["dsn"] == dsn
    [item] = await queued(api)
    assert (item.envid, item.ret, item.recipients[0].recipient.notify) == ("i1", "HDRS", {"FAILURE", "DELAY"})


REFUSED = (
    ({"envelope": {"from": "x@far.test", "to": "y@far.test"}}, 400),
    ({"dkim": {"privateKey": "x"}}, 400),
    ({"attachments": [{"filename": "a", "path": "/etc/passwd"}]}, 400),
    ({"attachments": [{"filename": "a", "href": "http://127.0.0.1/"}]}, 400),
    ({"icalEvent": {"path": "/etc/passwd"}}, 400),
    ({"raw": {"path": "/etc/passwd"}, "to": None}, 400),
    ({"from": "bob@example.test"}, 403),
    ({"from": "x@far.test"}, 403),
    ({"sender": "bob@example.test"}, 403),
    ({"from": ["alice@example.test", "bob@example.test"]}, 403),
    ({"to": "nobody"}, 400),
    ({"to": "nobody@example.test"}, 400),
    ({"to": ""}, 400),
    ({"subject": "a\r\nTo: z@far.test"}, 400),
    ({"headers": {"X-A": "a\r\nTo: z@far.test"}}, 400),
    ({"headers": {"From": "bob@example.test"}}, 400),
    ({"dsn": {"notify": ["never", "success"]}}, 400),
    ({"dsn": {"id": ""}}, 400),
    ({"dsn": {"id": "a b"}}, 400),
    ({"inReplyTo": "<a>\r\nX: y"}, 400),
    ({"date": "9999-12-31T23:59:59-14:00"}, 400),
)


async def test_attack_093_what_is_refused_goes_nowhere(api):
    for fields, status in REFUSED:
        answer = await send(api, **fields)
        assert answer.status == status, (fields, answer.body)
    assert await queued(api) == []
    assert (await api.ask("GET", "/v1/emails")).json() == []


async def test_attack_092_who_sees_and_sends_what(api):
    shown = (await send(api)).json()
    path = f"/v1/emails/{shown['id']}"
    for by, status in (
        ("alice@example.test", 200),
        ("bob@example.test", 404),
        ("domain admin", 200),
        ("member", 404),
        ("stranger", 404),
        ("server admin", 200),
    ):
        assert (await api.ask("GET", path, by=by)).status == status, by
        assert len((await api.ask("GET", "/v1/emails", by=by)).json()) == (status == 200), by
        if status == 404:
            assert (await api.ask("DELETE", path, by=by)).status == 404, by
    assert (await api.ask("GET", "/v1/emails", by=None)).status == 401
    for by, sender, status in (
        ("domain admin", "anything@example.test", 200),
        ("server admin", "anything@example.test", 200),
        ("member", "anything@example.test", 403),
        ("stranger", "anything@example.test", 403),
        ("domain admin", "x@far.test", 403),
        ("domain admin", None, 400),
    ):
        fields = {"from": sender} if sender else {}
        assert (await send(api, by=by, **fields)).status == status, (by, sender)


async def test_the_limit_of_the_day(api):
    await api.house.accounts.set_sending_limit(ADMINISTRATOR, Address.parse("alice@example.test"), 2)
    assert (await api.ask("GET", "/v1/emails/limit")).json() == {"count": 0, "limit": 2}
    assert (await send(api, to="x@far.test, y@far.test")).status == 200
    assert (await api.ask("GET", "/v1/emails/limit")).json() == {"count": 2, "limit": 2}
    refused = await send(api)
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0


async def test_attack_100_the_log_comes_by_mail_as_a_harmless_table(api):
    await send(api, to="bob@example.test, x@far.test", messageId="=cmd@example.test")
    assert (await api.ask("GET", "/v1/logs/download?domain=example.test", by="domain admin")).status == 200
    [item] = [each for each in await queued(api) if each.kind == "notice"]
    assert str(item.recipients[0].recipient.address) == "domain-admin@people.test"
    octets = await api.house.storage.queue.octets(item.item_id)
    [part] = message_from_bytes(octets, policy=policy.SMTP).iter_attachments()
    head, *rows = gzip.decompress(part.get_content()).decode().splitlines()
    assert head.startswith("Log ID,Session ID,Date,Level,Bounce Category")
    assert any("bob@example.test" in row for row in rows)
    assert not any(cell.startswith("=") for row in rows for cell in row.split(","))
    assert (await api.ask("GET", "/v1/logs/download?domain=example.test", by="stranger")).status == 404
    assert (await api.ask("GET", "/v1/logs/download?domain=example.test", by="member")).status == 403
    assert (await api.ask("GET", "/v1/logs/download", by="alice@example.test")).status == 401
    assert (await api.ask("GET", "/v1/logs/download?response_code=999", by="domain admin")).status == 400
    await api.ask("GET", "/v1/logs/download?q=occurs-nowhere", by="domain admin")
    assert len([each for each in await queued(api) if each.kind == "notice"]) == 1
    await api.ask("GET", "/v1/logs/download?q=occurs-nowhere&always_send_email=1", by="domain admin")
    assert len([each for each in await queued(api) if each.kind == "notice"]) == 2
