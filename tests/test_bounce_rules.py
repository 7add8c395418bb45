"""The shipped rules: each fires on a reply it was written for, and none can hang."""

import re
import time

import pytest

from ekiden.bounce.classes import CLASSES
from ekiden.bounce.classify import Classifier, ReplyContext
from ekiden.bounce.lint import context_of, never_fire
from ekiden.bounce.phrases import PhraseError, commonness, parse
from ekiden.bounce.ruleset import Rule, build
from ekiden.errors import ConfigError

CLASSIFIER = Classifier.load()
EXAMPLES = [(rule, words) for rule in CLASSIFIER.rules for words in rule.spec.examples]
# What backtracking feeds on: long runs of words that almost match.
HOSTILE = [
    "user " * 400,
    "no such no such " * 120,
    "a" * 2000,
    "550 " + "5.1.1 " * 300,
    "message rejected spam blocked ip address listed mailbox " * 36,
    "http://" * 280,
    "<" * 1000 + ">" * 1000,
    "a.b-c'" * 330,
    "\u5bdb " * 1000,
]


@pytest.mark.parametrize(
    ("rule", "example"),
    EXAMPLES,
    ids=[f"{rule.spec.name}:{words[:40]}" for rule, words in EXAMPLES],
)
def test_each_rule_fires_on_its_examples(rule: Rule, example: str) -> None:
    verdict = CLASSIFIER.classify(context_of(example))
    assert verdict.rule == rule.spec.name
    assert verdict.klass == rule.spec.klass
    assert verdict.action == CLASSES[rule.spec.klass].action
    assert verdict.why == rule.spec.why


@pytest.mark.parametrize(
    "rule", CLASSIFIER.rules, ids=[rule.spec.name for rule in CLASSIFIER.rules]
)
def test_each_rule_says_why_and_where_from(rule: Rule) -> None:
    assert rule.spec.examples
    assert rule.spec.source
    assert rule.spec.why.endswith(".")
    assert len(rule.spec.why) < 200


def test_no_phrase_is_slow_on_hostile_text() -> None:
    """Every pattern against every hostile text: the whole of it in a moment, none of it long."""
    patterns = {
        phrase.pattern
        for rule in CLASSIFIER.rules
        for phrase in (*rule.phrases, *rule.unless)
        if phrase.pattern
    }
    assert len(patterns) > 500
    worst = 0.0
    for pattern in patterns:
        compiled = re.compile(pattern)
        for text in HOSTILE:
            start = time.process_time()
            compiled.search(f" {text[:2048]} ")
            worst = max(worst, time.process_time() - start)
    assert worst < 0.1


def test_hostile_replies_are_classified_at_once() -> None:
    start = time.process_time()
    for text in HOSTILE:
        CLASSIFIER.classify(ReplyContext(text * 40))
    assert time.process_time() - start < 1.0


def test_a_persons_rules_come_first() -> None:
    own = """
[[rule]]
name = "own.example"
class = "rate_limited"
phrases = ["no such user"]
why = "Our partner says so when it is busy."
source = "a call with its postmaster"
"""
    shipped = """
[[rule]]
name = "shipped"
class = "bad_mailbox"
phrases = ["no such user"]
why = "The mailbox does not exist."
source = "RFC 3463"
"""
    classifier = Classifier(build([("own.toml", own), ("shipped.toml", shipped)]))
    assert classifier.classify(ReplyContext("550 No such user")).rule == "own.example"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "cannot read the rules"),
        ('[[rule]]\nname="a"\nclass="nope"\nphrases=["x"]\nwhy=""\nsource=""', "no class 'nope'"),
        ('[[rule]]\nname="a"\nclass="virus"\nwhy=""\nsource=""', "no condition"),
        ('[[rule]]\nname="a"\nclass="virus"\nphrases=["a|b c"]\nwhy=""\nsource=""', "parentheses"),
        ('[[rule]]\nname="a"\nclass="virus"\nphrases=["wor*"]\nwhy=""\nsource=""', "plain word"),
        ('[[rule]]\nname="a"\nclass="virus"\nfrazes=["x"]\nwhy=""\nsource=""', "frazes"),
    ],
)
def test_a_bad_rule_file_is_refused_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Classifier(build([("own.toml", text)]))
    assert "own.toml" in str(caught.value)


def test_a_provider_may_be_written_with_an_underscore() -> None:
    own = """
        [[provider]]
        name = "mail_house"
        hosts = ["mail.house.test"]
        [[rule]]
        name = "own.one"
        class = "rate_limited"
        why = "They said so."
        source = "ours"
        phrases = ["strange words"]
        providers = ["mail_house"]
        """
    classifier = Classifier(build([("own", own)]))
    found = classifier.classify(ReplyContext("550 Strange words", mx="mx.mail.house.test"))
    assert (found.rule, found.provider) == ("own.one", "mail-house")
    found = classifier.classify(ReplyContext("550 Strange words", provider="mail_house"))
    assert found.rule == "own.one"


def test_two_rules_of_one_name_are_refused() -> None:
    text = '[[rule]]\nname="a"\nclass="virus"\nphrases=["x"]\nwhy=""\nsource=""\n'
    with pytest.raises(ConfigError, match="two rules"):
        build([("own.toml", text), ("other.toml", text)])


@pytest.mark.parametrize(
    ("phrase", "text", "fits"),
    [
        ("user unknown", " user unknown ", True),
        ("user unknown", " users unknown ", False),
        ("user ...2 unknown", " user is really unknown ", True),
        ("user ...2 unknown", " user a b c unknown ", False),
        ("(user|mail box) unknown", " mail box unknown ", True),
        ("mailbox is? full", " mailbox full ", True),
        ("mailbox is? full", " mailbox is full ", True),
        ("relay*", " relaying ", True),
        ("~spamhaus", " ~spamhaus ", True),
        ("~spamhaus", " spamhaus ", False),
        ("用户 不存在", " 用户名不存在 ", True),
    ],
)
def test_the_phrase_language(phrase: str, text: str, *, fits: bool) -> None:
    assert bool(re.search(parse(phrase).pattern, text)) is fits


@pytest.mark.parametrize("phrase", ["", "... user", "user ...", "us/er", "(a|)", "a|b c"])
def test_phrases_without_sense_are_refused(phrase: str) -> None:
    with pytest.raises(PhraseError):
        parse(phrase)


@pytest.mark.parametrize("phrase", ["user unknown", "(no such|unknown) user", "mailbox is? full"])
def test_anchors_are_necessary(phrase: str) -> None:
    read = parse(phrase)
    anchors = read.anchors(commonness([read]))
    assert anchors
    for element in read.elements:
        for option in element.options:
            if not element.optional and anchors & set(option):
                break
        else:
            continue
        break
    else:
        raise AssertionError("an anchor stands in no place of the phrase")


def test_a_rule_that_another_decides_for_is_found() -> None:
    first = """
[[rule]]
name = "own.wide"
class = "rate_limited"
phrases = ["too many"]
why = "wide"
source = "ours"
examples = ["450 too many"]
[[rule]]
name = "own.narrow"
class = "rate_limited"
phrases = ["too many messages"]
why = "narrow"
source = "ours"
examples = ["450 too many messages"]
[[rule]]
name = "own.mistaken"
class = "rate_limited"
phrases = ["slow down"]
why = "misspelt"
source = "ours"
examples = ["450 sloww down"]
"""
    assert never_fire(Classifier(build([("own.toml", first)]))) == [
        ("own.narrow", "never fires: own.wide decides first"),
        ("own.mistaken", "never fires: matches none of its examples"),
    ]
    assert never_fire(CLASSIFIER) == []
