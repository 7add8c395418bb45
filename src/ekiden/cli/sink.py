"""`ekiden sink`: a mailbox simulator that sends nothing on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ekiden.cli.options import AsJson
from ekiden.cli.output import Column, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.sink.server import Place, Sink

COUNTED: Final = ("provider", "sessions", "peak", "accepted", "rejected")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("sink")(sink)


def sink(
    *,
    listen: Annotated[
        list[str], typer.Option("--listen", "-l", help="ADDRESS:PORT; may be repeated.")
    ] = ["127.0.0.1:2525"],  # noqa: B006 - typer reads it and never changes it
    record: Annotated[
        Path | None,
        typer.Option("--record", help="Append one JSON line per transaction.", show_default=False),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Keep the messages in this directory.", show_default=False),
    ] = None,
    tls: Annotated[bool, typer.Option("--tls/--no-tls", help="Offer STARTTLS.")] = True,
    hosted: Annotated[
        list[str],
        typer.Option("--domain", help="DOMAIN=PROFILE; may be repeated.", show_default=False),
    ] = [],  # noqa: B006 - as above
    as_json: AsJson = False,
) -> None:
    """Receive mail, and behave as the recipient's local part says.

    The local part chooses the behaviour (success, bounce, mailboxfull, greylist, tempfail,
    blocklisted, throttle, drop-after-dot, slow, ratelimit; +label is ignored), the domain the
    provider. TERM or INT ends it; it then prints what came, by provider.
    """
    import asyncio  # noqa: PLC0415 - help must not wait for it

    from ekiden.sink.server import Sink, SinkOptions  # noqa: PLC0415

    options = SinkOptions(
        places=[_place(text) for text in listen],
        record=record,
        store=store,
        tls=tls,
        hosted=dict(_pair(text) for text in hosted),
    )
    receiver = Sink(options)
    asyncio.run(_serve(receiver))
    rows = [
        (name, one.sessions, one.peak, one.accepted, one.rejected)
        for name, one in sorted(receiver.counts.items())
    ]
    if as_json:
        print_json([dict(zip(COUNTED, row, strict=True)) for row in rows])
    else:
        print_table([Column(name, number=name != "provider") for name in COUNTED], rows)


async def _serve(receiver: "Sink") -> None:
    """Receive until a signal says to stop."""
    import asyncio  # noqa: PLC0415 - as above
    import signal  # noqa: PLC0415

    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with receiver:
        for host, port in receiver.addresses:
            note(f"receiving on {f'[{host}]' if ':' in host else host}:{port}")
        await stopped.wait()


def _place(text: str) -> "Place":
    from ekiden.sink.server import Place  # noqa: PLC0415 - as above

    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65_535:
        raise typer.BadParameter(f"{text!r} is not ADDRESS:PORT", param_hint="--listen")
    return Place(host.removeprefix("[").removesuffix("]"), int(port))


def _pair(text: str) -> tuple[str, str]:
    domain, equals, profile = text.partition("=")
    if not (domain and equals and profile):
        raise typer.BadParameter(f"{text!r} is not DOMAIN=PROFILE", param_hint="--domain")
    return domain, profile
