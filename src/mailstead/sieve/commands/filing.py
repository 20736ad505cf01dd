"""Where a message goes.

Spec: RFC 5228 §4; RFC 5429 (reject, ereject); RFC 3894 (copy); RFC 5490, RFC 8579 (mailboxes).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailstead.model.flags import Flags
from mailstead.sieve.actions import FileInto, Keep, Redirect, Reject
from mailstead.sieve.call import Call
from mailstead.sieve.forms import (
    COPY_TAG,
    CREATE_TAG,
    FLAGS_TAG,
    SPECIAL_USE_TAG,
    Check,
    CommandForm,
    Step,
    Takes,
    TestForm,
)
from mailstead.sieve.run import Run
from mailstead.sieve.values import address, flags_of, mailbox_name, special_use, with_use
from mailstead.sieve.words import all_filled, filled


def _flags(call: Call) -> Callable[[Run], Flags]:
    """Give the flags of ``:flags``, or those of the internal variable. Spec: RFC 5232 §5."""
    if not call.has("flags"):
        return lambda run: frozenset(run.flags)
    words = call.texts("flags")
    return lambda run: frozenset(flags_of(run, all_filled(words, run)))


def _keep(call: Call) -> Step:
    """Spec: RFC 5228 §4.3."""
    flags = _flags(call)
    return lambda run: run.gathering.file(Keep(flags(run), run.message.header()))


def _fileinto(call: Call) -> Step:
    """Spec: RFC 5228 §4.1."""
    flags = _flags(call)
    mailbox = call.read(0, mailbox_name)
    use = call.read("specialuse", special_use) if call.has("specialuse") else None
    creates, is_copy = call.has("create"), call.has("copy")

    def fileinto(run: Run) -> None:
        wanted = use(run) if use else None
        name = with_use(run, wanted) or mailbox(run)
        run.gathering.file(FileInto(name, flags(run), creates, wanted, is_copy, run.message.header()))

    return fileinto


def _redirect(call: Call) -> Step:
    """Spec: RFC 5228 §4.2."""
    to = call.read(0, address)
    is_copy = call.has("copy")
    return lambda run: run.gathering.redirect(Redirect(to(run), is_copy, run.message.header()))


def _discard(_: Call) -> Step:
    """Spec: RFC 5228 §4.4."""
    return lambda run: run.gathering.discard()


def _reject(call: Call) -> Step:
    """Spec: RFC 5429 §2.1, §2.2."""
    words = call.text(0)
    is_ereject = call.node.name == "ereject"
    return lambda run: run.gathering.reject(Reject(filled(words, run), is_ereject))


def _mailboxexists(call: Call) -> Check:
    """Spec: RFC 5490 §3.1."""
    names = call.read_all(0, mailbox_name)

    def all_exist(run: Run) -> bool:
        wanted = names(run)
        run.budget.spend(len(wanted))
        return all(name in run.facts.mailboxes for name in wanted)

    return all_exist


def _specialuse_exists(call: Call) -> Check:
    """Spec: RFC 8579 §3."""
    mailbox = call.read(0, mailbox_name) if call.has(0) else None
    uses = call.read_all(1, special_use)

    def all_exist(run: Run) -> bool:
        wanted = uses(run)
        mailboxes = run.facts.mailboxes
        run.budget.spend(len(wanted) + (len(mailboxes) >> 4))
        if mailbox is not None:
            return all(mailboxes.get(mailbox(run)) == use for use in wanted)
        return set(wanted) <= set(mailboxes.values())

    return all_exist


COMMANDS: Final = (
    CommandForm("keep", tags=(FLAGS_TAG,), build=_keep),
    CommandForm(
        "fileinto",
        (Takes.TEXT,),
        (COPY_TAG, FLAGS_TAG, CREATE_TAG, SPECIAL_USE_TAG),
        ("fileinto",),
        build=_fileinto,
    ),
    CommandForm("redirect", (Takes.TEXT,), (COPY_TAG,), build=_redirect),
    CommandForm("discard", build=_discard),
    CommandForm("reject", (Takes.TEXT,), needs=("reject",), build=_reject),
    CommandForm("ereject", (Takes.TEXT,), needs=("ereject",), build=_reject),
)
TESTS: Final = (
    TestForm("mailboxexists", (Takes.TEXTS,), needs=("mailbox",), build=_mailboxexists),
    TestForm(
        "specialuse_exists",
        (Takes.TEXT, Takes.TEXTS),
        needs=("special-use",),
        optional_count=1,
        build=_specialuse_exists,
    ),
)
EXTENSIONS: Final = ("fileinto", "reject", "ereject", "copy", "mailbox", "special-use")
