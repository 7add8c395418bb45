"""`ekiden templates`: stored templates, each with its versions."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, count, moment, note, print_facts, print_json, print_table
from ekiden.errors import EkidenError

if TYPE_CHECKING:
    from ekiden.message.content import Attachment
    from ekiden.templates.model import TemplateFacts, TemplateText

Name = Annotated[str, typer.Argument(help="The template's name.", show_default=False)]
Wanted = Annotated[
    str,
    typer.Argument(help="NAME for the newest version, or NAME@3.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    templates = typer.Typer(help="Stored templates.", no_args_is_help=True)
    templates.command("add")(add)
    templates.command("list")(list_)
    templates.command("show")(show)
    templates.command("render")(render)
    templates.command("remove")(remove)
    app.add_typer(templates, name="templates")


def add(
    name: Name,
    source: Annotated[
        Path | None,
        typer.Argument(
            help="A directory with template.toml, a .toml or .json file, or the JSON of SES.",
            show_default=False,
        ),
    ] = None,
    *,
    subject: Annotated[str, typer.Option(help="The subject.", show_default=False)] = "",
    html: Annotated[
        Path | None, typer.Option(help="The file of the HTML.", show_default=False)
    ] = None,
    text: Annotated[
        Path | None, typer.Option(help="The file of the text.", show_default=False)
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option("--image", help="CID=FILE: an inline image; repeatable.", show_default=False),
    ] = None,
    attached: Annotated[
        list[Path] | None,
        typer.Option("--attach", help="A file to attach; repeatable.", show_default=False),
    ] = None,
    configuration_set: Annotated[
        str,
        typer.Option(
            "--set", help="The set of jobs that use it and name none.", show_default=False
        ),
    ] = "",
    remark: Annotated[
        str, typer.Option("--note", help="A remark about this version.", show_default=False)
    ] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Store a version of a template; what the newest one says already makes no new one."""
    import msgspec  # noqa: PLC0415 - help must not wait for it

    from ekiden.cli.access import ask  # noqa: PLC0415
    from ekiden.control.template_requests import AddTemplate  # noqa: PLC0415
    from ekiden.spool.template_files import read_template, read_text  # noqa: PLC0415
    from ekiden.templates.model import TemplateText, checked  # noqa: PLC0415

    found, chosen = (TemplateText(), "") if source is None else read_template(source)
    given: dict[str, Any] = {"subject": subject}
    given |= {key: read_text(file) for key, file in (("html", html), ("text", text)) if file}
    given["attachments"] = (*found.attachments, *_parts(images or [], attached or []))
    found = msgspec.structs.replace(found, **{key: one for key, one in given.items() if one})
    checked(found)
    request = AddTemplate(
        name=name, text=found, note=remark, configuration_set=configuration_set or chosen
    )
    _print([ask(config, request, create=True)], as_json=as_json)


