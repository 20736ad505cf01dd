from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Alias, HostTarget, WebhookTarget
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AddressDisabled,
    AddressPaused,
    AliasLoop,
    Deferred,
    DnsUnavailable,
    NoSuchAddress,
    NotOurDomain,
)
from mailstead.model.people import Group
from mailstead.policy.patterns import alias_address
from mailstead.ports.resolver import Answer
from mailstead.usecases import addresses as module
from mailstead.usecases.addresses import Addresses, Forward, Resolution


def address(text):
    return alias_address(text if "@" in text else f"{text}@example.test")


def out(via, to):
    """A way out of the house to an address."""
    return Forward(address(via), address(to), address(to))


@pytest.fixture
def alias(storage):
    """Put an alias into the store without the checks of `Aliases`."""

    async def put(name, *targets):
        await storage.directory.add_alias(Alias(address(name), tuple(address(target) for target in targets)))

    return put


async def test_exact_detail_and_unknown(addresses, alice):
    for text in ("alice", "ALICE@example.test", "alice+lists", "alice+a+b"):
        assert await addresses.resolve(address(text)) == Resolution((alice,))
    for text in ("nobody", "nobody+alice", "+alice", "ali", "alice%"):
        with pytest.raises(NoSuchAddress):
            await addresses.resolve(address(text))
    with pytest.raises(NotOurDomain):
        await addresses.resolve(address("alice@elsewhere.test"))


async def test_an_exact_address_goes_before_its_detail(addresses, alice, bob, alias):
    await alias("alice+work", "bob")
    assert await addresses.resolve(address("alice+work")) == Resolution((bob,))


async def test_aliases_are_followed_and_everybody_is_named_once(addresses, alice, bob, alias):
    await alias("team", "alice", "bob", "someone@elsewhere.test")
    await alias("all", "team", "alice+all", "team")
    expected = Resolution((alice, bob), (out("team", "someone@elsewhere.test"),))
    found = await addresses.resolve(address("all"))
    assert set(found.accounts) == set(expected.accounts)
    assert found.forwards == expected.forwards
    assert await addresses.resolve(address("team+x")) == expected


async def test_targets_that_are_gone_are_left_out(addresses, alice, alias):
    await alias("team", "alice", "gone")
    await alias("empty", "gone")
    assert await addresses.resolve(address("team")) == Resolution((alice,))
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(address("empty"))


async def test_loops_and_limits(addresses, alice, alias, monkeypatch):
    await alias("a", "b")
    await alias("b", "a")
    await alias("c", "c+x", "alice")
    with pytest.raises(AliasLoop):
        await addresses.resolve(address("a"))
    assert await addresses.resolve(address("c")) == Resolution((alice,))
    for number in range(15):
        await alias(f"deep{number}", f"deep{number + 1}" if number < 14 else "alice")
    with pytest.raises(AliasLoop, match="too many aliases"):
        await addresses.resolve(address("deep0"))
    assert await addresses.resolve(address("deep8")) == Resolution((alice,))
    monkeypatch.setattr(module, "RECIPIENTS_MAX", 20)
    await alias("wide", *(f"x{number}" for number in range(21)))
    with pytest.raises(AliasLoop, match="too many others"):
        await addresses.resolve(address("wide"))


async def test_catch_all(addresses, aliases, admin, alice, bob):
    await aliases.create(admin, address("*"), [address("alice")])
    assert await addresses.resolve(address("whoever")) == Resolution((alice,))
    assert await addresses.resolve(address("bob")) == Resolution((bob,))
    await aliases.set_catch_all(admin, "example.test", [address("x@elsewhere.test")])
    assert await addresses.resolve(address("whoever")) == Resolution((), (out("*", "x@elsewhere.test"),))


async def test_catch_all_that_is_gone_does_not_loop(addresses, alias, accounts, admin, alice):
    await alias("*", "alice")
    await accounts.remove(admin, alice.address)
    with pytest.raises(AliasLoop):
        await addresses.resolve(address("whoever"))


