"""`ekiden run`: the daemon in the foreground."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

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
    with _as_if_missing("rich"):
        # It would be loaded, a twentieth of the start, for tracebacks that show local variables,
        # passwords included; ours never do.
        import structlog  # noqa: F401, PLC0415 - see above

    from ekiden import daemon  # noqa: PLC0415 - the whole engine

    daemon.run(settings, config_path(config))


@contextmanager
def _as_if_missing(name: str) -> Iterator[None]:
    """Let a library believe that another one, which it takes when it is there, is not installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what the import system documents
    try:
        yield
    finally:
        del sys.modules[name]
