"""A DNS zone of keys as a dictionary, and messages signed in ways that our own signer would never use."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256

from mailstead.mailauth.canonical import CanonicalMessage, Form
from mailstead.mailauth.dkim import load_key, new_keys, public_record
from mailstead.model.errors import DnsUnavailable
from mailstead.ports.resolver import Answer

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
MESSAGE = (
    b"From: Alice <alice@example.test>\r\nTo: Bob <bob@example.org>\r\nSubject: a  subject\r\n that goes on \r\n"
    b"Date: Fri, 27 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.test>\r\n\r\n"
    b"Hello  Bob,\r\n\ttabs and spaces \t \r\n\r\n.\r\n\r\n\r\n"
)
RSA, ED25519 = new_keys("example.test", NOW, "s")
"""Made once for all tests, as making an RSA key takes long."""


class KeyZone:
    """A resolver that knows TXT records; it counts what it is asked, and fails for some names."""

    def __init__(self, records=None, failing=()):
        self.records = records if records is not None else published(RSA, ED25519)
        self.failing = failing
        self.asked = []

    async def txt(self, name):
        self.asked.append(name)
        if name in self.failing:
            raise DnsUnavailable
        texts = self.records.get(name)
        return Answer(
            tuple(text.encode() if isinstance(text, str) else text for text in texts or ()), texts is not None
        )


def published(*keys):
    return {f"{key.selector}._domainkey.{key.domain}": [public_record(key)] for key in keys}


def signed_by_hand(
    message=MESSAGE,
    key=RSA,
    *,
    tags=None,
    names=b"from:to:subject",
    form=Form.RELAXED,
    body_hash=None,
    field=b"DKIM-Signature",
):
    """Sign with any tags: those given replace or (None) remove the usual ones."""
    canonical = CanonicalMessage(message)
    all_tags = {
        "v": b"1",
        "a": key.algorithm.encode(),
        "c": b"%b/%b" % (form.value, form.value),
        "d": key.domain.encode(),
        "s": key.selector.encode(),
        "h": names,
        "bh": body_hash or b64encode(canonical.body_hash(form).digest),
    }
    all_tags.update(tags or {})
    text = b"; ".join(name.encode() + b"=" + value for name, value in all_tags.items() if value is not None) + b"; b="
    selected = tuple(name.strip().lower() for name in (all_tags["h"] or b"").split(b":"))
    signed = canonical.selected(selected, form) + canonical.canonical_field((field, b" " + text), form)[:-2]
    private = load_key(key).private_key
    if key.algorithm.startswith("rsa"):
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        signature = private.sign(signed, PKCS1v15(), SHA256())
    else:
        signature = private.sign(sha256(signed).digest())
    return field + b": " + text + b64encode(signature) + b"\r\n" + message
