"""How the caller wants the web to be: an account, or a user."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from mailstead.model.preferences import (
    IDENTITIES_MAX,
    IMAGE_SENDERS_MAX,
    SIGNATURE_CHARACTERS_MAX,
    UNDO_S_MAX,
    Density,
    IdentityText,
    Preferences,
    Theme,
    WeekStart,
)
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Model, Right, Shown

Line = Annotated[str, StringConstraints(max_length=320)]
Signature = Annotated[str, StringConstraints(max_length=SIGNATURE_CHARACTERS_MAX)]


class IdentityTextGiven(Model):
    """What goes with one address when its owner writes."""

    display_name: Line = ""
    signature: Signature | None = None
    """Null: the signature for all addresses."""


class PreferencesChange(Model):
    """What is given is changed; lists and `identities` as a whole."""

    language: Line | None = None
    """`en` or `pt-BR`; empty: what the browser asks for."""
    theme: Theme | None = None
    time_zone: Line | None = None
    """Of the IANA database; empty: the browser's."""
    density: Density | None = None
    undo_seconds: Annotated[int, Field(ge=0, le=UNDO_S_MAX)] | None = None
    display_name: Line | None = None
    signature: Signature | None = None
    default_identity: Line | None = None
    identities: Annotated[dict[Line, IdentityTextGiven], Field(max_length=IDENTITIES_MAX)] | None = None
    image_senders: Annotated[list[Line], Field(max_length=IMAGE_SENDERS_MAX)] | None = None
    """Addresses, or `@domain`, whose remote images are shown unasked."""
    has_shortcuts: bool | None = None
    """Whether single keys act on the pages of mail."""
    week_start: WeekStart | None = None
    writes_formatted: bool | None = None
    """Whether a new message begins as formatted text."""


class IdentityTextShown(Shown):
    """What goes with one address."""

    display_name: str
    signature: str | None


class PreferencesShown(Shown):
    """All of them."""

    object: Literal["preferences"] = "preferences"
    language: str
    theme: Theme
    time_zone: str
    density: Density
    undo_seconds: int
    display_name: str
    signature: str
    default_identity: str
    identities: dict[str, IdentityTextShown]
    image_senders: list[str]
    has_shortcuts: bool
    week_start: WeekStart
    writes_formatted: bool


async def show(call: Call) -> Answer:
    """Give them."""
    return Answer(_shown(await call.house.preferences.get(call.actor)))


async def change(call: Call) -> Answer:
    """Change what is given."""
    asked: PreferencesChange = call.body
    values = {name: getattr(asked, name) for name in asked.model_fields_set if getattr(asked, name) is not None}
    if "undo_seconds" in values:
        values["undo_s"] = values.pop("undo_seconds")
    if asked.identities is not None:
        values["identities"] = {key: IdentityText(**given.model_dump()) for key, given in asked.identities.items()}
    if "image_senders" in values:
        values["image_senders"] = tuple(values["image_senders"])
    return Answer(_shown(await call.house.preferences.change(call.actor, lambda before: _replaced(before, values))))


def _replaced(before: Preferences, values: dict[str, Any]) -> Preferences:
    return replace(before, **values)


def _shown(preferences: Preferences) -> PreferencesShown:
    values = asdict(preferences)
    return PreferencesShown(undo_seconds=values.pop("undo_s"), **values)


_PATH: Final = "/v1/preferences"

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        _PATH,
        "show-preferences",
        "How the caller wants the web to be",
        "account",
        Auth.BOTH,
        Right.CALLER,
        show,
        shows=PreferencesShown,
        is_ours=True,
    ),
    Endpoint(
        "PUT",
        _PATH,
        "change-preferences",
        "Change how the web is to be",
        "account",
        Auth.BOTH,
        Right.CALLER,
        change,
        body=PreferencesChange,
        shows=PreferencesShown,
        description="What is left out stays.",
        is_ours=True,
    ),
)
