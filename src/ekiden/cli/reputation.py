"""`ekiden reputation`: bounce and complaint rates by scope; lets a stopped one send again."""

from typing import Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, count, moment, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Bounce and complaint rates.", invoke_without_command=True)
    group.callback()(show)
    group.command("resume")(resume)
    app.add_typer(group, name="reputation")


def show(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the rates of senders, sources, providers, sets and jobs, the worst first."""
    if context.invoked_subcommand is not None:
        return
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.requests import Reputations  # noqa: PLC0415

    found = ask(config, Reputations(limit=limit))
    if as_json:
        print_json(found)
        return
    columns = [
        *map(Column, ("scope", "standing")),
        *(Column(name, number=True) for name in ("sent", "bounces", "complaints")),
        *map(Column, ("since", "why")),
    ]
    rows = (
        (
            one.scope,
            one.standing,
            count(round(one.sent)),
            f"{one.bounce_rate:.2%}",
            f"{one.complaint_rate:.3%}",
            moment(one.since),
            one.reason or "-",
        )
        for one in found
    )
    print_table(columns, rows, empty="nothing was sent yet")


def resume(
    scope: Annotated[str, typer.Argument(help="Such as sender:example.com.", show_default=False)],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Let a stopped scope send again, with clean rates; exits 3 when it is not stopped."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.requests import ResumeScope  # noqa: PLC0415

    jobs = ask(config, ResumeScope(scope=scope))
    if as_json:
        print_json(jobs)
        return
    rows = ((str(job.id), job.state, job.name) for job in jobs)
    print_table([*map(Column, ("job", "state", "name"))], rows, empty="no job waited for it")
