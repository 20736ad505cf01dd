"""How somebody wants the web to be: of accounts, and of users without one."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, PolicyRefused
from mailstead.model.people import owner_of
from mailstead.model.preferences import Preferences
from mailstead.policy.preferences import check, image_sender, shows_images_of
from mailstead.ports.storage import Storage


class OwnPreferences:
    """Every verb begins with an actor, whose own preferences alone are reached. Errors of all: NotAllowed, for nobody.

    A user who is an account has the account's.
    """

    def __init__(self, storage: Storage) -> None:
        self._preferences: Final = storage.preferences

    async def get(self, actor: Actor) -> Preferences:
        """All of them; what was never set as `Preferences()` has it."""
        return await self._preferences.preferences(_owner(actor))

    async def change(self, actor: Actor, change: Callable[[Preferences], Preferences]) -> Preferences:
        """Make of what is there what `change` gives, with addresses in one form; it may run twice.

        Errors: PolicyRefused, LimitReached, for what may not stand there; nothing is changed then.
        """

        def checked(before: Preferences) -> Preferences:
            after = change(before)
            check(after)
            return replace(
                after,
                default_identity=image_sender(after.default_identity) if after.default_identity else "",
                identities={image_sender(address): text for address, text in after.identities.items()},
                image_senders=tuple(sorted({image_sender(each) for each in after.image_senders})),
            )

        owner = _owner(actor)
        before = await self._preferences.preferences(owner)
        after = checked(before)
        if after.time_zone != before.time_zone:
            _check_zone(after.time_zone)
        return await self._preferences.change(owner, checked)

    async def show_images_of(self, actor: Actor, sender: str, *, are_shown: bool = True) -> Preferences:
        """From now on show remote images of a sender (or of all at ``@domain``) unasked, or no more.

        Errors: PolicyRefused, LimitReached.
        """
        named = image_sender(sender)

        def change(before: Preferences) -> Preferences:
            others = tuple(each for each in before.image_senders if each != named)
            return replace(before, image_senders=(*others, named) if are_shown else others)

        return await self.change(actor, change)

    async def shows_images_of(self, actor: Actor, sender: str) -> bool:
        """Whether remote images of a sender are shown unasked."""
        return shows_images_of(await self.get(actor), sender)


def _owner(actor: Actor) -> str:
    if actor.account_id is None and actor.user_id is None:
        raise NotAllowed
    return owner_of(actor.user_id, actor.account_id)


def _check_zone(name: str) -> None:
    """Errors: PolicyRefused."""
    if not name:
        return
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise PolicyRefused("There is no such time zone; one is written Europe/Berlin") from None
