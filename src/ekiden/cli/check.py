"""`ekiden check`: what receivers find about your sources and From domains."""

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, print_json, print_table

if TYPE_CHECKING:
    from ekiden.check.model import Finding


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    subject: Annotated[
        str, typer.Argument(help="A source or a domain; else everything.", show_default=False)
    ] = "",
    blocklists: Annotated[
        bool,
        typer.Option("--blocklists", help="Ask the usual blocklists, too (docs/check.md)."),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", "-a", help="Show what passes, too.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Look up what receivers look up about you, and say what to publish.

    Exits 1 when a check fails, 4 when DNS did not answer and nothing else fails.
    """
    import asyncio  # noqa: PLC0415 - help must not wait for it

    from ekiden.check.model import Level  # noqa: PLC0415
    from ekiden.check.sources import BLOCKLISTS  # noqa: PLC0415
    from ekiden.duties.preflight import judge, subjects  # noqa: PLC0415

    settings = load_config(config)
    what = subjects(settings, time.time(), subject)
    lists = settings.check.blocklists or (BLOCKLISTS if blocklists else ())
    found = asyncio.run(judge(settings, what, lists))
    if as_json:
        print_json(found)
    else:
        _print(found, everything=everything)
    levels = {one.level for one in found}
    if Level.FAIL in levels:
        raise typer.Exit(1)
    if Level.UNKNOWN in levels:
        raise typer.Exit(4)


def _print(found: "list[Finding]", *, everything: bool) -> None:
    from ekiden.check.model import Level  # noqa: PLC0415 - as above

    shown = [one for one in found if everything or one.level not in {Level.PASS, Level.INFO}]
    rows = (
        (
            str(one.level),
            one.subject,
            one.check,
            one.what,
            one.remedy or "-",
            one.source or "-",
        )
        for one in shown
    )
    heading = ("level", "subject", "check", "what", "to do", "asked by")
    counts = Counter(str(one.level) for one in found)
    told = ", ".join(f"{number} {level}" for level, number in counts.items())
    print_table([*map(Column, heading)], rows, empty=told or "nothing is configured to be checked")
