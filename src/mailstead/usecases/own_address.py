"""What the owner of an account sees of himself over the API, and what his programs keep there of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchAccount, NotAllowed, PolicyRefused
from mailstead.model.mailbox import Usage
from mailstead.model.people import AddressEntry, DomainEntry
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage

SETTINGS_OCTETS_MAX: Final = 64 * 1024
"""Of all that programs keep, as JSON."""
SECTIONS: Final = ("mail", "label_settings", "aliases")
FOLDERS: Final = ("archive_folder", "sent_folder", "drafts_folder")
LABEL_FIELDS: Final = ("name", "color", "hidden", "source")
SOURCES: Final = ("custom", "system", "imported")
LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")
_KEYWORD: Final = re.compile(r"[A-Za-z0-9$\\][\w.-]{0,99}")
_COLOR: Final = re.compile(r"#(?:[0-9A-Fa-f]{6}|[0-9A-Fa-f]{8})")
_TEXT_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class OwnAddress:
    """An account as its owner sees it."""

    account: Account
    entry: AddressEntry
    domain: DomainEntry
    usage: Usage


class OwnAddresses:
    """Errors of all verbs: NotAllowed for who is no account; NoSuchAccount for one that is gone."""

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._people = storage.people
        self._clock = clock

    async def get(self, actor: Actor) -> OwnAddress:
        """The actor's account, with what is told of it."""
        if actor.account_id is None:
            raise NotAllowed
        entry = await self._people.address_entry_of_account(actor.account_id)
        if entry is None or not isinstance(entry.owner, Account):
            raise NoSuchAccount
        domain = await self._people.domain_entry(entry.owner.address.domain)
        if domain is None:
            raise NoSuchAccount
        usage = await self._storage.accounts.of(actor.account_id).usage()
        return OwnAddress(entry.owner, entry, domain, usage)

    async def change(
        self, actor: Actor, *, settings: Mapping[str, object] | None = None, locale: str | None = None
    ) -> OwnAddress:
        """Set sections of the settings (each as a whole; others stay) and the locale.

        Errors: PolicyRefused, for a section, label, colour or locale that cannot be.
        """
        own = await self.get(actor)
        profile = own.entry.profile
        if settings is not None:
            merged = {**profile.settings, **checked_settings(settings)}
            if len(msgspec.json.encode(merged)) > SETTINGS_OCTETS_MAX:
                raise PolicyRefused(f"Settings have at most {SETTINGS_OCTETS_MAX} octets")
            profile = replace(profile, settings=merged)
        if locale is not None:
            if not LOCALE.fullmatch(locale):
                raise PolicyRefused("A locale is written en or pt-BR")
            profile = replace(profile, locale=locale)
        address = own.account.address
        profile = replace(profile, updated_at=self._clock.now())
        await self._people.set_address_profile(address.domain, address.local_part, profile)
        return await self.get(actor)


def checked_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """Give sections that may be kept. Spec: reference forwardemail 4.2 (PUT /account). Errors: PolicyRefused."""
    for name, section in settings.items():
        if name not in SECTIONS:
            raise PolicyRefused(f"Settings have the sections {', '.join(SECTIONS)}")
        if not isinstance(section, Mapping):
            raise PolicyRefused(f"The section {name} is an object")
    mail, labels, aliases = (_mapping(settings.get(name)) for name in SECTIONS)
    for name, folder in mail.items():
        if name not in FOLDERS or not _is_text(folder):
            raise PolicyRefused(f"The section mail has {', '.join(FOLDERS)}, which are names of folders")
    for keyword, label in labels.items():
        if not _KEYWORD.fullmatch(keyword):
            raise PolicyRefused("A label begins with a letter, a digit, $ or \\, then has letters, digits, _, . and -")
        _check_label(_mapping(label))
    if aliases.keys() - {"defaults"}:
        raise PolicyRefused("The section aliases has defaults")
    return dict(settings)


def _check_label(label: Mapping[str, object]) -> None:
    if label.keys() - set(LABEL_FIELDS):
        raise PolicyRefused(f"A label has {', '.join(LABEL_FIELDS)}")
    color, name = label.get("color"), label.get("name")
    if color is not None and not (isinstance(color, str) and _COLOR.fullmatch(color)):
        raise PolicyRefused("A colour is written #RRGGBB or #RRGGBBAA")
    if name is not None and not _is_text(name):
        raise PolicyRefused("The name of a label is a text")
    if not isinstance(label.get("hidden", False), bool):
        raise PolicyRefused("A label is hidden or not: true or false")
    if label.get("source", "custom") not in SOURCES:
        raise PolicyRefused(f"The source of a label is one of {', '.join(SOURCES)}")


def _mapping(value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise PolicyRefused("That is to be an object")
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _TEXT_CHARACTERS_MAX and value.isprintable()
