"""Messages of our own: answers to the sender, notices to others.

Spec: RFC 5230, RFC 6131 (vacation); RFC 3834 (what is never answered); RFC 5435 (notify); RFC 8580 (copies of both).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from hashlib import sha256
from typing import Final

from mailstead.sieve.actions import Notify, Vacation
from mailstead.sieve.call import Call
from mailstead.sieve.forms import FCC_TAGS, MATCH_TAGS, Check, CommandForm, Step, TagForm, Takes, TestForm
from mailstead.sieve.gather import DETAIL_SEPARATOR
from mailstead.sieve.mailto import Mailto, mailto
from mailstead.sieve.matching import matcher
from mailstead.sieve.run import Run
from mailstead.sieve.values import address, address_list, addresses_in, fcc_of
from mailstead.sieve.words import BadWords, Words, all_filled, filled

VACATION_DAYS: Final = 7
VACATION_DAYS_MAX: Final = 90
_DAY_S: Final = 86400
SUBJECT_CHARACTERS_MAX: Final = 200
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")

# RFC 5230 §4.6: no answer to lists, robots and the like; the rest of the names is custom.
_NEVER_ANSWERED: Final = re.compile(
    r"owner-.*|.*-(?:request|owner|bounces?)|bounces?[-+=].*|mailer-?daemon|listserv|majordomo"
    r"|(?:no|do-?not|dont)[-_.]?reply.*",
    re.IGNORECASE,
)
_RECIPIENT_FIELDS: Final = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc")
"""Spec: RFC 5230 §4.5."""
_LIST_FIELDS: Final = [
    "list-id",
    "list-help",
    "list-subscribe",
    "list-unsubscribe",
    "list-post",
    "list-owner",
    "list-archive",
    "list-unsubscribe-post",
]


def may_be_answered(run: Run, addresses: Collection[str]) -> bool:
    """Whether a message may get an automatic answer.

    Spec: RFC 5230 §4.5 (addressed to one of ours), §4.6 (no list, no robot); RFC 3834 §2.
    Shapes: `addresses` are those of ours that a script adds.
    """
    message, facts = run.message, run.facts
    own = {each.casefold() for each in (*facts.own_addresses, *addresses)}
    sender = (facts.mail_from or "").casefold()
    if not sender or sender in own or _NEVER_ANSWERED.fullmatch(sender.rpartition("@")[0]):
        return False
    if any(field.text.partition(";")[0].strip().lower() != "no" for field in message.named("auto-submitted")):
        return False
    if message.first("precedence").lower() in {"bulk", "list", "junk"} or any(map(message.named, _LIST_FIELDS)):
        return False
    if any(word in message.first("x-auto-response-suppress").lower() for word in ("all", "oof", "autoreply")):
        return False
    for name in _RECIPIENT_FIELDS:
        for field in message.named(name):
            for local_part, domain in addresses_in(message.addresses(field)):
                full = f"{local_part}@{domain}".casefold()
                # Mail to name+detail is mail to name.
                if full in own or f"{local_part.partition(DETAIL_SEPARATOR)[0]}@{domain}".casefold() in own:
                    return True
    return False


def _vacation(call: Call) -> Step:
    """Spec: RFC 5230 §4."""
    reason = call.text(0)
    subject = call.text("subject") if call.has("subject") else None
    sender = call.read("from", address_list) if call.has("from") else None
    addresses = call.read_all("addresses", address) if call.has("addresses") else None
    handle = call.text("handle") if call.has("handle") else None
    is_mime, fcc = call.has("mime"), fcc_of(call)
    seconds = _seconds(call)

    def answer(run: Run) -> None:
        run.gathering.note_vacation()
        if not may_be_answered(run, addresses(run) if addresses else ()):
            return
        text = filled(reason, run)
        said = _line(filled(subject, run)) if subject is not None else ""
        from_ = _of_ours(run, sender(run) if sender else "")
        if handle is not None:
            remembered = filled(handle, run)
        else:
            # Two answers that differ in any of these are two. Spec: RFC 5230 §4.3.
            remembered = sha256(f"{said}\0{from_}\0{is_mime}\0{text}".encode("utf-8", "replace")).hexdigest()[:32]
        run.gathering.answer(
            Vacation(
                run.facts.mail_from or "",
                text,
                said or _answered_subject(run),
                remembered[:200],
                seconds,
                from_,
                is_mime,
                fcc(run),
            )
        )

    return answer


def _seconds(call: Call) -> int:
    """Give how long one sender gets no second answer. Spec: RFC 5230 §4.1; RFC 6131 §2 (0: each message)."""
    if call.has("seconds"):
        return min(call.number("seconds"), VACATION_DAYS_MAX * _DAY_S)
    days = call.number("days") if call.has("days") else VACATION_DAYS
    return min(max(days, 1), VACATION_DAYS_MAX) * _DAY_S


def _answered_subject(run: Run) -> str:
    """Spec: RFC 5230 §4.4."""
    subject = _line(run.message.first("subject"))
    return f"Auto: {subject}" if subject else "Automated reply"


def _line(text: str) -> str:
    """Make one printable line that fits into a Subject."""
    return _CONTROL.sub(" ", text).strip()[:SUBJECT_CHARACTERS_MAX]


def _of_ours(run: Run, sender: str) -> str:
    """Give a sender that a script asks for if all its addresses are the account's own; else nothing.

    Spec: RFC 5230 §4.4, RFC 5435 §3.3 (the implementation may set it to what it finds right).
    """
    own = {each.casefold() for each in run.facts.own_addresses}
    listed = addresses_in(sender)
    return sender if listed and all(f"{local}@{domain}".casefold() in own for local, domain in listed) else ""


def _notify(call: Call) -> Step:
    """Spec: RFC 5435 §3; RFC 5436 §2."""
    target = call.read(0, mailto)
    sender = call.read("from", address_list) if call.has("from") else None
    importance = call.read("importance", _importance) if call.has("importance") else None
    message: Words = call.text("message") if call.has("message") else ""
    fcc = fcc_of(call)

    def notify(run: Run) -> None:
        to: Mailto = target(run)
        said = filled(message, run)
        run.gathering.notify(
            Notify(
                to.recipients,
                _line(said) or _line(to.subject) or _line(run.message.first("subject")),
                to.body or said,
                importance(run) if importance else 2,
                _of_ours(run, sender(run) if sender else ""),
                to.fields,
                to.uri,
                fcc(run),
            )
        )

    return notify


def _importance(text: str) -> int:
    if text not in {"1", "2", "3"}:
        raise BadWords('":importance" is followed by "1", "2" or "3"')
    return int(text)


def _valid_notify_method(call: Call) -> Check:
    """Spec: RFC 5435 §4."""
    words = call.texts(0)

    def are_valid(run: Run) -> bool:
        return all(_can_be_read(run, uri) for uri in all_filled(words, run))

    return are_valid


def _notify_method_capability(call: Call) -> Check:
    """Spec: RFC 5435 §5; RFC 5436 §2.2: nobody knows whether a reader of mail is online."""
    uri, capability = call.text(0), call.text(1)
    match = matcher(call, 2)

    def holds(run: Run) -> bool:
        if not _can_be_read(run, filled(uri, run)) or filled(capability, run).lower() != "online":
            return False
        return match(run, ["maybe"])

    return holds


def _can_be_read(run: Run, uri: str) -> bool:
    run.budget.spend(4 + (len(uri) >> 2))
    try:
        mailto(uri)
    except BadWords:
        return False
    return True


_NOTIFY: Final = ("enotify",)
COMMANDS: Final = (
    CommandForm(
        "vacation",
        (Takes.TEXT,),
        (
            TagForm("days", "period", Takes.NUMBER),
            TagForm("seconds", "period", Takes.NUMBER, "vacation-seconds"),
            TagForm("subject", takes=Takes.TEXT),
            TagForm("from", takes=Takes.TEXT),
            TagForm("addresses", takes=Takes.TEXTS),
            TagForm("mime"),
            TagForm("handle", takes=Takes.TEXT),
            *FCC_TAGS,
        ),
        ("vacation",),
        build=_vacation,
    ),
    CommandForm(
        "notify",
        (Takes.TEXT,),
        (
            TagForm("from", takes=Takes.TEXT),
            TagForm("importance", takes=Takes.TEXT),
            TagForm("options", takes=Takes.TEXTS),
            TagForm("message", takes=Takes.TEXT),
            *FCC_TAGS,
        ),
        _NOTIFY,
        build=_notify,
    ),
)
TESTS: Final = (
    TestForm("valid_notify_method", (Takes.TEXTS,), needs=_NOTIFY, build=_valid_notify_method),
    TestForm(
        "notify_method_capability",
        (Takes.TEXT, Takes.TEXT, Takes.TEXTS),
        MATCH_TAGS,
        _NOTIFY,
        build=_notify_method_capability,
    ),
)
EXTENSIONS: Final = ("vacation", "vacation-seconds", "enotify", "fcc")
