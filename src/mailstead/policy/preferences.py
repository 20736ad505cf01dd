"""What may stand in the preferences of an owner. Pure."""

from __future__ import annotations

import re
from typing import Final

from mailstead.model.address import Address
from mailstead.model.errors import BadAddress, LimitReached, PolicyRefused
from mailstead.model.preferences import (
    IDENTITIES_MAX,
    IMAGE_SENDERS_MAX,
    NAME_CHARACTERS_MAX,
    SIGNATURE_CHARACTERS_MAX,
    UNDO_S_MAX,
    Preferences,
)

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}")
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}")


def check(preferences: Preferences) -> None:
    """Errors: PolicyRefused, LimitReached."""
    if preferences.language and not _LANGUAGE.fullmatch(preferences.language):
        raise PolicyRefused("A language is written en or pt-BR")
    if preferences.time_zone and not _ZONE.fullmatch(preferences.time_zone):
        raise PolicyRefused("A time zone is written Europe/Berlin")
    if not 0 <= preferences.undo_s <= UNDO_S_MAX:
        raise PolicyRefused(f"A message can be taken back for 0 to {UNDO_S_MAX} seconds")
    if len(preferences.identities) > IDENTITIES_MAX:
        raise LimitReached(f"At most {IDENTITIES_MAX} addresses have texts of their own")
    if len(preferences.image_senders) > IMAGE_SENDERS_MAX:
        raise LimitReached(f"Images are shown for at most {IMAGE_SENDERS_MAX} senders")
    _check_name(preferences.display_name)
    _check_signature(preferences.signature)
    for address, text in preferences.identities.items():
        image_sender(address, may_be_domain=False)
        _check_name(text.display_name)
        _check_signature(text.signature or "")
    if preferences.default_identity:
        image_sender(preferences.default_identity, may_be_domain=False)
    for sender in preferences.image_senders:
        image_sender(sender)


def image_sender(text: str, *, may_be_domain: bool = True) -> str:
    """Give an address, or ``@domain``, in the form in which it is compared. Errors: PolicyRefused."""
    is_domain = may_be_domain and text.startswith("@")
    try:
        key = Address.parse(f"x{text}" if is_domain else text).key
    except BadAddress:
        raise PolicyRefused("That is no mail address") from None
    return key[1:] if is_domain else key


def shows_images_of(preferences: Preferences, sender: str) -> bool:
    """Whether remote images of a sender are shown unasked; the caller has seen that the sender is no forgery."""
    try:
        key = Address.parse(sender).key
    except BadAddress:
        return False
    return key in preferences.image_senders or f"@{key.rpartition('@')[2]}" in preferences.image_senders


def _check_name(name: str) -> None:
    if len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        raise PolicyRefused(f"A name is one line of at most {NAME_CHARACTERS_MAX} characters")


def _check_signature(text: str) -> None:
    is_text = all(character.isprintable() or character in "\r\n\t" for character in text)
    if len(text) > SIGNATURE_CHARACTERS_MAX or not is_text:
        raise PolicyRefused(f"A signature is a text of at most {SIGNATURE_CHARACTERS_MAX} characters")
