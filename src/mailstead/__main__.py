"""`python -m mailstead` and the `mailstead` command."""

import os
import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["health"]:  # asked often while a container starts: without what others load
        from mailstead.cli.answers import tell

        sys.exit(tell())
    from mailstead.cli.app import app

    try:
        app()
    except SystemExit as ended:
        if "obstore" in sys.modules:
            _leave_at_once(ended.code)
        raise


def _leave_at_once(code: object) -> None:
    """End without taking the interpreter down.

    The S3 client's own threads may still drop what they were given, and one that meets an interpreter on its way out
    aborts the process (seen about once in ten commands): a backup that was made would be told as failed.
    """
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    main()
