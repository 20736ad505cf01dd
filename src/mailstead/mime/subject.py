"""The base subject: a subject without the marks of replying and forwarding.

Spec: RFC 5256 §2.1.
"""

from __future__ import annotations

import re
from typing import Final

# RFC 5256 §5:
#   subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":"
#   subj-blob  = "[" *BLOBCHAR "]" *WSP ; BLOBCHAR = anything but "[" and "]"
_REFWD: Final = re.compile(r"(?:re|fwd?) *(?:\[[^\[\]]*\] *)?:", re.IGNORECASE)
_BLOB: Final = re.compile(r"\[[^\[\]]*\] *")
_FWD: Final = "[fwd:"
_TRAILER: Final = "(fwd)"


def base_subject(subject: str) -> tuple[str, bool]:
    """Give the base of a decoded subject, and whether a mark of a reply or forward was removed.

    Spec: RFC 5256 §2.1, steps 1 to 6.
    """
    text = " ".join(subject.split())
    start, stop, is_reply = 0, len(text), False
    while True:
        # Step 2: trailers.
        while True:
            if stop > start and text[stop - 1] == " ":
                stop -= 1
            elif text[max(stop - 5, start) : stop].lower() == _TRAILER:
                stop, is_reply = stop - 5, True
            else:
                break
        start, was_marked = _without_leaders(text, start, stop)
        is_reply = is_reply or was_marked
        # Step 6: "[fwd:" subject "]".
        if text[start : start + 5].lower() == _FWD and start + 5 < stop and text[stop - 1] == "]":
            start, stop, is_reply = start + 5, stop - 1, True
            continue
        return text[start:stop], is_reply


def _without_leaders(text: str, start: int, stop: int) -> tuple[int, bool]:
    """Give where the text starts without leaders and blobs, and whether there was a mark. Steps 3 to 5.

    A row of blobs is passed over once, as a whole; it is a leader if a mark follows, and is otherwise removed as far
    as something is left.
    """
    is_marked = False
    while True:
        while start < stop and text[start] == " ":
            start += 1
        behind, last_blob = start, start
        while blob := _BLOB.match(text, behind, stop):
            last_blob, behind = behind, blob.end()
        mark = _REFWD.match(text, behind, stop)
        if mark:
            start, is_marked = mark.end(), True
            continue
        return (behind if behind < stop else last_blob), is_marked
