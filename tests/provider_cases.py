"""Every shipped profile as a receiver of its own, on a virtual clock; for a test and for the bench.

A receiver answers in its provider's words and enforces limits of its own, which the engine is not
told: as in the profile, half of it, twice as much, or a rate that nobody published. The engine is
given the profile (caps and reactions), as the daemon gives it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from adaptation_cases import OPTIONS
from ekiden.bounce.model import Verdict
from ekiden.engine.schedule.facts import SiteFacts
from ekiden.shaping.layers import effective
from ekiden.shaping.providers import Provider, Providers
from ekiden.shaping.reactions import Reaction, Reactions, Seen
from ekiden.smtp.outcome import Broke, Outcome, Rejected
from limited_world import LimitedWorld, Regime, world_of
from scheduler_world import START, Line, Receiver, job

DIAL: Final = 0.3  # seconds to open a session
SEND: Final = 0.25  # seconds for a message
SHARE: Final = 0.5  # of what the profile's sessions can carry: the rate that nobody published
LAPSES: Final = 10.0  # seconds between two looks at reactions that are over
PROFILES: Final = Providers.load()

BUSY = "421 4.3.2 Too many concurrent connections from your host, try again later"
ENOUGH = "421 4.7.0 Too many messages in this session, closing connection"
SLOWER = "451 4.7.1 Too many messages from your IP address, slow down and try again later"
GONE = "421 Service not available, closing transmission channel"


@dataclass(frozen=True)
class Words:
    """What a provider says.

    Args:
        name: Its profile.
        destination: A domain of its own.
        mx: One of its hosts.
        full: To one session more than it takes.
        enough: To one message more in a session; None for closing without a word.
        slower: To more than its rate.
        resets: Whether it refuses by TCP reset instead.
        rests: Seconds for which its words ask for nothing at all; 0 where they only ask for less.
    """

    name: str
    destination: str
    mx: str
    full: str = BUSY
    enough: str | None = ENOUGH
    slower: str = SLOWER
    resets: bool = False
    rests: float = 0.0


WORDS: Final = (
    Words(
        "gmail",
        "gmail.com",
        "gmail-smtp-in.l.google.com",
        full="421 4.7.0 Try again later, closing connection. (EHLO) a1-20020a17090a.12 - gsmtp",
        slower="421 4.7.28 Gmail has detected an unusual rate of mail originating from your IP "
        "address. To protect our users from spam, mail sent from your IP address has been "
        "temporarily rate limited.",
    ),
    Words(
        "outlook",
        "outlook.com",
        "outlook-com.olc.protection.outlook.com",
        full="451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of "
        "connections. (S3115)",
        slower="421 RP-001 Unfortunately, some messages from 192.0.2.1 weren't sent. The mail "
        "server IP connecting to Outlook.com server has exceeded the rate limit allowed. (RP-001)",
    ),
    Words(
        "microsoft365",
        "contoso.example",
        "contoso-example.mail.protection.outlook.com",
        full="451 4.7.652 The mail server [192.0.2.1] has exceeded the maximum number of "
        "connections. (S3115)",
        slower="451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)",
    ),
    Words(
        "yahoo",
        "yahoo.com",
        "mta5.am0.yahoodns.net",
        full="451 mta5.am0.yahoodns.net Resources temporarily unavailable. Please try again later "
        "[#4.16.1].",
        enough=None,
        slower="421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected "
        "volume or user complaints - 4.16.55.1; see https://postmaster.yahooinc.com/error-codes",
        rests=7_200.0,
    ),
    Words(
        "icloud",
        "icloud.com",
        "mx01.mail.icloud.com",
        slower="421 4.7.1 Messages to a@icloud.com deferred due to excessive volume. Try again "
        "later - https://support.apple.com/en-us/HT204137",
    ),
    Words(
        "comcast",
        "comcast.net",
        "mx1.comcast.net",
        slower="421 4.1.0 192.0.2.1 Throttled - try again later. Please see "
        "http://postmaster.comcast.net/mail-error-codes.php#RL0000",
    ),
    Words("gmx", "gmx.de", "mx00.gmx.net"),
    Words(
        "orange",
        "orange.fr",
        "smtp-in.orange.fr",
        full="421 mwinf5c04 ME Trop de connexions, veuillez verifier votre configuration. Too many "
        "connections, slow down. OFR004_104 [104]",
    ),
    Words(
        "sfr",
        "sfr.fr",
        "smtp-in.sfr.fr",
        slower="450 4.7.1 Client host rejected: Service refused due to bad behavior. SFR_IN_105",
        rests=7_200.0,
    ),
    Words(
        "laposte",
        "laposte.net",
        "smtpz4.laposte.net",
        slower="450 4.7.1 <192.0.2.1>: Client host rejected: Service refuse. Veuillez essayer plus "
        "tard. service refused, please try later. LPN027_503",
    ),
    Words("free", "free.fr", "mx1.free.fr"),
    Words("tonline", "t-online.de", "mx00.t-online.de"),
    Words("kpn", "kpnmail.nl", "mx.kpnmail.nl"),
    Words(
        "yahoo-jp",
        "yahoo.co.jp",
        "mx1.mail.yahoo.co.jp",
        enough="421 Max message per connection reached, closing transmission channel",
        slower="421 [IPTS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume "
        "or user complaints",
        rests=3_600.0,
    ),
    Words("docomo", "docomo.ne.jp", "mfsmax.docomo.ne.jp", full=GONE, enough=GONE, slower=GONE),
    Words("au", "au.com", "msmx.au.com", enough=GONE, resets=True, rests=1_800.0),
    Words("softbank", "softbank.ne.jp", "mx.softbank.ne.jp"),
    Words("rakuten-mobile", "rakumail.jp", "mx1.gslb.rmb-ss.jp"),
    Words("ocn", "ocn.ne.jp", "mx.ocn.ad.jp"),
    Words("nifty", "nifty.com", "mx.nifty.com"),
    Words("biglobe", "biglobe.ne.jp", "mx.biglobe.ne.jp"),
    Words("so-net", "so-net.ne.jp", "mx.so-net.ne.jp"),
    Words(
        "jcom",
        "jcom.home.ne.jp",
        "mx.jcom.home.ne.jp",
        enough="421 #4.x.2 Too many messages for this session",
    ),
    Words("qq-tencent", "qq.com", "mx3.qq.com"),
    Words("netease", "163.com", "163mx01.mxmail.netease.com"),
    Words("mimecast", "company.example", "eu-smtp-inbound-1.mimecast.com"),
    Words("proofpoint", "company.example", "mxa-0012ab01.gslb.pphosted.com"),
    Words("barracuda", "company.example", "d1234a.ess.barracudanetworks.com"),
    Words("ironport", "company.example", "mx1.hc123-4.eu.iphmx.com"),
)


@dataclass(frozen=True)
class Limits:
    """What a receiver enforces: sessions, messages in each, messages per second (0: any)."""

    sessions: int
    each: int
    rate: float = 0.0

    def __str__(self) -> str:
        rate = f", {self.rate:.3g}/s" if self.rate else ""
        return f"{self.sessions} x {self.each}{rate}"

    def times(self, factor: float) -> "Limits":
        """Return them so many times as large, and never nothing."""
        return Limits(
            max(1, int(self.sessions * factor)), max(2, int(self.each * factor)), self.rate * factor
        )

    def within(self, other: "Limits") -> "Limits":
        """Return the tighter of both, one by one."""
        rates = [rate for rate in (self.rate, other.rate) if rate]
        return Limits(
            min(self.sessions, other.sessions),
            min(self.each, other.each),
            min(rates, default=0.0),
        )

    @property
    def carries(self) -> float:
        """The messages per second that fit through."""
        by_sessions = self.sessions * self.each / (DIAL + self.each * SEND + 0.01)
        return min(by_sessions, self.rate) if self.rate else by_sessions


def of_profile(name: str) -> Limits:
    """Return what a profile gives us."""
    said = PROFILES[name].limits
    rates = [rate.limit / rate.seconds for rate in said.messages or said.provider_messages or ()]
    return Limits(
        said.sessions or said.provider_sessions or 20,
        said.messages_per_session or 100,
        min(rates, default=0.0),
    )


def _regime(words: Words, limits: Limits) -> Regime:
    rates: tuple[tuple[int, float], ...] = ()
    if limits.rate:
        # Counted over ten seconds when it is slow: nobody counts two in a second.
        span = 1.0 if limits.rate >= 5 else 10.0
        rates = ((max(1, round(limits.rate * span)), span),)
    return Regime(
        sessions=limits.sessions,
        per_session=limits.each,
        rates=rates,
        refuse=words.resets,
        dial=DIAL,
        send=SEND,
        hang_up=words.slower.startswith("421"),
        full=words.full,
        enough=words.enough or "",
        slower=words.slower,
    )


class Reacting:
    """Lets the shipped reactions hold in a world, as the daemon's reactor does."""

    def __init__(self, world: LimitedWorld, provider: Provider) -> None:
        self.begun: list[Reaction] = []
        self._reactions = Reactions(PROFILES.rules())
        self._world = world
        self._provider = provider.name
        world.observers.append(self.heard)
        self._look()

    def heard(
        self, world: LimitedWorld, line: Line, outcome: Outcome, verdict: Verdict | None, now: float
    ) -> None:
        """Read what an attempt came to."""
        reply, klass = str(outcome), ""
        if isinstance(outcome, Rejected):
            reply, klass = f"{outcome.reply.code} {outcome.reply.text}", ""
            klass = verdict.klass if verdict else ""
        elif isinstance(outcome, Broke):
            klass = str(outcome.cause)
        seen = Seen(now, reply, klass, line.source, line.site, self._provider, 1)
        for one in self._reactions.observe(seen):
            world.scheduler.reacting.apply(one, now)
            self.begun.append(one)

    def _look(self) -> None:
        now = self._world.now
        for one in self._reactions.lapsed(now):
            self._world.scheduler.reacting.lift(one, now)
        self._world.at(LAPSES, self._look)


