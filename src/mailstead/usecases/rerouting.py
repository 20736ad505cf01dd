"""What waits in the queue once more, by the way that mail goes now."""

from __future__ import annotations

from mailstead.model.queue import NewItem, QueueItem
from mailstead.usecases.routes import Routes


async def rerouted(item: QueueItem, octets: bytes, routes: Routes) -> NewItem:
    """Give the item anew, with the same ends and terms, its recipients routed as if it had just been accepted."""
    recipients = [await routes.to_address(each.recipient, item.domain, each.via) for each in item.recipients]
    return NewItem(
        queue_id=item.queue_id,
        kind=item.kind,
        mail_from=item.mail_from,
        recipients=tuple(recipients),
        octets=octets,
        accepted_at=item.accepted_at,
        expires_at=item.expires_at,
        domain=item.domain,
        account_id=item.account_id,
        notify_to=item.notify_to,
        body=item.body,
        smtputf8=item.smtputf8,
        ret=item.ret,
        envid=item.envid,
        require_tls=item.require_tls,
        tls_optional=item.tls_optional,
        priority=item.priority,
        message_id=item.message_id,
    )
