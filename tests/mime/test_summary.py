from mailstead.mime.summary import header_summary


def test_example_of_the_rfc():
    # RFC 3501 §7.4.2
    header = (
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nSubject: IMAP4rev1 WG mtg summary and minutes\r\n"
        b"From: Terry Gray <gray@cac.washington.edu>\r\nSender: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Reply-To: Terry Gray <gray@cac.washington.edu>\r\nTo: imap@cac.washington.edu\r\n"
        b"Cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-ID: <B27397-0100000@cac.washington.edu>\r\n\r\n"
    )
    gray = b'(("Terry Gray" NIL "gray" "cac.washington.edu")) '
    assert header_summary(header) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" ' + gray * 3
        + b'((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")'
        b'("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")'
    )  # fmt: skip


def test_absent_and_empty_fields():
    assert header_summary(b"\r\n") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert header_summary(b"Subject:\r\nSender: ,\r\nFrom: a@b\r\n\r\n") == (
        b'(NIL "" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)'
    )


def test_encoded_words_stay_and_folds_go():
    assert b'"=?utf-8?q?a?= =?utf-8?q?b?="' in header_summary(b"Subject: =?utf-8?q?a?=\r\n =?utf-8?q?b?=\r\n\r\n")