def _world(words: Words, limits: Limits, messages: float) -> tuple[LimitedWorld, Regime, Reacting]:
    regime = _regime(words, limits)
    found = effective([PROFILES[words.name].layer()])
    caps = found.site_caps()
    facts: Callable[[str], SiteFacts] = lambda _: SiteFacts(  # noqa: E731  the world asks for one
        words.mx,
        words.name,
        site_caps=replace(caps, sessions=caps.sessions or 20),  # the default of [limits]
        provider_caps=found.provider_caps(),
        hosts=(words.mx,),
    )
    world = world_of({words.mx: regime}, OPTIONS, facts)
    reacting = Reacting(world, PROFILES[words.name])
    world.add(job(1), {words.destination: int(messages)})
    return world, regime, reacting


@dataclass(frozen=True)
class Found:
    """What came of a receiver.

    Args:
        limits: What it enforced.
        used: The share of what it allows and the profile lets us ask for, in the second half.
        refused: The share of 4xx, of the whole.
        reactions: The names of those that held.
    """

    limits: Limits
    used: float
    refused: float
    reactions: tuple[str, ...]


def measure(words: Words, limits: Limits, hours: float = 2.0, jitter: float = 0.0) -> Found:
    """Send for some hours without an end of mail.

    Args:
        words: The provider's.
        limits: What it enforces.
        hours: Simulated.
        jitter: The share by which opening a session, and each message, takes less or longer.
    """
    span = hours * 3_600.0
    most = limits.within(of_profile(words.name)).carries
    world, regime, reacting = _world(words, limits, most * span * 1.2 + 1_000)
    if jitter:
        draw, ends = random.Random(1), (1 - jitter, 1 + jitter)
        world.receiver_of = lambda _: Receiver(
            regime.dial * draw.uniform(*ends), regime.send * draw.uniform(*ends)
        )
    world.run(span)
    used = regime.taken_between(START + span / 2, START + span) / (span / 2) / most
    begun = tuple(dict.fromkeys(one.rule for one in reacting.begun))
    return Found(limits, used, world.refused_share, begun)


