"""Who asks: a user by a token, the owner of an account by its address and password, or a session, with each request.

Spec: RFC 7617 (Basic); RFC 6750 §2.1 (Bearer); reference forwardemail 4.1. Secrets go over TLS
only (`net.http_requests`).
"""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection

from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import AuthenticationFailed
from mailstead.model.secret import Secret
from mailstead.net.http_requests import basic_credentials
from mailstead.services.api.endpoints import Auth
from mailstead.services.api.errors import Refusal
from mailstead.services.api.house import ApiHouse
from mailstead.usecases.web_sessions import SESSION_PREFIX

SERVICE: Final = "api"
"""What app passwords may be limited to."""
WHAT: Final = "The API is"
"""Served over TLS."""


async def log_in(request: HTTPConnection, house: ApiHouse, peer: Peer, auth: Auth) -> Actor:
    """Give the actor; nobody, where none is asked for: what comes then is not even looked at.

    Errors: Refusal (401) without credentials and for those of the wrong kind; AuthenticationFailed, TooManyFailures and
    the like of `Users.act_with_token` and `Accounts.log_in`.
    """
    if auth is Auth.NONE:
        return Actor(None, None, peer=peer.address)
    username, secret = _credentials(request)
    if not username:
        if secret.reveal().startswith(SESSION_PREFIX):
            return await _of_session(house, secret, peer, auth)
        if auth is Auth.ALIAS:
            raise Refusal(401, "This takes the address and password of an account, no API token")
        return await house.users.act_with_token(secret, peer)
    if auth is Auth.TOKEN:
        raise Refusal(401, "This takes an API token as user name and no password")
    return await house.accounts.log_in(username, secret, peer, SERVICE)


async def _of_session(house: ApiHouse, token: Secret, peer: Peer, auth: Auth) -> Actor:
    """Give who has logged in as a person (`routes.sessions`): user, owner of an account, or both."""
    actor = (await house.web_sessions.act(token, peer)).actor
    if auth is Auth.ALIAS and actor.account_id is None:
        raise Refusal(401, "This takes the address and password of an account")
    if auth is Auth.TOKEN and actor.user_id is None:
        raise Refusal(401, "This takes an API token of a user")
    return actor


def session_token(request: HTTPConnection) -> Secret:
    """Give the session's token. Errors: Refusal (401), where none came."""
    username, secret = _credentials(request)
    if username or not secret.reveal().startswith(SESSION_PREFIX):
        raise Refusal(401, "This takes a session")
    return secret


def _credentials(request: HTTPConnection) -> tuple[str, Secret]:
    """Give address and password, or nothing and a token. Errors: Refusal, AuthenticationFailed."""
    field = request.headers.get("authorization", "").strip()
    if not field:
        # As programs of SimpleLogin send it.
        token = request.headers.get("authentication", "").strip()
        if not token:
            raise Refusal(401, "Please log in: with an API token, or with the address and password of an account")
        return "", Secret(token)
    scheme, _, rest = field.partition(" ")
    if scheme.lower() == "bearer":
        if not rest.strip():
            raise AuthenticationFailed
        return "", Secret(rest.strip())
    username, secret = basic_credentials(field)
    if not username:
        raise AuthenticationFailed
    return (username, secret) if secret else ("", Secret(username))
