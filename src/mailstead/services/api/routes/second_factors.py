"""One's own second factors: devices that make codes, passkeys, recovery codes.

They are turned on by an account with its main password, or by whoever has a session (`routes.sessions`); never by an
app password or an API token (attack row 95). Commands: ``mailstead second-factor``.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any, Final

from pydantic import StringConstraints

from mailstead.model.people import Factor, FactorKind, ObjectId
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown
from mailstead.services.api.values import Moment, Password
from mailstead.usecases.factor_settings import LABEL_CHARACTERS_MAX, MailPrograms

_Label = Annotated[str, StringConstraints(max_length=LABEL_CHARACTERS_MAX)]


class NewTotp(Model):
    """A device that makes codes."""

    password: Password
    """The main password, once more."""
    label: _Label = ""


class FirstCode(Model):
    """What shows that the device has the secret."""

    code: Password
    mail_programs: MailPrograms | None = None
    """With the first second factor: what becomes of mail programs, which then log in with app passwords only."""


class PasskeyOptionsAsked(Model):
    """A passkey is to be made."""

    password: Password
    mail_programs: MailPrograms | None = None


class NewPasskey(Model):
    """What the browser has made."""

    response: dict[str, Any]
    """As JSON (``PublicKeyCredential.toJSON``)."""
    label: _Label = ""
    mail_programs: MailPrograms | None = None


class PasswordAgain(Model):
    """The main password, once more."""

    password: Password


class FactorShown(Shown):
    """A device or a passkey."""

    id: str
    kind: str
    label: str
    is_confirmed: bool
    created_at: Moment
    last_used_at: Moment | None


class FactorsShown(Shown):
    """One's own second factors, and what the first one means."""

    is_on: bool
    """A password alone logs in nobody."""
    factors: list[FactorShown]
    recovery_codes_left: int
    has_mailbox: bool
    app_passwords: list[str]
    """Labels of those that mail programs have."""


class TotpShown(Shown):
    """What a device needs; shown this once."""

    id: str
    secret: str
    uri: str
    qr_svg: str


class TurnedOn(Shown):
    """A second factor is on."""

    recovery_codes: list[str]
    """Shown this once; empty: there are some already."""
    session_token: str | None
    """With which the session goes on; the old one is good no more."""


class RecoveryCodesShown(Shown):
    """New recovery codes; the old ones are good no more."""

    recovery_codes: list[str]


async def show(call: Call) -> Answer:
    """Give one's own."""
    settings = call.house.factor_settings
    found, outlook = await settings.list(call.actor), await settings.outlook(call.actor)
    return Answer(
        FactorsShown(
            is_on=outlook.is_on,
            factors=[_shown(each) for each in found if each.kind is not FactorKind.RECOVERY],
            recovery_codes_left=sum(each.kind is FactorKind.RECOVERY for each in found),
            has_mailbox=outlook.has_mailbox,
            app_passwords=[each.label for each in outlook.app_passwords],
        )
    )


async def enrol_totp(call: Call) -> Answer:
    """Begin with a device."""
    asked: NewTotp = call.body
    made = await call.house.factor_settings.enrol_totp(call.actor, asked.password, asked.label)
    return Answer(
        TotpShown(id=made.factor_id, secret=made.secret.reveal(), uri=made.uri.reveal(), qr_svg=made.qr_svg.reveal())
    )


async def confirm_totp(call: Call) -> Answer:
    """Turn a device on."""
    asked: FirstCode = call.body
    codes = await call.house.factor_settings.confirm_totp(
        call.actor, ObjectId(call.path["factor_id"]), asked.code, asked.mail_programs
    )
    return await _turned_on(call, [code.reveal() for code in codes])


async def passkey_options(call: Call) -> Answer:
    """Give what the browser is to be asked for."""
    asked: PasskeyOptionsAsked = call.body
    options = await call.house.factor_settings.begin_passkey(call.actor, asked.password, asked.mail_programs)
    return Answer(json.loads(options))


async def add_passkey(call: Call) -> Answer:
    """Keep what the browser has made."""
    asked: NewPasskey = call.body
    codes = await call.house.factor_settings.add_passkey(
        call.actor, json.dumps(asked.response), asked.label, asked.mail_programs
    )
    return await _turned_on(call, [code.reveal() for code in codes])


async def renew_recovery_codes(call: Call) -> Answer:
    """Make new ones."""
    codes = await call.house.factor_settings.renew_recovery_codes(call.actor, call.body.password)
    return Answer(RecoveryCodesShown(recovery_codes=[code.reveal() for code in codes]))


async def remove(call: Call) -> Answer:
    """Turn one off."""
    await call.house.factor_settings.remove(call.actor, ObjectId(call.path["factor_id"]), call.body.password)
    return Answer()


async def _turned_on(call: Call, codes: list[str]) -> Answer:
    begun = await call.house.web_sessions.factor_added(call.actor)
    return Answer(TurnedOn(recovery_codes=codes, session_token=begun.token.reveal() if begun is not None else None))


def _shown(factor: Factor) -> FactorShown:
    return FactorShown(
        id=factor.factor_id,
        kind=factor.kind.value,
        label=factor.label,
        is_confirmed=factor.is_confirmed,
        created_at=factor.created_at,
        last_used_at=factor.last_used_at,
    )


_PATH: Final = "/v1/second-factors"
_ours: Final = partial(Endpoint, tag="security", auth=Auth.BOTH, right=Right.CALLER, is_ours=True, is_idempotent=False)

ENDPOINTS: Final = (
    _ours(
        "GET",
        _PATH,
        "show-second-factors",
        "One's own second factors",
        handler=show,
        shows=FactorsShown,
        command="second-factor list",
    ),
    _ours(
        "POST",
        f"{_PATH}/totp",
        "enrol-totp",
        "Begin with a device that makes codes; nothing is on before its first code",
        handler=enrol_totp,
        body=NewTotp,
        shows=TotpShown,
        status=201,
    ),
    _ours(
        "POST",
        f"{_PATH}/totp/{{factor_id}}",
        "confirm-totp",
        "Turn a device on with its first code",
        handler=confirm_totp,
        body=FirstCode,
        shows=TurnedOn,
    ),
    _ours(
        "POST",
        f"{_PATH}/passkeys/options",
        "begin-passkey",
        "What navigator.credentials.create is to be called with",
        handler=passkey_options,
        body=PasskeyOptionsAsked,
        shows=dict[str, Any],
    ),
    _ours(
        "POST",
        f"{_PATH}/passkeys",
        "add-passkey",
        "Keep a passkey that a browser has made",
        handler=add_passkey,
        body=NewPasskey,
        shows=TurnedOn,
        status=201,
    ),
    _ours(
        "POST",
        f"{_PATH}/recovery-codes",
        "renew-recovery-codes",
        "New recovery codes; the old ones are good no more",
        handler=renew_recovery_codes,
        body=PasswordAgain,
        shows=RecoveryCodesShown,
        status=201,
    ),
    _ours(
        "POST",
        f"{_PATH}/{{factor_id}}/remove",
        "remove-second-factor",
        "Turn a device or a passkey off",
        handler=remove,
        body=PasswordAgain,
        status=204,
        description="With the last one the recovery codes go, and the password alone logs in again.",
        command="second-factor remove",
    ),
)
