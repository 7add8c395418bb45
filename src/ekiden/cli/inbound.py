"""`ekiden inbound`: take mail that came back, from a pipe, a Maildir or an mbox; what became of it.

The same intake as the listener's: a report counts once, whichever way and however often it comes.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, count, moment, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ekiden.cli.access import Access
    from ekiden.control.requests import TakenView

COLUMNS = [*map(Column, ("outcome", "recipient", "class", "suppressed"))]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Mail that comes back.", invoke_without_command=True)
    group.callback()(pipe)
    group.command("maildir")(maildir)
    group.command("mbox")(mbox)
    group.command("status")(status)
    group.command("rotate")(rotate)
    app.add_typer(group, name="inbound")


def pipe(
    context: typer.Context,
    rcpt: Annotated[
        str, typer.Option("--rcpt", help="The address it came to, if its header does not tell.")
    ] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Take mail that came back; without a command: one mail from standard input.

    In an aliases file: `bounces: "|ekiden inbound --config /etc/ekiden/config.toml"`. The exit code
    is 0 once it is taken, whatever it was; 75 (try again) whatever kept it from being taken: the
    daemon's user alone may hand mail in, and a configuration may be wrong for an hour.
    """
    if context.invoked_subcommand is not None:
        return
    from ekiden import limits  # noqa: PLC0415 - help must not wait for it
    from ekiden.errors import EkidenError  # noqa: PLC0415

    raw = sys.stdin.buffer.read(limits.INBOUND_KEPT_BYTES)
    while sys.stdin.buffer.read(limits.INBOUND_KEPT_BYTES):
        pass  # who pipes must be able to write all of it
    try:
        taken = _take(config, [(raw, None)], rcpt)[0]
    except Exception as error:  # noqa: BLE001 - nor may a bug cost the mail
        from ekiden.cli.output import complain  # noqa: PLC0415 - as above

        if isinstance(error, EkidenError):
            complain(error)
        else:
            sys.excepthook(type(error), error, error.__traceback__)
        raise typer.Exit(75) from None  # EX_TEMPFAIL of sysexits.h: mail servers keep the mail
    if as_json:
        print_json(taken)
    else:
        print_table(COLUMNS, [_row(taken)])


def maildir(
    directory: Annotated[Path, typer.Argument(help="The Maildir.", show_default=False)],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Take the new mail of a Maildir, and flag it as seen."""
    from ekiden.inbound import stored  # noqa: PLC0415 - as above

    _take_all(config, stored.maildir(directory), as_json=as_json)


def mbox(
    file: Annotated[Path, typer.Argument(help="The mbox file.", show_default=False)],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Take all mail of an mbox file, which stays as it is."""
    from ekiden.inbound import stored  # noqa: PLC0415 - as above

    _take_all(config, ((raw, None) for raw in stored.mbox(file)), as_json=as_json)


def status(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show what became of returned mail so far."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.requests import InboundCounts  # noqa: PLC0415

    found = ask(config, InboundCounts())
    if as_json:
        print_json(found)
        return
    columns = [Column("outcome"), Column("mails", number=True), Column("last")]
    rows = ((one.outcome, count(one.number), moment(one.last_at)) for one in found)
    print_table(columns, rows, empty="no mail has come back")


def rotate(config: ConfigPath = None) -> None:
    """Sign return addresses with a new key from now on; the old ones verify on.

    A running daemon takes it over when it is told to reload (systemctl reload, HUP).
    """
    from ekiden import settings  # noqa: PLC0415 - as above
    from ekiden.inbound.keys import rotate as put_new  # noqa: PLC0415

    path = settings.return_keys(load_config(config))
    print_facts({"keys": put_new(path), "file": str(path), "now": "reload the daemon"})


def _take_all(
    config: ConfigPath,
    mails: "Iterable[tuple[bytes, Callable[[], None] | None]]",
    *,
    as_json: bool,
) -> None:
    counts = Counter(one.outcome for one in _take(config, mails, ""))
    if as_json:
        print_json(dict(counts))
    else:
        columns = [Column("outcome"), Column("mails", number=True)]
        rows = ((name, count(number)) for name, number in sorted(counts.items()))
        print_table(columns, rows, empty="no new mail")


def _take(
    config: ConfigPath, mails: "Iterable[tuple[bytes, Callable[[], None] | None]]", rcpt: str
) -> "list[TakenView]":
    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above
    from ekiden.control.requests import TakeMail  # noqa: PLC0415

    async def each(there: "Access") -> "list[TakenView]":
        found = []
        for raw, done in mails:
            found.append(await there.ask(TakeMail(raw=raw, rcpt=rcpt)))
            if done is not None:
                done()
        return found

    return with_access(config, each)


def _row(taken: "TakenView") -> tuple[str, ...]:
    return (taken.outcome, taken.recipient or "-", taken.klass or "-", taken.suppressed or "-")
