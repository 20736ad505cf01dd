"""Personal information: iCalendar and vCard objects; parse, check, facts, recurrence, filters, free-busy, iTIP.

May import: model. Pure: no asyncio, files, clock, settings. Start reading at `component`.
"""
