"""What the house needs from outside, as promises in prose. `tests/contracts` holds every adapter to them.

May import: model. Start reading at `storage`.
"""
