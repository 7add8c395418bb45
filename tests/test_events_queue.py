"""The exporter on a real queue: every step has its line, and folding waits for it."""

import json
from pathlib import Path

from ekiden.events.exporter import Exporter, ExporterOptions
from ekiden.events.log import EventLog, LogOptions
from ekiden.queue.model import State
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from queue_world import NOW, claim_all, opened, settlement

LATER = NOW + 100 * 86_400.0


async def test_a_delivery_from_acceptance_to_folding(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "q.db")
    log = EventLog.open(LogOptions(directory=tmp_path / "events", clock=lambda: NOW))
    queue = Queue(db)
    exporter = Exporter(queue, log, ExporterOptions(batch=2))
    try:
        job_id = await opened(queue, "a@x.test", "b@x.test", "c@y.test")
        await exporter.drain()
        first = await claim_all(queue)
        await queue.settle(
            [
                settlement(one, State.READY, due_at=NOW + 5)
                if one.recipient == "b@x.test"
                else settlement(one)
                for one in first
            ],
            NOW,
        )
        await queue.settle([settlement(one) for one in await claim_all(queue, NOW + 5)], NOW + 5)
        await queue.mark_done(job_id, NOW + 6)
        assert await queue.fold(LATER, 0.0) == 0  # the log has not seen the attempts yet
        await exporter.drain()
        lines = [json.loads(line) for line in log.path.read_bytes().splitlines()]
        while await queue.fold(LATER, 0.0):
            pass
        assert await queue.attempts_after(0, 10) == []
    finally:
        log.close()
        await db.close()
    assert [line["type"] for line in lines[:3]] == ["accepted"] * 3
    fates = {
        name: [one["type"] for one in lines[3:] if one["recipient"] == name]
        for name in ("a@x.test", "b@x.test", "c@y.test")
    }
    assert fates == {
        "a@x.test": ["delivered"],
        "b@x.test": ["deferred", "delivered"],
        "c@y.test": ["delivered"],
    }
    assert all(line["job_uid"] == "job" for line in lines)
