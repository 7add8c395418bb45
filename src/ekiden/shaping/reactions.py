"""Reactions: what a receiver says, and what is done about it for a while. Pure.

A rule has a pattern over the reply or a class, a trigger (at once, or N within a time), a scope, an
action and a duration. Rules are data: the shipped ones stand in `providers.toml` beside the limits
of the provider that says these words, an operator's own in the configuration. There is no action
that gives up required TLS: no pressure of a receiver may.

What is counted is bounded: for each rule and scope the latest N times, and `_COUNTED` such scopes.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from ekiden.config.units import parse_duration
from ekiden.errors import ConfigError
from ekiden.shaping.caps import Rate

_COUNTED: Final = 10_000
_REPLY_KEPT: Final = 500
_TRIGGER: Final = re.compile(r"(\d{1,4}) in (.+)")
_KEYS: Final = frozenset(
    {"name", "match", "class", "after", "scope", "action", "to", "for", "source", "example"}
)


class Scope(StrEnum):
    """What a reaction holds for."""

    PATH = "path"  # this source to this site
    ROAD = "road"  # this source to all sites of the provider; its path, where nobody is known
    SOURCE = "source"  # this source, to everybody
    PROVIDER = "provider"  # all sources to the provider; the path, where nobody is known
    JOB = "job"


class Act(StrEnum):
    """What is done."""

    SLOW = "slow"  # to a share of what was taken lately, or to a rate
    SESSIONS = "sessions"  # no more than so many at once
    SUSPEND = "suspend"  # nothing at all
    SWITCH = "switch"  # suspended, if another source can take the mail over; else nothing
    STOP = "stop"  # the job is stopped until a person resumes it
    NONE = "none"  # a shipped rule that an operator has switched off


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Args:
        name: Its name; an operator's rule of the same name takes the place of a shipped one.
        provider: Whose replies it reads, "" for everybody's.
        pattern: Found somewhere in "CODE text"; None when only the class decides.
        klass: The bounce class, or the cause of a broken connection; "" for any.
        count: How many such replies,
        within: in how many seconds; 0 at once.
        scope: What it holds for.
        act: What is done.
        to: A share (0 to 1), a number of sessions, or a rate; None where the action needs none.
        seconds: For how long; 0 for `stop`.
        source: Where it was read; it begins with "ours" where nobody published it.
        example: A reply that it was written for.
        general: It is for receivers of which no rule of their own provider reads the reply.
    """

    name: str
    provider: str
    pattern: re.Pattern[str] | None
    klass: str
    count: int
    within: float
    scope: Scope
    act: Act
    to: float | int | Rate | None
    seconds: float
    source: str = ""
    example: str = ""
    general: bool = False

    def reads(self, seen: "Seen") -> bool:
        """Whether a reply is one of those it was written for."""
        if self.provider and self.provider != seen.provider:
            return False
        if self.klass and self.klass != seen.klass:
            return False
        return self.pattern is None or self.pattern.search(seen.reply) is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """A reply or a broken connection, and which way it came.

    Args:
        at: UNIX seconds.
        reply: "CODE text", or the cause and its details in words.
        klass: The bounce class, or the cause.
        source: The source.
        site: The site.
        provider: Its provider, "" for nobody known.
        job: The job.
    """

    at: float
    reply: str
    klass: str
    source: str
    site: str
    provider: str
    job: int


