"""Two houses of ours and the real DNS: who is believed, who is refused, and that TLS is not taken away on the way.

House A sends. House B receives, for domains that differ in what their zones promise:

    b.test      signed zone, no TLSA
    sts.test    unsigned zone, MX in b.test, MTA-STS with mode enforce; the policy comes from B's own web service
    dane.test   signed zone, TLSA of B's key
    plain.test  unsigned zone with TLSA records, which nobody vouches for
"""

import hmac
import json
import re
import smtplib
import socket
import socketserver
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mailstead.mailauth.daily_counts import DailyCounts
from mailstead.mime.dsn import Action
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Actor
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR
from system.dav import event
from system.neighbours import House, Loopback, headers, letter, must_be_root, named, report_about
from system.server import PASSWORD, tls_context

pytestmark = pytest.mark.full

DOMAINS = ("sts.test", "dane.test", "plain.test")
QUICK_RETRY = {"MAILSTEAD_QUEUE_FIRST_RETRY_S": "0.2", "MAILSTEAD_QUEUE_RETRY_MAX_S": "1"}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    must_be_root()
    zones = {name: [] for name in ("a.test", "b.test", *DOMAINS)}
    with Loopback(tmp_path_factory.mktemp("net"), zones, signed=["a.test", "b.test", "dane.test"]) as started:
        yield started


@pytest.fixture(scope="module")
def a(net):
    house = House(net, "a.test", 2)
    house.furnish("alice", "bob")
    net.dns.replace("a.test", house.records())
    house.start()
    yield house
    stop(house)


@pytest.fixture(scope="module")
def b(net):
    names = ["mta-sts.sts.test", *(f"mx.{domain}" for domain in DOMAINS)]
    house = House(net, "b.test", 3, names, **QUICK_RETRY, MAILSTEAD_TLS_WATCH_S="0.05")
    house.settings |= {
        "MAILSTEAD_WEB_LISTEN_TLS": f"{house.address}:443",
        "MAILSTEAD_SUBMISSION_LISTEN": f"127.0.0.1:{house.port['submission']},{house.address}:587",
    }
    house.furnish("bob", "carol")

    async def further(opened):
        for domain in DOMAINS:
            await opened.domains.add(ADMINISTRATOR, domain)
            await opened.aliases.set_catch_all(ADMINISTRATOR, domain, [Address("bob", "b.test")])
        await opened.domains.add(ADMINISTRATOR, "via.test")
        await opened.accounts.create(ADMINISTRATOR, Address("alice", "via.test"), Secret(PASSWORD))

    house.do(further)
    mx = f"mx A {house.address}"
    net.dns.replace("b.test", house.records())
    net.dns.replace("sts.test", ["@ MX 10 mx.b.test.", f"mta-sts A {house.address}", '_mta-sts TXT "v=STSv1; id=1"'])
    net.dns.replace("dane.test", ["@ MX 10 mx", mx, f"_25._tcp.mx {house.pair.tlsa}"])
    net.dns.replace("plain.test", ["@ MX 10 mx", mx, f"_25._tcp.mx {net.authority.pair('other.test').tlsa}"])
    house.start()
    yield house
    stop(house)


def stop(house):
    code = house.stop()
    assert house.check() == []
    assert code == 0, house.log()[-2000:]


@pytest.fixture
def deliver(a, b, until):
    """Send from A to an address that ends with bob at B; give the message there and how TLS was."""

    def work(rcpt_to, name, **options):
        a.submit("alice@a.test", rcpt_to, letter("alice@a.test", rcpt_to, name), **options)
        return arrived(name)

    def arrived(name):
        message = until(lambda: named(b.messages("bob@b.test"), name))
        attempts = until(lambda: [each for each in attempts_of(a, name) if each["decision"] == "delivered"])
        return message, security(attempts[-1])

    work.arrived = arrived
    return work


def attempts_of(house, name):
    return house.steps(f"{name}@a.test", "attempt")


def security(step):
    found = re.search(r" \((\S+)\)", step["reason"])
    return found[1] if found else ""


# --- who is believed


