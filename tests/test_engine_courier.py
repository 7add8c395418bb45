"""How a courier ends: what is on the wire is concluded, what is in its hand goes back untried."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

from ekiden.engine.composer import Composed
from ekiden.engine.courier import Courier
from ekiden.engine.resolver import MxHost
from ekiden.engine.schedule.facts import Answer, Finish, Idle, Item, Open, Take
from ekiden.engine.session import Session
from ekiden.queue.model import Claimed
from ekiden.smtp.ehlo import Extensions
from ekiden.smtp.outcome import Accepted, Broke, Outcome
from ekiden.smtp.reply import Reply
from ekiden.smtp.transaction import Transaction

NOW = 1_800_000_000.0
OK = Accepted(Reply(250, "2.0.0 ok"))


class FakeWire:
    """A wire whose receiver answers when the test says so."""

    def __init__(self) -> None:
        self.open = True
        self.farewell: Reply | None = None
        self.owed: asyncio.Future[Outcome] | None = None
        self.begun = asyncio.Event()
        self.quits = 0

    def run(
        self,
        _transaction: Transaction,
        outcome: asyncio.Future[Outcome],
        _last_octet: Callable[[], None],
    ) -> None:
        self.owed = outcome
        self.begun.set()

    async def answer(self) -> None:
        """Take the message on the wire, as soon as there is one."""
        await self.begun.wait()
        self.begun.clear()
        assert self.owed is not None
        self.owed.set_result(OK)

    def quit(self, ended: asyncio.Future[None]) -> None:
        self.quits += 1
        ended.set_result(None)

    def abort(self) -> None:
        self.open = False


class FakeConclusions:
    def conclude(self, claimed: Claimed, outcome: Outcome, *_: object, **__: object) -> object:
        return claimed.id, outcome


class FakeDesk:
    """An engine with so many deliveries for one session, which says afterwards what it heard."""

    def __init__(self, deliveries: int, *, then: Answer) -> None:
        self.waiting = [Item(n, 1, 1, "x.test", NOW) for n in range(2, deliveries + 1)]
        self.then = then
        self.conclusions = cast("Any", FakeConclusions())
        self.sent: list[int] = []
        self.released: list[int] = []
        self.given_back: list[int] = []
        self.ended: list[str] = []

    def now(self) -> float:
        return NOW

    def take(self, _session_id: int, most: int) -> Answer:
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        return Take(tuple(taken)) if taken else self.then

    def opened(self, _session_id: int) -> None:
        pass

    def failed(self, *_: object) -> None:
        self.ended.append("failed")

    def closed(self, _session_id: int) -> None:
        self.ended.append("closed")

    def concluded(self, _session_id: int, concluded: object) -> None:
        self.sent.append(cast("tuple[int, Outcome]", concluded)[0])

    def handing_over(self, _claimed: Claimed) -> None:
        pass

    def returned(self, items: Sequence[Item]) -> None:
        self.given_back += [item.id for item in items]

    def claim(
        self, _session_id: int, items: Sequence[Item], given: Callable[[Sequence[Claimed]], None]
    ) -> None:
        leased = [
            Claimed(item.id, 1, 1, f"a{item.id}@x.test", "x.test", b"{}", 1, 1, 0, 7)
            for item in items
        ]
        asyncio.get_running_loop().call_soon(given, leased)

    async def release(self, claims: Sequence[Claimed]) -> None:
        self.released += [claimed.id for claimed in claims]

    def compose(self, claimed: Claimed, **_: object) -> "asyncio.Future[Any]":
        made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        made.set_result(Composed("a@b.test", b"x: %d\r\n\r\n" % claimed.id, 9, False, False))
        return made

    def size_limit(self, _destination: str) -> int | None:
        return None

    def objection(self, *_: object) -> Broke | None:
        return None


def courier(desk: FakeDesk, dial: Callable[[MxHost], Any], *, lookahead: int = 8) -> Courier:
    order = Open(1, "192.0.2.1", "site", "x.test", (Item(1, 1, 1, "x.test", NOW),))
    return Courier(cast("Any", desk), order, [MxHost(10, "mx.x.test")], dial, lookahead=lookahead)


def reaching(wire: FakeWire) -> Callable[[MxHost], Any]:
    async def dial(host: MxHost) -> Session:
        return Session(wire, Extensions(), host=host.name)

    return dial


class SlowDesk(FakeDesk):
    """Its queue leases when it is told to, and it says how many it was asked for at once."""

    def __init__(self, deliveries: int, *, then: Answer) -> None:
        super().__init__(deliveries, then=then)
        self.asked: list[int] = []
        self.owed: list[Callable[[], None]] = []

    def claim(
        self, session_id: int, items: Sequence[Item], given: Callable[[Sequence[Claimed]], None]
    ) -> None:
        self.asked.append(len(items))
        self.owed.append(lambda: FakeDesk.claim(self, session_id, items, given))

    def lease(self) -> None:
        while self.owed:
            self.owed.pop()()


async def carried(desk: SlowDesk, *, ahead_of_disk: int) -> None:
    """Have all deliveries sent, `ahead_of_disk` of them while each claim is on its way."""
    wire = FakeWire()
    running = asyncio.create_task(courier(desk, reaching(wire)).run())
    patience = ahead_of_disk
    while not running.done():
        for _ in range(20):
            await asyncio.sleep(0)
        if wire.begun.is_set() and (patience or not desk.owed):
            patience -= bool(desk.owed)
            await wire.answer()
        else:
            desk.lease()
            patience = ahead_of_disk
    await running


async def test_where_the_receiver_is_faster_than_the_disk_more_is_claimed_ahead() -> None:
    desk = SlowDesk(400, then=Finish("no work"))
    await carried(desk, ahead_of_disk=1000)
    assert desk.sent == list(range(1, 401))
    assert desk.asked[:2] == [1, 8]  # as before: nothing is known of the receiver yet
    assert max(desk.asked) > 12
    assert max(desk.asked) <= 4 * 8 + 1
    assert len(desk.asked) < 30  # 80 with five at a time


async def test_a_slow_receiver_is_given_no_more_than_the_lookahead() -> None:
    desk = SlowDesk(200, then=Finish("no work"))
    await carried(desk, ahead_of_disk=1)
    assert desk.sent == list(range(1, 201))
    assert max(desk.asked) <= 8


async def test_a_receiver_that_grows_slow_is_given_less_again() -> None:
    desk = SlowDesk(400, then=Finish("no work"))
    wire = FakeWire()
    quick = courier(desk, reaching(wire))
    running = asyncio.create_task(quick.run())
    while len(desk.sent) < 200 or desk.owed:
        for _ in range(20):
            await asyncio.sleep(0)
        if wire.begun.is_set():
            await wire.answer()
        else:
            desk.lease()
    asked = len(desk.asked)
    assert desk.asked[asked - 1] > 12
    while not running.done():
        for _ in range(20):
            await asyncio.sleep(0)
        desk.lease()
        for _ in range(20):
            await asyncio.sleep(0)
        if wire.begun.is_set():
            await wire.answer()
    assert max(desk.asked[asked + 2 :]) <= 8
    assert desk.sent == list(range(1, 401))


async def test_told_to_end_it_concludes_what_is_on_the_wire_and_gives_the_rest_back() -> None:
    # Nine messages at a receiver that takes seconds for each are more than a drain waits for.
    desk, wire = FakeDesk(9, then=Idle(NOW, "")), FakeWire()
    one = courier(desk, reaching(wire))
    running = asyncio.create_task(one.run())
    await wire.begun.wait()
    await asyncio.sleep(0.01)  # the others are in its hand
    one.end()
    await wire.answer()
    async with asyncio.timeout(5):
        await running
    assert desk.sent == [1]
    assert desk.released == desk.given_back == list(range(2, 10))
    assert desk.ended == ["closed"]
    assert wire.quits == 1


async def test_what_the_scheduler_finishes_is_carried_to_the_last_one_in_the_hand() -> None:
    desk, wire = FakeDesk(5, then=Finish("")), FakeWire()
    running = asyncio.create_task(courier(desk, reaching(wire)).run())
    for _ in range(5):
        await wire.answer()
    async with asyncio.timeout(5):
        await running
    assert desk.sent == [1, 2, 3, 4, 5]
    assert desk.released == []


async def test_told_to_end_while_it_dials_it_gives_everything_back_at_once() -> None:
    # A greeting may take five minutes, and a host that is down half of one.
    dialling, dropped = asyncio.Event(), asyncio.Event()

    async def dial(_host: MxHost) -> Session:
        dialling.set()
        try:
            await asyncio.Event().wait()
        finally:
            dropped.set()
        raise AssertionError

    desk = FakeDesk(1, then=Idle(NOW, ""))
    one = courier(desk, dial)
    running = asyncio.create_task(one.run())
    await dialling.wait()
    one.end()
    async with asyncio.timeout(5):
        await asyncio.wait([running])
    assert dropped.is_set()
    assert desk.sent == []
    assert desk.released == desk.given_back == [1]
    assert desk.ended == ["closed"]


async def test_told_to_end_before_it_dials_it_does_not() -> None:
    async def dial(_host: MxHost) -> Session:
        raise AssertionError("nothing is to be sent any more")

    desk = FakeDesk(1, then=Idle(NOW, ""))
    one = courier(desk, dial)
    one.end()
    async with asyncio.timeout(5):
        await one.run()
    assert desk.released == [1]
    assert desk.ended == ["closed"]
