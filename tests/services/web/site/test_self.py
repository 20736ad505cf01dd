"""What people look after themselves, asked without a browser: forms lead on, errors keep what was typed."""

import re

import pytest

from mailstead.config.settings import Imap, Limits, MailListeners, Server, Settings, Store, Web
from mailstead.model.address import Address
from mailstead.model.people import owner_of
from mailstead.model.preferences import WeekStart
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.services.web.site.pages import Who
from mailstead.services.web.site.table import all_pages
from mailstead.wiring.client_profiles import make_client_profiles
from mailstead.wiring.house import ADMINISTRATOR, open_house
from services.web.site.test_rights import HOST, MEMBER, OWNER, PASSWORD, PEER, Asking, asking
from usecases.flow import HandClock


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


@pytest.fixture
async def offering(tmp_path):
    """A house with the one account that offers something to mail programs."""
    settings = Settings(
        imap=Imap(listen_tls=("127.0.0.1:993",)),
        limits=Limits(password_hash_iterations=1, password_hash_memory_mib=1),
        server=Server(hostname=HOST, data_dir=tmp_path / "data", services=("web", "imap", "submission", "caldav")),
        store=Store(master_key=Secret("00" * 32)),
        submission=MailListeners(listen=("127.0.0.1:587",)),
        web=Web(listen_tls=("127.0.0.1:443",)),
    )
    async with open_house(settings, HandClock()) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.accounts.create(ADMINISTRATOR, Address.parse(OWNER), Secret(PASSWORD))
        yield Asking(house)


async def test_addresses_are_made_and_told(site):
    status, _, text = await site.ask("GET", "/me/addresses", OWNER)
    assert (status, "Hide my address" in text) == (200, True)
    status, where, _ = await site.ask("POST", "/me/addresses", OWNER, {"verb": "hide", "description": "a <shop>"})
    assert (status, where.startswith("/me/addresses?told=made&address=")) == (303, True)
    text = (await site.ask("GET", where, OWNER))[2]
    assert "a &lt;shop&gt;" in text
    assert "It is there, and leads to you:" in text
    status, _, text = await site.ask("POST", "/me/addresses", OWNER, {"verb": "make", "name": "postmaster"})
    assert (status, 'value="postmaster"' in text) == (400, True)
    # an address that is not one's own is not told of, whatever the address bar says
    assert "evil@" not in (await site.ask("GET", "/me/addresses?told=made&address=evil%40example.test", OWNER))[2]


async def test_where_the_domain_lets_nobody_make_addresses_it_is_said(site):
    await site.house.domains.set_terms(ADMINISTRATOR, "example.test", {"owner_aliases_max": "0"})
    text = (await site.ask("GET", "/me/addresses", OWNER))[2]
    assert "only its administrator makes addresses" in text
    assert (await site.ask("POST", "/me/addresses", OWNER, {"verb": "hide"}))[0] == 403
    assert await site.house.storage.directory.find(Address.parse("hide@example.test")) is None


async def test_language_and_colours_follow_into_another_browser(site):
    """The requests have no cookie but the session's, so what is shown comes from the account."""
    chosen = {"language": "fr", "theme": "dark", "then": "/me"}
    assert (await site.ask("POST", "/look", OWNER, chosen))[:2] == (303, "/me")
    text = (await site.ask("GET", "/me/preferences", OWNER))[2]
    assert '<html lang="fr" dir="ltr" data-theme="dark">' in text
    assert '<html lang="en"' in (await site.ask("GET", "/me/preferences", MEMBER))[2]
    assert '<html lang="en"' in (await site.ask("GET", "/log-in"))[2]


async def test_preferences_are_kept_and_wrong_ones_stay_in_the_form(site):
    fields = {
        "language": "en",
        "theme": "light",
        "time_zone": "Asia/Seoul",
        "week_start": "sunday",
        "undo_s": "5",
        "display_name": "Alice",
        "writes_formatted": "yes",
    }
    assert (await site.ask("POST", "/me/preferences", OWNER, fields))[0] == 303
    account = await site.house.storage.directory.find(Address.parse(OWNER))
    kept = await site.house.storage.preferences.preferences(owner_of(None, account.account_id))
    assert (kept.time_zone, kept.week_start, kept.undo_s) == ("Asia/Seoul", WeekStart.SUNDAY, 5)
    assert (kept.has_shortcuts, kept.writes_formatted) == (False, True)
    status, _, text = await site.ask("GET", "/me", OWNER)
    assert 'data-zone="Asia/Seoul"' in text
    assert " Asia/Seoul</time>" in text  # of the sessions: read without a script, too
    wrong = fields | {"time_zone": "Mars/Olympus", "display_name": "<Bob>", "image_senders": "a@b.test"}
    status, _, text = await site.ask("POST", "/me/preferences", OWNER, wrong)
    assert status == 400
    assert 'value="&lt;Bob&gt;"' in text
    assert "a@b.test" in text
    assert "There is no such time zone" in text


