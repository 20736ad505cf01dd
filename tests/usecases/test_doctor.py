"""The doctor: DNS as a dictionary, probes as the test says, a real store."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.model.address import Address
from mailstead.model.diagnosis import Health
from mailstead.model.envelope import Actor, Recipient
from mailstead.model.errors import BackupFailed, NoSuchDomain, NotAllowed, WebFailed
from mailstead.model.queue import (
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    Outcome,
    RecipientState,
    RemoteReply,
)
from mailstead.model.trace import TraceEvent
from mailstead.policy.client_setup import Offer
from mailstead.policy.relay_forms import foreign_recipients
from mailstead.policy.sts_policy import policy_id, policy_text
from mailstead.ports.probes import CertificateFacts, DiskFacts, Greeted, KeyFacts, ProbeFailed
from mailstead.ports.web import WebResponse
from mailstead.usecases.dnsplan import DnsPlan
from mailstead.usecases.doctor import BRIDGED, BRIDGED_KEPT, Doctor, DoctorTerms, Listening
from mailstead.usecases.publications import HouseOffers
from mailstead.usecases.routes import HouseRelayTerms, Routes

HOST, DIGEST = "mx.example.test", "ab" * 32
IPV4, IPV6 = "192.0.2.7", "2001:db8::7"
OFFERS = (Offer("submission", 465, is_tls=True), Offer("imap", 993, is_tls=True))
LISTENING = (
    Listening("mx", "127.0.0.1:25", is_tls=False),
    Listening("imap", "127.0.0.1:993", is_tls=True),
    Listening("web", "127.0.0.1:443", is_tls=True),
)
GREETINGS = {"smtp": "220 mx ready", "imap": "* OK ready", "http": "HTTP/1.1 421 x"}
TERMS = DoctorTerms(HOST, LISTENING, (), "", 64 * 2**20)


class Machine:
    """The probes; a field that is a ProbeFailed is raised."""

    def __init__(self, clock):
        now = clock.now()
        self.addresses = (IPV4, IPV6)
        self.facts = CertificateFacts(
            (HOST,), now - timedelta(days=1), now + timedelta(days=60), "Let's Encrypt", False, DIGEST
        )
        self.greetings = dict(GREETINGS)
        self.shown = DIGEST
        self.taken = []
        self.asked = []
        self.mx_elsewhere = "220 elsewhere"
        self.usage = DiskFacts("/data", 60 * 2**30, 100 * 2**30)
        self.key = KeyFacts("/key", is_with_data=False, is_open=False)

    @staticmethod
    def _give(value):
        if isinstance(value, ProbeFailed):
            raise value
        return value

    async def own_addresses(self):
        return self.addresses

    async def certificate(self):
        return self._give(self.facts)

    async def greeting(self, where, *, speaks, is_tls):
        self.asked.append(where)
        return Greeted(self._give(self.greetings[speaks]), self.shown if is_tls else "")

    async def port_25(self, host, port):
        self.asked.append(f"{host}:{port}")
        return self._give(self.mx_elsewhere)

    async def accepted_recipients(self, where, recipients):
        assert list(recipients) == foreign_recipients(HOST, HOST)
        return self._give(self.taken)

    async def disk(self):
        return self._give(self.usage)

    async def master_key(self):
        return self._give(self.key)


class Web:
    """Our own policy host, as others see it."""

    def __init__(self):
        self.response = WebResponse(200, {"content-type": "text/plain"}, policy_text("enforce", HOST).encode())
        self.urls = []

    async def get(self, url, **_):
        self.urls.append(url)
        if isinstance(self.response, Exception):
            raise self.response
        return self.response


def good_zones(records):
    """What the plan asks for, published."""
    names = {
        HOST: {"A": [IPV4], "AAAA": [IPV6]},
        "7.2.0.192.in-addr.arpa": {"PTR": [HOST]},
        "7." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa": {"PTR": [HOST]},
        "test": {},
    }
    for record in records:
        entry = names.setdefault(record.name, {})
        fields = record.value.split()
        if record.kind == "TXT":
            entry.setdefault("TXT", []).append(record.value)
        elif record.kind == "MX":
            entry["MX"] = [(int(fields[0]), fields[1])]
        elif record.kind == "SRV":
            entry["SRV"] = [(*map(int, fields[:3]), fields[3].rstrip("."))]
        elif record.kind == "CNAME":
            entry["CNAME"] = record.value
        elif record.kind == "TLSA":
            entry["TLSA"] = [(*map(int, fields[:3]), bytes.fromhex(fields[3]))]
        elif record.kind == "CAA":
            entry["CAA"] = [(int(fields[0]), fields[1], fields[2].strip('"'))]
    return Zones(names, authentic=("test",))


class Practice:
    """A doctor with all that he looks at."""

    def __init__(self, storage, clock, admin):
        self.storage, self.clock, self.admin = storage, clock, admin
        self.machine, self.web, self.zones, self.terms = Machine(clock), Web(), None, TERMS
        self.relay_terms = HouseRelayTerms()

    @property
    def plan(self):
        routes = Routes(self.storage, self.relay_terms)
        return DnsPlan(self.storage, routes, self.machine, HouseOffers(HOST, OFFERS), ("", ""))

    async def publish(self):
        records = [*await self.plan.of_host(self.admin), *await self.plan.of_domain(self.admin, "example.test")]
        self.zones = good_zones(records)
        return records

    def doctor(self):
        return Doctor(self.storage, self.clock, self.zones, self.web, self.machine, self.plan, self.terms)

    async def examine(self, domain=None, actor=None):
        found = await self.doctor().examine(actor or self.admin, domain)
        assert len({each.key for each in found}) == len(found), "names tell findings apart"
        self.found = {each.name: each for each in found}
        for each in found:
            if each.status in {Health.WARNING, Health.ERROR}:
                assert each.expected, each
                assert each.advice, each
        return self.found

    async def status(self, name):
        return (await self.examine())[name].status


@pytest.fixture
async def practice(storage, clock, admin, domains, keys):
    await keys.create(admin, "example.test")
    practice = Practice(storage, clock, admin)
    await practice.publish()
    return practice


async def test_where_all_is_well_all_is_ok(practice):
    found = await practice.examine()
    skipped = {name for name, each in found.items() if each.status is Health.SKIPPED}
    assert skipped == {"port 25 outward", "block lists", "client addresses"}
    assert {each.status for name, each in found.items() if name not in skipped} == {Health.OK}


async def test_only_one_domain(practice):
    found = await practice.examine("example.test")
    assert {each.domain for each in found.values()} == {"example.test"}
    assert practice.machine.asked == []
    with pytest.raises(NoSuchDomain):
        await practice.examine("other.test")


async def test_for_administrators_only(practice):
    with pytest.raises(NotAllowed):
        await practice.examine(actor=Actor(None, None))


async def test_nobody_is_asked_who_is_not_named(practice):
    """Only our own ports, our own names, their parents, and the addresses' reverse zones."""
    await practice.examine()
    assert set(practice.machine.asked) == {each.where for each in LISTENING}
    assert practice.web.urls == ["https://mta-sts.example.test/.well-known/mta-sts.txt"]
    for name, _ in practice.zones.questions:
        assert name.endswith(("example.test", ".arpa")) or name == "test", name


