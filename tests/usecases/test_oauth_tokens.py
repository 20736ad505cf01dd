"""Access tokens of a provider: signatures, keys, what they say, and whose they are (attack rows 61, 63, 64, 94)."""

import asyncio
import base64
import json
import warnings
from dataclasses import replace
from hmac import digest

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import OKPKey, RSAKey

from mailstead.model.address import Address
from mailstead.model.directory import DomainTerms
from mailstead.model.envelope import Peer
from mailstead.model.errors import (
    AuthenticationFailed,
    BadSettings,
    Conflict,
    NoSuchUser,
    NotAllowed,
    PolicyRefused,
    TlsTooOld,
    TooManyFailures,
    TryAgainLater,
)
from mailstead.model.people import owner_of
from mailstead.model.secret import Secret
from mailstead.usecases.audit import Audit
from mailstead.usecases.oauth_tokens import OauthTokens
from mailstead.usecases.oidc_links import OidcLinks
from mailstead.usecases.oidc_provider import ASKED_KEPT_S, KEPT_S, LOOK_AGAIN_S, RETRY_S, OidcProvider, ProviderTerms
from usecases.provider import AUDIENCE, CLIENT_ID, CLIENT_SECRET, KEYS, public, run_provider, web_client

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture
async def provider(clock):
    async with run_provider(clock) as provider:
        yield provider


@pytest.fixture
def terms(provider):
    return ProviderTerms(
        provider.issuer, CLIENT_ID, Secret(CLIENT_SECRET), audiences=(AUDIENCE,), allows_clear_text=True
    )


class House:
    def __init__(self, storage, clock, accounts, audit, terms, **link_terms):
        self.provider = OidcProvider(terms, web_client(), clock)
        self.links = OidcLinks(storage, clock, audit, terms.issuer, **link_terms)
        self.tokens = OauthTokens(storage, clock, accounts, self.provider, self.links)


@pytest.fixture
async def audit(storage, clock):
    audit = Audit(storage, clock)
    yield audit
    await audit.close()


@pytest.fixture
def make_house(storage, clock, accounts, audit, terms):
    def make(changed=None, **link_terms):
        return House(storage, clock, accounts, audit, changed or terms, **link_terms)

    return make


@pytest.fixture
async def house(make_house, admin, alice):
    house = make_house()
    await house.links.link(admin, alice.address, "alice-1")
    return house


@pytest.fixture
async def bob(accounts, admin):
    return await accounts.create(admin, Address.parse(BOB), Secret("pw-never-in-a-log-bob"))


@pytest.fixture
def log_in(house, peer):
    async def log_in(token, username=ALICE, peer=peer, house=house):
        return await house.tokens.log_in(username, Secret(token), peer, "imap")

    return log_in


@pytest.mark.parametrize("algorithm", KEYS)
@pytest.mark.parametrize("username", [ALICE, "", "Alice@Example.Test"])
async def test_a_token_lets_its_person_in(log_in, provider, alice, algorithm, username):
    actor = await log_in(provider.access_token(algorithm=algorithm), username)
    assert (actor.account_id, actor.address) == (alice.account_id, alice.address)
    assert not actor.is_admin
    assert actor.user_id is None


async def test_the_provider_is_asked_once(log_in, provider):
    for _ in range(3):
        await log_in(provider.access_token())
    assert provider.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_attack_063_another_persons_token_is_not_good_for_ones_name(log_in, provider, bob):
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token(), BOB)
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token(), "no address")


async def test_attack_094_who_is_not_linked_does_not_come_in_by_an_address(log_in, provider):
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token("mallory-1", email=ALICE, email_verified=True))
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token(ALICE))


def unsigned(header, claims):
    parts = (json.dumps(header).encode(), json.dumps(claims).encode())
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def signed_with_a_secret(claims, secret):
    text = unsigned({"alg": "HS256", "kid": "rsa-1", "typ": "at+jwt"}, claims).removesuffix(".")
    mac = digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def signed_by_hand(header, claims):
    text = unsigned(header, claims).removesuffix(".")
    signature = KEYS["RS256"].private_key.sign(text.encode(), PKCS1v15(), SHA256())
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_what_is_signed_by_hand_is_good(log_in, provider):
    await log_in(signed_by_hand({"alg": "RS256", "kid": "rsa-1", "typ": "at+jwt"}, provider.access_claims()))


