"""`ekiden config`: is the configuration right, and what does it say."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath, config_path
from ekiden.cli.output import Column, complain, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.config import Config
    from ekiden.engine.tls import TlsPolicy
    from ekiden.errors import EkidenError
    from ekiden.shaping.layers import Layer

_TOLD_APART = "tls"  # its rules have layers of their own


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Check and show the configuration.", no_args_is_help=True)
    group.command("check")(check)
    group.command("show")(show)
    group.command("explain")(explain)
    app.add_typer(group, name="config")


def check(config: ConfigPath = None, as_json: AsJson = False) -> None:
    """Say what is wrong with the configuration and the files it names.

    Exits 0 when nothing is, 2 otherwise.
    """
    from ekiden.config import BadConfigError, load  # noqa: PLC0415 - help must not wait for it

    path = config_path(config)
    told: list[dict[str, str | int]] = []
    try:
        errors: list[EkidenError] = list(wrong_files(load(path)))
        told = [{"where": one.where, "what": one.what, "remedy": one.remedy} for one in errors]
    except BadConfigError as bad:
        errors = [bad]
        told = [
            {"line": one.line, "key": one.key, "what": one.what, "remedy": one.remedy}
            for one in bad.problems
        ]
    if as_json:
        print_json({"file": str(path), "problems": told})
    else:
        for error in errors:
            complain(error)
        if not errors:
            print(f"{path}: nothing is wrong")
    if errors:
        raise typer.Exit(2)


def wrong_files(config: "Config") -> "Iterator[EkidenError]":
    """Yield what is wrong with the files that a configuration names."""
    from ekiden.dkim.keys import load_key  # noqa: PLC0415 - as above
    from ekiden.errors import ConfigError  # noqa: PLC0415
    from ekiden.settings import lint_options  # noqa: PLC0415

    for key in config.dkim.keys:
        try:
            load_key(key.file, key.domain, key.selector)
        except ConfigError as error:
            yield error
    try:
        lint_options(config)
    except ConfigError as error:
        yield error
    for route in config.routes:
        if route.password_file is not None:
            yield from _secret(route.password_file)
    named = [*config.bounce.rules, *([config.tls.ca_file] if config.tls.ca_file else [])]
    for path in named:
        if not path.is_file():
            yield ConfigError("there is no such file", where=str(path))


def _secret(path: Path) -> "Iterator[EkidenError]":
    from ekiden.errors import ConfigError  # noqa: PLC0415 - as above

    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield ConfigError(f"the password cannot be read: {error.strerror}", where=str(path))
        return
    if mode & 0o077:
        yield ConfigError(
            f"others may read the password (mode {mode & 0o777:04o})",
            where=str(path),
            remedy=f"chmod 600 {path}",
        )


def show(
    config: ConfigPath = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print the complete, commented example instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print every value in force, as TOML that loads as the same."""
    from ekiden import config as settings  # noqa: PLC0415 - as above

    if example:
        print(settings.example(), end="")
        return
    loaded = settings.load(config_path(config))
    if as_json:
        print_json(loaded)
    else:
        print(settings.show(loaded), end="")


