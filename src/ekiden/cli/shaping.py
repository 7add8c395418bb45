"""`ekiden shaping lint`: rules, providers and limits that can never decide anything."""

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, print_json, print_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Check what is known of receivers.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("lint")(lint)
    app.add_typer(group, name="shaping")


def lint(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Say which patterns never match, because others do first, and which rules never fire.

    Exits 0 when nothing is found, 1 otherwise.
    """
    from ekiden import settings  # noqa: PLC0415 - help must not wait for them
    from ekiden.bounce import lint as rules  # noqa: PLC0415
    from ekiden.cli.options import load_config  # noqa: PLC0415
    from ekiden.engine.capsbook import profiles  # noqa: PLC0415
    from ekiden.shaping import lint as shaping  # noqa: PLC0415

    loaded = load_config(config)
    found = [
        *shaping.of_providers(profiles(loaded)),
        *shaping.of_patterns(
            "limits.destination", [it.pattern for it in loaded.limits.destinations]
        ),
        *shaping.of_patterns("limits.site", [it.mx for it in loaded.limits.sites]),
        *shaping.of_patterns("route", [it.pattern for it in loaded.routes]),
        *shaping.of_patterns("tls.destination", [it.pattern for it in loaded.tls.destinations]),
        *shaping.of_patterns("tls.site", [it.mx for it in loaded.tls.sites]),
    ]
    told = [(one.where, one.what) for one in found]
    told += rules.never_fire(settings.classifier(loaded))
    if as_json:
        print_json([{"where": where, "what": what} for where, what in told])
    else:
        print_table([Column("where"), Column("what")], told, empty="nothing is wrong")
    if told:
        raise typer.Exit(1)
