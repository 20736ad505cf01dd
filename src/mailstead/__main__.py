"""`python -m mailstead` and the `mailstead` command."""

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:] == ["health"]:  # asked often while a container starts: without what others load
        from mailstead.cli.answers import tell

        sys.exit(tell())
    from mailstead.cli.app import app

    app()


if __name__ == "__main__":
    main()
