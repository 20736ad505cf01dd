"""A chatmail relay's configuration: from `chatmail.ini`, or from a container's environment.

Keys become terms of the relay's domain, or settings of the whole server. Every key that a relay has had is known, and
for each it is told what follows from it here.

Spec: reference chatmail, sections 2.1 (environment) and 3 (keys).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, ip_address
from typing import Final, NamedTuple

from mailstead.model.errors import BadSettings
from mailstead.policy.domain_terms import LANGUAGES

SECTION: Final = "params"
_SIZE: Final = re.compile(r"([0-9]+)\s*([KMGT]?)B?", re.IGNORECASE)


class Fate(NamedTuple):
    """What follows from one key."""

    key: str
    value: str
    term: str
    """The domain's term that it becomes; empty: none."""
    text: str
    """The term's value, or why there is none and what to do."""
    settings: Mapping[str, str] = {}
    """The server's settings that it becomes: ``section.name`` → text."""


@dataclass(frozen=True, slots=True)
class Relay:
    """What a configuration comes to."""

    domain: str
    terms: Mapping[str, str]
    """As `domain_terms.changed_terms` reads them."""
    fates: tuple[Fate, ...]

    @property
    def settings(self) -> Mapping[str, str]:
        """The server's settings of all keys."""
        return {name: text for fate in self.fates for name, text in fate.settings.items()}


def read_ini(text: str) -> Relay:
    """Read the text of a `chatmail.ini`. Errors: BadSettings."""
    return _relay(_ini_values(text))


def read_environment(environ: Mapping[str, str], ini: str = "") -> Relay | None:
    """Read a relay's variables, keys in upper case, above the text of its `chatmail.ini`, if it has one.

    None: there is neither ``MAIL_DOMAIN`` nor an ini. Errors: BadSettings.
    """
    if not ini and not environ.get("MAIL_DOMAIN"):
        return None
    values = _ini_values(ini) if ini else {}
    known = ("mail_domain", *_TERMS, *_SETTINGS, *_ELSEWHERE)
    return _relay({**values, **{key: environ[key.upper()] for key in known if key.upper() in environ}})


def _ini_values(text: str) -> Mapping[str, str]:
    """Errors: BadSettings."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise BadSettings(f"That is no chatmail.ini: {str(error).splitlines()[0]}") from None
    if not parser.has_section(SECTION):
        raise BadSettings(f"That is no chatmail.ini: it has no section [{SECTION}]")
    return dict(parser.items(SECTION))


def _relay(values: Mapping[str, str]) -> Relay:
    name = (values.get("mail_domain") or values.get("mailname") or "").strip().lower()
    if not name:
        raise BadSettings("The configuration has no mail_domain")
    terms: dict[str, str] = {}
    fates = [Fate("mail_domain", name, "", f"the domain {_domain(name)}")]
    for key, value in values.items():
        if key in {"mail_domain", "mailname"}:
            continue
        fate = _fate(key, value.strip())
        fates.append(fate)
        if key == "delete_accounts_after" and values.get("delete_inactive_users_after"):
            fates[-1] = Fate(key, fate.value, "", "its successor delete_inactive_users_after is there, too, and counts")
        elif fate.term:
            terms[fate.term] = fate.text
        if key == "turn_socket_path" and fate.settings:
            terms.setdefault("turn_server", f"{name}:3478")
    return Relay(_domain(name), terms, tuple(fates))


def _fate(key: str, value: str) -> Fate:
    known = _TERMS.get(key)
    if known is not None:
        term, read = known
        if not value and term not in _MAY_BE_EMPTY:
            return Fate(key, value, "", "empty: the default stays")
        if key == "www_folder" and value == "disabled":
            return Fate(key, value, "", "pages are always there; leave web out of server.services to have none")
        try:
            return Fate(key, value, term, read(value))
        except ValueError as error:
            raise BadSettings(f"{key} = {value}: {error}") from None
    if key in _SETTINGS:
        try:
            settings = _SETTINGS[key](value)
        except ValueError as error:
            raise BadSettings(f"{key} = {value}: {error}") from None
        text = "; ".join(f"{name} = {value}" for name, value in settings.items())
        return Fate(key, value, "", text or "empty or off, as it is here unless you say otherwise", settings)
    return Fate(key, value, "", _ELSEWHERE.get(key, "not known here, nor to a relay: look for a slip of the pen"))


def _domain(name: str) -> str:
    try:
        return f"[{IPv4Address(name)}]"
    except AddressValueError:
        return name


def _same(value: str) -> str:
    return value


def _size(value: str) -> str:
    """Sizes of a relay: ``500M``, ``1G``, a bare number in megabytes."""
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError("a size such as 500M or 1G")
    return f"{found[1]}{found[2].upper() or 'M'}"


def _octets(value: str) -> str:
    """Octets, or with a unit behind them, as the environment may have it."""
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError("a number of octets, or one with K, M, G or T behind it")
    return f"{found[1]}{found[2].upper()}"


def _words(value: str) -> str:
    return ",".join(value.split())


def _languages(value: str) -> str:
    words = [word.lower() for word in value.replace(",", " ").split()]
    return ",".join(LANGUAGES if "all" in words else words)


def _count_for(setting: str) -> Callable[[str], Mapping[str, str]]:
    def read(value: str) -> Mapping[str, str]:
        if value and not (value.isascii() and value.isdigit()):
            raise ValueError("a number")
        return {setting: value} if value else {}

    return read


def _when(word: str, settings: Mapping[str, str]) -> Callable[[str], Mapping[str, str]]:
    return lambda value: settings if value.lower() == word else {}


def _text_for(setting: str) -> Callable[[str], Mapping[str, str]]:
    return lambda value: {setting: value} if value else {}


def _certificate(value: str) -> Mapping[str, str]:
    files = value.split()
    if len(files) not in {0, 2}:
        raise ValueError("two paths, of the certificate and of its key")
    return dict(zip(("tls.certificate_file", "tls.key_file"), files, strict=False))


def _metrics_place(value: str) -> Mapping[str, str]:
    """The relay's metrics are on port 3903 of that address."""
    if not value:
        return {}
    address = ip_address(value)
    return {"server.metrics_listen": f"[{address}]:3903" if address.version == 6 else f"{address}:3903"}