async def test_who_has_no_mailbox_has_preferences_of_pages_alone(site):
    text = (await site.ask("GET", "/me/preferences", MEMBER))[2]
    assert 'name="time_zone"' in text
    assert 'name="signature"' not in text
    assert (await site.ask("POST", "/me/preferences", MEMBER, {"theme": "dark"}))[0] == 303
    assert 'data-theme="dark"' in (await site.ask("GET", "/me/preferences", MEMBER))[2]


async def test_a_device_is_set_up_in_one_go(offering):
    status, _, text = await offering.ask("GET", "/me/devices", OWNER)
    assert (status, "Nothing yet" in text) == (200, True)
    status, _, text = await offering.ask("POST", "/me/devices", OWNER, {"label": "My <phone>"})
    assert status == 200
    assert "My &lt;phone&gt;" in text
    password = re.search(r'<code class="secret">([^<]+)</code>', text)[1]
    address = Address.parse(OWNER)
    came = await offering.house.accounts.log_in(OWNER, Secret(password), PEER, "imap")
    assert came.address == address
    assert text.count("<svg") == 3
    link = re.search(rf'href="https://{HOST}(/set-up/[^"]+)"', text)[1]
    assert (await make_client_profiles(offering.house).look(link.removeprefix("/set-up/"))).address == address
    # the list shows no password again
    text = (await offering.ask("GET", "/me/devices", OWNER))[2]
    assert "My &lt;phone&gt;" in text
    assert password not in text
    assert f"https://{HOST}/dav/" in text


async def test_a_profile_without_password(offering):
    status, _, text = await offering.ask("GET", "/me/devices/mail.mobileconfig", OWNER)
    assert status == 200
    assert OWNER in text
    assert "<key>IncomingPassword<" not in text


async def test_a_device_without_name_is_not_added(site):
    status, _, text = await site.ask("POST", "/me/devices", OWNER, {"label": " "})
    assert (status, 'role="alert"' in text) == (400, True)
    assert await site.house.accounts.list_app_passwords(ADMINISTRATOR, Address.parse(OWNER)) == ()


def key_form(text):
    key = re.search(r'name="key" value="([^"]+)"', text)[1]
    number = int(re.search(r'name="group" value="(\d+)"', text)[1])
    return {"key": key, "group": str(number), "typed": key.split("-")[number - 1].upper(), "password": PASSWORD}


async def is_sealed(site):
    return (await site.house.storage.directory.find(Address.parse(OWNER))).is_sealed


async def test_an_account_is_sealed_with_a_key_that_was_written_down_and_recovered_with_it(site):
    assert "Nobody can help" in (await site.ask("GET", "/me/sealed", OWNER))[2]
    form = key_form((await site.ask("GET", "/me/sealed/key", OWNER))[2])
    for wrong in ({"typed": "aaaaa"}, {"password": "wrong"}, {}, {"group": "9", "understood": "yes"}):
        status, _, text = await site.ask("POST", "/me/sealed/key", OWNER, form | wrong)
        assert (status in {400, 401, 403}, await is_sealed(site)) == (True, False), wrong
        assert form["key"] in text  # what was written down stays good
    status, _, text = await site.ask("POST", "/me/sealed/key", OWNER, form | {"understood": "yes"})
    assert (status, await is_sealed(site)) == (200, True)
    assert form["key"] not in text
    assert (await site.ask("GET", "/me/sealed", OWNER))[:2] == (
        303,
        "/log-in?then=%2Fme%2Fsealed",
    )  # all sessions ended
    site._tokens.clear()
    assert "Your account is sealed" in (await site.ask("GET", "/me/sealed", OWNER))[2]
    recovery = {"address": OWNER, "new": "pw-never-in-a-log-after", "again": "pw-never-in-a-log-after"}
    status, _, text = await site.ask("POST", "/recover", None, recovery | {"key": form["key"][:-1] + "a"})
    assert (status, f'value="{OWNER}"' in text) == (401, True)
    status, _, text = await site.ask("POST", "/recover", None, recovery | {"key": form["key"].upper()})
    assert (status, "The new password is set" in text) == (200, True)
    await site.house.accounts.log_in(OWNER, Secret(recovery["new"]), PEER, "imap")


async def test_another_recovery_key_and_unsealing(site):
    form = key_form((await site.ask("GET", "/me/sealed/key", OWNER))[2])
    await site.ask("POST", "/me/sealed/key", OWNER, form | {"understood": "yes"})
    site._tokens.clear()
    other = key_form((await site.ask("GET", "/me/sealed/key", OWNER))[2])
    assert (await site.ask("POST", "/me/sealed/key", OWNER, other))[:2] == (303, "/me/sealed?told=key")
    recovery = {"address": OWNER, "new": "pw-never-in-a-log-after", "again": "pw-never-in-a-log-after"}
    assert (await site.ask("POST", "/recover", None, recovery | {"key": form["key"]}))[0] == 401
    # a session without the password, as by a passkey: the account is locked until its password is given
    account = await site.house.storage.directory.find(Address.parse(OWNER))
    await site.house.unlocking.lock(account.account_id)
    assert "Open it" in (await site.ask("GET", "/me/sealed", OWNER))[2]
    assert (await site.ask("POST", "/me/sealed", OWNER, {"verb": "open", "password": "wrong"}))[0] == 401
    assert (await site.ask("POST", "/me/sealed", OWNER, {"verb": "open", "password": PASSWORD}))[0] == 303
    assert site.house.storage.sealed.is_open(account.account_id)
    assert (await site.ask("POST", "/me/sealed", OWNER, {"verb": "unseal", "password": PASSWORD}))[0] == 200
    assert not await is_sealed(site)


