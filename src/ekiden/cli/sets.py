"""`ekiden sets`: configuration sets, and the switch that stops their mail."""

from typing import Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, moment, print_json, print_table

Name = Annotated[str, typer.Argument(help='The set; "default" for jobs that name none.')]
_MOST = 10_000


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Configuration sets.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("stop")(stop)
    group.command("resume")(resume)
    app.add_typer(group, name="sets")


def list_(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """List the configured sets, and whether they send."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.requests import Reputations  # noqa: PLC0415

    known = load_config(config).configuration_sets
    stopped = {
        one.scope.removeprefix("set:"): one
        for one in ask(config, Reputations(limit=_MOST))
        if one.scope.startswith("set:") and one.standing == "stopped"
    }
    names = ["default", *(name for name in known if name != "default")]
    names += sorted(stopped.keys() - set(names))
    sets = [
        {
            "name": name,
            "sends": name not in stopped,
            "since": stopped[name].since if name in stopped else None,
            "why": stopped[name].reason if name in stopped else "",
        }
        for name in names
    ]
    if as_json:
        print_json(sets)
        return
    rows = []
    for name in names:
        since = moment(stopped[name].since if name in stopped else None)
        chosen = known.get(name)
        rows.append(
            (
                name,
                "stopped" if name in stopped else "sends",
                since,
                (chosen.pool if chosen else "") or "-",
                (chosen.priority if chosen else None) or "-",
                (chosen.contact_list if chosen else "") or "-",
                (chosen.topic if chosen else "") or "-",
                stopped[name].reason if name in stopped else "-",
            )
        )
    heading = ("name", "state", "since", "pool", "priority", "list", "topic", "why")
    print_table([*map(Column, heading)], rows)


def stop(
    name: Name,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; it is shown.")] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Send no mail of a set any more: its jobs are paused, and those that come later too."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import StopScope  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    known = load_config(config).configuration_sets
    if name != "default" and name not in known:
        raise NotFoundError(f"there is no configuration set {name!r}")
    jobs = ask(config, StopScope(scope=f"set:{name}", reason=reason))
    if as_json:
        print_json(jobs)
        return
    rows = ((str(job.id), job.state, job.name) for job in jobs)
    print_table([*map(Column, ("job", "state", "name"))], rows, empty="no job was open")


def resume(name: Name, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Let a stopped set send again; exits 3 when it is not stopped."""
    from ekiden.cli.reputation import resume as again  # noqa: PLC0415 - as above

    again(f"set:{name}", config, as_json)
