"""Turning second factors on and off.

With the first one, the main password no longer logs in mail programs: only app passwords do (attack row 95). So that
nobody is locked out by surprise, turning it on tells which app passwords there are, and is refused until its owner
says that mail programs have theirs, or that there are none.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import AppPassword
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AuthenticationFailed,
    LimitReached,
    NoSuchFactor,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.people import Factor, FactorKind, ObjectId, owner_of
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.audit import Audit
from mailstead.usecases.factors import DIGITS, RECOVERY_LETTERS, STEP_S, SecondFactors, kinds_of
from mailstead.usecases.passkeys import Passkeys, new_object_id
from mailstead.usecases.passwords import APP_PASSWORD_ALPHABET
from mailstead.usecases.people import Users

TOTP_SECRET_OCTETS: Final = 20
"""Spec: RFC 4226 §4 (R6)."""
RECOVERY_CODES: Final = 10
DEVICES_MAX: Final = 5
PASSKEYS_MAX: Final = 20
LABEL_CHARACTERS_MAX: Final = 100


class MailPrograms(StrEnum):
    """What their owner says about mail programs, before the main password stops working in them."""

    APP_PASSWORDS = "app-passwords"
    """They have passwords of their own."""
    NONE = "none"
    """There are none, or they may stop."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What turning on the first second factor means to an owner."""

    is_on: bool
    """It is turned on already."""
    has_mailbox: bool
    """Mail programs may be logging in with the main password."""
    app_passwords: tuple[AppPassword, ...]


@dataclass(frozen=True, slots=True)
class TotpEnrolment:
    """What a device needs to make codes; shown once."""

    factor_id: ObjectId
    secret: Secret
    """Base 32, to be typed."""
    uri: Secret
    """``otpauth://``, as in the picture."""
    qr_svg: Secret
    """The same as a picture."""


