"""CalDAV and CardDAV over HTTP: a thin shell around the use cases of calendars and contacts.

May import: usecases, net, proto, ports and below. Start reading at `app`.
"""
