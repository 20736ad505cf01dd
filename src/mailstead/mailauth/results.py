"""What the checks have found, as header fields: Authentication-Results and Received-SPF.

Nearly every value here was chosen by a stranger. Each one is written so that it stays one value: as a token or a
quoted string, without control characters, of bounded length.

Spec: RFC 8601; RFC 7208 §9.1 (Received-SPF); RFC 8617 §4.1.1, §10.1 (the same for ARC).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mailstead.mailauth.iprev import client_ip
from mailstead.mime.header import fields, first_values, unfolded
from mailstead.model.address import Address
from mailstead.model.authentication import Authentication, DkimResult, Result, SpfResult
from mailstead.model.envelope import Peer

VALUE_CHARACTERS_MAX: Final = 320
"""A full address has that many."""
_LINE_CHARACTERS: Final = 78

# RFC 8601 §2.2: value = token / quoted-string (RFC 2045 §5.1) ;
#   pvalue = [CFWS] ( ( value / [ [ local-part ] "@" ] domain-name ) ) [CFWS]
_TOKEN: Final = re.compile(r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]+")
_ADDRESS: Final = re.compile(
    r"(?:[!#$%&'*+/0-9=?A-Z^_`a-z{|}~-]+(?:\.[!#$%&'*+/0-9=?A-Z^_`a-z{|}~-]+)*)?@[0-9A-Za-z._-]+"
)
# RFC 7208 §9.1: key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string )
_DOT_ATOM: Final = re.compile(r"[!#$%&'*+/0-9=?A-Z^_`a-z{|}~-]+(?:\.[!#$%&'*+/0-9=?A-Z^_`a-z{|}~-]+)*")

_RESULTS_FIELD: Final = b"authentication-results"
# RFC 8601 §2.2: authres-payload = [CFWS] authserv-id [ CFWS authres-version ] ( no-result / 1*resinfo ) [CFWS]
_WHITE_SPACE: Final = b" \t\r\n"
_PAYLOAD_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|\\.|[()]|[^"()\\]+', re.DOTALL)
#   methodspec = [CFWS] method [CFWS] "=" [CFWS] result ; method = Keyword [ [CFWS] "/" [CFWS] method-version ]
_METHOD_SPEC: Final = re.compile(r"\s*([a-zA-Z0-9-]+)\s*(?:/\s*[0-9]+\s*)?=\s*([a-zA-Z0-9-]+)(?![^\s])")
_COMMENT_EDGE: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_HEAD_OCTETS: Final = 4096
"""Where an id does not stand so early, the field cannot be read; a megabyte of brackets would cost seconds."""
_AUTHSERV_ID: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^\s;()"]+)', re.DOTALL)


def authentication_results(found: Authentication, authserv_id: str, mail_from: Address | None, helo: str) -> str:
    """Write the Authentication-Results field, folded, with its CRLF. Spec: RFC 8601 §2.2."""
    return results_field(results_text(found, mail_from, helo), authserv_id)


def results_field(text: str, authserv_id: str) -> str:
    """Write the field of a text that `results_text` has given."""
    return f"Authentication-Results: {_value(authserv_id)};\r\n\t{text}\r\n"


def results_text(found: Authentication, mail_from: Address | None, helo: str) -> str:
    """Write what stands behind ``authserv-id;``, as ARC needs it. Spec: RFC 8601 §2.2, §2.7; RFC 8617 §4.1.1."""
    return ";\r\n\t".join(_folded(words) for words in _infos(found, mail_from, helo))


def _infos(found: Authentication, mail_from: Address | None, helo: str) -> Iterator[list[str]]:
    """Yield each resinfo as words between which a line may end."""
    yield _spf_info(found.spf, mail_from, helo)
    if found.helo_spf is not None and found.helo_spf.result is not Result.NONE:
        yield _spf_info(found.helo_spf, None, helo)
    if not found.dkim:
        yield ["dkim=none"]
    for each in found.dkim:
        yield _dkim_info(each)
    if found.arc.result is not Result.NONE:
        sealers = ", ".join(found.arc.sealers)
        yield [f"arc={found.arc.result}", *_reason(found.arc.reason), *_comment(sealers and f"sealed by {sealers}")]
    dmarc = found.dmarc
    policy = _comment(f"policy {dmarc.policy} of {dmarc.policy_domain}" if dmarc.policy_domain else "")
    author = [f"header.from={_value(dmarc.author_domain)}"] if dmarc.author_domain else []
    yield [f"dmarc={dmarc.result}", *policy, *_reason(dmarc.reason), *author]
    if found.iprev.address:
        yield [
            f"iprev={found.iprev.result}",
            *_comment(found.iprev.name),
            f"policy.iprev={_value(found.iprev.address)}",
        ]


def _spf_info(spf: SpfResult, mail_from: Address | None, helo: str) -> list[str]:
    """Spec: RFC 8601 §2.7.2."""
    if spf.scope == "helo" or mail_from is None:
        return [f"spf={spf.result}", *_mechanism(spf), f"smtp.helo={_value(helo)}"]
    return [f"spf={spf.result}", *_mechanism(spf), f"smtp.mailfrom={_value(str(mail_from), is_utf8=True)}"]


def _mechanism(spf: SpfResult) -> list[str]:
    everybody = ", which lets everybody pass" if spf.is_from_all else ""
    return _comment(f"by {spf.mechanism}{everybody}" if spf.mechanism else "")


def _dkim_info(dkim: DkimResult) -> list[str]:
    """Spec: RFC 8601 §2.7.1; RFC 6008 (header.b); RFC 8601 §2.7.1 has header.a and header.s too."""
    properties = {
        "d": dkim.domain,
        "i": dkim.identity,
        "s": dkim.selector,
        "a": dkim.algorithm,
        "b": dkim.signature_start,
    }
    return [
        f"dkim={dkim.result}",
        *_comment("the key is for testing" if dkim.is_testing else ""),
        *_reason(dkim.reason),
        *(f"header.{name}={_value(value)}" for name, value in properties.items() if value),
    ]


def received_spf(found: Authentication, peer: Peer, mail_from: Address | None, helo: str, hostname: str) -> str:
    """Write the Received-SPF field of the result that counts, folded, with its CRLF. Spec: RFC 7208 §9.1."""
    spf = found.spf
    client = client_ip(peer.address)
    pairs = {
        "identity": "helo" if spf.scope == "helo" else "mailfrom",
        "client-ip": str(client) if client is not None else peer.address,
        "envelope-from": str(mail_from) if mail_from is not None else "",
        "helo": helo,
        "receiver": hostname,
        "mechanism": spf.mechanism or "default",
    }
    if spf.result in {Result.TEMPERROR, Result.PERMERROR}:
        pairs["problem"] = spf.explanation
        del pairs["mechanism"]
    comment = {
        Result.PASS: f"{spf.domain} lets {pairs['client-ip']} send its mail",
        Result.FAIL: f"{spf.domain} does not let {pairs['client-ip']} send its mail",
        Result.SOFTFAIL: f"{spf.domain} would rather not let {pairs['client-ip']} send its mail",
        Result.NEUTRAL: f"{spf.domain} does not say whether {pairs['client-ip']} may send its mail",
        Result.NONE: f"{spf.domain or 'the sender'} has no SPF record",
    }.get(spf.result, f"{spf.domain} cannot be checked")
    texts = [
        f"{key}={_quoted(value, _DOT_ATOM, is_utf8=key == 'envelope-from')};"
        for key, value in pairs.items()
        if value or key == "envelope-from"
    ]
    words = [f"Received-SPF: {spf.result}", *_comment(f"{hostname}: {comment}"), *texts]
    return f"{_folded(words).rstrip(';')}\r\n"


def _value(text: str, *, is_utf8: bool = False) -> str:
    if len(text) <= VALUE_CHARACTERS_MAX and (_TOKEN.fullmatch(text) or _ADDRESS.fullmatch(text)):
        return text
    return _quoted(text, _TOKEN, is_utf8=is_utf8)


def _quoted(text: str, bare: re.Pattern[str], *, is_utf8: bool = False) -> str:
    """Write a value bare if its grammar lets it, else quoted. Spec: RFC 5322 §3.2.4."""
    text = _shown(text, is_utf8=is_utf8)
    if bare.fullmatch(text):
        return text
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def _comment(text: str) -> list[str]:
    """Write a comment; nothing for no text. Spec: RFC 5322 §3.2.2."""
    if not text:
        return []
    escaped = _shown(text).replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return [f"({escaped})"]


def _reason(text: str) -> list[str]:
    """Spec: RFC 8601 §2.2 (reasonspec)."""
    return [f"reason={_quoted(text, _TOKEN)}"] if text else []


def _shown(text: str, *, is_utf8: bool = False) -> str:
    """Replace what could end a line or hide, and cut what is too long; only an address may be more than ASCII."""
    text = text[:VALUE_CHARACTERS_MAX]
    if text.isascii() and text.isprintable():
        return text
    return "".join(each if each.isprintable() and (is_utf8 or each.isascii()) else "?" for each in text)


def _folded(words: list[str]) -> str:
    """Join words, with line ends where lines would get long. Spec: RFC 5322 §2.1.1, §2.2.3."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= _LINE_CHARACTERS:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return "\r\n\t ".join(lines)


