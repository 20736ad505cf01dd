"""The actions of one run, as they are asked for: what goes together, what is said twice, what cancels the keep.

Spec: RFC 5228 §2.10.2 (implicit keep), §2.10.3 (duplicates), §2.10.4 (conflicts); RFC 5429 §2.4; RFC 5230 §4.7.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailstead.model.flags import Flags
from mailstead.model.mailbox import INBOX
from mailstead.sieve.actions import Action, Discard, FileInto, Keep, Notify, Redirect, Reject, Vacation
from mailstead.sieve.budget import Budget
from mailstead.sieve.errors import RunProblem

ACTIONS_MAX: Final = 32
DETAIL_SEPARATOR: Final = "+"
"""Spec: RFC 5233 §4."""


class Gathering:
    """What one run wants done."""

    def __init__(self, budget: Budget, own_addresses: frozenset[str]) -> None:
        self.actions: list[Action] = []
        self.keeps_implicitly = True
        self.had_vacation = False
        self._budget = budget
        self._own = {address.casefold() for address in own_addresses}

    def file(self, action: Keep | FileInto) -> None:
        """Keep, or file into a mailbox; twice into the same one is once, with the flags of both.

        Spec: RFC 5228 §2.10.3; RFC 3894 §3 (a copy leaves the implicit keep alone).
        """
        if isinstance(action, FileInto) and action.mailbox == INBOX:
            if not action.is_copy:
                self.keeps_implicitly = False
            action = Keep(action.flags, action.header)
        elif not (isinstance(action, FileInto) and action.is_copy):
            self.keeps_implicitly = False
        self._refuse_beside_reject("keep or fileinto")
        for index, other in enumerate(self.actions):
            if isinstance(other, Keep | FileInto) and _mailbox(other) == _mailbox(action):
                self.actions[index] = replace(other, flags=other.flags | action.flags)
                return
        self._add(action)

    def redirect(self, action: Redirect) -> None:
        """Send on; to an address of one's own that would come back for ever, hence it is a keep.

        Spec: RFC 5228 §4.2, attack row 58.
        """
        address = action.address.casefold()
        local_part, _, domain = address.rpartition("@")
        # Mail to name+detail is mail to name.
        if address in self._own or f"{local_part.partition(DETAIL_SEPARATOR)[0]}@{domain}" in self._own:
            if not action.is_copy:
                self.file(Keep(header=action.header))
            return
        self._refuse_beside_reject("redirect")
        if not action.is_copy:
            self.keeps_implicitly = False
        if any(isinstance(other, Redirect) and other.address.casefold() == address for other in self.actions):
            return
        self._budget.spend_redirect()
        self._add(action)

    def discard(self) -> None:
        """Keep nothing unless something else says so. Spec: RFC 5228 §4.4."""
        self.keeps_implicitly = False

    def reject(self, action: Reject) -> None:
        """Refuse the message. Spec: RFC 5429 §2.4."""
        for other in self.actions:
            if isinstance(other, Reject):
                raise RunProblem("A message can be rejected only once")
            if not isinstance(other, Notify):
                raise RunProblem("A message that is kept, filed, redirected or answered cannot be rejected too")
        self.keeps_implicitly = False
        self._add(action)

    def note_vacation(self) -> None:
        """Note that a script asks for an answer, whether this message may be answered or not.

        Spec: RFC 5230 §4.7 (once in a run, not beside a reject).
        """
        if self.had_vacation:
            raise RunProblem("vacation can be asked for only once for a message")
        self.had_vacation = True
        self._refuse_beside_reject("vacation")

    def answer(self, action: Vacation) -> None:
        """Answer the sender."""
        self._add(action)

    def notify(self, action: Notify) -> None:
        """Send a notice; the same one twice is once. Spec: RFC 5435 §3.8."""
        if action not in self.actions:
            self._budget.spend_redirect()
            self._add(action)

    def result(self, flags: Flags, header: bytes | None) -> tuple[Action, ...]:
        """Give all actions, the implicit keep resolved."""
        if self.keeps_implicitly:
            self.file(Keep(flags, header))
        stays = any(isinstance(action, Keep | FileInto | Redirect | Reject) for action in self.actions)
        return tuple(self.actions) if stays else (*self.actions, Discard())

    def _refuse_beside_reject(self, what: str) -> None:
        if any(isinstance(other, Reject) for other in self.actions):
            raise RunProblem(f"A message that is rejected cannot have {what} too")

    def _add(self, action: Action) -> None:
        if len(self.actions) >= ACTIONS_MAX:
            raise RunProblem(f"More than {ACTIONS_MAX} actions for one message")
        self.actions.append(action)


def _mailbox(action: Keep | FileInto) -> str:
    return INBOX if isinstance(action, Keep) else action.mailbox
