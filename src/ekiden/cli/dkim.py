"""`ekiden dkim`: make keys, print their records, compare them with DNS."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, load_config
from ekiden.cli.output import Column, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.config import Config
    from ekiden.dkim.keys import Key

Domain = Annotated[
    str, typer.Option("--domain", "-d", help="Only the keys of this domain.", show_default=False)
]


class KeyType(StrEnum):
    """The kinds of keys."""

    RSA = "rsa"
    ED25519 = "ed25519"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Make, show and check DKIM keys.", no_args_is_help=True)
    group.command("keygen")(keygen)
    group.command("show")(show)
    group.command("check")(check)
    app.add_typer(group, name="dkim")


def keygen(
    domain: Annotated[str, typer.Option("--domain", "-d", help="The domain of From headers.")],
    selector: Annotated[str, typer.Option("--selector", "-s", help="Names this key in DNS.")],
    kind: Annotated[
        KeyType, typer.Option("--type", "-t", help="RSA is verified by all; add Ed25519 to it.")
    ] = KeyType.RSA,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The key file; else dkim/DOMAIN.SELECTOR.pem.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key (mode 0600) and print the DNS record that publishes it."""
    from ekiden.dkim import keys  # noqa: PLC0415 - help must not wait for cryptography

    algorithm = keys.Algorithm.RSA if kind is KeyType.RSA else keys.Algorithm.ED25519
    made = keys.generate(domain, selector, algorithm)
    path = out or Path("dkim") / f"{made.domain}.{made.selector}.pem"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys.save_key(made, path)
    if as_json:
        print_json(_facts(made, path))
        return
    note(f"The key is in {path}. Publish this record:")
    print(keys.record_line(made), flush=True)
    note("Then add to the configuration:")
    for line in ("[[dkim.key]]", f'domain = "{made.domain}"', f'selector = "{made.selector}"',
                 f'file = "{path}"'):  # fmt: skip
        note(line)


def show(config: ConfigPath = None, domain: Domain = "", as_json: AsJson = False) -> None:
    """Print the DNS records of the configured keys."""
    from ekiden.dkim import keys  # noqa: PLC0415 - as above

    chosen = _chosen(load_config(config), domain)
    if as_json:
        print_json([_facts(key, path) for key, path in chosen])
        return
    for key, _ in chosen:
        print(keys.record_line(key))


def check(config: ConfigPath = None, domain: Domain = "", as_json: AsJson = False) -> None:
    """Compare the configured keys with what DNS publishes.

    Exits 0 when every key is published as it is, 1 when one is not, 4 when DNS does not answer.
    """
    from ekiden.cli.published import compare  # noqa: PLC0415 - dnspython is slow to import

    settings = load_config(config)
    found = [(key, compare(key, settings.dns)) for key, _ in _chosen(settings, domain)]
    if as_json:
        print_json([{"record": key.record_name, "problems": problems} for key, problems in found])
    else:
        rows = [
            (key.record_name, problem)
            for key, problems in found
            for problem in problems or ["published as it should be"]
        ]
        print_table([Column("record"), Column("finding")], rows)
    if any(problems for _, problems in found):
        raise typer.Exit(1)


def _chosen(config: "Config", domain: str) -> "list[tuple[Key, Path]]":
    """Return the configured keys, of one domain if it is given.

    Raises:
        ConfigError: A key cannot be used.
        NotFoundError: There is none.
    """
    from ekiden.dkim.keys import load_key  # noqa: PLC0415 - as above
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    wanted = domain.lower().removesuffix(".")
    chosen = [
        (load_key(one.file, one.domain, one.selector), one.file)
        for one in config.dkim.keys
        if not wanted or one.domain.lower() == wanted
    ]
    if not chosen:
        raise NotFoundError(
            f"no DKIM key of {domain} is configured" if domain else "no DKIM key is configured",
            remedy="make one: ekiden dkim keygen --domain DOMAIN --selector SELECTOR",
        )
    return chosen


def _facts(key: "Key", path: Path) -> dict[str, str]:
    from ekiden.dkim import keys  # noqa: PLC0415 - as above

    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm.value,
        "file": str(path),
        "record": key.record_name,
        "text": keys.record_text(key),
    }
