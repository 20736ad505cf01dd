"""A started Mailstead with calendars and contacts, for tests with clients that others wrote."""

from __future__ import annotations

import base64
import http.client
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from system.server import PASSWORD, Server, free_ports


class DavServer(Server):
    """Also answers CalDAV and CardDAV, in clear text on loopback."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.port["dav"], self.port["davs"] = free_ports(2)
        self.settings = {
            "MAILSTEAD_CALDAV_LISTEN": f"127.0.0.1:{self.port['dav']}",
            "MAILSTEAD_CALDAV_LISTEN_TLS": f"127.0.0.1:{self.port['davs']}",
            "MAILSTEAD_DAV_ALLOWS_CLEAR_TEXT": "true",
            **self.settings,
        }

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port['dav']}"

    def add(self, address: str) -> DavPerson:
        """Make an account."""
        self.run("account", "add", address, "--password-stdin", stdin=PASSWORD + "\n")
        return DavPerson(self, address)


@dataclass(frozen=True)
class DavPerson:
    """Somebody with an account, and a plain look at what the server holds."""

    server: DavServer
    address: str

    @property
    def user(self) -> str:
        return quote(self.address, safe="")

    @property
    def calendars(self) -> str:
        return f"/dav/{self.user}/"

    @property
    def addressbooks(self) -> str:
        return f"/dav/{self.user}/addressbooks/"

    def ask(self, method: str, path: str, body: str | bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Ask as this person; gives status, header (names in lower case) and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port["dav"], timeout=30)
        login = base64.b64encode(f"{self.address}:{PASSWORD}".encode()).decode()
        octets = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, octets, {"Authorization": f"Basic {login}", **named})
        answer = connection.getresponse()
        result = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        return result

    def put(self, path: str, body: str, media_type: str = "text/calendar") -> int:
        return self.ask("PUT", path, body.replace("\n", "\r\n"), Content_Type=f"{media_type}; charset=utf-8")[0]

    def hrefs(self, path: str) -> list[str]:
        """Paths of what lies in a collection."""
        status, _, body = self.ask("PROPFIND", path, Depth="1")
        assert status == 207, body
        found = [each.decode() for each in re.findall(rb"<(?:\w+:)?href>([^<]+)</", body)]
        return [href for href in found if href.startswith(path) and href != path]

    def objects(self, path: str) -> dict[str, str]:
        """Everything in a collection: path to text."""
        return {href: self.ask("GET", href)[2].decode() for href in self.hrefs(path) if not href.endswith("/")}


def event(uid: str, summary: str, start: str = "20260310T100000Z", more: str = "") -> str:
    end = start.replace("T10", "T11") if "T10" in start else start
    return (
        f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//Mailstead//tests//EN\nBEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20260101T000000Z\n"
        f"DTSTART:{start}\nDTEND:{end}\nSUMMARY:{summary}\n{more}END:VEVENT\nEND:VCALENDAR\n"
    )


def contact(uid: str, name: str, email: str) -> str:
    family, _, given = name.partition(" ")
    return (
        f"BEGIN:VCARD\nVERSION:3.0\nUID:{uid}\nFN:{name}\nN:{given};{family};;;\nEMAIL;TYPE=WORK:{email}\nEND:VCARD\n"
    )


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_bytes(text.replace("\n", "\r\n").encode())
