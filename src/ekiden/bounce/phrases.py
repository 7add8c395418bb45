"""Phrases: how a rule says what words it looks for, and how they become something fast.

A phrase is a row of words as they stand in the normalised text (`reading`): lower case, no
punctuation, one space between. What it may contain:

* `word`: this word; `wor*`: a word that begins so;
* `(a|b c|d)`: one of these rows of words; a phrase of one place needs no parentheses;
* `word?`, `(a|b)?`: there or not;
* `...`: any words, at most six; `...20`: at most twenty;
* `~word`: a word out of a URL, a host name or a dotted identifier, which is kept apart so that a
  host called `blocked.example` means nothing.

A phrase with a letter of a script without spaces (Chinese, Japanese) is looked for anywhere, and
its spaces stand for any few characters. Every gap is bounded and made of whole words, so no phrase
can take exponential time, whatever the text.

Each phrase has *anchors*: plain words of which one must be there. The classifier looks a text's
words up in one dictionary of anchors and tries only the phrases it finds: a hundred rules or a
thousand cost the same.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_GAP: Final = re.compile(r"\.\.\.(\d*)$")
_ELEMENT: Final = re.compile(r"\([^()]*\)\??|[^\s()]+")
_GROUPED: Final = re.compile(r"\([^()]*\)")
_SPACELESS: Final = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f]")
_WORD: Final = re.compile(r"~?[^\W_][\w']*\*?$")
GAP_WORDS: Final = 6
GAP_MAX: Final = 30


class PhraseError(ValueError):
    """The phrase cannot be read; the message says why."""


def spaceless(text: str) -> bool:
    """Whether `text` has a letter of a script that puts no spaces between words."""
    return _SPACELESS.search(text) is not None


@dataclass(frozen=True, slots=True)
class Element:
    """One place of a phrase.

    Args:
        options: The rows of words that fit here; empty for a gap.
        optional: Whether it may be missing.
        gap: The most words a gap takes; 0 if it is none.
    """

    options: tuple[tuple[str, ...], ...] = ()
    optional: bool = False
    gap: int = 0

    @property
    def is_anchored(self) -> bool:
        """Whether it has anchors, whatever words are common."""
        return not (self.optional or self.gap) and all(
            any("*" not in word for word in option) for option in self.options
        )

    def anchors(self, commonness: Counter[str]) -> frozenset[str] | None:
        """The rarest plain word of each option; None if one of them has none."""
        if self.optional or self.gap:
            return None
        found = []
        for option in self.options:
            plain = [word for word in option if "*" not in word]
            if not plain:
                return None
            found.append(min(plain, key=lambda word: (commonness[word], -len(word), word)))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase that was read.

    Args:
        source: As written.
        elements: Its places, in order; empty if it is looked for in a script without spaces.
    """

    source: str
    elements: tuple[Element, ...]

    @property
    def pattern(self) -> str:
        """What finds it in a normalised text that begins and ends with a space."""
        if not self.elements:
            parts = self.source.casefold().split()
            return "[^\n]{0,12}?".join(re.escape(part) for part in parts)
        return "".join(_regex(one) for one in self.elements) + "(?= )"

    def check(self) -> None:
        """See that it can be found by one of its words.

        Raises:
            PhraseError: Every place is a gap, optional, or has a wildcard in each of its words.
        """
        if self.elements and not any(one.is_anchored for one in self.elements):
            raise PhraseError(f"{self.source!r} has no plain word to be found by")

    def words(self) -> Iterable[str]:
        """Every plain word, for counting how common it is."""
        for element in self.elements:
            for option in element.options:
                yield from (word for word in option if "*" not in word)

    def anchors(self, commonness: Counter[str]) -> frozenset[str]:
        """The words of which one must be in the text; empty for a script without spaces.

        Raises:
            PhraseError: As for `check`.
        """
        if not self.elements:
            return frozenset()
        self.check()
        sets = self._required(commonness)
        return min(sets, key=lambda one: (sum(commonness[word] for word in one), sorted(one)))

    def finder(self, commonness: Counter[str]) -> "Finder":
        """Make what looks for it."""
        return Finder(self, tuple(sorted(self._required(commonness), key=len)))

    @property
    def is_one_word(self) -> bool:
        """Whether any of its words alone is the whole phrase."""
        return len(self.elements) == 1 and all(
            len(option) == 1 and "*" not in option[0] for option in self.elements[0].options
        )

    def _required(self, commonness: Counter[str]) -> list[frozenset[str]]:
        return [found for element in self.elements if (found := element.anchors(commonness))]


class Finder:
    """Looks for one phrase, the cheap way first.

    Args:
        phrase: The phrase.
        needs: Sets of words of which one each must be in the text.
    """

    __slots__ = ("_is_one_word", "_needs", "_phrase", "_regex")

    def __init__(self, phrase: Phrase, needs: tuple[frozenset[str], ...]) -> None:
        self._phrase = phrase
        self._needs = needs
        self._is_one_word = phrase.is_one_word
        self._regex: re.Pattern[str] | None = None  # compiled when first needed: most never are

    def second(self, anchors: frozenset[str]) -> frozenset[str] | None:
        """The smallest needed set beside the anchors; None if there is none."""
        return next((one for one in self._needs if one != anchors), None)

    def knowing(self, *asked: frozenset[str] | None) -> "Finder":
        """The same for a caller who has asked some of the needed sets himself."""
        return Finder(self._phrase, tuple(one for one in self._needs if one not in asked))

    def found(self, text: str, words: frozenset[str]) -> bool:
        """Whether the phrase is in `text`, whose words are `words`."""
        for one in self._needs:
            if words.isdisjoint(one):
                return False
        if self._is_one_word:
            return True
        if self._regex is None:
            self._regex = re.compile(self._phrase.pattern)
        return self._regex.search(text) is not None


def parse(source: str) -> Phrase:
    """Read one phrase.

    Raises:
        PhraseError: It is empty, or has a character with no meaning.
    """
    if spaceless(source):
        return Phrase(source, ())
    if "|" in _GROUPED.sub("", source) and " " in source:
        raise PhraseError(f"{source!r}: put alternatives beside other words into parentheses")
    elements = tuple(_element(part, source) for part in _ELEMENT.findall(source))
    if not elements or elements[0].gap or elements[-1].gap:
        raise PhraseError(f"{source!r} must begin and end with a word")
    return Phrase(source, elements)


def _element(part: str, source: str) -> Element:
    if gap := _GAP.match(part):
        return Element(gap=min(int(gap.group(1) or GAP_WORDS), GAP_MAX))
    optional = part.endswith("?")
    options = tuple(
        tuple(row.split()) for row in part.removesuffix("?").strip("()").casefold().split("|")
    )
    if not all(options) or not all(_WORD.match(word) for row in options for word in row):
        raise PhraseError(f"{source!r}: {part!r} is not made of words")
    return Element(options, optional)


def _regex(element: Element) -> str:
    if element.gap:
        return f"(?: [^ ]+){{0,{element.gap}}}?"
    rows = "|".join(
        "".join(" " + re.escape(word).replace(r"\*", "[^ ]*") for word in row)
        for row in element.options
    )
    # The look-ahead keeps `user` from matching the first half of `users`.
    return f"(?:(?:{rows})(?= )){'?' if element.optional else ''}"


def commonness(phrases: Sequence[Phrase]) -> Counter[str]:
    """How many phrases each word stands in: rare words make the better anchors."""
    counts: Counter[str] = Counter()
    for phrase in phrases:
        counts.update(set(phrase.words()))
    return counts
