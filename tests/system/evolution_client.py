"""Evolution's data server against a server; run by the system's python3 inside `dbus-run-session`; prints JSON.

Arguments: `find` or `use`, address of the server, mail address, password. What `find` finds from the address alone, as
Evolution's assistant for new accounts does, it writes where XDG_CONFIG_HOME says; the data server reads it as it starts,
so `use` needs a session of its own.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import gi

gi.require_version("EDataServer", "1.2")
gi.require_version("ECal", "2.0")
gi.require_version("EBook", "1.2")
from gi.repository import EBook, EBookContacts, ECal, EDataServer, GLib  # noqa: E402

mode, url, user, password = sys.argv[1:]
threading.Thread(target=GLib.MainLoop().run, daemon=True).start()
credentials = EDataServer.NamedParameters.new()
credentials.set(EDataServer.SOURCE_CREDENTIAL_USERNAME, user)
credentials.set(EDataServer.SOURCE_CREDENTIAL_PASSWORD, password)
SOURCES = Path(os.environ["XDG_CONFIG_HOME"], "evolution", "sources")


def find():
    probe = EDataServer.Source.new(None, None)
    probe.get_extension(EDataServer.SOURCE_EXTENSION_AUTHENTICATION).set_user(user)
    probe.get_extension(EDataServer.SOURCE_EXTENSION_WEBDAV_BACKEND)
    found = {}
    supports = EDataServer.WebDAVDiscoverSupports
    SOURCES.mkdir(parents=True)
    for name, wanted, group, backend in (
        ("cal", supports.EVENTS, "Calendar", "caldav"),
        ("book", supports.CONTACTS, "Address Book", "carddav"),
    ):
        answer = EDataServer.webdav_discover_sources_sync(probe, url, wanted, credentials, None)
        found[name] = [
            (each.href, each.display_name) for each in next(each for each in answer if isinstance(each, list))
        ]
        at = urlsplit(found[name][0][0])
        (SOURCES / f"{name}.source").write_text(
            f"[Data Source]\nDisplayName={name}\nEnabled=true\nParent={backend}-stub\n\n[{group}]\nBackendName={backend}\n\n"
            f"[Authentication]\nHost={at.hostname}\nMethod=plain/password\nPort={at.port}\nUser={user}\n\n"
            f"[Security]\nMethod=none\n\n[WebDAV Backend]\nResourcePath={at.path}\n"
        )
    return found


def source(registry, name):
    found = registry.ref_source(name)
    found.connect("credentials-required", lambda *_: found.invoke_authenticate_sync(credentials, None))
    found.invoke_authenticate_sync(credentials, None)
    return found


def use():
    registry = EDataServer.SourceRegistry.new_sync(None)
    calendar = ECal.Client.connect_sync(source(registry, "cal"), ECal.ClientSourceType.EVENTS, 20, None)
    calendar.refresh_sync(None)
    text = (
        "BEGIN:VEVENT\r\nUID:evo-1\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260312T100000Z\r\nDTEND:20260312T110000Z\r\n"
        "SUMMARY:By Evolution\r\nEND:VEVENT\r\n"
    )
    calendar.create_object_sync(
        ECal.Component.new_from_string(text).get_icalcomponent(), ECal.OperationFlags.NONE, None
    )
    book = EBook.BookClient.connect_sync(source(registry, "book"), 20, None)
    book.refresh_sync(None)
    card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:evo-c\r\nFN:Eva Volution\r\nN:Volution;Eva;;;\r\nEND:VCARD\r\n"
    book.add_contact_sync(EBookContacts.Contact.new_from_vcard(card), EBookContacts.BookOperationFlags.NONE, None)
    everybody = EBookContacts.BookQuery.any_field_contains("").to_string()
    end = time.monotonic() + 20
    while True:
        found = {
            "events": sorted(each.get_summary() for each in calendar.get_object_list_sync("#t", None)[1]),
            "contacts": sorted(each.get_property("full-name") for each in book.get_contacts_sync(everybody, None)[1]),
        }
        if all(len(each) >= 2 for each in found.values()) or time.monotonic() > end:
            return found
        time.sleep(0.1)  # a refresh is only begun when it is asked for, and nothing here tells its end


print(json.dumps(find() if mode == "find" else use()), flush=True)
os._exit(0)  # its threads would wait for the bus
