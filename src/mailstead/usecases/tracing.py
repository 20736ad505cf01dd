"""Noting what happens to messages, unless the domain wants no trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailstead.model.address import Address
from mailstead.model.trace import TraceEvent
from mailstead.model.verdict import Check, Decision
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage

_WORDS: Final = {
    Decision.ALLOW: "allow",
    Decision.REFUSE: "refuse",
    Decision.DEFER: "defer",
    Decision.QUARANTINE: "junk",
}


class MessageTrace:
    """The steps of one message; each `note` is one more. Costs nothing where nothing is kept."""

    __slots__ = ("_direction", "_domain", "_house", "_is_kept", "_mail_from", "_message_id", "_peer", "_queue_id")

    def __init__(self, house: Tracing, queue_id: str, direction: str, mail_from: str, domain: str, peer: str) -> None:
        self._house = house
        self._queue_id = queue_id
        self._direction = direction
        self._mail_from = mail_from
        self._domain = domain
        self._peer = peer
        self._message_id = ""
        self._is_kept = True

    def keep_nothing(self) -> None:
        """From now on nothing is noted."""
        self._is_kept = False

    def identify(self, message_id: str) -> None:
        """From now on the message has this Message-ID."""
        self._message_id = message_id

    def note(
        self,
        step: str,
        decision: str = "",
        reason: str = "",
        *,
        recipient: Address | str = "",
        peer: str = "",
        reply: str = "",
    ) -> None:
        """Note a step."""
        if self._is_kept:
            self._house.record(
                TraceEvent(
                    at=self._house.clock.now(),
                    queue_id=self._queue_id,
                    direction=self._direction,
                    step=step,
                    decision=decision,
                    reason=reason,
                    mail_from=self._mail_from,
                    recipient=str(recipient),
                    message_id=self._message_id,
                    peer=peer or self._peer,
                    reply=reply,
                    domain=self._domain,
                )
            )

    def note_checks(self, checks: Iterable[Check], recipient: Address | str = "") -> None:
        """Note what the policy pipeline has found."""
        for check in checks:
            score = f" ({check.score:+.1f})" if check.score else ""
            self.note(check.name, _WORDS[check.decision], f"{check.reason}{score}", recipient=recipient)


class Tracing:
    """Begins traces; one object for the process."""

    def __init__(self, storage: Storage, clock: Clock, *, is_enabled: bool = True) -> None:
        self._trace = storage.trace
        self._directory = storage.directory
        self._is_enabled = is_enabled
        self.clock: Final = clock

    async def of(
        self, queue_id: str, direction: str, mail_from: Address | None, domain: str, peer: str = ""
    ) -> MessageTrace:
        """Begin or go on with the trace of a message that concerns a domain of ours."""
        trace = MessageTrace(self, queue_id, direction, str(mail_from or ""), domain, peer)
        if not self._is_enabled:
            trace.keep_nothing()
        elif domain:
            found = await self._directory.domain(domain)
            if found is not None and not found.terms.keeps_trace:
                trace.keep_nothing()
        return trace

    def record(self, event: TraceEvent) -> None:
        """Keep one step."""
        self._trace.record(event)
