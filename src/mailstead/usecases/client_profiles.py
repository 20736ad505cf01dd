"""Setting up a device in one go: a profile for Apple's, codes for others, with a password of the device's own.

A profile is given to its owner at once, or behind a link that works once. Of a link only a hash is kept, and what is
behind it is encrypted with the link itself: who reads the store has neither.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import PolicyRefused
from mailstead.model.secret import Secret
from mailstead.policy import device_setup
from mailstead.policy.client_setup import DAV_PATH, Offer, preferred
from mailstead.policy.device_setup import DeviceTerms
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts, NewAppPassword
from mailstead.usecases.publications import HouseOffers

APPLE_MEDIA_TYPE: Final = "application/x-apple-aspen-config"
LIFE: Final = timedelta(minutes=30)
LIFE_MAX: Final = timedelta(days=7)
PATH: Final = "/set-up/"
"""Of links, on the mail host."""
HTTPS_PORT: Final = 443
SCOPES: Final = frozenset({"imap", "smtp", "dav"})
"""What the password of a device is good for."""

_OF_PROFILES: Final = frozenset({"imap", "caldav", "carddav"})
_KIND: Final = "device links"
_USED: Final = "device links used"
_NONCE: Final = bytes(12)
"""Each key encrypts one text."""
_TOKEN_CHARACTERS_MAX: Final = 100
_REFUSED: Final = "This link is not good, or was used already: make a new one"

Sign = Callable[[bytes], Awaitable[bytes | None]]
"""Signs a profile with the house's certificate (CMS); None: there is none that anybody would trust."""


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """A profile for Apple's devices, as it is downloaded."""

    octets: bytes = field(repr=False)
    is_signed: bool
    file_name: str
    media_type: str = APPLE_MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class SetUpCode:
    """A text to be drawn as a QR code, or to be followed."""

    kind: str
    """``apple``, ``delta chat``, ``thunderbird``, ``imap`` or ``mailto``."""
    text: Secret
    """With the password of the device in it, for all but the last two."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a page shows of a device that is being set up; its password is shown this once."""

    app_password: NewAppPassword
    link: Secret
    """Where Apple's devices get the profile, once."""
    ends_at: datetime
    """Of the link."""
    codes: tuple[SetUpCode, ...]


@dataclass(frozen=True, slots=True)
class DeviceLink:
    """What a link leads to, before it is used."""

    address: Address
    has_password: bool


@dataclass(frozen=True, slots=True)
class Servers:
    """What is offered to mail programs, the best way to each service first."""

    hostname: str
    offers: tuple[Offer, ...]

    def best(self, service: str) -> Offer | None:
        """The best way to a service, if it is offered."""
        return next((each for each in self.offers if each.service == service), None)

    @property
    def dav_url(self) -> str:
        """Where programs for calendars and contacts begin; empty: neither is offered. Spec: RFC 6764 §6."""
        offer = self.best("caldav") or self.best("carddav")
        if offer is None:
            return ""
        return f"https://{self.hostname}{'' if offer.port == HTTPS_PORT else f':{offer.port}'}{DAV_PATH}"


class _Behind(msgspec.Struct, array_like=True):
    address: str
    name: str
    password: str | None
    end_s: int


