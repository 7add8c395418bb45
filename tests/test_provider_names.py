"""One list of providers' names: the profiles' own, wherever a provider is named."""

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from ekiden.bounce.classify import Classifier, ReplyContext
from ekiden.bounce.lint import unknown_providers
from ekiden.bounce.providers import Providers as ByHost
from ekiden.bounce.ruleset import ProviderSpec, build, load
from ekiden.shaping.lint import of_named
from ekiden.shaping.providers import ANY, Provider, Providers
from ekiden.sink.profiles import GENERIC, load_profiles

PROFILES = Providers.load()
RULES = load()
HOSTS = ByHost(RULES.providers)
NAMES = {one.name for one in PROFILES}
EXCUSED = {one.name: one.no_profile for one in RULES.providers if one.no_profile}


@pytest.mark.parametrize("spec", RULES.providers, ids=lambda spec: spec.name)
def test_whom_the_rules_know_has_a_profile_or_says_why_not(spec: ProviderSpec) -> None:
    assert (spec.name in NAMES) is (spec.no_profile == "")


@pytest.mark.parametrize("profile", list(PROFILES), ids=lambda profile: profile.name)
def test_the_rules_tell_every_provider_by_its_hosts_and_domains(profile: Provider) -> None:
    """Two tables, one answer: a host or a domain of a profile is the same provider's to a rule."""
    hosts = [f"mx1{mx}" if mx[0] == "." else mx for mx in profile.mx]
    domains = [pattern.replace("*", "x") for pattern in profile.destinations]
    assert {HOSTS.of(host, "") for host in hosts} <= {profile.name}
    assert {HOSTS.of("", domain) for domain in domains} <= {profile.name}


def test_every_rule_names_providers_that_are_known() -> None:
    named = {name for rule in RULES.rules for name in (*rule.spec.providers, *rule.spec.sayers)}
    assert named <= NAMES | EXCUSED.keys()
    assert unknown_providers(Classifier(RULES), NAMES) == []


def test_a_pattern_that_no_provider_matches_is_pointed_out() -> None:
    """Of warm-ups, hours and reactions: such a line would do nothing, and say nothing."""
    assert list(of_named("hours.provider", ["gmail", "yahoo*", "*"], NAMES)) == []
    (dead,) = of_named("warmup.source", ["gmail", "hotmial"], NAMES)
    assert dead.where == "warmup.source"
    assert dead.what == '"hotmial" never holds: there is no such provider'


def test_every_reaction_names_a_provider_that_is_known() -> None:
    assert {rule.provider for rule in PROFILES.rules()} <= NAMES | {""}


def test_the_simulator_plays_providers_by_their_names() -> None:
    assert load_profiles().keys() <= NAMES | {GENERIC}
    assert {one["profile"] for one in _world()} <= NAMES | {GENERIC}


def test_the_documentation_of_the_simulator_names_them_too() -> None:
    page = (Path(__file__).parent.parent / "docs" / "sink.md").read_text("utf-8")
    table = page.partition("<!-- profiles -->")[2].partition("<!-- end")[0]
    named = set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE))
    assert named == load_profiles().keys()
    assert named <= NAMES | {GENERIC, ANY}


@pytest.mark.parametrize(
    ("former", "mx", "now"),
    [
        ("apple", "mx01.mail.icloud.com", "icloud"),
        ("sonet", "mx.so-net.ne.jp", "so-net"),
        ("rakuten", "mx1.gslb.rmb-ss.jp", "rakuten-mobile"),
        ("gmx_webde", "mx00.gmx.net", "gmx"),
        ("microsoft", "a.olc.protection.outlook.com", "outlook"),
        ("microsoft", "a.mail.protection.outlook.com", "microsoft365"),
    ],
)
def test_rule_files_that_use_a_former_name_go_on_working(former: str, mx: str, now: str) -> None:
    own = f"""
[[rule]]
name = "own.one"
class = "rate_limited"
providers = ["{former}"]
phrases = ["strange words"]
why = "They said so."
source = "a call"
"""
    classifier = Classifier(build([("own.toml", own), ("shipped", _shipped_providers())]))
    found = classifier.classify(ReplyContext("450 Strange words", mx=mx))
    assert (found.rule, found.provider) == ("own.one", now)
    assert classifier.classify(ReplyContext("450 Strange words", provider=former)).rule == "own.one"
    assert unknown_providers(classifier, ()) == []


def test_a_provider_that_nobody_knows_is_pointed_out() -> None:
    own = """
[[rule]]
name = "own.one"
class = "rate_limited"
providers = ["hotmial"]
phrases = ["strange words"]
why = "They said so."
source = "a call"
"""
    classifier = Classifier(build([("own.toml", own)]))
    assert unknown_providers(classifier, NAMES) == [
        ("own.one", 'names the provider "hotmial", which nobody knows')
    ]
    assert unknown_providers(classifier, {*NAMES, "hotmial"}) == []


def _world() -> list[dict[str, str]]:
    text = resources.files("ekiden.sink").joinpath("world.toml").read_text("utf-8")
    found: list[dict[str, str]] = tomllib.loads(text)["provider"]
    return found


def _shipped_providers() -> str:
    return "\n".join(
        f'[[provider]]\nname = "{one.name}"\nhosts = {list(one.hosts)}\n'.replace("'", '"')
        for one in RULES.providers
    )
