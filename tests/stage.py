"""A small world for end-to-end tests: receivers, their DNS, a configuration, jobs.

`Stage` lays it out under one directory; `play` and `bench/endurance.py` run a daemon on it.
"""

import csv
import functools
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ekiden.dkim.keys import Algorithm, Key, generate, load_key, save_key
from ekiden.sink.agree import Disagreement, disagreements
from ekiden.sink.dns import DnsOptions, DnsServer
from ekiden.sink.record import Line, read_record
from ekiden.sink.server import Place, Sink, SinkOptions

SENDER = "stage.example"
PAGE = "<html><body><p>{{ name }}様、{{ points }} points</p></body></html>"


@functools.cache
def key_of(selector: str, algorithm: Algorithm) -> Key:
    """A key of the sender, made once in a test run: that of RSA takes a tenth of a second."""
    return generate(SENDER, selector, algorithm)


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Stage:
    """Destinations spread over sites, each site on a loopback address of its own.

    Args:
        directory: Where everything lives.
        destinations: How many recipient domains.
        sites: How many sets of mail exchangers they share.
        extra: More configuration, appended.
    """

    directory: Path
    destinations: int = 30
    sites: int = 10
    extra: str = ""
    port: int = field(default_factory=free_port)
    dns_port: int = field(default_factory=free_port)

    @property
    def config(self) -> Path:
        return self.directory / "config.toml"

    @property
    def record(self) -> Path:
        return self.directory / "record.jsonl"

    @property
    def store(self) -> Path:
        return self.directory / "messages"

    @property
    def spool(self) -> Path:
        return self.directory / "spool"

    def destination(self, number: int) -> str:
        return f"d{number % self.destinations}.example"

    def site_of(self, destination: str) -> int:
        return int(destination[1:].partition(".")[0]) % self.sites

    def write(self) -> None:
        """Write keys and configuration."""
        (self.directory / "dkim").mkdir(parents=True, mode=0o700)
        keys = ""
        for selector, algorithm in (("rsa", Algorithm.RSA), ("ed", Algorithm.ED25519)):
            save_key(key_of(selector, algorithm), self.directory / "dkim" / f"{selector}.pem")
            keys += f'[[dkim.key]]\ndomain = "{SENDER}"\nselector = "{selector}"\n'
            keys += f'file = "dkim/{selector}.pem"\n\n'
        # No test waits for the clock: neither for the top of an hour nor for a provider's windows.
        hours = '[hours]\nsmooth = "0s"\njitter = "0s"\n[[hours.provider]]\nprovider = "*"\n'
        if "[hours]" in self.extra:
            hours = ""
        self.config.write_text(
            f"""
{hours}[spool]
directory = "spool"
rest = "200ms"
[queue]
path = "queue.db"
[delivery]
hostname = "mail.{SENDER}"
port = {self.port}
retry = ["1s", "2s"]
lifetime = "10m"
idle = "1s"
allow_networks = ["127.0.0.0/8"]
[dns]
nameservers = ["127.0.0.1:{self.dns_port}"]
timeout = "2s"
[paths]
failing = "1s"
slowing = "1s"
blocking = "1s"
[events]
directory = "events"
[control]
socket = "ekiden.sock"
{keys}
{self.extra}
"""
        )

    def keys(self) -> list[Key]:
        """The keys that sign."""
        return [
            load_key(self.directory / "dkim" / f"{selector}.pem", SENDER, selector)
            for selector in ("rsa", "ed")
        ]

    def receivers(self, *, store: bool = False) -> Sink:
        """The sink; one place per site."""
        places = [
            Place(host=f"127.0.1.{n + 1}", port=self.port, site=f"s{n}") for n in range(self.sites)
        ]
        return Sink(
            SinkOptions(
                places=places,
                record=self.record,
                store=self.store if store else None,
                tls=False,
                connections=5000,
            )
        )

    def dns(self) -> DnsServer:
        """The DNS server that knows the destinations."""
        records: dict[str, dict[str, Sequence[str]]] = {}
        for number in range(self.destinations):
            name = self.destination(number)
            records[name] = {"MX": [f"10 mx.s{self.site_of(name)}.example."]}
        for n in range(self.sites):
            records[f"mx.s{n}.example"] = {"A": [f"127.0.1.{n + 1}"]}
        return DnsServer(DnsOptions(records=records, host="127.0.0.1", port=self.dns_port))

    def drop(
        self, name: str, recipients: Sequence[str], *, page: str = PAGE, **job: object
    ) -> None:
        """Write a job directory and rename it into the spool."""
        for folder in (self.spool, self.spool / "tmp", self.spool / "new"):
            folder.mkdir(mode=0o755, exist_ok=True)
        building = self.spool / "tmp" / name
        building.mkdir(mode=0o755)
        with (building / "recipients.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("email", "name", "points"))
            writer.writerows((one, f"読者{n}", n) for n, one in enumerate(recipients))
        (building / "body.html").write_text(page, encoding="utf-8")
        settings = {
            "name": name,
            "from": f"Ekiden <news@{SENDER}>",
            "subject": "{{ name }}様へ",
            "html": "body.html",
            "recipients": "recipients.csv",
            **job,
        }
        lines = [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()
        ]
        (building / "job.toml").write_text("\n".join(lines), encoding="utf-8")
        building.rename(self.spool / "new" / name)

    def result(self, name: str) -> Path:
        """The file that says the job has ended."""
        return self.spool / "done" / f"{name}.result.json"

    def fates(self, name: str) -> list[tuple[str, str, int]]:
        """(recipient, fate, doubts) of every line of the job's report."""
        report = self.spool / "done" / f"{name}.report.jsonl"
        rows = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        return [(row["recipient"], row["fate"], row.get("doubts", 0)) for row in rows]

    def disagreements(self, name: str) -> list[Disagreement]:
        """Where the report and the receivers' record differ."""
        fates = self.fates(name)
        doubtful = [recipient for recipient, _, doubts in fates if doubts]
        states = [(recipient, fate) for recipient, fate, _ in fates]
        return disagreements(states, read_record(self.record), in_doubt=doubtful)

    def transactions(self) -> Iterator[Line]:
        """The receivers' transactions, in order."""
        return (line for line in read_record(self.record) if line.kind == "transaction")


def longest_run(destinations: Sequence[str]) -> int:
    """The most transactions in a row to one destination."""
    longest = run = 0
    before = ""
    for destination in destinations:
        run = run + 1 if destination == before else 1
        before = destination
        longest = max(longest, run)
    return longest
