"""Facts in, verdict out: rules that need neither storage nor wire.

May import: model, mime. Pure. Start reading at `failures`.
"""
