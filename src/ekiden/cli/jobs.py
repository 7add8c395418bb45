"""`ekiden jobs` and `ekiden job ...`: what was submitted, and how far it is."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, count, moment, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ekiden.control.requests import JobView, Question, SetView

Job = Annotated[str, typer.Argument(help="Its number, identity or name.", show_default=False)]
States = Annotated[
    list[str],
    typer.Option(
        "--state",
        "-s",
        help="Only these: receiving, open, paused, done, cancelled.",
        show_default=False,
    ),
]
FINISHED = ("delivered", "bounced", "expired", "suppressed", "cancelled")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("jobs")(jobs)
    group = typer.Typer(help="Show, pause, resume, cancel or release a job.", no_args_is_help=True)
    group.command("show")(show)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("cancel")(cancel)
    group.command("release")(release)
    app.add_typer(group, name="job")


def jobs(
    state: States = [],  # noqa: B006 - typer reads it and never changes it
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """List the jobs, the newest first."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.requests import Jobs  # noqa: PLC0415

    found = ask(config, Jobs(states=tuple(state), limit=limit))
    if as_json:
        print_json(found)
        return
    numbers = ("total", "waiting", "delivered", "failed")
    columns = [
        *map(Column, ("id", "state", "priority")),
        *(Column(name, number=True) for name in numbers),
        *map(Column, ("created", "name")),
    ]
    print_table(columns, map(_row, found), empty="no jobs")


def _row(job: "JobView") -> tuple[str, ...]:
    finished = sum(job.counts.get(state, 0) for state in FINISHED)
    delivered = job.counts.get("delivered", 0)
    return (
        str(job.id),
        job.state,
        job.priority,
        count(job.total),
        count(job.total - finished),
        count(delivered),
        count(finished - delivered),
        moment(job.created_at),
        job.name,
    )


def show(job: Job, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show a job."""
    from ekiden.control.requests import ShowJob  # noqa: PLC0415 - as above

    _ask_and_show(config, ShowJob(job=job), as_json=as_json)


def pause(job: Job, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Start no more deliveries of a job; those on the wire finish."""
    from ekiden.control.requests import PauseJob  # noqa: PLC0415 - as above

    _ask_and_show(config, PauseJob(job=job), as_json=as_json)


def resume(job: Job, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Go on with a paused job."""
    from ekiden.control.requests import ResumeJob  # noqa: PLC0415 - as above

    _ask_and_show(config, ResumeJob(job=job), as_json=as_json)


def cancel(
    job: Job,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Cancel everything of a job that has not been sent."""
    from ekiden.control.requests import CancelJob  # noqa: PLC0415 - as above

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Cancel what is left of job {job}?", abort=True)
    _ask_and_show(config, CancelJob(job=job), as_json=as_json)


def release(
    job: Job,
    drop: Annotated[bool, typer.Option("--drop", help="Cancel them instead.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Send the held deliveries of a job again: those that may have arrived already."""
    from ekiden.control.requests import ReleaseJob  # noqa: PLC0415 - as above

    _ask_and_show(config, ReleaseJob(job=job, drop=drop), as_json=as_json)


def _ask_and_show(config: ConfigPath, request: "Question[JobView]", *, as_json: bool) -> None:
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above

    view = ask(config, request)
    if as_json:
        print_json(view)
        return
    facts: dict[str, str | int] = {
        "id": view.id,
        "name": view.name,
        "state": view.state,
        "priority": view.priority,
        "identity": view.uid,
        "from": view.from_domain,
        "return path": view.mail_from,
        "configuration set": view.configuration_set or "-",
        "pool": view.pool or "-",
        "template": view.template or "-",
        "spool": view.spool_name or "-",
        "created": moment(view.created_at),
        "send at": moment(view.send_at or None),
        "deliver by": moment(view.deliver_by),
        "expires": moment(view.expires_at),
        "verdict on its deadline": view.verdict or "-",
        "forecast": view.forecast or "-",
        "volume": "; ".join(view.volume) or "as usual",
        "recipients": count(view.total),
        "refused rows": count(view.refused),
        "duplicates": count(view.duplicates),
        "finished": moment(view.finished_at),
    }
    facts |= {state: count(number) for state, number in view.counts.items()}
    print_facts(facts | {f"rows of set {one.configuration_set}": _of_set(one) for one in view.sets})


def _of_set(one: "SetView") -> str:
    finished = sum(one.counts.get(state, 0) for state in FINISHED)
    delivered = one.counts.get("delivered", 0)
    return (
        f"{count(one.total)}: {count(one.total - finished)} waiting, {count(delivered)} delivered,"
        f" {count(finished - delivered)} failed; job {one.id}, {one.state}, {one.priority},"
        f" pool {one.pool or '-'}"
    )
