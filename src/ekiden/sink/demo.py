"""What `ekiden demo` needs beside the daemon: the world, a configuration, a campaign, a verdict.

Contract: everything lives under one run directory. `make_demo` writes the sender's keys, the
configuration and the campaign; `DemoWorld` starts the sink and the DNS server in the running loop
(or `ekiden sink --world` in a process of its own); `verdict` says whether the queue's final states
and the receivers' record agree. `cli/demo.py` starts the daemon and shows the progress.

The demo is real in everything but time and place: retries come after seconds instead of hours, and
the world is on loopback addresses. Its limits are the shipped provider profiles'.
"""

import csv
import io
import secrets
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final, Self

from ekiden.dkim.keys import Algorithm, generate, record_text, save_key
from ekiden.errors import UnavailableError
from ekiden.sink.agree import Disagreement, disagreements
from ekiden.sink.behaviours import Timing
from ekiden.sink.dns import DnsOptions, DnsServer
from ekiden.sink.ledger import ProviderCount
from ekiden.sink.profiles import GENERIC, load_profiles
from ekiden.sink.record import read_record
from ekiden.sink.server import Sink, SinkOptions
from ekiden.sink.world import (
    RECIPIENTS,
    SENDER_DOMAIN,
    World,
    build_world,
    many_loopbacks,
    sender_zone,
)

JOB: Final = "december-newsletter"
_KEYS: Final = (("demo-rsa", Algorithm.RSA), ("demo-ed", Algorithm.ED25519))
_SHARE_OF_RATE: Final = 0.8  # of a provider's rate that the configuration allows itself


@dataclass(frozen=True, slots=True)
class Demo:
    """One run's files and its world.

    Args:
        directory: The run directory.
        world: The receivers, their DNS and the recipients.
        host: The address that the DNS server listens on.
        dns_port: Its port.
    """

    directory: Path
    world: World
    host: str
    dns_port: int

    @property
    def config(self) -> Path:
        """The daemon's configuration."""
        return self.directory / "config.toml"

    @property
    def record(self) -> Path:
        """What the receivers took, line by line."""
        return self.directory / "sink.jsonl"

    @property
    def spool(self) -> Path:
        """The daemon's spool."""
        return self.directory / "spool"


def make_demo(directory: Path, *, recipients: int = RECIPIENTS) -> Demo:
    """Make a run directory with keys and a configuration, and the world that goes with it.

    Args:
        directory: A directory that does not exist or is empty.
        recipients: How many people get the newsletter.

    Raises:
        UnavailableError: The directory holds something.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise UnavailableError(
            "The demo's directory is not empty",
            where=str(directory),
            remedy="Name another one, or remove it.",
        )
    records = _keys(directory / "dkim")
    port, dns_port = _free_port(), _free_port()
    world = build_world(
        port,
        recipients=recipients,
        spread=many_loopbacks(),
        sender_records=sender_zone(records),
    )
    demo = Demo(directory, world, "127.0.0.1", dns_port)
    demo.config.write_text(config_text(demo, port), encoding="utf-8")
    return demo


def _keys(directory: Path) -> Mapping[str, str]:
    directory.mkdir(mode=0o700)
    records = {}
    for selector, algorithm in _KEYS:
        key = generate(SENDER_DOMAIN, selector, algorithm)
        save_key(key, directory / f"{selector}.pem")
        records[selector] = record_text(key)
    return records


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def config_text(demo: Demo, port: int) -> str:
    """Return the demo daemon's configuration, as a person would write it.

    Args:
        demo: The run; paths in the text are relative to its directory.
        port: The port on which every receiver of the world listens.
    """
    keys = "".join(
        f"""
[[dkim.key]]
domain = "{SENDER_DOMAIN}"
selector = "{selector}"
file = "dkim/{selector}.pem"
"""
        for selector, _ in _KEYS
    )
    return f"""# Made by `ekiden demo`: a daemon for a world that lives on this machine's loopback.

[spool]
directory = "spool"
rest = "500ms"

[queue]
path = "queue.db"

[hours]
smooth = "0s"  # at once, also at the top of the hour

[delivery]
hostname = "mail.{SENDER_DOMAIN}"
port = {port}
# Seconds instead of hours, so that greylisting passes and hopeless cases end while you watch.
lifetime = "25s"
retry = ["3s", "4s", "6s"]
idle = "2s"
# Mail exchangers at loopback addresses are refused everywhere but here.
allow_networks = ["127.0.0.0/8"]

