"""From what SEARCH says on the wire to what it means in the mailbox. Spec: RFC 9051 §6.4.4, RFC 5032 §3."""

from __future__ import annotations

from collections.abc import Callable

from mailstead.model import search as model
from mailstead.model.uidset import UidSet
from mailstead.proto.imap.types.search import Aged, AllOf, AnyOf, NotKey, Numbered, WireKey
from mailstead.proto.imap.types.sequence import SequenceSet


def to_model(key: WireKey, select: Callable[..., UidSet], now_s: int) -> model.SearchKey:
    """Replace sequence sets by UIDs and ages by moments.

    `select` is `View.select` (``select(messages, by_uid=…)``). The parser bounds the depth to 64, hence the recursion.
    Units: `now_s` in seconds since 1970 UTC.
    Errors: those of `select`.
    """
    match key:
        case Numbered():
            return _numbered(key.messages, select, by_uid=key.by_uid)
        case Aged(interval_s, is_older=True):
            # OLDER: "the internal date is at or before (now - interval)"
            return model.Within(at_or_before_s=now_s - interval_s)
        case Aged(interval_s):
            return model.Within(at_or_after_s=now_s - interval_s)
        case NotKey(inner):
            return model.Not(to_model(inner, select, now_s))
        case AllOf(keys):
            return model.And(tuple(to_model(inner, select, now_s) for inner in keys))
        case AnyOf(keys):
            return model.Or(tuple(to_model(inner, select, now_s) for inner in keys))
        case _:
            return key


def _numbered(messages: SequenceSet, select: Callable[..., UidSet], *, by_uid: bool) -> model.SearchKey:
    uids = select(messages, by_uid=by_uid)
    return model.Uids(uids) if uids else model.Nothing()
