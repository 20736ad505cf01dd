"""`mailstead setup`: the guide from a bare machine to real mail. See ADR 30.

May import what the command line may. Start reading at `command`.
"""