BAD_SIGNATURES = {
    "none": lambda provider: unsigned({"alg": "none", "kid": "rsa-1"}, provider.access_claims()),
    "None": lambda provider: unsigned({"alg": "None"}, provider.access_claims()),
    "no signature": lambda provider: provider.access_token().rpartition(".")[0] + ".",
    "no algorithm": lambda provider: unsigned({"kid": "rsa-1"}, provider.access_claims()),
    "an algorithm that is a list": lambda provider: unsigned({"alg": ["RS256"]}, provider.access_claims()),
    "the public key as a secret": lambda provider: signed_with_a_secret(
        provider.access_claims(), KEYS["RS256"].as_pem(private=False)
    ),
    "another algorithm of the same key": lambda provider: provider.signed(
        provider.access_claims(), algorithm="RS512", key=KEYS["RS256"]
    ),
    "another key of the same name": lambda provider: provider.signed(
        provider.access_claims(), key=RSAKey.generate_key(2048), kid="rsa-1"
    ),
    "a key that the token brings": lambda provider: provider.signed(
        provider.access_claims(), key=MALLORY, kid=None, jwk=public(MALLORY)
    ),
    "a key that the token brings, by a name of the set": lambda provider: provider.signed(
        provider.access_claims(), key=MALLORY, kid="rsa-1", jwk=public(MALLORY)
    ),
    "a key elsewhere": lambda provider: provider.signed(
        provider.access_claims(), key=MALLORY, kid="mallory", jku="http://127.0.0.1:1/keys"
    ),
    "a kid with a path": lambda provider: provider.signed(
        provider.access_claims(), key=MALLORY, kid="../../../../dev/null"
    ),
    "a kid that is a query": lambda provider: provider.signed(
        provider.access_claims(), key=MALLORY, kid="x' UNION SELECT 'secret"
    ),
    "the name of a key of another type": lambda provider: provider.signed(provider.access_claims(), kid="ec-1"),
    "a kid that is a number": lambda provider: unsigned({"alg": "RS256", "kid": 1}, provider.access_claims()),
    "something critical": lambda provider: signed_by_hand(
        {"alg": "RS256", "kid": "rsa-1", "typ": "at+jwt", "exp": 1, "crit": ["exp"]}, provider.access_claims()
    ),
    "claims that are a list": lambda provider: provider.signed([1]),
    "claims that are no JSON": lambda provider: provider.signed(b"{"),
    "claims in depth": lambda provider: provider.signed(b"[" * 5000),
    "a changed part": lambda provider: changed_part(provider.access_token("mallory-1"), "mallory-1", "alice-1"),
    "no token": lambda _: "no.to.ken",
    "dots": lambda _: "..",
    "no text": lambda _: "é.é.é",
    "too much": lambda provider: provider.access_token(much="x" * 20_000),
}
MALLORY = RSAKey.generate_key(2048, {"kid": "mallory"})


def changed_part(token, old, new):
    header, claims, signature = token.split(".")
    text = base64.urlsafe_b64decode(claims + "==").decode().replace(old, new)
    return f"{header}.{base64.urlsafe_b64encode(text.encode()).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize("name", BAD_SIGNATURES)
async def test_attack_063_signature(log_in, provider, name):
    await log_in(provider.access_token())
    with pytest.raises(AuthenticationFailed) as failed:
        await log_in(BAD_SIGNATURES[name](provider))
    assert "SELECT" not in str(failed.value)
    assert [path for path in provider.asked if path not in {"/keys", "/.well-known/openid-configuration"}] == []


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://other.example.test"}, {"iss": "http://127.0.0.1"}, {"exp": 1}, {"exp": None}, {"sub": None}],
)
async def test_attack_063_claims(log_in, provider, claims):
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token(**claims))


async def test_attack_063_a_token_runs_out(log_in, provider, clock):
    token = provider.access_token()
    clock.passed_s += 600 + 59
    await log_in(token)
    clock.passed_s += 1
    with pytest.raises(AuthenticationFailed):
        await log_in(token)


async def test_attack_063_an_id_token_does_not_let_in(log_in, provider):
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token(typ="JWT", nonce="n"))


with warnings.catch_warnings(action="ignore"):
    WEAK = RSAKey.generate_key(1024, {"kid": "weak"})


