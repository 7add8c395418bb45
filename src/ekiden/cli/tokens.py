"""`ekiden tokens`: who may use the admin API and the dashboard."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, moment, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.control.token_requests import AddToken, RotateToken
    from ekiden.control.tokens import NewToken

Name = Annotated[str, typer.Argument(help="What you call it.", show_default=False)]
Expires = Annotated[
    str, typer.Option("--expires", help="It ends by itself after this time: 90d.", metavar="TIME")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Tokens of the admin API.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("add")(add)
    group.command("rotate")(rotate)
    group.command("revoke")(revoke)
    app.add_typer(group, name="tokens")


def list_(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """List the tokens; secrets are kept nowhere."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - help must not wait for it
    from ekiden.control.token_requests import ListTokens  # noqa: PLC0415

    tokens = ask(config, ListTokens())
    if as_json:
        print_json(tokens)
        return
    now = time.time()
    rows = [
        (
            one.name,
            ",".join(one.scopes),
            "works" if one.works(now) else "revoked" if one.revoked_at else "ended",
            moment(one.created_at),
            moment(one.used_at),
            moment(one.expires_at),
        )
        for one in tokens
    ]
    heading = ("name", "scopes", "state", "made", "last used", "ends")
    print_table([*map(Column, heading)], rows, empty="no tokens")


def add(
    name: Name,
    scope: Annotated[
        list[str],
        typer.Option("--scope", "-s", help="submit, read or admin; may be given several times."),
    ],
    expires: Expires = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print its secret, this once."""
    from ekiden.control.token_requests import AddToken  # noqa: PLC0415 - as above

    request = AddToken(name=name, scopes=tuple(scope), expires_at=_at(expires))
    _made(config, request, as_json=as_json)


def rotate(
    name: Name,
    grace: Annotated[
        str, typer.Option("--grace", help="The old secret works so long.", metavar="TIME")
    ] = "1d",
    expires: Expires = "",
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Give a token a new secret and print it; the old one works on for a while."""
    from ekiden.control.token_requests import RotateToken  # noqa: PLC0415 - as above

    request = RotateToken(name=name, grace=_seconds(grace, "--grace"), expires_at=_at(expires))
    _made(config, request, as_json=as_json)


def revoke(
    name: Name,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete it, so that its name is free.")
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """End a token at once; exits 3 when there is none."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.control.token_requests import RevokeToken  # noqa: PLC0415

    ended = ask(config, RevokeToken(name=name, forget=forget))
    if as_json:
        print_json({"revoked": name, "secrets": ended})
    else:
        print(f"{name} is revoked")


def _made(config: Path | None, request: "AddToken | RotateToken", *, as_json: bool) -> None:
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above

    made: NewToken = ask(config, request, create=True)
    if as_json:
        print_json(made)
        return
    print(made.secret)
    note("keep it now: it is stored as a hash and cannot be shown again")


def _at(expires: str) -> float | None:
    return time.time() + _seconds(expires, "--expires") if expires else None


def _seconds(text: str, option: str) -> float:
    from ekiden.config.units import parse_duration  # noqa: PLC0415 - as above

    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, got {text!r}", param_hint=option) from None
