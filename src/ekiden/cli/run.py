"""`ekiden run`: the daemon in the foreground."""

import typer

from ekiden.cli.options import ConfigPath, config_path, load_config


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(config: ConfigPath = None) -> None:
    """Run the daemon in the foreground.

    TERM and INT let open transactions finish and end it; HUP reads the configuration again.
    """
    settings = load_config(config)

    from ekiden import daemon  # noqa: PLC0415 - the whole engine

    daemon.run(settings, config_path(config))
