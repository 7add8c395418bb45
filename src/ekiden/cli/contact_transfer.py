"""`ekiden contacts import` and `export`: a list's contacts from files and into files."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ekiden.cli.contact_consent import At, Form, MethodName, Source, consent_of
from ekiden.cli.files import created, opened
from ekiden.cli.lists import List
from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import count, note, print_facts, print_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ekiden.cli.access import Access
    from ekiden.cli.contact_files import Row
    from ekiden.lists.model import NewContact

TOLD_MOST: Final = 1000  # wrong rows that are named

Mailed = Annotated[
    str | None,
    typer.Option("--mailed", help="Only whom a job about this topic reaches; - for no topic."),
]
Format = Annotated[
    str, typer.Option("--format", help="csv or jsonl; else by the name.", show_default=False)
]


def import_(
    name: List,
    file: Annotated[Path, typer.Argument(help="The file; - is standard input.")],
    *,
    kind: Format = "",
    source: Source = "",
    method: MethodName = "",
    form: Form = None,
    at: At = "",
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="The file wins over what people chose: restore a backup."),
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Add the contacts of a CSV (SES's columns) or JSON Lines file.

    --method, --source, --form and --at are the consent of rows that have none of their own. Wrong
    rows are told by number and left out, and the exit code is 1.
    """
    import gc  # noqa: PLC0415 - help must not wait for it

    from ekiden.cli.contact_files import read  # noqa: PLC0415

    consent = consent_of(source, method, form, at, "")
    wrong: list[str] = []
    gc.disable()  # a window holds a million objects and no cycle: looking for one doubles the time
    sys.setswitchinterval(0.0002)  # seconds; the one who stores must not wait for the one who reads
    with opened(file) as lines:
        rows = read(lines, jsonl=_is_jsonl(kind, file), consent=consent)
        contacts = _good(_guarded(rows, file), wrong)
        send(config, name, contacts, wrong, as_json=as_json, overwrite=overwrite)


def export(
    name: List,
    file: Annotated[Path | None, typer.Argument(help="The file; else standard output.")] = None,
    kind: Format = "",
    mailed: Mailed = None,
    config: ConfigPath = None,
) -> None:
    """Write a list as CSV or JSON Lines that import takes back."""
    import gc  # noqa: PLC0415 - as above

    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above
    from ekiden.cli.contact_files import Writer  # noqa: PLC0415
    from ekiden.control.list_requests import ListContacts, Topics  # noqa: PLC0415

    request = ListContacts(
        contact_list=name,
        topic="" if mailed in {None, "-"} else str(mailed),
        mailed=mailed is not None,
        consent=True,
    )

    gc.disable()  # as for import: no cycle is made, and looking for one takes a quarter of the time

    async def write(there: "Access") -> None:
        topics = [one.name for one in await there.ask(Topics(contact_list=name))]
        out = sys.stdout if file is None else created(file)
        try:
            writer = Writer(out, topics, jsonl=_is_jsonl(kind, file or Path("-")))
            async for one in there.stream(request):
                writer.write(one)
        finally:
            if file is not None:
                out.close()

    with_access(config, write)


def send(
    config: Path | None,
    name: str,
    contacts: "Iterator[NewContact]",
    wrong: list[str],
    *,
    as_json: bool,
    overwrite: bool,
) -> None:
    """Add contacts in batches, and tell what became of them."""
    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above
    from ekiden.cli.contact_batches import pour  # noqa: PLC0415

    done = with_access(
        config, lambda there: pour(there, name, contacts, wrong, overwrite=overwrite), create=True
    )
    refused = [*wrong, *done.refused]
    if as_json:
        from dataclasses import replace  # noqa: PLC0415 - as above

        print_json(replace(done, refused=tuple(refused)))
    else:
        for told in refused[:TOLD_MOST]:
            note(f"ekiden: {told}")
        figures: dict[str, int] = {
            "added": done.added,
            "updated": done.updated,
            "stay out": done.kept_out,
            "erased": done.erased,
            "without consent": done.missing_consent,
            "refused": len(refused),
        }
        print_facts({what: count(number) for what, number in figures.items()})
    if refused:
        raise typer.Exit(1)


def _is_jsonl(kind: str, file: Path) -> bool:
    if kind not in {"", "csv", "jsonl"}:
        raise typer.BadParameter("expected csv or jsonl", param_hint="--format")
    return kind == "jsonl" if kind else file.suffix.lower() in {".jsonl", ".ndjson", ".json"}


def _good(rows: "Iterable[Row]", wrong: list[str]) -> "Iterator[NewContact]":
    """Yield the contacts of a file; the wrong rows are named in `wrong`."""
    for row in rows:
        if row.contact is not None:
            yield row.contact
        else:
            wrong.append(f"line {row.line}: {row.wrong}")


def _guarded(rows: "Iterable[Row]", file: Path) -> "Iterator[Row]":
    import csv  # noqa: PLC0415 - as above

    from ekiden.cli.contact_files import WrongRowError  # noqa: PLC0415
    from ekiden.errors import RefusedError  # noqa: PLC0415

    try:
        yield from rows
    except (csv.Error, WrongRowError) as error:
        raise RefusedError(f"this cannot be read: {error}", where=str(file)) from None
