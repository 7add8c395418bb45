"""`ekiden hours`: when mail does not begin, and what was learned of the hours of the day."""

from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, moment, print_json, print_table

if TYPE_CHECKING:
    from ekiden.control.pacing_requests import HoursView


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("hours")(hours)


def hours(
    every: Annotated[
        bool, typer.Option("--all", help="Also providers without windows and without attempts.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show when mail does not begin at each provider, and its deferrals by hour of the day."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.pacing_requests import ShowHours  # noqa: PLC0415

    found = ask(config, ShowHours())
    if as_json:
        print_json(found)
        return
    shown = [one for one in found if every or one.hours or one.bulk or one.transactional]
    columns = [
        *map(Column, ("provider", "bulk avoids", "bulk from", "transactional avoids")),
        *(Column(f"{hour:02}", number=True) for hour in range(24)),
    ]
    print_table(columns, map(_row, shown), empty="nothing is avoided, and nothing is learned yet")


def _row(one: "HoursView") -> tuple[str, ...]:
    shares = {
        each.hour: f"{100 * each.deferred:.0f}%" for each in one.hours if each.deferred is not None
    }
    return (
        one.provider,
        one.bulk or "-",
        "now" if one.bulk_from is None else moment(one.bulk_from),
        one.transactional or "-",
        *(shares.get(hour, "-") for hour in range(24)),
    )
