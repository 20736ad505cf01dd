"""Calendars of a sealed account: a request with its password opens them, one without finds a door that is closed now."""

from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.usecases.sealed_accounts import SealedAccounts
from mailstead.wiring.house import ADMINISTRATOR
from services.dav.asking import PASSWORD, asking

ALICE = "alice@example.test"
EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//y\r\nBEGIN:VEVENT\r\nUID:one\r\nDTSTAMP:20261101T000000Z\r\n"
    "DTSTART:20261102T000000Z\r\nSUMMARY:private\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


async def test_a_request_with_the_password_opens_a_sealed_account(tmp_path):
    async with asking(tmp_path) as dav:
        house = dav.house
        await dav.ask("PROPFIND", f"/dav/{ALICE}/", depth="1")  # its first calendar is made
        found = await house.storage.directory.find(Address.parse(ALICE))
        store = house.storage.accounts.of(found.account_id).dav
        collection = next(each for each in await store.collections() if each.kind is CollectionKind.CALENDAR)
        path = f"/dav/{ALICE}/{collection.name}/one.ics"
        assert (await dav.ask("PUT", path, EVENT, content_type="text/calendar")).status == 201
        await house.sealed_accounts.seal(
            ADMINISTRATOR, found.address, Secret(PASSWORD), SealedAccounts.new_recovery_key(), Peer("127.0.0.1", 0)
        )
        await house.unlocking.lock(found.account_id)
        refused = await dav.ask("GET", path, by="bob@example.test")
        assert refused.status in {403, 404, 503}
        assert b"private" not in refused.body
        assert not house.storage.sealed.is_open(found.account_id)
        assert b"SUMMARY:private" in (await dav.ask("GET", path)).body
        assert house.storage.sealed.is_open(found.account_id)
