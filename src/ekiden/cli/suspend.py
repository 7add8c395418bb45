"""`ekiden suspend` and `ekiden resume`: destinations that get nothing for a while."""

import time
from typing import Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, moment, print_json, print_table

COLUMNS = [*map(Column, ("pattern", "since", "until", "reason"))]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("suspend")(suspend)
    app.command("resume")(resume)


def suspend(
    pattern: Annotated[
        str, typer.Argument(help="example.com, *.example.com or *; none lists them.")
    ] = "",
    time_: Annotated[
        str,
        typer.Option(
            "--for", help='How long, such as "2h"; else until resumed.', show_default=False
        ),
    ] = "",
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is shown.")] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Send nothing to some destinations; without a pattern, list what is suspended."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control import requests  # noqa: PLC0415

    if not pattern:
        found = ask(config, requests.Suspensions())
    else:
        until = time.time() + _seconds(time_) if time_ else None
        found = [ask(config, requests.Suspend(pattern=pattern, until=until, reason=reason))]
    if as_json:
        print_json(found)
        return
    rows = ((one.pattern, moment(one.since), moment(one.until), one.reason) for one in found)
    print_table(COLUMNS, rows, empty="nothing is suspended")


def _seconds(text: str) -> float:
    from ekiden.config.units import parse_duration  # noqa: PLC0415 - as above

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {text!r}", param_hint="--for") from None


def resume(
    pattern: Annotated[str, typer.Argument(help="As it was suspended.", show_default=False)],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Lift a suspension; exits 3 when there is none. (Jobs have `job resume`)."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.requests import Unsuspend  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    if not ask(config, Unsuspend(pattern=pattern)):
        raise NotFoundError(
            f'"{pattern}" is not suspended', remedy="`ekiden suspend` lists what is"
        )
    if as_json:
        print_json({"resumed": pattern})
    else:
        print(f"{pattern} is resumed")
