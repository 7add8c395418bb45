"""`ekiden events`: the event log as it is written, and the destinations that events go to."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.following import followed
from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, count, moment, note, print_json, print_table, visible

if TYPE_CHECKING:
    from ekiden.duties.destinations import Plan
    from ekiden.events.model import Event
    from ekiden.events.ses import Letter

Name = Annotated[str, typer.Argument(help="The destination.", show_default=False)]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", "-t", help="Only this type; may be repeated.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Events, and where they go.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("tail")(tail)
    group.command("test")(try_)
    group.command("replay")(replay)
    group.command("skip")(skip)
    app.add_typer(group, name="events")


def list_(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """List the destinations: how far behind each is, and what keeps it from taking events."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.requests import Status  # noqa: PLC0415
    from ekiden.duties.destinations import plan  # noqa: PLC0415

    plans = plan(load_config(config))
    view = ask(config, Status())
    lags = {one.name: one for one in view.event_destinations}
    troubles = view.engine.event_troubles if view.engine else {}
    found = [
        {
            "name": one.name,
            "kind": one.kind,
            "format": one.options.form,
            "behind": lags[one.name].behind if one.name in lags else 0,
            "since": lags[one.name].since if one.name in lags else None,
            "trouble": troubles.get(one.name, ""),
        }
        for one in plans
    ]
    if as_json:
        print_json(found)
        return
    columns = [
        Column("name"),
        Column("kind"),
        Column("format"),
        Column("behind", number=True),
        Column("since"),
        Column("trouble"),
    ]
    rows = [
        (
            one.name,
            one.kind,
            one.options.form,
            count(lags[one.name].behind if one.name in lags else 0),
            moment(lags[one.name].since if one.name in lags else None),
            troubles.get(one.name) or "-",
        )
        for one in plans
    ]
    print_table(columns, rows, empty="no destination is configured")


