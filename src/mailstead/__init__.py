# SPDX-License-Identifier: MIT
"""Mailstead: every service of a mail provider in one package and one command.

Start reading at `wiring` (the composition root), then `ARCHITECTURE.md`.
"""

__version__ = "0.1.0"
