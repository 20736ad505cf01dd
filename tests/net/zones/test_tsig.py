"""Signatures of DNS messages, against dnspython's."""

import struct

import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest

from mailstead.net.dns_wire import name_of
from mailstead.net.zones.tsig import BadSignature, Signed, TsigKey, check, sign

KEY = TsigKey(name_of("acme-key"), b"0123456789abcdef0123456789abcdef")
RING = {dns.name.from_text("acme-key."): dns.tsig.Key("acme-key.", KEY.octets, "hmac-sha256")}
NOW_S = 1_800_000_000


@pytest.fixture(autouse=True)
def still(monkeypatch):
    monkeypatch.setattr("dns.message.time.time", lambda: NOW_S)


def message():
    update = dns.update.UpdateMessage("mail.test.", id=4711)
    update.add("_acme-challenge", 60, "TXT", "proof")
    return update.to_wire()


def answered(asked, *, ring=RING, rcode=0, tsig_error=0, change=None):
    """What dnspython answers to a signed message of ours."""
    query = dns.message.from_wire(asked.octets, keyring=RING)
    response = dns.message.make_response(query)
    response.use_tsig(ring, keyname="acme-key.", tsig_error=tsig_error)
    response.set_rcode(rcode)
    response.request_hmac = response.request_mac = asked.mac
    return response.to_wire()


def test_what_we_sign_is_good_for_others():
    signed = sign(message(), KEY, NOW_S)
    read = dns.message.from_wire(signed.octets, keyring=RING)
    assert read.had_tsig
    assert read.mac == signed.mac
    with pytest.raises(dns.tsig.BadSignature):
        dns.message.from_wire(signed.octets.replace(b"proof", b"prooF"), keyring=RING)


def test_what_others_sign_is_good_for_us():
    signed = sign(message(), KEY, NOW_S)
    check(answered(signed), signed, KEY, NOW_S)


def test_an_answer_to_another_message_is_refused():
    signed = sign(message(), KEY, NOW_S)
    other = Signed(signed.octets, bytes(32))
    with pytest.raises(BadSignature, match="another key"):
        check(answered(signed), other, KEY, NOW_S)


def test_an_answer_by_another_key_is_refused():
    signed = sign(message(), KEY, NOW_S)
    ring = {dns.name.from_text("acme-key."): dns.tsig.Key("acme-key.", b"other", "hmac-sha256")}
    with pytest.raises(BadSignature, match="another key"):
        check(answered(signed, ring=ring), signed, KEY, NOW_S)


def test_an_answer_of_long_ago_is_refused():
    signed = sign(message(), KEY, NOW_S)
    with pytest.raises(BadSignature, match="clocks"):
        check(answered(signed), signed, KEY, NOW_S + 301)


def test_an_answer_without_signature_is_refused():
    signed = sign(message(), KEY, NOW_S)
    with pytest.raises(BadSignature, match="not signed"):
        check(signed.octets[:2] + b"\xa8\0\0\0\0\0\0\0\0\0", signed, KEY, NOW_S)


@pytest.mark.parametrize(("error", "text"), [(16, "BADSIG"), (17, "BADKEY"), (18, "clocks"), (99, "refused")])
def test_what_the_server_says_of_our_signature_is_told(error, text):
    signed = sign(message(), KEY, NOW_S)
    data = name_of("hmac-sha256") + bytes(6) + struct.pack("!HH", 300, 0) + signed.octets[:2]
    data += struct.pack("!HH", error, 0)
    record = KEY.name + struct.pack("!HHIH", 250, 255, 0, len(data)) + data
    answer = signed.octets[:2] + struct.pack("!HHHHH", 0xA809, 0, 0, 0, 1) + record
    with pytest.raises(BadSignature, match=text):
        check(answer, signed, KEY, NOW_S)


def test_every_damaged_answer_is_refused():
    signed = sign(message(), KEY, NOW_S)
    whole = answered(signed)
    signature_at = whole.rindex(KEY.name)
    cut = [whole[:size] for size in range(2, len(whole))]
    changed = [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(2, signature_at)]
    for damaged in cut + changed:
        with pytest.raises(BadSignature):
            check(damaged, signed, KEY, NOW_S)
