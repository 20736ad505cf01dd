import time

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.proto.smtp import parse
from mailstead.proto.smtp.parse import CommandRefusedError

ALICE = Address("alice", "example.test")


def mail(text, **changed):
    return parse.mail(text, **{"is_extended": True, "message_octets_max": 1000, "takes_auth": False, **changed})


def rcpt(text, **changed):
    return parse.rcpt(text, **{"is_extended": True, "is_smtputf8": False, "hostname": "mx.test", **changed})


@pytest.mark.parametrize(
    ("text", "envelope"),
    [
        ("FROM:<>", Envelope(None)),
        ("from:<alice@EXAMPLE.test>", Envelope(ALICE)),
        ("FROM: <alice@example.test>", Envelope(ALICE)),
        ("FROM:<alice@example.test> ", Envelope(ALICE)),
        ("FROM:<@a.test,@b.test:alice@example.test>", Envelope(ALICE)),
        ("FROM:<alice@example.test> SIZE=1000 BODY=8bitmime", Envelope(ALICE, body="8BITMIME", size_octets=1000)),
        ("FROM:<alice@example.test> BODY=BINARYMIME", Envelope(ALICE, body="BINARYMIME")),
        ("FROM:<alice@example.test> RET=hdrs ENVID=QQ314159+2B", Envelope(ALICE, ret="HDRS", envid="QQ314159+")),
        ("FROM:<jürgen@example.test> SMTPUTF8", Envelope(Address("jürgen", "example.test"), smtputf8=True)),
        ('FROM:<"a b>c"@example.test>', Envelope(Address("a b>c", "example.test"))),
        (r'FROM:<"a\"b"@example.test>', Envelope(Address('a"b', "example.test"))),
        ("FROM:<alice@[192.0.2.1]>", Envelope(Address("alice", "[192.0.2.1]"))),
    ],
)
def test_mail(text, envelope):
    assert mail(text) == envelope


@pytest.mark.parametrize(
    ("text", "code", "enhanced"),
    [
        ("FROM", 501, "5.5.2"),
        ("TO:<alice@example.test>", 501, "5.5.2"),
        ("FROM:alice@example.test", 501, "5.5.2"),
        ("FROM:<alice@example.test", 501, "5.5.2"),
        ("FROM:<alice@example.test>SIZE=1", 501, "5.5.2"),
        ("FROM:<alice>", 553, "5.1.7"),
        ("FROM:<@example.test>", 553, "5.1.7"),
        ("FROM:<@a.test:>", 553, "5.1.7"),
        ("FROM:<alice@exa mple.test>", 501, "5.5.2"),
        ("FROM:<alice@-example.test>", 553, "5.1.7"),
        ("FROM:<" + "a" * 65 + "@example.test>", 553, "5.1.7"),
        ("FROM:<jürgen@example.test>", 553, "5.6.7"),
        ("FROM:<jürgen@example.test> SIZE=1", 553, "5.6.7"),
        ("FROM:<alice@example.test> SIZE=1001", 552, "5.3.4"),
        ("FROM:<alice@example.test> SIZE=9e99", 501, "5.5.4"),
        ("FROM:<alice@example.test> SIZE=-1", 501, "5.5.4"),
        ("FROM:<alice@example.test> SIZE", 501, "5.5.4"),
        ("FROM:<alice@example.test> SIZE=" + "9" * 21, 501, "5.5.4"),
        ("FROM:<alice@example.test> SIZE=1 SIZE=2", 501, "5.5.4"),
        ("FROM:<alice@example.test> BODY=9BIT", 501, "5.5.4"),
        ("FROM:<alice@example.test> SMTPUTF8=1", 501, "5.5.4"),
        ("FROM:<alice@example.test> RET=SOME", 501, "5.5.4"),
        ("FROM:<alice@example.test> ENVID=" + "x" * 101, 501, "5.5.4"),
        ("FROM:<alice@example.test> ENVID=a+0D+0Ab", 501, "5.5.4"),
        ("FROM:<alice@example.test> ENVID=a+zz", 501, "5.5.4"),
        ("FROM:<alice@example.test> X==", 501, "5.5.4"),
        ("FROM:<alice@example.test> AUTH=<>", 555, "5.5.4"),
        ("FROM:<alice@example.test> XUNKNOWN=1", 555, "5.5.4"),
    ],
)
def test_mail_refused(text, code, enhanced):
    with pytest.raises(CommandRefusedError) as caught:
        mail(text)
    assert caught.value.reply[:2] == (code, enhanced)


