"""What each command does: one coroutine per command, `(session, command) -> Reply`, in a module of its name.

None as reply: the command is answered already, or goes on with a later event. Which state a command needs is known to
the wire's state table and not asked again here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from mailstead.proto.imap.types import commands as wire
from mailstead.services.imap.commands import (
    authenticate,
    close,
    compress,
    copy,
    enable,
    expunge,
    fetch,
    identify,
    idle,
    list_mailboxes,
    mailbox,
    metadata,
    noop,
    notify,
    quota,
    search,
    select,
    sort,
    starttls,
    status,
    store,
    unauthenticate,
)

Run = Callable[[Any, Any], Awaitable[Any]]

COMMANDS: Final[dict[type[wire.Command], Run]] = {
    wire.Noop: noop.noop,
    wire.Id: identify.identify,
    wire.StartTls: starttls.starttls,
    wire.Authenticate: authenticate.authenticate,
    wire.Login: authenticate.login,
    wire.Enable: enable.enable,
    wire.Select: select.select,
    wire.Create: mailbox.create,
    wire.Delete: mailbox.delete,
    wire.Rename: mailbox.rename,
    wire.Subscribe: mailbox.subscribe,
    wire.List: list_mailboxes.list_mailboxes,
    wire.Lsub: list_mailboxes.lsub,
    wire.Namespace: list_mailboxes.namespace,
    wire.Status: status.status,
    wire.Idle: idle.idle,
    wire.GetQuota: quota.get_quota,
    wire.GetQuotaRoot: quota.get_quota_root,
    wire.SetQuota: quota.set_quota,
    wire.GetMetadata: metadata.get_metadata,
    wire.SetMetadata: metadata.set_metadata,
    wire.Notify: notify.notify,
    wire.Compress: compress.compress,
    wire.Unauthenticate: unauthenticate.unauthenticate,
    wire.Check: noop.check,
    wire.Close: close.close,
    wire.Unselect: close.unselect,
    wire.Expunge: expunge.expunge,
    wire.Search: search.search,
    wire.Sort: sort.sort,
    wire.Thread: sort.thread,
    wire.Fetch: fetch.fetch,
    wire.Store: store.store,
    wire.Copy: copy.copy,
    wire.Move: copy.move,
}
"""CAPABILITY and LOGOUT are the connection's own; APPEND and REPLACE come as events of their own (`append`)."""
