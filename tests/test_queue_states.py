"""The queue against a model in plain Python: any order of transitions leaves them equal."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace

from ekiden.lists.suppression import Reason, Suppression, Suppressions
from ekiden.queue.model import Claimed, JobState, Priority, State, WindowRequest
from ekiden.queue.queue import Queue
from ekiden.store.database import Database
from queue_world import NOW, check_books, new_job, rows, settlement

T = TypeVar("T")
PEOPLE = [f"p{n}@x{n % 3}.example" for n in range(6)]


@dataclass
class Row:
    """What the model knows of a delivery."""

    address: str
    job: int
    state: State = State.READY
    due: float = NOW
    attempts: int = 0
    doubts: int = 0
    claim: Claimed | None = None


class QueueStates(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.now = NOW
        self.lease = 0
        self.rows: dict[int, Row] = {}
        self.jobs: dict[int, JobState] = {}
        self.suppressed: set[str] = set()
        self._open()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def _open(self) -> None:
        self.db = self.run(Database.open(Path(self.folder.name) / "queue.db"))
        self.queue = Queue(self.db)

    def teardown(self) -> None:
        self.run(check_books(self.db))
        self.run(self.db.close())
        self.loop.close()
        self.folder.cleanup()

    def ready(self) -> list[int]:
        live = [id_ for id_, row in self.rows.items() if row.state is State.READY]
        return [id_ for id_ in live if self.jobs[self.rows[id_].job] is JobState.OPEN]

    def sending(self) -> list[int]:
        return [id_ for id_, row in self.rows.items() if row.state is State.SENDING]

    @precondition(lambda self: len(self.jobs) < 4)
    @rule(people=st.lists(st.sampled_from(PEOPLE), max_size=8))
    def submit(self, people: list[str]) -> None:
        job = new_job(f"job{len(self.jobs)}")
        facts = self.run(self.queue.submit_job(job, rows(*people), self.now))
        self.jobs[facts.id] = JobState.OPEN
        stored = self.run(self.queue.job_rows(facts.id, 0, 100))
        assert sorted(row.recipient for row in stored) == sorted(set(people))
        self.rows |= {row.id: Row(row.recipient, facts.id) for row in stored}

    @rule(data=st.data(), seconds=st.sampled_from([0.0, 30.0, 90.0]))
    def claim(self, data: st.DataObject, seconds: float) -> None:
        self.now += seconds
        pool = sorted(self.rows) or [1]
        wanted = data.draw(st.lists(st.sampled_from(pool), max_size=6))
        self.lease += 1
        result = self.run(self.queue.claim(wanted, self.lease, self.now))
        expected = {id_ for id_ in wanted if id_ in self.ready()}
        refused = {id_ for id_ in expected if self.rows[id_].address in self.suppressed}
        assert set(result.suppressed) == refused
        assert {item.id for item in result.claimed} == expected - refused
        for item in result.claimed:
            row = self.rows[item.id]
            row.attempts += 1
            row.state, row.claim = State.SENDING, item
            assert (item.recipient, item.attempts, item.doubts) == (
                row.address,
                row.attempts,
                row.doubts,
            )
        for id_ in refused:
            self.rows[id_].state = State.SUPPRESSED

    @precondition(lambda self: self.sending())
    @rule(
        data=st.data(),
        state=st.sampled_from([s for s in State if s is not State.SENDING]),
        later=st.sampled_from([0.0, 60.0]),
        flags=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    )
    def settle(
        self, data: st.DataObject, state: State, later: float, flags: tuple[bool, bool, bool]
    ) -> None:
        gone, in_doubt, undo = flags
        id_ = data.draw(st.sampled_from(self.sending()))
        row = self.rows[id_]
        assert row.claim is not None
        gone = gone and state is State.BOUNCED
        result = settlement(
            row.claim,
            state,
            due_at=self.now + later,
            in_doubt=in_doubt,
            undo_attempt=undo,
            suppress="hard_bounce" if gone else "",
        )
        wrong = replace(result, claimed=replace(row.claim, lease=row.claim.lease + 1000))
        assert self.run(self.queue.settle([wrong], self.now)).stale == [id_]
        assert self.run(self.queue.settle([result], self.now)).stale == []
        if self.jobs[row.job] is JobState.CANCELLED and not state.final:
            state = State.CANCELLED
        row.state, row.due, row.claim = state, self.now + later, None
        row.attempts -= undo
        row.doubts += in_doubt
        if gone:
            self.suppressed.add(row.address)

    @precondition(lambda self: self.sending())
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(self.sending()))
        row = self.rows[id_]
        assert row.claim is not None
        assert self.run(self.queue.release([row.claim], self.now)) == []
        assert self.run(self.queue.release([row.claim], self.now)) == [id_]
        cancelled = self.jobs[row.job] is JobState.CANCELLED
        row.state = State.CANCELLED if cancelled else State.READY
        row.attempts -= 1
        row.claim = None

    @rule(policy=st.sampled_from(["resend", "hold"]))
    def crash(self, policy: Any) -> None:
        """Everything that was being sent is in doubt; nothing else changes."""
        self.run(self.db.close())
        self._open()
        found = self.run(self.queue.recover(self.now, policy))
        assert {item.id for item in found} == set(self.sending())
        for item in found:
            row = self.rows[item.id]
            held = policy == "hold" or row.doubts >= 3
            row.state = State.HELD if held else State.READY
            if self.jobs[row.job] is JobState.CANCELLED:
                row.state = State.CANCELLED
            row.doubts += 1
            row.due, row.claim = self.now, None
            assert item.state is row.state

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), change=st.sampled_from(["pause", "resume", "cancel", "free", "drop"]))
    def change_job(self, data: st.DataObject, change: str) -> None:
        job = data.draw(st.sampled_from(sorted(self.jobs)))
        state = self.jobs[job]
        mine = [row for row in self.rows.values() if row.job == job]
        if change == "pause" and state is JobState.OPEN:
            self.jobs[job] = self.run(self.queue.pause_job(job)).state
        elif change == "resume" and state is JobState.PAUSED:
            self.jobs[job] = self.run(self.queue.resume_job(job)).state
        elif change == "cancel":
            self.run(self.queue.cancel_job(job, self.now))
            self.jobs[job] = JobState.CANCELLED
            for row in mine:
                row.state = State.CANCELLED if row.state in (State.READY, State.HELD) else row.state
        elif change in ("free", "drop"):
            held = [row for row in mine if row.state is State.HELD]
            free = change == "free"
            work = self.queue.free_held if free else self.queue.drop_held
            assert self.run(work(job, self.now)) == len(held)
            for row in held:
                row.state, row.due = (State.READY, self.now) if free else (State.CANCELLED, 0.0)

    @rule(address=st.sampled_from(PEOPLE), add=st.booleans())
    def suppress(self, address: str, add: bool) -> None:
        suppressions = Suppressions(self.db)
        if add:
            self.run(suppressions.add(Suppression(address, Reason.MANUAL, self.now)))
            self.suppressed.add(address)
        else:
            self.run(suppressions.remove(address.upper()))
            self.suppressed.discard(address)

    @invariant()
    def the_tables_say_the_same(self) -> None:
        for job, state in self.jobs.items():
            facts = self.run(self.queue.job(job))
            mine = {id_: row for id_, row in self.rows.items() if row.job == job}
            counts = Counter(row.state for row in mine.values())
            assert facts.state is state
            assert {s: n for s, n in facts.counts.items() if n} == dict(counts)
            stored = {row.id: row for row in self.run(self.queue.job_rows(job, 0, 100))}
            assert {id_: row.state for id_, row in stored.items()} == {
                id_: row.state for id_, row in mine.items()
            }
            assert all(stored[id_].attempts == row.attempts for id_, row in mine.items())

    @invariant()
    def what_is_due_is_found(self) -> None:
        lanes = self.run(self.queue.lanes_due(self.now, (float("-inf"), 0), 99, Priority.BULK))
        requests = [WindowRequest(lane.id) for lane in lanes]
        windows = self.run(self.queue.windows(requests, self.now))
        found = {item.id for items in windows.values() for item in items}
        assert found == {id_ for id_ in self.ready() if self.rows[id_].due <= self.now}


TestQueueStates = QueueStates.TestCase
TestQueueStates.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