async def test_precedence_exact_before_pattern_before_catch_all(addresses, alias):
    await alias("*", "all@x.test")
    await alias("/^sales-(.+)$/", "$1@x.test")
    await alias("/sales/", "second@x.test")
    await alias("sales-paris", "paris@x.test")
    for text, via, to in (
        ("Sales-Paris", "sales-paris", "paris@x.test"),
        ("sales-paris+tag", "sales-paris", "paris@x.test"),
        ("Sales-Rome", "/^sales-(.+)$/", "Rome@x.test"),
        ("presales", "/sales/", "second@x.test"),
        ("sales+tag", "/sales/", "second@x.test"),
        ("other", "*", "all@x.test"),
    ):
        assert await addresses.resolve(address(text)) == Resolution((), (out(via, to),)), text


async def test_a_disabled_alias_hides_what_is_behind_it_and_answers_its_code(addresses, alias, storage, alice, clock):
    await alias("*", "alice")
    over = clock.now() - timedelta(seconds=1)
    for number, attributes in enumerate(({"is_enabled": False}, {"expires_at": over})):
        for code, error in ((421, AddressPaused), (550, AddressDisabled)):
            one = Alias(address(f"off{number}-{code}"), (alice.address,), disabled_code=code, **attributes)
            await storage.directory.add_alias(one)
            for text in (str(one.address), f"off{number}-{code}+tag@example.test"):
                with pytest.raises(error) as refused:
                    await addresses.resolve(address(text))
            assert "alice" not in refused.value.public_text
        await storage.directory.add_alias(
            Alias(address(f"off{number}"), (alice.address,), disabled_code=250, **attributes)
        )
        assert await addresses.resolve(address(f"off{number}")) == Resolution(is_silent=True)
    await storage.directory.add_alias(
        Alias(address("soon"), (alice.address,), expires_at=clock.now() + timedelta(seconds=3))
    )
    assert await addresses.resolve(address("soon")) == Resolution((alice,))
    clock.passed_s += 4
    with pytest.raises(AddressDisabled):
        await addresses.resolve(address("soon"))
    await alias("group", "off0", "alice")
    assert await addresses.resolve(address("group")) == Resolution((alice,))


async def test_targets_of_every_kind(addresses, storage, alice):
    hook, host = WebhookTarget("https://hook.test/"), HostTarget("mail.test", 2525)
    targets = (alice.address, address("x@elsewhere.test"), address("*@mirror.test"), host, hook)
    for name in ("info", "/^p-/", "*"):
        await storage.directory.add_alias(Alias(address(name), targets))
    for text, via, kept in (("Info+Tag", "info", "info"), ("p-1", "/^p-/", "p-1"), ("who+tag", "*", "who+tag")):
        asked = address(text)
        assert await addresses.resolve(asked) == Resolution(
            (alice,),
            (
                Forward(address(via), host, asked),
                Forward(address(via), hook, asked),
                out(via, "x@elsewhere.test"),
                out(via, f"{kept}@mirror.test"),
            ),
        ), text


async def test_the_detail_is_not_carried_to_addresses_elsewhere(addresses, alias):
    await alias("info", "x@elsewhere.test")
    assert await addresses.resolve(address("info+tag")) == Resolution((), (out("info", "x@elsewhere.test"),))


async def test_a_domain_can_stand_for_another_one(addresses, domains, aliases, admin, alice):
    await domains.add(admin, "old.test")
    await aliases.create(admin, address("*@old.test"), [address("*@example.test")])
    assert await addresses.resolve(address("alice+x@old.test")) == Resolution((alice,))
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(address("nobody@old.test"))


