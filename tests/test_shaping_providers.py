"""Provider profiles: who is who, what they ask, and who says so."""

import re
import tomllib
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.errors import ConfigError
from ekiden.shaping import providers as room
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.layers import Layer, LimitSet, effective
from ekiden.shaping.providers import OURS, Names, Provider, Providers

PROVIDERS = Providers.load()
KUMO = "KumoMTA "
# A host, with a path or without, that is no part of a mail address.
ADDRESS = re.compile(
    r"(?<![\w@./-])(?:[a-z0-9-]+\.)+(?:com|net|org|io|jp|fr|de|codes)\b(?:/[\w./?=@-]*[\w-])?"
)


def _bare(address: str) -> str:
    """Return an address without what is said about it."""
    return address.partition(" ")[0].removeprefix("www.").rstrip("/:.")


@pytest.mark.parametrize(
    ("destination", "hosts", "name"),
    [
        ("gmail.com", [], "gmail"),
        ("company.example", ["aspmx.l.google.com", "alt1.aspmx.l.google.com"], "gmail"),
        ("company.example", ["ASPMX.L.GOOGLE.COM."], "gmail"),
        ("company.example", ["aspmx.l.google.com", "mx.backup.example"], None),
        ("company.example", ["company-example.mail.protection.outlook.com"], "microsoft365"),
        ("hotmail.co.uk", ["hotmail-co-uk.olc.protection.outlook.com"], "outlook"),
        ("yahoo.co.uk", ["mx-eu.mail.am0.yahoodns.net"], "yahoo"),
        ("yahoo.co.jp", ["mx1.mail.yahoo.co.jp"], "yahoo-jp"),
        ("docomo.ne.jp", ["mfsmax.docomo.ne.jp"], "docomo"),
        ("ezweb.ne.jp", ["lsean.ezweb.ne.jp"], "au"),
        ("d.vodafone.ne.jp", [], "softbank"),
        ("comcast.net", ["mx1.comcast.net"], "comcast"),
        ("comcast.net", ["mx-comcast.mail.am0.yahoodns.net"], "yahoo"),
        ("cox.net", ["mx-cox.mail.am0.yahoodns.net"], "yahoo"),
        ("club-internet.fr", ["smtp-in.sfr.fr"], "sfr"),
        ("company.example", ["eu-smtp-inbound-1.mimecast.com"], "mimecast"),
        ("company.example", ["mxa-0012ab.gslb.pphosted.com"], "proofpoint"),
        ("company.example", ["mx1.hc123-4.iphmx.com", "mx2.hc123-4.iphmx.com"], "ironport"),
        ("company.example", ["mxbiz1.qq.com"], "qq-tencent"),
        ("example.org", ["notgoogle.com"], None),
        ("example.org", [], None),
    ],
)
def test_who_is_who(destination: str, hosts: list[str], name: str | None) -> None:
    found = PROVIDERS.match(destination, hosts)
    assert (found.name if found else None) == name


@pytest.mark.parametrize("provider", list(PROVIDERS), ids=lambda provider: provider.name)
def test_every_number_has_a_source_and_every_profile_can_match(provider: Provider) -> None:
    assert provider.mx or provider.destinations
    assert provider.limits.messages_per_session is not None
    for key, source in provider.sources:
        assert len(source) > 10, key
    for pattern in provider.destinations:
        found = PROVIDERS.match(pattern.replace("*", "x"), [])
        assert found is provider, "shadowed"


@pytest.mark.parametrize("provider", list(PROVIDERS), ids=lambda provider: provider.name)
def test_every_address_says_whether_it_was_read(provider: Provider) -> None:
    """What a page cites is in one of its two lists, and nothing is in both."""
    said = [provider.notes, *(source for _, source in provider.sources)]
    said += [rule.source for rule in provider.reactions]
    said += [provider.avoid.source] if provider.avoid else []
    said = [text for text in said if not text.startswith(KUMO)]  # it names domains of its tables
    listed = [_bare(one) for one in (*provider.read, *provider.unread)]
    assert len(set(listed)) == len(listed)
    for text in said:
        for found in ADDRESS.findall(text):
            address = _bare(found)
            own = any(fnmatchcase(address, one) for one in provider.destinations)
            known = own or any(address.startswith(one) or one.startswith(address) for one in listed)
            assert known, f"{found}: list it under read or unread"


@pytest.mark.parametrize("provider", list(PROVIDERS), ids=lambda provider: provider.name)
def test_a_number_is_ours_or_stands_on_a_page_that_was_read(provider: Provider) -> None:
    read = [_bare(one) for one in provider.read]
    for key, source in provider.sources:
        if source.startswith(KUMO):
            table = source.removeprefix(KUMO).split(",")[0]
            assert f"github.com/KumoCorp/kumomta: {table}" in provider.read, key
        elif not source.startswith(OURS):
            cited = [_bare(found) for found in ADDRESS.findall(source)]
            assert any(page.startswith(one) for page in cited for one in read), key


