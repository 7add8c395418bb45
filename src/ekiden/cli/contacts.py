"""`ekiden contacts`: who is on a list, what they chose and agreed to; and people as a whole."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.contact_consent import At, Form, Ip, MethodName, Source, consent_of
from ekiden.cli.contact_transfer import Mailed, export, import_, send
from ekiden.cli.lists import List
from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, count, moment, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ekiden.cli.access import Access
    from ekiden.lists.model import Consent, Contact

Address = Annotated[str, typer.Argument(help="The address.", show_default=False)]
Addresses = Annotated[list[str], typer.Argument(help="The addresses.", show_default=False)]
Topic = Annotated[
    list[str], typer.Option("--topic", "-t", help="About this topic.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The contacts of a list.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("show")(show)
    group.command("remove")(remove)
    group.command("subscribe")(subscribe)
    group.command("unsubscribe")(unsubscribe)
    group.command("import")(import_)
    group.command("export")(export)
    group.command("export-person")(export_person)
    group.command("erase")(erase)
    app.add_typer(group, name="contacts")


def list_(
    name: List,
    text: Annotated[
        str, typer.Argument(help="Part of the address, or a glob such as *@example.com.")
    ] = "",
    *,
    mailed: Mailed = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 1000,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """List contacts in alphabetical order."""
    from ekiden.cli.access import with_access  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.list_requests import ListContacts  # noqa: PLC0415

    request = ListContacts(
        contact_list=name,
        pattern=text if set(text) & set("*?") else f"*{text}*",
        topic="" if mailed in {None, "-"} else str(mailed),
        mailed=mailed is not None,
        limit=limit,
    )

    async def collect(there: "Access") -> "list[Contact]":
        return [one async for one in there.stream(request)]

    found = with_access(config, collect)
    if as_json:
        print_json(found)
        return
    columns = [
        *map(Column, ("address", "unsubscribed", "topics")),
        Column("mails", number=True),
        *map(Column, ("last sent", "last reaction")),
    ]
    rows = (
        (
            one.address,
            moment(one.unsubscribed_at),
            _choices(one) or "-",
            count(one.mails),
            moment(one.last_sent_at),
            moment(one.reacted_at),
        )
        for one in found
    )
    print_table(columns, rows, empty="nobody")


def add(
    name: List,
    addresses: Addresses,
    *,
    topic: Topic = [],  # noqa: B006 - typer reads it and never changes it
    attributes: Annotated[
        str, typer.Option("--attributes", help="A JSON object.", show_default=False)
    ] = "",
    source: Source = "",
    method: MethodName = "",
    form: Form = None,
    at: At = "",
    ip: Ip = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Add contacts, opted in to --topic; who had left stays out (see subscribe).

    Their consent is kept when --method is given.
    """
    import json  # noqa: PLC0415 - as above

    from ekiden.lists.model import NewContact, Preference  # noqa: PLC0415

    consent = consent_of(source, method, form, at, ip)
    try:
        known = json.loads(attributes or "{}")
    except ValueError:
        known = None
    if not isinstance(known, dict):
        raise typer.BadParameter("expected a JSON object", param_hint="--attributes")
    chosen = dict.fromkeys(topic, Preference.OPT_IN)
    contacts = [NewContact(one, chosen, False, known, consent) for one in addresses]
    send(config, name, iter(contacts), [], as_json=as_json, overwrite=False)


