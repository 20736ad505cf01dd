"""What the claims of a provider's tokens must say (attack rows 63, 94)."""

import pytest

from mailstead.model.address import Address
from mailstead.policy import oidc

NOW_S = 1_800_000_000
ISSUER = "https://id.example.org/realms/mail"
ID = {
    "iss": ISSUER,
    "sub": "alice-1",
    "aud": "mailstead",
    "iat": NOW_S - 5,
    "exp": NOW_S + 300,
    "nonce": "n-1",
}
ACCESS = {"iss": ISSUER, "sub": "alice-1", "aud": ["https://mail.example.org", "other"], "exp": NOW_S + 300}


def changed(claims, **changes):
    return {name: value for name, value in {**claims, **changes}.items() if value is not ...}


def of_id_token(claims, nonce="n-1"):
    return oidc.refusal_of_id_token(claims, issuer=ISSUER, client_id="mailstead", nonce=nonce, now_s=NOW_S)


def of_access_token(claims, header_type="at+jwt", audiences=("https://mail.example.org",)):
    return oidc.refusal_of_access_token(
        claims, header_type=header_type, issuer=ISSUER, client_id="mailstead", audiences=audiences, now_s=NOW_S
    )


@pytest.mark.parametrize(
    "changes",
    [{}, {"aud": ["mailstead"]}, {"aud": ["mailstead", "x"], "azp": "mailstead"}, {"exp": NOW_S - 59}, {"nbf": NOW_S}],
)
def test_a_good_id_token(changes):
    assert of_id_token(changed(ID, **changes)) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": ...}, "issuer"),
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": ISSUER.upper()}, "issuer"),
        ({"iss": "https://evil.example"}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"aud": ...}, "audience"),
        ({"aud": "another"}, "audience"),
        ({"aud": ["another", 1]}, "audience"),
        ({"aud": {"mailstead": 1}}, "audience"),
        ({"aud": ["mailstead", "another"]}, "authorized party"),
        ({"aud": ["mailstead", "another"], "azp": "another"}, "authorized party"),
        ({"azp": "another"}, "authorized party"),
        ({"nonce": ...}, "nonce"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": ["n-1"]}, "nonce"),
        ({"iat": ...}, "no iat"),
        ({"iat": NOW_S + 61}, "iat in the future"),
        ({"iat": "now"}, "iat in the future"),
        ({"nbf": NOW_S + 61}, "nbf in the future"),
        ({"nbf": True}, "nbf in the future"),
        ({"exp": ...}, "no end"),
        ({"exp": True}, "no end"),
        ({"exp": str(NOW_S + 300)}, "no end"),
        ({"exp": float("nan")}, "no end"),
        ({"exp": float("inf")}, "no end"),
        ({"exp": NOW_S - 60}, "over"),
        ({"sub": ...}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": 1}, "subject"),
        ({"sub": "a" * 256}, "subject"),
        ({"sub": "alice\n1"}, "subject"),
    ],
)
def test_attack_094_refuses_an_id_token(changes, reason):
    assert of_id_token(changed(ID, **changes)) == reason


def test_attack_094_refuses_an_id_token_where_no_nonce_was_sent():
    assert of_id_token(changed(ID, nonce=""), nonce="") == "nonce"


@pytest.mark.parametrize(
    ("changes", "header_type"),
    [
        ({}, "at+jwt"),
        ({}, "application/AT+JWT"),
        ({}, "JWT"),
        ({}, None),
        ({"typ": "Bearer"}, "JWT"),
        ({"aud": "https://mail.example.org"}, None),
        ({"aud": ["https://mail.example.org", "mailstead"]}, "at+jwt"),
    ],
)
def test_a_good_access_token(changes, header_type):
    assert of_access_token(changed(ACCESS, **changes), header_type) == ""


