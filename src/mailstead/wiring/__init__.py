"""The composition root: settings in, running house out. It alone joins adapters to use cases.

May import: everything below `cli`. Each module makes one thing and loads what that one needs; who does not always need
it imports the module late. Start reading at `house` (the store and the use cases), then `serve` (the services on it).
"""