def test_what_a_signs_b_believes(deliver, a):
    message, _ = deliver("bob@b.test", "signed")
    (results,) = headers(message, "Authentication-Results")
    assert results.startswith("mx.b.test; spf=pass")
    assert f"(by ip4:{a.address}) smtp.mailfrom=alice@a.test" in results
    assert results.count("dkim=pass") == 2
    assert "header.d=a.test" in results
    assert "header.a=ed25519-sha256" in results
    assert "header.a=rsa-sha256" in results
    assert "dmarc=pass" in results
    assert "header.from=a.test" in results


def meeting_of(house, who, change=None):
    """The meeting of somebody as it is in the calendar, after a change of it; empty: there is none."""

    async def work(opened):
        account = await opened.storage.directory.find(Address.parse(who))
        actor = Actor(account.account_id, account.address)
        await opened.collections.home(actor, account, CollectionKind.CALENDAR)
        calendar = await opened.collections.open(actor, account, CollectionKind.CALENDAR, "default")
        found = await calendar.store.find_uid(CollectionKind.CALENDAR, "between-houses")
        text = found[0].octets.decode().replace("\r\n ", "") if found else ""
        if change is not None:
            name = found[0].name if found else "m.ics"
            await opened.calendar_objects.put(calendar, name, change(text).encode())
        return text

    return house.do(work)


PEOPLE = (
    "ORGANIZER:mailto:alice@a.test\nATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@a.test\n"
    "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:bob@b.test\n"
)
MEETING = event("between-houses", "Between houses", "20270310T100000Z", PEOPLE)


def test_an_invitation_goes_by_mail_into_the_others_calendar_and_the_answer_comes_back(a, b, until):
    meeting_of(a, "alice@a.test", lambda _: MEETING)
    invited = until(lambda: meeting_of(b, "bob@b.test"))
    assert "SUMMARY:Between houses" in invited
    meeting_of(b, "bob@b.test", lambda text: text.replace("NEEDS-ACTION:mailto:bob", "ACCEPTED:mailto:bob"))
    answered = until(lambda: (text := meeting_of(a, "alice@a.test")).count("SCHEDULE-STATUS=2.0") and text)
    assert re.search(r"ATTENDEE;[^\r]*PARTSTAT=ACCEPTED[^\r]*:mailto:bob@b\.test", answered)
    titles = [re.search(rb"^Subject: (.+?)\r", each, re.MULTILINE)[1] for each in b.messages("bob@b.test")]
    assert titles.count(b"Invitation: Between houses") == 1


def test_what_a_stranger_says_in_the_name_of_a_is_refused(a, b):
    octets = letter("alice@a.test", "bob@b.test", "forged")
    with smtplib.SMTP(b.address, 25, "stranger.invalid", timeout=30) as client:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("stranger@elsewhere.invalid", ["bob@b.test"], octets)
        assert refused.value.smtp_code == 550
        assert b"5.7." in refused.value.smtp_error
        assert b"a.test" in refused.value.smtp_error
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("alice@a.test", ["bob@b.test"], octets)
        assert refused.value.smtp_code == 550
    checks = {(step["step"], step["decision"]) for step in b.steps("forged@a.test")}
    assert {("dmarc", "fail"), ("dmarc", "refuse")} <= checks
    assert named(b.messages("bob@b.test"), "forged") is None


# --- that TLS is not taken away


def test_an_mta_sts_policy_of_our_own_web_service_is_fetched_and_kept_to(deliver):
    _, manner = deliver("bob@sts.test", "by-policy")
    assert manner == "mta-sts"


def test_tlsa_of_a_signed_zone_is_kept_to(deliver):
    _, manner = deliver("bob@dane.test", "by-dane")
    assert manner == "dane"


def test_tlsa_of_an_unsigned_zone_says_nothing(deliver):
    _, manner = deliver("bob@plain.test", "unsigned")
    assert manner == "encrypted"


def restart(house):
    """Start anew, so that no session that is open already is used for the next message."""
    assert house.stop() == 0, house.log()[-2000:]
    house.start()


def deferred(a, until, name, why):
    """The message has met the attack, and waits."""
    (step,) = until(lambda: attempts_of(a, name))
    assert step["decision"] == "deferred"
    assert re.search(why, step["reply"]), step["reply"]
    return step