@pytest.mark.parametrize("text", ["victim%evil.test", "evil.test!victim", "victim@evil.test", "a b", '"'])
async def test_attack_012_a_stranger_cannot_choose_a_route_through_a_pattern(addresses, alias, storage, alice, text):
    await alias("/^(.*)$/", "$1@elsewhere.test", "*@elsewhere.test")
    asked = Address(text, "example.test")
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(asked)
    await storage.directory.replace_alias(Alias(address("/^(.*)$/"), (HostTarget("mail.test"), alice.address)))
    assert await addresses.resolve(asked) == Resolution((alice,))
    assert await addresses.resolve(address("plain")) == Resolution(
        (alice,), (Forward(address("/^(.*)$/"), HostTarget("mail.test"), address("plain")),)
    )


async def test_accounts_forward_with_and_without_a_copy(addresses, accounts, admin, alice, bob):
    async def forward(account, *texts, keeps_copy):
        return await accounts.set_forwarding(
            admin, account.address, [address(one) for one in texts], keeps_copy=keeps_copy
        )

    copying = await forward(alice, "x@elsewhere.test", keeps_copy=True)
    assert await addresses.resolve(alice.address) == Resolution((copying,), (out("alice", "x@elsewhere.test"),))
    await forward(alice, "x@elsewhere.test", "bob", keeps_copy=False)
    assert await addresses.resolve(alice.address) == Resolution((bob,), (out("alice", "x@elsewhere.test"),))
    # what comes back to an account that keeps nothing stays there
    handing_on = await forward(alice, "bob", keeps_copy=False)
    await forward(bob, "alice+back", keeps_copy=False)
    assert await addresses.resolve(alice.address) == Resolution((handing_on,))
    itself = await forward(alice, "alice", keeps_copy=False)
    assert await addresses.resolve(alice.address) == Resolution((itself,))


async def test_two_ways_to_one_account_are_no_loop(addresses, alias, accounts, admin, alice):
    await accounts.set_forwarding(admin, alice.address, [address("x@elsewhere.test")], keeps_copy=False)
    await alias("all", "alice", "team")
    await alias("team", "alice")
    assert await addresses.resolve(address("all")) == Resolution((), (out("alice", "x@elsewhere.test"),))


async def test_a_pattern_may_lead_to_itself_with_another_name(addresses, alias, alice):
    await alias("/^(.+)-x$/", "$1")
    assert await addresses.resolve(address("alice-x-x-x")) == Resolution((alice,))
    await alias("/^(.+)$/", "$1a")
    with pytest.raises(AliasLoop):
        await addresses.resolve(address("b"))


async def test_subdomains(addresses, domains, admin, alice):
    with pytest.raises(NotOurDomain):
        await addresses.resolve(address("alice@a.b.example.test"))
    await domains.set_terms(admin, "example.test", {"serves_subdomains": "yes"})
    assert await addresses.resolve(address("alice+x@a.b.example.test")) == Resolution((alice,))
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(address("nobody@a.example.test"))
    for text in ("alice@1.2.3.4.5.6.example.test", "alice@xexample.test", "alice@test", "alice@[192.0.2.1]"):
        with pytest.raises(NotOurDomain):
            await addresses.resolve(address(text))
    await domains.add(admin, "a.example.test")  # a domain of its own has its own terms
    for text in ("alice@a.example.test", "alice@b.a.example.test"):
        with pytest.raises((NoSuchAddress, NotOurDomain)):
            await addresses.resolve(address(text))


async def test_a_domain_that_requires_tls_says_so(addresses, domains, admin, alice):
    await domains.set_terms(admin, "example.test", {"requires_tls_inbound": "yes"})
    assert await addresses.resolve(alice.address) == Resolution((alice,), requires_tls=True)


class Zone:
    """TXT records of one name; an exception is raised instead."""

    def __init__(self, *records):
        self.records = [record.encode() if isinstance(record, str) else record for record in records]
        self.asked = []

    async def txt(self, name):
        self.asked.append(name)
        for record in self.records:
            if isinstance(record, Exception):
                raise record
        return Answer(tuple(self.records))


@pytest.fixture
async def dns(storage, bus, clock, domains, admin):
    """Addresses with rules in the DNS."""
    await domains.set_terms(admin, "example.test", {"uses_dns_rules": "yes", "verification": "abc"})
    zone = Zone("forward-email-site-verification=abc")
    addresses = Addresses(storage, bus, clock, resolver=zone)
    addresses.zone = zone
    yield addresses
    addresses.close()


