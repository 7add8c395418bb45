"""`ekiden status`: the whole queue in a few figures."""

from typing import TYPE_CHECKING

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import count, moment, print_facts, print_json

if TYPE_CHECKING:
    from ekiden.control.requests import StatusView


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Print whether the daemon runs, and what is in the queue."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.cli.learned import facts_of  # noqa: PLC0415
    from ekiden.control.pacing_requests import ShowLearned  # noqa: PLC0415
    from ekiden.control.requests import Status  # noqa: PLC0415

    view = ask(config, Status())
    if as_json:
        print_json(view)
    else:
        learned = ask(config, ShowLearned(found=True))
        print_facts(_facts(view) | facts_of(learned))


def _facts(view: "StatusView") -> dict[str, str | int]:
    facts: dict[str, str | int] = {"daemon": "not running"}
    engine = view.engine
    if engine is not None:
        facts = {
            "daemon": "running",
            "pid": engine.pid,
            "version": engine.version,
            "since": moment(engine.started_at),
            "sessions": f"{engine.sessions}/{engine.max_sessions}",
            "destinations": count(engine.destinations),
        }
        if engine.trouble:
            facts["trouble"] = engine.trouble
    facts |= {f"jobs {state}": count(number) for state, number in view.jobs.items()}
    facts |= {state: count(number) for state, number in view.deliveries.items()}
    facts["suspensions"] = view.suspensions
    troubles = engine.event_troubles if engine is not None else {}
    for one in view.event_destinations:
        told = f"{count(one.behind)} behind" if one.behind else "has all"
        facts[f"events to {one.name}"] = "; ".join(filter(None, (told, troubles.get(one.name))))
    return facts
