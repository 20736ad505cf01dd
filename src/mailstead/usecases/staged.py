"""The octets of one message while they arrive: one growing buffer within its own limit and the process's budget."""

from __future__ import annotations

from mailstead.mime.header import HEADER_FIELDS_MAX, HEADER_OCTETS_MAX, has_too_much, header_end
from mailstead.model.errors import BadMessage, MessageTooLarge, StorageFull, TryAgainLater
from mailstead.usecases.staging import Staging


class StagedOctets:
    """A message on its way in. Nothing is left of it after `release`, whoever broke off (attack row 23)."""

    __slots__ = ("_octets_max", "_staging", "_taken", "octets")

    def __init__(self, staging: Staging, octets_max: int) -> None:
        self._staging = staging
        self._octets_max = octets_max
        self._taken = 0
        self.octets = bytearray()

    def lower_limit(self, octets_max: int) -> None:
        """Take no more than so many octets, where that is less than before. Errors: MessageTooLarge if it is late."""
        self._octets_max = min(self._octets_max, octets_max)
        if self._taken > self._octets_max:
            raise self._too_large()

    def _too_large(self) -> MessageTooLarge:
        return MessageTooLarge(f"Messages have at most {self._octets_max} octets here")

    def write(self, chunk: bytes) -> None:
        """Add octets. Errors: MessageTooLarge as soon as it is; StorageFull when the process's budget is used up."""
        if self._taken + len(chunk) > self._octets_max:
            raise self._too_large()
        try:
            self._staging.take(len(chunk))
        except TryAgainLater as error:
            # Said as 452 4.3.1: it is memory that is short, not the server that is ill.
            raise StorageFull(error.public_text) from None
        self._taken += len(chunk)
        self.octets += chunk

    def release(self) -> None:
        """Give the memory back; may be called again."""
        self._staging.give_back(self._taken)
        self._taken = 0
        self.octets = bytearray()

    def header(self) -> bytes:
        """Give the header, with its empty line, of a complete message.

        Errors: MessageTooLarge for a header bomb (attack row 8); BadMessage for a NUL or bare line end in the header,
        which different readers would read differently (attack rows 2 and 6; only BDAT can bring them here).
        Spec: RFC 5322 §2.1, §2.2; RFC 5321 §2.3.8.
        """
        octets = self.octets
        header = bytes(octets[: header_end(octets)])
        if has_too_much(header):
            raise MessageTooLarge(
                f"A header has at most {HEADER_OCTETS_MAX} octets and {HEADER_FIELDS_MAX} fields here",
            )
        rest = header.replace(b"\r\n", b"")
        if b"\n" in rest or b"\r" in rest or b"\0" in rest:
            raise BadMessage("The header has a NUL or a bare CR or LF")
        return header
