"""The whole daemon meets a blocklist: one source rests there, another takes its mail over."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ekiden.sink.dns import DnsOptions, DnsServer
from stage import Stage
from test_app_delivery import daemon, until

LISTED = "127.0.0.2"
OTHER = "127.0.0.3"
SOURCES = f"""
[[source]]
name = "a1"
address = "{LISTED}"
ehlo = "a1.stage.example"
[[source]]
name = "a2"
address = "{OTHER}"
ehlo = "a2.stage.example"
[[pool]]
name = "news"
sources = ["a1", "a2"]
default = true
"""
REPLY = (
    f"553 5.7.1 [BL21] Connections will not be accepted from {LISTED}, because the ip is in"
    " Spamhaus's list; see https://postmaster.yahooinc.com/error-codes"
)
# Two sites of one provider, and one of somebody else.
HOSTS = {
    "y0.example": ("mta1.am0.yahoodns.net", "127.0.1.1"),
    "y1.example": ("mta2.am0.yahoodns.net", "127.0.1.2"),
    "else.example": ("mx.else.example", "127.0.1.3"),
}


@dataclass
class Receiver:
    """A host that refuses one address, at the greeting or at RCPT, and counts whom it hears.

    Args:
        refuses: Whom, "" for nobody.
        at: Where.
    """

    refuses: str
    at: str
    heard: list[str] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")[0]
        self.heard.append(peer)
        listed = peer == self.refuses
        say = writer.write
        say(f"{REPLY}\r\n".encode() if listed and self.at == "connect" else b"220 mx ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                break
            if verb == b"RCPT" and listed:
                say(f"{REPLY}\r\n".encode())
            elif verb == b"DATA" and listed:
                say(b"554 no valid recipients\r\n")
            elif verb == b"DATA":
                say(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                self.taken.append(peer)
                say(b"250 ok\r\n")
            else:
                say(b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def world(stage: Stage, at: str) -> AsyncIterator[dict[str, Receiver]]:
    """The three receivers and their DNS."""
    records: dict[str, dict[str, Sequence[str]]] = {}
    receivers: dict[str, Receiver] = {}
    async with AsyncExitStack() as stack:
        for domain, (host, address) in HOSTS.items():
            records[domain] = {"MX": [f"10 {host}."]}
            records[host] = {"A": [address]}
            one = Receiver("" if domain == "else.example" else LISTED, at)
            receivers[domain] = one
            server = await asyncio.start_server(one.serve, address, stage.port)
            stack.callback(server.close)
        options = DnsOptions(records=records, host="127.0.0.1", port=stage.dns_port)
        await stack.enter_async_context(DnsServer(options))
        yield receivers


@pytest.mark.parametrize("at", ["rcpt", "connect"])
async def test_a_blocked_source_rests_at_that_provider_and_another_takes_over(
    tmp_path: Path, at: str
) -> None:
    stage = Stage(tmp_path / "s", extra=SOURCES)
    stage.write()
    configuration = stage.config.read_text().replace('blocking = "1s"', 'blocking = "1h"')
    stage.config.write_text(configuration)
    people = [f"p{n}@{domain}" for n in range(12) for domain in HOSTS]
    async with world(stage, at) as receivers, daemon(stage) as app:
        # One refusal tells; the rest goes by the other address, to the provider's other site too.
        stage.drop("first", people)
        await until(stage.result("first").exists)
        heard = {domain: one.heard.count(LISTED) for domain, one in receivers.items()}
        stage.drop("second", [f"again-{one}" for one in people])
        await until(stage.result("second").exists)

        assert [fate for _, fate, _ in stage.fates("first")] == ["delivered"] * len(people)
        assert [fate for _, fate, _ in stage.fates("second")] == ["delivered"] * len(people)
        for domain in ("y0.example", "y1.example"):
            assert set(receivers[domain].taken) == {OTHER}
            assert receivers[domain].heard.count(LISTED) == heard[domain], "it rests"
        assert await app.base.suppressions.list() == []
        roads = app.delivery.scheduler.roads.views(app.base.now())
        assert [(one.source, one.provider) for one in roads if one.until] == [("a1", "yahoo")]
        notices = await app.queue.notices_after(0, 10)
        assert {one.scope for one in notices} == {"source:a1"}
        for word in ("Spamhaus", LISTED, f"https://check.spamhaus.org/results/?query={LISTED}"):
            assert word in notices[0].detail
        await app.events.exporter.drain()
        # The same source goes on everywhere else.
        before = len(receivers["else.example"].heard)
        stage.drop("third", [f"third{n}@else.example" for n in range(40)])
        await until(stage.result("third").exists)
        assert len(receivers["else.example"].heard) > before
    lines = (stage.directory / "events" / "events.jsonl").read_text().splitlines()
    alerts = [one for one in map(json.loads, lines) if one["type"] == "alert"]
    assert len(alerts) == 1
    assert alerts[0]["scope"] == "source:a1"
