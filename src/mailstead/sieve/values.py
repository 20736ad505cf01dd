"""Strings of a script that must be something: a mailbox name, an address, a field name, flags.

Each reader raises BadWords with a text that says what is wrong: told by the checker for a constant, and ending the run
for what variables gave.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from mailstead.mime import charset
from mailstead.mime.address import ListedAddress, addresses_of
from mailstead.model.address import Address
from mailstead.model.errors import BadAddress, BadMailboxName
from mailstead.model.flags import SYSTEM_FLAGS, canonical
from mailstead.model.mailbox import SPECIAL_USES, normal_name
from mailstead.sieve.actions import Fcc
from mailstead.sieve.call import Call
from mailstead.sieve.run import Run
from mailstead.sieve.words import BadWords, all_filled

FLAGS_MAX: Final = 50
_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,200}")
# RFC 9051 §9:  flag-keyword = "$MDNSent" / … / atom ; atom has no SP, CTL, ( ) { % * " \ ]
_KEYWORD: Final = re.compile(r"[!#$&'+-Z\[^-z|}~]{1,100}")
_USES: Final = {use.lower(): use for use in SPECIAL_USES}


def mailbox_name(text: str) -> str:
    """Read the name of a mailbox. Spec: RFC 5228 §4.1."""
    try:
        return normal_name(text)
    except BadMailboxName as error:
        raise BadWords(f'"{_shown(text)}" cannot be a mailbox: {error.public_text}') from None


def address(text: str) -> str:
    """Read a single address, with a name and brackets or without. Spec: RFC 5228 §2.4.2.3."""
    bare = text.strip()
    if bare.endswith(">"):
        listed = addresses_in(bare)
        bare = "@".join(listed[0]) if len(listed) == 1 else bare
    try:
        return str(Address.parse(bare))
    except BadAddress as error:
        raise BadWords(f'"{_shown(text)}" cannot be an address: {error.public_text}') from None


def address_list(text: str) -> str:
    """Read what a From field may say; line breaks in it are refused."""
    listed = addresses_in(text)
    if not listed or not text.isprintable():
        raise BadWords(f'"{_shown(text)}" cannot be the sender of a message')
    for local_part, domain in listed:
        address(f"{local_part}@{domain}")
    return text.strip()


def addresses_in(found: str | Iterable[ListedAddress]) -> list[tuple[str, str]]:
    """Give local part and domain of all addresses of a list."""
    listed = addresses_of(found.encode("utf-8", "replace")) if isinstance(found, str) else found
    return [
        (charset.decoded(each.local_part or b""), charset.decoded(each.domain))
        for each in listed
        if each.domain is not None
    ]


def field_name(text: str) -> str:
    """Read the name of a header field. Spec: RFC 5228 §2.4.2.2."""
    if not _FIELD_NAME.fullmatch(text):
        raise BadWords(f'"{_shown(text)}" cannot be the name of a header field; it is written without the colon')
    return text


def special_use(text: str) -> str:
    r"""Read a special_use; unknown ones pass, as no mailbox has them. Spec: RFC 8579 §3."""
    if not text.startswith("\\"):
        raise BadWords(f'"{_shown(text)}" is no special use; write "\\\\Junk", "\\\\Archive" …')
    return _USES.get(text.lower(), text)


def flag(text: str) -> str:
    """Read a single flag or keyword. Spec: RFC 5232 §2."""
    if canonical(text) not in SYSTEM_FLAGS and not _KEYWORD.fullmatch(text):
        raise BadWords(f'"{_shown(text)}" cannot be a flag or label; no spaces or brackets, ASCII only')
    return text


def flags_of(run: Run, texts: Iterable[str]) -> list[str]:
    """Read lists of flags: each string may hold several; what can be no flag is passed over.

    Spec: RFC 5232 §2 (invalid flags are ignored), §3.1.
    """
    found: dict[str, str] = {}
    for text in texts:
        run.budget.spend(1 + (len(text) >> 2))
        for flag in text.split():
            known = canonical(flag)
            if (known in SYSTEM_FLAGS or _KEYWORD.fullmatch(flag)) and len(found) < FLAGS_MAX:
                found.setdefault(known.lower(), known)
    return list(found.values())


def fcc_of(call: Call) -> Callable[[Run], Fcc | None]:
    """Make what ``:fcc`` and its companions ask for. Spec: RFC 8580 §3."""
    if not call.has("fcc"):
        return lambda _: None
    mailbox = call.read("fcc", mailbox_name)
    use = call.read("specialuse", special_use) if call.has("specialuse") else None
    flags = call.texts("flags") if call.has("flags") else []
    creates = call.has("create")

    def fcc(run: Run) -> Fcc:
        wanted = use(run) if use else None
        flags_wanted = frozenset(flags_of(run, all_filled(flags, run)))
        return Fcc(with_use(run, wanted) or mailbox(run), flags_wanted, creates, wanted)

    return fcc


def with_use(run: Run, use: str | None) -> str | None:
    """Give the mailbox that has a special_use. Spec: RFC 8579 §4."""
    if use is None:
        return None
    run.budget.spend(1 + (len(run.facts.mailboxes) >> 4))
    return next((name for name, has in run.facts.mailboxes.items() if has == use), None)


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text[:60])
