import pytest

from mailstead.mime.address import ListedAddress, addresses_of, display_name


def plain(value):
    return [
        tuple(part.decode("latin-1") if part is not None else None for part in address)
        for address in addresses_of(value)
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b" , ,", []),
        (b"a@b", [(None, None, "a", "b")]),
        (b"<a@b>", [(None, None, "a", "b")]),
        (b'"Doe, John" <a@b>, c@d', [("Doe, John", None, "a", "b"), (None, None, "c", "d")]),
        (b'"a \\"b\\" c" <a@b>', [('a "b" c', None, "a", "b")]),
        (b'John "Joe" Doe <a@b>', [("John Joe Doe", None, "a", "b")]),
        (b'"john doe"@example.test', [(None, None, "john doe", "example.test")]),
        (b'<"a@b"@c>', [(None, None, "a@b", "c")]),
        (b"a@b (Name (nested) here)", [("Name (nested) here", None, "a", "b")]),
        (b"a@[192.0.2.1]", [(None, None, "a", "[192.0.2.1]")]),
        (b"x <@r1,@r2:a@b>", [("x", "@r1,@r2", "a", "b")]),
        (
            b"g: a@b, c@d; , e@f",
            [
                (None, None, "g", None),
                (None, None, "a", "b"),
                (None, None, "c", "d"),
                (None,) * 4,
                (None, None, "e", "f"),
            ],
        ),
        (b"undisclosed-recipients:;", [(None, None, "undisclosed-recipients", None), (None,) * 4]),
        (b"g: a@b", [(None, None, "g", None), (None, None, "a", "b"), (None,) * 4]),
        (b"just a name", [(None, None, "just a name", "")]),
        (b"Name <>", [("Name", None, "", "")]),
        (b"Name <a@b", [("Name", None, "a", "b")]),
        (b"Name a@b", [("Name", None, "a", "b")]),
        (b"a . b @ c . d", [(None, None, "a.b", "c.d")]),
        (b"a@b@c", [(None, None, "a@b", "c")]),
        (b"=?utf-8?Q?J=C3=B6rg?= <j@x>", [("=?utf-8?Q?J=C3=B6rg?=", None, "j", "x")]),
        (b'"unclosed <a@b>', [(None, None, "unclosed <a@b>", "")]),
        (b"a@b, (comment", [(None, None, "a", "b")]),
        (b"Jos\xe9 <a@b>", [("José", None, "a", "b")]),
    ],
)
def test_addresses(value, expected):
    assert plain(value) == expected


def test_display_name():
    assert display_name(ListedAddress(b"=?utf-8?Q?J=C3=B6rg?=", None, b"j", b"x")) == "Jörg"
    assert display_name(ListedAddress(None, None, b"j", b"x")) == "j@x"
    assert display_name(ListedAddress(None, None, b"group", None)) == "group"
    assert display_name(ListedAddress(None, None, None, None)) == ""
