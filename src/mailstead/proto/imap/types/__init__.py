"""Commands and events of the IMAP wire. May import: model. Start reading at `commands`, then `events`."""

from mailstead.proto.imap.types import commands, events, fetch, search, sequence

__all__ = ["commands", "events", "fetch", "search", "sequence"]
