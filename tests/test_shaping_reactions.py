"""Reactions: each shipped rule on the reply it was written for; triggers, scopes, ends."""

from typing import Any

import pytest

from ekiden.errors import ConfigError
from ekiden.shaping.caps import Rate
from ekiden.shaping.providers import Providers
from ekiden.shaping.reactions import Reactions, Rule, Seen, overlaid, parse

START = 1_000_000.0
SHIPPED = Providers.load().rules()


def rule(**given: Any) -> Rule:
    table = {"name": "r", "match": "slow down", "action": "suspend", "for": "1h", **given}
    return parse(table, given.pop("provider", ""), "here")


def seen(at: float = 0.0, reply: str = "451 slow down", **given: Any) -> Seen:
    values = {"klass": "rate_limited", "source": "a", "site": "mx", "provider": "big", "job": 7}
    return Seen(START + at, reply, **{**values, **given})


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.name)
def test_every_shipped_rule_fires_on_its_example(shipped: Rule) -> None:
    reactions = Reactions(SHIPPED)
    klass = shipped.klass or "rate_limited"
    one = seen(reply=shipped.example, klass=klass, provider=shipped.provider)
    for count in range(1, shipped.count + 1):
        begun = [found for found in reactions.observe(one) if found.rule == shipped.name]
        assert len(begun) == (count == shipped.count)
    assert begun[0].until == START + shipped.seconds
    assert begun[0].reply == shipped.example
    assert len(shipped.source) > 10


def test_shipped_rules_have_names_of_their_own() -> None:
    assert len({one.name for one in SHIPPED}) == len(SHIPPED)


def test_another_providers_words_are_not_read() -> None:
    reactions = Reactions([parse({**TABLE, "match": "x"}, "yahoo", "here")])
    assert reactions.observe(seen(reply="421 x")) == []
    assert reactions.observe(seen(reply="421 x", provider="yahoo"))


TABLE: dict[str, Any] = {"name": "r", "match": "slow", "action": "suspend", "for": "1h"}


def test_it_waits_for_its_number_within_its_time() -> None:
    reactions = Reactions([rule(after="3 in 10m")])
    assert [bool(reactions.observe(seen(at))) for at in (0, 500, 1000)] == [False, False, False]
    assert reactions.observe(seen(1_050)), "the latest three lie within ten minutes"


def test_paths_are_counted_apart() -> None:
    reactions = Reactions([rule(after="2 in 10m", scope="path")])
    assert reactions.observe(seen(0, site="mx1")) == []
    assert reactions.observe(seen(1, site="mx2")) == []
    assert reactions.observe(seen(2, site="mx1"))


def test_what_holds_does_not_begin_again() -> None:
    reactions = Reactions([rule()])
    (one,) = reactions.observe(seen(0))
    assert reactions.observe(seen(1)) == []
    assert reactions.lapsed(START + 3_599) == []
    assert reactions.lapsed(START + 3_600) == [one]
    assert reactions.observe(seen(3_601))


@pytest.mark.parametrize(
    ("scope", "provider", "where"),
    [
        ("path", "big", "a to mx"),
        ("road", "big", "a to provider big"),
        ("road", "", "a to mx"),
        ("source", "big", "source a"),
        ("provider", "big", "provider big"),
        ("provider", "", "a to mx"),
    ],
)
def test_what_it_holds_for(scope: str, provider: str, where: str) -> None:
    (one,) = Reactions([rule(scope=scope)]).observe(seen(provider=provider))
    assert one.where() == where


def test_a_job_is_stopped_without_an_end() -> None:
    (one,) = Reactions([rule(scope="job", action="stop")]).observe(seen())
    assert (one.where(), one.what(), one.until) == ("job 7", "stopped", 0.0)


def test_a_person_cancels_one() -> None:
    reactions = Reactions([rule()])
    (one,) = reactions.observe(seen())
    assert reactions.cancel(one.id + 1) is None
    assert reactions.cancel(one.id) == one
    assert list(reactions) == []


def test_what_holds_survives_a_restart() -> None:
    before = Reactions([rule(scope="road")])
    kept = before.observe(seen())
    after = Reactions([rule(scope="road")])
    after.restore(kept)
    assert list(after) == kept
    assert after.observe(seen(5)) == [], "it holds already"
    assert after.lapsed(START + 3_600) == kept


def test_an_operators_rule_takes_the_place_of_a_shipped_one() -> None:
    off = parse({"name": "yahoo-tss04", "action": "none"}, "", "here")
    rules = overlaid(SHIPPED, [off])
    reactions = Reactions(rules)
    shipped = next(one for one in SHIPPED if one.name == "yahoo-tss04")
    begun = reactions.observe(seen(reply=shipped.example, provider="yahoo"))
    assert [one for one in begun if one.rule == "yahoo-tss04"] == []
    assert len(rules) == len(SHIPPED)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"name": ""}, "needs a name"),
        ({"match": ""}, "read every reply"),
        ({"match": "("}, "no regular expression"),
        ({"action": "clear"}, "no action"),
        ({"scope": "world"}, "no scope"),
        ({"after": "often"}, "no trigger"),
        ({"after": "0 in 1h"}, "no trigger"),
        ({"after": "2 in a while"}, "after|duration|while"),
        ({"for": "long"}, "for:"),
        ({"action": "slow"}, "needs to"),
        ({"action": "slow", "to": 1.5}, "needs to"),
        ({"action": "sessions", "to": 0}, "needs to"),
        ({"action": "stop"}, "belong together"),
        ({"scope": "job"}, "belong together"),
        ({"sope": "path"}, "no key"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        rule(**given)


def test_what_slow_goes_to() -> None:
    assert rule(action="slow", to="1/m").to == Rate(1, 60.0)
    assert rule(action="slow", to=0.5).to == 0.5
