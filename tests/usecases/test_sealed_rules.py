import pytest

from mailstead.model.address import Address
from mailstead.model.errors import PolicyRefused
from mailstead.policy.dns_rules import read_rules
from mailstead.usecases.sealed_rules import SealedRules

RULES = SealedRules(b"k" * 32)
OTHERS = SealedRules(b"o" * 32)


@pytest.mark.parametrize("text", ["a@b.test", "sales:a@b.test, info:c@d.test", "forward-email=sales:a@b.test", "!spam"])
def test_what_is_sealed_is_read_as_what_it_was(text):
    record = RULES.seal(text)
    assert record.startswith("forward-email=")
    assert "b.test" not in record
    plain = read_rules("example.test", (f"forward-email={text.removeprefix('forward-email=')}".encode(),), 10)
    assert read_rules("example.test", (record.encode(),), 10, RULES.opened) == plain
    # Whoever writes the prefix once more is understood.
    assert read_rules("example.test", (b"forward-email=" + record.encode(),), 10, RULES.opened) == plain
    assert plain.problems == ()


def test_the_same_rules_look_different_each_time():
    assert RULES.seal("a@b.test") != RULES.seal("a@b.test")


def test_attack_063_what_others_have_encrypted_or_somebody_has_changed_is_not_read():
    record = RULES.seal("a@b.test").removeprefix("forward-email=")
    for value in (
        OTHERS.seal("a@b.test")[14:],
        record[:-2],
        record[:30] + "AAAA" + record[34:],
        "0123456789abcdef" * 4,
    ):
        assert RULES.opened(value) is None
        (problem,) = read_rules("example.test", (f"forward-email={value}".encode(),), 10, RULES.opened).problems
        assert "not with a key of ours" in problem
    assert RULES.opened("") is None
    assert RULES.opened("é") is None


@pytest.mark.parametrize("text", ["", "forward-email=", "sales:not a target", "a@b.test," * 1000, "x" * 5000])
def test_what_would_be_no_rules_is_refused(text):
    with pytest.raises(PolicyRefused):
        RULES.seal(text)


async def test_mail_goes_where_an_encrypted_record_says(tmp_path):
    from mailstead.wiring.house import ADMINISTRATOR
    from services.api.asking import asking

    async with asking(tmp_path, people=()) as api:
        answer = await api.ask("POST", "/v1/encrypt", {"input": "sales:a@b.test"}, by=None)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        await api.house.domains.set_terms(ADMINISTRATOR, "example.test", {"uses_dns_rules": "yes"})

        class Answered:
            records = (answer.body,)

        async def txt(_name):
            return Answered

        api.house.resolver.txt = txt
        explained = await api.house.addresses.explain(Address.parse("sales@example.test"))
        assert explained.steps[0].endswith("in the DNS → a@b.test"), explained
