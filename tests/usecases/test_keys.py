import base64
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from mailstead.model.directory import KeyState
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AddressTaken,
    BadAddress,
    BadImport,
    LimitReached,
    NoSuchDomain,
    NoSuchKey,
    NotAllowed,
)
from mailstead.usecases import keys as module

DOMAIN = "example.test"


@pytest.fixture
def admin(domains, admin):
    """With a domain that has no keys yet, as one from before there were any."""
    return admin


def states(found):
    return {one.key.selector: one.key.state.value for one in found}


async def test_an_old_domain_gets_its_first_pair_on_demand(keys, admin):
    assert await keys.signing_keys(DOMAIN) == ()
    made = await keys.create(admin, DOMAIN)
    assert states(made) == {"m20260101-rsa": "active", "m20260101-ed25519": "active"}
    assert await keys.signing_keys(DOMAIN) == tuple(one.key for one in reversed(made))
    with pytest.raises(AddressTaken, match="rotate"):
        await keys.create(admin, DOMAIN)


async def test_what_is_published_belongs_to_the_private_key(keys, admin):
    for one in await keys.create(admin, DOMAIN):
        assert one.name == f"{one.key.selector}._domainkey.{DOMAIN}"
        tags = dict(tag.strip().split("=", 1) for tag in one.record.split(";"))
        private_key = load_der_private_key(one.key.private_key, None)
        octets = base64.b64decode(tags["p"])
        if tags["k"] == "ed25519":
            assert isinstance(private_key, ed25519.Ed25519PrivateKey)
            assert octets == private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        else:
            assert private_key.key_size == 2048
            assert load_der_public_key(octets) == private_key.public_key()
        assert "private_key" not in repr(one)


async def test_rotation_overlaps(keys, admin, clock):
    await keys.create(admin, DOMAIN)
    clock.passed_s += timedelta(days=30).total_seconds()
    before = await keys.signing_keys(DOMAIN)
    with pytest.raises(NoSuchKey, match="rotate"):
        await keys.activate(admin, DOMAIN)
    rotated = await keys.rotate(admin, DOMAIN)
    assert states(rotated) == {"m20260131-rsa": "pending", "m20260131-ed25519": "pending"}
    assert await keys.signing_keys(DOMAIN) == before
    with pytest.raises(LimitReached, match="wait"):
        await keys.rotate(admin, DOMAIN)
    activated = await keys.activate(admin, DOMAIN)
    assert states(activated) == {
        "m20260101-ed25519": "retired",
        "m20260101-rsa": "retired",
        "m20260131-ed25519": "active",
        "m20260131-rsa": "active",
    }
    assert {key.selector for key in await keys.signing_keys(DOMAIN)} == set(states(rotated))
    assert len(await keys.list(admin, DOMAIN)) == 4  # the records of the old ones are still shown
    await keys.remove(admin, DOMAIN, "M20260101-RSA")
    with pytest.raises(NotAllowed, match="still signs"):
        await keys.remove(admin, DOMAIN, "m20260131-rsa")
    await keys.retire(admin, DOMAIN, "m20260131-rsa")
    assert [key.selector for key in await keys.signing_keys(DOMAIN)] == ["m20260131-ed25519"]
    await keys.remove(admin, DOMAIN, "m20260131-rsa")
    with pytest.raises(NoSuchKey):
        await keys.remove(admin, DOMAIN, "m20260131-rsa")


async def test_several_rotations_on_one_day_have_other_selectors(keys, admin, monkeypatch):
    await keys.create(admin, DOMAIN)
    names = []
    for _ in range(2):
        names += sorted(states(await keys.rotate(admin, DOMAIN)))
        await keys.activate(admin, DOMAIN)
    assert names == ["m20260101a-ed25519", "m20260101a-rsa", "m20260101b-ed25519", "m20260101b-rsa"]
    monkeypatch.setattr(module, "KEYS_MAX", 6)
    with pytest.raises(LimitReached, match="retired"):
        await keys.rotate(admin, DOMAIN)


async def test_keys_from_elsewhere(keys, admin):
    private_key = rsa.generate_private_key(65537, 2048)
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    imported = await keys.import_key(admin, DOMAIN, "Old", pem)
    assert (imported.key.selector, imported.key.algorithm, imported.key.state) == (
        "old",
        "rsa-sha256",
        KeyState.ACTIVE,
    )
    assert imported.name == "old._domainkey.example.test"
    with pytest.raises(AddressTaken):
        await keys.import_key(admin, DOMAIN, "old", pem)
    with pytest.raises(BadImport):
        await keys.import_key(admin, DOMAIN, "new", b"nonsense")
    for selector in ("a b", "", "x" * 64):
        with pytest.raises(BadAddress):
            await keys.import_key(admin, DOMAIN, selector, pem)


async def test_an_answer_is_remembered_and_forgotten_at_a_change(keys, admin, storage):
    await keys.create(admin, DOMAIN)
    first = await keys.signing_keys(DOMAIN)
    assert await keys.signing_keys(DOMAIN) is first
    await storage.directory.set_dkim_states(DOMAIN, {first[0].selector: KeyState.RETIRED})
    assert await keys.signing_keys(DOMAIN) == first[1:]


async def test_attack_053_keys_are_for_administrators_only(keys, admin, alice):
    actor = Actor(alice.account_id, alice.address)
    for call in (
        keys.list(actor, DOMAIN),
        keys.create(actor, DOMAIN),
        keys.rotate(actor, DOMAIN),
        keys.activate(actor, DOMAIN),
        keys.retire(actor, DOMAIN, "x"),
        keys.remove(actor, DOMAIN, "x"),
        keys.import_key(actor, DOMAIN, "x", b""),
    ):
        with pytest.raises(NoSuchDomain):
            await call
    for call in (keys.list(admin, "other.test"), keys.create(admin, "other.test"), keys.rotate(admin, "other.test")):
        with pytest.raises(NoSuchDomain):
            await call
