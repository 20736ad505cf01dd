r"""The junk filter of each account: learns what its owner moves into and out of \Junk, judges what comes, explains.

Lessons wait in the account's store, whichever protocol moved the message. They are learned before the next judgement,
at most once in a few seconds, so a mailbox that nobody sends to costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from mailstead.mime.address import addresses_of
from mailstead.mime.header import first_values, header_end, text_of
from mailstead.mime.text import body_text
from mailstead.mime.tree import part_tree
from mailstead.model.envelope import Actor
from mailstead.model.errors import AccountLocked, NoSuchMessage, NotAllowed, TryAgainLater
from mailstead.model.filtering import JunkLesson
from mailstead.model.ids import AccountId, Uid
from mailstead.model.message import OctetRange, Octets, Wanted
from mailstead.model.uidset import UidSet
from mailstead.model.verdict import Check
from mailstead.policy import junk
from mailstead.policy.junk import JunkScore
from mailstead.ports.clock import Clock
from mailstead.ports.storage import AccountStore, Storage

LOOK_S: Final = 5.0
"""How often an account's lessons are looked for at most."""
LESSONS_AT_ONCE: Final = 50
SCANNED_OCTETS_MAX: Final = 256 * 1024
"""Of each message so much is read: junk shows itself early, and large ones are rare."""
ACCOUNTS_MAX: Final = 10_000
JUNK_FROM: Final = 0.9
"""Probability from which on the filter alone makes a message junk."""
SUSPECT_FROM: Final = 0.6
SCORE_MAX: Final = 6.0
SHOWN_MAX: Final = 15
_TRAINED: Final = "junk training"
"""Of the account's preferences: how learning has gone so far."""


class Training(msgspec.Struct, frozen=True):
    """How learning has gone."""

    learned_at: datetime | None = None
    """When the last lesson was learned; None: nobody has noted it."""
    judged_count: int = 0
    """Lessons before which the filter would have said something itself."""
    right_count: int = 0
    """Those of them in which it would have been right."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What the filter of an account knows."""

    good_count: int
    junk_count: int
    """Messages it has learned from."""
    training: Training

    @property
    def judges(self) -> bool:
        """Whether that is enough to judge."""
        return min(self.good_count, self.junk_count) >= junk.LEARNED_MIN

    @property
    def right_percent(self) -> int | None:
        """How many of a hundred lessons it would have known before; None: it was never asked."""
        judged = self.training.judged_count
        return 100 * self.training.right_count // judged if judged else None


@dataclass(slots=True)
class _Seen:
    """What this process knows of one account's lessons."""

    looked_s: float
    is_learned: bool
    """Enough is learned to judge."""


