"""Answers of servers, and words of ours about them, in the form that the queue keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mailstead.model.queue import RemoteReply
from mailstead.proto.smtp.types import Reply

TEXT_CHARACTERS_MAX: Final = 1000
"""An answer may be 64 KiB; logs, notices and the trace want its beginning."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """Whom we talk to, and how it is protected."""

    name: str
    address: str
    security: str

    def heard(self, reply: Reply) -> RemoteReply:
        """Give what the server has answered; final if it is a 5yz. Spec: RFC 5321 §4.2.1."""
        text = _CONTROL.sub(" ", " ".join(reply.lines))[:TEXT_CHARACTERS_MAX]
        return self.told(reply.code, reply.enhanced, text)

    def told(self, code: int, enhanced: str, text: str, *, is_final: bool | None = None) -> RemoteReply:
        """Give words of ours."""
        is_permanent = code >= 500 if is_final is None else is_final
        return RemoteReply(code, enhanced, text, self.name, self.address, self.security, is_permanent)