class FactorSettings:
    """The second factors of whoever is logged in; each change asks for the password again.

    `issuer` is what devices show beside the address.
    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        users: Users,
        second_factors: SecondFactors,
        passkeys: Passkeys,
        audit: Audit,
        *,
        issuer: str,
    ) -> None:
        self._factors = storage.factors
        self._directory = storage.directory
        self._clock = clock
        self._users = users
        self._second_factors = second_factors
        self._passkeys = passkeys
        self._audit = audit
        self._issuer = issuer

    # looking

    async def list(self, actor: Actor) -> list[Factor]:
        """Give one's own factors, oldest first; recovery codes, too. Errors: NotAllowed."""
        return await self._factors.factors(_own(actor))

    async def outlook(self, actor: Actor) -> Outlook:
        """Tell what the first second factor will mean to mail programs. Errors: NotAllowed."""
        is_on = await self._second_factors.needed(_own(actor))
        if actor.account_id is None:
            return Outlook(is_on, False, ())
        account = await self._directory.account(actor.account_id)
        credentials = await self._directory.credentials(account.address) if account is not None else None
        return Outlook(is_on, True, credentials.app_passwords if credentials is not None else ())

    # codes of a device

    async def enrol_totp(self, actor: Actor, password: Secret, label: str = "") -> TotpEnrolment:
        """Begin with a device; nothing is turned on before `confirm_totp`. Only the newest beginning counts.

        Errors: NotAllowed; AuthenticationFailed, TooManyFailures (password); FactorNeeded; LimitReached; PolicyRefused.
        """
        owner = await self._may_change(actor, password)
        there = [each for each in await self._factors.factors(owner) if each.kind is FactorKind.TOTP]
        if sum(each.is_confirmed for each in there) >= DEVICES_MAX:
            raise LimitReached(f"There can be {DEVICES_MAX} devices; remove one first")
        await self._remove(owner, [each for each in there if not each.is_confirmed])
        factor = Factor(
            factor_id=new_object_id(),
            owner=owner,
            kind=FactorKind.TOTP,
            label=_checked_label(label or "Authenticator"),
            created_at=self._clock.now(),
            secret=secrets.token_bytes(TOTP_SECRET_OCTETS),
            is_confirmed=False,
        )
        await self._factors.add_factors([factor])
        return self._enrolment(factor, actor.name)

    async def confirm_totp(
        self, actor: Actor, factor_id: ObjectId, code: Secret, mail_programs: MailPrograms | None = None
    ) -> tuple[Secret, ...]:
        """Turn a device on with a first code of it; give recovery codes, if there were none: they are shown once.

        Errors: NotAllowed, NoSuchFactor; PolicyRefused, where mail programs are not cared for; AuthenticationFailed,
        TooManyFailures (code).
        """
        owner = _own(actor)
        there = await self._factors.factors(owner)
        factor = next((each for each in there if each.factor_id == factor_id and each.kind is FactorKind.TOTP), None)
        if factor is None or factor.is_confirmed:
            raise NoSuchFactor
        await self._check_mail_programs(actor, there, mail_programs)
        await self._second_factors.confirm(factor, code, Peer(actor.peer, 0))
        return await self._turned_on(actor, owner, there, FactorKind.TOTP)

    def _enrolment(self, factor: Factor, address: str) -> TotpEnrolment:
        """Spec: the otpauth form of Google Authenticator's Key URI Format, which all such programs read."""
        import io

        import segno
        from pyotp import TOTP

        secret = base64.b32encode(factor.secret).decode()
        uri = TOTP(secret, digits=DIGITS, interval=STEP_S).provisioning_uri(name=address, issuer_name=self._issuer)
        picture = io.BytesIO()
        segno.make(uri, micro=False).save(picture, kind="svg", scale=4, xmldecl=False)
        return TotpEnrolment(factor.factor_id, Secret(secret), Secret(uri), Secret(picture.getvalue().decode()))

    # passkeys

    async def begin_passkey(self, actor: Actor, password: Secret, mail_programs: MailPrograms | None = None) -> str:
        """Give what the browser is to be asked for, in JSON.

        Errors: NotAllowed; AuthenticationFailed, TooManyFailures (password); FactorNeeded; LimitReached;
        PolicyRefused, where mail programs are not cared for.
        """
        owner = await self._may_change(actor, password)
        there = await self._factors.factors(owner)
        if sum(each.kind is FactorKind.PASSKEY for each in there) >= PASSKEYS_MAX:
            raise LimitReached(f"There can be {PASSKEYS_MAX} passkeys; remove one first")
        await self._check_mail_programs(actor, there, mail_programs)
        return self._passkeys.registration_options(owner, actor.name, there)

    async def add_passkey(
        self, actor: Actor, response: str, label: str, mail_programs: MailPrograms | None = None
    ) -> tuple[Secret, ...]:
        """Keep what the browser has made; give recovery codes, if there were none.

        The challenge was given to who knew the password, so it is not asked for again.
        Errors: NotAllowed, PolicyRefused, FactorExists.
        """
        owner = _own(actor)
        there = await self._factors.factors(owner)
        await self._check_mail_programs(actor, there, mail_programs)
        passkey = await self._passkeys.registered(owner, response, _checked_label(label or "Passkey"))
        await self._factors.add_factors([passkey])
        return await self._turned_on(actor, owner, there, FactorKind.PASSKEY)

    # recovery codes, and the way back

    async def renew_recovery_codes(self, actor: Actor, password: Secret) -> tuple[Secret, ...]:
        """Make new recovery codes; the old ones are good no more.

        Errors: NotAllowed; AuthenticationFailed, TooManyFailures (password); FactorNeeded; NoSuchFactor without a
        factor that they could stand in for.
        """
        owner = await self._may_change(actor, password)
        there = await self._factors.factors(owner)
        if not kinds_of(there):
            raise NoSuchFactor
        codes = await self._make_recovery_codes(owner, there)
        self._audit.note(actor, "factor.recovery-codes", actor.name, self._domain_of(actor))
        return codes

    async def remove(self, actor: Actor, factor_id: ObjectId, password: Secret) -> None:
        """Remove a device or a passkey; with the last one the recovery codes go, and the password alone logs in.

        Errors: NotAllowed; AuthenticationFailed, TooManyFailures (password); FactorNeeded; NoSuchFactor.
        """
        owner = await self._may_change(actor, password)
        there = await self._factors.factors(owner)
        gone = [each for each in there if each.factor_id == factor_id and each.kind is not FactorKind.RECOVERY]
        if not gone:
            raise NoSuchFactor
        left = [each for each in there if each.factor_id != factor_id]
        if not kinds_of(left):
            gone += [each for each in left if each.kind is FactorKind.RECOVERY]
        await self._remove(owner, gone)
        self._audit.note(actor, "factor.remove", actor.name, self._domain_of(actor), kind=gone[0].kind.value)

    async def list_of(self, actor: Actor, address: Address) -> Sequence[Factor]:
        """Give the factors of an account or user, to an administrator. Errors: NotAllowed, NoSuchUser."""
        actor.must_be_admin()
        return await self._factors.factors(await self._users.owner_at(address))

    async def remove_all(self, actor: Actor, address: Address) -> int:
        """Remove all factors of an account or user, as when the telephone is lost; sessions of browsers end, too.

        Give how many there were. Errors: NotAllowed, NoSuchUser.
        """
        actor.must_be_admin()
        owner = await self._users.owner_at(address)
        count = await self._factors.remove_factors(owner, None, None)
        await self._factors.remove_sessions(owner)
        self._audit.note(actor, "factor.remove-all", address.key, address.domain, count=str(count))
        return count

    # inside

    async def _may_change(self, actor: Actor, password: Secret) -> str:
        """Give the owner, after the password, and (where one is on) the second factor, were shown just now."""
        owner = _own(actor)
        await self._second_factors.must_be_shown(owner, actor.strong_at)
        assert actor.address is not None  # or it had no owner
        shown = await self._users.check_password(actor.address.key, password, Peer(actor.peer, 0), "web")
        if owner_of(shown.user_id, shown.account_id) != owner:  # the address was another's before
            raise AuthenticationFailed
        return owner

    async def _check_mail_programs(
        self, actor: Actor, there: Sequence[Factor], mail_programs: MailPrograms | None
    ) -> None:
        """Errors: PolicyRefused, where the first second factor would come as a surprise to mail programs."""
        if kinds_of(there) or actor.account_id is None:
            return
        app_passwords = (await self.outlook(actor)).app_passwords
        if mail_programs is None:
            raise PolicyRefused(
                "With a second factor, mail programs log in with app passwords only, the main password no longer "
                f"works in them. There are {len(app_passwords)} app passwords now. Say that mail programs have theirs "
                f"({MailPrograms.APP_PASSWORDS}), or that there are no mail programs ({MailPrograms.NONE})"
            )
        if mail_programs is MailPrograms.APP_PASSWORDS and not app_passwords:
            raise PolicyRefused("There is no app password yet; make one for each mail program first")

    async def _turned_on(
        self, actor: Actor, owner: str, before: Sequence[Factor], kind: FactorKind
    ) -> tuple[Secret, ...]:
        self._audit.note(actor, "factor.add", actor.name, self._domain_of(actor), kind=kind.value)
        if any(each.kind is FactorKind.RECOVERY for each in before):
            return ()
        return await self._make_recovery_codes(owner, before)

    async def _make_recovery_codes(self, owner: str, before: Sequence[Factor]) -> tuple[Secret, ...]:
        codes = tuple(_new_recovery_code() for _ in range(RECOVERY_CODES))
        now = self._clock.now()
        made = [
            Factor(
                factor_id=new_object_id(),
                owner=owner,
                kind=FactorKind.RECOVERY,
                label="",
                created_at=now,
                secret=sha256(code.reveal().replace("-", "").encode()).digest(),
            )
            for code in codes
        ]
        # The old ones first: of two who make codes at once, neither may keep codes that the other believes gone.
        await self._remove(owner, [each for each in before if each.kind is FactorKind.RECOVERY])
        await self._factors.add_factors(made)
        return codes

    async def _remove(self, owner: str, factors: Sequence[Factor]) -> None:
        if factors:
            await self._factors.remove_factors(owner, [each.factor_id for each in factors], None)

    def _domain_of(self, actor: Actor) -> str:
        return actor.address.domain if actor.address is not None else ""


def _own(actor: Actor) -> str:
    """Give the owner that the actor is, when it came in as itself: not by app password, not by token.

    Errors: NotAllowed.
    """
    if actor.app_password_id is not None or actor.token_id is not None or actor.address is None:
        raise NotAllowed
    if actor.account_id is None and actor.user_id is None:
        raise NotAllowed
    return owner_of(actor.user_id, actor.account_id)


def _checked_label(label: str) -> str:
    """Errors: PolicyRefused."""
    if not label.strip() or len(label) > LABEL_CHARACTERS_MAX or not label.isprintable():
        raise PolicyRefused(f"A label has 1 to {LABEL_CHARACTERS_MAX} printable characters")
    return label.strip()


def _new_recovery_code() -> Secret:
    letters = "".join(secrets.choice(APP_PASSWORD_ALPHABET) for _ in range(RECOVERY_LETTERS))
    return Secret("-".join((letters[:5], letters[5:10], letters[10:16], letters[16:])))
