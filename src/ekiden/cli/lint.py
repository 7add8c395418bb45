"""`ekiden lint`: what in a job or a message gets it refused, filtered, or its sender fined."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, note, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ekiden.config import Config
    from ekiden.message.lint.model import Finding, Purpose


HOSTS_MOST: Final = 10  # of opt-out addresses that are asked


class Kind(StrEnum):
    """What a message is for."""

    AUTO = "auto"
    BULK = "bulk"
    TRANSACTIONAL = "transactional"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("lint")(lint)


def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Jobs, or messages (.eml).", show_default=False),
    ],
    *,
    kind: Annotated[
        Kind,
        typer.Option(help="What a message is for; auto: a .eml with List- fields is bulk."),
    ] = Kind.AUTO,
    dns: Annotated[
        bool, typer.Option("--dns/--no-dns", help="Look the sender's domain up.")
    ] = True,
    network: Annotated[
        bool,
        typer.Option(
            "--network/--no-network",
            help="Ask the hosts of opt-out addresses whether they answer (HEAD of /, no address).",
        ),
    ] = False,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Look for faults; 1 when there are errors.

    A job's template is filled in for its first recipients ([lint] rows) by the code that sends.
    A message is looked at as it lies there.
    """
    import asyncio  # noqa: PLC0415 - help must not wait for it

    from ekiden.message.lint.check import has_errors  # noqa: PLC0415

    settings = load_config(config)
    found = [
        (path, asyncio.run(_of(settings, path, kind, config, dns=dns, network=network)))
        for path in paths
    ]
    if as_json:
        print_json([{"path": str(path), "findings": findings} for path, findings in found])
    else:
        several = len(found) > 1
        _print([(str(path) if several else "", findings) for path, findings in found])
    if any(has_errors(findings) for _, findings in found):
        sys.exit(1)


async def _of(
    settings: "Config", path: Path, kind: Kind, config: Path | None, *, dns: bool, network: bool
) -> "list[Finding]":
    import asyncio  # noqa: PLC0415 - as above
    import time  # noqa: PLC0415

    from ekiden.cli.jobs_at_hand import draft  # noqa: PLC0415
    from ekiden.message.lint import check  # noqa: PLC0415
    from ekiden.preview.judgement import findings  # noqa: PLC0415
    from ekiden.preview.proofs import proofs  # noqa: PLC0415
    from ekiden.settings import lint_options  # noqa: PLC0415

    now = time.time()
    if path.suffix == ".eml":
        message = _read(path)
        found = check.lint(message, lint_options(settings), _purpose(message, kind))
        domain = check.sender_domain(message)
        messages = [message]
    else:
        # On a thread: a stored template is asked for, by a loop of its own.
        made = await asyncio.to_thread(
            draft, settings, path, config, now=now, count=settings.lint.rows
        )
        found = await findings(settings, made.job, made.rows, now=now)
        domain = made.job.from_domain
        made_ahead = await proofs(settings, made.job, made.rows[:1], now=now) if network else []
        messages = [one.message for one in made_ahead]
    if dns and domain:
        found += await _domain(settings, domain)
    if network:
        found += await _ways_out(settings, messages)
    return check.ordered(found)


async def _ways_out(settings: "Config", messages: "list[bytes]") -> "list[Finding]":
    from ekiden.check.reach import origins, unreachable  # noqa: PLC0415 - as above
    from ekiden.message.lint.check import ways_out  # noqa: PLC0415
    from ekiden.message.lint.found import Found  # noqa: PLC0415
    from ekiden.networks import AddressPolicy  # noqa: PLC0415
    from ekiden.settings import lint_options  # noqa: PLC0415

    found = Found(lint_options(settings))
    policy = AddressPolicy(tuple(settings.delivery.allow_networks))
    urls = [url for message in messages for url in ways_out(message)]
    for origin in origins(urls)[:HOSTS_MOST]:
        if why := await unreachable(origin, policy, settings.dns.timeout):
            found.add("unsubscribe-unreachable", origin, f"{origin}: {why}.")
    return found.all()


def _purpose(message: bytes, kind: Kind) -> "Purpose":
    from ekiden.message.lint.check import looks_bulk  # noqa: PLC0415 - as above
    from ekiden.message.lint.model import Purpose  # noqa: PLC0415

    return Purpose(bulk=looks_bulk(message) if kind is Kind.AUTO else kind is Kind.BULK)


async def _domain(settings: "Config", domain: str) -> "list[Finding]":
    from ekiden.check.sender_domain import takes_mail  # noqa: PLC0415 - as above
    from ekiden.errors import UnavailableError  # noqa: PLC0415
    from ekiden.message.lint.found import Found  # noqa: PLC0415
    from ekiden.settings import lint_options  # noqa: PLC0415

    nameservers = [(one.address, one.port) for one in settings.dns.nameservers]
    found = Found(lint_options(settings))
    try:
        if not await takes_mail(domain, nameservers, settings.dns.timeout):
            found.add("from-domain", "From", f"{domain} has neither MX nor address.")
    except UnavailableError as error:
        note(f"{error} (--no-dns leaves that out)")
    return found.all()


def _read(path: Path) -> bytes:
    from ekiden import limits  # noqa: PLC0415 - as above
    from ekiden.errors import RefusedError  # noqa: PLC0415

    try:
        with path.open("rb") as file:
            data = file.read(limits.MESSAGE_BYTES + 1)
    except OSError as error:
        raise RefusedError(
            f"It cannot be read: {error.strerror}.", where=str(path), remedy="check the path"
        ) from error
    if len(data) > limits.MESSAGE_BYTES:
        raise RefusedError("The message is too large.", where=str(path))
    return data


def _print(found: "Sequence[tuple[str, list[Finding]]]") -> None:
    names = ("severity", "code", "where", "what", "remedy", "source")
    rows = []
    for path, findings in found:
        for one in findings:
            row = f"row {one.row}: " if one.row else ""
            place = f"{path}: {row}{one.where}" if path else f"{row}{one.where}"
            rows.append((one.severity.value, one.code, place, one.what, one.remedy, one.source))
    print_table([Column(name) for name in names], rows, empty="Nothing was found.")
