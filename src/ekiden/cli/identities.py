"""`ekiden identities`: the From addresses and domains that are yours."""

from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, moment, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.lists.identities import Identity

Name = Annotated[str, typer.Argument(help="A domain or an address.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The senders that are yours.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("verify")(verify)
    group.command("confirm")(confirm)
    group.command("remove")(remove)
    app.add_typer(group, name="identities")


def list_(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """List the identities."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.list_requests import ListIdentities  # noqa: PLC0415

    _print(ask(config, ListIdentities()), as_json=as_json)


def add(name: Name, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Make a domain or an address known; then verify it."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import AddIdentity  # noqa: PLC0415

    _print([ask(config, AddIdentity(name=name), create=True)], as_json=as_json)


def verify(
    name: Name,
    code: Annotated[
        str, typer.Option("--code", help="From the mail; without it the mail is sent.")
    ] = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Verify a domain by its DKIM key in DNS, an address by a code that is mailed there.

    Exits 1 while a domain's key is not published, 4 when DNS does not answer.
    """
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import ConfirmIdentity, MailCode  # noqa: PLC0415

    if "@" not in name:
        _verify_domain(name, config, as_json=as_json)
    elif code:
        _print([ask(config, ConfirmIdentity(code=code))], as_json=as_json)
    else:
        job = ask(config, MailCode(name=name))
        if as_json:
            print_json(job)
        else:
            print(f"job {job.id} takes a code to {name}; it is good for 24 hours")


def confirm(
    code: Annotated[str, typer.Argument(help="The code from the mail.", show_default=False)],
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Take the code of a confirmation mail back; exits 3 when it is not known or has expired."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import ConfirmIdentity  # noqa: PLC0415

    _print([ask(config, ConfirmIdentity(code=code))], as_json=as_json)


def _verify_domain(name: str, config: ConfigPath, *, as_json: bool) -> None:
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.cli.published import compare  # noqa: PLC0415
    from ekiden.control.list_requests import JudgeIdentity  # noqa: PLC0415
    from ekiden.dkim.keys import load_key  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    settings = load_config(config)
    wanted = name.lower().removesuffix(".")
    keys = [
        load_key(one.file, one.domain, one.selector)
        for one in settings.dkim.keys
        if one.domain.lower() == wanted
    ]
    if not keys:
        raise NotFoundError(
            f"no DKIM key of {name} is configured",
            remedy=f"make one: ekiden dkim keygen --domain {name} --selector SELECTOR",
        )
    problems = {key.record_name: compare(key, settings.dns) for key in keys}
    published = any(not found for found in problems.values())
    _print([ask(config, JudgeIdentity(name=name, published=published))], as_json=as_json)
    if not published:
        for record, found in problems.items():
            for problem in found:
                note(f"ekiden: {record}: {problem}")
        raise typer.Exit(1)


def remove(name: Name, config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Forget an identity; exits 3 when it was not there."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.list_requests import RemoveIdentity  # noqa: PLC0415
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    if not ask(config, RemoveIdentity(name=name)):
        raise NotFoundError("there is no such identity", where=name)
    if as_json:
        print_json({"removed": name})
    else:
        print(f"{name} is removed")


def _print(identities: "list[Identity]", *, as_json: bool) -> None:
    if as_json:
        print_json(identities)
        return
    rows = (
        (
            one.name,
            "verified" if one.verified_at is not None else "pending",
            one.method or "-",
            moment(one.verified_at),
            moment(one.code_until),
        )
        for one in identities
    )
    columns = [*map(Column, ("name", "state", "by", "since", "code until"))]
    print_table(columns, rows, empty="there is no identity")