[dns]
nameservers = ["{demo.host}:{demo.dns_port}"]
timeout = "3s"

# A path that asks for less is left alone for seconds, too.
[paths]
failing = "2s"
failing_ceiling = "4s"
slowing = "1s"
slowing_ceiling = "3s"
blocking = "3s"
blocking_ceiling = "5s"

[limits]
sessions_per_destination = 4
sessions_per_site = 4
messages_per_session = 50
{_site_limits(demo.world)}{keys}
[[source]]
name = "demo"
address = "127.0.0.1"
ehlo = "mail.{SENDER_DOMAIN}"

[events]
directory = "events"

[control]
socket = "ekiden.sock"

[log]
level = "warning"
"""


def _site_limits(world: World) -> str:
    """Each provider's own caps, by its mail exchangers' names."""
    profiles = load_profiles()
    zones = {}
    for destination, name in world.hosted.items():
        if name == GENERIC:
            continue
        exchanger = world.records[destination]["MX"][0].split()[1].rstrip(".")
        label = profiles[name].hosts[0]
        zones[exchanger.removeprefix(f"{label}.")] = profiles[name]
    text = ""
    for zone, profile in zones.items():
        text += f"""
[[limits.site]]
mx = "*.{zone}"
max_sessions = {profile.sessions}
messages_per_session = {profile.messages}
"""
        if profile.rate:
            text += f'rates = ["{int(profile.rate * _SHARE_OF_RATE)}/s"]\n'
    return text


class DemoWorld:
    """The receivers and the DNS of a demo, running.

    Args:
        demo: The run.
        store: Keep every message in this directory.
    """

    def __init__(self, demo: Demo, *, store: Path | None = None) -> None:
        self.sink = Sink(
            SinkOptions(
                places=demo.world.places,
                record=demo.record,
                store=store,
                hosted=demo.world.hosted,
                timing=Timing(greylist=2.0, throttle=2.0, slow=0.5, ratelimit=2.0),
            )
        )
        self.dns = DnsServer(
            DnsOptions(
                records=demo.world.records,
                faults=demo.world.faults,
                host=demo.host,
                port=demo.dns_port,
            )
        )

    @property
    def counts(self) -> Mapping[str, ProviderCount]:
        """What each provider has seen, by profile name."""
        return self.sink.counts

    async def start(self) -> None:
        """Start both.

        Raises:
            UnavailableError: A port was taken in the meantime.
        """
        await self.dns.start()
        try:
            await self.sink.start()
        except BaseException:
            await self.dns.stop()
            raise

    async def stop(self) -> None:
        """Stop both."""
        await self.sink.stop()
        await self.dns.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


def drop_campaign(demo: Demo) -> str:
    """Write the campaign under `spool/tmp/` and rename it into `spool/new/`, as any writer would.

    Returns:
        The name under which its result will be in `spool/done/`.
    """
    building = demo.spool / "tmp" / f"{JOB}.{secrets.token_hex(4)}"
    for folder in (demo.spool, demo.spool / "tmp", demo.spool / "new"):
        folder.mkdir(mode=0o755, exist_ok=True)  # whatever the umask: the daemon refuses more
    building.mkdir(mode=0o755)
    shipped = resources.files("ekiden.sink").joinpath("campaign")
    for name in ("job.toml", "newsletter.html", "newsletter.txt"):
        (building / name).write_bytes(shipped.joinpath(name).read_bytes())
    (building / "recipients.csv").write_bytes(recipients_csv(demo.world))
    building.rename(demo.spool / "new" / JOB)
    return JOB


def recipients_csv(world: World) -> bytes:
    """Return the recipients as CSV: UTF-8 with a BOM and CRLF, as a spreadsheet writes it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("address", "name", "language", "points"))
    writer.writerows(
        (person.address, person.name, person.language, person.points) for person in world.recipients
    )
    return text.getvalue().encode("utf-8-sig")


def verdict(
    demo: Demo, states: Iterable[tuple[str, str]], *, in_doubt: Iterable[str] = ()
) -> list[Disagreement]:
    """Return where the queue and the receivers differ, address by address; empty when they agree.

    Args:
        demo: The run.
        states: Recipient and final state of every delivery.
        in_doubt: Recipients that the queue reported as in doubt.
    """
    listed = list(states)
    found = disagreements(listed, read_record(demo.record), in_doubt=in_doubt)
    missing = len(demo.world.recipients) - len(listed)
    if missing > 0:
        words = f"{missing} recipients of the campaign are not in the queue"
        found.append(Disagreement("(all)", (), 0, words))
    return found
