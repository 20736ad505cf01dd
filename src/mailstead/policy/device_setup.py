"""How devices are set up in one go: Apple's profile, and what mail programs read from QR codes.

Spec: Apple, Configuration Profile Reference (payloads com.apple.mail.managed, com.apple.caldav.account,
com.apple.carddav.account); Thunderbird, "Export for Mobile" QR code format, version 1; reference chatmail, section 11.1
(``dclogin:``); RFC 5092 §3.2 (IMAP URL); RFC 6068 §2 (mailto).
"""

from __future__ import annotations

import json
import plistlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlencode
from uuid import NAMESPACE_URL, uuid5

from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.policy.client_setup import DAV_PATH, Offer, preferred

_MAIL: Final = ("imap", "submission")
_DELTA_CHAT: Final = {True: "ssl", False: "starttls"}
_THUNDERBIRD: Final = {True: 3, False: 2}
_IMAP, _SMTP, _PASSWORD = 0, 0, 1
_NAME_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class DeviceTerms:
    """What a device is told."""

    hostname: str
    offers: Sequence[Offer]
    address: Address
    name: str = ""
    """Of the person, for what he sends; empty: none."""
    password: Secret | None = field(default=None, repr=False)
    """Of an app; None: the device asks for one."""

    def best(self, service: str) -> Offer | None:
        """Give the best way to a service, if it is offered."""
        return next((each for each in preferred(self.offers) if each.service == service), None)

    @property
    def shown_name(self) -> str:
        """The name, if it can be written in XML; else the address."""
        name = " ".join(self.name.split())[:_NAME_CHARACTERS_MAX]
        return name if name and name.isprintable() else str(self.address)


def apple_profile(terms: DeviceTerms) -> bytes:
    """Write a profile (XML property list) with an account for each service that is offered.

    Its identifiers are the same each time, so that another one of the same address takes the place of the first.
    """
    of = str(terms.address)
    imap, submission = (terms.best(service) for service in _MAIL)
    contents: list[dict[str, Any]] = []
    if imap is not None and submission is not None:
        contents.append(_payload(terms, "mail", "com.apple.mail.managed", of) | _apple_mail(terms, imap, submission))
    for service, kind, prefix in (
        ("caldav", "com.apple.caldav.account", "CalDAV"),
        ("carddav", "com.apple.carddav.account", "CardDAV"),
    ):
        offer = terms.best(service)
        if offer is not None:
            contents.append(_payload(terms, service, kind, of) | _apple_dav(terms, offer, prefix))
    whole = _payload(terms, "", "Configuration", f"Mail: {of}") | {
        "PayloadDescription": f"Mail, calendars and contacts of {of}",
        "PayloadOrganization": terms.hostname,
        "PayloadRemovalDisallowed": False,
        "PayloadContent": contents,
    }
    return plistlib.dumps(whole, sort_keys=True)


def _payload(terms: DeviceTerms, part: str, kind: str, title: str) -> dict[str, Any]:
    """Give what every payload has."""
    of_whole = uuid5(NAMESPACE_URL, f"https://{terms.hostname}/{terms.address.key}")
    place = ".".join(reversed(terms.hostname.split(".")))
    identifier = f"{place}.mailstead.{of_whole}"
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{identifier}.{part}" if part else identifier,
        "PayloadUUID": str(uuid5(of_whole, part) if part else of_whole).upper(),
        "PayloadDisplayName": title,
    }


def _apple_mail(terms: DeviceTerms, imap: Offer, submission: Offer) -> dict[str, Any]:
    address = str(terms.address)
    found: dict[str, Any] = {
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": address,
        "EmailAccountName": terms.shown_name,
        "EmailAddress": address,
        "OutgoingPasswordSameAsIncomingPassword": True,
        "PreventMove": False,
        "PreventAppSheet": False,
    }
    for which, offer in (("Incoming", imap), ("Outgoing", submission)):
        found |= {
            f"{which}MailServerAuthentication": "EmailAuthPassword",
            f"{which}MailServerHostName": terms.hostname,
            f"{which}MailServerPortNumber": offer.port,
            f"{which}MailServerUseSSL": True,  # STARTTLS, too, by the port
            f"{which}MailServerUsername": address,
        }
    if terms.password is not None:
        found["IncomingPassword"] = terms.password.reveal()
    return found


def _apple_dav(terms: DeviceTerms, offer: Offer, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{prefix}AccountDescription": str(terms.address),
        f"{prefix}HostName": terms.hostname,
        f"{prefix}Port": offer.port,
        f"{prefix}UseSSL": True,
        f"{prefix}Username": str(terms.address),
        f"{prefix}PrincipalURL": DAV_PATH,
    }
    if terms.password is not None:
        found[f"{prefix}Password"] = terms.password.reveal()
    return found


def delta_chat(terms: DeviceTerms) -> str | None:
    """Write a log-in for Delta Chat; None without password or server. Spec: reference chatmail, section 11.1."""
    imap, submission = (terms.best(service) for service in _MAIL)
    if terms.password is None or imap is None or submission is None:
        return None
    query = {
        "p": terms.password.reveal(), "v": "1",
        "ih": terms.hostname, "ip": imap.port, "is": _DELTA_CHAT[imap.is_tls],
        "sh": terms.hostname, "sp": submission.port, "ss": _DELTA_CHAT[submission.is_tls],
    }  # fmt: skip
    return f"dclogin:{quote(str(terms.address), safe='@[]:')}?{urlencode(query, quote_via=quote, safe='')}"


def thunderbird_mobile(terms: DeviceTerms) -> str | None:
    """Write an account for Thunderbird on phones, which makes it from a QR code; None where it cannot.

    Spec: Thunderbird, "Export for Mobile" QR code format, version 1 (ASCII addresses only).
    """
    imap, submission = (terms.best(service) for service in _MAIL)
    address = str(terms.address)
    if imap is None or submission is None or not address.isascii():
        return None
    secret = [] if terms.password is None else [terms.password.reveal()]
    account_name = [""] if secret else []  # that of the identity
    servers = [
        [protocol, terms.hostname, offer.port, _THUNDERBIRD[offer.is_tls], _PASSWORD, address]
        for protocol, offer in ((_IMAP, imap), (_SMTP, submission))
    ]
    incoming, outgoing = [*servers[0], *account_name, *secret], [*servers[1], *secret]
    whole = [1, [1, 1], incoming, [[outgoing, [address, terms.shown_name]]]]
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


def imap_url(terms: DeviceTerms) -> str | None:
    """Write where the mail is, without a password. Spec: RFC 5092 §3.2; RFC 8314 §3.2 (TLS from the first octet)."""
    imap = terms.best("imap")
    return imap and f"imap://{quote(str(terms.address), safe='')}@{terms.hostname}:{imap.port}/"


def mailto_url(address: Address) -> str:
    """Write the address for who only wants to write to it. Spec: RFC 6068 §2."""
    return f"mailto:{quote(str(address), safe='@')}"
