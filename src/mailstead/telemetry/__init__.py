"""Structured log, metrics, protocol transcript with secrets removed.

May import: model. Start reading at `log` and `metrics`.
"""
