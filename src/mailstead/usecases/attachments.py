"""Attachments of calendar objects that the server keeps, so that not every change sends them again.

The object names an attachment by its URL and managed id. Who may read the object may read what is attached to it; it
goes with the object.

Spec: RFC 8607 §3.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailstead.model.dav import ALWAYS, Attachment, CollectionId, CollectionKind, Precondition
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadObject, LimitReached, MailsteadError, NoSuchAccount, NoSuchResource, NotAllowed
from mailstead.model.ids import AccountId
from mailstead.pim.calendar_object import CalendarObject, calendar_object
from mailstead.pim.component import Component, Property, write
from mailstead.pim.own_instances import own_instance
from mailstead.ports.storage import Storage
from mailstead.usecases.calendar_objects import CalendarObjects
from mailstead.usecases.collections import Collections, Opened
from mailstead.usecases.resources import Written, must_write, off_loop

FILE_NAME_MAX: Final = 200
MASTER: Final = "M"
"""The rid of the object itself, beside its instances. Spec: RFC 8607 §3.3.2."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is to be attached."""

    file_name: str
    media_type: str
    octets: bytes = field(repr=False)


class Attachments:
    """Attaches, replaces, removes and gives out."""

    def __init__(self, storage: Storage, collections: Collections, objects: CalendarObjects) -> None:
        self._storage = storage
        self._collections = collections
        self._objects = objects
        self._terms = objects.terms

    async def add(
        self,
        opened: Opened,
        name: str,
        file: NewFile,
        precondition: Precondition = ALWAYS,
        rids: Sequence[str] = (),
    ) -> tuple[Written, str]:
        """Attach a file to an object, or to some of its instances; gives its managed id, too.

        Spec: RFC 8607 §3.5.
        Errors: NotAllowed, NoSuchResource, PreconditionFailed, BadObject (with the condition), OverQuota.
        """
        must_write(opened)
        self._must_fit(file)
        resource = await self._objects.get(opened, name)
        if len(await opened.store.attachments(resource.resource_id)) >= self._terms.attachments_max:
            raise BadObject("The object has too many attachments", condition="max-attachments-per-resource")
        attachment = Attachment(
            secrets.token_hex(16), resource.resource_id, _file_name(file.file_name), file.media_type, file.octets
        )
        prop = self._property(opened.owner, attachment)

        def attach(parsed: CalendarObject) -> None:
            for component in _chosen(parsed, rids):
                component.properties.append(prop)

        return await self._exchanged(opened, name, attach, precondition, new=attachment), attachment.managed_id

    async def update(
        self, opened: Opened, name: str, managed_id: str, file: NewFile, precondition: Precondition = ALWAYS
    ) -> tuple[Written, str]:
        """Put a file in place of another, under a new managed id. Spec: RFC 8607 §3.6. Errors: as `add`."""
        must_write(opened)
        self._must_fit(file)
        old = await self._attached(opened, name, managed_id)
        attachment = Attachment(
            secrets.token_hex(16),
            old.resource_id,
            _file_name(file.file_name) or old.file_name,
            file.media_type,
            file.octets,
        )
        prop = self._property(opened.owner, attachment)

        def exchange(parsed: CalendarObject) -> None:
            for component in parsed.parts:
                component.properties[:] = [prop if _is(each, managed_id) else each for each in component.properties]

        written = await self._exchanged(opened, name, exchange, precondition, new=attachment, old=managed_id)
        return written, attachment.managed_id

    async def remove(
        self,
        opened: Opened,
        name: str,
        managed_id: str,
        precondition: Precondition = ALWAYS,
        rids: Sequence[str] = (),
    ) -> Written:
        """Take an attachment away, from all instances or some. Spec: RFC 8607 §3.7. Errors: as `add`."""
        must_write(opened)
        await self._attached(opened, name, managed_id)
        is_left = False

        def detach(parsed: CalendarObject) -> None:
            nonlocal is_left
            for component in _chosen(parsed, rids):
                component.properties[:] = [each for each in component.properties if not _is(each, managed_id)]
            is_left = any(_is(each, managed_id) for part in parsed.parts for each in part.properties)

        written = await self._exchanged(opened, name, detach, precondition)
        if not is_left:
            await opened.store.delete_attachment(managed_id)
        return written

    async def get(self, actor: Actor, owner_id: AccountId, managed_id: str) -> Attachment:
        """Give an attachment to whoever may read its object. Errors: NoSuchResource, for all others too."""
        owner = await self._storage.directory.account(owner_id)
        if owner is None:
            raise NoSuchResource
        store = self._storage.accounts.of(owner_id).dav
        attachment = await store.attachment(managed_id)
        resource = await store.resource_by_id(attachment.resource_id)
        if not await self._may_read(actor, owner, resource.collection_id):
            raise NoSuchResource
        return attachment

    def url(self, owner: Account, attachment: Attachment) -> str:
        """Give the address of an attachment."""
        return f"{self._terms.base_url}/attachments/{owner.account_id}/{attachment.managed_id}"

    # within

    async def _may_read(self, actor: Actor, owner: Account, collection_id: CollectionId) -> bool:
        own = await self._storage.directory.account(actor.account_id) if actor.account_id is not None else None
        for home in [owner] if own is None or own == owner else [own, owner]:
            try:
                for opened in await self._collections.home(actor, home, CollectionKind.CALENDAR):
                    if (opened.owner.account_id, opened.collection.collection_id) == (owner.account_id, collection_id):
                        return True
            except (NoSuchAccount, NotAllowed):
                continue
        return False

    def _must_fit(self, file: NewFile) -> None:
        if len(file.octets) > self._terms.attachment_octets_max:
            raise BadObject("The attachment is too large", condition="max-attachment-size")

    async def _attached(self, opened: Opened, name: str, managed_id: str) -> Attachment:
        resource = await self._objects.get(opened, name, with_octets=False)
        for each in await opened.store.attachments(resource.resource_id):
            if each.managed_id == managed_id:
                return each
        raise BadObject("The object has no such attachment", condition="valid-managed-id")

    async def _exchanged(
        self,
        opened: Opened,
        name: str,
        change: Callable[[CalendarObject], None],
        precondition: Precondition,
        *,
        new: Attachment | None = None,
        old: str = "",
    ) -> Written:
        """Change the object, and keep the octets of a new attachment just when that has worked."""
        resource = await self._objects.get(opened, name)
        parsed = await off_loop(resource.size_octets, calendar_object, resource.octets)
        change(parsed)
        if precondition.etags is None:
            precondition = Precondition(
                etags=frozenset({resource.etag}),
                absent_etags=precondition.absent_etags,
                schedule_tag=precondition.schedule_tag,
            )
        if new is not None:
            try:
                await opened.store.put_attachment(new)
            except LimitReached:
                raise BadObject(
                    "The object has too many attachments", condition="max-attachments-per-resource"
                ) from None
        try:
            written = await self._objects.put(opened, name, write(parsed.calendar), precondition)
        except MailsteadError:
            if new is not None:
                await opened.store.delete_attachment(new.managed_id)
            raise
        if old:
            await opened.store.delete_attachment(old)
        return written

    def _property(self, owner: Account, attachment: Attachment) -> Property:
        """Spec: RFC 8607 §4."""
        parameters = [
            ("MANAGED-ID", (attachment.managed_id,)),
            ("FMTTYPE", (attachment.media_type,)),
            ("SIZE", (str(len(attachment.octets)),)),
        ]
        if attachment.file_name:
            parameters.append(("FILENAME", (attachment.file_name,)))
        return Property("ATTACH", self.url(owner, attachment), tuple(parameters))


def _chosen(parsed: CalendarObject, rids: Sequence[str]) -> list[Component]:
    """Give the components that are meant: all, or those of some instances.

    Errors: BadObject with ``valid-rid``.
    """
    if not rids:
        return parsed.parts
    found = [parsed.master if rid == MASTER else own_instance(parsed, rid) for rid in rids]
    chosen = [each for each in found if each is not None]
    if len(chosen) < len(found):
        raise BadObject("The object has no such instance", condition="valid-rid")
    return chosen


def _is(prop: Property, managed_id: str) -> bool:
    return prop.name == "ATTACH" and prop.parameter("MANAGED-ID") == managed_id


def _file_name(name: str) -> str:
    """Give a name without folders and controls, not too long. It is data, never a path of ours."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(each for each in last if each.isprintable())[:FILE_NAME_MAX]
