"""Days and clock times where the receivers live, from UNIX seconds. Pure.

A day is what the calendar of a time zone says, so it has 23 or 25 hours twice a year, and the end
of the one is the start of the next. Zones are `datetime.tzinfo` objects that the caller made: what
they read from disk is read before.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

MINUTES: Final = 1440
_SPAN: Final = re.compile(r"(\d\d|\*):(\d\d)-(\d\d|\*):(\d\d)")


@dataclass(frozen=True, slots=True)
class Span:
    """Clock times from `begin` until before `end`, in minutes of the day; `end` may be past it.

    Args:
        begin: From 0 to 1439.
        end: More than `begin`; over 1440 when it reaches into the next day.
        hourly: Minutes of every hour instead.
    """

    begin: int
    end: int
    hourly: bool = False

    @classmethod
    def parse(cls, text: str) -> "Span":
        """Return the span that `text` says: "12:00-12:30", "22:00-07:00", "*:00-*:05".

        Raises:
            ValueError: It says none.
        """
        found = _SPAN.fullmatch(text)
        wrong = ValueError('expected times such as "12:00-12:30", "22:00-07:00" or "*:00-*:05"')
        if found is None or (found[1] == "*") != (found[3] == "*"):
            raise wrong
        if found[1] == "*":
            begin, end, round_ = int(found[2]), int(found[4]), 60
        else:
            begin = int(found[1]) * 60 + int(found[2])
            end = int(found[3]) * 60 + int(found[4])
            round_ = MINUTES
            if int(found[1]) > 23 or int(found[3]) > 24 or (int(found[3]) == 24 and int(found[4])):
                raise wrong
        if max(int(found[2]), int(found[4])) > 59 or begin == end:
            raise wrong
        return cls(begin, end if end > begin else end + round_, hourly=round_ == 60)

    def minutes(self) -> set[int]:
        """Return the minutes of the day that it covers."""
        if not self.hourly:
            return {minute % MINUTES for minute in range(self.begin, self.end)}
        within = {minute % 60 for minute in range(self.begin, self.end)}
        return {minute for minute in range(MINUTES) if minute % 60 in within}


_QUARTER: Final = 900.0  # seconds

WHOLE_DAY: Final = Span(0, MINUTES)


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a calendar, in UNIX seconds.

    Args:
        number: `date.toordinal()`.
        begins: Its first moment.
        ends: The first moment of the next one.
        opens: When its sending hours begin.
        closes: When they end.
    """

    number: int
    begins: float
    ends: float
    opens: float
    closes: float


def day(now: float, zone: tzinfo, hours: Span = WHOLE_DAY) -> Day:
    """Return the day that it is, with its sending hours (a span within one day)."""
    # Offsets of time zones are whole quarters of an hour by now, so no day begins within one.
    return _day(now // _QUARTER, zone, hours)


@lru_cache(maxsize=64)
def _day(quarter: float, zone: tzinfo, hours: Span) -> Day:
    today = datetime.fromtimestamp(quarter * _QUARTER, zone).date()
    begins = _at(today, 0, zone)
    ends = _at(today, MINUTES, zone)
    opens = max(begins, _at(today, hours.begin, zone))
    closes = min(ends, _at(today, hours.end, zone))
    return Day(today.toordinal(), begins, ends, opens, max(opens, closes))


def _at(today: date, minute: int, zone: tzinfo) -> float:
    """Return a clock time of a day; one that the clocks leap over is the moment of the leap."""
    if minute >= MINUTES:
        today, minute = today + timedelta(days=1), minute - MINUTES
    wall = datetime.combine(today, time(minute // 60, minute % 60), zone)
    before, after = wall.timestamp(), wall.replace(fold=1).timestamp()
    if after >= before:
        return before
    # In the gap: the earlier reading counts with the later offset. The leap is between the two.
    low, high = after, before
    offset = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


def minute_of_day(now: float, zone: tzinfo) -> int:
    """Return the minute that a clock in the zone shows, from 0 to 1439."""
    local = datetime.fromtimestamp(now, zone)
    return local.hour * 60 + local.minute


def hour_of_day(now: float, zone: tzinfo) -> int:
    """Return the hour that a clock in the zone shows."""
    return datetime.fromtimestamp(now, zone).hour


def zone(name: str) -> tzinfo:
    """Return a time zone by its name in the IANA database ("Asia/Tokyo", "UTC").

    Raises:
        ValueError: There is none of that name on this machine.
    """
    if name == "UTC":
        return UTC  # also on a machine without the database
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            'expected a time zone that this machine knows (package tzdata), such as "Asia/Tokyo"'
        ) from error
