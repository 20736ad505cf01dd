"""Two relays that have no names, only IP addresses: over HTTPS, and over port 25 where that is not to be had. No DNS at all."""

import contextlib
import imaplib
import smtplib
import ssl
import time
from types import SimpleNamespace

import pytest

from policy.pgp import armored, data, mail, plain, session_key
from system.relays import Relay
from system.server import free_ports, loopback_block

pytestmark = pytest.mark.full

LIMIT_S = 30
NO_DNS = SimpleNamespace(resolver="127.0.0.1:9")
ADDRESSES = (f"{loopback_block()}.63", f"{loopback_block()}.64")
PASSWORD = "a password of theirs"
ANN, BOB, EVE = (f"anna12345@[{ADDRESSES[0]}]", f"bobb12345@[{ADDRESSES[1]}]", f"evee12345@[{ADDRESSES[1]}]")


def untrusting():
    """Nobody can give such a relay a certificate that others believe."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextlib.contextmanager
def submission(relay, address):
    with smtplib.SMTP_SSL("127.0.0.1", relay.port["submissions"], context=untrusting(), timeout=LIMIT_S) as client:
        client.login(address, PASSWORD)
        yield client


@contextlib.contextmanager
def mailbox(relay, address):
    with imaplib.IMAP4_SSL("127.0.0.1", relay.port["imaps"], ssl_context=untrusting(), timeout=LIMIT_S) as client:
        client.login(address, PASSWORD)
        yield client


def arrived(relay, address, count):
    """Wait until so many messages are there, and give them."""
    end = time.monotonic() + LIMIT_S
    with mailbox(relay, address) as client:
        while int(client.select("INBOX")[1][0]) < count:
            assert time.monotonic() < end, relay.log()[-3000:]
            time.sleep(0.05)  # IMAP is asked again: imaplib knows no IDLE
        return [client.fetch(str(number), "BODY.PEEK[]")[1][0][1] for number in range(1, count + 1)]


@pytest.fixture(scope="module", params=["https", "smtp"])
def relays(request, tmp_path_factory):
    mx_port, https_port, other_port = free_ports(3)
    made = []
    for address in ADDRESSES:
        relay = Relay(tmp_path_factory.mktemp("relay"), f"[{address}]")
        relay.meets(address, NO_DNS, mx_port, https_port)
        relay.settings["MAILSTEAD_SERVER_HOSTNAME"] = "localhost"
        if request.param == "smtp":
            relay.settings["MAILSTEAD_RELAY_HTTPS_PORT"] = str(other_port)
        made.append(relay)
    with made[0] as one, made[1] as two:
        for relay, address in ((one, ANN), (two, BOB), (two, EVE)):
            with mailbox(relay, address):
                pass  # whoever logs in for the first time has an account
        yield request.param, one, two


def test_unsigned_mail_arrives_and_goes_back(relays):
    way, one, two = relays
    large = mail(armored(session_key() + data(1_500_000), checksum=False), sender=ANN)
    with submission(one, ANN) as client:
        client.sendmail(ANN, [BOB, EVE], mail(sender=ANN))
        client.sendmail(ANN, [BOB], large)
    assert max(map(len, arrived(two, BOB, 2))) > 2_000_000
    arrived(two, EVE, 1)
    with submission(two, BOB) as client:
        client.sendmail(BOB, [ANN], mail(sender=BOB))
    arrived(one, ANN, 1)
    by_https, by_smtp = two.delivered("mxdeliv"), two.delivered("mx")
    assert (by_https, by_smtp) == ((3, 0) if way == "https" else (0, 3))


def test_one_who_is_not_there_costs_the_others_nothing(relays):
    _, one, two = relays
    with mailbox(one, ANN) as client:
        before_ann = int(client.select("INBOX")[1][0])
    with mailbox(two, EVE) as client:
        before_eve = int(client.select("INBOX")[1][0])
    gone = f"gone12345@[{ADDRESSES[1]}]"
    with submission(one, ANN) as client:
        client.sendmail(ANN, [EVE, gone], mail(sender=ANN))
    arrived(two, EVE, before_eve + 1)
    notice = arrived(one, ANN, before_ann + 1)[-1]
    assert gone.encode() in notice
    assert EVE.encode() not in notice


def test_attack_102_clear_text_is_let_through_by_neither(relays):
    _, one, _ = relays
    with submission(one, ANN) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(ANN, [BOB], plain(ANN))
    assert refused.value.smtp_code == 523
