"""The composition root."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from mailstead import wiring
from mailstead.config.settings import Listeners, Server, Settings, Store
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret

PASSWORD = "pw-never-in-a-log-wiring"
LOG_INS = {
    "mx": b"EHLO x\r\n",
    "submission": b"AUTH PLAIN AHVzZXIAcHctbmV2ZXI=\r\n",
    "imap": f"a LOGIN alice@example.test {PASSWORD}\r\n".encode(),
    "pop3": f"PASS {PASSWORD}\r\n".encode(),
}


class NoCertificates:
    def context(self):
        raise AssertionError("nobody connects")


@pytest.fixture
def settings(tmp_path):
    at = Listeners(listen=("127.0.0.1:0",))
    plain = Settings(
        server=Server(data_dir=tmp_path / "data"), store=Store(master_key=Secret("00" * 32)), mx=at, submission=at
    )
    return replace(plain, imap=replace(plain.imap, listen=at.listen), pop3=replace(plain.pop3, listen=at.listen))


async def test_no_transcript_unless_asked_for(settings):
    async with wiring.open_house(settings) as house:
        for listener in wiring.make_listeners(house, NoCertificates()):
            assert listener.terms.make_transcript is None


async def test_the_transcript_goes_to_the_log_without_passwords(settings):
    settings = replace(settings, server=replace(settings.server, transcript=True))
    async with wiring.open_house(settings) as house:
        listeners = wiring.make_listeners(house, NoCertificates())
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
    async with wiring.open_house(settings) as house:
        mx, submission = (make()._policy for make in _makers(house))
        assert mx.receptions is submission.submissions.receptions is house.receptions


def _makers(house):
    return [listener.terms.make_session for listener in wiring.make_listeners(house, NoCertificates())][:2]


def test_where_the_master_key_is(settings, tmp_path):
    assert "store.master_key" in wiring.master_key_place(settings)
    by_default = replace(settings, store=Store())
    assert wiring.master_key_place(by_default) == str(tmp_path / "data.master.key")
    assert wiring.master_key_place(replace(settings, store=Store(master_key_file="/run/key"))) == "/run/key"