def explain(  # noqa: PLR0917 - typer passes options by name
    destination: Annotated[str, typer.Argument(help="A recipient domain.", show_default=False)],
    source: Annotated[
        str, typer.Option("--source", help="For mail that leaves from this source.")
    ] = "",
    configuration_set: Annotated[
        str, typer.Option("--set", help="For jobs of this configuration set.")
    ] = "",
    mx: Annotated[
        list[str] | None,
        typer.Option("--mx", help="Its mail exchanger, instead of a look-up; may be repeated."),
    ] = None,
    config: ConfigPath = None,
    as_json: AsJson = False,
) -> None:
    """Print the limits that hold for a destination, which layer said each and where it was read.

    A later layer takes the place of the earlier ones, key by key: default, provider, site,
    destination, source, configuration set. Without --source and --set, what those say is listed
    below; then what sending there has taught; on a terminal, what is known of the provider stands
    under it. Looks the destination up; exits 4 when no mail exchanger is found.
    """
    import asyncio  # noqa: PLC0415 - as above
    import time  # noqa: PLC0415

    from ekiden import settings  # noqa: PLC0415
    from ekiden.cli import profile_page  # noqa: PLC0415
    from ekiden.cli.options import load_config  # noqa: PLC0415
    from ekiden.engine.capsbook import CapsBook, further, profiles  # noqa: PLC0415
    from ekiden.engine.names import a_labels  # noqa: PLC0415
    from ekiden.engine.sites import Unresolved, given  # noqa: PLC0415
    from ekiden.errors import UnavailableError  # noqa: PLC0415

    loaded = load_config(config)
    senders = _senders(loaded, source, configuration_set)
    if mx:
        site = given(mx)
    else:
        found = asyncio.run(settings.resolver(loaded, time.time).resolve(destination))
        if isinstance(found, Unresolved):
            raise UnavailableError(
                found.outcome.detail,
                where=destination,
                remedy="name its mail exchanger to ask without a look-up: --mx HOST",
            )
        site = found
    name = destination if destination.startswith("[") else a_labels(destination)
    book = CapsBook(loaded, profiles(loaded))
    policy, said_by = settings.dialling(loaded).tls.explain(
        name, [host.name for host in site.hosts], routed=bool(site.route)
    )
    effective = book.effective(name, site, *senders)
    rows = [row for row in effective.explain() if row[0] != _TOLD_APART]
    if not site.route:
        rows.append(("tls", *_tls(policy, said_by, senders)))
    rows += further(loaded, source=bool(source), of_set=bool(configuration_set))
    if loaded.queue.path.exists():
        rows += _learned(config, site.name, source)
    profile = book.profile(name, site)
    cited = [(*row, profile_page.source(profile, row[0], row[2])) for row in rows]
    if as_json:
        print_json(
            {
                "destination": name,
                "site": site.name,
                "provider": book.provider(name, site),
                "limits": [
                    dict(zip(("key", "value", "layer", "source"), row, strict=True))
                    for row in cited
                ],
                "profile": profile_page.as_json(profile),
            }
        )
        return
    for what, each in (("from source", source), ("for jobs of the set", configuration_set)):
        if each:
            note(f"{what} {each}")
    note(f"site {site.name}, provider {profile_page.heading(profile)}")
    print_table([*map(Column, ("limit", "value", "layer", "read at"))], cited)
    if profile is not None and sys.stdout.isatty():
        print("\n" + profile_page.text(profile))


def _learned(config: Path | None, site: str, source: str) -> "list[tuple[str, str, str]]":
    """Return what sending to a site has taught, as (limit, value, who said it)."""
    from ekiden.cli.access import ask  # noqa: PLC0415 - as above
    from ekiden.cli.learned import because  # noqa: PLC0415
    from ekiden.control.pacing_requests import ShowLearned  # noqa: PLC0415

    rows = []
    for one in ask(config, ShowLearned(site)):
        if source in ("", one.source):
            said = f"learned by sending from {one.source}"
            rows.append((f"sessions of {one.source}, found", f"{one.sessions:,}", said))
            if one.rate is not None:
                rows.append(
                    (f"messages of {one.source}, found", f"{one.rate:.3g} per second", said)
                )
            if (length := one.messages_per_session) is not None:
                said += f": {because(one)}"
                rows.append((f"messages_per_session of {one.source}, found", f"{length:,}", said))
    return rows


def _senders(config: "Config", source: str, configuration_set: str) -> "list[Layer]":
    """Return the layers of a source and a set, where they are asked about."""
    from ekiden.engine.capsbook import set_layer, source_layer  # noqa: PLC0415 - as above
    from ekiden.errors import NotFoundError  # noqa: PLC0415

    found = []
    if source:
        mine = [one for one in config.sources if one.name == source]
        if not mine:
            names = ", ".join(one.name for one in config.sources) or "none is configured"
            raise NotFoundError("there is no such source", where=source, remedy=f"use {names}")
        found.append(source_layer(mine[0]))
    if configuration_set:
        sets = config.configuration_sets
        if configuration_set not in sets:
            names = ", ".join(sets) or "none is configured"
            raise NotFoundError(
                "there is no such configuration set", where=configuration_set, remedy=f"use {names}"
            )
        found.append(set_layer(configuration_set, sets[configuration_set]))
    return found


def _tls(policy: "TlsPolicy", said_by: str, senders: "list[Layer]") -> tuple[str, str]:
    """Return the TLS policy that holds; a set can ask for more, never for less."""
    from ekiden.engine.dialler import stricter  # noqa: PLC0415 - as above
    from ekiden.engine.tls import TlsPolicy  # noqa: PLC0415

    for layer in senders:
        if layer.limits.tls is not None:
            asked = TlsPolicy(layer.limits.tls)
            if asked is not policy and stricter(asked, policy) is asked:
                policy, said_by = asked, str(layer)
    return str(policy), said_by
