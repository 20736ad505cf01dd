"""The ``.env`` of Forward Email's self-hosted edition, read as settings of ours.

Every name of its reference is known, and for each it is told what follows from it here. What belongs to single domains
(keys, webhooks) is told with the command that does it.

Spec: reference forwardemail, sections 2.5 and 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mailstead.model.errors import BadSettings
from mailstead.policy.chatmail_ini import Fate

DEPTH_MAX: Final = 10
"""Of values that refer to others."""
_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_QUOTED: Final = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?""")
_NAME: Final = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)i?B?", re.IGNORECASE)
_DURATION: Final = re.compile(r"([0-9]+)\s*(ms|s|m|h|d|w|y)?", re.IGNORECASE)
_IN_DAYS: Final = {"ms": 1 / 86_400_000, "s": 1 / 86_400, "m": 1 / 1440, "h": 1 / 24, "d": 1.0, "w": 7.0, "y": 365.25}


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a file comes to."""

    domain: str
    fates: tuple[Fate, ...]

    @property
    def settings(self) -> Mapping[str, str]:
        """The server's settings: ``section.name`` → text."""
        return {name: text for fate in self.fates for name, text in fate.settings.items()}


def read_env(text: str) -> Adopted:
    """Read the text of a ``.env``. Errors: BadSettings."""
    values = _values(text)
    if not values:
        raise BadSettings("That is no .env: it has no line NAME=value")
    expanded = {name: _expanded(name, values) for name in values}
    return Adopted(expanded.get("DOMAIN", "").lower(), tuple(_fate(name, expanded) for name in expanded))


def _values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise BadSettings(f"That is no .env: the line {line[:40]!r} is not NAME=value")
        quoted = _QUOTED.fullmatch(found[2])
        values[found[1]] = quoted[2] if quoted else re.split(r"(?:^|\s)#", found[2], maxsplit=1)[0].rstrip()
    return values


def _expanded(name: str, values: Mapping[str, str]) -> str:
    """Put in what ``{{NAME}}`` stands for."""
    text = values[name]
    for _ in range(DEPTH_MAX):
        if not _NAME.search(text):
            return text
        text = _NAME.sub(lambda found: values.get(found[1], ""), text)
    raise BadSettings(f"{name} refers to itself")


def _fate(name: str, values: Mapping[str, str]) -> Fate:
    value = values[name]
    shown = "(hidden)" if _SECRET.search(name) and value else value
    read = _SETTINGS.get(name)
    if read is not None:
        try:
            settings = read(value, values) if value else {}
        except ValueError as error:
            raise BadSettings(f"{name} = {shown}: {error}") from None
        told = "; ".join(
            f"{key} = {'(hidden)' if _SECRET.search(key.upper()) else text}" for key, text in settings.items()
        )
        return Fate(name, shown, "", told or "empty, or as it is here unless you say otherwise", settings)
    for pattern, text in _TOLD:
        if pattern.fullmatch(name):
            return Fate(name, shown, "", text)
    return Fate(name, shown, "", "not known here, nor to Forward Email's reference: look for a slip of the pen")


_Read = Callable[[str, Mapping[str, str]], Mapping[str, str]]


def _to(setting: str) -> _Read:
    return lambda value, _: {setting: value}


def _number(setting: str) -> _Read:
    def read(value: str, _: Mapping[str, str]) -> Mapping[str, str]:
        if not value.isascii() or not value.isdigit():
            raise ValueError("a number")
        return {setting: value}

    return read


def _size(setting: str) -> _Read:
    def read(value: str, _: Mapping[str, str]) -> Mapping[str, str]:
        found = _SIZE.fullmatch(value)
        if found is None:
            raise ValueError("a size such as 50MB")
        return {setting: str(int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " ")))}

    return read


def _days(setting: str) -> _Read:
    def read(value: str, _: Mapping[str, str]) -> Mapping[str, str]:
        found = _DURATION.fullmatch(value)
        if found is None:
            raise ValueError("a duration such as 7d")
        return {setting: str(max(1, round(int(found[1]) * _IN_DAYS[(found[2] or "ms").lower()])))}

    return read


def _listen(setting: str) -> _Read:
    def read(value: str, _: Mapping[str, str]) -> Mapping[str, str]:
        if not value.isascii() or not value.isdigit():
            raise ValueError("a port")
        return {setting: f":{value}"}

    return read


def _list(setting: str) -> _Read:
    return lambda value, _: {setting: ",".join(entry.strip() for entry in value.split(",") if entry.strip())}


def _bucket(value: str, values: Mapping[str, str]) -> Mapping[str, str]:
    """Backups of ours go beside those of the other, never among them."""
    del values
    return {"backup.target": f"s3://{value}/mailstead"}


def _region(value: str, values: Mapping[str, str]) -> Mapping[str, str]:
    del values
    return {} if value == "auto" else {"backup.s3_region": value}


_SECRET: Final = re.compile(r"SECRET|PASS|KEY(?!_SELECTOR)|TOKEN|CREDENTIAL|_URI$")