def show(name: List, address: Address, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Show a contact; exits 3 when the address is not on the list."""
    import json  # noqa: PLC0415 - as above

    from ekiden.cli.access import ask  # noqa: PLC0415
    from ekiden.control.list_requests import ShowContact  # noqa: PLC0415

    one = ask(config, ShowContact(contact_list=name, address=address))
    if as_json:
        print_json(one)
        return
    consent = one.consent
    facts: dict[str, str | int] = {
        "address": one.address,
        "unsubscribed": moment(one.unsubscribed_at),
        "topics": _choices(one) or "-",
        "attributes": json.dumps(one.attributes, ensure_ascii=False),
        "consent": "missing" if consent is None else f"{consent.method} {moment(consent.at)}",
        "consent source": (consent.source if consent else "") or "-",
        "added": moment(one.created_at),
        "mails": count(one.mails),
        "mails since a reaction": count(one.mails_since),
        "last sent": moment(one.last_sent_at),
        "last open": moment(one.opened_at),
        "last click": moment(one.clicked_at),
        "last reply": moment(one.replied_at),
    }
    print_facts(facts)


def remove(
    name: List, addresses: Addresses, config: ConfigPath = None, as_json: AsJson = False
) -> None:
    """Take addresses off a list; exits 3 when one was not on it.

    It forgets that they had left: to keep somebody out, use unsubscribe or erase.
    """
    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import RemoveContact  # noqa: PLC0415

    async def each(there: "Access") -> dict[str, bool]:
        return {
            one: await there.ask(RemoveContact(contact_list=name, address=one)) for one in addresses
        }

    _told(with_access(config, each), ("removed", "was not on the list"), as_json=as_json)


def subscribe(
    name: List,
    addresses: Addresses,
    *,
    topic: Topic = [],  # noqa: B006 - as above
    source: Source = "",
    method: MethodName = "single",
    form: Form = None,
    at: At = "",
    ip: Ip = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Record that people came back to a list, or chose --topic, themselves; with their consent."""
    consent = consent_of(source, method, form, at, ip)
    assert consent is not None  # noqa: S101 - the method has a default
    _choose(config, name, addresses, topic, consent, leaves=False, as_json=as_json)


def unsubscribe(
    name: List,
    addresses: Addresses,
    *,
    topic: Topic = [],  # noqa: B006 - as above
    source: Annotated[str, typer.Option("--source", help="How they said so; kept.")] = "by hand",
    at: At = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Record that people left the list, or only --topic; it holds for mail that waits, too."""
    consent = consent_of(source, "single", None, at, "")
    assert consent is not None  # noqa: S101 - as above
    _choose(config, name, addresses, topic, consent, leaves=True, as_json=as_json)


def export_person(address: Address, config: ConfigPath = None) -> None:
    """Print everything that is known of a person, as JSON, for them to have."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import ExportPerson  # noqa: PLC0415

    print_json(ask(config, ExportPerson(address=address)))


def erase(
    address: Address,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Forget a person: lists, consent, suppressions, deliveries. A hash keeps them unmailed.

    Exits 1 while a mail to them is being sent: erase them again when it has ended. Event logs and
    the answers in the spool keep addresses as long as they are kept.
    """
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import ErasePerson  # noqa: PLC0415

    if not yes and sys.stdin.isatty():
        typer.confirm(f"Forget {address}? It cannot be undone.", abort=True)
    done = ask(config, ErasePerson(address=address), create=True)
    if as_json:
        print_json(done)
    else:
        print_facts({"rows": done.rows, "deliveries": done.deliveries, "being sent": done.busy})
    if done.busy:
        raise typer.Exit(1)


def _choices(one: "Contact") -> str:
    return " ".join(f"{name}:{value}" for name, value in one.topics.items())


def _choose(
    config: Path | None,
    name: str,
    addresses: list[str],
    topics: list[str],
    consent: "Consent",
    *,
    leaves: bool,
    as_json: bool,
) -> None:
    from ekiden.cli.access import with_access  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import Choose  # noqa: PLC0415
    from ekiden.lists.model import Choice, Method, Preference  # noqa: PLC0415

    preference: Preference = Preference.OPT_OUT if leaves else Preference.OPT_IN
    choice = Choice(
        consent.at,
        topics=dict.fromkeys(topics, preference),
        # A topic says nothing about the list, but who comes back to one comes back to the list.
        unsubscribed=(None if topics else True) if leaves else False,
        source=consent.source,
        ip=consent.ip,
        form=consent.form,
        method=consent.method or Method.SINGLE,
    )

    async def each(there: "Access") -> dict[str, bool]:
        return {
            one: await there.ask(Choose(contact_list=name, address=one, choice=choice))
            for one in addresses
        }

    words = ("left" if leaves else "subscribed", "was erased: nothing is kept of them")
    _told(with_access(config, each), words, as_json=as_json)


def _told(done: dict[str, bool], words: tuple[str, str], *, as_json: bool) -> None:
    if as_json:
        print_json(done)
    else:
        rows = ((one, words[0] if well else words[1]) for one, well in done.items())
        print_table([Column("address"), Column("now")], rows)
    if not all(done.values()):
        raise typer.Exit(3)
