"""`ekiden config explain`: which limits hold for a destination, and who said each of them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ekiden.cli.options import AsJson, ConfigPath
from ekiden.cli.output import Column, note, print_json, print_table

if TYPE_CHECKING:
    from ekiden.config import Config
    from ekiden.engine.sites import Site
    from ekiden.shaping.layers import Layer

_TOLD_APART = "tls"  # its rules have layers of their own


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
    from ekiden.cli import profile_page  # noqa: PLC0415 - help must not wait for it
    from ekiden.cli.options import load_config  # noqa: PLC0415
    from ekiden.engine.capsbook import CapsBook, further, profiles  # noqa: PLC0415
    from ekiden.engine.names import a_labels  # noqa: PLC0415

    loaded = load_config(config)
    senders = _senders(loaded, source, configuration_set)
    site = _site(loaded, destination, mx or [])
    name = destination if destination.startswith("[") else a_labels(destination)
    book = CapsBook(loaded, profiles(loaded))
    effective = book.effective(name, site, *senders)
    rows = [row for row in effective.explain() if row[0] != _TOLD_APART]
    if not site.route:
        rows.append(("tls", *_tls(loaded, name, site, senders)))
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


def _site(config: "Config", destination: str, hosts: list[str]) -> "Site":
    """Return where a destination's mail goes: to the hosts that were named, else by a look-up.

    Raises:
        UnavailableError: No mail exchanger is found.
    """
    import asyncio  # noqa: PLC0415 - as above
    import time  # noqa: PLC0415

    from ekiden import settings  # noqa: PLC0415
    from ekiden.engine.sites import Unresolved, given  # noqa: PLC0415
    from ekiden.errors import UnavailableError  # noqa: PLC0415

    if hosts:
        return given(hosts)
    found = asyncio.run(settings.resolver(config, time.time).resolve(destination))
    if isinstance(found, Unresolved):
        raise UnavailableError(
            found.outcome.detail,
            where=destination,
            remedy="name its mail exchanger to ask without a look-up: --mx HOST",
        )
    return found


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


def _tls(
    config: "Config", destination: str, site: "Site", senders: "list[Layer]"
) -> tuple[str, str]:
    """Return the TLS policy that holds; a set can ask for more, never for less."""
    from ekiden import settings  # noqa: PLC0415 - as above
    from ekiden.engine.dialler import stricter  # noqa: PLC0415
    from ekiden.engine.tls import TlsPolicy  # noqa: PLC0415

    hosts = [host.name for host in site.hosts]
    policy, said_by = settings.dialling(config).tls.explain(
        destination, hosts, routed=bool(site.route)
    )
    for layer in senders:
        if layer.limits.tls is not None:
            asked = TlsPolicy(layer.limits.tls)
            if asked is not policy and stricter(asked, policy) is asked:
                policy, said_by = asked, str(layer)
    return str(policy), said_by
