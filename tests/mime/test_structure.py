from mailstead.mime.facts import message_facts
from mailstead.mime.structure import body_structure
from mailstead.proto.imap.write.body import basic_body


def rendered(octets):
    facts = message_facts(octets)
    assert body_structure(octets, facts.parts) == facts.body_structure
    return facts.body_structure, basic_body(facts.body_structure)


def test_example_of_the_rfc():
    # RFC 3501 §7.4.2: a text of 1152 octets in 23 lines and an attachment
    text = b"x" * 1152
    extended, plain = rendered(
        b"Content-Type: MULTIPART/MIXED; boundary=a\r\n\r\n--a\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n"
        + text + b"\r\n--a\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\r\nContent-Transfer-Encoding: BASE64\r\n"
        b"Content-ID: <960723163407.20117h@cac.washington.edu>\r\nContent-Description: Compiler diff\r\n\r\nAAAA\r\n--a--"
    )  # fmt: skip
    assert plain == (
        b'(("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 1152 0)'
        b'("text" "plain" ("charset" "US-ASCII" "name" "cc.diff") "<960723163407.20117h@cac.washington.edu>" "Compiler diff" '
        b'"base64" 4 0) "mixed")'
    )
    assert extended.endswith(b'"base64" 4 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)')


def test_summaries_of_enclosed_messages_are_found_again():
    inner = b'Subject: {3}\r\nFrom: "(\\" ) x" <a@b>, \xfc <c@d>\r\nContent-Type: message/rfc822\r\n\r\nSubject: ")\\\r\n\r\ntext'
    octets = (
        b"Content-Type: multipart/digest; boundary=a\r\n\r\n--a\r\n\r\n"
        + inner
        + b"\r\n--a\r\n\r\nSubject: two\r\n\r\nx\r\n--a--"
    )
    extended, plain = rendered(octets)
    assert plain.count(b"message") == extended.count(b"message") == 3
    for word in (b'"{3}"', b'"\\")\\\\"', b'"two"', b"{1}\r\n\xfc"):
        assert plain.count(word) == extended.count(word) > 0
    assert b"NIL NIL NIL NIL)" not in plain.replace(b"NIL NIL NIL NIL NIL", b"")


def test_structure_without_children_or_header():
    assert rendered(b"")[1] == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
