"""Webhooks: what is posted, how it is signed, what each answer means."""

import hmac
import json

import pytest

from mailauth.zones import Zones
from mailstead.model.directory import WebhookTarget
from mailstead.model.errors import WebFailed, WebRefused
from mailstead.model.queue import RecipientState
from mailstead.net.web import SafeWebClient
from mailstead.ports.web import WebResponse
from net.web_server import WebServer
from usecases.flow import ANN, message, open_flow, rcpt

URL = "https://hooks.test/in?x=1"


class Web:
    """Notes what is posted, and answers with what a test has set: statuses and errors, the last one for ever."""

    def __init__(self, *answers):
        self.answers = list(answers) or [200]
        self.posts = []

    async def get(self, url, **how):
        raise WebFailed

    async def post(self, url, octets, headers, **how):
        self.posts.append((url, octets, headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return WebResponse(answer)


async def posted(flow, *urls, **message_of):
    """Let a message go to an alias that leads to web addresses; give its recipients in the queue."""
    await flow.alias("hook", *map(WebhookTarget, urls))
    await flow.receive("hook", octets=message(ANN, **message_of))
    await flow.work()
    return [each for item in await flow.smtp.queued("hook@example.test") for each in item.recipients]


MULTIPART = {
    "header": 'Content-Type: multipart/mixed; boundary="b"\r\n',
    "body": '--b\r\n\r\nHi\r\n--b\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nfile\r\n--b--\r\n',
}


async def test_a_message_is_posted_as_json_with_all_that_is_known_of_it(tmp_path):
    web = Web()
    async with open_flow(tmp_path, web=web) as flow:
        [recipient] = await posted(flow, URL, subject="posted", **MULTIPART)
    assert recipient.state is RecipientState.DELIVERED
    [(url, body, headers)] = web.posts
    assert url == URL
    assert headers["Content-Type"] == "application/json"
    found = json.loads(body)
    assert found["subject"] == "posted"
    assert found["recipients"] == ["hook@example.test"]
    assert found["from"]["value"][0]["address"] == str(ANN)
    assert [each["filename"] for each in found["attachments"]] == ["a.txt"]
    assert found["session"] == {
        "recipient": "hook@example.test", "sender": str(ANN), "mta": "mx.example.test",
        "arrivalDate": "2026-11-27T12:00:00Z", "arrivalTime": 1795780800000,
    }  # fmt: skip
    assert found["spf"]["status"]["result"] == "pass"
    assert found["dmarc"]["status"]["result"] == "pass"
    assert "\r\nSubject: posted\r\n" in found["raw"]


async def test_the_signature_is_the_domain_s(tmp_path):
    web = Web()
    async with open_flow(tmp_path, web=web) as flow:
        await posted(flow, URL)
        key = (await flow.storage.directory.domain("example.test")).terms.webhook_key
    [(_, body, headers)] = web.posts
    assert len(key) >= 32
    assert headers["X-Webhook-Signature"] == hmac.digest(key.encode(), body, "sha256").hex()


async def test_attachments_and_the_raw_message_are_left_out_on_request(tmp_path):
    web = Web()
    async with open_flow(tmp_path, web=web) as flow:
        await posted(flow, "https://hooks.test/?attachments=false&raw=false", **MULTIPART)
    found = json.loads(web.posts[0][1])
    assert not found.get("attachments")
    assert "raw" not in found


async def test_what_a_stranger_claims_of_his_authentication_is_not_passed_on(tmp_path):
    web = Web()
    forged = "Authentication-Results: mx.example.test; spf=pass; dkim=pass header.d=bank.test; dmarc=pass\r\n"
    async with open_flow(tmp_path, web=web) as flow:
        await flow.alias("hook", WebhookTarget(URL))
        octets = message("eve@stranger.test", header=forged)
        await flow.receive("hook", octets=octets, mail_from=None, helo="x")
        await flow.work()
    found = json.loads(web.posts[0][1])
    assert found["spf"]["status"]["result"] == "none"
    assert found["dmarc"]["status"]["result"] == "none"
    assert "bank.test" not in json.dumps(found.get("dkim", {}))


@pytest.mark.parametrize("answer", [201, 204, 301, 302, 400, 403, 404, 429, 500, 503, WebFailed()], ids=str)
async def test_all_but_200_is_tried_again(tmp_path, answer):
    web = Web(answer, 200)
    async with open_flow(tmp_path, web=web) as flow:
        [recipient] = await posted(flow, URL)
        assert recipient.state is RecipientState.WAITING
        flow.clock.advance(minutes=5)
        await flow.work()
        [item] = await flow.smtp.queued("hook@example.test")
        assert item.recipients[0].state is RecipientState.DELIVERED
    assert len(web.posts) == 2
    assert web.posts[0][1] == web.posts[1][1]


@pytest.mark.parametrize("answer", [410, WebRefused("That address is private")], ids=str)
async def test_what_can_never_work_fails_at_once(tmp_path, answer):
    async with open_flow(tmp_path, web=Web(answer)) as flow:
        [recipient] = await posted(flow, URL)
        assert recipient.state is RecipientState.FAILED
        [shown] = await flow.house.bounces.of((await flow.smtp.queued("hook@example.test"))[0].recipients[0].via)
        assert shown.recipient == URL


async def test_each_address_is_asked_once_and_has_its_own_result(tmp_path):
    web = Web()
    async with open_flow(tmp_path, web=web) as flow:
        found = await posted(flow, URL, "https://hooks.test/second", "https://other.test/")
        assert {each.state for each in found} == {RecipientState.DELIVERED}
    assert sorted(url for url, _, _ in web.posts) == [URL, "https://hooks.test/second", "https://other.test/"]


async def test_a_message_that_requires_tls_is_not_posted_in_clear(tmp_path):
    web = Web()
    async with open_flow(tmp_path, web=web) as flow:
        await flow.alias("hook", WebhookTarget("http://hooks.test/"))
        await flow.receive(rcpt("hook"), require_tls=True)
        await flow.work()
        [item] = await flow.smtp.queued("hook@example.test")
        assert item.recipients[0].state is RecipientState.FAILED
    assert web.posts == []


@pytest.fixture
async def web_server():
    started = await WebServer().start()
    yield started
    await started.stop()


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "inside.test",
        "169.254.169.254",
    ],
)
async def test_attack_037_no_webhook_reaches_into_our_own_network(tmp_path, web_server, host):
    zones = Zones({"inside.test": {"A": ["127.0.0.1"]}})
    web = SafeWebClient(zones, allows_private=False, ca_file="", hostname="mx.example.test")
    async with open_flow(tmp_path, web=web) as flow:
        [recipient] = await posted(flow, f"http://{host}:{web_server.port}/")
        assert recipient.state in {RecipientState.FAILED, RecipientState.WAITING}
        assert recipient.last_reply.code == 0
    assert web_server.connection_count == 0


async def test_a_real_server_gets_the_post(tmp_path, web_server):
    web = SafeWebClient(Zones(), allows_private=True, ca_file="", hostname="mx.example.test")
    async with open_flow(tmp_path, web=web) as flow:
        [recipient] = await posted(flow, f"http://127.0.0.1:{web_server.port}/in", subject="for real")
        assert recipient.state is RecipientState.DELIVERED
    [request] = web_server.requests
    assert request.startswith(b"POST /in HTTP/1.1\r\n")
    assert b"for real" in request
