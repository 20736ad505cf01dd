"""Folders of an account: its mailboxes. Spec: reference forwardemail 4.4, 4.10 (Folder)."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Final, Literal

from pydantic import Field

from mailstead.model.mailbox import DELIMITER
from mailstead.model.place import Place
from mailstead.services.api.endpoints import Answer, Auth, Call, Endpoint, Listed, Model, Right, Shown
from mailstead.services.api.paging import listing_of
from mailstead.services.api.values import Moment
from mailstead.usecases.folders import RETENTION_DAYS_MAX, Folder, FolderChange


class FoldersAsked(Listed):
    """Which folders."""

    subscribed: bool | None = None


class FolderMade(Model):
    """A folder to be made."""

    path: str


class FolderChanged(Model):
    """What is to change."""

    path: str | None = None
    subscribed: bool | None = None
    retention: Annotated[int, Field(ge=0, le=RETENTION_DAYS_MAX)] | None = None
    """For how many days messages are kept; 0: for ever."""


class FolderShown(Shown):
    """A folder."""

    id: str
    object: Literal["folder"] = "folder"
    path: str
    name: str
    parent: str | None
    """Path of the folder that it lies in."""
    uid_validity: int
    uid_next: int
    modify_index: int
    subscribed: bool
    flags: list[str]
    retention: int
    special_use: str | None
    created_at: Moment | None = None
    updated_at: Moment | None = None


async def list_folders(call: Call) -> Answer:
    """Give a page, INBOX first."""
    page = await call.house.folders.find(call.actor, listing_of(call.query), is_subscribed=call.query.subscribed)
    return Answer([_shown(each) for each in page.items], page=page)


async def create_folder(call: Call) -> Answer:
    """Make one."""
    folder = await call.house.folders.create(call.actor, call.body.path)
    return Answer(_shown(folder), headers={"location": f"/v1/folders/{folder.place.object_id}"})


async def show_folder(call: Call) -> Answer:
    """Give one, by id or path."""
    return Answer(_shown(await call.house.folders.show(call.actor, call.path["folder_id"])))


async def change_folder(call: Call) -> Answer:
    """Rename, subscribe, set the retention."""
    asked: FolderChanged = call.body
    change = FolderChange(asked.path, asked.subscribed, asked.retention)
    return Answer(_shown(await call.house.folders.change(call.actor, call.path["folder_id"], change)))


async def delete_folder(call: Call) -> Answer:
    """Remove one with its messages."""
    return Answer(_shown(await call.house.folders.delete(call.actor, call.path["folder_id"])))


def _shown(folder: Folder) -> FolderShown:
    mailbox = folder.mailbox
    parent, _, name = mailbox.name.rpartition(DELIMITER)
    return FolderShown(
        id=Place(mailbox.mailbox_id, mailbox.uidvalidity).object_id,
        path=mailbox.name,
        name=name,
        parent=parent or None,
        uid_validity=mailbox.uidvalidity,
        uid_next=mailbox.uidnext,
        modify_index=mailbox.highestmodseq,
        subscribed=mailbox.is_subscribed,
        flags=[mailbox.special_use] if mailbox.special_use else [],
        retention=folder.retention_days,
        special_use=mailbox.special_use,
    )


_endpoint: Final = partial(Endpoint, tag="folders", auth=Auth.ALIAS, right=Right.CALLER, shows=FolderShown)
_ONE: Final = "/v1/folders/{folder_id}"

ENDPOINTS: Final = (
    _endpoint(
        "GET",
        "/v1/folders",
        "list-folders",
        "Folders, INBOX first",
        handler=list_folders,
        query=FoldersAsked,
        shows=list[FolderShown],
    ),
    _endpoint(
        "POST", "/v1/folders", "create-folder", "Make a folder", handler=create_folder, body=FolderMade, status=201
    ),
    _endpoint("GET", _ONE, "show-folder", "One folder, by id or path", handler=show_folder),
    _endpoint(
        "PUT",
        _ONE,
        "change-folder",
        "Rename a folder, subscribe to it, set its retention",
        handler=change_folder,
        body=FolderChanged,
    ),
    _endpoint("DELETE", _ONE, "delete-folder", "Remove a folder with its messages", handler=delete_folder),
)