class Reaction(msgspec.Struct, frozen=True):
    """A reaction that holds; plain values, to be kept across restarts.

    Args:
        id: Its number.
        rule: The rule's name.
        scope: One of `Scope`.
        act: One of `Act`.
        to: As the rule's; a rate as it is written, "1/m".
        source: The source, "" where it holds for all,
        site: the site, likewise,
        provider: and the provider.
        job: The job, 0 where it is not about one.
        since: UNIX seconds.
        until: UNIX seconds; 0 for a job, which a person resumes.
        reply: What brought it about.
        count: How many such replies there were.
        pace: Messages a second that a share came to when it began; 0 where it is no share.
    """

    id: int
    rule: str
    scope: str
    act: str
    to: str
    source: str
    site: str
    provider: str
    job: int
    since: float
    until: float
    reply: str
    count: int = 1
    pace: float = 0.0

    def where(self) -> str:
        """Return what it holds for, in words."""
        match self.scope:
            case Scope.PATH:
                return f"{self.source} to {self.site}"
            case Scope.ROAD:
                return f"{self.source} to provider {self.provider}"
            case Scope.SOURCE:
                return f"source {self.source}"
            case Scope.PROVIDER:
                return f"provider {self.provider}"
            case _:
                return f"job {self.job}"

    def what(self) -> str:
        """Return what is done, in words."""
        match self.act:
            case Act.SLOW if self.pace:
                return f"slowed to {self.to} of what was taken, {self.pace * 60:.3g} per minute"
            case Act.SLOW:
                return f"slowed to {self.to}"
            case Act.SESSIONS:
                return f"at most {self.to} sessions"
            case Act.STOP:
                return "stopped"
            case _:
                return "suspended"


class Reactions:
    """Reads replies and remembers what follows.

    Args:
        rules: In order; each that reads a reply counts it.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules: Sequence[Rule] = rules
        self._counts: OrderedDict[tuple[str, tuple[str, ...]], deque[float]] = OrderedDict()
        self._live: dict[tuple[str, tuple[str, ...]], Reaction] = {}
        self._next = 1

    def __iter__(self) -> Iterator[Reaction]:
        return iter(self._live.values())

    def observe(self, seen: Seen) -> list[Reaction]:
        """Return the reactions that begin now."""
        begun = []
        reading = [rule for rule in self.rules if rule.reads(seen)]
        named = any(rule.provider for rule in reading)
        for rule in reading:
            if rule.act is not Act.NONE and not (rule.general and named):
                reaction = self._count(rule, seen)
                if reaction is not None:
                    begun.append(reaction)
        return begun

    def _count(self, rule: Rule, seen: Seen) -> Reaction | None:
        key = (rule.name, _place(rule.scope, seen))
        if key in self._live:
            return None
        times = self._counts.pop(key, None)
        if times is None or times.maxlen != rule.count:
            times = deque(maxlen=rule.count)
        times.append(seen.at)
        if len(times) < rule.count or (rule.within and times[0] < seen.at - rule.within):
            self._counts[key] = times
            while len(self._counts) > _COUNTED:
                self._counts.popitem(last=False)
            return None
        reaction = self._begin(rule, seen, key[1])
        self._live[key] = reaction
        return reaction

    def _begin(self, rule: Rule, seen: Seen, place: tuple[str, ...]) -> Reaction:
        number, self._next = self._next, self._next + 1
        scope, source, site, provider, job = place
        return Reaction(
            id=number,
            rule=rule.name,
            scope=scope,
            act=rule.act,
            to="" if rule.to is None else _written(rule.to),
            source=source,
            site=site,
            provider=provider,
            job=int(job or 0),
            since=seen.at,
            until=seen.at + rule.seconds if rule.seconds else 0.0,
            reply=seen.reply[:_REPLY_KEPT],
            count=rule.count,
        )

    def lapsed(self, now: float) -> list[Reaction]:
        """Return the reactions that are over, and forget them."""
        over = [key for key, one in self._live.items() if one.until and one.until <= now]
        return [self._live.pop(key) for key in over]

    def cancel(self, number: int) -> Reaction | None:
        """Return the reaction of that number, and forget it; None when there is none."""
        for key, one in self._live.items():
            if one.id == number:
                return self._live.pop(key)
        return None

    def keep(self, reaction: Reaction) -> None:
        """Remember a reaction of the same number as it holds."""
        for key, one in self._live.items():
            if one.id == reaction.id:
                self._live[key] = reaction

    def restore(self, kept: Sequence[Reaction]) -> None:
        """Continue with what held when the last run ended."""
        for one in kept:
            place = (one.scope, one.source, one.site, one.provider, str(one.job or ""))
            self._live[one.rule, place] = one
            self._next = max(self._next, one.id + 1)


def _place(scope: Scope, seen: Seen) -> tuple[str, ...]:
    """Return (scope, source, site, provider, job): what a reaction to this holds for."""
    if not seen.provider and scope in (Scope.ROAD, Scope.PROVIDER):
        scope = Scope.PATH
    match scope:
        case Scope.PATH:
            return (scope, seen.source, seen.site, "", "")
        case Scope.ROAD:
            return (scope, seen.source, "", seen.provider, "")
        case Scope.SOURCE:
            return (scope, seen.source, "", "", "")
        case Scope.PROVIDER:
            return (scope, "", "", seen.provider, "")
        case Scope.JOB:
            return (scope, "", "", "", str(seen.job))


def _written(to: float | Rate) -> str:
    if isinstance(to, Rate):
        units = {1.0: "s", 60.0: "m", 3_600.0: "h", 86_400.0: "d"}
        return f"{to.limit}/{units[to.seconds]}"
    return f"{to:g}"


def overlaid(shipped: Sequence[Rule], own: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return an operator's rules before the shipped ones; the same name takes its place."""
    names = {rule.name for rule in own}
    return (*own, *(rule for rule in shipped if rule.name not in names))


