"""The rest of the relay's online suite, restated: what smtplib, imaplib and a web client see at the ports of a relay.

Spec: reference chatmail, section 12.
"""

import imaplib
import json
import re
import smtplib
import ssl
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from policy.pgp import mail, plain
from system.relays import Login, Relay
from system.server import free_ports, tls_context

pytestmark = pytest.mark.full

DOMAIN = "_online.test"


@pytest.fixture(scope="module")
def relay(tmp_path_factory):
    started = Relay(tmp_path_factory.mktemp("relay"), DOMAIN)
    [started.https] = free_ports(1)
    started.settings |= {
        "MAILSTEAD_SERVER_HOSTNAME": DOMAIN,
        "MAILSTEAD_WEB_LISTEN_TLS": f"127.0.0.1:{started.https}",
    }
    with started:
        yield started


@pytest.fixture
def alice(relay):
    return relay.new_person()


@pytest.fixture
def bob(relay):
    login = relay.new_person()
    relay.imap(login).logout()
    return login


def test_capabilities_are_there_before_the_log_in(relay):
    client = imaplib.IMAP4_SSL("127.0.0.1", relay.port["imaps"], ssl_context=tls_context())
    assert {"XCHATMAIL", "XDELTAPUSH"} <= set(client.capabilities)
    client.logout()


def test_over_tls_1_2_nobody_logs_in(relay, alice):
    old = tls_context()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client = imaplib.IMAP4_SSL("127.0.0.1", relay.port["imaps"], ssl_context=old)
    with pytest.raises(imaplib.IMAP4.error, match=r"PRIVACYREQUIRED.*TLS 1\.3"):
        client.login(*alice)
    client.logout()
    client = smtplib.SMTP_SSL("127.0.0.1", relay.port["submissions"], "[127.0.0.1]", context=old)
    with pytest.raises(smtplib.SMTPAuthenticationError, match=r"538.*TLS 1\.3"):
        client.login(*alice)
    client.close()


@pytest.mark.parametrize("log_in", [Relay.imap, Relay.smtp])
def test_the_first_log_in_makes_an_account(relay, alice, log_in):
    log_in(relay, alice)
    log_in(relay, alice)
    refused = (imaplib.IMAP4.error, smtplib.SMTPAuthenticationError)
    with pytest.raises(refused, match=r"(?i)authentication failed"):
        log_in(relay, Login(alice.address, "another password"))
    with pytest.raises(refused, match="at least 9"):
        log_in(relay, Login(relay.new_person().address, "admin"))


@pytest.mark.parametrize("log_in", [Relay.imap, Relay.smtp])
def test_two_may_have_the_same_password(relay, log_in):
    first = relay.new_person()
    log_in(relay, first)
    log_in(relay, Login(relay.new_person().address, first.password))


def test_ten_pairs_log_in_at_once_with_a_new_address(relay, alice):
    with ThreadPoolExecutor(20) as pool:
        tries = [pool.submit(log_in, alice) for _ in range(10) for log_in in (relay.imap, relay.smtp)]
        assert all(each.result() for each in tries)


def test_vrfy_tells_nothing(relay, bob):
    client = smtplib.SMTP("127.0.0.1", relay.port["mx"])
    client.starttls(context=tls_context())
    for name in (bob.address, f"nobody123@{DOMAIN}", "nobody", "bob"):
        code, text = client.verify(name)
        assert (code, text[:6]) == (252, b"2.0.0 ")
    client.quit()


def test_new_gives_an_account(relay):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = urllib.request.Request(f"https://127.0.0.1:{relay.https}/new", b"", {"Host": DOMAIN}, method="POST")
    with urllib.request.urlopen(request, context=context) as answer:
        found = json.load(answer)
    assert found["email"].endswith(f"@{DOMAIN}")
    assert len(found["password"]) > 9
    relay.imap(Login(found["email"], found["password"])).logout()


def test_the_subject_does_not_leave_and_traces_are_not_stored(relay, alice, bob):
    client = relay.smtp(alice)
    octets = mail(
        sender=alice.address, subject="a secret", further=b"User-Agent: x\r\nX-Originating-IP: [192.0.2.1]\r\n"
    )
    client.sendmail(alice.address, [bob.address], octets)
    [found] = relay.stored(bob)
    header = found.partition(b"\r\n\r\n")[0]
    assert b"\r\nSubject: [...]\r\n" in header
    assert not re.search(
        rb"(?im)^(received|dkim-signature|authentication-results|user-agent|x-originating-ip):", header
    )
    assert b"127.0.0.1" not in found


def test_clear_text_is_refused(relay, alice, bob):
    client = relay.smtp(alice)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(alice.address, [bob.address], plain(alice.address))
    assert refused.value.smtp_code == 523
    assert b"Invalid Unencrypted Mail" in refused.value.smtp_error
    assert relay.stored(bob) == []


@pytest.mark.parametrize("author", [f"somebody1@{DOMAIN}", "someone@example.org"])
def test_a_forged_author_is_refused(relay, alice, bob, author):
    client = relay.smtp(alice)
    with pytest.raises(smtplib.SMTPDataError, match="500"):
        client.sendmail(alice.address, [bob.address], mail(sender=author))


def test_another_s_envelope_is_refused_with_the_recipient(relay, alice, bob):
    client = relay.smtp(alice)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        client.sendmail(bob.address, [bob.address], mail(sender=bob.address))
    assert refused.value.recipients[bob.address][0] == 553


def test_mail_from_others_needs_tls_and_a_signature(relay, bob):
    client = smtplib.SMTP("127.0.0.1", relay.port["mx"])
    with pytest.raises((smtplib.SMTPSenderRefused, smtplib.SMTPRecipientsRefused), match="530"):
        client.sendmail("carl@relay.test", [bob.address], mail(sender="carl@relay.test"))
    client.quit()


def test_who_sends_too_much_is_told_with_the_recipient_and_not_before_the_burst(relay, alice, bob):
    client, sent = relay.smtp(alice), 0
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        for sent in range(180):
            client.sendmail(alice.address, [bob.address], mail(sender=alice.address))
    code, text = refused.value.recipients[bob.address]
    assert (code, b"4.7.1: Too much mail from" in text) == (450, True)
    assert sent >= 10
