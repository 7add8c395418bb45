"""Receivers with hidden limits, and what the engine makes of them; for a test and for the bench."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from ekiden.engine.schedule.facts import SchedulerOptions
from ekiden.shaping.caps import Caps
from limited_world import LimitedWorld, Regime, world_of
from scheduler_world import START, job

OPTIONS = SchedulerOptions(caps=Caps(sessions=500))
YAHOO_JP = "421 4.3.2 Too many connections from your host, try again later"
ENOUGH = "421 4.7.0 Too many messages from your host, slow down"


@dataclass(frozen=True)
class Case:
    """A receiver and its limit in messages per second."""

    name: str
    limit: float
    make: Callable[[int], Regime]  # by a factor on its limits


def _sessions(number: int, **more: object) -> Callable[[int], Regime]:
    return lambda factor: Regime(sessions=number * factor, **more)  # type: ignore[arg-type]  # kept short


def _rate(messages: int, seconds: float, **more: object) -> Callable[[int], Regime]:
    return lambda factor: Regime(rates=((messages * factor, seconds),), **more)  # type: ignore[arg-type]  # likewise


CASES = (
    Case("5 sessions (Gmail, Outlook)", 50.0, _sessions(5)),
    Case("2 sessions (Yahoo! JAPAN)", 20.0, _sessions(2, full=YAHOO_JP)),
    Case("20 sessions", 200.0, _sessions(20)),
    Case("3 sessions, more are reset (au)", 30.0, _sessions(3, refuse=True)),
    Case("4 sessions of 10 messages (J:COM)", 4 * 10 / 1.21, _sessions(4, per_session=10)),
    Case("2 a second", 2.0, _rate(2, 1.0)),
    Case("10 a second", 10.0, _rate(10, 1.0)),
    Case("10 a second, a second for each", 10.0, _rate(10, 1.0, send=1.0)),
    Case("100 a second", 100.0, _rate(100, 1.0)),
    Case("20 a second, 421 and the end", 20.0, _rate(20, 1.0, hang_up=True, slower=ENOUGH)),
    Case("300 a minute", 5.0, _rate(300, 60.0)),
    Case("60 a minute", 1.0, _rate(60, 60.0)),
)


QUOTAS = (
    Case("1,000 an hour", 1_000 / 3_600, _rate(1_000, 3_600.0)),
    Case("1,000 an hour by the clock", 1_000 / 3_600, _rate(1_000, 3_600.0, fixed=True)),
    Case("5,000 an hour by the clock", 5_000 / 3_600, _rate(5_000, 3_600.0, fixed=True)),
)


SMALL_QUOTAS = (
    Case("500 an hour", 500 / 3_600, _rate(500, 3_600.0)),
    Case("200 an hour by the clock", 200 / 3_600, _rate(200, 3_600.0, fixed=True)),
    Case("200 an hour", 200 / 3_600, _rate(200, 3_600.0)),
)


def random_case(seed: int) -> Case:
    """Return a receiver that nobody has thought of: every limit drawn from `seed`."""
    draw = random.Random(seed)
    seconds = draw.choice((1.0, 1.0, 60.0))
    rate = math.exp(draw.uniform(math.log(0.5), math.log(40.0)))
    messages = max(1, round(rate * seconds))
    sessions = draw.choice((1, 2, 3, 5, 10, 20, 1_000))
    each = draw.choice((5, 10, 20, 50, 100, 1_000_000))
    send, dial = draw.uniform(0.05, 0.8), draw.uniform(0.05, 0.5)
    more: dict[str, object] = {
        "per_session": each,
        "send": send,
        "dial": dial,
        "hang_up": draw.random() < 0.3,
        "fixed": draw.random() < 0.4,
    }
    by_sessions = sessions * each / (dial + each * send + 0.01)
    name = (
        f"#{seed}: {messages}/{seconds:g} s{' by the clock' if more['fixed'] else ''}, "
        f"{sessions} sessions of {each}, {send:.2f} s each{', hangs up' if more['hang_up'] else ''}"
    )
    return Case(
        name,
        min(messages / seconds, by_sessions),
        lambda factor: Regime(
            sessions=sessions * factor,
            rates=((messages * factor, seconds),),
            **more,  # type: ignore[arg-type]  # kept short
        ),
    )


@dataclass(frozen=True)
class Figures:
    """What came of a case.

    Args:
        limit: Messages per second.
        used: The share of it that was used in the second half.
        refused: The share of transactions and greetings that were 4xx, of the whole.
    """

    limit: float
    used: float
    refused: float


def _world(regime: Regime, messages: float) -> LimitedWorld:
    world = world_of({"mx.example": regime}, OPTIONS)
    world.add(job(1), {"mx.example": int(messages)})
    return world


def measure(case: Case, hours: float) -> Figures:
    """Send for some hours without an end of mail."""
    regime = case.make(1)
    span = hours * 3_600.0
    world = _world(regime, case.limit * span * 1.1 + 1_000)
    world.run(span)
    used = regime.taken_between(START + span / 2, START + span) / (span / 2)
    return Figures(case.limit, used / case.limit, world.refused_share)


def by_the_hour(case: Case, hours: int) -> list[Figures]:
    """Return what came of each hour: of a quota, not of a pace."""
    regime, found = case.make(1), []
    world = _world(regime, case.limit * 3_600 * (hours + 2))
    for _ in range(hours):
        taken, refused = len(regime.taken), world.refusals
        world.run(3_600.0)
        taken, refused = len(regime.taken) - taken, world.refusals - refused
        used = taken / (case.limit * 3_600)
        found.append(Figures(case.limit, used, refused / max(1, taken + refused)))
    return found


def recovery(case: Case) -> float:
    """Return the minutes until 90 % of a limit that doubled after half an hour are used."""
    regime = case.make(1)
    world = _world(regime, case.limit * 3_600 * 3)
    world.run(1_800.0)
    doubled = case.make(2)
    regime.sessions, regime.rates = doubled.sessions, doubled.rates
    for minute in range(1, 61):
        world.run(60.0)
        if regime.taken_between(world.now - 60, world.now) >= 0.9 * 60 * 2 * case.limit:
            return float(minute)
    return float("inf")


def full_speed_after(sessions: int = 20) -> float:
    """Return the seconds until a receiver that never throttles gets all it is allowed."""
    facts = replace(world_of({}).site_of("mx.example"), site_caps=Caps(sessions=sessions))
    world = world_of({"mx.example": Regime()}, OPTIONS, lambda _: facts)
    world.add(job(1), {"mx.example": 100_000})
    for second in range(1, 600):
        world.run(1.0)
        if world.sessions["mx.example"] >= sessions:
            return float(second)
    return float("inf")


def _together(bad: Regime | None) -> float:
    """Return what four good sites take in five minutes beside a fifth, per second."""
    good = {f"good{n}.example": Regime(send=0.5) for n in range(4)}
    regimes = {**good, **({} if bad is None else {"bad.example": bad})}
    world = world_of(regimes, SchedulerOptions(caps=Caps(sessions=25)))
    counts = dict.fromkeys(good, 20_000)
    if bad is not None:
        counts["bad.example"] = 60_000
    world.add(job(1), counts)
    world.run(300.0)
    return sum(len(regime.taken) for regime in good.values()) / 300.0


def neighbours() -> dict[str, float]:
    """Return the share of its rate that each world keeps when one receiver is hostile or dead."""
    alone = _together(None)
    return {
        "a dead receiver (30 s to time out)": _together(Regime(sessions=0, dial=30.0)) / alone,
        "a tar pit (60 s for a message)": _together(Regime(send=60.0)) / alone,
        "one that answers 451 to all": _together(Regime(rates=((1, 1e9),))) / alone,
        "one that cuts every session": _together(Regime(per_session=0)) / alone,
        "one that resets every connection": _together(Regime(sessions=0, refuse=True)) / alone,
    }
