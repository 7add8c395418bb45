"""`ekiden config`: is the configuration right, and what does it say."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.explain import explain
from ekiden.cli.options import AsJson, ConfigPath, config_path
from ekiden.cli.output import complain, print_json

if TYPE_CHECKING:
    from ekiden.config import Config
    from ekiden.errors import EkidenError


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)
    group.command("check")(check)
    group.command("show")(show)
    group.command("explain")(explain)
    app.add_typer(group, name="config")


def check(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Say what is wrong with the configuration and the files it names.

    Exits 0 when nothing is, 2 otherwise.
    """
    from ekiden.config import BadConfigError, load  # noqa: PLC0415 - help must not wait for it

    path = config_path(config)
    told: list[dict[str, str | int]] = []
    try:
        errors: list[EkidenError] = list(wrong_files(load(path)))
        told = [{"where": one.where, "what": one.what, "remedy": one.remedy} for one in errors]
    except BadConfigError as bad:
        errors = [bad]
        told = [
            {"line": one.line, "key": one.key, "what": one.what, "remedy": one.remedy}
            for one in bad.problems
        ]
    if as_json:
        print_json({"file": str(path), "problems": told})
    else:
        for error in errors:
            complain(error)
        if not errors:
            print(f"{path}: nothing is wrong")
    if errors:
        raise typer.Exit(2)


def wrong_files(config: "Config") -> "Iterator[EkidenError]":
    """Yield what is wrong with the files that a configuration names."""
    from ekiden.dkim.keys import load_key  # noqa: PLC0415 - as above
    from ekiden.errors import ConfigError  # noqa: PLC0415
    from ekiden.settings import lint_options  # noqa: PLC0415

    for key in config.dkim.keys:
        try:
            load_key(key.file, key.domain, key.selector)
        except ConfigError as error:
            yield error
    try:
        lint_options(config)
    except ConfigError as error:
        yield error
    for route in config.routes:
        if route.password_file is not None:
            yield from _secret(route.password_file)
    named = [*config.bounce.rules, *([config.tls.ca_file] if config.tls.ca_file else [])]
    for path in named:
        if not path.is_file():
            yield ConfigError("there is no such file", where=str(path))


def _secret(path: Path) -> "Iterator[EkidenError]":
    from ekiden.errors import ConfigError  # noqa: PLC0415 - as above

    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield ConfigError(f"the password cannot be read: {error.strerror}", where=str(path))
        return
    if mode & 0o077:
        yield ConfigError(
            f"others may read the password (mode {mode & 0o777:04o})",
            where=str(path),
            remedy=f"chmod 600 {path}",
        )


def show(
    config: ConfigPath = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print the complete, commented example instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print every value in force, as TOML that loads as the same."""
    from ekiden import config as settings  # noqa: PLC0415 - as above

    if example:
        print(settings.example(), end="")
        return
    loaded = settings.load(config_path(config))
    if as_json:
        print_json(loaded)
    else:
        print(settings.show(loaded), end="")