async def test_rules_in_the_dns(dns, alias, alice):
    await alias("/^dir-/", "dir@x.test")
    dns.zone.records += [
        b"forward-email=alice:stranger@x.test,info:a@x.test,/^(dir|dns)-/:$1@x.test,!!off:a@x.test",
        b"forward-email=all@x.test,here:alice@example.test",
    ]
    for text, via, to in (
        ("info+tag", "info", "a@x.test"),
        ("dir-1", "/^dir-/", "dir@x.test"),
        ("dns-1", "/^(dir|dns)-/", "dns@x.test"),
        ("other", "*", "all@x.test"),
    ):
        assert await dns.resolve(address(text)) == Resolution((), (out(via, to),)), text
    assert await dns.resolve(address("here")) == Resolution((alice,))
    with pytest.raises(AddressPaused):
        await dns.resolve(address("off"))
    dns.zone.asked.clear()
    assert await dns.resolve(alice.address) == Resolution((alice,))
    assert dns.zone.asked == []  # what the directory has does not wait for the DNS


async def test_trouble_with_the_dns_is_never_a_refusal_for_good(dns, addresses, alice):
    good, bad = b"forward-email-site-verification=abc", b"forward-email=broken,fine:a@x.test"
    for records, error in (
        ([DnsUnavailable()], DnsUnavailable),
        ([b"forward-email=nobody:a@x.test"], Deferred),  # no verification
        ([good, good, b"forward-email=nobody:a@x.test"], Deferred),  # not exactly one
        ([b"forward-email-site-verification=other"], Deferred),
        ([good, bad], Deferred),
        ([good, b"forward-email=" + b"0123456789abcdef" * 4], Deferred),
    ):
        dns.zone.records = records
        with pytest.raises(error) as refused:
            await dns.resolve(address("nobody"))
        assert refused.value.is_temporary
        assert await dns.resolve(alice.address) == Resolution((alice,))
    dns.zone.records = [good, bad]
    assert (await dns.resolve(address("fine"))).forwards == (out("fine", "a@x.test"),)
    with pytest.raises(NoSuchAddress):
        dns.zone.records = [good]
        await dns.resolve(address("nobody"))
    with pytest.raises(DnsUnavailable):  # there is no resolver
        await addresses.resolve(address("nobody"))


async def test_explanations(dns, alias, storage, alice):
    await alias("info", "alice", "x@elsewhere.test", "gone")
    await storage.directory.add_alias(Alias(address("off"), (alice.address,), is_enabled=False))
    found = await dns.explain(address("info+tag"))
    assert found.resolution == await dns.resolve(address("info+tag"))
    text = "\n".join(found.steps)
    for words in (
        "alias info@example.test",
        "account alice@example.test",
        "to x@elsewhere.test",
        "gone@example.test: nobody",
    ):
        assert words in text
    off = await dns.explain(address("off"))
    assert isinstance(off.refusal, AddressDisabled)
    assert "switched off: answers 550" in "\n".join(off.steps)
    dns.zone.records.append(b"forward-email=broken")
    broken = await dns.explain(address("nobody"))
    assert isinstance(broken.refusal, Deferred)
    assert "'broken' is no target" in "\n".join(broken.steps)
    assert isinstance((await dns.explain(address("a@elsewhere.test"))).refusal, NotOurDomain)


async def test_no_error_names_a_target(addresses, alias):
    await alias("a", "secret-b")
    await alias("secret-b", "a")
    await alias("c", "secret-gone")
    for text in ("a", "c"):
        with pytest.raises((AliasLoop, NoSuchAddress)) as refused:
            await addresses.resolve(address(text))
        assert "secret" not in f"{refused.value.public_text} {refused.value.log_fields}"


