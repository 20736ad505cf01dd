"""The composition root."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from mailstead.config.settings import Authentication, Dns, MailListeners, Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.envelope import Peer, Recipient
from mailstead.model.queue import ItemKind, NewItem, RecipientState
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.listeners import make_listeners
from mailstead.wiring.master_key import master_key_place
from mailstead.wiring.queue import make_queue_service

PASSWORD = "pw-never-in-a-log-wiring"
DAY = timedelta(days=1)
LOG_INS = {
    "mx": b"EHLO x\r\n",
    "submission": b"AUTH PLAIN AHVzZXIAcHctbmV2ZXI=\r\n",
    "imap": f"a LOGIN alice@example.test {PASSWORD}\r\n".encode(),
    "pop3": f"PASS {PASSWORD}\r\n".encode(),
    "sieve": b'AUTHENTICATE "PLAIN" "AHVzZXIAcHctbmV2ZXI="\r\n',
}


class NoCertificates:
    def context(self):
        raise AssertionError("nobody connects")


@pytest.fixture
def settings(tmp_path):
    at = MailListeners(listen=("127.0.0.1:0",))
    plain = Settings(
        server=Server(data_dir=tmp_path / "data"), store=Store(master_key=Secret("00" * 32)), mx=at, submission=at
    )
    further = {name: replace(getattr(plain, name), listen=at.listen) for name in ("imap", "pop3", "sieve")}
    return replace(plain, dns=Dns(servers=("127.0.0.1:9",)), **further)


async def test_no_transcript_unless_asked_for(settings):
    async with open_house(settings) as house:
        for listener in make_listeners(house, NoCertificates()):
            assert listener.terms.make_transcript is None


async def test_the_transcript_goes_to_the_log_without_passwords(settings):
    settings = replace(settings, server=replace(settings.server, transcript=True))
    async with open_house(settings) as house:
        listeners = make_listeners(house, NoCertificates())
        assert {listener.terms.service for listener in listeners} == set(LOG_INS)
        for listener in listeners:
            transcript = listener.terms.make_transcript(Peer("192.0.2.7", 4711))
            with capture_logs() as logs:
                transcript.received(LOG_INS[listener.terms.service])
            [entry] = logs
            assert entry["log_level"] == "debug"
            assert (entry["service"], entry["peer"]) == (listener.terms.service, "192.0.2.7")
            assert PASSWORD not in str(logs)
            assert "cHctbmV2ZXI" not in str(logs)
            assert entry["line"].startswith("C: ")


async def test_mx_and_submission_deliver_by_the_same_use_case(settings):
    async with open_house(settings) as house:
        mx, submission = (make()._policy for make in _makers(house))
        assert mx.receptions is submission.submissions.receptions is house.receptions


def _makers(house):
    return [listener.terms.make_session for listener in make_listeners(house, NoCertificates())][:2]


async def test_the_queue_service_brings_home_what_waits_and_stops_when_told(settings):
    alice, stop = Address("alice", "example.test"), asyncio.Event()
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        account = await house.accounts.create(ADMINISTRATOR, alice, Secret(PASSWORD))
        now = house.clock.now()
        to = await house.routes.to_address(Recipient(alice), "example.test")
        octets = b"From: mailer-daemon@example.test\r\nSubject: home\r\n\r\n"
        await house.storage.queue.put([NewItem("q1", ItemKind.NOTICE, None, (to,), octets, now, now + DAY)])
        arrived = asyncio.Event()
        with house.bus.watch(account.account_id, arrived.set):
            running = asyncio.create_task(make_queue_service(house).run(stop))
            async with asyncio.timeout(20):
                await arrived.wait()
                while (await house.storage.queue.count()).get(RecipientState.DELIVERED) != 1:
                    await asyncio.sleep(0)
                stop.set()
                await running
        snapshot = await house.storage.accounts.of(account.account_id).snapshot("INBOX")
        assert len(snapshot.uids) == 1


@pytest.mark.parametrize("is_enabled", [True, False])
async def test_senders_are_authenticated_unless_a_setting_says_otherwise(settings, is_enabled):
    settings = replace(settings, authentication=Authentication(is_enabled=is_enabled))
    async with open_house(settings) as house:
        assert (house.receptions.verifier is not None) is is_enabled


def test_where_the_master_key_is(settings, tmp_path):
    assert "store.master_key" in master_key_place(settings)
    by_default = replace(settings, store=Store())
    assert master_key_place(by_default) == str(tmp_path / "data.master.key")
    assert master_key_place(replace(settings, store=Store(master_key_file="/run/key"))) == "/run/key"
