from mailstead.mime.parameters import valued


def test_plain_and_quoted():
    found = valued(b' Text/Plain; Charset=UTF-8; name="a;b \\"c\\""; flag ; x = y')
    assert found.value == "text/plain"
    assert found.params == (("charset", "UTF-8"), ("name", 'a;b "c"'), ("x", "y"))


def test_first_of_equal_names_counts():
    assert valued(b"multipart/mixed; boundary=a; boundary=b").boundary == b"a"


def test_rfc2231_continuations_in_any_order_up_to_a_gap():
    assert valued(b"x/y; a*1=2; a*0=1; a*3=4").params == (("a", "12"),)
    assert valued(b"x/y; a*0*=iso-8859-1'de'%FC; a*1=%FC; a*2*=%FC").params == (("a", "ü%FCü"),)


def test_extended_value_wins_over_the_plain_one():
    assert valued(b"attachment; filename=plain; filename*=UTF-8''%e2%82%ac").params == (("filename", "€"),)


def test_broken_pieces_harm_nobody():
    assert valued(b"x/y; a*=%zz'; *0=x; a*b=c; b*99999=1; c*0*=no-such''%41").params == (("a", "%zz'"), ("c", "A"))
    assert valued(b"").value == ""
    assert valued(b";;;=;a").params == ()
    assert valued(b'x/y; a="open').params == (("a", "open"),)


def test_boundary_with_8_bit_octets_is_kept_as_octets():
    assert valued(b'multipart/mixed; boundary="\xff\xfe "').boundary == b"\xff\xfe"
