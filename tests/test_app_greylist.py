"""Greylisting, by a receiver that remembers (address, sender, recipient) and lets the triplet wait.

The sink keys its greylist by all three (`sink/conversation.py`), so a retry from another source, or
with another return path, would be a first try again.
"""

from collections import defaultdict
from pathlib import Path

from ekiden.sink.record import Line
from stage import Stage
from test_app_delivery import daemon, until

DELAY = 3.0  # seconds: `sink.Timing.greylist`, which the reply states
SOURCES = """
[[source]]
name = "a1"
address = "127.0.0.2"
ehlo = "a1.stage.example"
[[source]]
name = "a2"
address = "127.0.0.3"
ehlo = "a2.stage.example"
[[pool]]
name = "news"
sources = ["a1", "a2"]
default = true
"""


async def test_a_retry_comes_from_the_same_source_after_the_stated_delay(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=12, sites=12, extra=SOURCES)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("news", [f"greylist@d{n}.example" for n in range(12)])
        await until(stage.result("news").exists, 30)
        records = await app.queue.attempts_after(0, 100)
    assert {fate for _, fate, _ in stage.fates("news")} == {"delivered"}
    tries: dict[str, list[Line]] = defaultdict(list)
    for line in stage.transactions():
        tries[line.recipient].append(line)
    assert len(tries) == 12
    for first, second in tries.values():  # no third: the schedule of one second was put aside
        assert first.reply.startswith("450 ")
        assert second.accepted
        assert second.time - first.time >= DELAY
        assert second.peer.rpartition(":")[0] == first.peer.rpartition(":")[0]
        assert second.sender == first.sender
    assert len({lines[0].peer.rpartition(":")[0] for lines in tries.values()}) == 2, "both are used"
    classes = [one.attempt.klass for one in records if one.attempt and one.attempt.code == 450]
    assert classes == ["greylisted"] * 12


async def test_at_one_site_each_keeps_to_its_own_source_over_a_restart(tmp_path: Path) -> None:
    """Both sources send to the same receiver; who was greylisted from one comes from that one."""
    stage = Stage(tmp_path / "s", destinations=1, sites=1, extra=SOURCES)
    stage.write()
    people = [f"greylist+{n}@d0.example" for n in range(60)]
    async with stage.receivers(), stage.dns():
        async with daemon(stage):
            stage.drop("news", people)
            await until(lambda: sum(1 for _ in stage.transactions()) >= len(people), 30)
        # The other source comes first from now on, so the order of things says nothing.
        swapped = SOURCES.replace("a1", "a0").replace("a2", "a1").replace("a0", "a2")
        swapped = swapped.replace("127.0.0.2", "x").replace("127.0.0.3", "127.0.0.2")
        stage.config.write_text(
            stage.config.read_text().replace(SOURCES, swapped.replace("x", "127.0.0.3"))
        )
        async with daemon(stage):
            await until(stage.result("news").exists, 60)
    assert {fate for _, fate, _ in stage.fates("news")} == {"delivered"}
    tries: dict[str, list[Line]] = defaultdict(list)
    for line in stage.transactions():
        tries[line.recipient].append(line)
    froms = {who: [one.peer.rpartition(":")[0] for one in lines] for who, lines in tries.items()}
    assert {len(set(addresses)) for addresses in froms.values()} == {1}
    assert len({addresses[0] for addresses in froms.values()}) == 2, "both are used"
