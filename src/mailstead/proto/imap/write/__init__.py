"""Responses, in bytes. May import: model, proto.imap.types.

`values`: strings, names, flags, dates. `responses`: every untagged line but FETCH. `fetch`: FETCH by columns. `code`:
what stands between ``[`` and ``]``. Start reading at `responses`.
"""

from mailstead.proto.imap.write import body, code, fetch, responses, values

__all__ = ["body", "code", "fetch", "responses", "values"]