@pytest.mark.parametrize(
    "made",
    [
        WEAK,
        {**public(MALLORY), "use": "enc"},
        {**public(MALLORY), "key_ops": ["encrypt"]},
        {**public(MALLORY), "alg": "RS512"},
        {**public(MALLORY), "n": "!"},
        {**public(MALLORY), "n": 7},
        {"kty": "oct", "kid": "mallory", "k": "AAAA"},
        {"kty": "AKP", "kid": "mallory"},
        "no key",
    ],
)
async def test_attack_063_keys_that_are_not_for_this(log_in, provider, made):
    provider.keys.append(made if isinstance(made, dict) else public(made) if made is WEAK else {"kty": made})
    await log_in(provider.access_token())  # the others are good
    key = WEAK if made is WEAK else MALLORY
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.signed(provider.access_claims(), key=key))


async def test_a_private_half_that_slipped_in_is_left_out(log_in, provider):
    provider.keys = [KEYS["ES256"].as_dict(private=True)]
    await log_in(provider.access_token(algorithm="ES256"))


async def test_a_token_without_kid_is_good_where_there_is_one_key_for_it(log_in, provider):
    await log_in(provider.signed(provider.access_claims(), kid=None, typ="at+jwt"))


async def test_attack_063_a_token_without_kid_is_refused_where_keys_would_have_to_be_guessed(log_in, provider):
    provider.keys.append(MALLORY)
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.signed(provider.access_claims(), kid=None, typ="at+jwt"))


async def test_new_keys_are_looked_for_once_a_minute(log_in, provider, clock, peer):
    await log_in(provider.access_token())
    fresh = OKPKey.generate_key("Ed25519", {"kid": "ed-2"})
    provider.keys.append(fresh)
    token = provider.signed(provider.access_claims(), algorithm="EdDSA", key=fresh, typ="at+jwt")
    for number in range(5):  # attack row 63: inventing names does not make us ask
        with pytest.raises(AuthenticationFailed):
            await log_in(token, "", Peer(f"198.51.100.{number}", 1))
    assert provider.asked.count("/keys") == 1
    clock.passed_s += LOOK_AGAIN_S
    await log_in(token)
    assert provider.asked.count("/keys") == 2


async def test_keys_that_were_taken_back_are_not_good_after_an_hour(log_in, provider, clock):
    await log_in(provider.access_token())
    provider.keys.remove(KEYS["RS256"])
    clock.passed_s += KEPT_S
    try:
        with pytest.raises(AuthenticationFailed):
            await log_in(provider.access_token())
    finally:
        provider.keys.append(KEYS["RS256"])


async def test_a_provider_that_does_not_answer_is_not_waited_for(log_in, provider, clock):
    provider.status = 500
    for _ in range(3):
        with pytest.raises(TryAgainLater):
            await log_in(provider.access_token())
    assert len(provider.asked) == 1
    provider.status = 200
    clock.passed_s += RETRY_S
    await log_in(provider.access_token())


async def test_a_provider_that_does_not_answer_any_more_leaves_what_is_known(log_in, provider, clock):
    await log_in(provider.access_token())
    provider.status = 500
    clock.passed_s += KEPT_S
    await log_in(provider.access_token())
    clock.passed_s += 86_400
    with pytest.raises(TryAgainLater):
        await log_in(provider.access_token())


