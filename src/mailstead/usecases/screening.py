"""Judging incoming mail: one pipeline of named checks, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailstead.model.address import Address
from mailstead.model.authentication import Authentication
from mailstead.model.directory import Account
from mailstead.model.envelope import Peer
from mailstead.model.message import Octets
from mailstead.model.verdict import Decision, Judgement


@dataclass(frozen=True, slots=True)
class Screened:
    """A complete message on its way in, and all that is known of how it came."""

    queue_id: str
    peer: Peer
    helo: str
    mail_from: Address | None
    recipients: tuple[Address, ...]
    """As named in RCPT."""
    octets: Octets = field(repr=False)
    header: bytes = field(repr=False)
    authentication: Authentication | None


class Screening:
    """The pipeline."""

    async def judge(self, message: Screened) -> Judgement:
        """Judge what is the same for all recipients."""
        del message
        return Judgement(Decision.ALLOW)

    async def judge_for(self, account: Account, message: Screened, common: Judgement) -> Judgement:
        """Judge for one account: with its own lists and what it has learned of junk."""
        del account, message
        return common
