"""`ekiden shaping`: rules and limits that never decide anything, and rules over past events."""

from pathlib import Path
from typing import Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, moment, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Check what is known of receivers.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("lint")(lint)
    group.command("replay")(replay)
    app.add_typer(group, name="shaping")


def lint(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Say which patterns never match, as others do first; which rules never fire; which are slow.

    Exits 0 when nothing is found, 1 otherwise.
    """
    import time  # noqa: PLC0415 - help must not wait for them

    from ekiden import settings  # noqa: PLC0415
    from ekiden.bounce import lint as rules  # noqa: PLC0415
    from ekiden.cli.options import load_config  # noqa: PLC0415
    from ekiden.engine.capsbook import profiles, reactions  # noqa: PLC0415
    from ekiden.shaping import lint as shaping  # noqa: PLC0415
    from ekiden.shaping.ramps import OTHER  # noqa: PLC0415

    loaded = load_config(config)
    known = [one.name for one in profiles(loaded)]
    found = [
        *shaping.of_providers(profiles(loaded)),
        *shaping.of_named(
            "warmup.source", [it.provider for it in loaded.warmup.sources], [*known, OTHER]
        ),
        *shaping.of_named("hours.provider", [it.provider for it in loaded.hours.providers], known),
        *shaping.of_patterns(
            "limits.destination", [it.pattern for it in loaded.limits.destinations]
        ),
        *shaping.of_patterns("limits.site", [it.mx for it in loaded.limits.sites]),
        *shaping.of_patterns("route", [it.pattern for it in loaded.routes]),
        *shaping.of_patterns("tls.destination", [it.pattern for it in loaded.tls.destinations]),
        *shaping.of_patterns("tls.site", [it.mx for it in loaded.tls.sites]),
    ]
    told = [(one.where, one.what) for one in found]
    classifier = settings.classifier(loaded)
    told += rules.never_fire(classifier)
    told += rules.unknown_providers(classifier, known)
    found = [
        *shaping.of_reactions(reactions(loaded), profiles(loaded)),
        *shaping.of_slow_patterns(reactions(loaded), time.process_time),
    ]
    told += [(one.where, one.what) for one in found]
    if as_json:
        print_json([{"where": where, "what": what} for where, what in told])
    else:
        print_table([Column("where"), Column("what")], told, empty="nothing is wrong")
    if told:
        raise typer.Exit(1)


def replay(
    events: Annotated[Path, typer.Argument(help="A file of the event log.", exists=True)],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Say which reactions past events would have brought about, when, and for how long."""
    from ekiden import settings  # noqa: PLC0415 - as above
    from ekiden.cli.options import load_config  # noqa: PLC0415
    from ekiden.control.waiting import span  # noqa: PLC0415
    from ekiden.engine.capsbook import reactions  # noqa: PLC0415
    from ekiden.events.past import replies  # noqa: PLC0415
    from ekiden.shaping.replay import replay as run  # noqa: PLC0415

    loaded = load_config(config)
    with events.open("rb") as lines:
        found = run(reactions(loaded), replies(lines, settings.provider_of(loaded), str(events)))
    if as_json:
        print_json(found)
        return
    rows = (
        (
            moment(one.since),
            one.rule,
            one.where(),
            one.what(),
            span(one.until - one.since) if one.until else "-",
            one.reply,
        )
        for one in found
    )
    columns = [*map(Column, ("at", "rule", "where", "what", "for", "reply"))]
    print_table(columns, rows, empty="nothing would have fired")
