"""Coming in as a person, with password and second factor or a passkey, and the sessions that come of it.

A session's token goes with each request as ``Authorization: Bearer``; no cookie is looked at here, so pages of others
cannot use it (attack row 89). The pages of the web have their own way.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from mailstead.model.errors import PolicyRefused
from mailstead.model.people import ObjectId, WebSession
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.log_in import session_token
from mailstead.services.api.values import Moment, Password
from mailstead.usecases.web_sessions import Begun, FactorAsked


class LogIn(Model):
    """Address and password of an account or a user."""

    address: Annotated[str, StringConstraints(max_length=320)]
    password: Password


class FactorGiven(Model):
    """A second factor: one of the two."""

    code: Password = None
    """Of a device, or a recovery code."""
    passkey: dict[str, Any] | None = None
    """What the browser answers, as JSON (``PublicKeyCredential.toJSON``)."""


class LogInGoesOn(FactorGiven):
    """The second half of a log-in."""

    token: Password
    """As the first half gave it."""


class PasskeyAlone(Model):
    """A log-in without a password."""

    passkey: dict[str, Any]


class PasswordChange(Model):
    """A new main password."""

    old_password: Password
    new_password: Password


class SessionBegun(Shown):
    """Logged in, or a second factor is needed first."""

    session_token: str | None
    """Null: a second factor is needed."""
    session_id: str | None
    expires_at: Moment | None
    factor_token: str | None = None
    """Goes back with the second factor, within minutes."""
    factors: list[str] = Field(default_factory=list)
    """Kinds that may be shown: totp, passkey, recovery."""
    passkey_options: dict[str, Any] | None = None
    """What navigator.credentials.get is to be called with."""


class SessionShown(Shown):
    """A session."""

    id: str
    is_present: bool
    """It is the one that asks."""
    created_at: Moment
    expires_at: Moment
    last_seen_at: Moment
    peer: str
    program: str
    has_shown_factor: bool


class SessionsEnded(Shown):
    """How many sessions ended."""

    count: int


async def start(call: Call) -> Answer:
    """Log in with a password."""
    asked: LogIn = call.body
    return _begun(await call.house.web_sessions.start(asked.address, asked.password, call.peer, _program(call)))


async def finish(call: Call) -> Answer:
    """Show the second factor."""
    asked: LogInGoesOn = call.body
    sessions = call.house.web_sessions
    if _is_code(asked):
        return _begun(await sessions.finish(asked.token, asked.code, call.peer, _program(call)))
    response = json.dumps(asked.passkey)
    return _begun(await sessions.finish_with_passkey(asked.token, response, call.peer, _program(call)))


async def passkey_options(call: Call) -> Answer:
    """Give what a browser is to be asked for."""
    return Answer(json.loads(call.house.web_sessions.passkey_options(call.peer)))


async def start_with_passkey(call: Call) -> Answer:
    """Log in with a passkey alone."""
    response = json.dumps(call.body.passkey)
    return _begun(await call.house.web_sessions.start_with_passkey(response, call.peer, _program(call)))


async def strengthen_options(call: Call) -> Answer:
    """Give what a browser is to be asked for, of one's own passkeys."""
    return Answer(json.loads(await call.house.web_sessions.passkey_options_of(session_token(call.request), call.peer)))


async def strengthen(call: Call) -> Answer:
    """Show a second factor for the session that asks."""
    asked: FactorGiven = call.body
    token, sessions = session_token(call.request), call.house.web_sessions
    if _is_code(asked):
        return _begun(await sessions.strengthen(token, asked.code, call.peer))
    return _begun(await sessions.strengthen_with_passkey(token, json.dumps(asked.passkey), call.peer))


async def list_sessions(call: Call) -> Answer:
    """Give one's own."""
    found = await call.house.web_sessions.list(call.actor)
    return Answer([_shown(each, each.session_id == call.actor.session_id) for each in found])


async def remove(call: Call) -> Answer:
    """End one of one's own."""
    await call.house.web_sessions.revoke(call.actor, [ObjectId(call.path["session_id"])])
    return Answer()