async def test_progress_is_told(practice):
    told = []
    await practice.doctor().examine(practice.admin, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert {total for _, total in told} == {len(told)}


# the records


async def changed(practice, name, kind, value):
    entry = practice.zones.names.setdefault(name, {})
    if value is None:
        entry.pop(kind, None)
    else:
        entry[kind] = value
    return await practice.examine("example.test")


D = "example.test"


@pytest.mark.parametrize(
    ("finding", "name", "kind", "value", "status"),
    [
        ("mx", D, "MX", None, Health.ERROR),
        ("mx", D, "MX", [(0, "")], Health.ERROR),
        ("mx", D, "MX", [(10, "other.test")], Health.ERROR),
        ("mx", D, "MX", [(10, HOST), (20, "other.test")], Health.WARNING),
        ("mx", D, "MX", UNAVAILABLE, Health.WARNING),
        ("spf", D, "TXT", ["something else"], Health.ERROR),
        ("spf", D, "TXT", ["v=spf1 mx -all", "v=spf1 -all"], Health.ERROR),
        ("spf", D, "TXT", ["v=spf1 ip4:192.0.2.8 -all"], Health.ERROR),
        ("spf", D, "TXT", ["v=spf1 ip4:192.0.2.7 -all"], Health.ERROR),
        ("spf", D, "TXT", ["v=spf1 ip4:192.0.2.7 ip6:2001:db8::/32 ~all"], Health.OK),
        ("spf", D, "TXT", ["v=spf1 nonsense"], Health.ERROR),
        ("dmarc", f"_dmarc.{D}", "TXT", None, Health.ERROR),
        ("dmarc", f"_dmarc.{D}", "TXT", ["v=DMARC1; p=none"], Health.WARNING),
        ("dmarc", f"_dmarc.{D}", "TXT", ["v=DMARC1; p=reject; t=y"], Health.OK),
        ("dmarc", f"_dmarc.{D}", "TXT", ["v=DMARC1; p=reject; rua=mailto:x@other.test"], Health.OK),
        ("dmarc", f"_dmarc.{D}", "TXT", ["v=DMARC1; p=reject", "v=DMARC1; p=none"], Health.ERROR),
        ("mta-sts-host", f"mta-sts.{D}", "CNAME", "elsewhere.test", Health.SKIPPED),
        ("mta-sts", f"_mta-sts.{D}", "TXT", None, Health.SKIPPED),
        ("mta-sts", f"_mta-sts.{D}", "TXT", ["v=STSv1; id=1"], Health.WARNING),
        ("tls-rpt", f"_smtp._tls.{D}", "TXT", None, Health.SKIPPED),
        ("tls-rpt", f"_smtp._tls.{D}", "TXT", ["v=TLSRPTv1; rua=x"], Health.WARNING),
        ("srv _imaps", f"_imaps._tcp.{D}", "SRV", None, Health.SKIPPED),
        ("srv _imaps", f"_imaps._tcp.{D}", "SRV", [(0, 1, 993, "old.test")], Health.WARNING),
        ("srv _imaps", f"_imaps._tcp.{D}", "SRV", [(5, 5, 993, HOST)], Health.OK),
        ("srv _pop3", f"_pop3._tcp.{D}", "SRV", [(0, 1, 110, HOST)], Health.WARNING),
        ("autoconfig", f"autoconfig.{D}", "CNAME", "nobody.test", Health.SKIPPED),
    ],
)  # fmt: skip
async def test_records_that_are_wrong(practice, finding, name, kind, value, status):
    found = (await changed(practice, name, kind, value))[finding]
    assert found.status is status, found
    if status is not Health.OK:
        assert name in found.expected


async def test_a_name_that_leads_elsewhere(practice):
    practice.zones.names["elsewhere.test"] = {"A": ["192.0.2.99"]}
    found = (await changed(practice, f"autodiscover.{D}", "CNAME", "elsewhere.test"))["autodiscover"]
    assert found.status is Health.WARNING
    assert "192.0.2.99" in found.found


async def test_the_policy_of_a_parent_counts(practice, domains, admin):
    await domains.add(admin, "sub.example.test")
    practice.zones.names[f"_dmarc.{D}"] = {"TXT": ["v=DMARC1; p=reject; sp=none"]}
    assert (await practice.examine("sub.example.test"))["dmarc"].status is Health.WARNING
    practice.zones.names[f"_dmarc.{D}"] = {"TXT": ["v=DMARC1; p=none; sp=reject"]}
    assert (await practice.examine("sub.example.test"))["dmarc"].status is Health.OK


async def test_keys_that_are_not_published(practice, keys, admin):
    [first, second] = [each.name for each in await keys.list(admin, D)]
    practice.zones.names[first]["TXT"] = ["v=DKIM1; k=rsa; p=AAAA", "rubbish ; ; ="]
    del practice.zones.names[second]
    found = await practice.examine(D)
    names = [f"dkim {name.partition('.')[0]}" for name in (first, second)]
    assert [(found[name].status, found[name].found) for name in names] == [
        (Health.ERROR, "another key"),
        (Health.ERROR, "not published"),
    ]
    await keys.rotate(admin, D)
    pending = [each for name, each in (await practice.examine(D)).items() if name.startswith("dkim")][2:]
    assert [each.status for each in pending] == [Health.WARNING] * 2


async def test_a_key_may_be_written_in_other_ways(practice, keys, admin):
    for each in await keys.list(admin, D):
        value = each.record.partition("p=")[2]
        kind = "rsa" if "rsa" in each.record else "ed25519"
        practice.zones.names[each.name]["TXT"] = [f"k={kind}; p={value[:30]} {value[30:]};"]
    found = await practice.examine(D)
    assert {each.status for name, each in found.items() if name.startswith("dkim")} == {Health.OK}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (WebFailed("no connection"), "cannot be fetched"),
        (WebResponse(404), "answers 404"),
        (WebResponse(200, {}, b"version: STSv1\r\nmode: none\r\n"), "is not our policy"),
    ],
)
async def test_attack_036_a_record_without_its_policy_is_an_error(practice, response, said):
    practice.web.response = response
    found = (await practice.examine(D))["mta-sts"]
    assert found.status is Health.ERROR
    assert said in found.found


