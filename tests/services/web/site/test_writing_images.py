"""Images within what is written, without a browser: taken up, kept, sent, and nobody else's."""

import re
from email import message_from_bytes, policy

import pytest

from mailstead.mime.inline_images import IMAGE_OCTETS_MAX, images_of
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.people import Listing
from mailstead.model.secret import Secret
from mailstead.usecases.message_views import MessageQuery
from mailstead.usecases.messages import Messages
from mime.test_inline_images import GIF, ID, OTHER, PNG, composed, kinds
from services.web.site.test_rights import ADMINISTRATOR, OWNER, PASSWORD, asking

THIRD = f"{'0c' * 16}@example.test"
ELSE = "second@example.test"


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def actor_of(site, address=OWNER):
    account = await site.house.storage.directory.find(Address.parse(address))
    return Actor(account.account_id, Address.parse(address))


async def drafts(site):
    """Give ids and octets."""
    actor = await actor_of(site)
    views = (await Messages(site.house.mailboxes).find(actor, MessageQuery(folder="Drafts"), Listing(limit=10))).items
    return {each.place.object_id: (await Messages(site.house.mailboxes).octets(actor, [each]))[0] for each in views}


async def put(site, octets, address=OWNER):
    view = await Messages(site.house.mailboxes).append(await actor_of(site, address), "INBOX", octets, [])
    return view.place.object_id