class JunkFilter:
    """Judges and learns; one object for the process."""

    def __init__(self, storage: Storage, clock: Clock, key: bytes) -> None:
        self._accounts = storage.accounts
        self._clock = clock
        self._key = key
        self._seen: OrderedDict[AccountId, _Seen] = OrderedDict()

    async def judge(self, account_id: AccountId, octets: Octets) -> Check | None:
        """Judge a message for one account; None while it has learned too little.

        The score goes from minus half to all of `SCORE_MAX`; only a clear case alone is enough for Junk.
        """
        store = self._accounts.of(account_id)
        try:
            if not await self._has_learned(account_id, store):
                return None
            found = await self._score(store, octets)
        except AccountLocked:  # what it has learned is locked with the mail
            return None
        if found is None:
            return None
        points = _points(found.probability)
        telling = ", ".join(f"{each.word} ({each.probability:.2f})" for each in found.telling[:5])
        return Check("junk-filter", score=points, reason=f"{found.probability:.0%} like what you call junk: {telling}")

    async def explain(self, actor: Actor, mailbox: str, uid: Uid) -> JunkScore | None:
        """Say what the filter thinks of a message in a mailbox, by which words; None while it has learned too little.

        Errors: NoSuchMailbox, NoSuchMessage, NotAllowed.
        """
        store = self._store(actor)
        await self._learn(store)
        snapshot = await store.snapshot(mailbox)
        records = await store.fetch(snapshot.mailbox.mailbox_id, UidSet.of([uid]), Wanted.NARROW)
        if not records:
            raise NoSuchMessage
        stop = min(records[0].size_octets, SCANNED_OCTETS_MAX)
        (octets,) = await store.read_octets([OctetRange(records[0].blob_id, 0, stop)])
        found = await self._score(store, octets)
        return None if found is None else JunkScore(found.probability, found.telling[:SHOWN_MAX])

    async def learned(self, actor: Actor) -> tuple[int, int]:
        """How many good and junk messages the filter has learned from. Errors: NotAllowed."""
        store = self._store(actor)
        await self._learn(store)
        known = await store.junk_counts(())
        return known.good_total, known.junk_total

    async def state_of(self, account_id: AccountId) -> Learned:
        """Give what the filter of an account knows: numbers, no words. For those who look after it."""
        store = self._accounts.of(account_id)
        known = await store.junk_counts(())
        return Learned(known.good_total, known.junk_total, _training((await store.preferences()).get(_TRAINED)))

    async def forget(self, account_id: AccountId) -> None:
        """Let an account's filter begin anew; lessons that wait are forgotten, too. For those who look after it."""
        store = self._accounts.of(account_id)
        await store.forget_junk()
        await store.set_preferences({_TRAINED: None})
        self._seen.pop(account_id, None)

    def _store(self, actor: Actor) -> AccountStore:
        if actor.account_id is None:
            raise NotAllowed
        return self._accounts.of(actor.account_id)

    async def _score(self, store: AccountStore, octets: Octets) -> JunkScore | None:
        tokens = await self._tokens(octets)
        return junk.score(tokens, await store.junk_counts(list(tokens.values())))

    async def _tokens(self, octets: Octets) -> dict[str, int]:
        head = bytes(octets[:SCANNED_OCTETS_MAX])
        words = await asyncio.to_thread(_words, head) if len(head) > 16_384 else _words(head)
        return {word: junk.token_of(word, self._key) for word in words}

    # learning

    async def _has_learned(self, account_id: AccountId, store: AccountStore) -> bool:
        now_s = self._clock.monotonic_s()
        seen = self._seen.get(account_id)
        if seen is None or now_s - seen.looked_s > LOOK_S:
            await self._learn(store)
            known = await store.junk_counts(())
            seen = _Seen(now_s, min(known.good_total, known.junk_total) >= junk.LEARNED_MIN)
            self._seen[account_id] = seen
            self._seen.move_to_end(account_id)
            if len(self._seen) > ACCOUNTS_MAX:
                self._seen.popitem(last=False)
        return seen.is_learned

    async def _learn(self, store: AccountStore) -> None:
        """Learn what waits. Another process may be at the same lessons: then it has learned them."""
        said: list[bool | None] = []
        try:
            while lessons := await store.junk_backlog(LESSONS_AT_ONCE):
                for lesson in lessons:
                    tokens = await self._tokens_of(store, lesson)
                    # Asked before it is learned, as if the message had just come: only then the answer says something.
                    would_be_right = await self._would_be_right(store, lesson, tokens)
                    await store.learn([lesson], _changes(lesson, tokens))
                    said.append(would_be_right)
                if len(lessons) < LESSONS_AT_ONCE:
                    return
        except (TryAgainLater, NoSuchMessage):
            return
        finally:
            if said:
                await self._note(store, said)

    async def _tokens_of(self, store: AccountStore, lesson: JunkLesson) -> dict[str, int]:
        stop = min(lesson.size_octets, SCANNED_OCTETS_MAX)
        (octets,) = await store.read_octets([OctetRange(lesson.blob_id, 0, stop)])
        return await self._tokens(octets)

    @staticmethod
    async def _would_be_right(store: AccountStore, lesson: JunkLesson, tokens: Mapping[str, int]) -> bool | None:
        """Whether the filter would have known it; None: it has learned too little, or has had this message before."""
        if lesson.learned_as is not None:
            return None
        found = junk.score(tokens, await store.junk_counts(list(tokens.values())))
        return None if found is None else (found.probability >= junk.NEUTRAL) == lesson.is_junk

    async def _note(self, store: AccountStore, said: list[bool | None]) -> None:
        before = _training((await store.preferences()).get(_TRAINED))
        after = Training(
            self._clock.now(),
            before.judged_count + sum(each is not None for each in said),
            before.right_count + sum(each is True for each in said),
        )
        await store.set_preferences({_TRAINED: msgspec.json.encode(after)})


def _changes(lesson: JunkLesson, tokens: Mapping[str, int]) -> Mapping[int, tuple[int, int]]:
    """Give what a lesson adds to the counts of its tokens, and takes back where it was learned the other way."""
    good = (not lesson.is_junk) - (lesson.learned_as is False)
    bad = lesson.is_junk - (lesson.learned_as is True)
    return dict.fromkeys(tokens.values(), (good, bad))


def _training(octets: bytes | None) -> Training:
    return Training() if octets is None else msgspec.json.decode(octets, type=Training)


def _words(octets: bytes) -> list[str]:
    values = first_values(octets[: header_end(octets)])
    senders = addresses_of(values.get(b"from", b""))
    sender = ""
    if senders and senders[0].domain:
        sender = f"{text_of(senders[0].local_part or b'')}@{text_of(senders[0].domain)}"
    return junk.words_of(text_of(values.get(b"subject", b"")), sender, body_text(octets, part_tree(octets)))


def _points(probability: float) -> float:
    """Give the score for a probability: nothing in the middle, growing towards both ends."""
    if probability >= SUSPECT_FROM:
        part = (probability - SUSPECT_FROM) / (JUNK_FROM - SUSPECT_FROM)
        return min(SCORE_MAX, 5.0 * part) if probability < JUNK_FROM else SCORE_MAX
    if probability <= 1 - JUNK_FROM:
        return -SCORE_MAX / 2
    return 0.0
