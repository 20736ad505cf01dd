"""Questions and answers as octets, against dnspython as the oracle, and against hostile servers."""

import struct
import time

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.net.dns_wire import RECORDS_MAX, BadAnswer, Kind, answers, is_cut, name_of, question, read, text_of
from mailstead.ports.resolver import Caa, Mx, Srv, Tlsa

NAME = name_of("example.test")


def response(*lines, name="example.test", kind="A", authority=(), code=dns.rcode.NOERROR, flags=0):
    message = dns.message.make_response(dns.message.make_query(name, kind, use_edns=0), recursion_available=True)
    for section, texts in ((message.answer, lines), (message.authority, authority)):
        for text in texts:
            owner, ttl_s, of_class, kind_text, data = text.split(" ", 4)
            section.append(dns.rrset.from_text(owner, ttl_s, of_class, kind_text, data))
    message.set_rcode(code)
    message.flags |= flags
    return message.to_wire(max_size=65535)


@pytest.mark.parametrize("wants_dnssec", [True, False])
def test_a_question_is_read_by_others(wants_dnssec):
    query = dns.message.from_wire(question(4711, NAME, Kind.TLSA, wants_dnssec=wants_dnssec))
    assert (
        query.to_wire()
        == dns.message.make_query(
            "example.test", "TLSA", id=4711, use_edns=0, payload=1232, want_dnssec=wants_dnssec
        ).to_wire()
    )


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("A", "192.0.2.1", "192.0.2.1"),
        ("AAAA", "2001:db8::1", "2001:db8::1"),
        ("AAAA", "::ffff:10.0.0.1", "::ffff:a00:1"),
        ("MX", "10 Mail.Example.Test.", Mx(10, "mail.example.test")),
        ("MX", "0 .", Mx(0, "")),
        ("TXT", '"a b" "c" "" "\\255"', b"a bc\xff"),
        ("TXT", '""', b""),
        ("PTR", r"a\.b\032c.\200.example.", r"a\.b\032c.\200.example"),
        ("SRV", "1 2 993 imap.example.test.", Srv(1, 2, 993, "imap.example.test")),
        ("TLSA", "3 1 1 " + "ab" * 32, Tlsa(3, 1, 1, b"\xab" * 32)),
        ("CAA", '128 issue "ca.test; a=b"', Caa(128, "issue", "ca.test; a=b")),
    ],
)
def test_records(kind, data, expected):
    found = read(response(f"example.test. 60 IN {kind} {data}", kind=kind), NAME, Kind[kind])
    assert found == (0, False, (expected,), "example.test", 60)


def test_aliases_are_followed_and_the_shortest_ttl_counts():
    octets = response("example.test. 50 IN CNAME B.test.", "b.test. 40 IN CNAME c.test.", "c.test. 60 IN A 192.0.2.1")
    assert read(octets, NAME, Kind.A) == (0, False, ("192.0.2.1",), "c.test", 40)


def test_an_alias_can_be_asked_for_itself():
    assert read(response("example.test. 50 IN CNAME b.test.", kind="CNAME"), NAME, Kind.CNAME).records == ("b.test",)


SOA = "test. 900 IN SOA ns.test. host.test. 1 2 3 4 77"


@pytest.mark.parametrize(
    ("authority", "ttl_s"),
    [([SOA], 77), ([SOA.replace("900", "30")], 30), (["other. 900 IN SOA ns.test. host.test. 1 2 3 4 77"], None), (["test. 900 IN NS ns.test."], None), ([], None)],
)  # fmt: skip
def test_absence_lives_as_long_as_the_soa_says(authority, ttl_s):
    octets = response(authority=authority, code=dns.rcode.NXDOMAIN)
    assert read(octets, NAME, Kind.A) == (3, False, (), "example.test", ttl_s)
    octets = response("example.test. 50 IN CNAME b.test.", "b.test. 90 IN CNAME c.test.", authority=authority)
    assert read(octets, NAME, Kind.A) == (0, False, (), "c.test", None if ttl_s is None else min(50, ttl_s))


