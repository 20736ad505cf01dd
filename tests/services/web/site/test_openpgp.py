"""The pages of OpenPGP without a browser: what they say no to, and what they never send back."""

import pytest

from mailstead.model.envelope import Actor
from mailstead.usecases import openpgp_engine as engine
from services.web.site.test_rights import OWNER, STRANGER, asking

PASSPHRASE = "pp-never-in-a-log"


@pytest.fixture
async def site(tmp_path):
    async with asking(tmp_path) as made:
        yield made


async def make(site):
    fields = {"name": "Alice", "passphrase": PASSPHRASE, "again": PASSPHRASE}
    assert (await site.ask("POST", "/me/openpgp/make", OWNER, fields))[:2] == (303, "/me/openpgp?told=made")


async def test_a_key_is_made_locked_by_logging_out_and_unlocked_again(site):
    await make(site)
    assert "Unlocked in this session" in (await site.ask("GET", "/me/openpgp", OWNER))[2]
    assert (await site.ask("POST", "/log-out", OWNER, {}))[0] == 303
    site._tokens.clear()
    text = (await site.ask("GET", "/me/openpgp", OWNER))[2]
    assert "Locked." in text
    status, _, text = await site.ask("POST", "/me/openpgp/unlock", OWNER, {"passphrase": "wrong-passphrase"})
    assert status >= 400
    assert 'role="alert"' in text
    assert "wrong-passphrase" not in text
    fields = {"passphrase": PASSPHRASE, "then": "//evil.test"}
    assert (await site.ask("POST", "/me/openpgp/unlock", OWNER, fields))[:2] == (303, "/me/openpgp")  # row 99
    assert "Unlocked in this session" in (await site.ask("GET", "/me/openpgp", OWNER))[2]


@pytest.mark.parametrize(
    ("path", "fields", "words"),
    [
        ("make", {"passphrase": PASSPHRASE, "again": "x"}, "not the same"),
        ("make", {"passphrase": "short", "again": "short"}, "at least"),
        ("take", {"secret": "junk-never-sent-back", "passphrase": PASSPHRASE}, "no secret key"),
        ("others", {"public": "typed-and-kept"}, "no public key"),
        ("others", {"address": "no address"}, ""),
        ("change", {"verb": "remove", "fingerprint": "00"}, "cannot be undone"),
        ("change", {"verb": "verify", "fingerprint": "00"}, "no longer there"),
        ("change", {"verb": "what"}, "cannot be done"),
        ("secret", {"fingerprint": "00", "passphrase": PASSPHRASE}, "no longer there"),
    ],
)
async def test_what_cannot_be_is_told_on_the_page(site, path, fields, words):
    status, _, text = await site.ask("POST", f"/me/openpgp/{path}", OWNER, fields)
    assert status >= 400
    assert 'role="alert"' in text
    assert words in text
    assert PASSPHRASE not in text
    assert "never-sent-back" not in text
    for typed in ("typed-and-kept", "no address"):
        assert (typed in text) is (typed in fields.values())


async def test_a_secret_key_is_not_taken_among_those_of_others(site):
    secret = engine.armored_secret(engine.make_secret("Bob <bob@else.test>"))
    status, _, text = await site.ask("POST", "/me/openpgp/others", OWNER, {"public": secret})
    assert status >= 400
    assert "secret key" in text
    assert secret.splitlines()[5] not in text


async def test_attack_092_keys_are_their_owners_alone(site):
    await make(site)
    (key,) = await site.house.storage.accounts.of((await account(site)).account_id).openpgp.keys()
    assert (await site.ask("GET", f"/me/openpgp/{key.fingerprint}/public", OWNER))[0] == 200
    assert (await site.ask("GET", f"/me/openpgp/{key.fingerprint}/public", STRANGER))[0] in {403, 404}


async def account(site):
    from mailstead.model.address import Address

    found = await site.house.storage.directory.find(Address.parse(OWNER))
    return Actor(found.account_id, found.address)
