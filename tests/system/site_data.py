"""What stands in a house so that the pages of administration have something to show."""

from datetime import timedelta

from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.people import Group
from mailstead.model.queue import (
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    Outcome,
    RecipientState,
    RemoteReply,
    Suppression,
)
from mailstead.model.reports import Report, ReportRow
from mailstead.model.secret import Secret
from mailstead.model.statistics import Amounts
from mailstead.model.trace import TraceEvent
from mailstead.wiring.house import ADMINISTRATOR

QUEUE_ID, HELD_ID = "5f0c9a6be2d14c01", "5f0c9a6be2d14c02"
CAROL = Address.parse("carol@elsewhere.test")
MESSAGE_ID = "<letter-1@example.test>"
PLACES = {"queue_id": QUEUE_ID, "user_id": str(CAROL)}
"""Of path parameters."""


async def put(house, queue_id, *domains, is_held=False, domain="example.test"):
    """Queue a message of Alice's for Bob at each of the domains."""
    now = house.clock.now()
    await house.storage.queue.put(
        [
            NewItem(
                queue_id,
                ItemKind.SUBMISSION,
                Address.parse(f"alice@{domain}"),
                tuple(
                    NewRecipient(Recipient(Address("bob", name)), Destination(DestinationKind.DOMAIN, name))
                    for name in domains
                ),
                b"From: alice@example.test\r\n\r\nHello\r\n",
                now,
                now + timedelta(days=5),
                domain=domain,
                message_id=MESSAGE_ID,
                is_held=is_held,
            )
        ]
    )


async def fill(house):
    """Put it there."""
    now = house.clock.now()
    await put(house, QUEUE_ID, "far.test", "slow.test")
    (delivery,) = await house.storage.queue.lease(now + timedelta(seconds=2), now + timedelta(minutes=1), 1, 1)
    reply = RemoteReply(451, "4.7.1", "come <again> later", "mx.far.test", "192.0.2.7", "verified")
    outcomes = [
        Outcome(each.recipient_id, RecipientState.WAITING, reply, now + timedelta(minutes=20))
        for each in delivery.item.recipients
    ]
    await house.storage.queue.settle(delivery, outcomes)
    await put(house, HELD_ID, "far.test", is_held=True)
    await house.storage.queue.suppress(Suppression(Address("gone", "far.test"), "550 5.1.1 no such user", now))
    for step, decision, reason in (
        ("received", "", "812 octets by ESMTPSA"),
        ("dkim", "pass", "example.test s1"),
        ("spf", "softfail", "~all"),
        ("junk-filter", "junk", "95% like what you call junk"),
        ("queued", "", "submission to far.test"),
        ("attempt", "deferred", "to far.test (verified)"),
    ):
        house.storage.trace.record(
            TraceEvent(
                now,
                QUEUE_ID,
                "out",
                step,
                decision,
                reason,
                "alice@example.test",
                "bob@far.test" if step in {"queued", "attempt"} else "",
                MESSAGE_ID,
                "192.0.2.7",
                "451 4.7.1 come <again> later" if step == "attempt" else "",
                "example.test",
            )
        )
    for kind, rows in (
        (
            "dmarc",
            (
                ReportRow(40, "192.0.2.1", "none", "spf=pass dkim=pass header_from=example.test"),
                ReportRow(7, "198.51.100.9", "reject", "spf=fail dkim=fail header_from=example.test"),
            ),
        ),
        ("tls", (ReportRow(30, "mail.example.test", "success", "sts"), ReportRow(2, "", "starttls-not-supported"))),
    ):
        await house.storage.reports.add(
            Report(kind, "example.test", "Receiver <Ltd>", "r-1", now - timedelta(days=1), now, now, rows)
        )
    for hours in range(48):
        at = now - timedelta(hours=hours)
        added = {"mail_in": 20 + hours % 7, "mail_out": hours % 5, "refused unknown": hours % 3, "junk": 1}
        await house.storage.statistics.record(
            at, Amounts(added, highest={"queue_length": hours % 4}, latest={"storage_octets": 10**7 - hours * 10**4})
        )
    carol = await house.users.create(ADMINISTRATOR, CAROL, Secret("carols very own words"), given_name="Carol")
    await house.members.add(ADMINISTRATOR, "example.test", carol, Group.ADMIN)
    await house.members.invite(ADMINISTRATOR, "example.test", Address.parse("dave@elsewhere.test"), Group.USER)
    await house.users.tokens.create(ADMINISTRATOR, "Script", user=carol)
    await house.audit.settle()