async def test_attack_062_recovering_tells_nobody_who_is_here(site):
    fields = {"key": "aaaaa-" * 7 + "aaaaa", "new": "pw-never-in-a-log-after", "again": "pw-never-in-a-log-after"}
    shown = set()
    for address in (OWNER, "nobody@example.test", "nobody@elsewhere.test", "nothing"):
        status, _, text = await site.ask("POST", "/recover", None, fields | {"address": address})
        shown.add((status, re.search(r'role="alert">([^<]+)<', text)[1]))
    assert len(shown) == 1


async def test_mail_is_sent_on_to_who_has_typed_the_code(site):
    wrong = {"verb": "add", "target": "nobody@example.test"}
    status, _, text = await site.ask("POST", "/me/forwarding", OWNER, wrong)
    assert (status, 'value="nobody@example.test"' in text) == (404, True)
    status, where, _ = await site.ask("POST", "/me/forwarding", OWNER, {"verb": "add", "target": "x@far.test"})
    assert (status, where) == (303, "/me/forwarding?told=sent")
    text = (await site.ask("GET", where, OWNER))[2]
    assert "A mail with a code went to x@far.test" in text
    status, _, text = await site.ask("POST", "/me/forwarding", OWNER, {"verb": "confirm", "code": "00000000"})
    assert (status, "not the code that was sent" in text) == (400, True)
    await site.house.domains.set_terms(ADMINISTRATOR, "example.test", {"owners_forward": "no"})
    text = (await site.ask("GET", "/me/forwarding", OWNER))[2]
    assert "do not have their mail sent on" in text
    assert 'name="target"' not in text
    assert (await site.ask("POST", "/me/forwarding", OWNER, {"verb": "add", "target": "y@far.test"}))[0] == 403


async def test_an_archive_holds_something(site):
    text = (await site.ask("GET", "/me/export", OWNER))[2]
    assert "Your mailbox holds" in text
    assert (await site.ask("GET", "/me/export/progress", OWNER))[2] == "{}"
    for wrong in ({}, {"mail": "yes", "form": "tar"}):
        status, _, text = await site.ask("POST", "/me/export/archive", OWNER, wrong)
        assert (status, "Choose what the archive is to hold" in text) == (400, True)


async def test_the_overview_leads_to_all_of_it(site):
    text = (await site.ask("GET", "/me", OWNER))[2]
    own = [page.path for page in all_pages() if page.who in {Who.OWNER, Who.PERSON} and "GET" in page.methods]
    there = {path for path in own if path.count("/") == 2 and path.startswith("/me/")}
    beside = {"/me/tokens", "/me/strengthen"}  # the last one is passed on the way to others
    assert there - beside - set(re.findall(r'href="(/me/[^"]+)"', text)) == set()
    text = (await site.ask("GET", "/me", MEMBER))[2]
    for path in re.findall(r'href="(/me/[^"]+)"', text):
        assert (await site.ask("GET", path, MEMBER))[0] == 200, path  # nothing leads where one may not go


async def test_the_overview_of_a_locked_account_says_how_it_opens(site):
    form = key_form((await site.ask("GET", "/me/sealed/key", OWNER))[2])
    await site.ask("POST", "/me/sealed/key", OWNER, form | {"understood": "yes"})
    site._tokens.clear()
    assert "messages in" in (await site.ask("GET", "/me", OWNER))[2]
    account = await site.house.storage.directory.find(Address.parse(OWNER))
    await site.house.unlocking.lock(account.account_id)
    status, _, text = await site.ask("GET", "/me", OWNER)
    assert (status, "Open it with your password" in text) == (200, True)


async def test_attack_090_a_session_that_began_long_ago_takes_nothing_along_and_sends_nothing_on(offering):
    """Whoever finds a browser open is not to have all mail there is, nor all that comes."""
    forms = {"/me/export": "/me/export/archive", "/me/forwarding": 'name="target"'}
    for path, form in forms.items():
        assert form in (await offering.ask("GET", path, OWNER))[2]
    offering.house.clock.advance(minutes=16)
    for path, form in forms.items():
        text = (await offering.ask("GET", path, OWNER))[2]
        assert f"/me/strengthen?then={path}" in text
        assert form not in text
    for path, fields in (
        ("/me/export/archive", {"mail": "yes"}),
        ("/me/forwarding", {"verb": "add", "target": "eve@far.test"}),
        ("/me/devices", {"label": "eve's"}),
    ):
        status, _, text = await offering.ask("POST", path, OWNER, fields)
        assert (status, "/me/strengthen" in text) == (401, True), path
    assert await offering.house.storage.queue.items(QueueQuery()) == []
