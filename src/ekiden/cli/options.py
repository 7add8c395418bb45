"""Options that commands share, and how the configuration is found."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

if TYPE_CHECKING:
    from ekiden.config import Config

PLACES: Final = (Path("config.toml"), Path("/etc/ekiden/config.toml"))

ConfigPath: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="EKIDEN_CONFIG",
        help="The configuration file; else ./config.toml, else /etc/ekiden/config.toml.",
        show_default=False,
        readable=False,  # whoever reads it says what is wrong, and a pipe asks to keep the mail
    ),
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def config_path(given: Path | None) -> Path:
    """Return the configuration file that a command uses: the one given, or the first that exists.

    When none exists the first place is returned, and loading it says what to do.
    """
    if given is not None:
        return given
    return next((place for place in PLACES if os.access(place, os.F_OK)), PLACES[0])


def load_config(given: Path | None) -> "Config":
    """Return the configuration.

    Raises:
        ConfigError: It cannot be used.
    """
    from ekiden.config import load  # noqa: PLC0415 - help must not wait for it

    return load(config_path(given))
