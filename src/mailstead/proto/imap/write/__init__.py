"""Responses, in bytes. (Signatures first.) Everything untagged ends in CRLF; `code.*` gives what stands between [ and ].

values:    astring, string, nstring, quoted_or_literal, literal(data), mailbox_name(name, is_utf8), flag_list(flags),
           internaldate(seconds, zone_minutes)
responses: capability, enabled, flags, exists(n), recent(n), expunge(seqnums desc), vanished(uids, earlier=), search(numbers, modseq=),
           esearch(tag, by_uid=, min/max/all/count/modseq/partial), sort, thread, list_line, lsub_line, status_line,
           namespace, id_line, quota, quotaroot, metadata, ok(code, text), no(code, text), bye
code:      appenduid, copyuid, modified, highestmodseq, nomodseq, uidvalidity, uidnext, permanentflags, mailboxid, closed, …
fetch:     Columns: fetch_lines(seqnums, columns) -> bytes, fetch_head(seqnum, pairs), columns for Attribute items of records
"""
