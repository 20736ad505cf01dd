"""certbot's files of credentials, and what follows from each."""

import pytest

from mailstead.config.edit import with_settings
from mailstead.model.errors import BadSettings
from mailstead.policy.dns_ini import settings_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "# Cloudflare API token used by Certbot\ndns_cloudflare_api_token = 0123abc # mine\n",
            {"kind": "cloudflare", "api_token": "0123abc"},
        ),
        ('\ufeffdns_cloudflare_api_token="a#b"', {"kind": "cloudflare", "api_token": "a#b"}),
        ("dns_digitalocean_token=dop_v1_0", {"kind": "digitalocean", "api_token": "dop_v1_0"}),
        (
            "[default]\naws_access_key_id=AKIA\naws_secret_access_key=a/b+c=",
            {"kind": "route53", "aws_access_key_id": "AKIA", "aws_secret_access_key": "a/b+c="},
        ),
        (
            (
                "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_port = 5353\ndns_rfc2136_name = key.\n"
                "dns_rfc2136_secret = YWJj==\ndns_rfc2136_algorithm = hmac-sha256"
            ),
            {
                "kind": "rfc2136",
                "rfc2136_server": "192.0.2.1:5353",
                "rfc2136_key_name": "key.",
                "rfc2136_key": "YWJj==",
            },
        ),
        (
            "dns_rfc2136_server = 2001:db8::1\ndns_rfc2136_name = key\ndns_rfc2136_secret = YQ==\n",
            {"kind": "rfc2136", "rfc2136_server": "2001:db8::1", "rfc2136_key_name": "key", "rfc2136_key": "YQ=="},
        ),
    ],
)
def test_files_become_settings(text, expected):
    settings = settings_of(text)
    assert settings == {f"dns_provider.{name}": value for name, value in expected.items()}
    assert f'kind = "{expected["kind"]}"' in with_settings("", settings, "a test")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no credentials of a DNS provider; known are dns_cloudflare_api_token"),
        ("dns_cloudflare_api_token =", "no credentials"),
        ("dns_cloudflare_email = a@b.test\ndns_cloudflare_api_key = 0123", "Make an API token"),
        ("aws_access_key_id = A", "lacks aws_secret_access_key"),
        ("dns_rfc2136_server = 192.0.2.1", "lacks dns_rfc2136_name and dns_rfc2136_secret"),
        (
            (
                "dns_rfc2136_server = 192.0.2.1\ndns_rfc2136_name = k\ndns_rfc2136_secret = YQ==\n"
                "dns_rfc2136_algorithm = HMAC-SHA512"
            ),
            "not HMAC-SHA256",
        ),
    ],
)
def test_what_is_wrong_is_told(text, said):
    with pytest.raises(BadSettings, match=said):
        settings_of(text)


def test_a_secret_that_stands_alone_is_not_shown():
    with pytest.raises(BadSettings) as raised:
        settings_of("0123-the-token")
    assert "0123" not in raised.value.public_text


def test_a_token_beside_the_global_key_is_taken():
    text = "dns_cloudflare_email = a@b.test\ndns_cloudflare_api_key = 0123\ndns_cloudflare_api_token = 4567"
    assert settings_of(text)["dns_provider.api_token"] == "4567"
