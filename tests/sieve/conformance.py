"""Cases written as text: a script, perhaps a message and facts, and what must come of it.

A file of `cases/` holds cases, each begun by ``=== its title``. The script follows; behind ``--- message`` another
message than the usual one, behind ``--- facts`` lines ``name: value``; then either ``--- gives`` and the actions, a
line each as `said` writes them, or ``--- wrong`` and the problems, each as ``line:column`` and a piece of its text.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from mailstead.sieve.actions import Discard, Fcc, FileInto, Keep, Notify, Redirect, Reject, Vacation
from mailstead.sieve.budget import Budget
from mailstead.sieve.facts import Facts

FOLDER = Path(__file__).parent / "cases"
USUAL = (FOLDER / "usual.eml").read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Case(NamedTuple):
    title: str
    script: str
    message: bytes
    facts: dict
    gives: list[str] | None
    wrong: list[str] | None


def cases():
    return [case for file in sorted(FOLDER.glob("*.txt")) for case in read(file)]


def read(file):
    found = []
    for text in re.split(r"^=== ", file.read_text(), flags=re.MULTILINE)[1:]:
        title, _, rest = text.partition("\n")
        script, *sections = re.split(r"^--- (\w+)\n", rest, flags=re.MULTILINE)
        named = dict(zip(sections[::2], sections[1::2], strict=True))
        assert named.keys() <= {"message", "facts", "gives", "wrong"}, title
        assert ("gives" in named) != ("wrong" in named), title
        message = named["message"].replace("\n", "\r\n").encode() if "message" in named else USUAL
        gives = lines(named["gives"]) if "gives" in named else None
        wrong = lines(named["wrong"]) if "wrong" in named else None
        found.append(Case(f"{file.stem}: {title}", script, message, facts_of(named.get("facts", "")), gives, wrong))
    return found


def lines(text):
    return [line for line in text.splitlines() if line.strip()]


def facts_of(text):
    facts = {
        "now": datetime.fromisoformat("2026-01-05T12:00:00+01:00"),
        "mail_from": "alice+news@example.com",
        "rcpt_to": "me+box@here.example",
        "own_addresses": frozenset({"me@here.example"}),
        "mailboxes": {"INBOX": None, "Work": None, "Spam": "\\Junk", "Archive": "\\Archive"},
        "environment": {"domain": "here.example", "phase": "during", "location": "MDA", "name": "Mailstead"},
    }
    for line in lines(text):
        name, _, value = line.partition(":")
        value = value.strip()
        if name.startswith(("script ", "global script ")):
            kind = "global_scripts" if name.startswith("global") else "scripts"
            facts.setdefault(kind, {})[name.rpartition(" ")[2]] = value.encode()
        elif name in {"spam_percent", "virus_level"}:
            facts[name] = int(value)
        elif name == "seen_keys":
            facts[name] = frozenset(value.split())
        elif name in {"mail_from", "rcpt_to"}:
            facts[name] = None if value == "unknown" else value
        else:
            assert name == "auth", name
            facts[name] = value
    return facts


def run(script, case):
    return script.run(Facts(octets=case.message, **case.facts), Budget())


def said(outcome, message):
    told = []
    for action in outcome.actions:
        told.append(_said(action))
        header = getattr(action, "header", None)
        if header is not None:
            told += _changes(message[: message.index(b"\r\n\r\n") + 4], header)
    told += [f"seen for {seen.seconds} s" for seen in outcome.seen]
    told += [f"problem: {problem.text}" for problem in outcome.problems]
    return told


def _said(action):
    match action:
        case Keep():
            return "keep" + _flags(action.flags)
        case FileInto():
            extra = f"{' create' if action.creates else ''}{f' use {action.special_use}' if action.special_use else ''}"
            return f"fileinto {action.mailbox}{_flags(action.flags)}{extra}{' copy' if action.is_copy else ''}"
        case Redirect():
            return f"redirect {action.address}{' copy' if action.is_copy else ''}"
        case Reject():
            return f"{'ereject' if action.is_ereject else 'reject'} {action.text!r}"
        case Discard():
            return "discard"
        case Vacation():
            sender = f" from {action.sender}" if action.sender else ""
            mime = " mime" if action.is_mime else ""
            return (
                f"vacation to {action.to}{sender} every {action.seconds} s: {action.subject} / {action.text!r}{mime}"
                + _fcc(action.fcc)
            )
        case Notify():
            sender = f" from {action.sender}" if action.sender else ""
            more = "".join(f" {name}={value}" for name, value in action.fields)
            return (
                f"notify {' '.join(action.recipients)}{sender} importance {action.importance}{more}: "
                f"{action.subject} / {action.text!r}" + _fcc(action.fcc)
            )
    raise AssertionError(action)


def _flags(flags):
    return f" [{' '.join(sorted(flags))}]" if flags else ""


def _fcc(fcc: Fcc | None):
    if fcc is None:
        return ""
    return f" fcc {fcc.mailbox}{_flags(fcc.flags)}{' create' if fcc.creates else ''}"


def _changes(before, after):
    old, new = before.decode().split("\r\n"), after.decode().split("\r\n")
    return [f"  - {line}" for line in old if line not in new] + [f"  + {line}" for line in new if line not in old]
