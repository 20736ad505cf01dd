import pytest

from mailstead.proto.smtp.framing import Fault, Framing


def taken(pieces):
    """Feed pieces as data behind a DATA line, give the message, the fault, and what is left."""
    framing = Framing()
    framing.feed(b"DATA\r\n")
    assert framing.take_line(4096) == b"DATA"
    framing.hold_line_end()
    framing.start_data()
    message = b""
    for piece in pieces:
        framing.feed(piece)
        while not framing.is_data_complete:
            octets = framing.take_data()
            if isinstance(octets, Fault):
                return message, octets, None
            if octets is None:
                break
            message += octets
    return message, framing.is_data_complete, framing.take_counted(10_000) or b""


CASES = [
    (b".\r\nQUIT\r\n", b"", b"QUIT\r\n"),
    (b"a\r\n.\r\n", b"a\r\n", b""),
    (b"a\r\n\r\n..\r\n.\r\nX", b"a\r\n\r\n.\r\n", b"X"),
    (b"..\r\n.\r\n", b".\r\n", b""),
    (b".a\r\n.\r\n", b"a\r\n", b""),
    (b"...a\r\n..b\r\n.\r\n", b"..a\r\n.b\r\n", b""),
    (b"\r\n\r\n.\r\n", b"\r\n\r\n", b""),
    (b"a\r\n" * 3000 + b".\r\nNOOP", b"a\r\n" * 3000, b"NOOP"),
]


@pytest.mark.parametrize(("wire", "message", "rest"), CASES)
def test_data_whole_and_in_all_cuts(wire, message, rest):
    assert taken([wire]) == (message, True, rest)
    if len(wire) < 100:
        assert taken([bytes([octet]) for octet in wire]) == (message, True, rest)
        for cut in range(len(wire)):
            assert taken([wire[:cut], wire[cut:]]) == (message, True, rest)


BARE = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\rX",
    b"\r.\rX",
    b"\n.\rX",
    b"\r.\n",
    b"\n\n.\r\n",
    b"a\rb",
    b"a\nb",
    b"\r\r\n.\r\n",
]


@pytest.mark.parametrize("middle", BARE)
def test_bare_line_ends_are_faults_in_every_cut(middle):
    wire = b"text" + middle + b"more\r\n.\r\n"
    assert taken([wire])[1] is Fault.BARE
    for cut in range(len(wire)):
        assert taken([wire[:cut], wire[cut:]])[1] is Fault.BARE


def test_nul_is_noticed():
    framing = Framing()
    framing.feed(b"\r\na\0b\r\n.\r\n")
    framing.start_data()
    assert framing.take_data() == b"a\0b\r\n"
    assert framing.has_nul


@pytest.mark.parametrize(
    ("wire", "line"),
    [
        (b"NOOP\r\n", b"NOOP"),
        (b"\r\n", b""),
        (b"NOOP\n", Fault.BARE),
        (b"\n", Fault.BARE),
        (b"NO\rOP\r\n", Fault.ILLEGAL),
        (b"NO\0OP\r\n", Fault.ILLEGAL),
        (b"x" * 4095 + b"\r\n", Fault.OVERLONG),
        (b"x" * 4094 + b"\r\n", b"x" * 4094),
        (b"NOOP\r", None),
        (b"", None),
    ],
)
def test_lines(wire, line):
    framing = Framing()
    framing.feed(wire)
    assert framing.take_line(4096) == line


def test_an_overlong_line_is_reported_once_and_not_kept():
    framing = Framing()
    faults = []
    for _ in range(1000):
        framing.feed(b"x" * 1000)
        line = framing.take_line(4096)
        if line is not None:
            faults.append(line)
        assert len(framing) <= 4096
    framing.feed(b"tail\r\nNOOP\r\n")
    assert framing.take_line(4096) == b"NOOP"
    assert faults == [Fault.OVERLONG]
