"""`ekiden suppressions`: the addresses that are not mailed, by any job."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ekiden.cli.files import created, opened
from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, moment, note, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ekiden.cli.access import Access
    from ekiden.control.requests import ImportView, SuppressionView

BATCH: Final = 200  # entries per request: well below the longest line
COLUMNS: Final = [*map(Column, ("address", "reason", "scope", "since", "note"))]

Addresses = Annotated[list[str], typer.Argument(help="The addresses.", show_default=False)]
Note = Annotated[str, typer.Option("--note", help="Kept with it, and shown.")]
Scope = Annotated[str, typer.Option("--scope", help="all, or topic:NAME, sender:NAME, set:NAME.")]
ReasonOnly = Annotated[
    str, typer.Option("--reason", "-r", help="Only this reason.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The addresses that are not mailed.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("remove")(remove)
    group.command("import")(import_)
    group.command("export")(export)
    app.add_typer(group, name="suppressions")


def list_(
    text: Annotated[
        str, typer.Argument(help="Part of the address, or a glob such as *@example.com.")
    ] = "",
    reason: ReasonOnly = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 1000,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """List suppressed addresses in alphabetical order."""
    from ekiden.cli.access import with_access  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.requests import ListSuppressions  # noqa: PLC0415

    pattern = text if set(text) & set("*?") else f"*{text}*"
    request = ListSuppressions(pattern=pattern, reason=reason, limit=limit)

    async def collect(there: "Access") -> "list[SuppressionView]":
        return [one async for one in there.stream(request)]

    found = with_access(config, collect)
    if as_json:
        print_json(found)
        return
    rows = ((one.address, one.reason, one.scope, moment(one.at), one.note) for one in found)
    print_table(COLUMNS, rows, empty="no address is suppressed")


def add(
    addresses: Addresses,
    note: Note = "",
    scope: Scope = "all",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Suppress addresses by hand."""
    from ekiden.control.requests import SuppressionView  # noqa: PLC0415 - as above

    entries = [
        SuppressionView(address=one, reason="manual", scope=scope, note=note) for one in addresses
    ]
    _add(config, entries, as_json=as_json)


def remove(
    addresses: Addresses,
    reason: ReasonOnly = "",
    scope: Annotated[
        str, typer.Option("--scope", help="Only of this scope.", show_default=False)
    ] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Mail addresses again; exits 3 when one was not suppressed."""
    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above
    from ekiden.control.requests import RemoveSuppression  # noqa: PLC0415

    async def each(there: "Access") -> dict[str, int]:
        return {
            one: await there.ask(RemoveSuppression(address=one, scope=scope, reason=reason))
            for one in addresses
        }

    removed = with_access(config, each)
    if as_json:
        print_json(removed)
    else:
        rows = ((one, "mailed again" if count else "was not suppressed")
                for one, count in removed.items())  # fmt: skip
        print_table([Column("address"), Column("now")], rows)
    if not all(removed.values()):
        raise typer.Exit(3)


def import_(
    file: Annotated[Path, typer.Argument(help="The file; - is standard input.")],
    reason: Annotated[
        str, typer.Option("--reason", "-r", help="The reason where the file gives none.")
    ] = "import",
    note: Note = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Suppress the addresses of a file: CSV with a heading, or one address per line.

    What is no address is told and left out, and the exit code is 1.
    """
    from ekiden.cli.suppression_csv import read  # noqa: PLC0415 - as above

    with opened(file) as lines:
        _add(config, _guarded(read(lines, reason, note), file), as_json=as_json)


def export(
    file: Annotated[Path | None, typer.Argument(help="The file; else standard output.")] = None,
    config: ConfigPath = None,
) -> None:
    """Write all suppressions as CSV that `import` takes back."""
    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above
    from ekiden.cli.suppression_csv import Writer  # noqa: PLC0415
    from ekiden.control.requests import ListSuppressions  # noqa: PLC0415

    async def write(there: "Access") -> None:
        out = sys.stdout if file is None else created(file)
        try:
            writer = Writer(out)
            async for one in there.stream(ListSuppressions()):
                writer.write(one)
        finally:
            if file is not None:
                out.close()

    with_access(config, write)


def _add(config: ConfigPath, entries: "Iterable[SuppressionView]", *, as_json: bool) -> None:
    """Suppress in batches, and tell what became of them."""
    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above

    result = with_access(config, lambda there: _send(there, entries), create=True)
    if as_json:
        print_json(result)
    else:
        for told in result.refused:
            note(f"ekiden: {told}")
        print_table(
            [Column("suppressed"), Column("known before"), Column("refused")],
            [(result.added, result.known, len(result.refused))],
        )
    if result.refused:
        raise typer.Exit(1)


async def _send(there: "Access", entries: "Iterable[SuppressionView]") -> "ImportView":
    from itertools import islice  # noqa: PLC0415 - as above

    from ekiden.control.requests import AddSuppressions, ImportView  # noqa: PLC0415

    added = known = 0
    refused: list[str] = []
    stream = iter(entries)
    while batch := tuple(islice(stream, BATCH)):
        answer = await there.ask(AddSuppressions(entries=batch))
        added += answer.added
        known += answer.known
        refused += answer.refused
    return ImportView(added=added, known=known, refused=tuple(refused))


def _guarded(entries: "Iterable[SuppressionView]", file: Path) -> "Iterable[SuppressionView]":
    import csv  # noqa: PLC0415 - as above

    from ekiden.errors import RefusedError  # noqa: PLC0415

    try:
        yield from entries
    except csv.Error as error:
        raise RefusedError(f"this is no CSV: {error}", where=str(file)) from None
