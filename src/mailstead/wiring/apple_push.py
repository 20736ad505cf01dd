"""Apple's push, where its certificates are set."""

from __future__ import annotations

from pathlib import Path

from mailstead.config.settings import Settings
from mailstead.model.dav import CollectionKind
from mailstead.model.errors import BadSettings
from mailstead.ports.apple_push import ApplePush
from mailstead.ports.resolver import Resolver


def make_apple_push(settings: Settings, resolver: Resolver) -> ApplePush | None:
    """Give the way to Apple's push service; None: no certificate is set, and nothing is asked there.

    Errors: BadSettings.
    """
    dav = settings.dav
    named = {
        CollectionKind.CALENDAR: (dav.apns_caldav_certificate_file, dav.apns_caldav_key_file),
        CollectionKind.ADDRESSBOOK: (dav.apns_carddav_certificate_file, dav.apns_carddav_key_file),
    }
    if any(key and not certificate for certificate, key in named.values()):
        raise BadSettings("dav.apns_…_key_file is set, but not the certificate file that belongs to it")
    files = {kind: pair for kind, pair in named.items() if pair[0]}
    if not files:
        return None
    from mailstead.net.apple_push import ApnsClient, Credentials  # few houses have such certificates

    return ApnsClient(
        resolver,
        {kind: Credentials(Path(certificate), Path(key or certificate)) for kind, (certificate, key) in files.items()},
        host=dav.apns_host,
        port=dav.apns_port,
        ca_file=dav.apns_ca_file or settings.relay.ca_file,
    )