async def test_attack_036_another_mode_asks_for_another_id(practice, storage):
    domain = await storage.directory.domain(D)
    await storage.directory.set_terms(D, replace(domain.terms, mta_sts_mode="testing"))
    text = policy_text("testing", HOST)
    practice.web.response = WebResponse(200, {}, text.encode())
    found = (await practice.examine(D))["mta-sts"]
    assert found.status is Health.WARNING
    assert policy_id(text) in found.expected


async def test_tlsa_records(practice):
    name = f"_25._tcp.{HOST}"

    async def status(records):
        practice.zones.names[name] = {"TLSA": records}
        return await practice.status("tlsa")

    key = bytes.fromhex(DIGEST)
    assert await status([(3, 1, 1, key), (3, 1, 1, b"next" * 8)]) is Health.OK
    assert await status([(3, 1, 1, b"old." * 8)]) is Health.ERROR
    assert await status([(2, 1, 1, b"auth" * 8)]) is Health.WARNING
    assert await status([]) is Health.SKIPPED
    practice.zones.authentic = ()
    assert await status([(3, 1, 1, key)]) is Health.WARNING


async def test_caa_is_looked_for_up_the_tree(practice):
    del practice.zones.names[HOST]["CAA"]
    assert await practice.status("caa") is Health.SKIPPED
    practice.zones.names[D]["CAA"] = [(0, "issue", "other.test")]
    assert await practice.status("caa") is Health.WARNING
    practice.zones.names[D]["CAA"] = [(0, "issue", "other.test"), (0, "issue", "letsencrypt.org; a=b")]
    assert await practice.status("caa") is Health.OK


