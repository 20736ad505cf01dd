"""`python -m mailstead` and the `mailstead` command."""
