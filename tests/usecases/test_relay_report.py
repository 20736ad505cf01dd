"""The relay's own numbers, under its own names."""

from datetime import timedelta

from prometheus_client import REGISTRY

from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.message import NewMessage
from mailstead.model.secret import Secret
from mailstead.telemetry import metrics
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.relay_report import RelayReports


async def test_accounts_and_messages_are_counted(storage, accounts, domains, admin, clock):
    await domains.add(admin, "chat.test", "chatmail")
    await domains.add(admin, "ord.test")
    log_ins, today = LastLogIns(storage, clock), clock.now().date()
    for name, domain, days in (("user12345", "chat.test", 0), ("user12346", "chat.test", 35), ("ci-123456", "chat.test", 0),
                               ("bob", "ord.test", 0)):  # fmt: skip
        account = await accounts.create(admin, Address(name, domain), Secret("a password"))
        await log_ins.set(account.account_id, today - timedelta(days=days))
        for size in (100, 200_000):
            octets = b"Subject: x\r\n\r\n" + b"x" * (size - 14)
            message = NewMessage(octets, message_facts(octets), clock.now())
            await storage.accounts.of(account.account_id).append("INBOX", [message])
    reports = RelayReports(storage, log_ins)
    values = (await reports.count(clock.now())).values()
    assert values["chatmail_accounts"] == {"all": 3, "ci": 1, "user": 2}
    assert values["chatmail_accounts_active"] == {"1": 1, "10": 1, "30": 1, "40": 2, "80": 2, "100": 2, "150": 2}
    assert (values["chatmail_messages_count"]["0"], values["chatmail_messages_count"]["102400"]) == (6, 3)
    assert values["chatmail_storage_bytes"]["messages"] == 3 * 200_100
    assert (await reports.daily(clock.now())).account_count == 3
    assert REGISTRY.get_sample_value("chatmail_accounts", {"kind": "user"}) == 2
    assert await reports.daily(clock.now()) is None


def test_counters_have_the_relay_s_names():
    before = REGISTRY.get_sample_value("created_accounts")
    metrics.count_as_relay("created_accounts", "delivered_mail", by=2)
    assert REGISTRY.get_sample_value("created_accounts") == before + 2
