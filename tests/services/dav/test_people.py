"""The people of the domain over CardDAV."""

import pytest

from mailstead.config.settings import Dav
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR
from services.dav.asking import PASSWORD, asking

D, C = "{DAV:}", "{urn:ietf:params:xml:ns:carddav}"
HOME = "/dav/alice%40example.test/addressbooks/"
BOOK = f"{HOME}directory/"
SYNC = (
    '<D:sync-collection xmlns:D="DAV:"><D:sync-token>{}</D:sync-token><D:sync-level>1</D:sync-level>'
    "<D:prop><D:getetag/></D:prop></D:sync-collection>"
)
QUERY = (
    '<C:addressbook-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><D:prop><D:getetag/>'
    '<C:address-data/></D:prop><C:filter><C:prop-filter name="EMAIL"><C:text-match>bob@</C:text-match></C:prop-filter>'
    "</C:filter></C:addressbook-query>"
)
CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:u\r\nFN:X\r\nN:X;;;;\r\nEND:VCARD\r\n"
SHARE = (
    '<CS:share xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/"><CS:set><D:href>mailto:bob@example.test</D:href>'
    "<CS:read/></CS:set></CS:share>"
)


@pytest.fixture
async def dav(tmp_path):
    async with asking(tmp_path, dav=Dav(shows_directory=True)) as found:
        yield found


async def hrefs(dav, path, by="alice@example.test"):
    answer = await dav.ask("PROPFIND", path, b"", by, depth="1")
    return {each.text for each in answer.xml().iter(f"{D}href")}


async def test_without_the_setting_there_is_none(tmp_path):
    async with asking(tmp_path) as dav:
        assert BOOK not in await hrefs(dav, HOME)
        assert (await dav.ask("PROPFIND", BOOK, depth="0")).status == 404
        assert f"{C}directory-gateway" not in await dav.prop(HOME, f"{C}directory-gateway")


async def test_people_are_a_book_in_each_home(dav):
    assert BOOK in await hrefs(dav, HOME)
    found = await dav.prop(BOOK, f"{D}resourcetype", f"{D}displayname", "{https://bitfire.at/webdav-push}topic")
    assert [each.tag for each in found[f"{D}resourcetype"]] == [f"{D}collection", f"{C}addressbook", f"{C}directory"]
    assert found[f"{D}displayname"].text == "People"
    assert len(found) == 2
    for path in (HOME, "/principals/alice%40example.test/"):
        gateway = (await dav.prop(path, f"{C}directory-gateway"))[f"{C}directory-gateway"]
        assert [each.text for each in gateway] == [BOOK]


async def test_bob_is_found_and_read(dav):
    answer = await dav.ask("REPORT", BOOK, QUERY, depth="1")
    (response,) = answer.xml().findall(f"{D}response")
    path = response.findtext(f"{D}href")
    got = await dav.ask("GET", path)
    assert (got.status, got.headers["etag"]) == (200, next(response.iter(f"{D}getetag")).text)
    assert b"bob@example.test" in got.body
    assert path in await hrefs(dav, BOOK)
    assert (await dav.ask("GET", BOOK)).body.count(b"BEGIN:VCARD") == 2


async def test_sync_begins_anew_when_somebody_comes(dav):
    async def sync(token):
        return await dav.ask("REPORT", BOOK, SYNC.format(token), depth="0")

    first = (await sync("")).xml()
    token = first.findtext(f"{D}sync-token")
    assert len(first.findall(f"{D}response")) == 2
    assert (await sync(token)).xml().findall(f"{D}response") == []
    await newcomer(dav)
    answer = await sync(token)
    assert answer.status == 403
    assert answer.xml().find(f"{D}valid-sync-token") is not None
    assert len((await sync("")).xml().findall(f"{D}response")) == 3


async def newcomer(dav):
    await dav.house.accounts.create(ADMINISTRATOR, Address.parse("carol@example.test"), Secret(PASSWORD))


async def test_nobody_writes_removes_renames_or_shares_it(dav):
    assert (await dav.ask("PUT", f"{BOOK}x.vcf", CARD, content_type="text/vcard")).status == 403
    path = next(each for each in await hrefs(dav, BOOK) if each.endswith(".vcf"))
    assert (await dav.ask("DELETE", path)).status == 403
    assert (await dav.ask("DELETE", BOOK)).status == 403
    assert (await dav.ask("MKCOL", BOOK)).status == 405
    assert (await dav.ask("POST", BOOK, SHARE, content_type="application/xml")).status == 403
    moved = await dav.ask("MOVE", path, destination=f"https://mail.example.test{HOME}default/x.vcf")
    assert moved.status == 403
    patch = (
        '<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><D:displayname>Mine</D:displayname></D:prop></D:set>'
        "</D:propertyupdate>"
    )
    assert b" 200 " not in (await dav.ask("PROPPATCH", BOOK, patch)).body


async def test_a_contact_is_copied_into_an_own_book(dav):
    path = next(each for each in await hrefs(dav, BOOK) if each.endswith(".vcf"))
    copied = await dav.ask("COPY", path, destination=f"https://mail.example.test{HOME}default/x.vcf")
    assert copied.status == 201
    assert (await dav.ask("GET", f"{HOME}default/x.vcf")).body == (await dav.ask("GET", path)).body


async def test_others_do_not_look_into_it(dav):
    assert (await dav.ask("PROPFIND", BOOK, b"", "bob@example.test", depth="1")).status == 404


async def test_people_of_a_chatmail_domain_do_not_know_each_other(dav):
    await dav.house.domains.set_terms(ADMINISTRATOR, "example.test", {"is_chatmail": "yes"})
    assert BOOK not in await hrefs(dav, HOME)
    assert (await dav.ask("GET", BOOK)).status == 404