def test_signatures_other_classes_and_what_comes_beside_are_stepped_over():
    octets = response(
        "example.test. 60 IN RRSIG A 13 2 60 20300101000000 20200101000000 1 test. AAAA",
        "example.test. 60 CH A test. 1",
        "example.test. 60 IN A 192.0.2.1",
        "victim.test. 60 IN A 192.0.2.66",
        flags=dns.flags.AD,
    )
    assert read(octets, NAME, Kind.A) == (0, True, ("192.0.2.1",), "example.test", 60)


def test_a_ttl_with_its_highest_bit_is_none():
    octets = response("example.test. 60 IN A 192.0.2.1").replace(struct.pack("!I", 60), b"\xff\xff\xff\xff")
    assert read(octets, NAME, Kind.A).ttl_s == 0


def test_codes_of_edns_count():
    octets = bytearray(response())
    octets[-6] = 1  # BADVERS
    assert read(bytes(octets), NAME, Kind.A).code == 16


def test_what_answers_and_what_does_not():
    asked = question(7, NAME, Kind.A, wants_dnssec=True)

    def told(name="example.test", kind="A", message_id=7, flags=dns.flags.QR, of_class="IN"):
        query = dns.message.make_query(name, kind, of_class, id=message_id)
        query.flags |= flags
        return query.to_wire()

    assert answers(told(), asked)
    assert answers(told("EXAMPLE.test"), asked)
    assert not answers(told("xample.test"), asked)
    assert not answers(told("example.test.test"), asked)
    assert not answers(told(kind="MX"), asked)
    assert not answers(told(of_class="CH"), asked)
    assert not answers(told(message_id=8), asked)
    assert not answers(told(flags=0), asked)
    assert not answers(told(flags=dns.flags.QR | 0x2800), asked)
    assert not answers(told()[:11], asked)
    assert not answers(b"", asked)
    assert not answers(struct.pack("!HHHHHH", 7, 0x8000, 0, 0, 0, 0), asked)
    assert answers(struct.pack("!HHHHHH", 7, 0x8002, 0, 0, 0, 0), asked)
    assert is_cut(told(flags=dns.flags.QR | dns.flags.TC))
    assert not is_cut(told())


labels = st.text(st.characters(codec="ascii", exclude_characters=".A"), min_size=1, max_size=63).map(str.lower)


@given(st.lists(labels, min_size=1, max_size=6))
def test_names_are_those_of_dnspython(parts):
    text = ".".join(parts)
    name = name_of(text)
    try:
        expected = dns.name.Name([*(part.encode() for part in parts), b""])
    except dns.name.NameTooLong:
        assert name is None
        return
    assert name == expected.to_wire()
    assert dns.name.from_text(text_of(name)) == expected


typed_data = st.one_of(
    st.tuples(st.just("A"), st.ip_addresses(v=4).map(str)),
    st.tuples(st.just("AAAA"), st.ip_addresses(v=6).map(str)),
    st.tuples(st.just("MX"), st.sampled_from(["1 a.example.test.", "2 example.test.", "65535 .", "7 x.y.z."])),
    st.tuples(st.just("TXT"), st.lists(st.sampled_from(['"a"', '"b c"', '""', '"' + "x" * 255 + '"']), min_size=1, max_size=4).map(" ".join)),
)  # fmt: skip


@given(st.lists(typed_data, max_size=8), st.sampled_from(["A", "AAAA", "MX", "TXT"]))
def test_answers_are_read_as_dnspython_reads_them(found, kind):
    octets = response(*(f"example.test. 60 IN {each_kind} {data}" for each_kind, data in found), kind=kind)
    theirs = dns.message.from_wire(octets)
    records = {record for rrset in theirs.answer if rrset.rdtype.name == kind for record in rrset}
    ours = read(octets, NAME, Kind[kind]).records
    expected = {
        "A": lambda record: record.address,
        "AAAA": lambda record: record.address,
        "MX": lambda record: Mx(record.preference, record.exchange.to_text(omit_final_dot=True).removeprefix(".")),
        "TXT": lambda record: b"".join(record.strings),
    }[kind]
    if kind == "AAAA":
        import ipaddress

        assert {ipaddress.ip_address(each) for each in ours} == {
            ipaddress.ip_address(expected(each)) for each in records
        }
    else:
        assert set(ours) == {expected(each) for each in records}