async def write(site, html, *, image=None, image_id=ID, name="cat.png", verb="keep", told=None, **fields):
    """Send the form, as the script does; gives status, where it leads, and the page."""
    fields = {"format": "formatted", "html": html, "text": "", "to": "bob@else.test", "verb": verb} | fields
    pieces = [
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    if image is not None:
        pieces.append(f'--b\r\nContent-Disposition: form-data; name="image_id"\r\n\r\n{image_id}\r\n'.encode())
        head = (
            f'--b\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\nContent-Type: image/png\r\n\r\n'
        )
        pieces.append(head.encode() + image + b"\r\n")
    octets = b"".join([*pieces, b"--b--\r\n"])
    return await site.ask(
        "POST", "/mail/write", OWNER, octets=octets, told=told, content_type="multipart/form-data; boundary=b"
    )


async def begun(site, html=f'<p>See <img src="cid:{ID}" alt="A cat"></p>', **fields):
    """Give the id of a draft with an image."""
    assert (await write(site, html, image=PNG, **fields))[0] == 303
    (draft_id,) = await drafts(site)
    return draft_id


def address(draft_id="", cid=ID, answered=""):
    return f"/mail/write/image?draft={draft_id}&answered={answered}&cid={cid.replace('@', '%40')}"


async def test_an_image_is_in_the_draft_and_the_form_and_shown_as_what_it_is(site):
    draft_id = await begun(site)
    octets = (await drafts(site))[draft_id]
    assert kinds(octets) == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    assert "See [A cat]" in message_from_bytes(octets, policy=policy.SMTP).get_body(["plain"]).get_content()
    text = (await site.ask("GET", f"/mail/write?draft={draft_id}", OWNER))[2]
    assert f"&lt;img src=&#34;cid:{ID}&#34; alt=&#34;A cat&#34;&gt;" in text or f"cid:{ID}" in text
    assert 'name="file-' not in text
    told = {}
    status, _, shown = await site.ask("GET", address(draft_id), OWNER, told=told)
    assert (status, told["content-type"]) == (200, "image/png")
    assert shown == PNG.decode("utf-8", "replace")


async def test_attack_097_an_image_is_shown_with_nothing_that_could_act(site):
    draft_id, told = await begun(site), {}
    await site.ask("GET", address(draft_id), OWNER, told=told)
    assert told["x-content-type-options"] == "nosniff"
    assert told["content-security-policy"] == "default-src 'none'; sandbox"
    assert told["cross-origin-resource-policy"] == "same-origin"
    assert "no-store" in told["cache-control"]


async def test_a_second_image_comes_beside_the_first_and_what_is_deleted_is_not_sent(site):
    draft_id = await begun(site)
    both = f'<img src="cid:{ID}" alt="A cat"><img src="cid:{OTHER}" alt="">'
    await write(site, both, image=GIF, image_id=OTHER, draft=draft_id)
    ((draft_id, octets),) = (await drafts(site)).items()
    assert list(images_of(octets)) == [ID, OTHER]
    # While images go up somebody is writing: what was deleted may be taken back.
    await write(site, f'<img src="cid:{THIRD}" alt="">', image=GIF, image_id=THIRD, draft=draft_id)
    ((draft_id, octets),) = (await drafts(site)).items()
    assert set(images_of(octets)) == {ID, OTHER, THIRD}
    status, location, _ = await write(site, f'<p>x</p><img src="cid:{OTHER}" alt="">', verb="send", draft=draft_id)
    assert (status, location.partition("?")[0]) == (303, "/mail/outbox")
    ((_, octets),) = (await drafts(site)).items()
    assert list(images_of(octets)) == [OTHER]
    assert ID.encode() not in octets


async def test_a_draft_without_formatted_text_has_no_images(site):
    draft_id = await begun(site)
    await write(site, f'<img src="cid:{ID}">', draft=draft_id, format="plain", text="Just words")
    ((_, octets),) = (await drafts(site)).items()
    assert kinds(octets) == ["text/plain"]


@pytest.mark.parametrize(
    ("image", "name", "words"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg" onload="x()"/>', "a.svg", "PNG, JPEG, GIF or WebP"),
        (b"<!DOCTYPE html><script>alert(1)</script>", "a.png", "PNG, JPEG, GIF or WebP"),
        (PNG + bytes(IMAGE_OCTETS_MAX), "large.png", "large"),
        (PNG + bytes(20_000_000), "huge.png", "large"),
    ],
)
async def test_attack_097_what_is_no_image_is_refused_and_nothing_is_kept(site, image, name, words):
    status, _, text = await write(site, f'<p>Words</p><img src="cid:{ID}">', image=image, name=name)
    assert 400 <= status < 500
    assert words in re.search(r'role="alert">([^<]+)', text)[1]
    assert "Words" in text  # nothing of it is lost
    assert await drafts(site) == {}


async def test_attack_097_a_name_that_says_where_it_lay_goes_nowhere(site):
    draft_id = await begun(site, name="..\\\\C:\\\\Users\\\\alice\\\\secret-plan.png")
    assert b"secret-plan" not in (await drafts(site))[draft_id]


@pytest.mark.parametrize("image_id", ["", "cat", "a" * 300, '0"><script>@x', "../../0a@example.test"])
async def test_attack_086_an_odd_content_id_is_refused(site, image_id):
    assert (await write(site, "<p>x</p>", image=PNG, image_id=image_id))[0] == 400
    assert await drafts(site) == {}


async def test_attack_092_a_text_has_no_image_of_another_draft(site):
    first = await begun(site)
    await write(site, f'<p>x</p><img src="cid:{ID}" alt="theirs">', subject="Second")
    (octets,) = [each for draft_id, each in (await drafts(site)).items() if draft_id != first]
    assert b"cid:" not in octets
    assert kinds(octets) == ["multipart/alternative", "text/plain", "text/html"]


async def test_attack_092_nobody_sees_or_sends_an_image_of_anothers_message(site):
    await site.house.accounts.create(ADMINISTRATOR, Address.parse(ELSE), Secret(PASSWORD))
    theirs = await put(site, composed(f'<img src="cid:{ID}">', [composed_image(PNG, ID)]), ELSE)
    draft_id = await begun(site)
    assert (await site.ask("GET", address(draft_id), OWNER))[0] == 200
    for by, path in ((ELSE, address(draft_id)), (OWNER, address(theirs)), (OWNER, address("", ID, theirs))):
        assert (await site.ask("GET", path, by))[0] == 404, path
    for path in (address(draft_id, OTHER), address(draft_id, "../1"), "/mail/write/image"):
        assert (await site.ask("GET", path, OWNER))[0] == 404, path
    await write(site, f'<p>x</p><img src="cid:{ID}">', answered=theirs, subject="Second")
    (octets,) = [each for key, each in (await drafts(site)).items() if key != draft_id]
    assert b"cid:" not in octets


def composed_image(octets, content_id, **further):
    from mailstead.mime.composition import Attached

    return Attached(octets, "", "image/png", content_id, **further)


async def test_an_answer_quotes_images_that_came_within_the_message(site):
    html = f'<p>See <img src="cid:im1.png@01D8" alt="plan"><img src="cid:{OTHER}"><img src="https://evil.test/p"></p>'
    received = await put(site, composed(html, [composed_image(PNG, "im1.png@01D8"), composed_image(b"<svg/>", OTHER)]))
    text = (await site.ask("GET", f"/mail/write?answer={received}", OWNER))[2]
    assert "cid:im1.png@01D8" in text
    assert f"cid:{OTHER}" not in text
    assert "evil.test" not in text
    assert (await site.ask("GET", address("", "im1.png@01D8", received), OWNER))[0] == 200
    quote = '<p>Yes</p><blockquote><img src="cid:im1.png@01D8" alt="plan"></blockquote>'
    await write(site, quote, answered=received)
    ((draft_id, octets),) = (await drafts(site)).items()
    assert list(images_of(octets)) == ["im1.png@01D8"]
    await write(site, "<p>Yes</p>", answered=received, draft=draft_id)  # the quote was deleted
    ((_, octets),) = (await drafts(site)).items()
    assert images_of(octets) == {}


async def test_attack_092_no_other_site_puts_an_image_into_a_draft(site):
    octets = b'--b\r\nContent-Disposition: form-data; name="verb"\r\n\r\nkeep\r\n--b--\r\n'
    head = {"content_type": "multipart/form-data; boundary=b", "origin": "https://evil.test"}
    assert (await site.ask("POST", "/mail/write", OWNER, octets=octets, **head))[0] == 403
    assert await drafts(site) == {}


async def test_an_image_is_encrypted_and_signed_with_its_text(site):
    passphrase = "pp-never-in-a-log"
    key = {"name": "Alice", "passphrase": passphrase, "again": passphrase}
    assert (await site.ask("POST", "/me/openpgp/make", OWNER, key))[0] == 303
    fields = {"encrypt": "yes", "sign": "yes", "to": OWNER}
    draft_id = await begun(site, **fields)
    octets = (await drafts(site))[draft_id]
    assert kinds(octets)[0] == "multipart/encrypted"
    assert (await site.ask("GET", address(draft_id), OWNER))[0] == 200
    text = f'<p>See <img src="cid:{ID}" alt="A cat"></p>'
    assert (await write(site, text, verb="send", draft=draft_id, **fields))[:1] == (303,)
    ((sent_id, octets),) = (await drafts(site)).items()
    assert kinds(octets)[0] == "multipart/encrypted"
    assert ID.encode() not in octets
    shown = (await site.ask("GET", f"/mail/m/{sent_id}/decrypted/0", OWNER))[2]
    assert "data:image/png" in shown
    assert (await site.ask("POST", "/me/openpgp/lock", OWNER, {}))[0] == 303
    assert (await site.ask("GET", address(sent_id), OWNER))[0] == 404