@pytest.mark.parametrize(
    "told",
    [
        {"issuer": "https://other.example.org"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": "https://id.example.org/#x"},
        {"authorization_endpoint": ["https://id.example.org/"]},
    ],
)
async def test_attack_094_a_configuration_that_is_anothers_is_not_believed(log_in, provider, told):
    provider.told = told
    with pytest.raises(TryAgainLater):
        await log_in(provider.access_token())


@pytest.mark.parametrize(
    "issuer",
    ["http://id.example.org", "https://id.example.org/?a", "https://id.example.org/#a", "id.example.org", "https://"],
)
def test_an_issuer_that_cannot_be_is_told_at_once(clock, issuer):
    with pytest.raises(BadSettings):
        OidcProvider(ProviderTerms(issuer, CLIENT_ID), web_client(), clock)


@pytest.mark.parametrize("changes", [{"client_id": ""}, {"scopes": ("email",)}])
def test_terms_that_cannot_be_are_told_at_once(clock, terms, changes):
    with pytest.raises(BadSettings):
        OidcProvider(replace(terms, **changes), web_client(), clock)


def test_attack_063_secrets_are_not_shown(terms):
    assert CLIENT_SECRET not in repr(terms)


async def test_attack_061_wrong_tokens_count_as_wrong_passwords(log_in, accounts, provider, peer):
    with pytest.raises(TooManyFailures):
        for number in range(50):
            with pytest.raises(AuthenticationFailed):
                await log_in(f"wrong.{number}.x")
    with pytest.raises(TooManyFailures):
        await accounts.log_in(ALICE, Secret("pw-never-in-a-log-alice"), peer, "imap")


async def test_attack_061_to_ask_where_tokens_are_had_is_no_failure(log_in, provider):
    for _ in range(50):
        with pytest.raises(AuthenticationFailed):
            await log_in("")
    await log_in(provider.access_token())
    assert provider.asked.count("/.well-known/openid-configuration") == 1


async def test_attack_061_a_provider_that_does_not_answer_is_nobodys_failure(log_in, provider, clock):
    provider.status = 500
    for _ in range(50):
        with pytest.raises(TryAgainLater):
            await log_in(provider.access_token())
    provider.status = 200
    clock.passed_s += RETRY_S
    await log_in(provider.access_token())


async def test_a_disabled_account_stays_out(log_in, provider, accounts, admin, alice):
    await accounts.set_enabled(admin, alice.address, is_enabled=False)
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token())


async def test_a_removed_account_leaves_no_link(house, log_in, provider, accounts, admin, alice, storage):
    await accounts.remove(admin, alice.address)
    assert await storage.factors.oidc_owner(provider.issuer, "alice-1") is None
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token())


async def test_the_domains_wish_for_tls_is_kept(log_in, provider, storage):
    await storage.directory.set_terms("example.test", DomainTerms(client_tls_version_min="1.3"))
    with pytest.raises(TlsTooOld):
        await log_in(provider.access_token(), peer=Peer("192.0.2.1", 1, tls_version="TLSv1.2"))
    await log_in(provider.access_token(), peer=Peer("192.0.2.1", 1, tls_version="TLSv1.3"))


# the end of a link


async def test_attack_064_the_end_of_the_link_ends_sessions(house, log_in, provider, accounts, admin, alice):
    ended = asyncio.Event()
    actor = await log_in(provider.access_token())
    with accounts.watch_revocations(actor, ended.set):
        await accounts.set_password(admin, alice.address, Secret("pw-never-in-a-log-another"))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not ended.is_set()
        assert await house.links.unlink(admin, alice.address)
        async with asyncio.timeout(5):
            await ended.wait()
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token())


async def test_attack_064_the_end_of_the_account_ends_sessions(log_in, provider, accounts, admin, alice):
    ended = asyncio.Event()
    actor = await log_in(provider.access_token())
    with accounts.watch_revocations(actor, ended.set):
        await accounts.set_enabled(admin, alice.address, is_enabled=False)
        async with asyncio.timeout(5):
            await ended.wait()


# links


async def test_attack_094_links_are_one_to_one(house, admin, alice, bob):
    with pytest.raises(Conflict):
        await house.links.link(admin, bob.address, "alice-1")
    with pytest.raises(Conflict):
        await house.links.link(admin, alice.address, "another")
    await house.links.link(admin, alice.address, "alice-1")
    assert [link.subject for link in await house.links.links(admin, alice.address)] == ["alice-1"]


async def test_attack_094_only_administrators_link_others(house, accounts, alice, peer):
    actor = await accounts.log_in(ALICE, Secret("pw-never-in-a-log-alice"), peer, "web")
    with pytest.raises(NotAllowed):
        await house.links.link(actor, alice.address, "mallory-1")
    with pytest.raises(NotAllowed):
        await house.links.unlink(actor, alice.address)
    with pytest.raises(NotAllowed):
        await house.links.links(actor, alice.address)


@pytest.mark.parametrize("subject", ["", "a" * 256, "a\nb"])
async def test_a_subject_that_cannot_be(house, admin, alice, subject):
    with pytest.raises(PolicyRefused):
        await house.links.link(admin, alice.address, subject)


async def test_nobody_can_be_linked(house, admin):
    with pytest.raises(NoSuchUser):
        await house.links.link(admin, Address.parse("nobody@example.test"), "x")
    with pytest.raises(NoSuchUser):
        await house.links.unlink(admin, Address.parse("nobody@example.test"))


