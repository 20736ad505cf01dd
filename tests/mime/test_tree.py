import time

import pytest

from mailstead.mime.facts import message_facts
from mailstead.mime.tree import DEPTH_MAX, OPAQUE, PARTS_MAX, part_tree


def test_boundary_of_an_enclosing_multipart_may_be_reused_after_the_inner_one_ended():
    octets = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b--\nepilogue\n--b\n--a\n\n2\n--a--\n"
    assert [part.number for part in part_tree(octets)] == ["", "1", "1.1", "2"]


def test_one_level_above_the_depth_limit_is_opaque():
    def nested(depth):
        head = b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (level, level) for level in range(depth)
        )
        return head + b"\ntext"

    parts = part_tree(nested(DEPTH_MAX - 1))
    assert parts[-1].media_type == "text/plain"
    assert parts[-1].number.count(".") == DEPTH_MAX - 2
    parts = part_tree(nested(DEPTH_MAX))
    assert len(parts) == DEPTH_MAX
    assert parts[-1].media_type == OPAQUE


def test_the_last_part_takes_the_rest():
    octets = b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * (PARTS_MAX + 5)
    parts = part_tree(octets)
    assert len(parts) == PARTS_MAX
    assert parts[-2].media_type == "text/plain"
    assert parts[-1].media_type == OPAQUE
    assert parts[-1].body_end == len(octets)


def test_a_message_with_too_large_a_header_is_one_opaque_part():
    for header in (
        b"Content-Type: multipart/mixed; boundary=a\r\n" + b"X: y\r\n" * 1000,
        b"X: " + b"y" * (1 << 20) + b"\r\n",
    ):
        facts = message_facts(header + b"\r\n--a\r\n\r\nx\r\n--a--\r\n")
        assert len(facts.parts) == 1
        assert facts.parts[0].media_type == OPAQUE
        assert facts.header_octets == len(header) + 2


def test_a_large_body_is_not_copied():
    import tracemalloc

    octets = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: application/x\r\n\r\n"
        + b"x" * 76 * 100_000
        + b"\r\n--a--\r\n"
    )
    for form in (octets, bytearray(octets), memoryview(octets), memoryview(bytearray(octets))[1:]):
        tracemalloc.start()
        facts = message_facts(form)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(facts.parts) == 2 or isinstance(form, memoryview)
        assert peak < 1_000_000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flat", lambda n: b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\n\nx\n" * n),
        ("no empty lines", lambda n: b"Content-Type: multipart/mixed; boundary=a\n\n" + b"--a\nA: b\n" * n),
        (
            "look-alikes",
            lambda n: (
                b"Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/mixed; boundary=ac\n\n"
                + b"--a\n" * n
            ),
        ),
        ("spaces", lambda n: b"Content-Type: multipart/mixed; boundary=a\n\n--a" + b" " * n + b"\n"),
        ("folds", lambda n: b"Subject: x\n" + b" y\n" * n + b"\n"),
        ("commas", lambda n: b"To: " + b"," * n + b"\n\n"),
        ("ats", lambda n: b"To: " + b"a@" * n + b"\n\n"),
        ("parentheses", lambda n: b"To: " + b"(" * n + b"\n\n"),
        ("quotes", lambda n: b'To: "' + b'\\"' * n + b"\n\n"),
        ("angles", lambda n: b"References: " + b"<" * n + b"\n\n"),
        ("words", lambda n: b"Subject: " + b"=?a?q?" * n + b"\n\n"),
        ("parameters", lambda n: b"Content-Type: a/b" + b"; a=b" * n + b"\n\n"),
        ("html", lambda n: b"Content-Type: text/html\n\n" + b"<!--" * n),
        ("date", lambda n: b"Date: " + b"(" * n + b" " * n + b"\n\n"),
    ],
)
def test_time_grows_with_size_alone(name, message):
    def seconds(octets):
        best = 9.0
        for _ in range(3):
            started = time.process_time()
            message_facts(octets)
            best = min(best, time.process_time() - started)
        return best

    small, large = seconds(message(900)), seconds(message(9000))
    assert large < 45 * small + 0.01, name
