"""The OpenID Connect provider, where one is set up; nothing of it is loaded where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailstead.model.errors import BadSettings
from mailstead.wiring.house import House

if TYPE_CHECKING:
    from mailstead.usecases.oauth_tokens import OauthTokens
    from mailstead.usecases.oidc_links import OidcLinks
    from mailstead.usecases.oidc_log_ins import OidcLogIns
    from mailstead.usecases.oidc_provider import OidcProvider

CALLBACK: str = "/log-in/oidc/callback"


def make_links(house: House) -> OidcLinks:
    """Give whose accounts the provider's people are. Errors: BadSettings, where there is no provider."""
    from mailstead.usecases.oidc_links import OidcLinks

    oidc = house.settings.oidc
    if not oidc.issuer:
        raise BadSettings("oidc.issuer: no provider is set up")
    return OidcLinks(
        house.storage,
        house.clock,
        house.audit,
        oidc.issuer,
        claim=oidc.claim,
        auto_link_domains=[domain.lower() for domain in oidc.auto_link_domains],
    )


def make_tokens(house: House) -> OauthTokens | None:
    """Give who knows the access tokens of mail programs; None: none are taken. Errors: BadSettings."""
    oidc = house.settings.oidc
    if not oidc.issuer or not (oidc.audiences or oidc.introspects):
        return None
    from mailstead.usecases.oauth_tokens import OauthTokens

    return OauthTokens(
        house.storage,
        house.clock,
        house.accounts,
        _make_provider(house),
        make_links(house),
        last_log_ins=house.last_log_ins,
    )


def make_log_ins(house: House, base_url: str) -> OidcLogIns | None:
    """Give the log-in on the web; None: there is no provider. `base_url`: where our pages are. Errors: BadSettings."""
    from mailstead.storage.embedded.keys import derived_key, master_key

    settings = house.settings
    if not settings.oidc.issuer:
        return None
    from mailstead.usecases.oidc_log_ins import OidcLogIns

    redirect_url = settings.oidc.redirect_url or base_url + CALLBACK
    if (
        urlsplit(redirect_url).path != CALLBACK
        or urlsplit(redirect_url).query
        or not redirect_url.startswith("https://")
    ):
        raise BadSettings(f"oidc.redirect_url: it begins with https:// and ends with {CALLBACK}")
    master = master_key(settings.server.data_dir, settings.store.master_key, settings.store.master_key_file)
    return OidcLogIns(
        house.storage,
        house.clock,
        _make_provider(house),
        make_links(house),
        house.web_sessions,
        derived_key(master, "oidc log-in"),
        redirect_url,
        settings.oidc.name or urlsplit(settings.oidc.issuer).hostname or "OpenID Connect",
    )


def _make_provider(house: House) -> OidcProvider:
    from mailstead.net.web import SafeWebClient
    from mailstead.usecases.oidc_provider import OidcProvider, ProviderTerms

    settings = house.settings
    oidc = settings.oidc
    web = SafeWebClient(
        house.resolver,
        allows_private=oidc.allows_private_addresses,
        ca_file=settings.relay.ca_file,
        hostname=settings.server.hostname,
    )
    terms = ProviderTerms(
        oidc.issuer,
        oidc.client_id,
        oidc.client_secret,
        scopes=oidc.scopes,
        audiences=oidc.audiences,
        introspects=oidc.introspects,
        allows_clear_text=oidc.allows_private_addresses,
    )
    return OidcProvider(terms, web, house.clock)