async def test_addresses_of_the_host(practice):
    practice.zones.names[HOST]["A"] = ["192.0.2.99"]
    assert await practice.status(f"address {IPV4}") is Health.WARNING
    del practice.zones.names[HOST]["A"]
    assert await practice.status(f"address {IPV4}") is Health.ERROR
    practice.machine.addresses = ()
    assert await practice.status("host") is Health.ERROR
    practice.zones.names[HOST]["A"] = ["192.0.2.99"]
    assert await practice.status("host") is Health.OK


async def test_what_leaves_through_a_relay_need_not_pass_for_our_address(practice):
    practice.relay_terms = HouseRelayTerms(smarthost="relay.test:587")
    practice.zones.names[D]["TXT"] = ["v=spf1 include:relay.test -all"]
    practice.zones.names["relay.test"] = {"TXT": ["v=spf1 ip4:198.51.100.0/24 -all"]}
    assert await practice.status("spf") is Health.WARNING


# the machine


async def test_the_clock(practice, clock):
    class Jumping:
        calls = 0

        def now(self):
            self.calls += 1
            return clock.now() + timedelta(seconds=30 if self.calls > 1 else 0)

        def monotonic_s(self):
            return 0.0

    practice.clock = Jumping()
    found = (await practice.examine())["clock"]
    assert found.status is Health.WARNING
    assert "moved by 30 s" in found.found
    practice.clock = clock
    clock.passed_s = -100 * 86400
    assert await practice.status("clock") is Health.ERROR


@pytest.mark.parametrize(
    ("free", "status"),
    [(2**20, Health.ERROR), (2**30, Health.WARNING), (50 * 2**30, Health.OK)],
)
async def test_the_disk(practice, free, status):
    practice.machine.usage = DiskFacts("/data", free, 100 * 2**30)
    assert await practice.status("disk") is status


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (KeyFacts("/data/key", is_with_data=True, is_open=False), Health.WARNING),
        (KeyFacts("/key", is_with_data=False, is_open=True), Health.ERROR),
        (ProbeFailed("/key: gone"), Health.ERROR),
    ],
)
async def test_the_master_key(practice, key, status):
    practice.machine.key = key
    assert await practice.status("master key") is status


async def test_backups_are_looked_at_where_they_are_to_be_made(practice, clock):
    assert "backups" not in await practice.examine()
    answers = [clock.now() - timedelta(hours=35), clock.now() - timedelta(hours=37), None, BackupFailed("no answer")]
    for answer, status in zip(answers, (Health.OK, Health.ERROR, Health.ERROR, Health.ERROR), strict=True):

        async def last_backup(answer=answer):
            if isinstance(answer, Exception):
                raise answer
            return answer

        practice.terms = replace(TERMS, last_backup=last_backup)
        assert await practice.status("backups") is status


