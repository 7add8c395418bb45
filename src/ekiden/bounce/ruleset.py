"""Rules: ordered data that say what a reply's words mean, read from TOML and checked.

A rule file holds `[[rule]]` tables. The first rule whose conditions all hold decides:

* `name`: unique, `family.what`; `class`: one of `classes.CLASSES`; `why`: one sentence;
* `source`: the page or standard that says so; `examples`: replies it was written for (tests);
* `phrases`: any one must be there (`phrases.py`); `unless`: none of these may be;
* `codes`: reply codes by prefix (`"5"`, `"55"`, `"550"`); `enhanced`: status codes, `"X.1.1"` for
  any class, `"5.7.*"` for any detail;
* `stages`, `not_stages`: where it came; an unknown stage passes `not_stages` only;
* `providers`: only at these; `provider`: the wording itself tells that it is this one, or one of
  these, the first where the host does not tell. Where the host tells that it is another provider,
  that one's own rules are asked first. Names are those of the profiles
  (`shaping/providers.toml`); a hyphen may be written as an underscore, and the names that rules
  alone once had are still read (`provider_names`);
* `quotes`: whether the reply quotes an address;
* `after_data`: the class instead when it is said after RCPT was accepted, without an X.1.X status;
* `retry_after`: seconds that this provider is known to want.

A `[[guard]]` has `phrases` too. While one of them is in a reply, no rule whose words anybody may
say (one without `provider`) condemns the recipient: somebody else is spoken of.

Files are read in the order of their names, a person's own before the shipped ones.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

import msgspec

from ekiden.bounce.classes import CLASSES
from ekiden.bounce.model import Action
from ekiden.bounce.phrases import Phrase, PhraseError, parse
from ekiden.errors import ConfigError
from ekiden.smtp.outcome import Stage


class RuleSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[rule]]` table as written."""

    name: str
    klass: str = msgspec.field(name="class")
    why: str
    source: str
    examples: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    enhanced: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    not_stages: tuple[Stage, ...] = ()
    providers: tuple[str, ...] = ()
    provider: str | tuple[str, ...] = ""
    after_data: str = ""
    quotes: bool | None = None
    retry_after: float | None = None

    @property
    def sayers(self) -> tuple[str, ...]:
        """The providers of whom the wording tells."""
        one = self.provider
        return (*filter(None, (one,)),) if isinstance(one, str) else one

    def is_of(self, provider: str) -> bool:
        """Whether it is a rule of a provider's own."""
        return provider in self.sayers or provider in self.providers


class GuardSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[guard]]` table: words that tell that not the recipient is meant."""

    name: str
    phrases: tuple[str, ...]
    why: str
    source: str
    examples: tuple[str, ...] = ()


class ListSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[list]]` table: a public blocklist, the words that name it, its removal page."""

    name: str
    marks: tuple[str, ...]
    url: str


class ProviderSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[provider]]` table: the ends of the host names and domains that are its own.

    `no_profile`: why no profile says what it asks of senders; "" where one does.
    """

    name: str
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    no_profile: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rule: tuple[RuleSpec, ...] = ()
    guard: tuple[GuardSpec, ...] = ()
    list: tuple[ListSpec, ...] = ()
    provider: tuple[ProviderSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule ready to be tried: its written form, and its phrases compiled."""

    spec: RuleSpec
    action: Action
    phrases: tuple[Phrase, ...]
    unless: tuple[Phrase, ...]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything the rule files say, in order."""

    rules: tuple[Rule, ...] = ()
    lists: tuple[ListSpec, ...] = ()
    providers: tuple[ProviderSpec, ...] = ()
    guards: tuple[Phrase, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # rule -> file


_OUR_RULES: Final = "ekiden.bounce"
# What rules called providers before they shared the names of the profiles: operators' own rule
# files may still say so.
_FORMER: Final[Mapping[str, tuple[str, ...]]] = {
    "microsoft": ("outlook", "microsoft365"),
    "apple": ("icloud",),
    "sonet": ("so-net",),
    "rakuten": ("rakuten-mobile",),
    "gmx-webde": ("gmx",),
}


def provider_names(name: str) -> tuple[str, ...]:
    """Return what a provider is called everywhere: `yahoo_jp` is `yahoo-jp`, `apple` is `icloud`.

    More than one for a former name that stood for several.
    """
    hyphened = name.replace("_", "-")
    return _FORMER.get(hyphened, (hyphened,))


def provider_name(name: str) -> str:
    """Return the first of `provider_names`."""
    return provider_names(name)[0]


def shipped() -> list[tuple[str, str]]:
    """The shipped rule files as (name, text), in order."""
    folder = resources.files(_OUR_RULES) / "rules"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".toml")]
    return [(one.name, one.read_text("utf-8")) for one in sorted(files, key=lambda one: one.name)]


