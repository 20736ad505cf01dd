"""Policy records and the names of the tree walk."""

import pytest

from mailstead.mailauth.dmarc_record import Record, parsed, walk


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"v=DMARC1; p=none", Record("none", "none", "none")),
        (b"v=DMARC1;p=reject;", Record("reject", "reject", "reject")),
        (b" v = DMARC1 ; P = Quarantine ; SP=none", Record("quarantine", "none", "none")),
        (b"V=DMARC1; np=reject; p=none; sp=quarantine", Record("none", "quarantine", "reject")),
        (b"v=DMARC1; p=none; np=reject", Record("none", "none", "reject")),
        (b"v=DMARC1; p=none; adkim=s; aspf=S", Record("none", "none", "none", is_dkim_strict=True, is_spf_strict=True)),
        (b"v=DMARC1; p=none; adkim=x; aspf=", Record("none", "none", "none")),
        (b"v=DMARC1; p=none; psd=y", Record("none", "none", "none", psd="y")),
        (b"v=DMARC1; p=none; psd=N", Record("none", "none", "none", psd="n")),
        (b"v=DMARC1; p=none; psd=maybe", Record("none", "none", "none")),
        (b"v=DMARC1; p=reject; t=y", Record("reject", "reject", "reject", is_testing=True)),
        # of RFC 7489
        (b"v=DMARC1; p=reject; pct=0", Record("reject", "reject", "reject", is_testing=True)),
        (b"v=DMARC1; p=reject; pct=0; t=n", Record("reject", "reject", "reject")),
        (b"v=DMARC1; p=reject; pct=50; rf=afrf; ri=86400; fo=1", Record("reject", "reject", "reject")),
        # unknown and broken tags
        (b"v=DMARC1; p=none; x-new=1; ;; broken; =z; p=reject", Record("none", "none", "none")),
        (b"v=DMARC1; p=n\xc3\xb6ne", Record()),
        # p missing, or a policy that is none
        (b"v=DMARC1", Record()),
        (b"v=DMARC1; p=", Record()),
        (b"v=DMARC1; sp=reject", Record()),
        (b"v=DMARC1; p=reject; sp=block", Record()),
        (
            b"v=DMARC1; p=reject; np=block; rua=mailto:d@example.com",
            Record("none", "none", "none", aggregate_to=("mailto:d@example.com",)),
        ),
        (b"v=DMARC1; rua=mailto:d@example.com", Record("none", "none", "none", aggregate_to=("mailto:d@example.com",))),
        (b"v=DMARC1; rua=d@example.com", Record()),
    ],
)
def test_records(text, expected):
    assert parsed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"", b"v=DMARC1x; p=none", b"v=dmarc1; p=none", b"p=none; v=DMARC1", b"v=DMARC2; p=none", b"v=spf1 -all",
        b"; v=DMARC1", b"v=DMARC1 p=none", b"v=DMARC1;" + b"x" * 9000,
    ],
)  # fmt: skip
def test_what_is_no_record(text):
    assert parsed(text) is None


def test_reports_go_where_the_record_says_in_its_order():
    text = b"v=DMARC1; p=none; rua=mailto:a@example.com!10m , https://x.example/d,bad, mailto:b@example.com"
    assert parsed(text).aggregate_to == ("mailto:a@example.com!10m", "https://x.example/d", "mailto:b@example.com")


def test_testing_asks_for_one_level_less():
    record = Record("reject", is_testing=True)
    assert [record.asked(each) for each in ("reject", "quarantine", "none")] == ["quarantine", "none", "none"]


def test_the_walk_of_the_rfc():
    # RFC 9989 §4.10, its example
    assert list(walk("a.b.c.d.e.f.g.h.i.j.mail.example.com")) == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
        "i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com",
    ]  # fmt: skip


@pytest.mark.parametrize("count", range(1, 130))
def test_a_walk_takes_eight_steps_at_most(count):
    names = list(walk(".".join(["x"] * count)))
    assert len(names) == min(count, 8)
    assert names[-1] == "x"
