"""Reports: what clients ask of collections beyond their properties. Each gives what `services.dav` answers with.

Start reading at `answers`.
"""
