"""`ekiden version`: what is installed."""

from typing import Annotated

import typer

from ekiden.cli.options import AsJson
from ekiden.cli.output import print_facts, print_json


def _print(wanted: bool) -> None:
    if wanted:
        from ekiden import __version__  # noqa: PLC0415 - as below

        print(f"ekiden {__version__}")
        raise typer.Exit


def register(app: typer.Typer) -> None:
    """Add the command, and the option that people try first."""
    app.command("version")(version)
    app.callback()(_top)


def _top(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", is_eager=True, callback=_print
        ),
    ] = False,
) -> None:
    """Ekiden delivers bulk and transactional mail from your own IP addresses."""


def version(as_json: AsJson = False) -> None:
    """Print the versions of Ekiden and of what it stands on."""
    import platform  # noqa: PLC0415 - help must not wait for them
    import ssl  # noqa: PLC0415

    from ekiden import __version__  # noqa: PLC0415

    facts = {
        "ekiden": __version__,
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts)
