"""Questions to a real server on loopback, over UDP and TCP."""

import asyncio

import dns.flags
import dns.message
import dns.rcode
import pytest

from mailstead.config.settings import Dns
from mailstead.model.errors import BadSettings, DnsUnavailable
from mailstead.net.dns import DnsResolver
from mailstead.net.dns_exchange import NameServer, _Stream, name_servers
from mailstead.ports.resolver import Caa, Mx, Srv, Tlsa
from net.name_server import NameServerDouble, records, unused_port


class Clock:
    now_s = 100.0

    def monotonic_s(self):
        return self.now_s


@pytest.fixture
async def server():
    started = await NameServerDouble().start()
    yield started
    await started.stop()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def ask(server, clock):
    return DnsResolver(Dns(servers=(server.address,)), clock)


async def test_every_type_is_read(server, ask):
    server.answers = {
        "example.test A": records("example.test. 60 IN A 192.0.2.1"),
        "example.test AAAA": records("example.test. 60 IN AAAA 2001:db8::1"),
        "example.test MX": [
            *records("example.test. 60 IN MX 20 B.example.test."),
        ],
        "null.test MX": records("null.test. 60 IN MX 0 ."),
        "example.test TXT": records('example.test. 60 IN TXT "v=spf1 " "-all"'),
        "1.2.0.192.in-addr.arpa PTR": records("1.2.0.192.in-addr.arpa. 60 IN PTR Mail.Example.Test."),
        "_25._tcp.mx.example.test TLSA": records("_25._tcp.mx.example.test. 60 IN TLSA 3 1 1 " + "ab" * 32),
        "_imaps._tcp.example.test SRV": records("_imaps._tcp.example.test. 60 IN SRV 1 2 993 imap.example.test."),
        "example.test CAA": records('example.test. 60 IN CAA 0 issue "ca.test"'),
    }
    assert (await ask.a("example.test")).records == ("192.0.2.1",)
    assert (await ask.aaaa("EXAMPLE.test.")).records == ("2001:db8::1",)
    assert (await ask.mx("example.test")).records == (Mx(20, "b.example.test"),)
    assert (await ask.mx("null.test")).records == (Mx(0, ""),)
    assert (await ask.txt("example.test")).records == (b"v=spf1 -all",)
    assert (await ask.ptr("192.0.2.1")).records == ("mail.example.test",)
    assert (await ask.tlsa("_25._tcp.mx.example.test")).records == (Tlsa(3, 1, 1, b"\xab" * 32),)
    assert (await ask.srv("_imaps._tcp.example.test")).records == (Srv(1, 2, 993, "imap.example.test"),)
    assert (await ask.caa("example.test")).records == (Caa(0, "issue", "ca.test"),)


async def test_exchangers_come_by_preference(server, ask):
    (rrset,) = records("example.test. 60 IN MX 20 b.test.")
    rrset.add(records("example.test. 60 IN MX 10 a.test.")[0][0])
    server.answers["example.test MX"] = [rrset]
    assert (await ask.mx("example.test")).records == (Mx(10, "a.test"), Mx(20, "b.test"))


async def test_no_such_name_and_no_such_records_are_answers(server, ask):
    server.answers["example.test A"] = []
    nodata, nxdomain = await ask.a("example.test"), await ask.a("none.example.test")
    assert (nodata.records, nodata.exists) == ((), True)
    assert (nxdomain.records, nxdomain.exists) == ((), False)


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "x" * 64 + ".test", ".".join(["x" * 60] * 5), "ü" * 80 + ".test", "\udce4.test"]
)
async def test_what_can_be_no_name_does_not_exist_and_is_not_asked(server, ask, name):
    assert not (await ask.a(name)).exists
    assert server.asked == []


async def test_unicode_names_are_asked_as_a_labels_and_odd_letters_as_they_are(server, ask):
    server.answers["xn--bcher-kva.test A"] = records("xn--bcher-kva.test. 60 IN A 192.0.2.7")
    assert (await ask.a("Bücher.test")).records == ("192.0.2.7",)
    await ask.a("a\\046 b.test")
    assert server.asked[-1] == r"a\\046\032b.test A"


