"""What a reply means: the one door through which every reply and diagnostic goes. Pure.

The order of things:

1. `reading` takes the reply apart: words, code, enhanced status, stage.
2. The words are looked up in one dictionary of anchors; what is found are the rules worth trying,
   in their written order, which is from the certain to the vague. The first that holds decides;
   when its words are another provider's than the host's, a rule of the host's provider that holds
   too decides in its place: providers quote each other's codes with meanings of their own.
3. Where words fail, the enhanced status decides, then the reply code. These two never suppress a
   recipient on a policy status (X.7.X), nor at a stage before RCPT: at CONNECT, EHLO and MAIL a
   receiver has not heard of the recipient, whatever it says.

Contract: `classify` never raises and takes bounded time; the same input gives the same verdict.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from ekiden.bounce import ruleset, wait
from ekiden.bounce.classes import CLASSES
from ekiden.bounce.listing import Lists
from ekiden.bounce.model import Action, Listing, ReplyContext, Verdict
from ekiden.bounce.phrases import Finder, commonness
from ekiden.bounce.providers import Providers
from ekiden.bounce.reading import Reading, read, stage_of
from ekiden.bounce.ruleset import Rule, RuleSet, RuleSpec, provider_name
from ekiden.smtp.outcome import Stage

__all__ = ["Action", "Classifier", "Listing", "ReplyContext", "Verdict", "stage_of"]

_WAITS: Final = frozenset(
    {Action.RETRY_LATER, Action.THROTTLE_DESTINATION, Action.BLOCKED_REPUTATION}
)
_BEFORE_RCPT: Final = frozenset({Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.MAIL})
# RFC 3463 section 3.2: these are about the sender's address, whatever the words name.
_OF_SENDER: Final = frozenset({"5.1.7", "5.1.8", "4.1.7", "4.1.8"})
_AFTER_RCPT: Final = frozenset({Stage.DATA, Stage.BODY})
_MADE_MAX: Final = 4096
# By the first digit: class, action and why.
_BY_CODE: Final[Mapping[int, tuple[str, Action, str]]] = {
    0: ("unknown", Action.OTHER, "neither a code nor words that a rule knows"),
    2: ("delivered", Action.OTHER, "the reply is positive"),
    4: ("unknown", Action.RETRY_LATER, "a temporary failure whose words no rule knows"),
    5: ("unknown", Action.OTHER, "a permanent failure whose words no rule knows"),
}


# A rule, its providers, words of which one is needed beside the anchor (None: no more), one of its
# phrases.
_Test = tuple[Rule, tuple[str, ...], frozenset[str] | None, Finder | None]


class Classifier:
    """The rules, compiled.

    Args:
        rules: What the rule files say.
    """

    def __init__(self, rules: RuleSet) -> None:
        self.rules: Final = rules.rules
        self.providers: Final = rules.providers
        self._lists: Final = Lists(rules.lists)
        self._providers: Final = Providers(rules.providers)
        self._made: dict[tuple[str, str, bool], Verdict] = {}
        self._tests: list[_Test] = []
        self._by_word: dict[str, list[int]] = {}
        self._by_status: dict[str, list[int]] = {}
        self._spaceless: list[int] = []
        self._otherwise: list[int] = []
        counts = commonness([phrase for rule in self.rules for phrase in rule.phrases])
        self._unless: Final = {
            rule.spec.name: tuple(phrase.finder(counts) for phrase in rule.unless)
            for rule in self.rules
        }
        self._guards: Final = tuple(phrase.finder(counts) for phrase in rules.guards)
        # One question turns most replies away: none of the words that a guard begins with.
        self._guard_words: Final = frozenset[str]().union(
            *(phrase.anchors(counts) for phrase in rules.guards)
        )
        for rule in self.rules:
            for phrase in rule.phrases:
                anchors = phrase.anchors(counts)
                for word in anchors:
                    self._by_word.setdefault(word, []).append(len(self._tests))
                if not anchors:
                    self._spaceless.append(len(self._tests))
                finder = phrase.finder(counts)
                need = finder.second(anchors)
                finder = finder.knowing(anchors, need)
                self._tests.append((rule, rule.spec.providers, need, finder))
            if not rule.phrases:
                self._index_bare(rule)
        self._anchors: Final = frozenset(self._by_word)

    def _index_bare(self, rule: Rule) -> None:
        """A rule without phrases is found by its status, or, having none, tried always."""
        number = len(self._tests)
        self._tests.append((rule, rule.spec.providers, None, None))
        if rule.spec.enhanced:
            for status in rule.spec.enhanced:
                self._by_status.setdefault(status, []).append(number)
        else:
            self._otherwise.append(number)

    @staticmethod
    def load(paths: Iterable[Path] = ()) -> "Classifier":
        """Compile a person's rule files and the shipped ones.

        Files that say the same are compiled once in a process: it takes 80 ms, and a daemon asks
        for them when it starts, for what is returned, and at each reload.

        Args:
            paths: TOML files whose rules come before the shipped ones.

        Raises:
            ConfigError: A file cannot be read, or a rule makes no sense.
        """
        return _compiled(tuple(ruleset.texts(paths)))

    def classify(self, context: ReplyContext) -> Verdict:
        """Return what the reply means; never raises."""
        reading = read(context.reply, context.code, context.enhanced, context.stage)
        provider = provider_name(context.provider) or self._providers.of(
            context.mx, context.destination
        )
        rule = self._match(reading, provider)
        if rule is None:
            return _by_code(reading, provider)
        return self._verdict(rule, provider, reading, context.reply)

    def _verdict(self, rule: Rule, provider: str, reading: Reading, reply: str) -> Verdict:
        late = bool(rule.spec.after_data) and _is_late(reading)
        # Most verdicts are one of a few hundred; making one anew costs a tenth of the whole.
        key = (rule.spec.name, provider, late)
        verdict = self._made.get(key)
        if verdict is None:
            verdict = _plain(rule, provider, late=late)
            if len(self._made) < _MADE_MAX:
                self._made[key] = verdict
        if verdict.action in _WAITS and reading.numbers:
            after = wait.asked(reading.text, reading.words, reply)
            if after is not None:
                verdict = replace(verdict, retry_after=after)
        if verdict.klass == "blocklisted_ip":
            verdict = replace(verdict, listing=self._lists.named(reading.words, reply))
        return verdict

    def _match(self, reading: Reading, provider: str) -> Rule | None:
        """Return the rule that decides; another provider's words give way to the host's own."""
        first: Rule | None = None
        for rule in self._matching(reading, provider):
            if first is None:
                if not _is_anothers(rule, provider):
                    return rule
                first = rule
            elif rule.spec.is_of(provider):
                return rule
        return first

    def _matching(self, reading: Reading, provider: str) -> Iterator[Rule]:
        """Yield the rules that hold, in their written order."""
        text, words = reading.text, reading.words
        for number in sorted(self._worth_trying(reading)):
            rule, providers, need, finder = self._tests[number]
            # Two cheap questions turn most candidates away; a call costs more than both.
            if (need is not None and words.isdisjoint(need)) or (
                providers and provider not in providers
            ):
                continue
            if (
                (finder is None or finder.found(text, words))
                and _holds(rule, reading, provider)
                and not _any_found(self._unless[rule.spec.name], text, words)
                and not (_condemns(rule) and self._somebody_else(reading))
            ):
                yield rule

    def _worth_trying(self, reading: Reading) -> set[int]:
        """Return the numbers of the tests that an anchor or the status points to."""
        numbers: set[int] = set(self._otherwise)
        for word in reading.words & self._anchors:
            numbers.update(self._by_word[word])
        if reading.foreign:
            numbers.update(self._spaceless)
        if reading.enhanced:
            for form in _status_forms(reading.enhanced):
                numbers.update(self._by_status.get(form, ()))
        return numbers

    def _somebody_else(self, reading: Reading) -> bool:
        """Whether the reply speaks of the sender, the session or the message."""
        text, words = reading.text, reading.words
        if not reading.foreign and words.isdisjoint(self._guard_words):
            return False
        return _any_found(self._guards, text, words)


@lru_cache(maxsize=2)
def _compiled(files: tuple[tuple[str, str], ...]) -> Classifier:
    return Classifier(ruleset.build(files))


def _any_found(finders: tuple[Finder, ...], text: str, words: frozenset[str]) -> bool:
    # A loop: a generator for `any` costs as much as what it would ask.
    for one in finders:  # noqa: SIM110 - see above
        if one.found(text, words):
            return True
    return False


def _plain(rule: Rule, provider: str, *, late: bool) -> Verdict:
    """What a rule says, but for what only the reply itself knows."""
    spec = rule.spec
    klass = spec.after_data if late else spec.klass
    return Verdict(
        klass=klass,
        action=CLASSES[klass].action,
        rule=spec.name,
        provider=provider or next(iter(spec.sayers), ""),
        why=CLASSES[klass].meaning if late else spec.why,
        retry_after=spec.retry_after,
    )


@lru_cache(maxsize=1024)
def _status_forms(status: str) -> tuple[str, ...]:
    """`5.7.1` as rules may write it: itself, any class, any detail."""
    first, subject, detail = status.split(".")
    return (
        status,
        f"X.{subject}.{detail}",
        f"{first}.{subject}.*",
        f"X.{subject}.*",
    )


def _holds(rule: Rule, reading: Reading, provider: str) -> bool:
    """Whether the conditions beside the phrases hold."""
    spec = rule.spec
    if spec.providers and provider not in spec.providers:
        return False
    if spec.stages and reading.stage not in spec.stages:
        return False
    if spec.not_stages and reading.stage in spec.not_stages:
        return False
    if spec.quotes is not None and spec.quotes is not reading.quotes:
        return False
    if spec.codes and not str(reading.code).startswith(spec.codes):
        return False
    if spec.enhanced and spec.phrases and not _has_status(spec, reading.enhanced):
        return False
    return rule.action is not Action.SUPPRESS_RECIPIENT or _may_suppress(spec, reading)


def _condemns(rule: Rule) -> bool:
    """Whether it suppresses by words that anybody says: they need a closer look."""
    return rule.action is Action.SUPPRESS_RECIPIENT and not rule.spec.sayers


def _is_anothers(rule: Rule, provider: str) -> bool:
    """Whether its wording is of a provider, and the host is known to be another's."""
    return bool(provider and rule.spec.sayers) and not rule.spec.is_of(provider)


def _is_late(reading: Reading) -> bool:
    """Whether RCPT was accepted before, and no status says that the address is meant after all."""
    return reading.stage in _AFTER_RCPT and reading.enhanced[1:4] != ".1."


def _has_status(spec: RuleSpec, enhanced: str) -> bool:
    return enhanced != "" and not set(spec.enhanced).isdisjoint(_status_forms(enhanced))


def _may_suppress(spec: RuleSpec, reading: Reading) -> bool:
    """Whether words that condemn a recipient can be meant so here."""
    if reading.stage in _BEFORE_RCPT or reading.enhanced in _OF_SENDER:
        return False
    if spec.klass != "bad_domain":
        return True
    # A resolver's temporary no says nothing about the domain.
    return reading.code // 100 != 4 and reading.enhanced[:1] != "4"


def _by_code(reading: Reading, provider: str) -> Verdict:
    """The last resort: a class that promises nothing, an action by the first digit."""
    first = reading.code // 100 if reading.code else int(reading.enhanced[:1] or 0)
    klass, action, why = _BY_CODE.get(first, _BY_CODE[0])
    return Verdict(klass, action, "code", provider, why)