def counted(house):
    """What the house has noted for TLS-RPT today: domain, policy type, result type. It has to be stopped."""

    async def work(opened):
        counts = await DailyCounts(opened.storage.memory, opened.clock, "tls-reports").counts(datetime.now(UTC).date())
        return {(domain, policy, rest[-2]) for domain, policy, *rest in map(json.loads, counts)}

    return house.do(work)


@contextmanager
def other_zone(net, zone, lines):
    """While this lasts, a zone has other records."""
    kept = list(net.dns.zones[zone])
    net.dns.replace(zone, lines)
    try:
        yield
    finally:
        net.dns.replace(zone, kept)


class Stripper(socketserver.ThreadingTCPServer):
    """Between two servers: what is said goes on, only the word STARTTLS does not."""

    daemon_threads = True

    def __init__(self, address, target):
        self.target = target
        self.heard = b""
        super().__init__((address, 25), _Stripping)


class _Stripping(socketserver.BaseRequestHandler):
    def handle(self):
        with socket.create_connection((self.server.target, 25), 60) as server:
            upwards = threading.Thread(target=self._carry_up, args=(server,), daemon=True)
            upwards.start()
            for line in server.makefile("rb"):
                self.request.sendall(line.replace(b"STARTTLS", b"XXXXXXXX"))
            self.request.close()

    def _carry_up(self, server):
        try:
            while octets := self.request.recv(4096):
                self.server.heard += octets
                server.sendall(octets)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_attack_035_stripped_starttls_makes_mail_wait_where_a_policy_wants_tls(net, a, b, deliver, until):
    deliver("bob@sts.test", "policy-known")
    restart(a)
    moved = [f"mx A {net.address(9)}" if line.startswith("mx A") else line for line in net.dns.zones["b.test"]]
    with Stripper(net.address(9), b.address) as stripper, other_zone(net, "b.test", moved):
        threading.Thread(target=stripper.serve_forever, daemon=True).start()
        a.submit("alice@a.test", "bob@sts.test", letter("alice@a.test", "bob@sts.test", "stripped"))
        deferred(a, until, "stripped", "no TLS")
        assert b"EHLO mx.a.test" in stripper.heard
        assert b"MAIL" not in stripper.heard.upper()
        stripper.shutdown()
    a.run("queue", "retry", "--all")
    assert deliver.arrived("stripped")[1] == "mta-sts"
    a.stop()
    assert ("sts.test", "sts", "starttls-not-supported") in counted(a)
    a.start()


@contextmanager
def another_certificate(net, house, until):
    """While this lasts, a house shows a certificate for another name, of another key, by the same authority."""

    def show(certificate, key):
        house.pair.key.write_bytes(key)
        house.pair.certificate.write_bytes(certificate)
        until(lambda: shown(house) == ssl.PEM_cert_to_DER_cert(certificate.decode()))

    kept, other = house.pair, net.authority.pair("stranger.test")
    octets = [path.read_bytes() for path in kept]
    show(*(path.read_bytes() for path in other))
    try:
        yield
    finally:
        show(*octets)


def shown(house):
    """The certificate that a house shows now."""
    with smtplib.SMTP(house.address, 25, timeout=30) as client:
        client.starttls(context=tls_context())
        return client.sock.getpeercert(binary_form=True)


@pytest.mark.parametrize(
    ("domain", "manner", "noted"),
    [
        ("sts.test", "mta-sts", ("sts", "certificate-host-mismatch")),
        ("dane.test", "dane", ("tlsa", "validation-failure")),
    ],
)
def test_attack_035_a_wrong_certificate_makes_mail_wait_where_tls_is_promised(
    net, a, b, deliver, until, domain, manner, noted
):
    deliver(f"bob@{domain}", f"known-{manner}")
    restart(a)
    name = f"wrong-{manner}"
    with another_certificate(net, b, until):
        a.submit("alice@a.test", f"bob@{domain}", letter("alice@a.test", f"bob@{domain}", name))
        deferred(a, until, name, "certificate")
    assert named(b.messages("bob@b.test"), name) is None
    a.run("queue", "retry", "--all")
    assert deliver.arrived(name)[1] == manner
    a.stop()
    assert (domain, *noted) in counted(a)
    a.start()