async def test_a_backup_key_that_nobody_has_seen_is_a_warning(practice, clock):
    async def last_backup():
        return clock.now()

    assert "backup key" not in await practice.examine()
    for is_shown, status in ((True, Health.OK), (False, Health.WARNING)):
        practice.terms = replace(TERMS, last_backup=last_backup, is_backup_key_shown=lambda is_shown=is_shown: is_shown)
        assert await practice.status("backup key") is status


async def test_the_resolver(practice):
    practice.zones.authentic = ()
    assert await practice.status("resolver") is Health.WARNING
    practice.zones.names["test"] = UNAVAILABLE
    assert await practice.status("resolver") is Health.ERROR


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"names": ("other.test",)}, Health.ERROR, "not for mx.example.test"),
        ({"names": ("*.example.test",)}, Health.OK, ""),
        ({"is_self_signed": True}, Health.WARNING, "signed by itself"),
        ({"not_after": 13}, Health.WARNING, "12 days left"),
        ({"not_after": -1}, Health.ERROR, "has expired"),
        ({"not_before": 1}, Health.ERROR, "not yet"),
    ],
)
async def test_the_certificate(practice, clock, changes, status, said):
    moments = {
        name: clock.now() + timedelta(days=value, seconds=-1) if isinstance(value, int) and "not_" in name else value
        for name, value in changes.items()
    }
    practice.machine.facts = replace(practice.machine.facts, **moments)
    found = (await practice.examine())["certificate"]
    assert found.status is status
    assert said in found.found


async def test_no_certificate_at_all(practice):
    practice.machine.facts = ProbeFailed("cannot be read")
    assert await practice.status("certificate") is Health.ERROR
    assert "tlsa" not in practice.found


@pytest.mark.parametrize(
    ("said", "status"),
    [(ProbeFailed("Connection refused"), Health.ERROR), ("220 nginx \x1b[2J", Health.ERROR), ("* OK", Health.OK)],
)
async def test_a_service(practice, said, status):
    practice.machine.greetings["imap"] = said
    found = (await practice.examine())["service imap 127.0.0.1:993"]
    assert found.status is status
    assert "\x1b" not in found.found


async def test_a_service_that_still_shows_the_old_certificate(practice):
    practice.machine.shown = "cd" * 32
    assert await practice.status("service web 127.0.0.1:443") is Health.WARNING
    assert practice.found["service mx 127.0.0.1:25"].status is Health.OK


# relay and addresses


async def test_attack_012_an_open_relay_is_an_error(practice):
    practice.machine.taken = ["<victim%elsewhere.test@mx.example.test>"]
    found = (await practice.examine())["open relay"]
    assert found.status is Health.ERROR
    assert "<victim%elsewhere.test@mx.example.test>" in found.found
    assert "port 25" in found.advice


async def test_attack_012_what_our_own_catch_all_takes_is_no_relay(practice, domains, admin):
    await domains.add(admin, HOST)
    practice.machine.taken = [f"<victim%elsewhere.test@{HOST}>"]
    assert await practice.status("open relay") is Health.OK


async def test_attack_012_what_could_not_be_tried_is_not_called_good(practice):
    practice.machine.taken = ProbeFailed("refused")
    assert await practice.status("open relay") is Health.SKIPPED
    practice.terms = replace(TERMS, listening=LISTENING[1:])
    assert await practice.status("open relay") is Health.SKIPPED


def arrival(clock, address, number=0):
    return TraceEvent(clock.now(), f"q{number}", "in", "received", peer=f"client.test [{address}]")


async def test_attack_013_the_self_test_says_when_all_clients_look_like_a_bridge(practice, storage, clock):
    for number in range(2):
        storage.trace.record(arrival(clock, "172.17.0.1", number))
    assert await practice.status("client addresses") is Health.SKIPPED
    storage.trace.record(arrival(clock, "172.17.0.1", 3))
    storage.trace.record(TraceEvent(clock.now(), "q9", "out", "attempt", peer="mx.test [8.8.8.8]"))
    storage.trace.record(TraceEvent(clock.now(), "q8", "in", "received", peer="8.8.4.4"))
    found = (await practice.examine())["client addresses"]
    assert found.status is Health.ERROR
    assert "172.17.0.1" in found.found
    assert "limits.proxy_from" in found.advice


