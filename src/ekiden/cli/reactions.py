"""`ekiden reactions`: what is done for a while about what receivers say, and why."""

from typing import Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, moment, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Reactions to what receivers say.", invoke_without_command=True)
    group.callback()(show)
    group.command("cancel")(cancel)
    app.add_typer(group, name="reactions")


def show(context: typer.Context, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show every reaction that holds: for what, until when, and the reply that caused it."""
    if context.invoked_subcommand is not None:
        return
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.reaction_requests import ShowReactions  # noqa: PLC0415

    found = ask(config, ShowReactions())
    if as_json:
        print_json(found)
        return
    columns = [
        Column("id", number=True),
        *map(Column, ("rule", "where", "what", "since", "until", "reply")),
    ]
    rows = (
        (
            str(one.id),
            one.rule,
            one.where,
            one.what,
            moment(one.since),
            moment(one.until),
            one.reply,
        )
        for one in found
    )
    print_table(columns, rows, empty="nothing is held back")


def cancel(
    number: Annotated[int, typer.Argument(help="Its number.", show_default=False, metavar="ID")],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """End a reaction now; exits 3 when there is none of that number."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.reaction_requests import CancelReaction  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    if not ask(config, CancelReaction(id=number)):
        raise NotFoundError(
            f"there is no reaction {number}", remedy="`ekiden reactions` lists what holds"
        )
    if as_json:
        print_json({"cancelled": number})
    else:
        print(f"reaction {number} is cancelled")