SAMPLES = [
    (response("example.test. 60 IN MX 10 mail.example.test.", kind="MX"), Kind.MX),
    (response("example.test. 60 IN CNAME b.test.", 'b.test. 60 IN TXT "a" "b"', kind="TXT"), Kind.TXT),
    (response(authority=[SOA], code=dns.rcode.NXDOMAIN), Kind.A),
    (response('example.test. 60 IN CAA 0 issue "x"', kind="CAA"), Kind.CAA),
]


@given(
    st.sampled_from(SAMPLES),
    st.lists(st.tuples(st.integers(12, 200), st.integers(0, 255)), max_size=5),
    st.integers(0, 200),
)
def test_attack_034_damaged_answers_are_read_or_refused(sample, changes, cut):
    octets, kind = bytearray(sample[0]), sample[1]
    for position, value in changes:
        octets[position % len(octets)] = value
    for damaged in (bytes(octets), bytes(octets[:cut])):
        try:
            read(damaged, NAME, kind)
        except BadAnswer:
            continue


@given(st.binary(max_size=300), st.sampled_from(list(Kind)))
def test_attack_034_garbage_is_read_or_refused(octets, kind):
    try:
        read(b"\x00\x07\x81\x80\x00\x01\x00\x02\x00\x01\x00\x01" + octets, NAME, kind)
    except BadAnswer:
        return


def header(answer_count):
    return struct.pack("!HHHHHH", 7, 0x8180, 1, answer_count, 0, 0) + NAME + struct.pack("!HH", 1, 1)


@pytest.mark.parametrize("pointer", [b"\xc0\x1e", b"\xc0\x1f", b"\xff\xff", b"\xc0", b"\x40a", b"\x80a"])
def test_attack_034_pointers_lead_backwards_only(pointer):
    assert len(header(1)) == 0x1E
    with pytest.raises(BadAnswer):
        read(header(1) + pointer + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\x00\x00\x01", NAME, Kind.A)


def staircase(step_count):
    """An answer whose last record is owned by a name at the top of a staircase of pointers, down to the root."""
    first = header(2) + b"\0" + struct.pack("!HHIH", 99, 1, 60, 1 + 2 * step_count)
    stairs = b"\0" + b"".join(
        struct.pack("!H", 0xC000 | (len(first) + (2 * step - 1 if step else 0))) for step in range(step_count)
    )
    top = struct.pack("!H", 0xC000 | (len(first) + len(stairs) - 2))
    return first + stairs + top + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\x00\x00\x01"


def test_attack_034_names_that_unfold_without_end_are_refused():
    assert read(staircase(20), b"\0", Kind.A).records == ("127.0.0.1",)
    with pytest.raises(BadAnswer):
        read(staircase(200), b"\0", Kind.A)
    long = b"\x3f" + b"x" * 63
    with pytest.raises(BadAnswer):
        read(header(1) + long * 5 + b"\0" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\x00\x00\x01", NAME, Kind.A)


def test_attack_034_the_longest_answer_costs_little():
    deep = b"\x01a" * 126
    first = header(RECORDS_MAX) + deep + b"\0" + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\x00\x00\x01"
    more = (struct.pack("!H", 0xC01E) + struct.pack("!HHIH", 1, 1, 60, 4) + b"\x7f\x00\x00\x02") * (RECORDS_MAX - 1)
    started_s = time.process_time()
    assert read(first + more, NAME, Kind.A).records == ()
    assert time.process_time() - started_s < 1
    with pytest.raises(BadAnswer):
        read(header(RECORDS_MAX + 1) + more, NAME, Kind.A)


def test_attack_034_aliases_in_a_circle_are_refused():
    octets = response("example.test. 60 IN CNAME b.test.", "b.test. 60 IN CNAME example.test.")
    with pytest.raises(BadAnswer):
        read(octets, NAME, Kind.A)


def test_attack_034_records_of_a_name_that_does_not_exist_are_refused():
    with pytest.raises(BadAnswer):
        read(response("example.test. 60 IN A 192.0.2.1", code=dns.rcode.NXDOMAIN), NAME, Kind.A)
