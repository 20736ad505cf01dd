from datetime import UTC, datetime

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Alias, HostTarget, WebhookTarget
from mailstead.model.errors import BadImport
from mailstead.usecases.alias_tables import read_table, write_table

ALIASES = [
    Alias(Address("*", "a.test"), (Address("x", "b.test"),)),
    Alias(Address('/^(a,b)@"c$/', "a.test"), (Address("$1", "b.test"), HostTarget("h.test", 26))),
    Alias(
        Address("q r", "a.test"),
        (Address("s t", "b.test"), WebhookTarget("https://h.test/?a=1,2")),
        False,
        421,
        datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        'said "so", twice',
        is_masked=True,
    ),
    Alias(Address("nobody", "a.test"), (), False, 250),
]


def test_what_is_written_is_read_back_equal():
    text = write_table(ALIASES)
    assert read_table(text) == ALIASES
    assert read_table("\ufeff" + text.replace("\n", "\r\n")) == ALIASES
    assert read_table(write_table([])) == []


def test_only_names_and_targets_are_needed():
    assert read_table("Targets,Alias\nx@b.test y@b.test,info@a.test\n") == [
        Alias(Address("info", "a.test"), (Address("x", "b.test"), Address("y", "b.test")))
    ]
    assert read_table("alias,targets,expires_at\ni@a.test,x@b.test,2030-01-01\n")[0].expires_at == datetime(
        2030, 1, 1, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "alias is missing"),
        ("alias,target\n", "targets is missing"),
        ("alias,targets,colour\n", "no column 'colour'"),
        ("alias,targets\nx,y@b.test\n", "Line 2: .*name@domain"),
        ("alias,targets\na@a.test,x@b.test\nb@a.test,nonsense\n", "Line 3: .*no target"),
        ("alias,targets,enabled\na@a.test,x@b.test,maybe\n", "Line 2: enabled is yes or no"),
        ("alias,targets,disabled_code\na@a.test,x@b.test,many\n", "Line 2"),
        ("alias,targets,expires_at\na@a.test,x@b.test,soon\n", "Line 2"),
        ("alias,targets\n/(a/q@a.test,x@b.test\n", "Line 2"),
        ("alias,targets\n" + "x" * 200_000, "field larger"),
    ],
)
def test_mistakes_are_told_with_their_line(text, said):
    with pytest.raises(BadImport, match=said):
        read_table(text)
