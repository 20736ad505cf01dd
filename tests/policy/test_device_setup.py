"""What devices are told: profiles with stable identifiers, codes that programs read."""

import json
import plistlib
from dataclasses import replace
from urllib.parse import parse_qs, unquote

import pytest

from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.policy.client_setup import Offer
from mailstead.policy.device_setup import (
    DeviceTerms,
    apple_profile,
    delta_chat,
    imap_url,
    mailto_url,
    thunderbird_mobile,
)

PASSWORD = "pw-never-in-a-log&?=%+ü"
OFFERS = (
    Offer("submission", 587, is_tls=False),
    Offer("submission", 465, is_tls=True),
    Offer("imap", 993, is_tls=True),
    Offer("caldav", 443, is_tls=True),
    Offer("carddav", 8443, is_tls=True),
)
TERMS = DeviceTerms("mx.example.test", OFFERS, Address.parse("Alice@example.test"), "Alice Ä. <B>", Secret(PASSWORD))
STARTTLS = (Offer("submission", 587, is_tls=False), Offer("imap", 143, is_tls=False))


def read(terms=TERMS):
    whole = plistlib.loads(apple_profile(terms))
    return whole, {each["PayloadType"].split(".")[-2]: each for each in whole["PayloadContent"]}


def identifiers(terms):
    whole, parts = read(terms)
    return [(each["PayloadIdentifier"], each["PayloadUUID"]) for each in (whole, *parts.values())]


def test_a_profile_has_an_account_for_each_service():
    whole, parts = read()
    assert (whole["PayloadType"], whole["PayloadVersion"], whole["PayloadRemovalDisallowed"]) == (
        "Configuration",
        1,
        False,
    )
    assert set(parts) == {"mail", "caldav", "carddav"}
    mail = parts["mail"]
    assert mail["EmailAccountType"] == "EmailTypeIMAP"
    assert (mail["EmailAddress"], mail["EmailAccountName"]) == ("Alice@example.test", "Alice Ä. <B>")
    for which, port in (("Incoming", 993), ("Outgoing", 465)):
        assert mail[f"{which}MailServerHostName"] == "mx.example.test"
        assert mail[f"{which}MailServerPortNumber"] == port
        assert mail[f"{which}MailServerUseSSL"] is True
        assert mail[f"{which}MailServerUsername"] == "Alice@example.test"
        assert mail[f"{which}MailServerAuthentication"] == "EmailAuthPassword"
    assert (mail["IncomingPassword"], mail["OutgoingPasswordSameAsIncomingPassword"]) == (PASSWORD, True)
    for kind, prefix, port in (("caldav", "CalDAV", 443), ("carddav", "CardDAV", 8443)):
        found = {name.removeprefix(prefix): value for name, value in parts[kind].items() if name.startswith(prefix)}
        assert found == {
            "AccountDescription": "Alice@example.test",
            "HostName": "mx.example.test",
            "Port": port,
            "UseSSL": True,
            "Username": "Alice@example.test",
            "PrincipalURL": "/dav/",
            "Password": PASSWORD,
        }


def test_identifiers_are_stable_and_each_has_its_own():
    first = identifiers(TERMS)
    assert identifiers(replace(TERMS, name="", password=None)) == first
    assert identifiers(replace(TERMS, address=Address.parse("alice@EXAMPLE.test"))) == first
    others = identifiers(replace(TERMS, address=Address.parse("bob@example.test")))
    elsewhere = identifiers(replace(TERMS, hostname="mx.other.test"))
    everything = [*first, *others, *elsewhere]
    assert len({uuid for _, uuid in everything}) == len({name for name, _ in everything}) == 12


def test_without_password_the_device_is_to_ask():
    assert PASSWORD.encode() not in apple_profile(replace(TERMS, password=None))
    _, parts = read(replace(TERMS, password=None))
    assert not [name for each in parts.values() for name in each if name.endswith("Password") and "SameAs" not in name]


def test_only_what_is_offered_is_set_up():
    _, parts = read(replace(TERMS, offers=STARTTLS))
    assert list(parts) == ["mail"]
    assert (parts["mail"]["IncomingMailServerPortNumber"], parts["mail"]["OutgoingMailServerPortNumber"]) == (143, 587)
    assert parts["mail"]["IncomingMailServerUseSSL"] is True
    assert set(read(replace(TERMS, offers=OFFERS[2:]))[1]) == {"caldav", "carddav"}


@pytest.mark.parametrize("name", ["", "   ", "a\x00b", "a\x1bb"])
def test_a_name_that_cannot_be_written_is_left_out(name):
    assert read(replace(TERMS, name=name))[1]["mail"]["EmailAccountName"] == "Alice@example.test"


def test_no_secret_is_in_the_terms_text():
    assert "never-in-a-log" not in repr(TERMS)


def test_delta_chat_gets_a_log_in_that_asks_nobody():
    scheme, _, rest = delta_chat(TERMS).partition(":")
    address, _, query = rest.partition("?")
    assert (scheme, unquote(address)) == ("dclogin", "Alice@example.test")
    assert "+" not in query
    assert {name: value for name, [value] in parse_qs(query, strict_parsing=True).items()} == {
        "p": PASSWORD, "v": "1", "ih": "mx.example.test", "ip": "993", "is": "ssl",
        "sh": "mx.example.test", "sp": "465", "ss": "ssl",
    }  # fmt: skip
    found = parse_qs(delta_chat(replace(TERMS, offers=STARTTLS)).partition("?")[2])
    assert (found["is"], found["ss"]) == (["starttls"], ["starttls"])
    assert delta_chat(replace(TERMS, password=None)) is None
    assert delta_chat(replace(TERMS, offers=OFFERS[:2])) is None


def test_thunderbird_gets_what_its_format_says():
    address = "Alice@example.test"
    assert json.loads(thunderbird_mobile(TERMS)) == [
        1,
        [1, 1],
        [0, "mx.example.test", 993, 3, 1, address, "", PASSWORD],
        [[[0, "mx.example.test", 465, 3, 1, address, PASSWORD], [address, "Alice Ä. <B>"]]],
    ]
    assert json.loads(thunderbird_mobile(replace(TERMS, offers=STARTTLS, password=None, name=""))) == [
        1,
        [1, 1],
        [0, "mx.example.test", 143, 2, 1, address],
        [[[0, "mx.example.test", 587, 2, 1, address], [address, address]]],
    ]
    assert thunderbird_mobile(replace(TERMS, offers=OFFERS[2:])) is None
    assert thunderbird_mobile(replace(TERMS, address=Address.parse("jürgen@example.test"))) is None


def test_addresses_of_the_web_hold_no_password():
    odd = replace(TERMS, address=Address.parse("a/b?c@example.test"))
    assert imap_url(odd) == "imap://a%2Fb%3Fc%40example.test@mx.example.test:993/"
    assert mailto_url(odd.address) == "mailto:a%2Fb%3Fc@example.test"
    assert imap_url(replace(TERMS, offers=OFFERS[:2])) is None
