"""Command lines to values, strictly: what is not in the grammar is refused, with a reply that says where.

Spec: RFC 5321 §4.1 (commands, paths), RFC 1870 (SIZE), RFC 6152 and RFC 3030 (BODY, BDAT), RFC 6531 (SMTPUTF8),
RFC 3461 (DSN), RFC 4954 (AUTH), RFC 8689 (REQUIRETLS), RFC 4865 (FUTURERELEASE).
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Final

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.model.errors import BadAddress
from mailstead.proto.connection import RemoteProtocolError
from mailstead.proto.smtp.types import Reply, reply
from mailstead.proto.smtp.write import reply_octets

# RFC 5321 §4.1.2:
#   Reverse-path = Path / "<>" ; Path = "<" [ A-d-l ":" ] Mailbox ">" ; A-d-l = At-domain *( "," At-domain )
# A space behind the colon is against §3.3, but harmless, and several scripts and scanners in the field send it.
_PATH: Final = (
    r' *<(?P<route>@[^<>:\s"]+:)?'
    r'(?P<mailbox>"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"@[^<>\s"]+|[^<>\s"]*)>'
    r"(?P<rest>(?: .*)?)"
)
_MAIL: Final = re.compile(f"FROM:{_PATH}", re.IGNORECASE)
_RCPT: Final = re.compile(f"TO:{_PATH}", re.IGNORECASE)
# RFC 5321 §4.1.2:
#   esmtp-param = esmtp-keyword ["=" esmtp-value] ; esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
#   esmtp-value = 1*(%d33-60 / %d62-126)   ; RFC 6531 §3.3 adds UTF8-non-ascii
_PARAMETER: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20=\x7f]+))?")
# RFC 5321 §4.1.1.1: ehlo = "EHLO" SP ( Domain / address-literal )
# (the underscore is not in the grammar, but in many names)
_HELLO_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?|\[[A-Za-z0-9.:-]{2,253}\]")
# RFC 3461 §4: xtext = *( xchar / hexchar ) ; hexchar = "+" two hexadecimal digits in upper case
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR: Final = re.compile(r"\+([0-9A-F]{2})")
_BDAT: Final = re.compile(r"([0-9]{1,19})( LAST)?", re.IGNORECASE)

_BODIES: Final = frozenset({"7BIT", "8BITMIME", "BINARYMIME"})
_NOTIFICATIONS: Final = frozenset({"SUCCESS", "FAILURE", "DELAY"})
ENVID_CHARACTERS_MAX: Final = 100
"""Spec: RFC 3461 §4.4."""
ORCPT_CHARACTERS_MAX: Final = 500
"""Spec: RFC 3461 §4.2."""


class CommandRefusedError(RemoteProtocolError):
    """A command cannot be taken: the reply, and a short fixed word for the metric."""

    def __init__(self, refusal: Reply, reason: str) -> None:
        super().__init__(refusal.text, reply_octets(refusal).rstrip(b"\r\n"))
        self.reply = refusal
        self.reason = reason


def _syntax(text: str, enhanced: str = "5.5.4", code: int = 501) -> CommandRefusedError:
    """Make a refusal for wrong syntax. Spec: RFC 5321 §4.2.4."""
    return CommandRefusedError(reply(code, enhanced, text), "syntax")


def command(line: bytes) -> tuple[str, str]:
    """Split a line into the verb in upper case and the rest. Spec: RFC 5321 §2.4, §4.1.1.

    Errors: CommandRefusedError for octets that are not UTF-8 (RFC 6531 §3.5).
    """
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _syntax("The line is neither ASCII nor UTF-8", "5.5.2", 500) from None
    verb, _, rest = text.partition(" ")
    return verb.upper(), rest


def hello_name(text: str) -> str:
    """Read the argument of EHLO and HELO. Spec: RFC 5321 §4.1.1.1."""
    name = text.rstrip(" ")
    if not _HELLO_NAME.fullmatch(name):
        raise _syntax("The argument is a domain or an address literal")
    return name


def no_argument(verb: str, text: str) -> None:
    """Check that DATA, RSET, QUIT or STARTTLS came alone. Spec: RFC 5321 §4.1.1, RFC 3207 §4."""
    if text.rstrip(" "):
        raise _syntax(f"{verb} takes no argument")


@lru_cache(maxsize=1024)
def _address(text: str) -> Address:
    """Read an address; those of busy correspondents are remembered."""
    return Address.parse(text)


def _path(text: str, bad_enhanced: str) -> Address:
    """Read the mailbox of a path; a source route has been cut off already. Spec: RFC 5321 §4.1.1.3, appendix C."""
    try:
        return _address(text) if len(text) <= 512 else Address.parse(text)
    except BadAddress as error:
        raise _syntax(error.public_text, bad_enhanced, 553) from None


def _parameters(text: str, *, is_extended: bool) -> dict[str, str | None]:
    """Split the parameters behind a path; names in upper case. Spec: RFC 5321 §4.1.1.11."""
    words = text.split()
    if words and not is_extended:
        # RFC 5321 §4.1.1.11 with §3.2: parameters belong to extensions, and HELO has none.
        raise _syntax("Parameters need EHLO", code=555)
    parameters: dict[str, str | None] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if not match:
            raise _syntax("A parameter is written KEYWORD=value")
        name = match.group(1).upper()
        if name in parameters:
            raise _syntax(f"{name} is given twice")
        parameters[name] = match.group(2)
    return parameters


def mail(
    text: str,
    *,
    is_extended: bool,
    message_octets_max: int,
    takes_auth: bool,
    takes_require_tls: bool = False,
    hold_max_s: int = 0,
) -> Envelope:
    """Read what follows ``MAIL``; `hold_max_s`: for how long a release may be put off, 0: not offered.

    Spec: RFC 5321 §4.1.1.2; RFC 1870 §6; RFC 6152 §3; RFC 3030 §3; RFC 6531 §3.4; RFC 3461 §4.3, §4.4; RFC 4954 §5;
    RFC 8689 §2; RFC 4865 §4.
    Errors: CommandRefusedError: 501, 552 (declared too large), 553 (address), 555 (unknown parameter).
    """
    match = _MAIL.fullmatch(text)
    if not match:
        raise _syntax("Syntax: MAIL FROM:<address>", "5.5.2")
    mailbox = match["mailbox"]
    mail_from = _path(mailbox, "5.1.7") if mailbox or match["route"] else None
    if not match["rest"]:
        if not mailbox.isascii():
            raise _syntax("That address needs SMTPUTF8", "5.6.7", 553)
        return Envelope(mail_from)
    parameters = _parameters(match["rest"], is_extended=is_extended)
    body, smtputf8, size, ret, envid = "7BIT", False, None, None, None
    require_tls, hold_for_s, hold_until = False, None, None
    for name, value in parameters.items():
        if name == "SIZE":
            size = _size(value, message_octets_max)
        elif name == "BODY":
            body = (value or "").upper()
            if body not in _BODIES:
                raise _syntax("BODY is 7BIT, 8BITMIME or BINARYMIME")
        elif name == "SMTPUTF8":
            smtputf8 = True
            if value is not None:
                raise _syntax("SMTPUTF8 takes no value")
        elif name == "RET":
            ret = (value or "").upper()
            if ret not in {"FULL", "HDRS"}:
                raise _syntax("RET is FULL or HDRS")
        elif name == "ENVID":
            envid = xtext(value or "", ENVID_CHARACTERS_MAX)
        elif name == "REQUIRETLS" and takes_require_tls:
            require_tls = True
            if value is not None:
                raise _syntax("REQUIRETLS takes no value")
        elif name == "HOLDFOR" and hold_max_s:
            hold_for_s = _hold_for(value, hold_max_s)
        elif name == "HOLDUNTIL" and hold_max_s:
            hold_until = _hold_until(value)
        elif name == "AUTH" and takes_auth:
            # RFC 4954 §5: to be taken and, by who does not trust the client's word, forgotten.
            xtext(value or "", ORCPT_CHARACTERS_MAX)
        else:
            raise CommandRefusedError(reply(555, "5.5.4", f"Unknown parameter {name}"), "unknown-parameter")
    if not (smtputf8 or text.isascii()):
        raise _syntax("That address needs SMTPUTF8", "5.6.7", 553)
    if hold_for_s is not None and hold_until is not None:
        raise _syntax("HOLDFOR and HOLDUNTIL exclude each other")  # RFC 4865 §4.1
    return Envelope(mail_from, (), body, smtputf8, size, ret, envid, require_tls, hold_for_s, hold_until)


def rcpt(text: str, *, is_extended: bool, is_smtputf8: bool, hostname: str) -> Recipient:
    """Read what follows ``RCPT``.

    Spec: RFC 5321 §4.1.1.3; RFC 3461 §4.1, §4.2; RFC 6531 §3.5.
    Errors: CommandRefusedError: 501, 553 (address), 555 (unknown parameter).
    """
    match = _RCPT.fullmatch(text)
    if not match or not match["mailbox"]:
        raise _syntax("Syntax: RCPT TO:<address>", "5.5.2")
    mailbox = match["mailbox"]
    if mailbox.isascii() or is_smtputf8:
        # RFC 5321 §4.1.1.3: "Postmaster" without domain, in any case of letters, is a recipient of its own.
        is_postmaster = mailbox.lower() == "postmaster"
        address = Address("postmaster", hostname) if is_postmaster else _path(mailbox, "5.1.3")
    else:
        raise _syntax("That address needs SMTPUTF8", "5.6.7", 553)
    if not match["rest"]:
        return Recipient(address)
    notify: frozenset[str] = frozenset()
    orcpt = None
    for name, value in _parameters(match["rest"], is_extended=is_extended).items():
        if name == "NOTIFY":
            notify = frozenset((value or "").upper().split(","))
            if notify != {"NEVER"} and not notify <= _NOTIFICATIONS:
                raise _syntax("NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY")
        elif name == "ORCPT":
            kind, semicolon, original = (value or "").partition(";")
            if not semicolon or not re.fullmatch(r"[A-Za-z0-9-]+", kind):
                raise _syntax("ORCPT is written type;address")
            orcpt = f"{kind.lower()};{xtext(original, ORCPT_CHARACTERS_MAX)}"
        else:
            raise CommandRefusedError(reply(555, "5.5.4", f"Unknown parameter {name}"), "unknown-parameter")
    return Recipient(address, notify, orcpt)


def _hold_for(value: str | None, hold_max_s: int) -> int:
    """Read HOLDFOR=. Spec: RFC 4865 §4.1 (future-release-integer)."""
    if not value or not re.fullmatch(r"[1-9][0-9]{0,8}", value):
        raise _syntax("HOLDFOR is a number of seconds")
    if int(value) > hold_max_s:
        raise _syntax(f"HOLDFOR is at most {hold_max_s} seconds here")
    return int(value)


def _hold_until(value: str | None) -> datetime:
    """Read HOLDUNTIL=; how far in the future it may lie is for who knows the time. Spec: RFC 4865 §4.1 (date-time)."""
    try:
        until = datetime.fromisoformat(value or "")
    except ValueError:
        until = None
    if until is None or until.tzinfo is None:
        raise _syntax("HOLDUNTIL is a moment such as 2030-01-01T12:00:00Z")
    return until


def _size(value: str | None, message_octets_max: int) -> int:
    """Read SIZE=, and refuse early what is said to be too large. Spec: RFC 1870 §4, §6.1 (3); attack row 23."""
    # RFC 1870 §4: size-value ::= 1*20DIGIT
    if not value or not re.fullmatch(r"[0-9]{1,20}", value):
        raise _syntax("SIZE is a number")
    size = int(value)
    if size > message_octets_max:
        raise CommandRefusedError(
            reply(552, "5.3.4", f"Messages have at most {message_octets_max} octets here"), "size"
        )
    return size


def xtext(text: str, characters_max: int) -> str:
    """Decode xtext; nothing that breaks a line may come out of it. Spec: RFC 3461 §4; attack rows 5 and 22."""
    if len(text) > characters_max or not _XTEXT.fullmatch(text):
        raise _syntax("A value is not xtext, or too long")
    try:
        decoded = _HEXCHAR.sub(lambda match: chr(int(match.group(1), 16)), text).encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise _syntax("A value is not xtext of UTF-8") from None
    if not decoded.isprintable():
        raise _syntax("A value has a control character")
    return decoded


def bdat(text: str) -> tuple[int, bool]:
    """Read the octet count of a chunk and whether it is the last. Spec: RFC 3030 §2."""
    match = _BDAT.fullmatch(text.rstrip(" "))
    if not match:
        raise _syntax("Syntax: BDAT octets [LAST]")
    return int(match.group(1)), match.group(2) is not None