def test_nobody_published_is_marked_as_ours() -> None:
    sources = dict(PROVIDERS["ocn"].sources)
    assert all(source.startswith(OURS) for source in sources.values())
    assert not dict(PROVIDERS["yahoo"].sources)["messages_per_session"].startswith(OURS)


def test_an_operators_own_lie_over_them() -> None:
    own = Providers.parse(
        tomllib.loads(
            '[gmail]\nlimits.provider_sessions = { value = 50, source = "our contact" }\n'
            '[corp]\nmx = [".corp.example"]\nlimits.sessions = { value = 2, source = "ours" }\n'
        ),
        "my.toml",
    )
    merged = PROVIDERS.overlaid(own)
    gmail = merged["gmail"]
    assert gmail.limits.provider_sessions == 50
    assert gmail.limits.messages_per_session == 50
    assert dict(gmail.sources)["provider_sessions"] == "our contact"
    found = merged.match("a.example", ["mx1.corp.example"])
    assert found is not None
    assert found.name == "corp"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[x]\nmxs = [".a"]', "'mxs' is no key"),
        ("[x]\nlimits.sesions = { value = 1, source = 's' }", "'sesions' is no limit"),
        ("[x]\nlimits.sessions = 3", "a limit is"),
        ("[x]\nlimits.sessions = { value = 0, source = 's' }", "no positive whole number"),
        ("[x]\nlimits.sessions = { value = true, source = 's' }", "no positive whole number"),
        ("[x]\nlimits.messages = { value = ['9'], source = 's' }", "is no rate"),
        ("[x]\nlimits.tls = { value = 'maybe', source = 's' }", "is no TLS policy"),
        ('[x]\nmx = [""]', "is no host name"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Providers.parse(tomllib.loads(text), "my.toml")
    assert caught.value.where.startswith("my.toml, [x]")


def test_the_later_layer_wins_and_is_named() -> None:
    default = Layer("default", "", LimitSet(sessions=10, messages_per_session=100, size=1000))
    own = Layer("destination", "gmail.com", LimitSet(messages_per_session=30, sessions=8))
    found = effective([own, PROVIDERS["gmail"].layer(), default])
    assert found.site_caps() == Caps(sessions=8, messages_per_session=30)
    assert found.provider_caps() == Caps(sessions=5)
    assert found.destination_caps() == Caps()
    told = {key: (value, layer) for key, value, layer in found.explain()}
    assert told["messages_per_session"] == ("30", "destination gmail.com")
    assert told["provider_sessions"] == ("5", "provider gmail")
    assert told["size"] == ("1,000", "default")
    assert told["messages"] == ("no limit", "")


def test_rates_are_explained_in_words() -> None:
    found = effective([PROVIDERS["yahoo-jp"].layer()])
    assert found.site_caps().messages == (Rate(10, 1.0),)
    assert ("messages", "10 per second", "provider yahoo-jp") in found.explain()


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="moon"):
        effective([Layer("moon", "", LimitSet())])


HOSTS = sorted(
    {f"mx1{mx}" if mx[0] == "." else mx for each in PROVIDERS for mx in each.mx}
    | {mx.lstrip(".") for each in PROVIDERS for mx in each.mx}
    | {"mx.company.example", "localhost"}
)
DOMAINS = sorted(
    {each.replace("*", "a.b") for one in PROVIDERS for each in one.destinations}
    | {"company.example", "com"}
)


@given(st.lists(st.sampled_from(HOSTS), max_size=2), st.sampled_from(DOMAINS))
def test_the_index_finds_whom_a_look_at_all_of_them_finds(hosts: list[str], domain: str) -> None:
    every = list(PROVIDERS)
    found = [one for one in every if one.has_destination(domain)]
    if hosts and not found:
        found = [one for one in every if all(one.has_host(host) for host in hosts)]
    assert PROVIDERS.match(domain, hosts) is (found[0] if found else None)


def test_names_are_told_again_and_anew_after_a_reload() -> None:
    names = Names(PROVIDERS)
    for _ in range(2):
        assert names("gmail-smtp-in.l.google.com", "shop.example") == "gmail"
        assert names("mx.shop.example", "shop.example") == ""
        assert names("", "docomo.ne.jp") == "docomo"
    own = Providers.parse({"house": {"destinations": ["shop.example"]}}, "here")
    names.reconfigure(PROVIDERS.overlaid(own))
    assert names("mx.shop.example", "shop.example") == "house"


def test_no_more_names_are_kept_than_a_few_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "NAMES_KEPT", 10)
    names = Names(PROVIDERS)
    for number in range(25):
        assert names("", f"{number}.example") == ""
        assert len(names._known) <= 10
