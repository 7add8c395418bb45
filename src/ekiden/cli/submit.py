"""`ekiden submit`: put jobs into the spool, each in one rename."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.config import Config


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit")(submit)


def submit(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files (.eml, .json, .toml) and job directories.", show_default=False),
    ],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Copy jobs into the spool; prints the name of each there, which its result file carries.

    No daemon is needed: it takes them when it runs. A shape that is not known is refused before
    anything is copied; what is wrong inside a job is told in failed/NAME.error.txt. A job that is
    far from what its sources usually send is pointed out; it is submitted all the same.
    """
    settings = load_config(config)

    from ekiden.spool.submit import submit as put  # noqa: PLC0415 - help must not wait for it

    names = put(paths, settings.spool.directory)
    told = _unusual(settings, paths, config)
    if as_json:
        print_json(
            [
                {"path": str(path), "name": name, "volume": volume}
                for path, name, volume in zip(paths, names, told, strict=True)
            ]
        )
        return
    print_table([Column("submitted as")], [(name,) for name in names])
    for path, volume in zip(paths, told, strict=True):
        for words in volume:
            note(f"{path}: {words}")


def _unusual(settings: "Config", paths: list[Path], given: Path | None) -> list[tuple[str, ...]]:
    """Return what is to be said of each job's volume.

    Where the queue cannot be asked, or a job cannot be read, that is nothing: the daemon says it.
    """
    import asyncio  # noqa: PLC0415 - help must not wait for it
    import time  # noqa: PLC0415
    from contextlib import suppress  # noqa: PLC0415

    from ekiden.cli.jobs_at_hand import content_rules  # noqa: PLC0415
    from ekiden.errors import EkidenError  # noqa: PLC0415
    from ekiden.forecast.drafts import read_load  # noqa: PLC0415
    from ekiden.forecast.steady import known, unusual  # noqa: PLC0415

    now = time.time()
    kept: dict[str, str] = {}
    with suppress(EkidenError, OSError):
        kept = asyncio.run(_sent_by_day(settings))
    found: list[tuple[str, ...]] = [()] * len(paths)
    if not known(kept, now):
        return found  # and no job needs to be read
    for place, path in enumerate(paths):
        with suppress(EkidenError, OSError):
            found[place] = unusual(
                settings,
                read_load(settings, path, now=now, rules=content_rules(settings, given)).load,
                kept,
                now,
            )
    return found


async def _sent_by_day(settings: "Config") -> dict[str, str]:
    from ekiden.cli.access import access  # noqa: PLC0415 - as above
    from ekiden.control.forecast_requests import SentByDay  # noqa: PLC0415

    if not settings.queue.path.exists():
        return {}
    async with access(settings) as there:
        return await there.ask(SentByDay())
