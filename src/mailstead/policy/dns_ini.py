"""Files with the credentials of a DNS provider, as certbot's plugins read them, as settings of ours.

Spec: certbot-dns-cloudflare, -digitalocean and -rfc2136 (credentials); for Route 53 the file of the AWS command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from mailstead.model.errors import BadSettings

_LINE: Final = re.compile(r"\s*([A-Za-z0-9_]+)\s*[=:]\s*(.*?)\s*")
_HMAC_SHA256: Final = "HMAC-SHA256"

_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "cloudflare": {"dns_cloudflare_api_token": "api_token"},
    "digitalocean": {"dns_digitalocean_token": "api_token"},
    "route53": {"aws_access_key_id": "aws_access_key_id", "aws_secret_access_key": "aws_secret_access_key"},
    "rfc2136": {
        "dns_rfc2136_server": "rfc2136_server",
        "dns_rfc2136_name": "rfc2136_key_name",
        "dns_rfc2136_secret": "rfc2136_key",
    },
}
"""For each kind of provider the keys that it needs, and the settings that they become."""


def settings_of(text: str) -> dict[str, str]:
    """Give the settings that a file comes to: ``dns_provider.name`` → text. Errors: BadSettings."""
    values = _values(text)
    for kind, keys in _KINDS.items():
        present = {key: values[key] for key in keys if values.get(key)}
        if not present:
            continue
        if missing := keys.keys() - present.keys():
            raise BadSettings(f"The file with the DNS provider's credentials lacks {' and '.join(sorted(missing))}")
        settings = {"dns_provider.kind": kind}
        settings |= {f"dns_provider.{keys[key]}": value for key, value in present.items()}
        return settings | _further(kind, values)
    if values.keys() & {"dns_cloudflare_email", "dns_cloudflare_api_key"}:
        raise BadSettings(
            "The file holds Cloudflare's global key (dns_cloudflare_email, dns_cloudflare_api_key), which may do "
            "everything in the account, and is not taken. Make an API token with the permissions Zone.Zone read and "
            "Zone.DNS edit for the zone (My Profile, API Tokens), and write: dns_cloudflare_api_token = <token>"
        )
    known = ", ".join(key for keys in _KINDS.values() for key in keys)
    raise BadSettings(f"The file holds no credentials of a DNS provider; known are {known}")


def _values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").splitlines():
        if not line.strip() or line.lstrip().startswith(("#", ";", "[")):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            # The line is not shown: it may be the secret alone.
            raise BadSettings("The file with the DNS provider's credentials has a line that is not name = value")
        value = found[2]
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        else:
            value = re.split(r"\s[#;]", value, maxsplit=1)[0].rstrip()
        values[found[1].lower()] = value
    return values


def _further(kind: str, values: Mapping[str, str]) -> dict[str, str]:
    """Give what follows from keys that need not be there. Errors: BadSettings."""
    if kind != "rfc2136":
        return {}
    if values.get("dns_rfc2136_algorithm", _HMAC_SHA256).upper() != _HMAC_SHA256:
        raise BadSettings("dns_rfc2136_algorithm is not HMAC-SHA256, the only one taken here: make such a key")
    server, port = values["dns_rfc2136_server"], values.get("dns_rfc2136_port", "53")
    if port == "53":
        return {}
    return {"dns_provider.rfc2136_server": f"[{server}]:{port}" if ":" in server else f"{server}:{port}"}
