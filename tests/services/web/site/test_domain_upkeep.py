"""Chatmail or not, and records written at the provider: the pages over the house as it is wired, with zones of ours."""

import re

import pytest

from mailstead.ports.zones import ZoneRefused
from mailstead.usecases.dns_writing import DnsWriting
from mailstead.wiring import site_care
from mailstead.wiring.doctor import make_dns_plan
from services.web.site.test_rights import ADMIN, STRANGER, asking
from usecases.test_dns_writing import Zones

DNS = "/admin/domains/example.test/dns"
KIND = "/admin/domains/other.test/kind"
MX = ("example.test", "MX")


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


@pytest.fixture
async def zones(tmp_path, monkeypatch):
    """A provider at which another mail server stands."""
    made = Zones()
    made.held[MX] = ["10 <other>.test."]
    monkeypatch.setattr(site_care, "make_dns_writer", lambda house: DnsWriting(make_dns_plan(house), made))
    return made


def marks(text, words):
    """Give the boxes beside which the words stand."""
    return re.findall(rf'name="(write-\w+)" value="yes"(?: checked)?> {words}', text)


async def test_without_a_provider_it_is_said_what_to_set(site):
    _, _, text = await site.ask("GET", DNS, ADMIN)
    assert "Set dns_provider.kind" in text
    assert (await site.ask("POST", DNS, ADMIN, {}))[0] == 400
    assert (await site.ask("GET", DNS, STRANGER))[0] == 404


async def test_what_is_missing_is_added_and_what_differs_stays_unless_it_is_ticked(zones, site):
    _, _, text = await site.ask("GET", DNS, ADMIN)
    assert "10 &lt;other&gt;.test." in text
    added, replaced = marks(text, "Add it"), marks(text, "Replace what is there")
    assert len(replaced) == 1
    assert f'name="{replaced[0]}" value="yes">' in text  # not ticked
    status, _, text = await site.ask("POST", DNS, ADMIN, dict.fromkeys(added, "yes"))
    assert status == 200
    assert "This has become of what you chose" in text
    assert zones.held[MX] == ["10 <other>.test."]
    assert len([each for each in zones.held if each != MX]) >= 3
    (mark,) = marks((await site.ask("GET", DNS, ADMIN))[2], "Replace what is there")
    await site.ask("POST", DNS, ADMIN, {mark: "yes"})
    assert zones.held[MX] == ["10 mail.example.test."]
    await site.house.audit.settle()
    assert "dns.write" in (await site.ask("GET", "/admin/audit?verb=dns.", ADMIN))[2]


async def test_what_was_not_shown_is_not_replaced(zones, site):
    (mark,) = marks((await site.ask("GET", DNS, ADMIN))[2], "Replace what is there")
    zones.held[MX] = ["10 a-third.test."]  # somebody else writes meanwhile
    status, _, text = await site.ask("POST", DNS, ADMIN, {mark: "yes"})
    assert (status, "no longer as it was shown" in text) == (409, True)
    assert zones.held[MX] == ["10 a-third.test."]


async def test_a_provider_that_refuses_is_quoted(zones, site, monkeypatch):
    async def refuse(*_):
        raise ZoneRefused("The token <b> may not read")

    monkeypatch.setattr(zones, "values", refuse)
    _, _, text = await site.ask("GET", DNS, ADMIN)
    assert "The token &lt;b&gt; may not read" in text


async def test_a_domain_becomes_a_relay_and_an_ordinary_domain_again(site):
    _, _, text = await site.ask("GET", KIND, ADMIN)
    assert "An ordinary mail domain" in text
    assert "requires_encryption" in text
    status, _, text = await site.ask("POST", KIND, ADMIN, {"kind": "chatmail"})
    assert (status, "Tick that you have read" in text) == (400, True)
    assert (await site.ask("POST", KIND, ADMIN, {"kind": "chatmail", "sure": "yes"}))[0] == 303
    _, _, text = await site.ask("GET", KIND, ADMIN)
    assert "A chatmail relay" in text
    assert "/admin/domains/other.test/rules#mails_kept_days" in text
    assert (await site.ask("POST", KIND, ADMIN, {"kind": "mail", "sure": "yes"}))[0] == 303


async def test_a_domain_with_accounts_becomes_no_relay(site):
    path = "/admin/domains/example.test/kind"
    _, _, text = await site.ask("GET", path, ADMIN)
    assert "not possible while the domain has accounts" in text
    assert '<form method="post">' not in text
    status, _, text = await site.ask("POST", path, ADMIN, {"kind": "chatmail", "sure": "yes"})
    assert (status, "the domain has accounts" in text) == (400, True)