async def test_to_unlink_who_is_not_linked_does_nothing(house, admin, bob):
    assert not await house.links.unlink(admin, bob.address)


CLAIM = {"email": BOB, "email_verified": True}


async def test_the_provider_of_a_domain_links_its_people(make_house, log_in, provider, bob, storage):
    house = make_house(auto_link_domains=["example.test"])
    actor = await log_in(provider.access_token("bob-1", **CLAIM), BOB, house=house)
    assert actor.account_id == bob.account_id
    assert await storage.factors.oidc_owner(provider.issuer, "bob-1") == owner_of(None, bob.account_id)
    # from now on it is the person, whatever the address
    assert (await log_in(provider.access_token("bob-1"), "", house=house)).account_id == bob.account_id


@pytest.mark.parametrize(
    ("claims", "own_domains"),
    [
        (CLAIM, []),
        (CLAIM, ["other.test"]),
        ({"email": BOB}, ["example.test"]),
        ({"email": BOB, "email_verified": False}, ["example.test"]),
        ({"email": BOB, "email_verified": "true"}, ["example.test"]),
        ({"email": "nobody@example.test", "email_verified": True}, ["example.test"]),
        ({"email": "info@example.test", "email_verified": True}, ["example.test"]),
        ({"email": "bob+x@example.test", "email_verified": True}, ["example.test"]),
    ],
)
async def test_attack_094_a_claim_that_is_not_good_links_nobody(
    make_house, log_in, provider, bob, aliases, admin, storage, claims, own_domains
):
    await aliases.create(admin, Address.parse("info@example.test"), [bob.address])
    house = make_house(auto_link_domains=own_domains)
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token("mallory-1", **claims), "", house=house)
    assert await storage.factors.oidc_links(owner_of(None, bob.account_id)) == []


async def test_attack_094_a_claim_does_not_take_over_an_account_that_is_linked(
    make_house, log_in, provider, alice, storage
):
    """The address was given to somebody else at the provider: the account is still whose it was."""
    house = make_house(auto_link_domains=["example.test"])
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token("mallory-1", email=ALICE, email_verified=True), "", house=house)
    assert await storage.factors.oidc_owner(provider.issuer, "mallory-1") is None
    assert (await log_in(provider.access_token("alice-1"), "", house=house)).account_id == alice.account_id


# introspection


@pytest.fixture
def asking(make_house, terms, house):
    return make_house(replace(terms, introspects=True, audiences=()))


async def test_a_token_that_is_no_jwt_is_asked_about(asking, log_in, provider, clock, alice):
    provider.introspected["opaque-1"] = {"active": True, "sub": "alice-1", "iss": provider.issuer}
    for _ in range(3):
        assert (await log_in("opaque-1", house=asking)).account_id == alice.account_id
    assert provider.asked.count("/introspect") == 1
    provider.introspected.clear()
    clock.passed_s += ASKED_KEPT_S
    with pytest.raises(AuthenticationFailed):
        await log_in("opaque-1", house=asking)


async def test_attack_063_what_was_told_of_a_token_is_good_for_that_token_only(asking, log_in, provider, clock):
    end_s = int(clock.now().timestamp()) + 30
    provider.introspected["opaque-1"] = {"active": True, "sub": "alice-1", "exp": end_s}
    await log_in("opaque-1", house=asking)
    for other in ("opaque-2", "opaque-1x", "OPAQUE-1"):
        with pytest.raises(AuthenticationFailed):
            await log_in(other, "", Peer("198.51.100.9", 1), house=asking)
    clock.passed_s += 30 + 60  # the end counts, whatever is remembered
    with pytest.raises(AuthenticationFailed):
        await log_in("opaque-1", house=asking)


async def test_attack_063_a_jwt_is_not_believed_by_its_signature_where_the_provider_is_to_be_asked(
    asking, log_in, provider
):
    with pytest.raises(AuthenticationFailed):
        await log_in(provider.access_token(), house=asking)
    assert "/keys" not in provider.asked


async def test_the_secret_goes_in_the_form_where_the_provider_wants_it_so(asking, log_in, provider):
    provider.told = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    provider.introspected["opaque-1"] = {"active": True, "sub": "alice-1"}
    await log_in("opaque-1", house=asking)