async def test_ptr_of_no_address_does_not_exist(server, ask):
    assert not (await ask.ptr("mail.test")).exists
    assert server.asked == []


async def test_aliases_are_followed_and_said(server, ask):
    server.answers["www.test A"] = records("www.test. 60 IN CNAME Host.test.", "host.test. 60 IN A 192.0.2.9")
    answer = await ask.a("www.test")
    assert (answer.records, answer.canonical_name) == (("192.0.2.9",), "host.test")


async def test_answers_are_remembered_for_their_ttl(server, ask, clock):
    server.answers["example.test A"] = records("example.test. 60 IN A 192.0.2.1")
    await ask.a("example.test")
    clock.now_s += 59
    await ask.a("Example.Test.")
    assert len(server.asked) == 1
    clock.now_s += 1
    await ask.a("example.test")
    assert len(server.asked) == 2


async def test_absence_is_remembered_as_the_soa_says(server, ask, clock):
    await ask.a("none.example.test")
    clock.now_s += 59
    assert not (await ask.a("none.example.test")).exists
    assert len(server.asked) == 1
    clock.now_s += 1
    await ask.a("none.example.test")
    assert len(server.asked) == 2


async def test_the_memory_is_bounded(server, clock):
    resolver = DnsResolver(Dns(servers=(server.address,), cached_max=2), clock)
    for name in ("a.test", "b.test", "a.test", "c.test"):
        await resolver.a(name)
    await resolver.a("a.test")
    assert server.asked == ["a.test A", "b.test A", "c.test A"]
    await resolver.a("b.test")
    assert len(server.asked) == 4


async def test_nothing_is_remembered_if_the_setting_says_so(server, clock):
    resolver = DnsResolver(Dns(servers=(server.address,), cached_max=0), clock)
    await resolver.a("a.test")
    await resolver.a("a.test")
    assert len(server.asked) == 2


async def test_the_same_question_at_a_time_is_asked_once(server, ask):
    server.answers["example.test A"] = records("example.test. 60 IN A 192.0.2.1")
    answers = await asyncio.gather(*(ask.a("example.test") for _ in range(50)))
    assert len(server.asked) == 1
    assert all(answer.records == ("192.0.2.1",) for answer in answers)


async def test_who_gives_up_does_not_take_the_answer_from_others(server, ask):
    waiting = {}
    server.answers["example.test A"] = lambda query, is_tcp: waiting.setdefault("query", query) and None
    first, second = (asyncio.create_task(ask.a("example.test")) for _ in range(2))
    await asyncio.wait_for(server.asked_now.wait(), 5)
    first.cancel()
    rrset = records("example.test. 60 IN A 192.0.2.1")
    server._udp.sendto(server.response(waiting["query"], rrset).to_wire(), ("127.0.0.1", server.source_ports[0]))
    assert (await second).records == ("192.0.2.1",)


@pytest.mark.parametrize("code", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP])
async def test_a_server_that_fails_gives_no_answer_and_is_left_alone_for_a_second(server, ask, clock, code):
    server.rcode = code
    for _ in range(2):
        with pytest.raises(DnsUnavailable):
            await ask.mx("example.test")
    assert len(server.asked) == 1
    clock.now_s += 1.1
    server.rcode = dns.rcode.NOERROR
    server.answers["example.test MX"] = records("example.test. 60 IN MX 1 a.test.")
    assert (await ask.mx("example.test")).records == (Mx(1, "a.test"),)


async def test_the_next_server_is_asked_where_one_fails(server, clock):
    server.answers["example.test A"] = records("example.test. 60 IN A 192.0.2.1")
    bad = await NameServerDouble().start()
    bad.rcode = dns.rcode.REFUSED
    resolver = DnsResolver(Dns(servers=(f"127.0.0.1:{unused_port()}", bad.address, server.address)), clock)
    assert (await resolver.a("example.test")).records == ("192.0.2.1",)
    assert bad.asked == ["example.test A"]
    await bad.stop()


