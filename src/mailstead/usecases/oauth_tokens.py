"""Mail programs that come with an access token of the provider: whose it is, and whether he may come in.

Wrong tokens count as wrong passwords do, over all protocols (attack row 61). Whether a second factor is asked for is
the provider's business: a token is a program's, as an app password is (row 95). A token that runs out ends no session
that has begun with it; the end of the link does, and the end of the account.

Spec: RFC 7628 §3.2.
"""

from __future__ import annotations

from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed, BadAddress, TlsTooOld
from mailstead.model.ids import AccountId
from mailstead.model.secret import Secret
from mailstead.policy.oidc import Identity, link_fingerprint
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.oidc_links import OidcLinks
from mailstead.usecases.oidc_provider import OidcProvider

_OLD_TLS: Final = "TLSv1.2"


class OauthTokens:
    """Keeps `proto.sasl.Tokens`."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        accounts: Accounts,
        provider: OidcProvider,
        links: OidcLinks,
        *,
        last_log_ins: LastLogIns | None = None,
    ) -> None:
        self._directory = storage.directory
        self._clock = clock
        self._accounts = accounts
        self._provider = provider
        self._links = links
        self._last_log_ins = last_log_ins

    @property
    def scope(self) -> str:
        """Scopes that a client should ask the provider for. Spec: RFC 7628 §3.2.2."""
        return " ".join(self._provider.terms.scopes)

    @property
    def configuration_url(self) -> str:
        """Where the provider says how tokens are had. Spec: RFC 7628 §3.2.2."""
        return self._provider.configuration_url

    async def log_in(self, username: str, token: Secret, peer: Peer, service: str) -> Actor:
        """Give the actor whose token this is; `username`, if it is said, must be the account's address.

        Errors: AuthenticationFailed, one and the same for all that is wrong; TlsTooOld; TooManyFailures; TryAgainLater,
        also where the provider does not answer.
        """
        # Not one name for all who say none: others would be slowed.
        name = username or f"token from {peer.address}"
        await self._accounts.begin_attempt(name, peer, service)
        if not token:  # the client only asks where tokens are had: nothing was guessed
            raise AuthenticationFailed(service=service)
        try:
            identity = await self._provider.identity_of(token)
            self._accounts.check_attempt(name, peer, service)
            account = await self._account_of(identity, username)
        except AuthenticationFailed as error:
            await self._accounts.attempt_failed(name, peer, service)
            reason = str(error.log_fields.get("reason", ""))
            raise AuthenticationFailed(service=service, reason=reason) from None
        await self._check_tls(account, peer)
        self._accounts.attempt_succeeded(name, peer, service)
        if self._last_log_ins is not None:
            self._last_log_ins.note(account.account_id)
        mark = link_fingerprint(identity.issuer, identity.subject)
        return Actor(account.account_id, account.address, fingerprint=mark, peer=peer.address)

    async def _account_of(self, identity: Identity, username: str) -> Account:
        """Errors: AuthenticationFailed, also for the token of one who says that he is another (attack row 63)."""
        owner = await self._links.owner(identity)
        kind, _, key = (owner or "").partition(":")
        account = await self._directory.account(AccountId(key)) if kind == "a" else None
        if account is None or await self._directory.credentials(account.address) is None:  # gone, or switched off
            raise AuthenticationFailed(reason="no account")
        if username and _key(username) != account.address.key:
            raise AuthenticationFailed(reason="another's name")
        return account

    async def _check_tls(self, account: Account, peer: Peer) -> None:
        """Errors: TlsTooOld, where the domain asks for a newer version."""
        domain = await self._directory.domain(account.address.domain)
        if peer.tls_version == _OLD_TLS and domain is not None and domain.terms.client_tls_version_min == "1.3":
            raise TlsTooOld(domain=domain.name)


def _key(username: str) -> str:
    try:
        return Address.parse(username).key
    except BadAddress:
        return ""
