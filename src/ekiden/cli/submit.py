"""`ekiden submit`: put jobs into the spool, each in one rename."""

from pathlib import Path
from typing import Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit")(submit)


def submit(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files (.eml, .json, .toml) and job directories.", show_default=False),
    ],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Copy jobs into the spool; prints the name of each there, which its result file carries.

    No daemon is needed: it takes them when it runs. A shape that is not known is refused before
    anything is copied; what is wrong inside a job is told in failed/NAME.error.txt.
    """
    settings = load_config(config)

    from ekiden.spool.submit import submit as put  # noqa: PLC0415 - help must not wait for it

    names = put(paths, settings.spool.directory)
    if as_json:
        submitted = zip(paths, names, strict=True)
        print_json([{"path": str(path), "name": name} for path, name in submitted])
    else:
        print_table([Column("submitted as")], [(name,) for name in names])