async def test_attack_013_clients_with_addresses_of_their_own_are_well(practice, storage, clock):
    for address in ("172.17.0.1", "10.0.0.1", "8.8.8.8", "not an address"):
        storage.trace.record(arrival(clock, address))
    assert await practice.status("client addresses") is Health.OK


async def test_attack_013_what_the_mx_has_turned_away_is_told(practice, storage, clock):
    storage.trace.record(arrival(clock, "8.8.8.8"))
    await storage.memory.remember(BRIDGED, {"172.17.0.1": b""}, clock.now() + BRIDGED_KEPT)
    found = (await practice.examine())["client addresses"]
    assert (found.status, "172.17.0.1" in found.found) == (Health.ERROR, True)
    assert "limits.allows_bridged_clients" in found.advice


# the queue


async def queued(storage, clock, reply):
    destination = Destination(DestinationKind.DOMAIN, "one.test")
    recipient = NewRecipient(Recipient(Address("bob", "one.test")), destination)
    now = clock.now()
    item = NewItem("q1", ItemKind.SUBMISSION, Address("alice", D), (recipient,), b"x\r\n", now, now + timedelta(days=5))
    await storage.queue.put([item])
    [delivery] = await storage.queue.lease(now, now + timedelta(minutes=3), 1, 1)
    [waiting] = delivery.item.recipients
    outcome = Outcome(waiting.recipient_id, RecipientState.WAITING, reply, now + timedelta(hours=1))
    await storage.queue.settle(delivery, [outcome])
    return destination


async def test_the_queue(practice, storage, clock):
    reply = RemoteReply(451, "4.7.1", "later\x1b[2J")
    destination = await queued(storage, clock, reply)
    found = await practice.examine()
    assert found["queue"].status is Health.OK
    assert "1 recipients wait" in found["queue"].found
    await storage.queue.destination_failed(destination, clock.now() + timedelta(hours=3), reply)
    found = (await practice.examine())["destinations"]
    assert found.status is Health.WARNING
    assert "one.test" in found.found
    assert "\x1b" not in found.found
    clock.passed_s += 25 * 3600
    assert await practice.status("queue") is Health.WARNING
    assert practice.found["destinations"].status is Health.OK


# the network


async def test_port_25_is_tried_where_the_setting_says(practice):
    practice.terms = replace(TERMS, port_25_target="mx.elsewhere.test")
    assert await practice.status("port 25 outward") is Health.OK
    assert "mx.elsewhere.test:25" in practice.machine.asked
    practice.terms = replace(TERMS, port_25_target="[2001:db8::1]:2525")
    practice.machine.mx_elsewhere = "554 go away"
    assert await practice.status("port 25 outward") is Health.WARNING
    assert "2001:db8::1:2525" in practice.machine.asked
    practice.machine.mx_elsewhere = ProbeFailed("no answer")
    assert await practice.status("port 25 outward") is Health.ERROR


@pytest.mark.parametrize(
    ("names", "status"),
    [
        ([], Health.ERROR),
        (["other.test"], Health.ERROR),
        (["also.test"], Health.WARNING),
        (UNAVAILABLE, Health.WARNING),
    ],
)
async def test_reverse_names(practice, names, status):
    practice.zones.names["also.test"] = {"A": [IPV4]}
    practice.zones.names["7.2.0.192.in-addr.arpa"] = {"PTR": names}
    assert await practice.status(f"reverse name {IPV4}") is status
    assert practice.found[f"reverse name {IPV6}"].status is Health.OK


async def test_block_lists_that_are_set_are_asked_about_us(practice):
    practice.terms = replace(TERMS, dns_blocklists=("bl.test", "other.bl.test=5"))
    assert await practice.status("block lists") is Health.OK
    practice.zones.names["7.2.0.192.other.bl.test"] = {"A": ["127.255.255.254"]}
    assert await practice.status("block lists") is Health.OK
    practice.zones.names["7.2.0.192.bl.test"] = UNAVAILABLE
    assert await practice.status("block lists") is Health.WARNING
    practice.zones.names["7.2.0.192.other.bl.test"] = {"A": ["127.0.0.2"]}
    found = (await practice.examine())["block lists"]
    assert found.status is Health.ERROR
    assert found.found == f"{IPV4} on other.bl.test"
    practice.machine.addresses = ()
    assert await practice.status("block lists") is Health.SKIPPED