# --- Reading the tables ---------------------------------------------------------------------------


def parse(table: Mapping[str, Any], provider: str, where: str, *, general: bool = False) -> Rule:
    """Return the rule of a table.

    Args:
        table: The table.
        provider: Whose replies it reads, "" for everybody's.
        where: Where it stands, for errors.
        general: Whether it gives way to rules of the provider that read the same reply.

    Raises:
        ConfigError: It is no rule.
    """
    name = str(table.get("name", ""))
    place = f"{where}, {name}" if name else where
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        remedy = f"use some of {', '.join(sorted(_KEYS))}"
        raise ConfigError(f"{unknown[0]!r} is no key of a reaction", where=place, remedy=remedy)
    if not name:
        raise ConfigError("a reaction needs a name", where=place)
    act = _one_of(Act, table.get("action", ""), "action", place)
    pattern, klass = table.get("match", ""), str(table.get("class", ""))
    if act is not Act.NONE and not pattern and not klass:
        raise ConfigError("it would read every reply", where=place, remedy="give match or class")
    scope = _one_of(Scope, table.get("scope", "path"), "scope", place)
    if (act is Act.STOP) != (scope is Scope.JOB) and act is not Act.NONE:
        raise ConfigError('scope "job" and action "stop" belong together', where=place)
    count, within = _trigger(str(table.get("after", "")), place)
    return Rule(
        name=name,
        provider=provider,
        pattern=_pattern(pattern, place) if pattern else None,
        klass=klass,
        count=count,
        within=within,
        scope=scope,
        act=act,
        to=_to(act, table.get("to"), place),
        seconds=_duration(act, table.get("for", ""), place),
        source=str(table.get("source", "")),
        example=str(table.get("example", "")),
        general=general,
    )


def _one_of(kind: Any, text: str, key: str, where: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is no {key}", where=where, remedy=f"use one of {', '.join(kind)}"
        ) from None


def _pattern(text: str, where: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ConfigError(f"match is no regular expression: {error}", where=where) from error


def _trigger(text: str, where: str) -> tuple[int, float]:
    if not text:
        return 1, 0.0
    found = _TRIGGER.fullmatch(text)
    remedy = 'such as "3 in 10m"'
    if found is None or int(found[1]) < 1:
        raise ConfigError(f"{text!r} is no trigger", where=where, remedy=remedy)
    try:
        return int(found[1]), parse_duration(found[2])
    except ValueError as error:
        raise ConfigError(str(error), where=where, remedy=remedy) from None


def _duration(act: Act, text: str, where: str) -> float:
    if act in (Act.STOP, Act.NONE):
        return 0.0
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"for: {error}", where=where, remedy='such as "2h"') from None


def _to(act: Act, to: object, where: str) -> float | int | Rate | None:
    if act is Act.SESSIONS:
        if type(to) is int and to >= 1:
            return to
        raise ConfigError("action sessions needs to = N", where=where)
    if act is not Act.SLOW:
        return None
    if isinstance(to, int | float) and 0 < to < 1:
        return float(to)
    try:
        return Rate.parse(str(to))
    except ValueError:
        remedy = 'a share such as 0.5, or a rate such as "1/m"'
        raise ConfigError("action slow needs to", where=where, remedy=remedy) from None