async def test_postmaster_is_always_somebody(storage, bus, clock, domains, admin, addresses, alice, bob, accounts):
    assert await addresses.resolve(address("Postmaster")) == Resolution((alice,))
    named = Addresses(storage, bus, clock, postmaster=bob.address)
    assert await named.resolve(address("postmaster")) == Resolution((bob,))
    await storage.directory.add_alias(Alias(address("*"), (bob.address,)))
    assert await addresses.resolve(address("postmaster")) == Resolution((bob,))
    named.close()


async def test_resolve_cached(addresses, aliases, admin, alice, bob, clock):
    assert addresses.resolve_cached(address("alice")) is None
    await addresses.resolve(address("alice"))
    assert addresses.resolve_cached(address("ALICE")) == Resolution((alice,))
    clock.passed_s += 3
    assert addresses.resolve_cached(address("alice")) is None


async def test_a_change_is_in_force_at_once(addresses, aliases, admin, alice, bob):
    await aliases.create(admin, address("info"), [alice.address])
    assert await addresses.resolve(address("info")) == Resolution((alice,))
    await aliases.remove(admin, address("info"))
    await aliases.create(admin, address("info"), [bob.address])
    assert await addresses.resolve(address("info")) == Resolution((bob,))
    await aliases.remove(admin, address("info"))
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(address("info"))


async def test_memory_is_bounded(addresses, alice, monkeypatch):
    monkeypatch.setattr(module, "REMEMBERED_MAX", 5)
    for number in range(20):
        await addresses.resolve(address(f"alice+{number}"))
    assert len(addresses._remembered) == 5


async def test_attack_015_who_may_send_as_what(addresses, alias, storage, clock, alice, bob, admin):
    actor = Actor(alice.account_id, alice.address)
    await alias("info", "alice")
    await alias("team", "alice", "bob")
    await alias("alice+bob", "bob")
    await alias("*", "alice")
    await alias("/^x/", "alice")
    await storage.directory.add_alias(Alias(address("off"), (alice.address,), is_enabled=False))
    await storage.directory.add_alias(Alias(address("over"), (alice.address,), expires_at=clock.now()))
    for text, may in {
        "alice": True,
        "Alice+anything": True,
        "info": True,
        "info+x": True,
        "team": False,
        "bob": False,
        "alice+bob": False,
        "nobody": False,
        "postmaster": False,
        "*": False,
        "x": False,
        "/^x/": False,
        "off": False,
        "off+x": False,
        "over": False,
        "alice@elsewhere.test": False,
    }.items():
        assert await addresses.may_send_as(actor, address(text)) is may, text
    assert not await addresses.may_send_as(admin, alice.address)


async def test_attack_015_users_send_as_any_address_of_domains_they_administer(addresses, domains, admin):
    await domains.add(admin, "other.test")
    user = Actor(None, None, user_id="0" * 24, groups={"example.test": Group.ADMIN, "other.test": Group.USER})
    assert await addresses.may_send_as(user, address("nobody"))
    assert not await addresses.may_send_as(user, address("nobody@other.test"))
    assert not await addresses.may_send_as(user, address("nobody@elsewhere.test"))
    server = Actor(None, None, is_admin=True, user_id="1" * 24)
    assert await addresses.may_send_as(server, address("nobody@other.test"))
    assert not await addresses.may_send_as(server, address("nobody@elsewhere.test"))


@pytest.mark.parametrize("text", ["%", "_lice", "a*", "' OR 1=1 --", "{$ne}", "alice' --"])
async def test_attack_075_wildcards_and_operators_find_nobody(addresses, alice, text):
    with pytest.raises(NoSuchAddress):
        await addresses.resolve(Address(text, "example.test"))


async def test_attack_020_refusals_take_one_path(addresses, alice):
    """Unknown local parts of any shape: the same error, the same text, from the same memory the second time."""
    texts = []
    for text in ("nobody", "nobody+x", "alicf"):
        for _ in range(2):
            with pytest.raises(NoSuchAddress) as refused:
                await addresses.resolve(address(text))
            texts.append(refused.value.public_text)
    assert len(set(texts)) == 1