def test_attack_035_a_wrong_tlsa_record_makes_mail_wait(net, a, b, deliver, until):
    other = net.authority.pair("other.test").tlsa
    wrong = [line.replace(b.pair.tlsa, other) for line in net.dns.zones["dane.test"]]
    restart(a)
    with other_zone(net, "dane.test", wrong):
        a.submit("alice@a.test", "bob@dane.test", letter("alice@a.test", "bob@dane.test", "wrong-tlsa"))
        deferred(a, until, "wrong-tlsa", "DANE")
    a.run("queue", "retry", "--all")
    assert deliver.arrived("wrong-tlsa")[1] == "dane"


def test_requiretls_is_passed_on_from_house_to_house(a, b, until):
    b.run("alias", "create", "onward@b.test", "bob@a.test")
    for name, options in (("unasked", {}), ("required", {"mail": ["REQUIRETLS"]})):
        a.submit("alice@a.test", "onward@b.test", letter("alice@a.test", "onward@b.test", name), **options)
        assert until(lambda name=name: named(a.messages("bob@a.test"), name))
    manners = [
        [security(step) for step in house.steps(f"{name}@a.test", "attempt") if "through" not in step["reason"]]
        for name in ("unasked", "required")
        for house in (a, b)
    ]
    # Without the wish any certificate will do; with it A asks B for a verified one, and B asks A.
    assert manners == [["encrypted"], ["encrypted"], ["verified"], ["verified"]]


def test_requiretls_goes_nowhere_where_nobody_vouches_for_the_way(a, until):
    octets = letter("alice@a.test", "bob@plain.test", "nowhere")
    a.submit("alice@a.test", "bob@plain.test", octets, mail=["REQUIRETLS"])
    report = until(lambda: report_about(a.messages("alice@a.test"), "nowhere"))
    (recipient,) = report.recipients
    assert (recipient.address, recipient.action, recipient.status) == ("bob@plain.test", Action.FAILED, "5.7.30")


# --- other ways out


class Hook(BaseHTTPRequestHandler):
    """Fails the first time."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, self.headers["X-Webhook-Signature"], body))
        self.send_response(503 if len(self.server.taken) == 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_webhook_gets_the_message_signed_and_again_until_it_says_200(a, b, until):
    with ThreadingHTTPServer((b.net.address(8), 8080), Hook) as server:
        server.taken = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        b.run("alias", "create", "hook@b.test", f"http://{b.net.address(8)}:8080/in?raw=true")
        a.submit("alice@a.test", "hook@b.test", letter("alice@a.test", "hook@b.test", "hooked"))
        until(lambda: len(server.taken) == 2)
        until(lambda: [step for step in attempts_of(b, "hooked") if step["decision"] == "delivered"])
        server.shutdown()
    key = b.answer("domain", "show", "b.test", "--secrets")["terms"]["webhook_key"]
    for path, signature, body in server.taken:
        assert path == "/in?raw=true"
        assert signature == hmac.digest(key.encode(), body, "sha256").hex()
        said = json.loads(body)
        assert said["recipients"] == ["hook@b.test"]
        assert said["session"]["sender"] == "alice@a.test"
        assert "Subject: hooked" in said["raw"]


def test_mail_of_a_domain_goes_out_through_its_smarthost(a, b, until):
    async def further(opened):
        await opened.domains.add(ADMINISTRATOR, "via.test")
        await opened.accounts.create(ADMINISTRATOR, Address("alice", "via.test"), Secret(PASSWORD))

    a.do(further)
    terms = ["smarthost=mx.b.test:587", "smarthost_username=alice@via.test", "smarthost_security=starttls"]
    a.run("domain", "set", "via.test", *terms, "--smarthost-password-stdin", stdin=PASSWORD + "\n")
    a.submit("alice@via.test", "bob@b.test", letter("alice@via.test", "bob@b.test", "relayed"))
    message = until(lambda: named(b.messages("bob@b.test"), "relayed"))
    assert "by mx.b.test with ESMTPSA (TLSv1.3" in headers(message, "Received")[0]
    (step,) = until(lambda: a.steps("relayed@via.test", "attempt"))
    assert (step["decision"], security(step)) == ("delivered", "verified")
    assert step["peer"] == f"mx.b.test [{b.address}]"