def texts(paths: Iterable[Path] = ()) -> list[tuple[str, str]]:
    """A person's rule files and the shipped ones as (name, text).

    Args:
        paths: TOML files that come first, in this order.

    Raises:
        ConfigError: A file cannot be read.
    """
    own = []
    for path in paths:
        try:
            own.append((str(path), path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the rule file: {error}", where=str(path)) from error
    return [*own, *shipped()]


def load(paths: Iterable[Path] = ()) -> RuleSet:
    """Read a person's rule files and the shipped ones.

    Args:
        paths: TOML files that come first, in this order.

    Raises:
        ConfigError: A file cannot be read, or one of its rules makes no sense.
    """
    return build(texts(paths))


def build(files: Iterable[tuple[str, str]]) -> RuleSet:
    """Make the rule set out of (file name, TOML text) pairs.

    Raises:
        ConfigError: Not TOML, an unknown key or class, a phrase that cannot be read, a name twice.
    """
    rules: list[Rule] = []
    lists: list[ListSpec] = []
    providers: list[ProviderSpec] = []
    guards: list[Phrase] = []
    names: dict[str, str] = {}
    for where, text in files:
        parsed = _parsed(where, text)
        for spec in parsed.rule:
            if spec.name in names:
                raise ConfigError(
                    f"two rules are called {spec.name!r}",
                    where=where,
                    remedy="give one of them another name",
                )
            names[spec.name] = where
            rules.append(_compiled(where, _named(spec)))
        for guard in parsed.guard:
            place = f"{where}, guard {guard.name}"
            found = _phrases(place, guard.phrases)
            for phrase in found:
                _anchored(place, phrase)
            guards += found
        lists += parsed.list
        providers += [
            msgspec.structs.replace(one, name=provider_name(one.name)) for one in parsed.provider
        ]
    return RuleSet(tuple(rules), tuple(lists), tuple(providers), tuple(guards), names)


def _parsed(where: str, text: str) -> _File:
    try:
        data: dict[str, Any] = tomllib.loads(text)
        return msgspec.convert(data, _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"cannot read the rules: {error}", where=where) from error


def _named(spec: RuleSpec) -> RuleSpec:
    return msgspec.structs.replace(
        spec, provider=_names(spec.sayers), providers=_names(spec.providers)
    )


def _names(written: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for one in written for name in provider_names(one))


def _compiled(where: str, spec: RuleSpec) -> Rule:
    place = f"{where}, rule {spec.name}"
    unknown = {spec.klass, spec.after_data or spec.klass} - CLASSES.keys()
    if unknown:
        raise ConfigError(
            f"there is no class {min(unknown)!r}", where=place, remedy="see docs/bounces.md"
        )
    if not (spec.phrases or spec.enhanced or spec.codes):
        raise ConfigError(
            "the rule has no condition", where=place, remedy="give it phrases, enhanced or codes"
        )
    phrases = _phrases(place, spec.phrases)
    for phrase in phrases:
        _anchored(place, phrase)
    return Rule(spec, CLASSES[spec.klass].action, phrases, _phrases(place, spec.unless))


def _phrases(place: str, sources: Iterable[str]) -> tuple[Phrase, ...]:
    try:
        return tuple(parse(source) for source in sources)
    except PhraseError as error:
        raise ConfigError(f"{error}", where=place) from error


def _anchored(place: str, phrase: Phrase) -> None:
    try:
        phrase.check()
    except PhraseError as error:
        raise ConfigError(f"{error}", where=place) from error
