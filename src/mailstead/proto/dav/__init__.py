"""WebDAV, CalDAV, CardDAV: XML, requests, headers, paths, answers. HTTP itself is not ours.

May import: model, pim. Pure: no server, no clock. Start reading at `types`.
"""