async def test_the_next_server_is_asked_where_one_is_silent(server, clock):
    server.answers["example.test A"] = records("example.test. 60 IN A 192.0.2.1")
    silent = await NameServerDouble().start()
    silent.answers["example.test A"] = lambda query, is_tcp: None
    resolver = DnsResolver(Dns(servers=(silent.address, server.address)), clock)
    assert (await resolver.a("example.test")).records == ("192.0.2.1",)
    assert silent.asked == ["example.test A"]
    await silent.stop()


async def test_large_answers_come_over_tcp(server, ask):
    server.answers["example.test TXT"] = records("example.test. 60 IN TXT " + " ".join(['"' + "x" * 250 + '"'] * 20))
    assert (await ask.txt("example.test")).records == (b"x" * 5000,)
    assert server.over_tcp == ["example.test TXT"]


async def test_the_word_of_a_loopback_resolver_counts(server, ask):
    server.is_authentic = True
    server.answers["example.test A"] = records("example.test. 60 IN A 192.0.2.1")
    assert (await ask.a("example.test")).is_authentic
    assert (await ask.a("none.test")).is_authentic
    assert server.wants_dnssec == [True, True]


async def test_nobodys_word_counts_if_there_is_a_stranger_among_the_servers(server, clock):
    server.is_authentic = True
    server.answers["example.test A"] = records("example.test. 60 IN A 192.0.2.1")
    servers = (server.address, "192.0.2.53")
    assert not (await DnsResolver(Dns(servers=servers), clock).a("example.test")).is_authentic
    assert (await DnsResolver(Dns(servers=servers, trusts_ad=True), clock).a("example.test")).is_authentic
    assert server.wants_dnssec == [False, True]


async def test_an_answer_without_the_bit_is_not_authentic(server, ask):
    server.answers["example.test A"] = records("example.test. 60 IN A 192.0.2.1")
    assert not (await ask.a("example.test")).is_authentic


async def test_ports_and_ids_are_not_to_be_foreseen(server, ask):
    for number in range(20):
        await ask.a(f"n{number}.test")
    assert len(set(server.ids)) > 15
    assert len(set(server.source_ports)) > 15
    steps = {second - first for first, second in zip(server.source_ports, server.source_ports[1:], strict=False)}
    assert len(steps) > 10


async def test_attack_034_what_answers_another_question_is_not_believed(server, ask):
    true, forged = (records(f"example.test. 60 IN A 192.0.2.{number}") for number in (1, 66))

    def told(query, is_tcp):
        wrong_id = server.response(query, forged)
        wrong_id.id = query.id ^ 1
        wrong_name = server.response(dns.message.make_query("evil.test", "A", id=query.id), forged)
        wrong_type = server.response(dns.message.make_query("example.test", "MX", id=query.id), forged)
        no_response = server.response(query, forged)
        no_response.flags &= ~dns.flags.QR
        right = server.response(query, true)
        cut = b"\x00" * 5
        garbage = query.id.to_bytes(2) + b"\x81\x80" + b"\xff" * 30
        return [
            wrong_id.to_wire(),
            wrong_name.to_wire(),
            wrong_type.to_wire(),
            no_response.to_wire(),
            cut,
            garbage,
            right.to_wire(),
        ]

    server.answers["example.test A"] = told
    assert (await ask.a("example.test")).records == ("192.0.2.1",)


async def test_attack_034_records_beside_the_question_are_not_taken(server, ask):
    server.answers["example.test A"] = records("victim.test. 60 IN A 192.0.2.66", "example.test. 60 IN A 192.0.2.1")
    assert (await ask.a("example.test")).records == ("192.0.2.1",)
    assert (await ask.a("victim.test")).records == ()


async def test_attack_034_a_shower_of_guesses_moves_the_question_to_tcp(server, ask):
    true, forged = (records(f"example.test. 60 IN A 192.0.2.{number}") for number in (1, 66))

    def told(query, is_tcp):
        if is_tcp:
            return server.response(query, true).to_wire()
        guesses = []
        for step in range(1, 40):
            guess = server.response(query, forged)
            guess.id = query.id ^ step
            guesses.append(guess.to_wire())
        return guesses

    server.answers["example.test A"] = told
    assert (await ask.a("example.test")).records == ("192.0.2.1",)
    assert server.over_tcp == ["example.test A"]


