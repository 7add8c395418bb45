"""What a receiver is known not to take is bounced without a connection to it."""

import json
from pathlib import Path

from ekiden.sink.record import read_record
from stage import Stage
from test_app_delivery import daemon, until

LIMITED = """
[provider.small]
destinations = ["d0.example"]
size = 20000
"""


async def test_a_message_over_the_limit_is_bounced_without_dialling(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=2, sites=2, extra=LIMITED)
    stage.write()
    page = f"<html><body><p>{'long ' * 6_000}</p></body></html>"
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("big", [f"a{n}@d{n % 2}.example" for n in range(6)], page=page)
        await until(stage.result("big").exists)
        fates = {recipient: fate for recipient, fate, _ in stage.fates("big")}
        assert {fate for to, fate in fates.items() if to.endswith("@d0.example")} == {"bounced"}
        assert {fate for to, fate in fates.items() if to.endswith("@d1.example")} == {"delivered"}
        met = {line.local.partition(":")[0] for line in read_record(stage.record)}
        assert met == {"127.0.1.2"}, "nobody was called"
        assert await app.base.suppressions.list() == []
        stage.drop("fits", ["b@d0.example"])
        await until(stage.result("fits").exists)
        assert [fate for _, fate, _ in stage.fates("fits")] == ["delivered"]
    lines = [
        json.loads(line)
        for path in (stage.directory / "events").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    (reason, *_) = [line["reply"] for line in lines if line["type"] == "bounced"]
    assert "d0.example takes 20,000: send a smaller one" in reason