async def remove_others(call: Call) -> Answer:
    """End all but the one that asks."""
    return Answer(SessionsEnded(count=await call.house.web_sessions.revoke(call.actor)))


async def change_password(call: Call) -> Answer:
    """Set one's own main password."""
    asked: PasswordChange = call.body
    begun = await call.house.web_sessions.change_password(call.actor, asked.old_password, asked.new_password, call.peer)
    return _begun(begun) if begun is not None else Answer(_NO_SESSION)


def _begun(begun: Begun | FactorAsked) -> Answer:
    if isinstance(begun, Begun):
        return Answer(
            SessionBegun(
                session_token=begun.token.reveal(),
                session_id=begun.session.session_id,
                expires_at=begun.session.expires_at,
            )
        )
    return Answer(
        SessionBegun(
            session_token=None,
            session_id=None,
            expires_at=None,
            factor_token=begun.token.reveal(),
            factors=sorted(kind.value for kind in begun.kinds),
            passkey_options=json.loads(begun.passkey_options) if begun.passkey_options else None,
        )
    )


_NO_SESSION: Final = SessionBegun(session_token=None, session_id=None, expires_at=None)


def _is_code(asked: FactorGiven) -> bool:
    """Errors: PolicyRefused without either, or with both."""
    if (asked.code is None) == (asked.passkey is None):
        raise PolicyRefused("Give a code, or the answer of a passkey")
    return asked.code is not None


def _program(call: Call) -> str:
    return call.request.headers.get("user-agent", "")


def _shown(session: WebSession, is_present: bool) -> SessionShown:
    return SessionShown(
        id=session.session_id,
        is_present=is_present,
        created_at=session.created_at,
        expires_at=session.expires_at,
        last_seen_at=session.last_seen_at,
        peer=session.peer,
        program=session.program,
        has_shown_factor=session.strong_at is not None,
    )


_PATH: Final = "/v1/sessions"
_ours: Final = partial(Endpoint, tag="security", right=Right.CALLER, is_ours=True, is_idempotent=False)
_in: Final = partial(_ours, auth=Auth.NONE, right=Right.ANYBODY, shows=SessionBegun)
_own: Final = partial(_ours, auth=Auth.BOTH)

ENDPOINTS: Final = (
    _in("POST", _PATH, "log-in", "Log in with address and password", handler=start, body=LogIn),
    _in("POST", f"{_PATH}/factor", "log-in-factor", "Show the second factor", handler=finish, body=LogInGoesOn),
    _in(
        "POST",
        f"{_PATH}/passkey/options",
        "log-in-passkey-options",
        "What navigator.credentials.get is to be called with",
        handler=passkey_options,
        shows=dict[str, Any],
    ),
    _in(
        "POST",
        f"{_PATH}/passkey",
        "log-in-passkey",
        "Log in with a passkey alone",
        handler=start_with_passkey,
        body=PasskeyAlone,
    ),
    _own(
        "POST",
        f"{_PATH}/present/passkey-options",
        "strengthen-session-options",
        "What navigator.credentials.get is to be called with, of one's own passkeys",
        handler=strengthen_options,
        shows=dict[str, Any],
    ),
    _own(
        "POST",
        f"{_PATH}/present/factor",
        "strengthen-session",
        "Show a second factor again, before a change that wants it; the session gets a new token",
        handler=strengthen,
        body=FactorGiven,
        shows=SessionBegun,
    ),
    _own(
        "GET",
        _PATH,
        "list-sessions",
        "One's own sessions",
        handler=list_sessions,
        shows=list[SessionShown],
        command="session list",
    ),
    _own(
        "DELETE",
        _PATH,
        "end-other-sessions",
        "End all but this one",
        handler=remove_others,
        shows=SessionsEnded,
        command="session end",
    ),
    _own("DELETE", f"{_PATH}/{{session_id}}", "end-session", "End a session", handler=remove, status=204),
    _own(
        "PUT",
        "/v1/password",
        "change-password",
        "Set one's own main password; whoever is logged in with the old one is logged out",
        handler=change_password,
        body=PasswordChange,
        shows=SessionBegun,
        command="account password",
    ),
)
