"""What is done over the API is told to IMAP sessions that are open, and the reverse."""

from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.proto.imap.connection import ImapLimits
from mailstead.services.imap.session import ImapService
from services.api.asking import PASSWORD, asking
from services.imap.conftest import House


async def test_sessions_and_programs_see_each_other(tmp_path):
    async with asking(tmp_path) as api:
        peer = Peer("192.0.2.1", 50000, 2993, tls_version="TLSv1.3")
        alice = await api.house.accounts.log_in("alice@example.test", Secret(PASSWORD), peer, "imap")
        service = ImapService(api.house.mailboxes, api.house.accounts, ImapLimits(), "imap.example.test")
        imap = House(api.house.storage, service, alice, alice).session(alice)
        await imap.greeting()
        await imap("SELECT INBOX")

        made = (await api.ask("POST", "/v1/messages", {"raw": "Subject: one\r\n\r\nbody\r\n"})).json()
        assert "* 1 EXISTS" in await imap("NOOP")
        await api.ask("PUT", f"/v1/messages/{made['id']}", {"flags": "\\Flagged", "labels": "shop"})
        [told] = [line for line in await imap("NOOP") if "FETCH" in line]
        assert "\\Flagged" in told
        assert "shop" in told

        await imap("STORE 1 +FLAGS (\\Seen)")
        shown = (await api.ask("GET", f"/v1/messages/{made['id']}")).json()
        assert (shown["is_unread"], shown["is_flagged"], shown["labels"]) == (False, True, ["shop"])
        await imap("CREATE Work")
        assert (await api.ask("GET", "/v1/folders/Work")).status == 200
        await imap("MOVE 1 Work")
        [moved] = (await api.ask("GET", "/v1/messages?folder=Work")).json()
        assert moved["subject"] == "one"

        await imap("SELECT Work")
        await imap.send(b"i IDLE\r\n")
        assert (await imap.line()).startswith("+")
        await api.ask("DELETE", f"/v1/messages/{moved['id']}")
        assert await imap.line() == "* 1 EXPUNGE"
        await imap.send(b"DONE\r\n")
        await imap.lines_until("i")
        await api.ask("POST", "/v1/folders", {"path": "Made/Here"})
        assert any('"Made/Here"' in line or "Made/Here" in line for line in await imap('LIST "" "Made/*"'))
        await imap.close()
