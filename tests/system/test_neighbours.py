"""Mail to and from Debian's Postfix and Exim, each a real neighbour with DNSSEC, TLS and notices of its own.

Postfix has TLSA records, Exim has none; both look for ours.
"""

import re
from base64 import b64encode

import dkim
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailstead.mime.dsn import Action
from system.dns import ask
from system.neighbours import Exim, House, Loopback, Postfix, headers, letter, must_be_root, named, report_about

pytestmark = pytest.mark.full

OF = {"postfix": "paul@postfix.test", "exim": "erin@exim.test"}


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    must_be_root()
    zones = {"house.test": [], "postfix.test": [], "exim.test": []}
    with Loopback(tmp_path_factory.mktemp("net"), zones, signed=zones) as started:
        yield started


@pytest.fixture(scope="module")
def postfix(net):
    with Postfix(net=net, domain="postfix.test", address=net.address(3), users=("paul", "full")) as started:
        net.dns.replace("postfix.test", started.records(f"_25._tcp.mx {started.pair.tlsa}"))
        yield started


@pytest.fixture(scope="module")
def exim_key():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def exim(net, exim_key):
    public = exim_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = f"v=DKIM1; k=rsa; p={b64encode(public).decode()}"
    with Exim(net=net, domain="exim.test", address=net.address(4), users=("erin",)) as started:
        net.dns.replace(
            "exim.test",
            started.records(
                f'e._domainkey TXT "{record[:200]}" "{record[200:]}"', '_dmarc TXT "v=DMARC1; p=reject; adkim=s"'
            ),
        )
        yield started


@pytest.fixture(scope="module")
def house(net):
    made = House(net, "house.test", 2)
    made.furnish("alice", "bob")
    net.dns.replace("house.test", made.records(f"_25._tcp.mx {made.pair.tlsa}"))
    made.start()
    yield made
    code = made.stop()
    assert made.check() == []
    assert code == 0, made.log()[-2000:]


@pytest.fixture(params=["postfix", "exim"])
def neighbour(request):
    return request.getfixturevalue(request.param)


def txt(net):
    """What dkimpy asks DNS with."""

    def look_up(name, timeout=5):
        answer = ask(net.dns.address, net.dns.port, name.decode(), "TXT").answer
        return next((b"".join(each[0].strings) for each in answer if each.rdtype == dns.rdatatype.TXT), None)

    return look_up


def test_mail_goes_to_a_neighbour_under_tls(net, house, neighbour, until):
    user, name = OF[neighbour.software], f"to-{neighbour.software}"
    house.submit("alice@house.test", user, letter("alice@house.test", user, name))
    message = until(lambda: named(neighbour.messages(neighbour.users[0]), name))
    assert headers(message, "Return-Path") == ["<alice@house.test>"]
    assert "TLS" in headers(message, "Received")[0]
    assert dkim.verify(message, dnsfunc=txt(net))
    (attempt,) = until(lambda: house.steps(f"{name}@house.test", "attempt"))
    assert attempt["decision"] == "delivered"
    assert ("(dane)" if neighbour.software == "postfix" else "(encrypted)") in attempt["reason"]


def test_mail_comes_from_a_neighbour_who_has_verified_us_by_dane(house, neighbour, until):
    user, name = OF[neighbour.software], f"from-{neighbour.software}"
    neighbour.send(user, "bob@house.test", letter(user, "bob@house.test", name))
    message = until(lambda: named(house.messages("bob@house.test"), name))
    assert headers(message, "Return-Path") == [f"<{user}>"]
    (results,) = headers(message, "Authentication-Results")
    assert results.startswith("mx.house.test; spf=pass")
    assert f"smtp.mailfrom={user};" in results
    received = headers(message, "Received")[0]
    assert f"from mx.{neighbour.domain} ([{neighbour.address}]) by mx.house.test with ESMTPS (TLSv1.3" in received
    verified = {"postfix": "Verified TLS connection established to mx.house.test", "exim": "CV=dane"}
    assert verified[neighbour.software] in neighbour.log()


def test_our_notice_of_a_failure_there(house, neighbour, until):
    nobody, name = f"nobody@{neighbour.domain}", f"lost-{neighbour.software}"
    house.submit("alice@house.test", nobody, letter("alice@house.test", nobody, name))
    report = until(lambda: report_about(house.messages("alice@house.test"), name))
    assert report.reporting_mta == "mx.house.test"
    (recipient,) = report.recipients
    assert (recipient.address, recipient.action) == (nobody, Action.FAILED)
    assert recipient.status.startswith("5.")
    assert recipient.remote_mta == f"mx.{neighbour.domain}"
    (suppressed,) = [each for each in house.answer("suppression", "list") if each["address"] == nobody]
    assert suppressed["reason"].startswith(f"mx.{neighbour.domain}: 550")