def follows(words: Words, limits: Limits) -> float:
    """Return the minutes until 90 % are used of limits that doubled after half an hour."""
    most = limits.times(2).within(of_profile(words.name)).carries
    world, regime, _ = _world(words, limits, most * 5_400 * 1.5)
    world.run(1_800.0)
    doubled = _regime(words, limits.times(2))
    regime.sessions, regime.per_session = doubled.sessions, doubled.per_session
    regime.rates = doubled.rates
    for minute in range(1, 61):
        world.run(60.0)
        if regime.taken_between(world.now - 60, world.now) >= 0.9 * 60 * most:
            return float(minute)
    return float("inf")


def rest(words: Words, limits: Limits) -> tuple[float, int]:
    """Return how long nothing was sent after its words asked for that, and how often it did."""
    world, regime, _ = _world(words, limits, limits.carries * 3_600)
    while not regime.no["rate"]:
        world.run(10.0)
    taken, asked = len(regime.taken), world.now
    while len(regime.taken) == taken or world.now - asked < 30.0:
        taken = len(regime.taken) if world.now - asked < 30.0 else taken
        world.run(10.0)
    return world.now - asked, regime.no["rate"]


def full_speed(words: Words) -> float:
    """Return the seconds until one that never throttles gets 95 % of what the profile allows."""
    profile = of_profile(words.name)
    world, regime, _ = _world(words, replace(profile.times(100), rate=0.0), profile.carries * 600)
    for second in range(1, 300):
        world.run(1.0)
        if regime.taken_between(world.now - 5, world.now) >= 0.9 * 5 * profile.carries:
            return float(second)
    return float("inf")


def tighter(name: str) -> Limits:
    """Return half of the profile's sessions and messages in each, at any rate."""
    return replace(of_profile(name).times(0.5), rate=0.0)


def rated(name: str) -> Limits:
    """Return a rate that nobody published, behind the profile's own numbers."""
    profile = of_profile(name)
    return replace(profile, rate=max(0.5, profile.carries * SHARE))


__all__ = ["PROFILES", "WORDS", "Limits", "Words", "follows", "full_speed", "measure", "of_profile"]
