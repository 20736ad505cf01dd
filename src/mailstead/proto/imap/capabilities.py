"""What the server says it can do, by state. Spec: RFC 9051 §6.1.1, §7.2.2; the registry of IMAP capabilities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailstead.proto.imap.states import State

ALWAYS: Final = ("IMAP4rev1", "IMAP4rev2", "SASL-IR", "ID", "ENABLE")
"""Spec: RFC 3501, RFC 9051, RFC 4959, RFC 2971, RFC 5161."""

BEFORE_LOGIN: Final = ("LITERAL-",)
"""Spec: RFC 7888 §5: non-synchronising literals of at most 4096 octets (attack row 41)."""

AFTER_LOGIN: Final = (
    "LITERAL+",  # RFC 7888; takes the place of LITERAL-, as both at once are forbidden (§5)
    "IDLE",  # RFC 2177
    "NAMESPACE",  # RFC 2342
    "CHILDREN",  # RFC 3348
    "UIDPLUS",  # RFC 4315
    "UNSELECT",  # RFC 3691
    "MOVE",  # RFC 6851
    "CONDSTORE",  # RFC 7162
    "QRESYNC",  # RFC 7162
    "ESEARCH",  # RFC 4731
    "SEARCHRES",  # RFC 5182
    "ESORT",  # RFC 5267 §3
    "LIST-EXTENDED",  # RFC 5258
    "LIST-STATUS",  # RFC 5819
    "SPECIAL-USE",  # RFC 6154
    "CREATE-SPECIAL-USE",  # RFC 6154
    "STATUS=SIZE",  # RFC 8438
    "BINARY",  # RFC 3516
    "MULTIAPPEND",  # RFC 3502
    "QUOTA",  # RFC 9208
    "QUOTA=RES-STORAGE",  # RFC 9208 §3.1
    "SORT",  # RFC 5256
    "SORT=DISPLAY",  # RFC 5957
    "THREAD=ORDEREDSUBJECT",  # RFC 5256
    "THREAD=REFERENCES",  # RFC 5256
    "WITHIN",  # RFC 5032
    "SAVEDATE",  # RFC 8514
    "OBJECTID",  # RFC 8474
    "PREVIEW",  # RFC 8970
    "REPLACE",  # RFC 8508
    "PARTIAL",  # RFC 9394
    "INPROGRESS",  # RFC 9585
    "METADATA",  # RFC 5464
    "NOTIFY",  # RFC 5465
    "UTF8=ACCEPT",  # RFC 6855
)
"""Order is for people; clients do not mind."""

CHATMAIL: Final = "XCHATMAIL"
"""Delta Chat takes the server for a relay: mail goes when its one device has it. No RFC; the account's domain says."""
PUSH: Final = "XDELTAPUSH"
"""Delta Chat registers for push by an annotation (/private/devicetoken). No RFC."""

ENABLED_BY: Final[dict[str, frozenset[str]]] = {
    "CONDSTORE": frozenset({"CONDSTORE"}),
    # RFC 7162 §3.2.3: ENABLE QRESYNC also enables CONDSTORE
    "QRESYNC": frozenset({"QRESYNC", "CONDSTORE"}),
    "IMAP4REV2": frozenset({"IMAP4REV2"}),
    "UTF8=ACCEPT": frozenset({"UTF8=ACCEPT"}),
}
"""What ENABLE knows, and what each name brings. Spec: RFC 5161, RFC 9051 §6.3.1, RFC 7162 §3.1, RFC 6855 §3."""


def capabilities(
    state: State,
    *,
    may_log_in: bool,
    may_start_tls: bool,
    may_compress: bool,
    mechanisms: Iterable[str],
    append_octets_max: int,
    without: frozenset[str],
    further: Iterable[str] = (),
) -> list[bytes]:
    """Give the list for one moment of a conversation; `further`: what only some accounts are offered."""
    names: list[str] = list(ALWAYS)
    if state is State.NOT_AUTHENTICATED:
        names += BEFORE_LOGIN
        if may_start_tls:
            names.append("STARTTLS")
        # RFC 9051 §6.2.3: LOGINDISABLED while a password would go in clear
        names += [f"AUTH={mechanism}" for mechanism in mechanisms] if may_log_in else ["LOGINDISABLED"]
    else:
        names += AFTER_LOGIN
        # RFC 7889 §3
        names.append(f"APPENDLIMIT={append_octets_max}")
        if may_compress:
            # RFC 4978 and RFC 8437: once compression is on, neither is possible any more
            names += ["COMPRESS=DEFLATE", "UNAUTHENTICATE"]
    names += further
    return [name.encode("ascii") for name in names if name not in without]
