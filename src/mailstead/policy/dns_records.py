"""The records that a mail domain and its mail host publish, why each of them, and how a zone file writes them.

Spec: RFC 1035 §5.1 (zone files), §3.3.14 (strings of 255 octets).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from mailstead.model.directory import DomainTerms, KeyState
from mailstead.policy.client_setup import DAV_PATH, SRV_LABELS, Offer
from mailstead.policy.names import DMARC_REPORTS, TLS_REPORTS
from mailstead.policy.sts_policy import policy_id, policy_text
from mailstead.policy.web_key import HOST_LABEL

TTL_S: Final = 3600
STRING_OCTETS_MAX: Final = 255

AUTHORITIES: Final = {
    "let's encrypt": "letsencrypt.org",
    "zerossl": "sectigo.com",
    "sectigo": "sectigo.com",
    "google trust services": "pki.goog",
    "digicert": "digicert.com",
    "buypass": "buypass.com",
    "actalis": "actalis.it",
    "ssl.com": "ssl.com",
}
"""Of well-known certificate authorities, the name in a CAA record. Spec: RFC 8659 §4.2."""

_WHOLE: Final = {
    "submission": "sending",
    "imap": "reading by IMAP",
    "pop3": "fetching by POP3",
    "sieve": "filters (ManageSieve)",
    "caldav": "calendars (CalDAV)",
    "carddav": "contacts (CardDAV)",
}


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish."""

    purpose: str
    """A short fixed word: ``mx``, ``spf``, ``dkim`` …"""
    name: str
    """Without final dot."""
    kind: str
    value: str
    """As in a zone file; a TXT without quotes."""
    why: str
    is_optional: bool = False
    is_template: bool = False
    """Something in it is for the reader to fill in."""


@dataclass(frozen=True, slots=True)
class MailHost:
    """What is known of the host that all our domains share."""

    hostname: str
    addresses: tuple[str, ...] = ()
    """Public IP addresses."""
    offers: tuple[Offer, ...] = ()
    key_digest: str = ""
    """SHA-256 of the public key of its certificate, in hex; empty: not known."""
    authority: str = ""
    """Organization that has issued the certificate."""


@dataclass(frozen=True, slots=True)
class PublishedSelector:
    """A DKIM key as it stands in the DNS."""

    name: str
    record: str
    algorithm: str
    state: KeyState


def records_of_host(host: MailHost) -> Iterator[Record]:
    """Give what the mail host itself needs, once for all domains."""
    name = host.hostname
    for address in host.addresses:
        kind = "A" if ip_address(address).version == 4 else "AAAA"
        yield Record(
            "host", name, kind, address, f"Address of the mail host. Its reverse name (PTR) must be {name}; "
            "that is set where the address comes from, at the hosting provider."
        )  # fmt: skip
    if not host.addresses:
        yield Record(
            "host", name, "A", "<public IPv4 address>", "Address of the mail host, which this machine does not know "
            f"(is it behind NAT?); likewise AAAA. Its reverse name (PTR) must be {name}.", is_template=True
        )  # fmt: skip
    yield Record(
        "helo", name, "TXT", "v=spf1 a -all", "SPF of the name that we greet with: what counts for bounces (RFC 7208 "
        "§2.3).", is_optional=True
    )  # fmt: skip
    if host.key_digest:
        yield Record(
            "tlsa", f"_25._tcp.{name}", "TLSA", f"3 1 1 {host.key_digest}", "DANE: the key of our certificate, so that "
            "nobody can stand in for us. Only with DNSSEC. It stays while the key stays; before a certificate with "
            "another key is put to use, publish its record beside this one and wait two hours.", is_optional=True
        )  # fmt: skip
    yield _caa(host)


def _caa(host: MailHost) -> Record:
    """Spec: RFC 8659 §4.2."""
    why = "Only this authority may issue certificates for the host."
    for name, domain in AUTHORITIES.items():
        if name in host.authority.lower():
            return Record("caa", host.hostname, "CAA", f'0 issue "{domain}"', why, is_optional=True)
    hint = f"{why} Put in the name that your authority tells (for Let's Encrypt: letsencrypt.org)."
    return Record("caa", host.hostname, "CAA", '0 issue "<your authority>"', hint, is_optional=True, is_template=True)


def records_of_domain(
    domain: str, terms: DomainTerms, host: MailHost, selectors: Sequence[PublishedSelector], smarthost: str = ""
) -> Iterator[Record]:
    """Give what one domain needs; `smarthost` is the host through which its mail leaves, if not by ourselves."""
    yield Record("mx", domain, "MX", f"10 {host.hostname}.", "Mail for the domain goes to our host.")
    yield _spf(domain, terms, smarthost)
    yield from map(_dkim, selectors)
    yield Record(
        "dmarc", f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=quarantine; rua=mailto:{DMARC_REPORTS}@{domain}",
        "What others shall do with mail in the domain's name that is not from it, and where reports go: to this "
        f"server, which shows them (`mailstead reports {domain}`). If others send for you, begin with p=none; when "
        "the reports hold no surprise, p=reject."
    )  # fmt: skip
    yield from _transport(domain, terms, host)
    yield from _for_clients(domain, host)


