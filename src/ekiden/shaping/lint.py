"""Patterns that never decide anything: because they cannot match, or others match first. Pure.

Lists of patterns are read from the top and the first match decides, so a wide pattern above a
narrow one makes the narrow one dead. Nothing goes wrong loudly then: a limit simply does not hold.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ekiden.shaping.providers import Provider, Providers
from ekiden.shaping.reactions import Act, Rule, Scope, Seen
from ekiden.shaping.slowness import BOUND, seconds


@dataclass(frozen=True, slots=True)
class Dead:
    """Something that never takes effect.

    Args:
        where: The table or the provider.
        what: Why, in words.
    """

    where: str
    what: str


def covers(wide: str, narrow: str) -> bool:
    """Whether every name that matches `narrow` matches `wide` too.

    Args:
        wide: "example.com", "*.example.com" (those below it) or "*".
        narrow: Likewise.
    """
    wide, narrow = wide.lower().removesuffix("."), narrow.lower().removesuffix(".")
    if wide in {"*", narrow}:
        return True
    return wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:])


def of_patterns(where: str, patterns: Sequence[str]) -> Iterator[Dead]:
    """Yield the patterns of a first-match list that an earlier one covers.

    Args:
        where: What the list is called.
        patterns: In order.
    """
    for at, pattern in enumerate(patterns):
        first = next((one for one in patterns[:at] if covers(one, pattern)), None)
        if first is not None:
            yield Dead(where, f'"{pattern}" never decides: "{first}" stands before it')


def of_named(where: str, patterns: Sequence[str], names: Collection[str]) -> Iterator[Dead]:
    """Yield the patterns over providers' names that no provider matches.

    Args:
        where: What the list is called.
        patterns: As written.
        names: Of every provider.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            yield Dead(where, f'"{pattern}" never holds: there is no such provider')


def of_providers(providers: Providers) -> Iterator[Dead]:
    """Yield providers that nothing matches, and patterns that an earlier provider takes first."""
    seen: list[Provider] = []
    for provider in providers:
        if not (provider.mx or provider.destinations):
            yield Dead(provider.name, "has neither mx nor destinations: nothing matches it")
        yield from _twice(provider)
        for earlier in seen:
            yield from _shadowed(provider, earlier)
        seen.append(provider)


def _twice(provider: Provider) -> Iterator[Dead]:
    for kind, names in (("mx", provider.mx), ("destinations", provider.destinations)):
        for at, name in enumerate(names):
            wider = [
                other
                for place, other in enumerate(names)
                if place != at and _takes(kind, other, name) and (other != name or place < at)
            ]
            if wider:
                yield Dead(provider.name, f'{kind} "{name}" adds nothing to "{wider[0]}"')


def _shadowed(provider: Provider, earlier: Provider) -> Iterator[Dead]:
    for kind, mine, theirs in (
        ("mx", provider.mx, earlier.mx),
        ("destinations", provider.destinations, earlier.destinations),
    ):
        for name in mine:
            first = next((one for one in theirs if _takes(kind, one, name)), None)
            if first is not None:
                what = f'{kind} "{name}" never decides: "{first}" of {earlier.name} does first'
                yield Dead(provider.name, what)


def _takes(kind: str, wide: str, narrow: str) -> bool:
    """Whether whatever `narrow` matches is matched by `wide`, in the way of that kind."""
    if kind == "mx":
        return narrow.endswith(wide) if wide[0] == "." else narrow == wide
    # A literal stands for itself; of two globs only equal ones are told apart for certain.
    return narrow == wide or ("*" not in narrow and fnmatchcase(narrow, wide))


def of_reactions(rules: Sequence[Rule], providers: Providers) -> Iterator[Dead]:
    """Yield reactions that can never fire, or that say no more than another one.

    Args:
        rules: In order.
        providers: Whose names they may bear.
    """
    names = {provider.name for provider in providers}
    for at, rule in enumerate(rules):
        where = f"reaction {rule.name}"
        if rule.provider and rule.provider not in names:
            yield Dead(where, f'can never fire: there is no provider "{rule.provider}"')
        if rule.example and not _reads_its_example(rule):
            yield Dead(where, "does not read its own example")
        first = next((one for one in rules[:at] if _says_the_same(one, rule)), None)
        if first is not None:
            yield Dead(where, f"adds nothing: {first.name} reads the same and does the same")


def _reads_its_example(rule: Rule) -> bool:
    return rule.reads(Seen(0.0, rule.example, rule.klass, "", "", rule.provider, 0))


def _says_the_same(one: Rule, other: Rule) -> bool:
    if Act.NONE in (one.act, other.act):
        return False
    reads = one.provider in ("", other.provider) and one.klass in ("", other.klass)
    same = one.pattern == other.pattern or one.pattern is None
    does = (one.scope, one.act, one.to) == (other.scope, other.act, other.to)
    wide = one.scope is Scope.JOB or one.seconds >= other.seconds
    return reads and same and does and wide and one.count <= other.count


def of_slow_patterns(rules: Sequence[Rule], clock: Callable[[], float]) -> Iterator[Dead]:
    """Yield reactions whose pattern a hostile receiver could keep busy.

    Args:
        rules: The rules.
        clock: Seconds that pass.
    """
    for rule in rules:
        if rule.pattern is not None and (took := seconds(rule.pattern, clock)) > BOUND:
            what = f"is slow: {took:.2f} s for one reply, at most {BOUND:g} s is well"
            yield Dead(f"reaction {rule.name}", what)
