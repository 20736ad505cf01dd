"""Applying one account's script and vacation to one message: what the actions come to under the house's own rules.

The rules that no script can change: mail is kept whenever anything fails; an answer goes only to who surely has sent
the message, once in some days; redirects and notices are few, for a message and for a day; nothing goes to the owner's
own addresses; junk is neither answered nor sent on.

Spec: RFC 5228 §2.10.6, §4, §10; RFC 5230; RFC 3834; RFC 5436.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b
from secrets import token_hex
from typing import Final

from mailstead import __version__
from mailstead.mime.compose import Heading
from mailstead.mime.header import first_values, header_end
from mailstead.model.address import Address
from mailstead.model.errors import BadAddress, BadScript
from mailstead.model.filtering import Filtering
from mailstead.model.flags import Flags
from mailstead.model.mailbox import INBOX
from mailstead.policy.names import without_detail
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage
from mailstead.sieve import actions
from mailstead.sieve.budget import Budget
from mailstead.sieve.facts import Facts
from mailstead.sieve.script import Script
from mailstead.telemetry import log, metrics
from mailstead.usecases import answers, tracefields
from mailstead.usecases.filings import Filed, Filing, FilterTerms, Incoming, Redirecting, Reply
from mailstead.usecases.scripts import CompiledScripts
from mailstead.usecases.vacations import vacation_of

JUNK_USE: Final = "\\Junk"
JUNK_NAME: Final = "Junk"
"""Of the mailbox that is made where none has that special use."""
INLINE_OCTETS_MAX: Final = 64 * 1024
INLINE_STEPS: Final = 5_000
"""Some milliseconds. Scripts that need more begin anew in a thread."""
VACATION_SECONDS_MAX: Final = 90 * 86400
CLAIM: Final = timedelta(minutes=5)
"""So long an answer that is not sent yet keeps others from being sent. If the delivery fails, the next try answers."""
_DAY: Final = timedelta(days=1)

_log = log.get("filters")


class Ruling:
    """One message, one account, one budget; used once."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        terms: FilterTerms,
        compiled: CompiledScripts,
        incoming: Incoming,
        filtering: Filtering,
    ) -> None:
        self._storage = storage
        self._store: AccountStore = storage.accounts.of(incoming.account.account_id)
        self._now = clock.now()
        self._terms = terms
        self._compiled = compiled
        self._incoming = incoming
        self._filtering = filtering
        self._budget = Budget(terms.settings.steps_max, terms.settings.redirects_max)
        self._own: tuple[Address, ...] = ()
        self._own_keys: frozenset[str] = frozenset()
        self._filings: list[Filing] = []
        self._redirects: list[Address] = []
        self._rejection: actions.Reject | None = None
        self._vacations: list[actions.Vacation] = []
        self._answered: list[actions.SeenKey] = []
        self._notices: list[actions.Notify] = []
        self._header: bytes | None = None
        self._seen: tuple[actions.SeenKey, ...] = ()
        self._script = f"script {filtering.script_name}"
        self._notes: list[str] = []
        self._problems: list[str] = []

    async def made(self) -> Filed:
        """Give the decision."""
        await self._know_own_addresses()
        if self._filtering.script_name:
            await self._obey_script()
        else:
            self._file(self._default_filing())
        await self._obey_vacation_setting()
        replies = [reply for each in self._vacations if (reply := await self._vacation_reply(each))]
        redirects, notices = await self._within_the_day()
        replies += notices
        if self._rejection is None and not self._filings and redirects != self._redirects:
            self._file(self._default_filing())  # what was not sent on is kept
        return Filed(
            filings=tuple(self._filings),
            octets=self._changed(),
            redirects=tuple(Redirecting(address) for address in redirects),
            rejection=self._rejection.text if self._rejection else None,
            is_ereject=self._rejection is not None and self._rejection.is_ereject,
            replies=tuple(replies),
            notes=tuple(self._notes),
            problems=tuple(self._problems),
            seen=self._seen,
            answered=tuple(self._answered),
        )

    async def _know_own_addresses(self) -> None:
        """The directory is asked only if it matters: most scripts just file."""
        incoming = self._incoming
        self._own = incoming.own_addresses
        has_vacation = vacation_of(self._filtering.preferences) is not None
        if not self._own and (has_vacation or self._mentions(b"vacation", b"redirect", b"notify")):
            self._own = tuple(await self._storage.directory.addresses_of(incoming.account.account_id))
        keys = {address.key for address in (incoming.account.address, *self._own)}
        plain = without_detail(incoming.rcpt_to)
        if plain is not None and plain.key in keys:
            keys.add(incoming.rcpt_to.key)
        self._own_keys = frozenset(keys)

    def _mentions(self, *words: bytes) -> bool:
        """Whether a word of Sieve occurs in the scripts, be it only in a comment."""
        texts = [text.lower() for text in (self._filtering.script, *self._filtering.scripts.values())]
        return any(word in text for word in words for text in texts)

    # the script

    async def _obey_script(self) -> None:
        filtering = self._filtering
        is_asked = self._mentions(b"duplicate")
        seen_keys = await self._store.remembered("duplicate", self._now) if is_asked else frozenset()
        outcome = await self._run(filtering.script, self._script, seen_keys)
        self._seen = outcome.seen
        for action in outcome.actions:
            self._obey(action)
        self._notes.append(f"{self._script}: {', '.join(map(in_words, outcome.actions)) or 'nothing'}")

    async def _run(self, octets: bytes, name: str, seen_keys: frozenset[str]) -> actions.Outcome:
        """Run a script; whatever is wrong with it, or with us, the mail is kept. Spec: RFC 5228 §2.10.6."""
        try:
            outcome = await self._run_here_or_in_thread(await self._compiled.get(octets), self._facts(seen_keys))
        except BadScript as error:
            self._problem(error.public_text, name)
            return actions.Outcome((actions.Keep(),))
        except Exception as error:  # noqa: BLE001  # a bug in Sieve shall hold back nobody's mail; it is logged
            metrics.BUGS.labels("sieve").inc()
            _log.error("a script could not be run", account_id=self._incoming.account.account_id, exc_info=error)
            self._problem("the script could not be run; this has been noted", name)
            return actions.Outcome((actions.Keep(),))
        for problem in outcome.problems:
            self._problem(str(problem), name)
        return outcome

    async def _run_here_or_in_thread(self, script: Script, facts: Facts) -> actions.Outcome:
        """Run on the event loop what is quick, the rest in a thread: a run changes nothing, so it may begin anew."""
        steps_left = self._budget.steps_left
        if len(facts.octets) <= INLINE_OCTETS_MAX:
            budget = Budget(min(INLINE_STEPS, steps_left), self._budget.redirects_left)
            outcome = script.run(facts, budget)
            if budget.steps_left > 0 or steps_left <= INLINE_STEPS:
                self._budget = Budget(steps_left - budget.steps_used, budget.redirects_left)
                return outcome
        return await asyncio.to_thread(script.run, facts, self._budget)

    def _facts(self, seen_keys: frozenset[str]) -> Facts:
        incoming, filtering = self._incoming, self._filtering
        return Facts(
            octets=incoming.octets,
            now=self._now,
            mail_from=str(incoming.mail_from) if incoming.mail_from else "",
            rcpt_to=str(incoming.rcpt_to),
            auth=str(incoming.mail_from) if incoming.is_submission and incoming.mail_from else "",
            own_addresses=frozenset(
                {str(address) for address in (incoming.account.address, *self._own)}
                | ({str(incoming.rcpt_to)} if incoming.rcpt_to.key in self._own_keys else set())
            ),
            mailboxes=filtering.mailboxes,
            environment=self._environment(),
            scripts=filtering.scripts,
            seen_keys=seen_keys,
            spam_percent=self._spam_percent(),
        )

    def _environment(self) -> dict[str, str]:
        """Spec: RFC 5183 §4.1."""
        incoming, hostname = self._incoming, self._terms.hostname
        items = {
            "domain": hostname.partition(".")[2] or hostname,
            "host": hostname,
            "location": "MTA",
            "name": "Mailstead",
            "phase": "during",
            "version": __version__,
        }
        if incoming.peer is not None:
            items["remote-ip"] = incoming.peer.address
        if incoming.authentication is not None and incoming.authentication.iprev.name:
            items["remote-host"] = incoming.authentication.iprev.name
        return items

    def _spam_percent(self) -> int | None:
        """50 is where Junk begins. Spec: RFC 5235 §2.1."""
        judgement = self._incoming.judgement
        if judgement is None:
            return None
        percent = round(min(max(judgement.score / max(self._terms.junk_score, 0.1), 0.0), 2.0) * 50)
        return max(percent, 50) if self._incoming.is_junk else percent

    def _obey(self, action: actions.Action) -> None:
        match action:
            case actions.Keep(flags, header):
                self._file(self._default_filing(flags))
                self._header = header or self._header
            case actions.FileInto():
                self._file(self._filing_into(action))
                self._header = action.header or self._header
            case actions.Redirect():
                self._redirect(action)
                self._header = action.header or self._header
            case actions.Reject():
                self._rejection = action
            case actions.Vacation():
                self._vacations.append(action)
            case actions.Notify():
                self._notices.append(action)
            case actions.Discard():
                pass

    def _file(self, filing: Filing) -> None:
        """A mailbox gets a message once. Spec: RFC 5228 §2.10.3."""
        for index, other in enumerate(self._filings):
            if other.mailbox == filing.mailbox:
                self._filings[index] = replace(other, flags=other.flags | filing.flags)
                return
        self._filings.append(filing)

    def _default_filing(self, flags: Flags = frozenset()) -> Filing:
        """INBOX; for what policy takes for junk the mailbox of that use, wherever it is."""
        if not self._incoming.is_junk:
            return Filing(INBOX, flags)
        mailboxes = self._filtering.mailboxes
        name = next((name for name, use in mailboxes.items() if use == JUNK_USE), JUNK_NAME)
        is_there = name in mailboxes
        return Filing(name, flags, creates=not is_there, special_use=None if is_there else JUNK_USE)

    def _filing_into(self, action: actions.FileInto | actions.Fcc) -> Filing:
        if action.mailbox in self._filtering.mailboxes or action.creates:
            return Filing(action.mailbox, action.flags, action.creates, action.special_use)
        self._problem(f"there is no mailbox {action.mailbox!r}; INBOX was taken")
        return self._default_filing(action.flags)

    def _redirect(self, action: actions.Redirect) -> None:
        try:
            address = Address.parse(action.address)
        except BadAddress:
            self._problem(f"{action.address!r} is no address to redirect to; the message was kept")
            self._file(self._default_filing())
            return
        if address.key in self._own_keys:
            self._file(self._default_filing())  # it would come back
        elif self._was_here_before():
            self._notes.append("not sent on, as it has come back")
            self._file(self._default_filing())
        elif self._incoming.is_junk:
            self._notes.append("junk is not sent on")
            self._file(self._default_filing())
        elif self._incoming.is_impersonating:
            self._notes.append("not sent on, as nothing shows that it comes from where it says (SPF or DKIM)")
            self._file(self._default_filing())
        elif address not in self._redirects:
            self._redirects.append(address)

    def _was_here_before(self) -> bool:
        """Whether this account has sent the message on before. Spec: RFC 5321 §6.3; attack row 18."""
        octets = self._incoming.octets
        earlier = tracefields.read(bytes(octets[: header_end(octets)]))
        return self._incoming.account.address.key in earlier.original_to

    def _changed(self) -> bytes | None:
        if self._header is None:
            return None
        octets = self._incoming.octets
        return self._header + bytes(octets[header_end(octets) :])

    def _problem(self, text: str, name: str | None = None) -> None:
        self._problems.append(f"{name or self._script}: {text}")

    # answers

    async def _obey_vacation_setting(self) -> None:
        """The setting works beside a script, unless that answers itself, or does not keep the message."""
        vacation = vacation_of(self._filtering.preferences)
        if vacation is None or not vacation.is_on(self._now) or self._vacations or not self._filings:
            return
        outcome = await self._run(vacation.as_script(), "vacation", frozenset())
        self._vacations += [action for action in outcome.actions if isinstance(action, actions.Vacation)]

    async def _vacation_reply(self, action: actions.Vacation) -> Reply | None:
        """Answer whom the script wants to answer, if we may. Spec: RFC 5230 §4.5, RFC 3834 §2; attack row 19."""
        incoming = self._incoming
        sender = incoming.mail_from
        if sender is None or sender.key in self._own_keys or incoming.is_junk:
            return None
        if not incoming.is_submission and not answers.is_sender_vouched_for(incoming.authentication, sender):
            self._notes.append("vacation: not answered, as nobody stands behind the sender")
            return None
        seconds = min(max(action.seconds, self._terms.settings.vacation_days_min * 86400), VACATION_SECONDS_MAX)
        key = blake2b(f"{action.handle}\0{sender.key}".encode(), digest_size=16).hexdigest()
        if seconds:
            if not await self._may_answer(key):
                self._notes.append("vacation: answered before")
                return None
            self._answered.append(actions.SeenKey(key, seconds))
        self._notes.append("vacation: answered")
        heading = self._heading(action.sender, (str(sender),), action.subject)
        octets = answers.vacation_answer(heading, action.text, incoming.octets, is_mime=action.is_mime)
        return Reply(octets, None, sender, self._filing_into(action.fcc) if action.fcc else None)

    async def _may_answer(self, key: str) -> bool:
        """Whether a sender has had no answer lately, and no other message of the same moment gives one."""
        if key in await self._store.remembered("vacation", self._now):
            return False
        return await self._store.remember_first("vacation-claim", key, self._now, self._now + CLAIM)

    def _notices_made(self) -> list[Reply]:
        """Spec: RFC 5436 §2.7; §6 (no notice about a notice)."""
        if not self._notices or self._incoming.is_junk:
            return []
        header = bytes(self._incoming.octets[: header_end(self._incoming.octets)])
        submitted = first_values(header).get(b"auto-submitted", b"").strip().lower()
        if submitted.startswith(b"auto-notified"):
            return []
        replies: list[Reply] = []
        for action in self._notices:
            heading = self._heading(action.sender, action.recipients, action.subject)
            octets = answers.notice(heading, action.text, action.importance, action.fields)
            copy_into = self._filing_into(action.fcc) if action.fcc else None
            for recipient in action.recipients:
                try:
                    replies.append(Reply(octets, None, Address.parse(recipient), copy_into))
                except BadAddress:
                    self._problem(f"{recipient!r} is no address to notify")
                copy_into = None
        return replies

    def _heading(self, sender: str, recipients: tuple[str, ...], subject: str) -> Heading:
        own = self._incoming.rcpt_to if self._incoming.rcpt_to.key in self._own_keys else self._incoming.account.address
        message_id = f"<{token_hex(12)}@{own.domain}>"
        sender = answers.own_sender(sender, self._own_keys, own)
        return Heading(sender, recipients, " ".join(subject.split()), self._now, message_id)

    async def _within_the_day(self) -> tuple[list[Address], list[Reply]]:
        """Give the redirects and notices that the account may still send today. Spec: RFC 5228 §10; attack row 58."""
        notices = self._notices_made()
        wanted = len(self._redirects) + len(notices)
        if not wanted:
            return [], []
        account_id, limit = self._incoming.account.account_id, self._terms.settings.redirects_per_day_max
        sums = await self._storage.memory.count("redirects", {account_id: wanted}, self._now, self._now + _DAY)
        left = max(limit - (sums[account_id] - wanted), 0)
        if left < wanted:
            self._problem(f"more than {limit} redirects and notices in a day; some were not sent, their mail was kept")
        redirects = self._redirects[:left]
        return redirects, notices[: left - len(redirects)]


def in_words(action: actions.Action) -> str:
    """Say what an action does, for the trace and for dry runs."""
    match action:
        case actions.Keep():
            return "keep"
        case actions.FileInto(mailbox):
            return f"fileinto {mailbox}"
        case actions.Redirect(address):
            return f"redirect to {address}"
        case actions.Reject():
            return "reject"
        case actions.Discard():
            return "discard"
        case actions.Vacation():
            return "vacation"
        case actions.Notify(recipients):
            return f"notify {', '.join(recipients)}"
