"""The OpenID Connect provider, where one is set up; nothing of it is loaded where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mailstead.model.errors import BadSettings
from mailstead.wiring.house import House

if TYPE_CHECKING:
    from mailstead.config.settings import Settings
    from mailstead.usecases.oauth_tokens import OauthTokens
    from mailstead.usecases.oidc_links import OidcLinks
    from mailstead.usecases.oidc_log_ins import OidcLogIns
    from mailstead.usecases.oidc_provider import OidcProvider

CALLBACK: Final = "/log-in/oidc/callback"


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


def make_log_ins(house: House) -> OidcLogIns | None:
    """Give the log-ins by the provider; None where there is none. Errors: BadSettings."""
    if not house.settings.oidc.issuer:
        return None
    from mailstead.storage.embedded.keys import derived_key, master_key
    from mailstead.usecases.oidc_log_ins import OidcLogIns

    settings = house.settings
    redirect_url = settings.oidc.redirect_url or base_url(settings) + CALLBACK
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


def base_url(settings: Settings) -> str:
    """Give where our pages are, without slash at the end."""
    ports = [int(where.rpartition(":")[2]) for where in (*settings.web.listen_tls, *settings.web.listen_shared)]
    at = "" if not ports or 443 in ports else f":{ports[0]}"
    return f"https://{settings.server.hostname}{at}"


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
