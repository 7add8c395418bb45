"""`ekiden demo`: a real campaign to a simulated world, watched while it goes out.

The receivers and their DNS live in this process; the daemon is `ekiden run` in a process of its
own, as in life, and everything shown comes from its own interfaces: what waits from the control
socket, what became of it from the event log, sessions from the receivers. At the end every
recipient's fate in the job's report is compared with what the receivers recorded.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson

if TYPE_CHECKING:
    from ekiden.cli.demo_show import Outcome

DIRECTORY = Path("demo-run")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    *,
    directory: Annotated[
        Path, typer.Option("--directory", help="Where the demo lives; emptied if it was a demo.")
    ] = DIRECTORY,
    recipients: Annotated[
        int, typer.Option("--recipients", min=1, max=1_000_000, help="How many people to mail.")
    ] = 2000,
    limit: Annotated[
        float, typer.Option("--limit", min=5, help="Seconds after which it counts as failed.")
    ] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Send a campaign to a simulated world and check every mailbox.

    Starts a mailbox simulator, a DNS server and the daemon, all on this machine's loopback, drops a
    Japanese and English newsletter into the spool, shows the progress, and compares the queue's
    record with the receivers', address by address. Exit code 0: every delivery reached a final
    state and both agree.
    """
    import uvloop  # noqa: PLC0415 - help must not wait for it

    from ekiden.cli.demo_show import print_outcome  # noqa: PLC0415

    outcome: Outcome = uvloop.run(_play(directory, recipients, limit, quiet=as_json))
    print_outcome(outcome, as_json=as_json)
    if not outcome.good:
        raise typer.Exit(1)


async def _play(directory: Path, recipients: int, limit: float, *, quiet: bool) -> "Outcome":
    from ekiden.cli.demo_show import play  # noqa: PLC0415 - as above

    return await play(directory, recipients, limit, quiet=quiet)
