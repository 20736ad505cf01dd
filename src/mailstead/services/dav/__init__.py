"""Calendars and contacts over HTTP: CalDAV and CardDAV."""
