"""An account's export over the API, and that it can be imported again."""

import io
import zipfile

from services.api.asking import asking


async def test_an_export_holds_all_and_is_nobody_elses(tmp_path):
    async with asking(tmp_path) as api:
        for number, folder in enumerate(("INBOX", "../../etc/Größe", "con"), 1):
            raw = f"From: a@b.test\r\nSubject: {number}\r\n\r\nFrom here\r\n"
            made = await api.ask("POST", "/v1/messages", {"raw": raw, "folder": folder, "labels": "shop"})
            assert made.status == 201, made.body
        await api.ask("POST", "/v1/messages", {"raw": "Subject: bob's\r\n\r\n"}, by="bob@example.test")
        card = {"full_name": "Ada"}
        assert (await api.ask("POST", "/v1/contacts", card)).status == 201
        answer = await api.ask("POST", "/v1/exports")
        assert (answer.status, answer.headers["content-type"]) == (200, "application/zip")
        assert answer.headers["content-disposition"].startswith("attachment")
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            assert archive.testzip() is None
            names = archive.namelist()
            inbox = archive.read("INBOX.mbox")
            [cards] = [name for name in names if name.startswith("contacts/")]
            assert b"FN:Ada" in archive.read(cards)
            assert b"bob's" not in b"".join(map(archive.read, names))
        assert b"Subject: 1\n" in inbox
        assert b"\n>From here\n" in inbox
        assert b"X-Keywords: shop" in inbox
        assert not [name for name in names if ".." in name.split("/") or name.startswith("/") or name == "con.mbox"]
        assert len([name for name in names if name.endswith(".mbox")]) >= 8
        assert (await api.ask("POST", "/v1/exports", by="server admin")).status == 401


async def test_a_large_export_comes_in_pieces(tmp_path):
    async with asking(tmp_path) as api:
        for number in range(3):
            raw = f"Subject: {number}\r\n\r\n" + "".join(f"{index * 7919:x}" for index in range(200_000)) + "\r\n"
            await api.ask("POST", "/v1/messages", {"raw": raw})
        answer = await api.ask("POST", "/v1/exports")
        with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
            assert archive.testzip() is None
            assert archive.read("INBOX.mbox").count(b"\nSubject: ") == 3
