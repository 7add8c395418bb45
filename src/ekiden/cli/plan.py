"""`ekiden plan`: when a job would be done, before it is submitted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, count, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.config import Config
    from ekiden.forecast.drafts import Drafted
    from ekiden.forecast.model import Facts, Forecast, Load

_DNS_SECONDS = 8.0
_WIDTH = 56  # columns of the chart's bars
_ROWS = 10
_FEW = 3  # points that make no picture


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("plan")(plan)


def plan(  # noqa: PLR0917 - typer reads options from positions
    job: Annotated[Path, typer.Argument(help="A job directory, or a .toml, .json or .eml file.")],
    start: Annotated[
        str,
        typer.Option(help="When it would start, as in a job file: 09:00 today as a date and time."),
    ] = "",
    source_state: Annotated[
        Path | None,
        typer.Option(help="Start from the facts in this file instead of those of the queue."),
    ] = None,
    save_state: Annotated[
        Path | None, typer.Option(help="Write the facts to a file, for --source-state.")
    ] = None,
    dns: Annotated[bool, typer.Option(help="Look up where the largest destinations are.")] = True,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Say when a job would be done at each provider, and when it must start for its deadline.

    The engine's own scheduler is run ahead on a virtual clock: with the caps, windows, warm-ups and
    hours in force, the jobs that wait already, and what was measured of each path.
    """
    import asyncio  # noqa: PLC0415 - help must not wait for it
    import time  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from ekiden.forecast.estimate import estimate  # noqa: PLC0415

    settings = load_config(config)
    now = time.time()
    drafted = _read(settings, job, config, start, now)
    load = drafted.load
    kept = None if source_state is None else _state(source_state)
    facts = asyncio.run(_facts(settings, load, now, kept, dns=dns))
    if save_state is not None:
        save_state.write_bytes(msgspec.json.encode(facts))
    found = estimate(settings, facts, load)
    if as_json:
        print_json(found)
    else:
        _show(found)
        _tell_refused(drafted)


def _read(config: "Config", path: Path, given: Path | None, start: str, now: float) -> "Drafted":
    """Read a job and count its recipients by destination."""
    from ekiden.cli.jobs_at_hand import content_rules  # noqa: PLC0415 - as above
    from ekiden.forecast.drafts import read_load  # noqa: PLC0415

    rules = content_rules(config, given)
    return read_load(config, path, start=start, now=now, rules=rules)


def _state(path: Path) -> "Facts":
    import msgspec  # noqa: PLC0415 - as above

    from ekiden.errors import RefusedError  # noqa: PLC0415
    from ekiden.forecast.model import Facts  # noqa: PLC0415

    try:
        return msgspec.json.decode(path.read_bytes(), type=Facts)
    except (OSError, msgspec.DecodeError) as error:
        raise RefusedError(
            f"the state cannot be read: {error}",
            where=str(path),
            remedy="write one with ekiden plan --save-state FILE",
        ) from None


async def _facts(
    settings: "Config",
    load: "Load",
    now: float,
    state: "Facts | None",
    *,
    dns: bool,
) -> "Facts":
    from collections import Counter  # noqa: PLC0415 - as above

    from ekiden import settings as made  # noqa: PLC0415
    from ekiden.cli.access import access  # noqa: PLC0415
    from ekiden.forecast.gather import gather, look_up  # noqa: PLC0415
    from ekiden.forecast.model import Facts  # noqa: PLC0415

    if state is not None:
        facts = state
    elif settings.queue.path.exists():
        async with access(settings) as there:
            facts = await gather(there, now)
    else:
        facts = Facts(now=now)
    if dns:
        counts: Counter[str] = Counter()
        for one in (*load.members, *facts.loads):
            counts.update(one.lanes)
        resolver = made.resolver(settings, lambda: now)
        facts.sites |= await look_up(resolver, counts, facts.sites, _DNS_SECONDS)
    return facts


def _show(found: "Forecast") -> None:
    from ekiden.forecast.words import clock  # noqa: PLC0415 - as above

    def at(moment: float | None) -> str:
        return "-" if moment is None else clock(moment, found.at)

    columns = [
        Column("provider"),
        Column("messages", number=True),
        *map(Column, ("50 %", "95 %", "all", "in time", "held up by")),
    ]
    named = [(one.name or "others", one) for one in found.providers]
    named += [(f"set {one.name or 'default'}", one) for one in found.sets]
    rows = [
        (
            name,
            count(one.messages),
            at(one.half),
            at(one.most),
            at(one.end),
            "-" if one.in_time is None else f"{100 * one.in_time:.0f} %",
            one.binds or "-",
        )
        for name, one in (*named, ("all", found.whole))
    ]
    print_table(columns, rows, empty="the job has no recipients")
    _draw(found)
    note(f"{found.job}: {found.words}")
    for words in found.volume:
        note(f"{found.job}: {words}")
    if found.assumed:
        note(
            f"{found.assumed:,} destinations were not looked up: they are taken for what their"
            " names say, or for a receiver each"
        )


def _tell_refused(drafted: "Drafted") -> None:
    if drafted.refused:
        rows = "row" if drafted.refused == 1 else "rows"
        note(f"{drafted.refused:,} {rows} would be refused: not counted here")
    for name, reason in drafted.why.items():
        note(f"rows of set {name}: {reason}")


def _draw(found: "Forecast") -> None:
    """Draw arrivals over time, on a terminal."""
    import sys  # noqa: PLC0415 - as above

    from ekiden.forecast.words import clock  # noqa: PLC0415

    if not sys.stdout.isatty() or len(found.curve) < _FEW:
        return
    first, last = found.start, found.curve[-1][0]
    total = found.whole.messages
    row = (last - first) / _ROWS
    deadline = found.deliver_by or 0.0
    for step in range(1, _ROWS + 1):
        until = first + row * step
        share = max((number for at, number in found.curve if at <= until), default=0) / total
        bar = "█" * round(share * _WIDTH)
        mark = " ◄ deadline" if until - row < deadline <= until else ""
        print(f"{clock(until, found.at):>16} {bar:<{_WIDTH}} {100 * share:3.0f} %{mark}")
