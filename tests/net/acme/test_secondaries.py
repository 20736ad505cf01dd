"""All name servers of a zone must show a proof before an authority is told to look."""

import pytest

from mailstead.model.errors import DnsUnavailable
from mailstead.net.acme import secondaries
from mailstead.net.acme.secondaries import LOOKS_MAX, Secondaries, Shown
from mailstead.net.dns_exchange import NameServer
from mailstead.net.dns_wire import name_of
from mailstead.ports.resolver import Answer
from net.name_server import NameServerDouble, records

OWNER = "_acme-challenge.example.test"
RECORD = Shown(name_of(OWNER), b"proof")
NAME_SERVERS = records("example.test. 60 IN NS ns1.example.test.", "example.test. 60 IN NS ns2.elsewhere.test.")
PROOF = records(f"{OWNER}. 0 IN TXT proof")


class Addresses:
    def __init__(self):
        self.of = {"ns1.example.test": "127.0.0.1"}

    async def a(self, name):
        return Answer((self.of[name],) if name in self.of else ())

    async def aaaa(self, name):
        raise DnsUnavailable


class Pauses:
    """Counts, and puts the record up when its time has come."""

    def __init__(self, server, until):
        self.count = 0
        self.server, self.until = server, until

    async def __call__(self, seconds):
        assert seconds == secondaries.PAUSE_S
        self.count += 1
        if self.count == self.until:
            self.server.answers[f"{OWNER} TXT"] = PROOF


@pytest.fixture
async def server():
    server = await NameServerDouble().start()
    server.answers["example.test NS"] = NAME_SERVERS
    yield server
    await server.stop()


@pytest.fixture
def addresses():
    return Addresses()


async def waited(server, addresses, until=0, wanted=(RECORD,)):
    pauses = Pauses(server, until)
    waiting = Secondaries(addresses, NameServer("127.0.0.1", server.port), port=server.port, pause=pauses)
    await waiting.wait(list(wanted))
    return pauses.count


@pytest.mark.parametrize("until", [1, 4])
async def test_a_secondary_that_is_behind_is_waited_for(server, addresses, until):
    assert await waited(server, addresses, until) == until


async def test_an_older_record_is_not_the_one(server, addresses):
    server.answers[f"{OWNER} TXT"] = records(f"{OWNER}. 0 IN TXT older")
    assert await waited(server, addresses, 2) == 2


async def test_where_all_show_it_nobody_waits(server, addresses):
    server.answers[f"{OWNER} TXT"] = PROOF
    assert await waited(server, addresses) == 0
    assert server.asked == [f"{OWNER} NS", "example.test NS", f"{OWNER} TXT"]


async def test_not_for_ever(server, addresses):
    assert await waited(server, addresses) == LOOKS_MAX - 1


async def test_who_does_not_answer_is_not_waited_for(server, addresses, monkeypatch):
    monkeypatch.setattr(secondaries, "LOOK_LIMIT_S", 0.05)
    server.answers[f"{OWNER} TXT"] = lambda query, is_tcp: None
    assert await waited(server, addresses) == 0
    assert f"{OWNER} TXT" in server.asked


@pytest.mark.parametrize("told", [[], lambda query, is_tcp: b"\xff" * 40])
async def test_a_zone_whose_servers_cannot_be_had_is_not_waited_for(server, addresses, told, monkeypatch):
    monkeypatch.setattr(secondaries, "LOOK_LIMIT_S", 0.05)
    server.answers["example.test NS"] = told
    assert await waited(server, addresses) == 0


async def test_nothing_up_is_nothing_to_wait_for(server, addresses):
    assert await waited(server, addresses, wanted=()) == 0
    assert server.asked == []
