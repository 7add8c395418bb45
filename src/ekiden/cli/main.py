"""The `ekiden` command."""


def main() -> None:
    """Run the command line."""
