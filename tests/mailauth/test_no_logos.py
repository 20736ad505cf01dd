"""Logos of senders (BIMI) are not fetched, nor looked up."""

from pathlib import Path

import mailstead
from mailauth.zones import Zones
from mailstead.mailauth.verify import SenderVerifier
from mailstead.mime.header import header_end
from mailstead.model.address import Address
from mailstead.model.envelope import Peer

SOURCE = Path(mailstead.__file__).parent
MESSAGE = (
    b"From: Alice <alice@example.test>\r\nBIMI-Selector: v=BIMI1; s=brand\r\n"
    b"BIMI-Location: v=BIMI1; l=https://logos.example.test/100mb.svg\r\nBIMI-Indicator: PHN2Zz48c2NyaXB0Lz48L3N2Zz4=\r\n"
    b"Subject: a logo\r\n\r\nHello\r\n"
)
FETCHERS = {
    "mailauth/mta_sts.py",
    "net/acme/jws.py",
    "net/outbound/mxdeliv.py",
    "net/zones/held.py",
    "net/zones/route53.py",
    "usecases/dav_push.py",
    "usecases/device_push.py",
    "usecases/oidc_provider.py",
    "usecases/openpgp_keys.py",
    "usecases/push.py",
    "usecases/record_checks.py",
    "usecases/remote_images.py",
    "usecases/reporting.py",
    "usecases/subscriptions.py",
    "usecases/unsubscribing.py",
    "usecases/webhooks.py",
}
"""Who may fetch what others name. Whoever comes next thinks of attack row 40 first."""


async def test_attack_040_the_checks_of_a_sender_look_up_no_logo(clock):
    zones = Zones(
        {
            "example.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
            "_dmarc.example.test": {"TXT": ["v=DMARC1; p=reject"]},
            "default._bimi.example.test": {"TXT": ["v=BIMI1; l=https://logos.example.test/100mb.svg"]},
            "brand._bimi.example.test": {"TXT": ["v=BIMI1; l=https://logos.example.test/100mb.svg"]},
        }
    )
    verifier = SenderVerifier(zones, clock, authserv_id="us.test", trusted_sealers=(), queries_max=100, limit_s=20)
    header = MESSAGE[: header_end(MESSAGE)]
    found = await verifier.verify(
        MESSAGE, header, Peer("192.0.2.1", 1234), "mx.example.test", Address("alice", "example.test")
    )
    assert found.dmarc.result.value == "pass"
    assert not [name for name, _ in zones.questions if "bimi" in name or name.startswith("logos.")]


def test_attack_040_nothing_in_the_house_fetches_logos():
    texts = {path.relative_to(SOURCE).as_posix(): path.read_text().lower() for path in SOURCE.rglob("*.py")}
    assert [name for name, text in texts.items() if "_bimi" in text] == []
    users = {name for name, text in texts.items() if any(f"web.{verb}(" in text for verb in ("get", "post", "send"))}
    assert users <= FETCHERS
