"""Whose words a reply is in: no provider's rule takes what another's host says in its own sense."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ekiden.bounce.classify import Action, Classifier, ReplyContext, Verdict
from ekiden.bounce.lint import context_of
from ekiden.bounce.ruleset import Rule
from ekiden.shaping.providers import Providers
from ekiden.sink.profiles import GENERIC, load_profiles
from provider_cases import WORDS, Words

CLASSIFIER = Classifier.load()
RULES = {rule.spec.name: rule for rule in CLASSIFIER.rules}
NAMES = [one.name for one in Providers.load()]
FILLED = {
    "recipient": "hanako@b.example",
    "domain": "b.example",
    "sender": "news@s.example",
    "sender_domain": "s.example",
    "peer": "192.0.2.1",
    "seconds": "300",
    "size": "1000",
    "host": "mx.b.example",
}


def classify(context: ReplyContext, provider: str) -> Verdict:
    return CLASSIFIER.classify(replace(context, provider=provider))


def agree(one: Verdict, other: Verdict) -> bool:
    """The same rule, or another that decides the same."""
    same = (one.klass, one.action, one.retry_after) == (
        other.klass,
        other.action,
        other.retry_after,
    )
    return one.rule == other.rule or same


def samples() -> Iterator[tuple[Rule, ReplyContext]]:
    for rule in CLASSIFIER.rules:
        for example in rule.spec.examples:
            yield rule, context_of(example)


def test_a_rules_own_samples_are_its_own_where_its_provider_is_known() -> None:
    """Against all other rules, its provider told by the host and not."""
    wrong = [
        (rule.spec.name, provider, found.rule)
        for rule, context in samples()
        for provider in {*rule.spec.sayers, *rule.spec.providers}
        if not agree(found := classify(context, provider), CLASSIFIER.classify(context))
    ]
    assert wrong == []


def test_without_the_host_nobody_elses_rule_takes_a_sample() -> None:
    wrong = []
    for rule, context in samples():
        found = classify(context, "")
        winner = RULES.get(found.rule)
        if winner is None or not winner.spec.sayers or agree(found, CLASSIFIER.classify(context)):
            continue
        if not any(rule.spec.is_of(name) for name in winner.spec.sayers):
            wrong.append((rule.spec.name, found.rule))
    assert wrong == []


def test_at_another_providers_host_no_sample_condemns_who_was_kept() -> None:
    """A text that is quoted, or common to several: never a suppression that it was not before."""
    wrong = [
        (rule.spec.name, provider, found.rule)
        for rule, context in samples()
        for provider in NAMES
        if (found := classify(context, provider)).action is Action.SUPPRESS_RECIPIENT
        and CLASSIFIER.classify(context).action is not Action.SUPPRESS_RECIPIENT
        and not context.provider
    ]
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in load_profiles() if name != GENERIC])
def test_what_a_provider_says_is_read_by_its_own_rules_or_by_anybodys(name: str) -> None:
    """Every refusal that the simulator speaks; who reads it for another decides as that one."""
    for occasion, words in load_profiles()[name].replies.items():
        reply = words.reply.format_map(FILLED | {"queue_id": "A1"})
        found = CLASSIFIER.classify(ReplyContext(reply, provider=name))
        rule = RULES.get(found.rule)
        if reply[0] == "2" or rule is None or not rule.spec.sayers or rule.spec.is_of(name):
            continue
        assert found.klass == "policy", (
            occasion,
            found.rule,
        )  # "Message not allowed" of two Yahoos


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words.name)
def test_what_a_provider_says_of_rates_asks_for_less(words: Words) -> None:
    for reply in (words.full, words.slower):
        found = CLASSIFIER.classify(ReplyContext(reply, provider=words.name))
        assert found.action in {Action.THROTTLE_DESTINATION, Action.RETRY_LATER}, reply


@pytest.mark.parametrize(
    ("host", "rule", "seconds"),
    [
        ("mta5.am0.yahoodns.net", "yahoo.volume_or_complaints", 7_200),
        ("mx1.mail.yahoo.co.jp", "yahoo-jp.volume", 3_600),
    ],
)
def test_one_text_of_two_providers(host: str, rule: str, seconds: int) -> None:
    reply = (
        "421 4.7.0 [IPTS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume "
        "or user complaints"
    )
    found = CLASSIFIER.classify(ReplyContext(reply, mx=host))
    assert (found.rule, found.retry_after) == (rule, seconds)


@pytest.mark.parametrize(
    ("reply", "klass"),
    [
        ("550 5.1.0 <news@example.com>: Sender address rejected: User unknown", "bad_sender"),
        (
            "450 4.2.0 <a@au.com>: Recipient address rejected: Greylisted, see postgrey",
            "greylisted",
        ),
        ("550 5.7.1 Email rejected per DMARC policy for example.com", "auth_dmarc"),
        ("550 5.1.1 The email account that you tried to reach does not exist", "bad_mailbox"),
        ("550 <hanako@au.com>: User unknown", "bad_mailbox"),
        ("550 : User unknown", "recipient_refused"),
    ],
)
def test_aus_rules_take_no_more_than_what_au_means(reply: str, klass: str) -> None:
    """`rejected` and `does not exist` alone took greylistings, DMARC and senders for recipients."""
    assert CLASSIFIER.classify(ReplyContext(reply, mx="msmx.au.com")).klass == klass