@pytest.mark.parametrize(
    ("changes", "header_type", "reason"),
    [
        ({"iss": "https://evil.example"}, "at+jwt", "issuer"),
        ({"aud": "https://other.example.org"}, "at+jwt", "audience"),
        ({"aud": ...}, "at+jwt", "audience"),
        ({}, "dpop+jwt", "type"),
        ({}, "logout+jwt", "type"),
        ({}, ["at+jwt"], "type"),
        ({"typ": "ID"}, "JWT", "type"),
        ({"typ": "Refresh"}, "JWT", "type"),
        ({"nonce": "n-1"}, "JWT", "an ID token"),
        ({"at_hash": "x"}, None, "an ID token"),
        ({"exp": ...}, "at+jwt", "no end"),
        ({"exp": NOW_S - 60}, "at+jwt", "over"),
        ({"sub": ...}, "at+jwt", "subject"),
        ({"cnf": {"jkt": "x"}}, "at+jwt", "bound to a key"),
    ],
)
def test_attack_063_refuses_an_access_token(changes, header_type, reason):
    assert of_access_token(changed(ACCESS, **changes), header_type) == reason


def test_attack_063_an_id_token_is_no_access_token_even_where_we_are_both_audiences():
    """Somebody sets oidc.audiences to the client id: what is for the web alone lets no mail program in."""
    assert of_access_token(changed(ID, nonce=...), "JWT", ("mailstead",)) == "an ID token"
    assert of_access_token(changed(ACCESS, aud="mailstead"), "at+jwt", ("mailstead",)) == ""


@pytest.mark.parametrize(
    ("told", "audiences", "reason"),
    [
        ({"active": True, "sub": "a"}, (), ""),
        ({"active": True, "sub": "a", "exp": NOW_S + 5, "iss": ISSUER, "token_type": "Bearer"}, (), ""),
        ({"active": True, "sub": "a", "aud": ["m"]}, ("m",), ""),
        ({"active": False, "sub": "a"}, (), "not active"),
        ({"active": "true", "sub": "a"}, (), "not active"),
        ({"sub": "a"}, (), "not active"),
        ({"active": True, "sub": "a", "iss": "https://evil.example"}, (), "issuer"),
        ({"active": True, "sub": "a"}, ("m",), "audience"),
        ({"active": True, "sub": "a", "exp": NOW_S - 60}, (), "over"),
        ({"active": True, "sub": "a", "exp": "never"}, (), "no end"),
        ({"active": True, "sub": "a", "nbf": NOW_S + 100}, (), "nbf in the future"),
        ({"active": True, "sub": "a", "token_type": "refresh_token"}, (), "type"),
        ({"active": True}, (), "subject"),
        ({"active": True, "sub": "a", "cnf": {"x5t#S256": "x"}}, (), "bound to a key"),
    ],
)
def test_attack_063_reads_what_introspection_tells(told, audiences, reason):
    assert oidc.refusal_of_introspection(told, issuer=ISSUER, audiences=audiences, now_s=NOW_S) == reason


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "alice@example.org"},
        {"email": "alice@example.org", "email_verified": False},
        {"email": "alice@example.org", "email_verified": "true"},
        {"email": "alice@example.org", "email_verified": 1},
        {"email": "alice@other.example", "email_verified": True},
        {"email": ["alice@example.org"], "email_verified": True},
        {"email": "alice", "email_verified": True},
        {"email": "alice@example.org, bob@example.org", "email_verified": True},
        {"mail": "alice@example.org", "email_verified": True},
    ],
)
def test_attack_094_an_address_that_is_not_vouched_for_names_nobody(claims):
    assert oidc.claimed_address(claims, "email", ["example.org"]) is None


def test_an_address_that_is_vouched_for():
    claims = {"email": "Alice@Example.ORG", "email_verified": True}
    assert oidc.claimed_address(claims, "email", ["example.org"]).key == Address.parse("alice@example.org").key
    assert oidc.claimed_address(claims, "email", []) is None
