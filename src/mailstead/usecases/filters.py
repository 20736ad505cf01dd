"""Filters: what an account's own rules make of a message that comes in, before it is filed.

`decide` changes no mailbox and sends nothing: it says what to do, and whoever delivers does it, then calls `stored`.
Whatever goes wrong with a script, the mail is kept, and the owner can read why (`Filed.problems`). An account with
neither script nor vacation, which most are, costs a look into a dictionary.

Spec: RFC 5228 §2.10.6 (errors keep the mail), §4 (actions); RFC 5230; RFC 3834.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import Final

from mailstead.mime.facts import message_facts
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import MailsteadError, NotAllowed
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import INBOX
from mailstead.model.message import NewMessage
from mailstead.ports.changebus import FILTERS, ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage
from mailstead.usecases.dryruns import Foreseen, Grounds, dry_run
from mailstead.usecases.filings import Filed, Filing, FilterTerms, Incoming, Redirecting, Reply
from mailstead.usecases.rulings import Ruling
from mailstead.usecases.scripts import CompiledScripts, Scripts
from mailstead.usecases.vacations import vacation_of

__all__ = ["Filed", "Filing", "FilterTerms", "Filters", "Incoming", "Redirecting", "Reply"]

WITHOUT_MAX: Final = 100_000
WITHOUT_S: Final = 60.0
"""How long we go on believing that an account has no filters, should another process's wake-up be lost."""

_TO_INBOX: Final = Filed()


class Filters:
    """Decides what becomes of incoming mail; one object for all deliveries of the process."""

    def __init__(self, storage: Storage, bus: ChangeBus, clock: Clock, terms: FilterTerms) -> None:
        self._storage = storage
        self._clock = clock
        self._terms: Final = terms
        self._compiled = CompiledScripts()
        self.scripts: Final = Scripts(storage, self._compiled)
        self._without: dict[AccountId, float] = {}
        """Accounts known to have no filters, and until when we believe it."""
        self._generation = 0
        self._watch: AbstractContextManager[None] = bus.watch(FILTERS, self._forget)
        self._watch.__enter__()

    def close(self) -> None:
        """Watch for changes no longer."""
        self._watch.__exit__(None, None, None)

    def _forget(self) -> None:
        self._without.clear()
        self._generation += 1

    async def decide(self, incoming: Incoming) -> Filed:
        """Decide about one message for one account.

        Errors: of the store. Never for what a script does.
        Effects: who gets a vacation answer is remembered for some minutes; redirects and notices of the day are
        counted.
        """
        account_id = incoming.account.account_id
        if not incoming.is_junk and self._without.get(account_id, 0.0) > self._clock.monotonic_s():
            return _TO_INBOX
        generation = self._generation
        filtering = await self._storage.accounts.of(account_id).filtering()
        vacation = vacation_of(filtering.preferences)
        if not filtering.script_name and vacation is None:
            if generation == self._generation:
                if len(self._without) >= WITHOUT_MAX:
                    self._without.clear()
                self._without[account_id] = self._clock.monotonic_s() + WITHOUT_S
            if not incoming.is_junk:
                return _TO_INBOX
        ruling = Ruling(self._storage, self._clock, self._terms, self._compiled, incoming, filtering)
        return await ruling.made()

    async def dry_run(self, actor: Actor, octets: bytes, limit: int = 1000) -> list[Foreseen]:
        """Try a script on the last messages of INBOX, the newest first; nothing is changed or sent.

        A script that takes very many steps is not tried on all of them.

        Errors: NotAllowed, BadScript, LimitReached.
        """
        grounds = await self.grounds(actor)
        await self.scripts.check(octets)
        assert actor.account_id is not None
        store = self._storage.accounts.of(actor.account_id)
        return await dry_run(store, await self._compiled.get(octets), grounds, limit)

    async def grounds(self, actor: Actor) -> Grounds:
        """Give what dry runs know beside the messages. Errors: NotAllowed."""
        if actor.account_id is None or actor.address is None:
            raise NotAllowed
        store, settings = self._storage.accounts.of(actor.account_id), self._terms.settings
        filtering = await store.filtering()
        addresses = [actor.address, *await self._storage.directory.addresses_of(actor.account_id)]
        return Grounds(
            frozenset(map(str, addresses)),
            filtering.mailboxes,
            {script.name: await store.script(script.name) for script in await store.scripts()},
            self._clock.now(),
            settings.steps_max,
            settings.redirects_max,
        )

    async def stored(self, account: Account, filed: Filed) -> None:
        """Note what may be noted only once the message is filed: keys of ``duplicate``, who was answered, copies.

        Noted before, a delivery that fails and comes again would be taken for a duplicate, and its sender would get no
        answer. Spec: RFC 7352 §3, RFC 8580.
        Errors: of the store; the message is filed all the same.
        """
        copies = [reply for reply in filed.replies if reply.copy_into is not None]
        if not filed.seen and not filed.answered and not copies:
            return
        store, now = self._storage.accounts.of(account.account_id), self._clock.now()
        for key in filed.seen:
            await store.remember_first("duplicate", key.key, now, now + timedelta(seconds=key.seconds))
        for key in filed.answered:
            await store.remember_first("vacation", key.key, now, now + timedelta(seconds=key.seconds))
        for reply in copies:
            assert reply.copy_into is not None
            message = NewMessage(reply.octets, message_facts(reply.octets), now, reply.copy_into.flags)
            await _append_copy(store, reply.copy_into, message)


async def _append_copy(store: AccountStore, filing: Filing, message: NewMessage) -> None:
    """File a copy of what was sent; where its mailbox cannot be had, INBOX takes it. Spec: RFC 8580 §3."""
    if filing.creates:
        with suppress(MailsteadError):  # it is there already, or `append` says what is wrong
            await store.create_mailbox(filing.mailbox, filing.special_use)
    try:
        await store.append(filing.mailbox, [message], is_delivery=True)
    except MailsteadError:
        await store.append(INBOX, [message], is_delivery=True)
