"""`ekiden queue` and `ekiden delivery`: what waits where and why, and what happened to whom."""

from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, count, moment, print_json, print_table

if TYPE_CHECKING:
    from ekiden.control.requests import AttemptView, DeliveryView


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("queue")(queue)
    app.command("delivery")(delivery)


def queue(
    pattern: Annotated[
        str, typer.Argument(help="Only these destinations: example.com or *.example.com.")
    ] = "*",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 100,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show what waits, by destination, the longest queues first, and why it waits."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.requests import Backlog  # noqa: PLC0415

    found = ask(config, Backlog(pattern=pattern, limit=limit))
    if as_json:
        print_json(found)
        return
    columns = [
        Column("destination"),
        *(Column(name, number=True) for name in ("ready", "deferred", "sending", "held")),
        *map(Column, ("oldest", "next", "why")),
    ]
    rows = (
        (
            one.destination,
            count(one.ready),
            count(one.deferred),
            count(one.sending),
            count(one.held),
            moment(one.oldest),
            moment(one.next_due),
            one.why or "-",
        )
        for one in found
    )
    print_table(columns, rows, empty="nothing waits")


def delivery(
    recipient: Annotated[str, typer.Argument(help="The address.", show_default=False)],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show every delivery to a recipient, with every attempt and its reply.

    Exits 3 when there is none.
    """
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.requests import Deliveries  # noqa: PLC0415

    found = ask(config, Deliveries(recipient=recipient))
    if as_json:
        print_json(found)
        return
    columns = [*map(Column, ("delivery", "job", "state", "time", "stage", "host", "reply"))]
    print_table(columns, (row for one in found for row in _rows(one)))


def _rows(one: "DeliveryView") -> list[tuple[str, ...]]:
    """Return a line for the delivery, and one for each attempt below it."""
    until = one.finished_at or one.due_at
    head = (str(one.id), one.job_name, one.state, moment(until), "-", "-", "-")
    return [head, *(_attempt(one.id, attempt) for attempt in one.attempts)]


def _attempt(number: int, one: "AttemptView") -> tuple[str, ...]:
    where = one.host or one.site or "-"
    fate = f"{one.fate} in doubt" if one.in_doubt else one.fate
    reply = one.reply or one.klass or "-"
    return (str(number), f"try {one.number}", fate, moment(one.at), one.stage or "-", where, reply)