def tail(  # noqa: PLR0917 - typer calls it, by name
    types: Types = None,
    job: Annotated[str, typer.Option("--job", help="Only this job, by its name or identity.")] = "",
    recipient: Annotated[str, typer.Option("--recipient", help="Only this address.")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", help="Begin so many back.")] = 10,
    follow: Annotated[bool, typer.Option("--follow/--once", help="Wait for more.")] = True,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show events as they are written to the log; needs no daemon."""
    from ekiden.events.log import CURRENT  # noqa: PLC0415 - as above

    settings = load_config(config)
    wanted = _types(types)
    shown = 0
    written = followed(settings.events.directory / CURRENT, lines, follow=follow)
    for event, line in _events(written):
        if (
            event.type in wanted
            and job in {"", event.job, event.job_uid}
            and recipient.lower() in {"", event.recipient.lower()}
        ):
            shown += 1
            print(line.decode() if as_json else _told(event), flush=True)
    if not shown and not follow:
        note("ekiden: no such event is in the log")


def try_(name: Name, config: ConfigPath = None) -> None:
    """Hand one made-up event over to a destination now; exits 4 when it is not taken."""
    from ekiden.duties.destinations import planned  # noqa: PLC0415 - as above
    from ekiden.events.model import Event, EventType, stamp  # noqa: PLC0415

    plan = planned(load_config(config), name)
    now = time.time()
    event = Event(
        id=f"test-{int(now)}",
        time=stamp(now),
        type=EventType.DELIVERED,
        job="ekiden events test",
        job_uid="ekiden-events-test",
        recipient="nobody@invalid.example",
        destination="invalid.example",
        code=250,
        reply="this event is a test",
    )
    import asyncio  # noqa: PLC0415 - --help must be quick

    taken = asyncio.run(_hand_over(plan, iter([event]), {}))
    print(f"{name} took {taken} event")


def replay(
    name: Name,
    since: Annotated[str, typer.Option("--since", help="From this time on (RFC 3339).")],
    until: Annotated[str, typer.Option("--until", help="Before this time; else until now.")] = "",
    types: Types = None,
    config: ConfigPath = None,
) -> None:
    """Hand events of the log over to a destination again, with the ids they have.

    They are read from the files of the event log, so far back as `events.keep` reaches, and
    filtered as the destination is. Exits 4 when they are not taken; what was taken before
    that is told.
    """
    import datetime as dt  # noqa: PLC0415 - as above

    from ekiden.duties.destinations import planned  # noqa: PLC0415
    from ekiden.errors import RefusedError  # noqa: PLC0415
    from ekiden.events.model import stamp  # noqa: PLC0415

    def bound(text: str, option: str) -> str:
        try:
            at = dt.datetime.fromisoformat(text)
        except ValueError:
            raise RefusedError(
                "this is no time", where=option, remedy="such as 2026-11-23T08:00:00+09:00"
            ) from None
        return stamp(at.timestamp())

    settings = load_config(config)
    plan = planned(settings, name)
    first, last = bound(since, "--since"), bound(until, "--until") if until else "9999"
    wanted = _types(types)
    events = (
        event
        for event in _logged(settings.events.directory)
        if first <= event.time < last and event.type in wanted and plan.options.wanted.takes(event)
    )
    letters = {} if plan.options.form == "ekiden" else _letters(config)
    import asyncio  # noqa: PLC0415 - as above

    taken = asyncio.run(_hand_over(plan, events, letters))
    print(f"{name} took {count(taken)} events")


def skip(name: Name, config: ConfigPath = None) -> None:
    """Let a destination go on with what happens from now: what waits for it is given up."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.requests import SkipEvents  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    if not ask(config, SkipEvents(name=name)):
        raise NotFoundError("no destination of this name has run", where=name)
    print(f"{name} goes on with what happens from now; replay brings back what it missed")


def _types(names: list[str] | None) -> frozenset[str]:
    from ekiden.errors import RefusedError  # noqa: PLC0415 - as above
    from ekiden.events.model import EventType  # noqa: PLC0415

    unknown = sorted(set(names or ()) - set(EventType))
    if unknown:
        raise RefusedError(
            f"there is no type {unknown[0]!r}", where="--type", remedy=f"use {', '.join(EventType)}"
        )
    return frozenset(names or EventType)


async def _hand_over(plan: "Plan", events: "Iterator[Event]", letters: "dict[str, Letter]") -> int:
    from ekiden.errors import UnavailableError  # noqa: PLC0415
    from ekiden.events.publisher import parcel  # noqa: PLC0415
    from ekiden.events.ses import Letter, encoded  # noqa: PLC0415

    sender, form, taken = plan.sender(), plan.options.form, 0
    size = 1 if form == "sns" else plan.options.batch
    told = []
    try:
        for event in events:
            letter = letters.get(event.job_uid, Letter())
            body = encoded(event, letter, form, f"ekiden-{plan.name}")
            if body is not None:
                told.append((event, body))
            if len(told) >= size:
                await sender.send(parcel(told))
                taken += len(told)
                told.clear()
        if told:
            await sender.send(parcel(told))
            taken += len(told)
    except UnavailableError:
        if taken:
            note(f"ekiden: {taken} events were taken before")
        raise
    finally:
        await sender.close()
    return taken


def _letters(config: Path | None) -> "dict[str, Letter]":
    """What is known of the mails of jobs that are still in the queue."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.requests import Jobs  # noqa: PLC0415
    from ekiden.events.ses import Letter  # noqa: PLC0415

    return {
        one.uid: Letter(mail_from=one.mail_from, at=one.created_at, expires_at=one.expires_at)
        for one in ask(config, Jobs(limit=10_000))
    }


def _logged(directory: Path) -> "Iterator[Event]":
    """Events of all files of the log, in order; a line that is torn is passed over."""
    import msgspec  # noqa: PLC0415 - as above

    from ekiden.events.log import CURRENT  # noqa: PLC0415
    from ekiden.events.model import Event  # noqa: PLC0415

    files = [*sorted(directory.glob("events-*.jsonl")), directory / CURRENT]
    for path in files:
        if not path.exists():
            continue
        with path.open("rb") as file:
            for line in file:
                try:
                    yield msgspec.json.decode(line, type=Event)
                except msgspec.DecodeError:
                    note(f"ekiden: {path.name} has a line that is no event; it is passed over")


def _events(lines: "Iterator[bytes]") -> "Iterator[tuple[Event, bytes]]":
    """The events that lines hold, each with its line; what is no event is passed over."""
    import msgspec  # noqa: PLC0415 - as above

    from ekiden.events.model import Event  # noqa: PLC0415

    decode = msgspec.json.Decoder(Event).decode
    for line in lines:
        try:
            yield decode(line), line
        except msgspec.DecodeError:
            continue


def _told(event: "Event") -> str:
    """An event as a line for people: tab-separated in a pipe."""
    about = event.detail or event.url or event.reply or event.how
    code = f"{event.code} " if event.code else ""
    cells = (
        event.time,
        str(event.type),
        event.recipient or event.scope or "-",
        event.job or "-",
        f"{code}{about}".strip() or event.bounce_class or "-",
    )
    between = "  " if sys.stdout.isatty() else "\t"
    return between.join(visible(cell) for cell in cells)
