"""Ekiden as a sender: `ekiden run` with its defaults, only caps and the first windows raised."""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path
from typing import ClassVar

from bench.cage import Cage
from bench.senders import Bench, Sender, wait_for
from bench.work import DOMAIN, address, destination, job_toml, recipients_csv, templates
from ekiden.control.client import Client
from ekiden.control.requests import Suspend, Unsuspend
from ekiden.dkim.keys import Algorithm, generate, save_key

_STATEMENT = "SELECT coalesce(sum(delivered), 0), coalesce(sum(ready), 0) FROM job"


def environment() -> dict[str, str]:
    """Return a daemon's environment: as that of an installation it finds its modules compiled."""
    given = {**os.environ, "PYTHONUNBUFFERED": "1"}
    given.pop("PYTHONDONTWRITEBYTECODE", None)
    return given


class Ekiden(Sender):
    """See the module.

    Args:
        bench: The run's surroundings.
        extra: More lines of configuration (`[section]` headings included).
        delivery: More lines of the section `[delivery]`.
        sessions: The caps on sessions of a destination and of a site.
    """

    name = "Ekiden"
    algorithms: ClassVar[tuple[str, ...]] = ("rsa", "ed25519", "")

    def __init__(
        self, bench: Bench, *, extra: str = "", delivery: str = "", sessions: int = 20
    ) -> None:
        super().__init__(bench)
        self._extra = extra
        self._delivery = delivery
        self._sessions = sessions
        self._root = bench.directory
        self._reader: sqlite3.Connection | None = None
        self.launcher: tuple[str, ...] = (sys.executable, "-m", "ekiden", "run")

    def configuration(self) -> str:
        """Return the configuration file."""
        work, sink = self.bench.work, self.bench.sink
        lines = [
            '[control]\nsocket = "ekiden.sock"',
            '[delivery]\nhostname = "mail.sender.example"\nallow_networks = ["127.0.0.0/8"]',
            self._delivery,
            '[tls]\npolicy = "off"',
            '[hours]\nsmooth = "0s"',  # a run at the top of the hour is no slower
            f"[limits]\nsessions_per_destination = {self._sessions}",
            f"sessions_per_site = {self._sessions}\nmessages_per_session = 10000",
            self._extra,
        ]
        if work.algorithm:
            lines.append(
                f'[[dkim.key]]\ndomain = "{DOMAIN}"\nselector = "bench"\nfile = "bench.pem"'
            )
        lines += [
            f'[[route]]\npattern = "{destination(n)}"\nhost = "{address(n)}"\nport = {sink.port}'
            for n in range(work.destinations)
        ]
        return "\n".join(line for line in lines if line) + "\n"

    def start(self) -> None:
        root, work = self._root, self.bench.work
        if work.algorithm:
            kind = Algorithm.RSA if work.algorithm == "rsa" else Algorithm.ED25519
            save_key(generate(DOMAIN, "bench", kind), root / "bench.pem")
        config = root / "config.toml"
        config.write_text(self.configuration(), "utf-8")
        config.chmod(0o600)
        self.cage = Cage(
            [*self.launcher, "--config", str(config)],
            root / "ekiden.log",
            environment(),
        )
        wait_for(self._runs, seconds=30, what="Ekiden's start")
        self._reader = sqlite3.connect(f"file:{root / 'ekiden.db'}?mode=ro", uri=True)
        self._lay_out()
        if self.bench.held:
            asyncio.run(self._hold())

    def _runs(self) -> bool:
        said = (self._root / "ekiden.log").read_text("utf-8")
        if not self.cage.running:
            raise RuntimeError(f"Ekiden did not start: {said[-2000:]}")
        return "ekiden runs" in said

    def _lay_out(self) -> None:
        """Put the job beside the spool, as a program that makes it would; its making is no part."""
        job = self._root / "spool" / "tmp" / "campaign"
        job.mkdir()
        text, html = templates(self.bench.work.size)
        (job / "job.toml").write_text(job_toml(), "utf-8")
        (job / "body.txt").write_text(text, "utf-8")
        (job / "body.html").write_text(html, "utf-8")
        (job / "recipients.csv").write_text(recipients_csv(self.bench.work), "utf-8")

    def submit(self) -> None:
        (self._root / "spool" / "tmp" / "campaign").rename(
            self._root / "spool" / "new" / "campaign"
        )

    def _counts(self) -> tuple[int, int]:
        assert self._reader is not None
        delivered, ready = self._reader.execute(_STATEMENT).fetchone()
        return delivered, ready

    def queued(self) -> int:
        row = self._reader and self._reader.execute(
            "SELECT coalesce(sum(ready), 0) FROM job WHERE state = 'open'"
        )
        return int(row.fetchone()[0]) if row else 0

    def delivered(self) -> int:
        """Those recorded as delivered on the disk, which is later than the sink's reply."""
        return self._counts()[0]

    async def _hold(self) -> None:
        client = await self._client()
        await client.ask(Suspend("*", reason="the benchmark fills the queue"))
        await client.close()

    async def _let_go(self) -> None:
        client = await self._client()
        await client.ask(Unsuspend("*"))
        await client.close()

    async def _client(self) -> Client:
        client = await Client.connect(self._root / "ekiden.sock")
        if client is None:
            raise RuntimeError("the daemon is gone")
        return client

    def release(self) -> None:
        asyncio.run(self._let_go())

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        super().close()


class Plodding(Ekiden):
    """The same, to receivers that offer neither PIPELINING nor CHUNKING (smtp-sink never does)."""

    name = "Ekiden, no PIPELINING"
    receiver: ClassVar[tuple[str, ...]] = ("-p",)


def log_of(directory: Path) -> str:
    """Return what the daemon said."""
    return (directory / "ekiden.log").read_text("utf-8", "replace")
