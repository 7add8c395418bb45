"""`python -m ekiden` is the `ekiden` command."""

from ekiden.cli.main import main

if __name__ == "__main__":
    main()