async def test_attack_034_chains_without_end_are_no_answer(server, ask):
    loop = records("a.test. 60 IN CNAME b.test.", "b.test. 60 IN CNAME a.test.")
    long = records(*(f"n{number}.test. 60 IN CNAME n{number + 1}.test." for number in range(40)))
    server.answers = {"a.test A": loop, "n0.test A": long}
    for name in ("a.test", "n0.test"):
        with pytest.raises(DnsUnavailable):
            await ask.a(name)


async def test_attack_034_sixty_four_kilobytes_are_read_and_do_not_fill_the_memory(server, clock):
    resolver = DnsResolver(Dns(servers=(server.address,), cached_max=1000), clock)
    text = " ".join(['"' + "x" * 255 + '"'] * 250)
    for number in range(12):
        server.answers[f"big{number}.test TXT"] = records(f"big{number}.test. 60 IN TXT {text}")
    for number in range(12):
        (found,) = (await resolver.txt(f"big{number}.test")).records
        assert len(found) == 255 * 250
    await resolver.txt("big11.test")
    assert len(server.over_tcp) == 12
    assert resolver._cache._octets_count <= 1000 * 512
    await resolver.txt("big0.test")
    assert len(server.over_tcp) == 13


async def test_attack_034_silence_ends_at_the_time_limit_of_all_tries_together(server, clock):
    server.answers["example.test A"] = lambda query, is_tcp: None
    resolver = DnsResolver(Dns(servers=(server.address,) * 3, query_limit_s=0.2), clock)
    async with asyncio.timeout(5):
        with pytest.raises(DnsUnavailable):
            await resolver.a("example.test")
    assert len(server.asked) == 1  # no try is shorter than a second, so the limit of them all came first


async def test_attack_034_a_tcp_answer_that_never_ends_is_given_up(server, clock):
    def told(query, is_tcp):
        if not is_tcp:
            response = dns.message.make_response(query)
            response.flags |= dns.flags.TC
            return response.to_wire()
        return None

    server.answers["example.test A"] = told
    resolver = DnsResolver(Dns(servers=(server.address,), query_limit_s=0.5), clock)
    async with asyncio.timeout(5):
        with pytest.raises(DnsUnavailable):
            await resolver.a("example.test")


def test_servers_are_read_from_the_settings():
    assert name_servers(("192.0.2.1", "192.0.2.2:5353", "2001:db8::1", "[2001:db8::1]:54", "[::1]")) == (
        NameServer("192.0.2.1"),
        NameServer("192.0.2.2", 5353),
        NameServer("2001:db8::1"),
        NameServer("2001:db8::1", 54),
        NameServer("::1"),
    )


@pytest.mark.parametrize("text", ["dns.example", "192.0.2.1:0", "192.0.2.1:99999", "192.0.2:53", "[::1", ""])
def test_what_is_no_server_is_a_wrong_setting(text):
    with pytest.raises(BadSettings):
        name_servers((text,))


def test_servers_of_the_system(tmp_path):
    file = tmp_path / "resolv.conf"
    file.write_text(
        "# a comment\nsearch example.test\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver bad\nnameserver\n"
    )
    assert name_servers((), file) == (NameServer("192.0.2.1"), NameServer("fe80::1%eth0"))
    file.write_text("")
    assert name_servers((), file) == (NameServer("127.0.0.1"),)
    assert name_servers((), tmp_path / "none") == (NameServer("127.0.0.1"),)


async def test_an_answer_over_tcp_may_come_in_pieces():
    stream = _Stream(asyncio.get_running_loop().create_future())
    for octet in b"\x00\x03abcd":
        assert stream.answer.done() is (octet == ord("d"))
        stream.data_received(bytes([octet]))
    assert await stream.answer == b"abc"


async def test_a_server_that_hangs_up_gives_no_answer(server, ask):
    def told(query, is_tcp):
        assert not is_tcp
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return response.to_wire()

    server.answers["example.test A"] = told
    server._tcp.close()
    with pytest.raises(DnsUnavailable):
        await ask.a("example.test")
