"""The whole daemon against receivers of the sink that play a provider, over real connections.

Nobody told the engine what they enforce: the names are of the simulator, so no profile matches, and
the default caps are far above. Everything is delivered all the same, and no session goes beyond
what the receiver takes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ekiden.sink.dns import DnsOptions, DnsServer
from ekiden.sink.profiles import load_profiles
from ekiden.sink.record import read_record
from ekiden.sink.server import Place, Sink, SinkOptions
from stage import Stage
from test_app_delivery import daemon, until

MANY = 160


@dataclass(frozen=True)
class Simulated(Stage):
    """One destination, which a profile of the sink plays.

    Args:
        profile: Its name.
    """

    profile: str = "generic"

    def destination(self, number: int) -> str:
        return f"{self.profile}.stage.test"

    def receivers(self, *, store: bool = False) -> Sink:
        place = Place(host="127.0.1.1", port=self.port, profile=self.profile)
        return Sink(SinkOptions(places=[place], record=self.record, tls=False))

    def dns(self) -> DnsServer:
        records: dict[str, dict[str, Sequence[str]]] = {
            self.destination(0): {"MX": ["10 mx.stage.test."]},
            "mx.stage.test": {"A": ["127.0.1.1"]},
        }
        return DnsServer(DnsOptions(records=records, host="127.0.0.1", port=self.dns_port))


@pytest.mark.parametrize("name", ["docomo", "au", "softbank", "orange"])
async def test_a_provider_of_the_sink_gets_what_it_takes(tmp_path: Path, name: str) -> None:
    profile = load_profiles()[name]
    stage = Simulated(tmp_path / "s", destinations=1, sites=1, profile=name)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage):
        stage.drop("news", [f"u{n}@{stage.destination(0)}" for n in range(MANY)])
        await until(stage.result("news").exists, 90)
    assert Counter(fate for _, fate, _ in stage.fates("news")) == {"delivered": MANY}
    lines = list(read_record(stage.record))
    assert max(line.open_peer for line in lines) <= profile.sessions
    carried = Counter(line.session for line in lines if line.accepted)
    assert max(carried.values()) <= profile.messages
    refused = [line for line in lines if line.kind == "refused"]
    if profile.resets:
        assert all(line.reply == "" for line in refused), "a reset, and no word"
    assert len(refused) <= 10, "it does not go on knocking"
