"""What is shown of a message, and what is listed."""

import pytest

from mailstead.mime.showing.body_choice import BODIES_MAX, body_choice
from mailstead.mime.tree import part_tree


def multipart(subtype, *parts, boundary="b", more=""):
    inner = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f"Content-Type: multipart/{subtype}; boundary={boundary}{more}\r\n\r\n{inner}--{boundary}--\r\n"


def leaf(media_type, content="x", *fields):
    return "\r\n".join([f"Content-Type: {media_type}", *fields, "", content])


PLAIN, HTML = leaf("text/plain"), leaf("text/html", "<p>x")
FILE = leaf("application/pdf", "x", "Content-Disposition: attachment; filename=a.pdf")
PICTURE = leaf("image/png", "x", "Content-ID: <p@x>", "Content-Disposition: inline; filename=p.png")
ICS = leaf("text/calendar; method=REQUEST")


def chosen(message, **how):
    parts = part_tree(message.encode())
    choice = body_choice(parts, **how)
    return (
        [parts[body.part].media_type for body in choice.bodies],
        [parts[index].media_type for index in choice.attachments],
        choice,
    )


@pytest.mark.parametrize(
    ("message", "bodies", "attachments"),
    [
        ("\r\nHi", ["text/plain"], []),
        (HTML, ["text/html"], []),
        (FILE, [], ["application/pdf"]),
        (multipart("alternative", PLAIN, HTML), ["text/html"], []),
        (multipart("alternative", HTML, PLAIN), ["text/html"], []),
        (multipart("alternative", PLAIN), ["text/plain"], []),
        (multipart("alternative", PLAIN, leaf("text/x-amp-html")), ["text/plain"], ["text/x-amp-html"]),
        (multipart("alternative", PLAIN, HTML, ICS), ["text/html"], ["text/calendar"]),
        (multipart("alternative", FILE), [], ["application/pdf"]),
        (multipart("alternative"), ["text/plain"], []),  # without a delimiter line it is one text
        (multipart("mixed", PLAIN, FILE), ["text/plain"], ["application/pdf"]),
        (multipart("mixed", PLAIN, FILE, PLAIN), ["text/plain", "text/plain"], ["application/pdf"]),
        (multipart("mixed", PLAIN, leaf("text/plain", "x", "Content-Disposition: attachment; filename=a.txt")), ["text/plain"], ["text/plain"]),
        (multipart("mixed", PLAIN, leaf("text/plain", "x", "Content-Disposition: inline; filename=a.txt")), ["text/plain"], ["text/plain"]),
        (multipart("mixed", leaf("text/plain; name=body.txt")), ["text/plain"], []),
        (multipart("unheard-of", PLAIN, FILE), ["text/plain"], ["application/pdf"]),
        (multipart("mixed", PLAIN, leaf("message/rfc822", "Subject: x\r\n\r\ninner")), ["text/plain"], ["message/rfc822"]),
        (multipart("digest", leaf("message/rfc822", "Subject: x\r\n\r\ninner")), [], ["message/rfc822"]),
        (multipart("signed", HTML, leaf("application/pgp-signature")), ["text/html"], []),
        (multipart("report", PLAIN, leaf("message/delivery-status")), ["text/plain"], ["message/delivery-status"]),
        (multipart("alternative", PLAIN, multipart("mixed", HTML, FILE, boundary="c")), ["text/html"], ["application/pdf"]),
        (leaf("application/pkcs7-mime"), [], []),
    ],
)  # fmt: skip
def test_bodies_and_attachments(message, bodies, attachments):
    assert chosen(message)[:2] == (bodies, attachments)


def test_the_reader_may_like_plain_text_better():
    message = multipart("alternative", PLAIN, multipart("mixed", HTML, FILE, boundary="c"))
    bodies, attachments, choice = chosen(message, prefers_html=False)
    assert (bodies, attachments) == (["text/plain"], ["application/pdf"])
    assert (choice.has_plain, choice.has_html) == (True, True)
    assert chosen(HTML, prefers_html=False)[0] == ["text/html"]


def test_pictures_beside_a_body_are_its_own():
    message = multipart("mixed", multipart("related", HTML, PICTURE, FILE, boundary="c"), FILE)
    bodies, attachments, choice = chosen(message)
    assert (bodies, attachments) == (["text/html"], ["application/pdf", "application/pdf"])
    assert len(choice.bodies[0].related) == 1


def test_the_root_is_the_one_that_start_names():
    message = multipart("related", PICTURE, leaf("text/html", "x", "Content-ID: <root@x>"), more='; start="<root@x>"')
    bodies, attachments, choice = chosen(message)
    assert (bodies, attachments) == (["text/html"], [])
    assert len(choice.bodies[0].related) == 1


def test_alternatives_within_related_have_the_pictures():
    message = multipart("related", multipart("alternative", PLAIN, HTML, boundary="c"), PICTURE)
    assert len(chosen(message)[2].bodies[0].related) == 1


def test_what_is_encrypted_is_no_body():
    message = multipart(
        "mixed",
        PLAIN,
        multipart("encrypted", leaf("application/pgp-encrypted"), leaf("application/octet-stream"), boundary="c"),
    )
    bodies, attachments, choice = chosen(message)
    assert (bodies, attachments) == (["text/plain"], [])
    assert len(choice.encrypted) == 1


def test_attack_086_bodies_without_end_are_listed():
    bodies, attachments, _ = chosen(multipart("mixed", *[HTML] * (BODIES_MAX + 5)))
    assert (len(bodies), len(attachments)) == (BODIES_MAX, 5)


def test_attack_086_deep_nesting_is_chosen_from_in_one_pass():
    message = PLAIN
    for number in range(200):
        message = multipart("mixed", message, FILE, boundary=f"b{number}")
    bodies, attachments, _ = chosen(message)
    assert len(bodies) + len(attachments) > 90
