"""`ekiden version`: what is installed."""

import typer

from ekiden.cli.options import AsJson
from ekiden.cli.output import print_facts, print_json


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(version)


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
