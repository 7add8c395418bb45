"""Receivers that enforce limits, for the scheduler on a clock that jumps: what they say and when.

A `Regime` is one receiver: it counts what reaches it and answers as the provider it plays does,
in its words. The reply goes the way every reply goes: `Classifier`, `lesson`, the scheduler. So
what is measured is the whole of the engine's judgement, at the speed of a simulation.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ekiden.bounce.classify import Classifier
from ekiden.bounce.model import ReplyContext, Verdict
from ekiden.engine.decide import lesson
from ekiden.engine.schedule.facts import SchedulerOptions, SiteFacts
from ekiden.shaping.window import Lesson
from ekiden.smtp.outcome import Accepted, Broke, Cause, Outcome, Rejected, Stage
from ekiden.smtp.reply import Reply
from scheduler_world import Line, Receiver, World

OK = Accepted(Reply(250, "2.0.0 Ok"))


@dataclass
class Regime:
    """What a receiver allows, and what it says to those who want more.

    Args:
        sessions: At once; more are greeted with `full`.
        per_session: Messages on one connection; the next is answered with `enough`, and the end.
        rates: (messages, seconds): at most so many in any such span; more get `slower`.
        refuse: Whether what is too much is refused by TCP instead of in words.
        dial: Seconds to connect.
        send: Seconds for a message.
        hang_up: Whether `slower` ends the session.
        fixed: Whether rates are counted by the minute of the clock, not over any minute.
    """

    sessions: int = 1_000
    per_session: int = 1_000_000
    rates: tuple[tuple[int, float], ...] = ()
    refuse: bool = False
    dial: float = 0.2
    send: float = 0.1
    hang_up: bool = False
    fixed: bool = False
    full: str = "421 4.7.0 too many concurrent SMTP connections from this IP address"
    enough: str = "421 4.7.0 Too many messages for this session"
    slower: str = "451 4.7.1 Too many messages from your IP address, slow down and try again later"
    now_open: int = 0
    taken: list[float] = field(default_factory=list)
    no: Counter[str] = field(default_factory=Counter)
    seen: dict[float, deque[float]] = field(default_factory=dict)

    def greet(self) -> Outcome:
        """Return what a connection is met with."""
        if self.now_open < self.sessions:
            return OK
        self.no["greeting"] += 1
        if self.refuse:
            return Broke(Stage.CONNECT, Cause.RESET, "connection reset by peer")
        return Rejected(Stage.CONNECT, _reply(self.full))

    def transact(self, now: float, carried: int) -> tuple[Outcome, bool]:
        """Return what a message is answered with, and whether the session is over."""
        if carried >= self.per_session:
            self.no["session"] += 1
            if not self.enough:
                return Broke(Stage.MAIL, Cause.CLOSED, "connection closed"), True
            return Rejected(Stage.MAIL, _reply(self.enough)), True
        for limit, seconds in self.rates:
            seen = self.seen.setdefault(seconds, deque())
            since = now // seconds * seconds - 1e-9 if self.fixed else now - seconds
            while seen and seen[0] <= since:
                seen.popleft()
            if len(seen) >= limit:
                self.no["rate"] += 1
                return Rejected(Stage.MAIL, _reply(self.slower)), self.hang_up
        for seen in self.seen.values():
            seen.append(now)
        self.taken.append(now)
        return OK, False

    def taken_between(self, start: float, end: float) -> int:
        """Return how many messages it took."""
        return sum(start <= at < end for at in self.taken)


def _reply(line: str) -> Reply:
    return Reply(int(line[:3]), line[4:])


Observer = Callable[["LimitedWorld", Line, Outcome, Verdict | None, float], None]


@dataclass
class LimitedWorld(World):
    """A world whose receivers are regimes, by site."""

    regimes: dict[str, Regime] = field(default_factory=dict)
    provider: str = ""
    retry: float = 60.0
    steps_max: int = 100_000_000
    check: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.classifier = Classifier.load()
        self.keep_log = False
        self.observers: list[Observer] = []
        self.transactions = Counter[str]()
        self.counted: set[int] = set()

    def regime(self, site: str) -> Regime:
        return self.regimes[site]

    def _judge(self, line: Line, outcome: Outcome) -> tuple[Lesson, Verdict | None]:
        verdict = None
        if isinstance(outcome, Rejected):
            reply = outcome.reply
            verdict = self.classifier.classify(
                ReplyContext(
                    f"{reply.code} {reply.text}",
                    stage=outcome.stage,
                    mx=line.site,
                    destination=line.items[0].destination if line.items else "",
                )
            )
        for one in self.observers:
            one(self, line, outcome, verdict, self.now)
        return lesson(outcome, verdict), verdict

    def dialled(self, line: Line, receiver: Receiver) -> None:
        regime = self.regime(line.site)
        outcome = regime.greet()
        if isinstance(outcome, Accepted):
            regime.now_open += 1
            self.counted.add(line.id)
            super().dialled(line, receiver)
            return
        taught, verdict = self._judge(line, outcome)
        self.transactions["refused sessions"] += 1
        # The first delivery was tried, and waits; as the courier concludes it.
        for item in line.items:
            self.out.discard(item.id)
            self.rows[item.lane_id][item.id] = self.now + self.retry
            if item.lane_id not in self.due:
                self.schedule_offer(item.lane_id, self.now + self.retry)
            self.scheduler.settled(0, item.id, Lesson.NONE, self.now)
        line.items.clear()
        self.gone(line)
        after = verdict.retry_after if verdict else None
        self.scheduler.session_failed(line.id, taught, _words(outcome), self.now, after)

    def sent(self, line: Line, receiver: Receiver) -> None:
        if line.over:
            return
        item = line.items[0]
        outcome, over = self.regime(line.site).transact(self.now, line.sent)
        line.sent += 1
        good = isinstance(outcome, Accepted)
        self.transactions["taken" if good else "refused"] += 1
        taught, after, reason = Lesson.GOOD, None, ""
        if not good:
            taught, verdict = self._judge(line, outcome)
            after, reason = verdict.retry_after if verdict else None, _words(outcome)
        line.items.pop(0)
        self.out.discard(item.id)
        if good:
            self.done.add(item.id)
            self.delivered[item.destination] += 1
        else:
            self.rows[item.lane_id][item.id] = self.now + self.retry
            if item.lane_id not in self.due:
                self.schedule_offer(item.lane_id, self.now + self.retry)
        self.scheduler.settled(line.id, item.id, taught, self.now, retry_after=after, reason=reason)
        if over:
            self.give_back(line)
            self.gone(line)
            self.scheduler.session_closed(line.id, self.now)
        else:
            self.next(line)

    def gone(self, line: Line) -> None:
        if line.id in self.counted:
            self.counted.discard(line.id)
            self.regime(line.site).now_open -= 1
        super().gone(line)

    @property
    def refusals(self) -> int:
        """How many transactions and greetings were answered with a 4xx."""
        return self.transactions["refused"] + self.transactions["refused sessions"]

    @property
    def refused_share(self) -> float:
        """The share of transactions and greetings that were answered with a 4xx."""
        return self.refusals / max(1, self.refusals + self.transactions["taken"])


def _words(outcome: Outcome) -> str:
    return str(outcome.reply) if isinstance(outcome, Rejected) else str(outcome)


def world_of(
    regimes: dict[str, Regime],
    options: SchedulerOptions | None = None,
    facts: Callable[[str], SiteFacts] | None = None,
) -> LimitedWorld:
    """Return a world in which each destination `d` is served by the site `d` and its regime."""
    return LimitedWorld(
        options=options or SchedulerOptions(),
        site_of=facts or SiteFacts,
        receiver_of=lambda site: Receiver(regimes[site].dial, regimes[site].send),
        regimes=regimes,
    )


__all__ = ["LimitedWorld", "Regime", "replace", "world_of"]