def test_their_notice_of_a_failure_here(house, neighbour, until):
    user, name = OF[neighbour.software], f"astray-{neighbour.software}"
    neighbour.send(user, "nobody@house.test", letter(user, "nobody@house.test", name))
    report = until(lambda: report_about(neighbour.messages(neighbour.users[0]), name))
    assert report.reporting_mta == f"mx.{neighbour.domain}"
    (recipient,) = report.recipients
    assert (recipient.address, recipient.action) == ("nobody@house.test", Action.FAILED)
    assert recipient.status.startswith("5.")
    assert "550 5.1.1" in recipient.diagnostic
    assert recipient.remote_mta == "mx.house.test"


def test_their_notice_of_a_success_comes_to_our_author(house, neighbour, until):
    user, name = OF[neighbour.software], f"please-tell-{neighbour.software}"
    house.submit(
        "alice@house.test",
        user,
        letter("alice@house.test", user, name),
        mail=["RET=HDRS", "ENVID=QQ+2B314159"],
        rcpt=["NOTIFY=SUCCESS,FAILURE", f"ORCPT=rfc822;{user}"],
    )
    report = until(lambda: report_about(house.messages("alice@house.test"), name))
    envid = {"postfix": "QQ+314159", "exim": "QQ+2B314159"}  # Exim gives back what it heard, not what it means
    assert (report.reporting_mta, report.envid) == (f"mx.{neighbour.domain}", envid[neighbour.software])
    (recipient,) = report.recipients
    assert (recipient.address, recipient.action, recipient.status) == (user, Action.DELIVERED, "2.0.0")


def test_our_notice_of_a_success_goes_to_their_author(house, neighbour, until):
    user, name = OF[neighbour.software], f"do-tell-{neighbour.software}"
    neighbour.send(
        user,
        "bob@house.test",
        letter(user, "bob@house.test", name),
        mail=["RET=HDRS", "ENVID=AB+2BC"],
        rcpt=["NOTIFY=SUCCESS", "ORCPT=rfc822;bob@house.test"],
    )
    report = until(lambda: report_about(neighbour.messages(neighbour.users[0]), name))
    assert (report.reporting_mta, report.envid) == ("mx.house.test", "AB+C")
    (recipient,) = report.recipients
    assert (recipient.address, recipient.original) == ("bob@house.test", "bob@house.test")
    assert (recipient.action, recipient.status) == (Action.DELIVERED, "2.0.0")


def signed(octets, key):
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return dkim.sign(octets, b"e", b"exim.test", pem, canonicalize=(b"relaxed", b"relaxed")) + octets


def test_a_forwarded_message_passes_all_that_its_receiver_asks(net, house, postfix, exim, exim_key, until):
    house.run("alias", "create", "pauls@house.test", "paul@postfix.test")
    octets = letter("erin@exim.test", "pauls@house.test", "sent-on")
    exim.send("erin@exim.test", "pauls@house.test", signed(octets, exim_key))
    message = until(lambda: named(postfix.messages("paul"), "sent-on"))
    (return_path,) = headers(message, "Return-Path")
    assert re.fullmatch(r"<SRS0=[^@]+=exim\.test=erin@house\.test>", return_path, re.IGNORECASE)
    received_spf, _ = headers(message, "Received-SPF")  # Postfix's, and ours of the hop before
    assert received_spf.startswith("Pass")
    assert f"client-ip={house.address}" in received_spf
    assert dkim.verify(message, dnsfunc=txt(net)), "the author's signature"
    verdict, sets, why = dkim.arc_verify(message, dnsfunc=txt(net))
    assert (verdict, len(sets)) == (dkim.CV_Pass, 1), why
    (results,) = headers(message, "ARC-Authentication-Results")
    assert results.startswith("i=1; mx.house.test; spf=pass")
    assert "dkim=pass" in results
    assert "dmarc=pass" in results


def test_a_bounce_of_a_forwarded_message_ends_here_and_is_shown(house, postfix, exim, exim_key, until):
    house.run("alias", "create", "full@house.test", "full@postfix.test")
    octets = letter("erin@exim.test", "full@house.test", "too-much")
    exim.send("erin@exim.test", "full@house.test", signed(octets, exim_key))
    (bounce,) = until(lambda: house.answer("alias", "bounces", "full@house.test"))
    assert bounce["target"] == "full@postfix.test"
    assert bounce["status"].startswith("5.")
    steps = house.steps("too-much@exim.test")
    assert [step["decision"] for step in steps if step["step"] == "attempt"] == ["delivered"]
    assert report_about(exim.messages("erin"), "too-much") is None


def test_the_author_of_a_forwarded_message_is_told_of_a_refusal_and_not_of_the_target(
    house, postfix, exim, exim_key, until
):
    house.run("alias", "create", "gone@house.test", "hidden@postfix.test")
    octets = letter("erin@exim.test", "gone@house.test", "refused")
    exim.send("erin@exim.test", "gone@house.test", signed(octets, exim_key))
    report = until(lambda: report_about(exim.messages("erin"), "refused"))
    (recipient,) = report.recipients
    assert (recipient.address, recipient.action) == ("gone@house.test", Action.FAILED)
    assert not [message for message in exim.messages("erin") if b"hidden@" in message]
    (bounce,) = house.answer("alias", "bounces", "gone@house.test")
    assert bounce["target"] == "hidden@postfix.test"
