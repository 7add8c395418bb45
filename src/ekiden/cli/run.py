"""`ekiden run`: the daemon in the foreground."""

import gc

import typer

from ekiden.cli.bare import load_log
from ekiden.cli.options import ConfigPath, config_path, load_config


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(config: ConfigPath = None) -> None:
    """Run the daemon in the foreground.

    TERM and INT let open transactions finish and end it; HUP reads the configuration again.
    """
    # Modules are made to stay: looking for garbage among them takes a tenth of their loading. The
    # daemon turns it on again (`daemon.tune`).
    gc.disable()
    settings = load_config(config)
    load_log()

    from ekiden import daemon  # noqa: PLC0415 - the whole engine

    daemon.run(settings, config_path(config))
