"""Messages of an account as pages show them, from the real store."""

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMessage, NotAllowed
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.messages import Messages
from mailstead.usecases.remote_images import PATH, RemoteImages
from mailstead.usecases.shown_messages import ShownMessages, safe_file_name
from mailstead.usecases.staging import Staging
from mime.showing.strict import escapes
from mime.showing.test_body_choice import FILE, leaf, multipart
from mime.showing.test_message import address, picture, png

REMOTE = '<p onclick=x>Hi<img src="https://t.example/a.png"><img src="cid:a"></p><script>alert(1)</script>'


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def shown(storage, mailboxes, clock):
    return ShownMessages(mailboxes, RemoteImages(storage, None, clock, b"k" * 32))


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def put(mailboxes, actor):
    async def put(message):
        octets = ("From: a@b.test\r\nSubject: s\r\nMIME-Version: 1.0\r\n" + message).encode()
        return (await Messages(mailboxes).append(actor, "INBOX", octets, [])).place.object_id

    return put


async def test_a_message_is_shown_in_one_call(shown, put, actor):
    message = multipart(
        "mixed", multipart("related", leaf("text/html", REMOTE), picture(png(), "Content-ID: <a>"), boundary="c"), FILE
    )
    page = await shown.show(actor, await put(message))
    [body] = page.message.bodies
    assert escapes(body.html, body.css, {address(png())}) == []
    assert address(png()) in body.html
    assert page.can_load_remote
    assert page.message.blocked.active_count == 2
    assert [(each.number, each.file_name, each.media_type) for each in page.attachments] == [
        ("2", "a.pdf", "application/pdf")
    ]
    assert page.view.mailbox.name == "INBOX"
    assert not page.is_encrypted


async def test_attack_087_remote_pictures_come_by_the_proxy_when_asked_for(shown, put, actor):
    page = await shown.show(actor, await put(leaf("text/html", REMOTE)), loads_remote=True)
    assert f'src="{PATH}' in page.message.bodies[0].html
    assert "t.example" not in page.message.document()
    assert page.message.has_remote
    assert not page.can_load_remote


async def test_the_reader_may_like_plain_text_better(shown, put, actor):
    name = await put(multipart("alternative", leaf("text/plain", "plain"), leaf("text/html", "rich")))
    assert "plain" in (await shown.show(actor, name, prefers_html=False)).message.bodies[0].html
    assert "rich" in (await shown.show(actor, name)).message.bodies[0].html


async def test_only_what_is_shown_is_read(shown, put, actor, mailboxes, monkeypatch):
    name = await put(multipart("mixed", leaf("text/plain", "hi"), leaf("application/zip", "z" * 100_000)))
    store = mailboxes.of(actor)
    asked = []
    read = type(store).read_octets

    async def noted(self, ranges):
        asked.extend(ranges)
        return await read(self, ranges)

    monkeypatch.setattr(type(store), "read_octets", noted)
    await shown.show(actor, name)
    assert sum(each.stop - each.start for each in asked) < 10


async def test_an_attachment_is_given_decoded(shown, put, actor):
    name = await put(
        multipart(
            "mixed",
            leaf("text/plain", "hi"),
            picture(png(), 'Content-Disposition: attachment; filename="../p\u202egnp.exe"'),
        )
    )
    page = await shown.show(actor, name)
    found, octets = await shown.attachment(actor, name, page.attachments[0].number)
    assert octets == png()
    assert found.file_name == "pgnp.exe"
    for number in ("", "9", "2.1", "x"):
        with pytest.raises(NoSuchMessage):
            await shown.attachment(actor, name, number)


async def test_attack_088_a_decrypted_part_is_shown_alone_and_loads_nothing(shown, put, actor):
    message = await shown.show_decrypted(leaf("text/html", REMOTE).encode())
    assert message.blocked.image_count == 1
    assert not message.has_remote
    assert PATH not in message.document()
    page = await shown.show(
        actor,
        await put(multipart("encrypted", leaf("application/pgp-encrypted"), leaf("application/octet-stream"))),
        loads_remote=True,
    )
    assert page.is_encrypted
    assert page.message.bodies == ()


async def test_attack_053_messages_of_others_are_not_shown(shown, put, actor_of, bob):
    name = await put(leaf("text/plain", "hi"))
    for actor, error in ((actor_of(bob), NoSuchMessage), (Actor(None, None, is_admin=True), NotAllowed)):
        with pytest.raises(error):
            await shown.show(actor, name)
        with pytest.raises(error):
            await shown.attachment(actor, name, "1")


async def test_what_is_no_id_is_no_message(shown, actor):
    for name in ("", "x", "0" * 24):
        with pytest.raises(NoSuchMessage):
            await shown.show(actor, name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", "a.pdf"), ("../../etc/passwd", "passwd"), ("C:\\x\\a.exe", "a.exe"), ("a\0b\r\nc.txt", "abc.txt"), ("fdp.\u202eexe.pdf", "fdp.exe.pdf"),
        (" . ", ""), ("..", ""), ("", ""), ("a" * 300 + ".pdf", "a" * 146 + ".pdf"), ("." + "x" * 300, "x" * 150), ("\u00e9\u4e2d.txt", "\u00e9\u4e2d.txt"),
        ("<script>.html", "<script>.html"), ("a\u2028b", "ab"), ("\ufeffx", "x"),
    ],
)  # fmt: skip
def test_attack_086_file_names(name, expected):
    assert safe_file_name(name) == expected
