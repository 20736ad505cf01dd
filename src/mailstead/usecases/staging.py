"""One budget of memory for all messages on their way in, shared by SMTP and IMAP."""

from __future__ import annotations

from mailstead.model.errors import TryAgainLater


class Staging:
    """Counts the octets that receptions and APPENDs hold at this moment in this process (attack rows 23 and 50)."""

    __slots__ = ("octets", "octets_max")

    def __init__(self, octets_max: int) -> None:
        self.octets_max = octets_max
        self.octets = 0

    def take(self, octets: int) -> None:
        """Count octets in. Errors: TryAgainLater when the budget is used up; nothing is counted then."""
        if self.octets + octets > self.octets_max:
            raise TryAgainLater("Too many messages are on their way in; please try again later")
        self.octets += octets

    def give_back(self, octets: int) -> None:
        """Count octets out."""
        self.octets = max(0, self.octets - octets)
