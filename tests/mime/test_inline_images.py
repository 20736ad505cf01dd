"""Images within formatted text: taken by their octets, written as RFC 2387 has it, found again."""

import struct
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest

from mailstead.mime.composition import Attached, Composition, Correspondent, compose
from mailstead.mime.formatted import document_of, safe_formatted, text_of_formatted
from mailstead.mime.inline_images import IMAGE_OCTETS_MAX, checked_images, images_named, images_of, new_image
from mailstead.mime.showing.message import shown_message
from mailstead.model.errors import BadMessage, MessageTooLarge

ID = f"{'0a' * 16}@example.test"
OTHER = f"{'0b' * 16}@example.test"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 2, 3) + b"\x08\x02" + bytes(40)
GIF = b"GIF89a" + struct.pack("<HH", 1, 1) + bytes(20)


def composed(html, images, *further, text="plain"):
    sender = (Correspondent("", "alice@example.test"),)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    parts = Composition(moment, "<m@example.test>", sender, text=text, html=html, attachments=(*images, *further))
    return compose(parts)


def kinds(octets):
    return [part.get_content_type() for part in message_from_bytes(octets, policy=policy.SMTP).walk()]


def test_an_image_is_related_to_the_form_that_shows_it():
    octets = composed(document_of(f'<p><img src="cid:{ID}" alt="A cat"></p>'), [new_image(PNG, ID)])
    message = message_from_bytes(octets, policy=policy.SMTP)
    assert kinds(octets) == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    related = list(message.walk())[2]
    assert related.get_param("type") == "text/html"
    image = list(message.walk())[4]
    assert image["Content-ID"] == f"<{ID}>"
    assert image.get_content_disposition() == "inline"
    assert image.get_filename() is None
    assert image.get_content() == PNG
    assert not message.defects + image.defects


def test_files_stand_beside_the_text_and_its_images():
    octets = composed(f'<img src="cid:{ID}" alt="">', [new_image(PNG, ID)], Attached(b"x", "a.txt"))
    assert kinds(octets)[:2] == ["multipart/mixed", "multipart/alternative"]
    assert kinds(octets)[-1] == "text/plain"
    assert list(images_of(octets)) == [ID]


def test_what_was_written_is_found_again_and_shown():
    octets = composed(f'<img src="cid:{ID}" alt="">', [new_image(PNG, ID), new_image(GIF, OTHER)])
    assert images_of(octets) == {ID: Attached(PNG, "", "image/png", ID), OTHER: Attached(GIF, "", "image/gif", OTHER)}
    assert "data:image/png;base64," in "".join(body.html for body in shown_message(octets).bodies)


@pytest.mark.parametrize(
    ("octets", "content_id"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>', ID),
        (b"<!DOCTYPE html><script>alert(1)</script>", ID),
        (b"BM" + bytes(12) + struct.pack("<Iii", 40, 1, 1), ID),
        (b"\x89PNG\r\n\x1a\n", ID),
        (PNG[:16] + struct.pack(">II", 40_000, 40_000) + PNG[24:], ID),
        (b"", ID),
        (PNG, ""),
        (PNG, "x@example.test"),
        (PNG, f"{ID}>\r\nX-Evil: yes"),
        (PNG, ID.replace("@", '"@')),
    ],
)
def test_attack_097_what_is_no_image_does_not_come_into_a_text(octets, content_id):
    with pytest.raises(BadMessage):
        new_image(octets, content_id)


def test_attack_098_an_image_is_not_larger_than_reading_shows():
    largest = PNG + bytes(IMAGE_OCTETS_MAX - len(PNG))
    octets = composed(f'<img src="cid:{ID}" alt="">', [new_image(largest, ID)])
    assert "data:image/png" in shown_message(octets).bodies[0].html
    for size in (IMAGE_OCTETS_MAX + 1, 20_000_000):
        with pytest.raises(MessageTooLarge):
            new_image(PNG + bytes(size - len(PNG)), ID)


def test_attack_098_all_images_of_a_text_are_shown_or_it_is_refused():
    large = [new_image(PNG + bytes(IMAGE_OCTETS_MAX - len(PNG)), f"{number:032x}@example.test") for number in range(5)]
    html = "".join(f'<img src="cid:{each.content_id}" alt="">' for each in large)
    octets = composed(html, checked_images(large[:4]))
    assert shown_message(octets).bodies[0].html.count("data:image/png") == 4
    with pytest.raises(BadMessage):
        checked_images(large)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        (f'<img src="cid:{ID}" alt="A cat" onerror="x()" style="y" width="9">', f'<img src="cid:{ID}" alt="A cat">'),
        (f'<img src="CID:{ID.replace("@", "%40")}">', f'<img src="cid:{ID}" alt="">'),
        (f'x<img src="cid:{OTHER}" alt="gone">', "x"),
        ('x<img src="/0"><img src="cid:/0"><img src="//evil.test/0">', "x"),
        ('x<img src="/mail/write/image?cid=1"><img src="data:image/png;base64,AA">', "x"),
        (f'x<img alt="src=&quot;cid:{ID}&quot;" src="https://evil.test/p">', "x"),
        (f'x<p background="cid:{ID}" style="background:url(cid:{ID})">y</p>', "x<p>y</p>"),
        (f'x<input type=image src="cid:{ID}"><svg><image href="cid:{ID}"/></svg>', "x"),
    ],
)
def test_attack_086_a_text_has_images_of_its_own_message_alone(written, sent):
    safe = safe_formatted(written, images=[ID])
    assert words(safe) == words(sent)
    assert words(safe_formatted(safe, images=[ID])) == words(sent)


def words(html):
    """Give what stands in HTML, whatever the order of attributes."""
    return sorted(html.replace(">", " ").split())


def test_an_image_alone_is_something_to_see_and_has_its_words_in_the_plain_form():
    assert safe_formatted(f'<p><img src="cid:{ID}"></p>', images=[ID])
    assert safe_formatted(f'<p><img src="cid:{ID}"></p>') == ""
    assert text_of_formatted(f'<p>See <img src="cid:{ID}" alt="A\ncat"> there</p>') == "See [A cat] there"
    assert text_of_formatted('<p>See <img src="data:image/png;base64,AA" alt="x"> there</p>') == "See there"


def test_only_images_that_a_text_shows_are_named_by_it():
    images = {ID: new_image(PNG, ID), OTHER: new_image(GIF, OTHER)}
    html = safe_formatted(
        f'<p>&lt;img src="cid:{OTHER}"&gt;</p><img src="cid:{ID}" alt="z"><img src="cid:{ID}">', images=images
    )
    assert images_named(html, images) == [images[ID]]


def test_what_is_listed_as_a_file_is_no_image_of_the_text():
    listed = Attached(PNG, "a.png", "image/png", ID, "attachment")
    foreign = Attached(b"<svg/>", "", "image/png", OTHER)
    assert images_of(composed("<p>x</p>", [listed, foreign])) == {}
