"""What the top header does not tell, and that nothing else changes."""

from mailstead.policy.privacy import outgoing, stored

HEADER = (
    b"Received: from [192.0.2.1]\r\n\tby mx.test\r\nFrom: <a@chat.test>\r\nUSER-AGENT: x\r\nSubject: secret\r\n folded\r\n"
    b"X-Mailer : y\r\nX-Originating-IP: [192.0.2.1]\r\nDKIM-Signature: v=1;\r\n\tb=x\r\nAutocrypt: addr=a@chat.test;\r\n k\r\n"
    b"Authentication-Results: mx.test; spf=pass\r\nTo: <b@chat.test>\r\n\r\n"
)


def test_attack_104_outgoing_mail_tells_no_subject_machine_or_program():
    assert outgoing(HEADER) == (
        b"From: <a@chat.test>\r\nSubject: [...]\r\nDKIM-Signature: v=1;\r\n\tb=x\r\nAutocrypt: addr=a@chat.test;\r\n k\r\n"
        b"Authentication-Results: mx.test; spf=pass\r\nTo: <b@chat.test>\r\n\r\n"
    )


def test_attack_104_stored_mail_tells_no_servers():
    assert stored(HEADER) == (
        b"From: <a@chat.test>\r\nUSER-AGENT: x\r\nSubject: secret\r\n folded\r\nX-Mailer : y\r\n"
        b"X-Originating-IP: [192.0.2.1]\r\nAutocrypt: addr=a@chat.test;\r\n k\r\nTo: <b@chat.test>\r\n\r\n"
    )


def test_a_header_without_them_stays_as_it_is():
    for header in (b"From: <a@chat.test>\r\n\r\n", b"\r\n", b"", b"To: x", b"no field\r\n\r\n"):
        assert outgoing(header) == stored(header) == header


def test_a_header_that_ends_in_such_a_field():
    assert stored(b"To: x\r\nReceived: y") == b"To: x\r\n"
    assert outgoing(b"To: x\nUser-Agent: y\nFrom: z\n\n") == b"To: x\nFrom: z\n\n"