def told_result(payload: str, method: str) -> str:
    """Give the result of a method in results that somebody else has written; empty if they do not tell.

    What stands in comments and quotes was chosen by strangers, and tells nothing.

    Spec: RFC 8601 §2.2.
    Shapes: `payload` begins with the authserv-id, as in `ArcResult.newest_results`.
    """
    for bare, _ in _told_infos(payload):
        told = _METHOD_SPEC.match(bare)
        if told is not None and told[1].lower() == method:
            return told[2].lower()
    return ""


def own_results(header: bytes, authserv_id: str) -> dict[str, tuple[str, str]]:
    """Give what the topmost Authentication-Results says, if it is ours: for each method result and whole text.

    Spec: RFC 8601 §2.2.
    """
    value = first_values(header).get(_RESULTS_FIELD)
    if value is None or not _claims(value, authserv_id.encode()):
        return {}
    found: dict[str, tuple[str, str]] = {}
    for bare, whole in _told_infos(unfolded(value).decode("utf-8", "replace")):
        told = _METHOD_SPEC.match(bare)
        if told is not None:
            found.setdefault(told[1].lower(), (told[2].lower(), whole.partition("=")[2].strip()))
    return found


def _told_infos(payload: str) -> Iterator[tuple[str, str]]:
    """Yield each resinfo without comments and quotes, and as a whole; what stands in those ends none."""
    depth = 0
    bare: list[str] = []
    whole: list[str] = []
    is_first = True
    for found in _PAYLOAD_PIECE.finditer(f"{payload};"):
        piece = found[0]
        if piece in {"(", ")"}:
            depth = max(0, depth + (1 if piece == "(" else -1))
        if depth or piece[0] in '"\\()':
            whole.append(piece)
            continue
        for number, text in enumerate(piece.split(";")):
            if number:
                if not is_first:
                    yield "".join(bare), "".join(whole)
                is_first = False
                bare, whole = [], []
            bare.append(text)
            whole.append(text)


