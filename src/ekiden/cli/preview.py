"""`ekiden preview`: the exact message of one recipient, its texts, and a picture of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import note, print_facts, print_json
from ekiden.errors import EkidenError

if TYPE_CHECKING:
    from ekiden.config import Config
    from ekiden.message.look import Look
    from ekiden.preview.proofs import Proof, Signers


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("preview")(preview)


@dataclass(frozen=True, slots=True)
class Written:
    """What a preview wrote."""

    recipient: str
    row: int
    subject: str
    mail_from: str
    template: str
    bytes: int
    signed: bool
    message: str
    text: str = ""
    html: str = ""
    picture: str = ""
    not_fetched: int = 0
    refused_rows: int = 0


def preview(
    job: Annotated[
        Path,
        typer.Argument(help="A job directory, .toml, .json or .eml file.", show_default=False),
    ],
    *,
    recipient: Annotated[
        str, typer.Option("--recipient", "-r", help="Whose; else the first.", show_default=False)
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write.", show_default="JOB.preview"),
    ] = None,
    picture: Annotated[
        bool, typer.Option("--picture/--no-picture", help="Draw the HTML with Chromium.")
    ] = True,
    width: Annotated[int, typer.Option(min=200, max=4000, help="Of the picture, pixels.")] = 700,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Write the message that a job would send to one recipient, and what it looks like.

    Nothing is sent and nothing is fetched. The message is the one that would be sent, signatures
    included, but for its number: its Message-ID and the tokens in its links are those of no
    delivery.
    """
    import asyncio  # noqa: PLC0415 - help must not wait for it
    import time  # noqa: PLC0415

    from ekiden.cli.jobs_at_hand import draft  # noqa: PLC0415
    from ekiden.message.look import look  # noqa: PLC0415
    from ekiden.preview.proofs import proofs  # noqa: PLC0415

    settings = load_config(config)
    now = time.time()
    made = draft(settings, job, config, now=now, count=1, recipient=recipient)
    signers = _signers(settings)
    (proof,) = asyncio.run(proofs(settings, made.job, made.rows, now=now, signers=signers))
    if not proof.message:
        where = f"{job.name}: row {proof.row}"
        raise EkidenError(f"There is no message: {proof.reason}.", where=where)
    folder = output or Path(f"{job.resolve().name}.preview")
    written = _write(folder, proof, look(proof.message), width if picture else 0)
    facts = Written(
        recipient=proof.recipient,
        row=proof.row,
        mail_from=proof.mail_from,
        template=made.job.template,
        bytes=len(proof.message),
        signed=proof.message.startswith(b"DKIM-Signature:"),
        refused_rows=len(made.refused),
        **written,  # type: ignore[arg-type]  # the names of its own fields
    )
    if as_json:
        print_json(facts)
        return
    names = facts.__dataclass_fields__
    shown = {name.replace("_", " "): getattr(facts, name) for name in names}
    print_facts({name: "-" if value == "" else str(value) for name, value in shown.items()})


def _signers(settings: "Config") -> "Signers":
    """What signs, if the keys can be read here."""
    from ekiden import settings as rooms  # noqa: PLC0415 - as above
    from ekiden.preview.proofs import unsigned  # noqa: PLC0415

    try:
        return rooms.signers(settings)
    except EkidenError as error:
        note(f"The message is not signed: {error}")
        return unsigned


def _write(folder: Path, proof: "Proof", seen: "Look", width: int) -> dict[str, str | int]:
    """Write the files of a preview and return what they are called."""
    written: dict[str, str | int] = {"subject": seen.subject}
    files: dict[str, tuple[str, bytes]] = {"message": ("message.eml", proof.message)}
    if seen.text:
        files["text"] = ("text.txt", seen.text.encode("utf-8", "replace"))
    if seen.html:
        files["html"] = ("html.html", seen.html.encode("utf-8", "replace"))
    if width:
        drawn = _drawn(seen, width)
        if drawn is not None:
            files["picture"] = ("picture.png", drawn[0])
            written["not_fetched"] = drawn[1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for key, (name, data) in files.items():
            (folder / name).write_bytes(data)
            written[key] = str(folder / name)
    except OSError as error:
        raise EkidenError(
            f"It cannot be written: {error.strerror}.", where=str(folder), remedy="use --output"
        ) from error
    return written


def _drawn(seen: "Look", width: int) -> tuple[bytes, int] | None:
    """Return a picture and how much it wanted to fetch; None, and a remark, if there is none."""
    from ekiden.errors import UnavailableError  # noqa: PLC0415 - as above
    from ekiden.preview.picture import (  # noqa: PLC0415
        draw,
        find_browser,
        page_of_text,
        with_images,
    )

    html = with_images(seen.html, seen.files) if seen.html else page_of_text(seen.text)
    try:
        made = draw(html, find_browser(), width=width)
    except UnavailableError as error:
        note(f"There is no picture: {error}")
        return None
    return made.png, len(made.blocked)