class ClientProfiles:
    """For the account's owner, and who looks after it. `base_url`: of our pages, without slash at the end."""

    def __init__(
        self, storage: Storage, accounts: Accounts, clock: Clock, house: HouseOffers, sign: Sign, *, base_url: str
    ) -> None:
        self._directory = storage.directory
        self._memory = storage.memory
        self._accounts = accounts
        self._clock = clock
        self._house = house
        self._sign = sign
        self._base_url = base_url

    def servers(self) -> Servers:
        """Where mail programs go: for who sets up one by hand."""
        return Servers(self._house.hostname, tuple(preferred(self._house.offers)))

    async def prepare(
        self,
        actor: Actor,
        address: Address,
        label: str,
        *,
        name: str = "",
        life: timedelta = LIFE,
        password: Secret | None = None,
    ) -> Prepared:
        """Make a password for a device, and all that the device can be set up with.

        `name`: of the person, for what he sends. `password`: as of `Accounts.add_app_password`, whose errors it has;
        PolicyRefused, too, where nothing is offered to devices.
        """
        self._check_offers()
        made = await self._accounts.add_app_password(actor, address, label, SCOPES, password=password)
        link, ends_at = await self._link(address, name, made.secret, life)
        terms = self._terms(address, name, made.secret)
        return Prepared(made, link, ends_at, (SetUpCode("apple", link), *_codes(terms)))

    async def apple(
        self, actor: Actor, address: Address, *, name: str = "", secret: Secret | None = None
    ) -> ClientProfile:
        """Give the profile at once, with a password that the owner has, or none: the device then asks for it.

        Errors: NotAllowed, NoSuchAccount; PolicyRefused, where nothing is offered to devices.
        """
        await self._accounts.list_app_passwords(actor, address)  # who may see them may set up devices
        self._check_offers()
        return await self._profile(self._terms(address, name, secret))

    async def codes(self, actor: Actor, address: Address, *, name: str = "") -> tuple[SetUpCode, ...]:
        """Give the codes that need no password; the program then asks for it. Errors: NotAllowed, NoSuchAccount."""
        await self._accounts.list_app_passwords(actor, address)
        return _codes(self._terms(address, name, None))

    async def look(self, token: str) -> DeviceLink:
        """Say what is behind a link, which stays good.

        Errors: PolicyRefused, one and the same for all that is wrong.
        """
        behind = await self._behind(token)
        return DeviceLink(Address.parse(behind.address), behind.password is not None)

    async def take(self, token: str) -> ClientProfile:
        """Give the profile behind a link, which is used up. Errors: PolicyRefused."""
        behind = await self._behind(token)
        now, key = self._clock.now(), _name(token)
        if await self._memory.remember_first(_USED, key, b"1", now, now + LIFE_MAX) is not None:
            raise PolicyRefused(_REFUSED)
        await self._memory.forget(_KIND, [key])
        secret = None if behind.password is None else Secret(behind.password)
        return await self._profile(self._terms(Address.parse(behind.address), behind.name, secret))

    async def _link(self, address: Address, name: str, secret: Secret, life: timedelta) -> tuple[Secret, datetime]:
        token, ends_at = secrets.token_urlsafe(32), self._clock.now() + min(life, LIFE_MAX)
        behind = _Behind(str(address), name, secret.reveal(), int(ends_at.timestamp()))
        octets = ChaCha20Poly1305(_key(token)).encrypt(_NONCE, msgspec.msgpack.encode(behind), None)
        await self._memory.remember(_KIND, {_name(token): octets}, ends_at)
        return Secret(f"{self._base_url}{PATH}{token}"), ends_at

    async def _behind(self, token: str) -> _Behind:
        """Errors: PolicyRefused."""
        now = self._clock.now()
        if not token.isascii() or len(token) > _TOKEN_CHARACTERS_MAX:
            raise PolicyRefused(_REFUSED)
        octets = (await self._memory.recall(_KIND, [_name(token)], now)).get(_name(token))
        if octets is None:
            raise PolicyRefused(_REFUSED)
        try:
            behind = msgspec.msgpack.decode(ChaCha20Poly1305(_key(token)).decrypt(_NONCE, octets, None), type=_Behind)
        except (InvalidTag, msgspec.MsgspecError):
            raise PolicyRefused(_REFUSED) from None
        account = await self._directory.find(Address.parse(behind.address))
        is_over = now > datetime.fromtimestamp(behind.end_s, UTC)
        if is_over or not isinstance(account, Account) or not account.is_enabled:
            raise PolicyRefused(_REFUSED)
        return behind

    def _check_offers(self) -> None:
        """Errors: PolicyRefused."""
        if not {offer.service for offer in self._house.offers} & _OF_PROFILES:
            raise PolicyRefused(
                "This server offers neither IMAP nor calendars nor contacts: there is nothing to set up"
            )

    def _terms(self, address: Address, name: str, secret: Secret | None) -> DeviceTerms:
        return DeviceTerms(self._house.hostname, self._house.offers, address, name, secret)

    async def _profile(self, terms: DeviceTerms) -> ClientProfile:
        octets = device_setup.apple_profile(terms)
        signed = await self._sign(octets)
        file_name = f"{terms.address.domain.strip('[]').replace(':', '-')}.mobileconfig"
        return ClientProfile(octets if signed is None else signed, signed is not None, file_name)


def _codes(terms: DeviceTerms) -> tuple[SetUpCode, ...]:
    texts = {
        "delta chat": device_setup.delta_chat(terms),
        "thunderbird": device_setup.thunderbird_mobile(terms),
        "imap": device_setup.imap_url(terms),
        "mailto": device_setup.mailto_url(terms.address),
    }
    return tuple(SetUpCode(kind, Secret(text)) for kind, text in texts.items() if text)


def _name(token: str) -> str:
    """Under which a link is kept; nothing leads from it to the link or to its key."""
    return sha256(b"name " + token.encode()).hexdigest()


def _key(token: str) -> bytes:
    return sha256(b"key " + token.encode()).digest()
