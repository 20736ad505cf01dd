"""Contacts. Spec: reference forwardemail 4.3, 4.10 (Contact)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from mailstead.model.people import Page
from mailstead.pim.card_form import CardForm, Labelled, PostalAddress
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.preconditions import etag_field, wanted_etag
from mailstead.services.api.values import Moment
from mailstead.usecases.cards import Cards, ContactWish, ShownContact

CONTENT_OCTETS_MAX: Final = 10 * 1024 * 1024
INLINE_MAX: Final = 200
"""Contacts that are put together on the event loop; more would hold up everybody else."""
_Text = Annotated[str, Field(max_length=1000)]


class LabelledText(Model):
    """An e-mail address or a telephone number."""

    value: _Text
    type: Annotated[str, Field(max_length=60)] = ""


class PostalAddressText(Model):
    """Where somebody lives or works."""

    type: Annotated[str, Field(max_length=60)] = ""
    street: _Text = ""
    city: _Text = ""
    state: _Text = ""
    postal_code: _Text = ""
    country: _Text = ""


def _as_field(name: str) -> Any:
    """A text alone stands for an entry with nothing beside it."""

    def made(value: Any) -> Any:
        return [{name: each} if isinstance(each, str) else each for each in value] if isinstance(value, list) else value

    return BeforeValidator(made, json_schema_input_type=list[dict[str, str] | str])


Entries = Annotated[list[LabelledText], _as_field("value"), Field(max_length=100)]
Addresses = Annotated[list[PostalAddressText], _as_field("street"), Field(max_length=100)]


class ContactBody(Model):
    """A contact: ``content``, a vCard, or what it is made of; of a change only what is to be another."""

    content: Annotated[str, Field(min_length=1, max_length=CONTENT_OCTETS_MAX)] | None = None
    full_name: _Text | None = None
    contact_id: Annotated[str, Field(max_length=200)] = ""
    uid: Annotated[str, Field(max_length=512)] = ""
    emails: Entries | None = None
    phone_numbers: Entries | None = None
    phones: Entries | None = None
    addresses: Addresses | None = None
    is_group: bool | None = None
    etag: Annotated[str, Field(max_length=200)] = ""


class ContactsQuery(Listed):
    """Which contacts."""

    limit: int = Field(100, ge=1, le=10_000)
    q: Annotated[str, Field(max_length=1000)] = ""


class Entry(Shown):
    """An e-mail address or a telephone number, and what it is for."""

    value: str
    type: str


class Contact(Shown):
    """A contact."""

    id: str
    object: Literal["contact"] = "contact"
    uid: str
    full_name: str
    content: str
    etag: str
    is_group: bool
    emails: list[Entry]
    phone_numbers: list[Entry]
    created_at: Moment
    updated_at: Moment


def contact_of(shown: ShownContact) -> Contact:
    """Give a contact as it is shown."""
    view, resource = shown.view, shown.placed.resource
    return Contact(
        id=shown.placed.object_id,
        uid=view.uid,
        full_name=view.full_name,
        content=resource.octets.decode("utf-8", "replace"),
        etag=resource.etag,
        is_group=view.is_group,
        emails=[Entry(value=each.value, type=each.label) for each in view.emails],
        phone_numbers=[Entry(value=each.value, type=each.label) for each in view.phones],
        created_at=resource.created_at,
        updated_at=resource.modified_at,
    )


async def list_contacts(call: Call) -> Answer:
    """Contacts of all address books."""
    page = await _cards(call).find(call.actor, listing_of(call.query))
    shown = [contact_of(each) for each in page.items] if len(page.items) <= INLINE_MAX else await _in_thread(page)
    return Answer(shown, page=Page(tuple(shown), page.item_count))


async def create_contact(call: Call) -> Answer:
    """Make one."""
    return _answer(await _cards(call).create(call.actor, _wish(call)))


async def show_contact(call: Call) -> Answer:
    """Give one."""
    return _answer(await _cards(call).show(call.actor, call.path["contact_id"]))


async def change_contact(call: Call) -> Answer:
    """Change one; what is not named stays."""
    return _answer(await _cards(call).change(call.actor, call.path["contact_id"], _wish(call)))


async def delete_contact(call: Call) -> Answer:
    """Remove one; the answer is as it was."""
    gone = await _cards(call).delete(call.actor, call.path["contact_id"], wanted_etag(call.request))
    return Answer(contact_of(gone))


async def _in_thread(page: Page[ShownContact]) -> list[Contact]:
    return await asyncio.to_thread(lambda: [contact_of(each) for each in page.items])


def _cards(call: Call) -> Cards:
    return call.house.cards


def _answer(shown: ShownContact) -> Answer:
    return Answer(contact_of(shown), headers={"etag": etag_field(shown.placed.resource.etag)})


def _wish(call: Call) -> ContactWish:
    body: ContactBody = call.body
    phones = body.phone_numbers if body.phone_numbers is not None else body.phones
    form = CardForm(
        body.full_name,
        _labelled(body.emails),
        _labelled(phones),
        None
        if body.addresses is None
        else tuple(
            PostalAddress(each.street, each.city, each.state, each.postal_code, each.country, each.type)
            for each in body.addresses
        ),
        body.is_group,
        body.uid,
    )
    content = None if body.content is None else body.content.encode("utf-8", "replace")
    return ContactWish(content, form, body.contact_id, wanted_etag(call.request, body.etag))


def _labelled(entries: list[LabelledText] | None) -> tuple[Labelled, ...] | None:
    return None if entries is None else tuple(Labelled(each.value, each.type) for each in entries)


_OF_ALIAS: Final = (Auth.ALIAS, Right.CALLER)
ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/v1/contacts",
        "list-contacts",
        "Contacts, a page at a time",
        "contacts",
        *_OF_ALIAS,
        list_contacts,
        query=ContactsQuery,
        shows=list[Contact],
        description="Of all address books of the account; `q` searches names, addresses, numbers and notes.",
    ),
    Endpoint(
        "POST",
        "/v1/contacts",
        "create-contact",
        "Make a contact",
        "contacts",
        *_OF_ALIAS,
        create_contact,
        body=ContactBody,
        shows=Contact,
        status=201,
        description="Of a vCard (`content`), which is kept as it is, or of a name and what is to be with it.",
        body_octets_max=CONTENT_OCTETS_MAX + 64 * 1024,
    ),
    Endpoint(
        "GET",
        "/v1/contacts/{contact_id}",
        "show-contact",
        "One contact",
        "contacts",
        *_OF_ALIAS,
        show_contact,
        shows=Contact,
    ),
    Endpoint(
        "PUT",
        "/v1/contacts/{contact_id}",
        "change-contact",
        "Change a contact",
        "contacts",
        *_OF_ALIAS,
        change_contact,
        body=ContactBody,
        shows=Contact,
        description="What is not named stays. With `etag` or `If-Match` only if nobody has changed it meanwhile: 412.",
        body_octets_max=CONTENT_OCTETS_MAX + 64 * 1024,
    ),
    Endpoint(
        "DELETE",
        "/v1/contacts/{contact_id}",
        "delete-contact",
        "Remove a contact",
        "contacts",
        *_OF_ALIAS,
        delete_contact,
        shows=Contact,
    ),
)