def test_parameters_need_ehlo():
    with pytest.raises(CommandRefusedError) as caught:
        mail("FROM:<> SIZE=1", is_extended=False)
    assert caught.value.reply.code == 555


def test_auth_parameter_is_taken_where_auth_is_offered():
    assert mail("FROM:<alice@example.test> AUTH=<>", takes_auth=True) == Envelope(ALICE)


@pytest.mark.parametrize(
    ("text", "recipient"),
    [
        ("TO:<alice@example.test>", Recipient(ALICE)),
        ("TO:<Postmaster>", Recipient(Address("postmaster", "mx.test"))),
        ("TO:<alice@example.test> NOTIFY=NEVER", Recipient(ALICE, frozenset({"NEVER"}))),
        ("TO:<alice@example.test> NOTIFY=success,DELAY", Recipient(ALICE, frozenset({"SUCCESS", "DELAY"}))),
        ("TO:<alice@example.test> ORCPT=rfc822;a+2Bb@c.test", Recipient(ALICE, orcpt="rfc822;a+b@c.test")),
        ("TO:<alice@bücher.test>", None),
    ],
)
def test_rcpt(text, recipient):
    if recipient is None:
        assert rcpt(text, is_smtputf8=True).address.domain == "xn--bcher-kva.test"
        text = text.replace("ü", "u")
    else:
        assert rcpt(text) == recipient


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("TO:<>", 501),
        ("TO:<alice@jürgen.test>", 553),
        ("TO:<alice@example.test> NOTIFY=NEVER,SUCCESS", 501),
        ("TO:<alice@example.test> NOTIFY=", 501),
        ("TO:<alice@example.test> NOTIFY=OFTEN", 501),
        ("TO:<alice@example.test> ORCPT=rfc822", 501),
        ("TO:<alice@example.test> ORCPT=rfc822;a+0Ab", 501),
        ("TO:<alice@example.test> ORCPT=rfc822;" + "x" * 501, 501),
        ("TO:<alice@example.test> SIZE=1", 555),
    ],
)
def test_rcpt_refused(text, code):
    with pytest.raises(CommandRefusedError) as caught:
        rcpt(text)
    assert caught.value.reply.code == code


@pytest.mark.parametrize("name", ["client.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "my_pc", "localhost", "x."])
def test_hello_names(name):
    assert parse.hello_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "<a>", "a(b)", "ü.test", "[]", "x" * 300])
def test_hello_names_refused(name):
    with pytest.raises(CommandRefusedError):
        parse.hello_name(name)


@pytest.mark.parametrize(("text", "chunk"), [("0", (0, False)), ("12 LAST", (12, True)), ("12 last ", (12, True))])
def test_bdat(text, chunk):
    assert parse.bdat(text) == chunk


@pytest.mark.parametrize("text", ["", "x", "-1", "1 FIRST", "1 LAST LAST", "9" * 20, "1.5"])
def test_bdat_refused(text):
    with pytest.raises(CommandRefusedError):
        parse.bdat(text)


def test_hard_paths_take_linear_time():
    def seconds(count):
        text = 'FROM:<"' + "\\" * count + "@" * count + '"' * count + " X=1" * count
        durations = []
        for _ in range(5):
            start = time.process_time()
            with pytest.raises(CommandRefusedError):
                mail(text)
            durations.append(time.process_time() - start)
        return min(durations)

    # twenty times the length; quadratic would be four hundred times the duration
    assert seconds(100_000) < 100 * max(seconds(5_000), 1e-4)
