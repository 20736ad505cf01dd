"""The site as a program of a device: manifest, icons, and links to mail addresses."""

import json
import struct
import zlib
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from tools import icons

from mailstead.model.errors import PolicyRefused
from mailstead.services.web.site import assets
from mailstead.services.web.site.frame import CONTENT_SECURITY
from mailstead.services.web.site.installing import MANIFEST, URL_CHARACTERS_MAX, mailto_fields
from services.web.site.test_rights import OWNER, asking


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


def edges(octets):
    """Width and height that a PNG says."""
    assert octets.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack("!II", octets[16:24])


async def test_the_manifest_names_pictures_and_pages_that_are_there(site):
    status, _, text = await site.ask("GET", MANIFEST)
    assert status == 200
    content = json.loads(text)
    pictures = {}
    for each in content["icons"]:
        _, _, hash_text, name = each["src"].split("/")
        octets, media_type = assets.asset(hash_text, name)
        assert media_type == each["type"]
        if each["type"] == "image/png":
            assert "x".join(map(str, edges(octets))) == each["sizes"]
            pictures.setdefault(each["purpose"], set()).add(each["sizes"])
    assert pictures == {"any": {"192x192", "512x512"}, "maskable": {"512x512"}}
    (handler,) = content["protocol_handlers"]
    assert handler["protocol"] == "mailto"
    assert content["start_url"] == content["scope"] == "/"
    for path in (content["shortcuts"][0]["url"], handler["url"].replace("%s", "mailto:a@b.test")):
        assert (await site.ask("GET", path, OWNER))[0] in {200, 303}, path
    assert "manifest-src 'self'" in CONTENT_SECURITY
    assert f'<link rel="manifest" href="{MANIFEST}">' in (await site.ask("GET", "/log-in"))[2]


def test_icons_are_as_the_tool_draws_them():
    for name, (edge, is_whole) in icons.ICONS.items():
        octets = (icons.ASSETS / name).read_bytes()
        assert edges(octets) == (edge, edge)
        length = struct.unpack("!I", octets[33:37])[0]
        assert octets[37:41] == b"IDAT"
        assert zlib.decompress(octets[41 : 41 + length]) == icons.rows(edge, is_whole=is_whole), "run tools/icons.py"


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("mailto:bob@far.test", {"to": "bob@far.test"}),
        ("MAILTO:bob%2Btag@far.test", {"to": "bob+tag@far.test"}),
        ("mailto:a@x.test,b@y.test?to=c@z.test&cc=d@z.test", {"to": "a@x.test,b@y.test, c@z.test", "cc": "d@z.test"}),
        (
            "mailto:?to=a@x.test&subject=caf%C3%A9%20%26%20more&body=one%0D%0Atwo",
            {"to": "a@x.test", "subject": "café & more", "body": "one\ntwo"},
        ),
        ("mailto:", {}),
        ("mailto:a@x.test?subject=1+1", {"to": "a@x.test", "subject": "1+1"}),
    ],
)
def test_what_links_say_of_a_message(url, fields):
    assert mailto_fields(url) == fields


def test_attack_085_a_link_adds_no_fields_and_no_hidden_recipients():
    said = mailto_fields(
        "mailto:a@x.test?bcc=evil@x.test&attach=/etc/passwd&from=x@y&subject=a%0D%0ABcc:%20evil@x.test"
    )
    assert said == {"to": "a@x.test", "subject": "a Bcc: evil@x.test"}
    assert mailto_fields("mailto:a@x.test%0D%0ABcc:evil@x.test")["to"] == "a@x.test Bcc:evil@x.test"


@pytest.mark.parametrize(
    "url", ["", "http://evil.example/", "javascript:alert(1)", "mailto", "mailto:" + "a" * URL_CHARACTERS_MAX]
)
def test_what_is_no_such_link(url):
    with pytest.raises(PolicyRefused):
        mailto_fields(url)


async def test_a_link_begins_a_message_that_is_not_sent(site):
    url = quote("mailto:bob@far.test?cc=carol@far.test&subject=Hello&body=Read%20<this>")
    status, location, _ = await site.ask("GET", f"/mail/mailto?url={url}", OWNER)
    assert status == 303
    assert urlsplit(location).path == "/mail/write"
    assert parse_qs(urlsplit(location).query)["subject"] == ["Hello"]
    status, _, text = await site.ask("GET", location, OWNER)
    assert status == 200
    for said in ("bob@far.test", "carol@far.test", "Hello", "Read &lt;this&gt;"):
        assert said in text