def without_forged(header: bytes, authserv_id: str) -> bytes:
    """Remove Authentication-Results that claim to be ours: only we write those. Spec: RFC 8601 §5."""
    if _RESULTS_FIELD not in header.lower():
        return header
    kept: list[bytes] = []
    start = 0
    for field in fields(header):
        if field.name == _RESULTS_FIELD and _claims(header[field.value_start : field.stop], authserv_id.encode()):
            kept.append(header[start : field.start])
            start = (header.find(b"\n", field.stop) + 1) or len(header)
    return b"".join((*kept, header[start:])) if kept else header


def _claims(value: bytes, authserv_id: bytes) -> bool:
    """Whether a field has our id, or cannot be read and names it somewhere. Spec: RFC 8601 §2.2, §2.5."""
    head = value[:_HEAD_OCTETS]
    position, end = 0, len(head)
    depth = 0
    while position < end and (depth or head[position : position + 1] in {b"(", b" ", b"\t", b"\r", b"\n"}):
        if not depth and head[position] in _WHITE_SPACE:
            position += 1
            continue
        edge = _COMMENT_EDGE.search(head, position)
        if edge is None:
            break
        position = edge.end()
        depth += {b"(": 1, b")": -1}.get(edge[0], 0)
    found = _AUTHSERV_ID.match(head, position) if not depth else None
    if found is None:
        return authserv_id.lower() in value.lower()
    name = re.sub(rb"\\(.)", rb"\1", found[1]) if found[1] is not None else found[2]
    return name.strip().lower().rstrip(b".") == authserv_id.lower()
