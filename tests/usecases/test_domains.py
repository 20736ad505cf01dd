import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    BadAddress,
    BadSettings,
    DomainExists,
    DomainInUse,
    NoSuchDomain,
    NotAllowed,
)
from mailstead.model.secret import Secret
from mailstead.usecases.domains import Domains


async def test_add_list_remove(domains, admin):
    assert (await domains.add(admin, "Bücher.Example")).name == "xn--bcher-kva.example"
    assert [domain.name for domain in await domains.list(admin)] == ["example.test", "xn--bcher-kva.example"]
    with pytest.raises(DomainExists):
        await domains.add(admin, "EXAMPLE.test")
    await domains.remove(admin, "bücher.example")
    with pytest.raises(NoSuchDomain):
        await domains.remove(admin, "bücher.example")
    for name in ("", "a b", "[192.0.2.1]", "x..y"):
        with pytest.raises(BadAddress):
            await domains.add(admin, name)


async def test_a_domain_in_use_stays(domains, admin, alice):
    with pytest.raises(DomainInUse):
        await domains.remove(admin, "example.test")


async def test_terms(domains, admin):
    changed = await domains.set_terms(admin, "Example.test", {"smarthost": "r.test:587"}, Secret("pw-never-in-a-log"))
    assert await domains.get(admin, "example.test") == changed
    assert (changed.terms.smarthost, changed.terms.smarthost_password) == ("r.test:587", "pw-never-in-a-log")
    assert "never" not in repr(changed)
    with pytest.raises(BadSettings, match="keeps_trace: yes or no"):
        await domains.set_terms(admin, "example.test", {"keeps_trace": "x"})
    for call in (domains.get(admin, "other.test"), domains.set_terms(admin, "other.test", {})):
        with pytest.raises(NoSuchDomain):
            await call


async def test_each_domain_has_a_webhook_key_of_its_own(domains, admin):
    keys = [(await domains.add(admin, f"d{number}.test")).terms.webhook_key for number in range(3)]
    assert len(set(keys)) == 3
    assert all(len(key) == 64 for key in keys)


async def test_a_new_domain_has_keys_to_sign_with(storage, keys, admin):
    await Domains(storage, keys).add(admin, "New.test")
    assert [key.algorithm for key in await keys.signing_keys("new.test")] == ["ed25519-sha256", "rsa-sha256"]


async def test_attack_053_for_administrators_only(domains, alice):
    actor = Actor(alice.account_id, alice.address)
    for call in (
        domains.add(actor, "x.test"),
        domains.list(actor),
        domains.remove(actor, "example.test"),
        domains.get(actor, "example.test"),
        domains.set_terms(actor, "example.test", {}),
    ):
        with pytest.raises((NotAllowed, NoSuchDomain)):  # which of them: test_rights
            await call


async def test_a_profile_is_a_set_of_terms(domains, admin):
    terms = (await domains.add(admin, "chat.test", "chatmail")).terms
    assert (terms.is_chatmail, terms.opens_accounts, terms.mails_kept_days) == (True, True, 20)
    assert (terms.account_quota_octets, terms.message_octets_max) == (500 * 1024**2, 31457280)
    with pytest.raises(BadSettings, match="mail, chatmail"):
        await domains.add(admin, "x.test", "chat")


async def test_a_chatmail_domain_may_be_an_ipv4_address(domains, admin):
    assert (await domains.add(admin, "[192.0.2.1]", "chatmail")).name == "[192.0.2.1]"
    for name, profile in [("[192.0.2.2]", "mail"), ("[IPv6:2001:db8::1]", "chatmail"), ("[1.2.3]", "chatmail")]:
        with pytest.raises(BadAddress, match=r"\[192.0.2.1\]"):
            await domains.add(admin, name, profile)
