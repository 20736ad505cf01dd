"""Who sets up devices: with the offers of the house, and signed with its certificate."""

from __future__ import annotations

from pathlib import Path

from mailstead.net.certificates import certificate_place
from mailstead.net.profile_signing import ProfileSigner
from mailstead.usecases.client_profiles import ClientProfiles
from mailstead.wiring.acme import orders_certificates
from mailstead.wiring.house import House
from mailstead.wiring.offers import house_offers
from mailstead.wiring.oidc import base_url


def make_client_profiles(house: House) -> ClientProfiles:
    """Give it; it keeps nothing, so each who needs it may make his own."""
    settings = house.settings
    certificate = certificate_place(
        settings.tls.certificate_file, settings.server.data_dir, is_ordered=orders_certificates(settings)
    )
    key = Path(settings.tls.key_file) if settings.tls.key_file else certificate.with_name("key.pem")
    return ClientProfiles(
        house.storage,
        house.accounts,
        house.clock,
        house_offers(settings),
        ProfileSigner(certificate, key).sign,
        base_url=base_url(settings),
    )