_ONLY_IPV4: Final = {"server.ip_version": "4", "relay.ip_version": "4"}

_SETTINGS: Final[Mapping[str, Callable[[str], Mapping[str, str]]]] = {
    "max_imap_connections": _count_for("imap.connections_max"),
    "max_smtp_connections": _count_for("submission.connections_max"),
    "tls_external_cert_and_key": _certificate,
    "disable_ipv6": _when("true", _ONLY_IPV4),
    "use_ipv6": _when("false", _ONLY_IPV4),
    "mtail_address": _metrics_place,
    "acme_email": _text_for("acme.email"),
    "turn_socket_path": _text_for("chatmail.turn_socket"),
    "imap_rawlog": _when("true", {"server.transcript": "true", "server.log_level": "debug"}),
    "path_to_ssl": lambda value: _certificate(f"{value}/fullchain {value}/privkey") if value else {},
    "certs_monitoring_timeout": _count_for("tls.watch_s"),
}
"""Of the whole server here. What they read raises ValueError with what is expected."""

_TERMS: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = {
    "max_user_send_per_minute": ("sends_per_minute", _same),
    "max_user_send_burst_size": ("send_burst", _same),
    "max_mailbox_size": ("account_quota_octets", _size),
    "max_message_size": ("message_octets_max", _octets),
    "delete_mails_after": ("mails_kept_days", _same),
    "delete_large_after": ("large_mails_kept_days", _same),
    "delete_accounts_after": ("idle_accounts_kept_days", _same),
    "delete_inactive_users_after": ("idle_accounts_kept_days", _same),
    "username_min_length": ("username_length_min", _same),
    "username_max_length": ("username_length_max", _same),
    "password_min_length": ("password_length_min", _same),
    "max_load_1m": ("load_max", _same),
    "min_available_memory": ("memory_available_octets_min", _size),
    "min_free_disk_space": ("disk_free_octets_min", _size),
    "www_folder": ("www_folder", _same),
    "iroh_relay": ("iroh_relay", _same),
    "privacy_postal": ("privacy_postal", _same),
    "privacy_mail": ("privacy_mail", _same),
    "privacy_pdo": ("privacy_pdo", _same),
    "privacy_supervisor": ("privacy_supervisor", _same),
    "passthrough_senders": ("cleartext_senders", _words),
    "passthrough_recipients": ("cleartext_recipients", _words),
    "invite_token": ("invite_tokens", _words),
    "languages": ("languages", _languages),
}
_MAY_BE_EMPTY: Final = frozenset(
    {
        "www_folder", "iroh_relay", "privacy_postal", "privacy_mail", "privacy_pdo", "privacy_supervisor",
        "cleartext_senders", "cleartext_recipients", "invite_tokens",
    }
)  # fmt: skip

_HOP: Final = "an inner hop that does not exist here: one process does it all"
_KERNEL: Final = "not needed: nothing of the machine is changed, and an idle connection takes no inotify watch here"
_ELSEWHERE: Final[Mapping[str, str]] = {
    "imap_compress": "always offered: an idle connection costs little here, compressed or not",
    "filtermail_smtp_port": _HOP,
    "filtermail_smtp_port_incoming": _HOP,
    "filtermail_http_port_incoming": _HOP,
    "filtermail_http_port": _HOP,
    "filtermail_lmtp_port_transport": _HOP,
    "postfix_reinject_port": _HOP,
    "postfix_reinject_port_incoming": _HOP,
    "mailboxes_dir": "where the relay's mail is, to be imported from",
    "passdb_path": "an account database of old; log in once on the relay, or let people log in anew",
    "ssh_host": "of the relay's deployment; nothing is deployed from afar here",
    "tmpfs_index": "there are no index files here",
    "dkim_selector": "keys are made with the domain: see `mailstead dkim list`",
    "allow_account_autocreation": "set the domain's opens_accounts to yes or no",
    "use_foreign_cert_manager": "not needed: where path_to_ssl or tls.certificate_file is set, none is ordered here",
    "change_kernel_settings": _KERNEL,
    "fs_inotify_max_user_instances_and_watchers": _KERNEL,
    "is_development_instance": "there is no banner of a trial on the pages here; a page of your own may have one",
    "debug_commands_enabled": "not needed: `mailstead doctor` shows what is wrong, server.transcript all that is said",
    "force_reinit_ini_file": "not needed: the variables count anew at each start, above the file",
    "recreate_venv": "not needed: nothing is installed at a start; another version is another image",
    "ini_file": "read where the file is there; without it the variables are enough",
    "enable_certs_monitoring": "always on: new files are taken over while the server runs; how often says tls.watch_s",
}
