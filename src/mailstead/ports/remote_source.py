"""Mailboxes elsewhere, read and never written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from mailstead.model.ids import Uid, UidValidity
from mailstead.model.remote_imports import RemoteMailbox, RemoteMessage, RemoteServer
from mailstead.model.secret import Secret


class OpenedRemote(NamedTuple):
    """A mailbox that was opened for reading."""

    uidvalidity: UidValidity
    message_count: int


class RemoteSession(Protocol):
    """One connection, logged in. Errors of all verbs: SourceFailed, after which the session is of no use."""

    @property
    def has_labels(self) -> bool:
        """Whether mailboxes are labels there, as with Gmail."""

    async def mailboxes(self, *, with_sizes: bool = True) -> list[RemoteMailbox]:
        """What can be opened there, by name, with counts; sizes where they can be had at bearable cost."""

    async def open(self, name: str) -> OpenedRemote:
        """Open a mailbox, which changes nothing in it. Errors: NoSuchMailbox."""

    async def listing(self, after: Uid, limit: int) -> Sequence[RemoteMessage]:
        """Up to `limit` messages of the open mailbox whose UIDs are above `after`, ascending; none: that is all."""

    async def octets(self, messages: Sequence[RemoteMessage]) -> Mapping[Uid, bytes | None]:
        """The octets of some messages; None: larger than is taken; missing: gone meanwhile, or never given."""


class RemoteSource(Protocol):
    """Where sessions come from."""

    def connect(self, server: RemoteServer, password: Secret) -> AbstractAsyncContextManager[RemoteSession]:
        """Connect with verified TLS and log in; the end of the context closes.

        Hosts that are not on the public Internet are refused, unless a setting allows them (attack row 37).
        Errors: SourceRefused, which trying again does not mend; SourceFailed.
        """