def _spf(domain: str, terms: DomainTerms, smarthost: str) -> Record:
    """Spec: RFC 7208 §4.5, §5.4 (mx), §5.6 (ip4, ip6)."""
    sources = [f"ip4:{terms.source_ipv4}"] if terms.source_ipv4 else []
    sources += [f"ip6:{terms.source_ipv6}"] if terms.source_ipv6 else []
    if smarthost:
        value = " ".join(("v=spf1 mx", *sources, f"a:{smarthost} ~all"))
        why = f"Who may send for the domain. Your mail leaves through {smarthost}: ask there for the right include:."
        return Record("spf", domain, "TXT", value, why)
    why = "Who may send for the domain: our host. Add include: of other services that send in its name."
    return Record("spf", domain, "TXT", " ".join(("v=spf1 mx", *sources, "-all")), why)


def _dkim(selector: PublishedSelector) -> Record:
    """Spec: RFC 6376 §3.6.1, RFC 8463 §4."""
    why = {
        KeyState.ACTIVE: "signs our mail",
        KeyState.PENDING: "will sign once it is activated; publish it before",
        KeyState.RETIRED: "signs no more; keep it until mail signed with it has arrived, then `mailstead dkim remove`",
    }[selector.state]
    return Record("dkim", selector.name, "TXT", selector.record, f"DKIM key ({selector.algorithm}): {why}.")


def _transport(domain: str, terms: DomainTerms, host: MailHost) -> Iterator[Record]:
    """Spec: RFC 8461 §3.1, RFC 8460 §3."""
    name = f"mta-sts.{domain}"
    yield Record(
        "mta-sts-host", name, "CNAME", f"{host.hostname}.", "Where others fetch our MTA-STS policy, over HTTPS from "
        f"the service web; the certificate must have the name {name}, too.", is_optional=True
    )  # fmt: skip
    text = policy_text(terms.mta_sts_mode, host.hostname)
    yield Record(
        "mta-sts", f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={policy_id(text)}", "MTA-STS: mail to us goes over "
        f"verified TLS only (mode {terms.mta_sts_mode}). The id changes with the policy. Publish it when the policy "
        "can be fetched.", is_optional=True
    )  # fmt: skip
    yield Record(
        "tls-rpt", f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua=mailto:{TLS_REPORTS}@{domain}",
        "Others report to this server when TLS to us fails.", is_optional=True
    )  # fmt: skip


def _for_clients(domain: str, host: MailHost) -> Iterator[Record]:
    """Spec: RFC 6186 §3 and §3.4 (a lone dot: not offered), RFC 8314 §5.1, RFC 6764 §3, §4."""
    offered = {(offer.service, offer.is_tls): offer.port for offer in reversed(host.offers)}
    for key, label in SRV_LABELS.items():
        service, is_tls = key
        how = f"{_WHOLE[service]} with {'TLS' if is_tls else 'STARTTLS'}"
        name = f"{label}._tcp.{domain}"
        if port := offered.get(key):
            priority = 0 if is_tls or service == "sieve" else 10
            value = f"{priority} 1 {port} {host.hostname}."
            yield Record("srv", name, "SRV", value, f"Tells mail programs: {how}.", is_optional=True)
            if service in {"caldav", "carddav"}:
                where = f"Where they begin: {_WHOLE[service]}."
                yield Record("srv-path", name, "TXT", f"path={DAV_PATH}", where, is_optional=True)
        elif service != "sieve":
            yield Record("srv", name, "SRV", "0 0 0 .", f"Not offered: {how}.", is_optional=True)
    for label, whom in (("autoconfig", "Thunderbird and others find"), ("autodiscover", "Outlook and others find")):
        yield Record(
            label, f"{label}.{domain}", "CNAME", f"{host.hostname}.", f"Where {whom} their settings; the "
            f"certificate must have the name {label}.{domain}, too.", is_optional=True
        )  # fmt: skip
    name = f"{HOST_LABEL}.{domain}"
    yield Record(
        "openpgpkey", name, "CNAME", f"{host.hostname}.", "Where others find the OpenPGP keys of the domain's "
        f"addresses (Web Key Directory); the certificate must have the name {name}, too.", is_optional=True
    )  # fmt: skip


def zone_line(record: Record) -> str:
    """Write a record as a line of a zone file; one that is not complete, as a comment. Spec: RFC 1035 §5.1."""
    value = quoted(record.value) if record.kind == "TXT" else record.value
    line = f"{record.name}. {TTL_S} IN {record.kind} {value}"
    return f"; {line}" if record.is_template else line


def quoted(text: str) -> str:
    """Write the value of a TXT record in strings of at most 255 octets. Spec: RFC 1035 §3.3, §5.1."""
    pieces = [text[start : start + STRING_OCTETS_MAX] for start in range(0, len(text), STRING_OCTETS_MAX)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)
