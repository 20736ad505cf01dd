"""Noting what happens to messages, unless the domain wants no trace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
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

    __slots__ = ("_base", "_house", "_is_kept")

    def __init__(self, house: Tracing, base: TraceEvent, *, is_kept: bool) -> None:
        self._house = house
        self._base = base
        self._is_kept = is_kept

    def identify(self, message_id: str) -> None:
        """From now on the message has this Message-ID."""
        self._base = replace(self._base, message_id=message_id)

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
                replace(
                    self._base,
                    at=self._house.clock.now(),
                    step=step,
                    decision=decision,
                    reason=reason,
                    recipient=str(recipient) or self._base.recipient,
                    peer=peer or self._base.peer,
                    reply=reply,
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
        is_kept = self._is_enabled
        if is_kept and domain:
            found = await self._directory.domain(domain)
            is_kept = found is None or found.terms.keeps_trace
        base = TraceEvent(
            self.clock.now(), queue_id, direction, "", mail_from=str(mail_from or ""), peer=peer, domain=domain
        )
        return MessageTrace(self, base, is_kept=is_kept)

    def record(self, event: TraceEvent) -> None:
        """Keep one step."""
        self._trace.record(event)
