"""Hours: when mail of a class should not begin at a provider, and which hours went better. Pure.

**Windows.** A window is a span of clock times in a time zone ("12:00-12:30", "22:00-07:00",
"*:00-*:05"), said for everybody, in a provider's profile, or by the operator for a provider, and
each for bulk or for transactional mail. In it no session begins for that mail, and an open one is
given no more of it; what a session has in hand already goes out (a few messages: that is the
grace). A clock that is put forward or back changes no window: they are read off the clock.

**The top of the hour.** Everybody's scheduled mail begins at :00. The bulk of a site that has no
session yet begins at a moment of its own within the first minutes of the hour.

**Learned.** The share of deferrals by hour of the day and provider, the newer weighing more. A job
with a deadline that leaves time waits for a better hour, if this one is clearly bad: its share is
`BAD` at least and twice that of the better one, and waiting takes a third of the time left at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from fnmatch import fnmatchcase
from typing import Final
from zlib import crc32

from ekiden.localtime import MINUTES, Span, hour_of_day, minute_of_day
from ekiden.shaping.window import NEVER

HOURS: Final = 24
VOLUME: Final = 2_000.0  # attempts in one hour of the day after which the old ones weigh half
ENOUGH: Final = 50.0  # attempts below which an hour's share says nothing
BAD: Final = 0.05  # the share of deferrals from which on a better hour is worth waiting for
BETTER: Final = 0.5  # of the bad hour's share, that a better one has at most
PART: Final = 1 / 3  # of the time until the deadline that waiting may take
_HOUR: Final = 3600.0


class Windows:
    """Spans of one time zone, as one question: when may it begin?

    Args:
        texts: The spans, as they are written.
        zone: Whose clock.
    """

    def __init__(self, texts: Sequence[str], zone: tzinfo) -> None:
        self.texts = tuple(texts)
        self._zone = zone
        shut = bytearray(MINUTES)
        for text in texts:
            for minute in Span.parse(text).minutes():
                shut[minute] = 1
        self._shut = bytes(shut)
        self._from = NEVER  # the answer below holds from then
        self._until = NEVER  # until then
        self._opens = NEVER

    def opens_at(self, now: float) -> float:
        """Return when mail may begin: `now` at the latest if it may now.

        Where the windows leave no minute of the day, that is a day later.
        """
        if not self._from <= now < self._until:
            self._look(now)
        return max(self._opens, now)

    def _look(self, now: float) -> None:
        begins = now // 60 * 60  # offsets of time zones are whole minutes
        self._from = begins
        if not self._shut[minute_of_day(now, self._zone)]:
            self._until, self._opens = begins + 60, NEVER
            return
        at = begins + 60
        for _ in range(MINUTES):
            if not self._shut[minute_of_day(at, self._zone)]:
                break
            at += 60
        self._until = self._opens = at


@dataclass(frozen=True, slots=True)
class Avoided:
    """What is avoided at some providers.

    Args:
        provider: Their names; with the wildcards of fnmatch; "*" for everybody, the unknown
            included.
        bulk: The spans for bulk mail.
        transactional: The spans for transactional mail.
        zone: Whose clock.
        zone_name: What it is called.
    """

    provider: str
    bulk: tuple[str, ...] = ()
    transactional: tuple[str, ...] = ()
    zone: tzinfo = UTC
    zone_name: str = "UTC"


@dataclass(frozen=True, slots=True)
class HoursOptions:
    """When to send.

    Args:
        avoided: The windows; all that match a provider hold together.
        zone: Whose hours of the day are learned.
        smooth: Seconds at the top of each hour over which beginnings are spread; 0 for not at all.
        jitter: Seconds over which the scheduled starts of bulk jobs are spread.
        prefer: Whether jobs with time until their deadline wait for better hours.
    """

    avoided: tuple[Avoided, ...] = ()
    zone: tzinfo = UTC
    smooth: float = 120.0
    jitter: float = 60.0
    prefer: bool = True


@dataclass(slots=True)
class _Learned:
    tried: list[float] = field(default_factory=lambda: [0.0] * HOURS)
    deferred: list[float] = field(default_factory=lambda: [0.0] * HOURS)

    def share(self, hour: int) -> float | None:
        tried = self.tried[hour]
        return self.deferred[hour] / tried if tried >= ENOUGH else None


@dataclass(frozen=True, slots=True)
class HourView:
    """What was learned of an hour of the day at a provider; the share is None for too little."""

    hour: int
    tried: float
    share: float | None


class Hours:
    """Answers when mail may begin, and learns which hours are good.

    Args:
        options: From the configuration.
    """

    def __init__(self, options: HoursOptions | None = None) -> None:
        self.moved: set[str] = set()  # providers of which more was learned, for whoever keeps it
        self._learned: dict[str, _Learned] = {}
        self.set_options(options or HoursOptions())

    def set_options(self, options: HoursOptions) -> None:
        """Take over other windows; what was learned stays."""
        self.options = options
        self._windows: dict[tuple[str, int], list[tuple[Windows, str]]] = {}
        self._hour_at = NEVER
        self._hour = 0

    # --- windows ----------------------------------------------------------------------------------

    def opens_at(self, provider: str, rank: int, now: float) -> float:
        """Return when mail may begin: `now` if it may now.

        Args:
            provider: The provider's name; "" for nobody known.
            rank: 0 for transactional mail, 1 for bulk.
            now: UNIX seconds.
        """
        windows = self._at(provider, rank) if self.options.avoided else ()
        if not windows:
            return now
        at = now
        for _ in range(len(windows) * 2):  # one may open into another
            before = at
            for window, _words in windows:
                at = window.opens_at(at)
            if at == before:
                break
        return at

    def avoided(self, provider: str, rank: int) -> str:
        """Return the windows of a provider and rank in words, "" for none."""
        return "; ".join(words for _, words in self._at(provider, rank))

    def because(self, provider: str, rank: int, now: float) -> tuple[str, float] | None:
        """Return why mail may not begin, in words, and until when; None if it may."""
        until = self.opens_at(provider, rank, now)
        if until <= now:
            return None
        shut = [
            words for window, words in self._windows[provider, rank] if window.opens_at(now) > now
        ]
        mail = "bulk mail" if rank else "transactional mail"
        return f"{mail} avoids {', '.join(shut)}", until

    def _at(self, provider: str, rank: int) -> list[tuple[Windows, str]]:
        found = self._windows.get((provider, rank))
        if found is None:
            found = self._windows[provider, rank] = self._of(provider, rank)
        return found

    def _of(self, provider: str, rank: int) -> list[tuple[Windows, str]]:
        found = []
        for one in self.options.avoided:
            spans = one.bulk if rank else one.transactional
            if spans and (
                one.provider == "*" or (provider and fnmatchcase(provider, one.provider))
            ):
                where = "" if one.provider == "*" else f" at {provider}"
                words = f"{', '.join(spans)} ({one.zone_name}){where}"
                found.append((Windows(spans, one.zone), words))
        return found

    def smoothed(self, site: str, now: float) -> float:
        """Return when the bulk of a site without a session may begin, for the top of the hour."""
        smooth = self.options.smooth
        if now % _HOUR >= smooth:
            return now
        place = crc32(f"{site} {int(now // _HOUR)}".encode()) / 2**32
        return max(now, now // _HOUR * _HOUR + place * smooth)

    def delay(self, uid: str, created_at: float, send_at: float, deliver_by: float | None) -> float:
        """Return the seconds by which the scheduled start of a bulk job is put off.

        They depend on the job's identity alone, so a restart changes nothing. A deadline that is
        near leaves less of them.

        Args:
            uid: The job's identity.
            created_at: When it was made (UNIX seconds); a job that begins at once is not put off.
            send_at: Its start.
            deliver_by: Its deadline, if it has one.
        """
        if send_at <= created_at:
            return 0.0
        most = self.options.jitter
        if deliver_by is not None:
            most = min(most, max(0.0, deliver_by - send_at) / 100)
        return most * crc32(uid.encode()) / 2**32

    # --- learned ----------------------------------------------------------------------------------

    def note(self, provider: str, at: float, *, deferred: bool) -> None:
        """Learn what an attempt came to.

        Args:
            provider: The provider's name.
            at: When it was made (UNIX seconds).
            deferred: Whether it was put off.
        """
        learned = self._learned.get(provider)
        if learned is None:
            learned = self._learned[provider] = _Learned()
        hour = self._hour_of(at)
        learned.tried[hour] += 1
        learned.deferred[hour] += deferred
        if learned.tried[hour] >= 2 * VOLUME:
            learned.tried[hour] /= 2
            learned.deferred[hour] /= 2
        self.moved.add(provider)

    def _hour_of(self, at: float) -> int:
        quarter = at // 900  # offsets of time zones are whole quarters of an hour by now
        if quarter != self._hour_at:
            self._hour_at, self._hour = quarter, hour_of_day(at, self.options.zone)
        return self._hour

    def better_at(self, provider: str, now: float, deadline: float | None) -> float:
        """Return when a better hour begins that bulk mail should wait for; `now` for none.

        Args:
            provider: The provider's name.
            now: UNIX seconds.
            deadline: When the mail must be there; without one nothing waits.
        """
        learned = self._learned.get(provider)
        if learned is None or deadline is None or not self.options.prefer:
            return now
        share = learned.share(self._hour_of(now))
        if share is None or share < BAD:
            return now
        latest = now + (deadline - now) * PART
        at = now // _HOUR * _HOUR + _HOUR
        for _ in range(HOURS - 1):
            if at > latest:
                break
            there = learned.share(hour_of_day(at, self.options.zone))
            if there is not None and there <= share * BETTER:
                return at
            at += _HOUR
        return now

    def words(self, provider: str, now: float) -> str:
        """Return why a better hour is waited for."""
        learned = self._learned[provider]
        share = learned.share(self._hour_of(now)) or 0.0
        return f"{share:.0%} are deferred at {provider} at this hour; a better one comes in time"

    def views(self) -> dict[str, list[HourView]]:
        """Return what was learned, by provider."""
        return {
            provider: [
                HourView(hour, learned.tried[hour], learned.share(hour)) for hour in range(HOURS)
            ]
            for provider, learned in sorted(self._learned.items())
        }

    def states(self, providers: Sequence[str] | None = None) -> dict[str, list[list[float]]]:
        """Return what was learned, to be kept: attempts and deferrals by hour.

        Args:
            providers: Of these; None for all.
        """
        return {
            name: [list(one.tried), list(one.deferred)]
            for name, one in self._learned.items()
            if providers is None or name in providers
        }

    def recall(self, states: Mapping[str, list[list[float]]]) -> None:
        """Continue from what was kept."""
        for name, (tried, deferred) in states.items():
            if len(tried) == len(deferred) == HOURS:
                self._learned[name] = _Learned(list(tried), list(deferred))