def list_(
    name: Annotated[
        str, typer.Argument(help="List the versions of this one.", show_default=False)
    ] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """List the templates, or the versions of one."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.template_requests import ListTemplates  # noqa: PLC0415

    found = ask(config, ListTemplates(name=name))
    _print(found, as_json=as_json)


def show(wanted: Wanted, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show a version: its texts as they are stored."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.template_requests import ShowTemplate  # noqa: PLC0415

    found = ask(config, ShowTemplate(reference=wanted))
    if as_json:
        print_json(found)
        return
    facts, text = found.facts, found.text
    told: dict[str, str | int] = {
        "template": facts.reference,
        "created": moment(facts.created_at),
        "note": facts.note or "-",
        "configuration set": facts.configuration_set or "-",
        "fields": ", ".join(sorted(_fields(text))) or "-",
        "on missing": text.on_missing or "-",
        "defaults": ", ".join(f"{key}={value}" for key, value in text.defaults.items()) or "-",
        "subject": text.subject,
        "preheader": text.preheader or "-",
        "images": _named(text, inline=True),
        "attachments": _named(text, inline=False),
    }
    print_facts(told)
    for label, body in (("text", text.text), ("html", text.html)):
        if body:
            print(f"\n--- {label}\n{body.rstrip()}")


def render(
    wanted: Wanted,
    *,
    data: Annotated[
        str,
        typer.Option(help="Merge data: a JSON object, or a file of one.", show_default=False),
    ] = "{}",
    sender: Annotated[str, typer.Option("--from", help="The From field.")] = "news@example.com",
    recipient: Annotated[str, typer.Option(help="The recipient.")] = "reader@example.com",
    message: Annotated[
        bool, typer.Option("--message", help="Print the whole message instead of its texts.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Fill a template in with merge data and print what its reader would see."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.template_requests import ShowTemplate  # noqa: PLC0415
    from ekiden.message.look import look  # noqa: PLC0415

    stored = ask(config, ShowTemplate(reference=wanted))
    made = _rendered(stored.text, _merge(data), sender, recipient)
    if message and not as_json:
        print(made.decode("utf-8").replace("\r\n", "\n"), end="")
        return
    seen = look(made)
    if as_json:
        print_json(
            {
                "template": stored.facts.reference,
                "subject": seen.subject,
                "text": seen.text,
                "html": seen.html,
                "message": made.decode("utf-8"),
            }
        )
        return
    print(f"Subject: {seen.subject}\n\n{seen.text.rstrip()}")
    if seen.html:
        print(f"\n--- html\n{seen.html.rstrip()}")


def remove(
    wanted: Annotated[
        str, typer.Argument(help="NAME for all versions, or NAME@3 for one.", show_default=False)
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Remove a version, or all of them; jobs that were taken keep their copy."""
    import sys  # noqa: PLC0415 - as above

    from ekiden.cli.access import ask  # noqa: PLC0415
    from ekiden.control.template_requests import RemoveTemplate  # noqa: PLC0415

    if not yes and "@" not in wanted and sys.stdin.isatty():
        typer.confirm(f"Remove all versions of {wanted}?", abort=True)
    gone = ask(config, RemoveTemplate(reference=wanted))
    if as_json:
        print_json({"removed": gone})
    else:
        note(f"{gone} versions of {wanted.partition('@')[0]} are removed.")


def _print(found: Iterable["TemplateFacts"], *, as_json: bool) -> None:
    if as_json:
        print_json(list(found))
        return
    names = ("template", "versions", "created", "set", "note")
    columns = [Column(name, name == "versions") for name in names]
    rows = [
        (
            one.reference,
            count(one.versions),
            moment(one.created_at),
            one.configuration_set or "-",
            one.note or "-",
        )
        for one in found
    ]
    print_table(columns, rows, empty="There are no templates; store one: ekiden templates add")


def _parts(images: list[str], attached: list[Path]) -> list["Attachment"]:
    """The parts that options name."""
    from ekiden.spool.template_files import read_attachment  # noqa: PLC0415 - as above

    found = []
    for one in images:
        cid, given, file = one.partition("=")
        if not (cid and given and file):
            raise EkidenError(
                f"{one[:100]!r} names no image",
                where="--image",
                remedy='write CID=FILE, as in logo=logo.png for <img src="cid:logo">',
            )
        found.append(read_attachment(Path(file), cid))
    return [*found, *(read_attachment(file) for file in attached)]


def _named(text: "TemplateText", *, inline: bool) -> str:
    """The images or the attachments of a template, for a person."""
    named = [
        f"{f'{one.content_id}=' if inline else ''}{one.filename}"
        f" ({one.content_type}, {len(one.data):,} bytes)"
        for one in text.attachments
        if inline is (one.content_id is not None)
    ]
    return ", ".join(named) or "-"


def _fields(text: "TemplateText") -> frozenset[str]:
    from ekiden.templates.model import checked  # noqa: PLC0415 - as above

    return checked(text)


def _merge(given: str) -> dict[str, Any]:
    import msgspec  # noqa: PLC0415 - as above

    where = "--data"
    try:
        if not given.lstrip().startswith("{"):
            where = given
            given = Path(given).read_text(encoding="utf-8")
        return msgspec.json.decode(given, type=dict[str, Any])
    except (OSError, UnicodeDecodeError, msgspec.DecodeError, msgspec.ValidationError) as error:
        raise EkidenError(
            f"no merge data: {error}", where=where, remedy='give an object: \'{"name": "A"}\''
        ) from error


def _rendered(text: "TemplateText", data: dict[str, Any], sender: str, recipient: str) -> bytes:
    import time  # noqa: PLC0415 - as above

    from ekiden.message.compile import compile_content  # noqa: PLC0415
    from ekiden.message.headers import RenderError  # noqa: PLC0415
    from ekiden.message.rendered import Marks, Recipient  # noqa: PLC0415
    from ekiden.templates.model import content_of  # noqa: PLC0415

    marks = Marks("<template.render@localhost>", time.time(), urls=_links())
    try:
        compiled = compile_content(content_of(text, sender))
        return compiled.render(Recipient(recipient, data), marks).message()
    except RenderError as error:
        raise EkidenError(error.reason, where="--data", remedy="give the field a value") from error


def _links() -> dict[str, str]:
    """Stand-ins for the engine's own values."""
    names = ("unsubscribe", "preferences", "view")
    return {f"{name}_url": f"https://example.com/{name}" for name in names}
