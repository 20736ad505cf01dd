"""`python -m mailstead` and the `mailstead` command."""


def main() -> None:
    """Run the command line."""
    from mailstead.cli.app import app

    app()


if __name__ == "__main__":
    main()
