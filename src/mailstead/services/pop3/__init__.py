"""The pop3 service: sessions that turn events into use cases, and results into replies. Start reading at `session`."""
