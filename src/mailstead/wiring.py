"""The composition root: settings in, running house out. It alone joins adapters to use cases."""
