import pytest

from mailstead.model.address import Address
from mailstead.model.directory import Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, DomainExists, DomainInUse, NoSuchAddress, NoSuchDomain, NotAllowed


async def test_add_list_remove(domains, admin):
    assert await domains.add(admin, "Bücher.Example") == Domain("xn--bcher-kva.example")
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


async def test_catch_all(domains, admin, alice):
    await domains.set_catch_all(admin, "Example.test", alice.address)
    assert (await domains.list(admin))[0].catch_all == alice.address
    with pytest.raises(NoSuchAddress):
        await domains.set_catch_all(admin, "example.test", Address.parse("nobody@example.test"))
    with pytest.raises(NoSuchDomain):
        await domains.set_catch_all(admin, "other.test", alice.address)
    await domains.set_catch_all(admin, "example.test", None)
    assert (await domains.list(admin))[0].catch_all is None


async def test_attack_053_for_administrators_only(domains, alice):
    actor = Actor(alice.account_id, alice.address)
    for call in (
        domains.add(actor, "x.test"),
        domains.list(actor),
        domains.remove(actor, "example.test"),
        domains.set_catch_all(actor, "example.test", None),
    ):
        with pytest.raises(NotAllowed):
            await call
