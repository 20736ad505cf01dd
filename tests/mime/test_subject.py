import time

import pytest

from mailstead.mime.subject import base_subject


@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("", "", False),
        ("Hello  \t World ", "Hello World", False),
        ("Re: hello", "hello", True),
        ("RE :hello", "hello", True),
        ("Fwd: fw: re: hello", "hello", True),
        ("Re[2]: hello", "hello", True),
        ("re [x]: [list] Re: hello", "hello", True),
        ("[list] hello", "hello", False),
        ("[list]", "[list]", False),
        ("[a] [b]", "[b]", False),
        ("[a][b] re: x", "x", True),
        ("hello (fwd)", "hello", True),
        ("hello (FWD) (fwd) ", "hello", True),
        ("[fwd: hello]", "hello", True),
        ("[Fwd: Re: [fwd: hello (fwd)]]", "hello", True),
        ("Re:", "", True),
        ("regarding: x", "regarding: x", False),
        ("Reply", "Reply", False),
        ("[fwd:]", "", True),
    ],
)
def test_base_subject(subject, base, is_reply):
    assert base_subject(subject) == (base, is_reply)


@pytest.mark.parametrize("unit", ["[a]", "re:", "[fwd:", "(fwd)", " ", "[a]re:"])
def test_long_subjects_are_read_in_linear_time(unit):
    started = time.process_time()
    base_subject(unit * 100_000 + "x" + "]" * 100_000)
    assert time.process_time() - started < 2
