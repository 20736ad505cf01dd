"""Import from another provider over HTTP: what a page needs, in one call each."""

import pytest

from mailstead.config.settings import Dns
from mailstead.model.errors import SourceRefused
from mailstead.model.ids import Uid
from mailstead.model.remote_imports import ImportReason, ImportStatus, NotTaken, RemoteMailbox
from mailstead.usecases import remote_imports
from services.api.asking import PASSWORD, asking

ELSEWHERE = {"host": "imap.provider.test", "username": "alice@provider.test", "password": "pw-never-in-a-log-there"}


class Provider:
    """Has three mailboxes, for whoever knows the password."""

    has_labels = False

    async def mailboxes(self, *, with_sizes=True):
        assert with_sizes
        return [
            RemoteMailbox("INBOX", ("INBOX",), None, 3, 3000),
            RemoteMailbox("Sent Items", ("Sent Items",), "\\Sent", 2),
            RemoteMailbox("Spam", ("Spam",), "\\Junk", 9, 9000),
        ]

    def connect(self, server, password):
        self.asked = server
        self.password = password
        return self

    async def __aenter__(self):
        if self.password.reveal() != ELSEWHERE["password"]:
            raise SourceRefused("imap.provider.test refuses the user name or password")
        return self

    async def __aexit__(self, *_):
        pass


@pytest.fixture
async def api(tmp_path):
    offline = Dns(servers=("127.0.0.1:9",), query_limit_s=0.2, message_limit_s=0.5)
    async with asking(tmp_path, dns=offline) as made:
        made.house.remote_imports._source = Provider()
        yield made


async def work_on(api, status, **told):
    """What a worker does to the import of alice."""
    house = api.house
    jobs, now = house.storage.import_jobs, house.clock.now()
    [job] = await jobs.lease(now, now, "w", 1)
    lost = NotTaken("INBOX", Uid(7), 2, "It is empty")
    await jobs.advance(job.job_id, "w", now, job.mailboxes[0], [lost])
    assert await jobs.let_go(job.job_id, "w", now, status, **told)


async def test_a_look_a_beginning_and_how_far_it_is(api):
    assert (await api.ask("GET", "/v1/imports")).status == 404
    looked = await api.ask("POST", "/v1/imports/check", ELSEWHERE)
    assert looked.status == 200
    assert [(each["name"], each["target"], each["is_suggested"], each["size"]) for each in looked.json()["mailboxes"]] == [
        ("INBOX", "INBOX", True, 3000),
        ("Sent Items", "Sent", True, None),
        ("Spam", "Junk", False, 9000),
    ]  # fmt: skip
    assert (await api.ask("GET", "/v1/imports")).status == 404
    begun = await api.ask("POST", "/v1/imports", {**ELSEWHERE, "security": "starttls"})
    assert begun.status == 202
    job = begun.json()
    assert (job["status"], job["message_count"], job["settled_count"], job["port"]) == ("waiting", 5, 0, 143)
    assert (job["is_open"], job["needs_password"], job["current"]) == (True, False, "INBOX")
    assert (await api.ask("GET", "/v1/imports")).json() == job
    assert (await api.ask("POST", "/v1/imports", ELSEWHERE)).status == 409
    assert (await api.ask("DELETE", "/v1/imports")).status == 409
    assert (await api.ask("GET", "/v1/imports", by="bob@example.test")).status == 404


async def test_chosen_mailboxes_and_their_targets(api):
    chosen = {**ELSEWHERE, "mailboxes": [{"name": "Spam"}, {"name": "INBOX", "target": "Old/Inbox"}]}
    job = (await api.ask("POST", "/v1/imports", chosen)).json()
    assert [(each["name"], each["target"]) for each in job["mailboxes"]] == [("INBOX", "Old/Inbox"), ("Spam", "Junk")]
    await api.ask("POST", "/v1/imports/cancel")
    for mailboxes in ([], [{"name": "Nowhere"}], [{"name": "INBOX", "target": "a//b"}], [{"name": "INBOX", "to": "x"}]):
        assert (await api.ask("POST", "/v1/imports", {**ELSEWHERE, "mailboxes": mailboxes})).status == 400


async def test_one_that_rests_goes_on_and_one_that_is_cancelled_is_told_and_dismissed(api):
    await api.ask("POST", "/v1/imports", ELSEWHERE)
    await work_on(api, ImportStatus.PAUSED, reason=ImportReason.QUOTA, text="The mailbox is full")
    job = (await api.ask("GET", "/v1/imports")).json()
    assert (job["status"], job["reason"], job["text"]) == ("paused", "quota", "The mailbox is full")
    assert job["not_taken"] == [{"mailbox": "INBOX", "uid": 7, "number": 2, "reason": "It is empty"}]
    assert (await api.ask("POST", "/v1/imports/resume", {})).json()["status"] == "waiting"
    cancelled = await api.ask("POST", "/v1/imports/cancel")
    assert (cancelled.status, cancelled.json()["status"], cancelled.json()["is_open"]) == (200, "cancelled", False)
    assert (await api.ask("POST", "/v1/imports/cancel")).status == 409
    assert (await api.ask("POST", "/v1/imports/resume", {"password": "x"})).status == 409
    assert (await api.ask("DELETE", "/v1/imports")).status == 204
    assert (await api.ask("GET", "/v1/imports")).status == 404


async def test_passwords_are_never_said_again(api, caplog):
    wrong = {**ELSEWHERE, "password": "pw-never-in-a-log-wrong"}
    for path in ("/v1/imports/check", "/v1/imports"):
        refused = await api.ask("POST", path, wrong)
        assert (refused.status, refused.message) == (400, "imap.provider.test refuses the user name or password")
    begun = await api.ask("POST", "/v1/imports", ELSEWHERE)
    shown = await api.ask("GET", "/v1/imports")
    assert b"pw-never" not in begun.body + shown.body
    entries = [(each.verb, each.object, dict(each.details)) for each in (await _audit(api))]
    assert ("import.begin", "alice@example.test", {"host": "imap.provider.test"}) in entries
    assert "pw-never" not in caplog.text + repr(entries)


async def _audit(api):
    from mailstead.model.people import Listing

    await api.house.audit.settle()
    return (await api.house.storage.people.audit(Listing(limit=100))).items


async def test_attack_061_looks_are_counted_and_limited(api, monkeypatch):
    monkeypatch.setattr(remote_imports, "CHECKS_PER_HOUR", 2)
    answers = [await api.ask("POST", "/v1/imports/check", ELSEWHERE) for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 429]
    assert (await api.ask("POST", "/v1/imports/check", ELSEWHERE, by="bob@example.test")).status == 200


@pytest.mark.parametrize(
    "change",
    [{"host": ""}, {"username": ""}, {"security": "none"}, {"port": 65536}, {"password": 5}, {"more": 1}],
)  # fmt: skip
async def test_a_body_that_is_wrong_is_refused(api, change):
    assert (await api.ask("POST", "/v1/imports/check", {**ELSEWHERE, **change})).status == 400
    assert not hasattr(api.house.remote_imports._source, "asked")


async def test_attack_037_over_http_a_host_of_our_own_network_is_refused(tmp_path):
    async with asking(tmp_path) as api:
        for host in ("127.0.0.1", "::1", "10.0.0.1", "0x7f.1"):
            answer = await api.ask("POST", "/v1/imports/check", {**ELSEWHERE, "host": host, "password": PASSWORD})
            assert answer.status == 400
            assert PASSWORD not in answer.message