_SETTINGS: Final[Mapping[str, _Read]] = {
    "MX_HOST": _to("server.hostname"),
    "MX_PORT": _listen("mx.listen"),
    "SMTP_PORT": _listen("submission.listen_tls"),
    "IMAP_PORT": _listen("imap.listen_tls"),
    "POP3_PORT": _listen("pop3.listen_tls"),
    "SMTP_MESSAGE_MAX_SIZE": _size("smtp.message_octets_max"),
    "MAX_RECIPIENTS": _number("smtp.recipients_max"),
    "ALLOWLIST": _list("policy.allowlist"),
    "DENYLIST": _list("policy.denylist"),
    "LOG_RETENTION": _days("trace.kept_days"),
    "BACKUP_BUCKET": _bucket,
    "AWS_ENDPOINT_URL": _to("backup.s3_endpoint"),
    "AWS_REGION": _region,
    "AWS_ACCESS_KEY_ID": _to("backup.s3_access_key_id"),
    "AWS_SECRET_ACCESS_KEY": _to("backup.s3_secret_access_key"),
}
"""What they read raises ValueError with what is expected."""

_NO_SERVERS: Final = "there are no database servers here: each account is a file"
_LATER: Final = "of the web pages and the log-in of people, which come with a later release"
_OTHERWISE: Final = "decided otherwise here: see the settings of policy, limits and queue"
_TOLD: Final = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"DOMAIN", "make it with `mailstead domain add`"),
        (r"DKIM_(PRIVATE_KEY_(PATH|VALUE)|KEY_SELECTOR|DOMAIN_NAME)",
         "take the key over with `mailstead dkim import`, or publish the new one of `mailstead dns`"),
        (r"\w+_SSL_(KEY|CERT|CA)_PATH",
         "a path in the other's container: set tls.certificate_file and tls.key_file to where the files are here"),
        (r"MAX_FORWARDED_ADDRESSES", "of each domain here: `mailstead domain set DOMAIN targets_per_alias_max=...`"),
        (r"WEBHOOK_SIGNATURE_KEY", "of each domain here: `mailstead domain set DOMAIN webhook_key=...`"),
        (r"SRS_SECRET", "made from the master key here; bounces to addresses rewritten by the other are refused"),
        (r"TXT_ENCRYPTION_KEY", "encrypted TXT values are not read here: write them plainly, or make aliases"),
        (r"(HELPER_ENCRYPTION_KEY(_LEGACY)?|API_SECRETS|API_RESTRICTED_SYMBOL|GPG_SECURITY_(KEY|PASSPHRASE))",
         "secures what the other has stored; here there is one master key"),
        (r"SMTP_TRANSPORT_(USER|PASS|HOST|PORT|SECURE)", "the server's own mails need no account here"),
        (r"(\w+_)?(MONGO|REDIS)_\w+", _NO_SERVERS),
        (r"SQLITE_\w+", _NO_SERVERS),
        (r"(WEB|API|CALDAV|CARDDAV|SMTP|MX|MX1|MX2|IMAP|POP3)_(HOST|PORT|PROTOCOL|URL)|WEBSITE_URL|SMTP_EXCHANGE_DOMAINS",
         "one host name is enough here: server.hostname, and what `mailstead dns` says of the domains"),
        (r"HTTP_(PROTOCOL|PORT)|PROXY_PORT", "see web.listen and web.listen_tls"),
        (r"(NODE_ENV|SELF_HOSTED|IMAGE_TAG|COMPOSE_PROFILES|DEBUG|TRANSPORT_DEBUG|SEND_EMAIL|PREVIEW_EMAIL|CACHE_RESPONSES)",
         "of the other's programs; nothing here needs it"),
        (r"ENABLE_MONITOR_SERVER|TURNSTILE_\w+|I18N_\w+|AXE_\w+|OLLAMA_\w+|LANCEDB_\w+|MAIL_\w+",
         "of the other's programs; nothing here needs it"),
        (r"AUTH_\w+|VERIFICATION_PIN_\w+|RESET_TOKEN_\w+|CHANGE_EMAIL_\w+|APP_(NAME|COLOR)|VANITY_DOMAINS", _LATER),
        (r"EMAIL_RETENTION|ANALYTICS_RETENTION", "see queue.finished_kept_s; nothing is analysed"),
        (r"EMAIL_\w+|REMOVED_EMAIL_DOMAIN", "make the addresses as accounts or aliases of the domain"),
        (r"SMTP_ALLOW_INSECURE_AUTH|SMTP_TLS_(MIN|MAX)_VERSION",
         "nobody logs in in clear text here; TLS 1.2 is the oldest, client_tls_version_min of a domain asks for more"),
        (r"TRUTH_SOURCES|\w+_SPAM_MONITOR_ONLY", _OTHERWISE),
        (r"SMTP_\w*(SUSPENSION|RATE_LIMIT|PISCINA|THREADS|IDLE_TIMEOUT)\w*", _OTHERWISE),
        (r"IGNORED_SELF_TEST_DOMAINS|(API_)?RATELIMIT_\w+|WS_TRUST_PROXY", _OTHERWISE),
        (r"SUPPORT_REQUEST_MAX_LENGTH|TXT_RECORD_PREFIX", _OTHERWISE),
        (r"APPLE_\w+|APNS_\w+|FCM_\w+|VAPID_\w+|DOMAIN_CONNECT_\w+", "not offered here yet"),
    )
)  # fmt: skip
"""The first that fits."""
