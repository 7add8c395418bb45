"""`ekiden warmup`: what cold sources may send to each provider today, and why."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, count, print_json, print_table

if TYPE_CHECKING:
    from ekiden.control.pacing_requests import WarmupView

COLUMNS: Final = [
    *map(Column, ("source", "provider", "plan")),
    *(Column(name, number=True) for name in ("stage", "today", "used")),
    *map(Column, ("verdict", "expected end", "why")),
]

SourceName = Annotated[str, typer.Argument(help="The source's name.", show_default=False)]
ProviderName = Annotated[
    str, typer.Argument(help="At one provider only; `other` for those of nobody known.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Warm-up of cold sources.", invoke_without_command=True)
    group.callback()(show)
    group.command("start")(start)
    group.command("hold")(hold)
    group.command("skip")(skip)
    group.command("days")(days)
    group.command("plans")(plans)
    app.add_typer(group, name="warmup")


def show(context: typer.Context, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show every source's warm-up at every provider: stage, allowance, use, verdict, end."""
    if context.invoked_subcommand is not None:
        return
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.pacing_requests import Warmups  # noqa: PLC0415

    found = ask(config, Warmups())
    _print(found, as_json=as_json)


def start(
    source: SourceName,
    provider: ProviderName = "",
    plan: Annotated[str, typer.Option("--plan", help="The plan; `ekiden warmup plans`.")] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Begin a warm-up at its first day, or let one that is held go on."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.pacing_requests import StartWarmup  # noqa: PLC0415

    found = ask(config, StartWarmup(source=source, provider=provider, plan=plan))
    _print(found, as_json=as_json)


def hold(
    source: SourceName,
    provider: ProviderName = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Stay at today's allowance until `ekiden warmup start`."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.pacing_requests import HoldWarmup  # noqa: PLC0415

    found = ask(config, HoldWarmup(source=source, provider=provider))
    _print(found, as_json=as_json)


def skip(
    source: SourceName,
    provider: ProviderName = "",
    to: Annotated[
        int | None,
        typer.Option("--to", min=1, help="Go on at this day of the plan; else it is warm."),
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """End a warm-up, or go on at another day of its plan."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.pacing_requests import SkipWarmup  # noqa: PLC0415

    found = ask(config, SkipWarmup(source=source, provider=provider, stage=to))
    _print(found, as_json=as_json)


def days(
    source: SourceName,
    provider: ProviderName = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Show the last days with mail of a source, and what each came to."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.pacing_requests import Warmups  # noqa: PLC0415

    found = [
        one
        for one in ask(config, Warmups())
        if one.source == source and provider in {"", one.provider}
    ]
    if as_json:
        print_json({one.provider: one.days for one in found})
        return
    numbers = ("allowance", "sent", "deferred", "bounced", "complained", "blocked")
    columns = [
        *map(Column, ("day", "provider")),
        *(Column(name, number=True) for name in ("stage", *numbers)),
        *map(Column, ("verdict", "why")),
    ]
    rows = sorted(
        (day.day, one.provider, day.stage, *(getattr(day, name) for name in numbers),
         day.verdict, day.reason)
        for one in found
        for day in one.days
    )  # fmt: skip
    print_table(columns, rows, empty="no day with mail has ended yet")


def plans(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show the plans there are, with where each was published."""
    from ekiden import settings  # noqa: PLC0415 - as above
    from ekiden.cli.options import load_config  # noqa: PLC0415

    found = settings.warmup(load_config(config)).plans
    if as_json:
        print_json(
            [{"name": one.name, "days": one.days, "origin": one.origin} for one in found.values()]
        )
        return
    rows = (
        (one.name, len(one.days), _short(one.days), one.origin or "-") for one in found.values()
    )
    columns = [Column("plan"), Column("days", number=True), *map(Column, ("a day", "origin"))]
    print_table(columns, rows)


def _short(caps: tuple[int, ...]) -> str:
    shown = [count(cap) for cap in caps]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:5], "...", shown[-1]])


def _print(found: "Iterable[WarmupView]", *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = (
        (
            one.source,
            one.provider,
            one.plan,
            f"{one.stage}/{one.stages}",
            "-" if one.done else count(one.allowance),
            count(one.sent),
            "held" if one.held and not one.done else one.verdict,
            one.ends or "-",
            one.reason or "-",
        )
        for one in found
    )
    print_table(COLUMNS, rows, empty="no source warms up: ekiden warmup start SOURCE")
