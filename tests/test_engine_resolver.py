"""Resolution against a DNS server of our own: each branch of RFC 5321 section 5.1, each fault."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import dns.message
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.engine.cache import Cache
from ekiden.engine.names import a_labels, address_literal, is_host
from ekiden.engine.resolver import MxHost, Resolver, ResolverOptions, Route, Site, Unresolved
from ekiden.engine.routes import Credentials, RouteTable
from ekiden.engine.sites import shuffled, site_name
from ekiden.networks import AddressPolicy, networks
from ekiden.sink.dns import DnsOptions, DnsServer, Fault, Names
from ekiden.smtp.outcome import Broke, Cause, Stage

WORLD: dict[str, dict[str, list[str]]] = {
    "one.test": {"MX": ["10 mx.one.test."]},
    "two.test": {"MX": ["20 b.mx.test.", "10 a.mx.test."]},
    "same.test": {"MX": ["5 A.MX.test.", "5 b.mx.test."]},
    "equal.test": {"MX": [f"10 {letter}.eq.test." for letter in "abcdefgh"]},
    "twice.test": {"MX": ["20 a.mx.test.", "10 a.mx.test."]},
    "implicit.test": {"A": ["192.0.2.1"]},
    "implicit6.test": {"AAAA": ["2001:db8::1"]},
    "nothing.test": {"TXT": ["hello"]},
    "null.test": {"MX": ["0 ."], "A": ["192.0.2.1"]},
    "null-and-more.test": {"MX": ["0 .", "10 mx.one.test."]},
    "alias.test": {"CNAME": ["one.test."]},
    "dangling.test": {"CNAME": ["gone.invalid."]},
    "loop.test": {"CNAME": ["pool.test."]},
    "pool.test": {"CNAME": ["loop.test."]},
    "literal.test": {"MX": ["10 192.0.2.7."]},
    "literal-and-more.test": {"MX": ["10 192.0.2.7.", "20 mx.one.test."]},
    "hostile.test": {"MX": [r"10 a\013\010mail\032from.test."]},
    "hostile-and-more.test": {"MX": [r"10 a\010b.test.", r"10 a\(b.test.", "20 mx.one.test."]},
    "own.test": {"MX": ["10 better.test.", "20 us.test.", "20 equal.test.", "30 worse.test."]},
    "only-own.test": {"MX": ["10 us.test."]},
    "hundred.test": {"MX": [f"{at} mx{at}.h.test." for at in range(100)]},
    "xn--wgv71a119e.test": {"MX": ["10 mx.one.test."]},
    "mx.one.test": {"A": ["192.0.2.10", "192.0.2.11"], "AAAA": ["2001:db8::10"]},
    "six.test": {"AAAA": ["2001:db8::6"]},
    "crowd.test": {"A": [f"192.0.2.{at}" for at in range(1, 60)]},
    "mxalias.test": {"CNAME": ["mx.one.test."]},
}  # fmt: skip
FAULTS = {
    "servfail.test": Fault.SERVFAIL,
    "refused.test": Fault.REFUSED,
    "silent.test": Fault.SILENT,
    "garbage.test": Fault.GARBAGE,
    "slow.test": Fault.SLOW,
    "truncated.test": Fault.TRUNCATED,
}
SLOW = {"slow.test": {"MX": ["10 mx.one.test."]}, "truncated.test": {"MX": ["10 mx.one.test."]}}


@dataclass
class Clock:
    """Both clocks of a resolver, moved by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest_asyncio.fixture
async def server() -> AsyncIterator[DnsServer]:
    options = DnsOptions({**WORLD, **SLOW}, FAULTS, ttl=600, slow=0.05)
    async with DnsServer(options) as running:
        yield running


def resolver_for(server: DnsServer, *, clock: Clock | None = None, **changes: object) -> Resolver:
    options = ResolverOptions(nameservers=(server.address,), own_hosts=frozenset({"US.test."}))
    options = replace(options, **changes)  # type: ignore[arg-type]  # tests name real fields
    moved = clock or Clock()
    return Resolver(options, rng=random.Random(1), clock=moved, wall=lambda: moved() + 1e9)


def names(site: Site | Unresolved) -> list[tuple[int, str]]:
    assert isinstance(site, Site), site
    return [(host.preference, host.name) for host in site.hosts]


MX_ONE = [(10, "mx.one.test")]


@pytest.mark.parametrize(
    ("destination", "hosts", "site"),
    [
        ("one.test", MX_ONE, "mx.one.test"),
        ("ONE.Test.", MX_ONE, "mx.one.test"),
        ("two.test", [(10, "a.mx.test"), (20, "b.mx.test")], "(a|b).mx.test"),
        ("twice.test", [(10, "a.mx.test")], "a.mx.test"),
        ("implicit.test", [(0, "implicit.test")], "implicit.test"),
        ("implicit6.test", [(0, "implicit6.test")], "implicit6.test"),
        ("null-and-more.test", MX_ONE, "mx.one.test"),
        ("alias.test", MX_ONE, "mx.one.test"),
        ("literal-and-more.test", [(20, "mx.one.test")], "mx.one.test"),
        ("hostile-and-more.test", [(20, "mx.one.test")], "mx.one.test"),
        ("own.test", [(10, "better.test")], "better.test"),
        ("日本語.test", MX_ONE, "mx.one.test"),
        ("slow.test", MX_ONE, "mx.one.test"),
        ("truncated.test", MX_ONE, "mx.one.test"),
        ("[192.0.2.9]", [(0, "192.0.2.9")], "[192.0.2.9]"),
        ("[IPv6:2001:db8::9]", [(0, "2001:db8::9")], "[2001:db8::9]"),
    ],
)
async def test_sites(
    server: DnsServer, destination: str, hosts: list[tuple[int, str]], site: str
) -> None:
    got = await resolver_for(server).resolve(destination)
    assert names(got) == hosts
    assert isinstance(got, Site)
    assert (got.name, got.port, got.route) == (site, 25, "")


@pytest.mark.parametrize(
    ("destination", "cause"),
    [
        ("gone.test", Cause.NO_SUCH_DOMAIN),
        ("nothing.test", Cause.NO_SUCH_DOMAIN),
        ("dangling.test", Cause.NO_SUCH_DOMAIN),
        ("", Cause.NO_SUCH_DOMAIN),
        ("a b.test", Cause.NO_SUCH_DOMAIN),
        ("a\r\nb.test", Cause.NO_SUCH_DOMAIN),
        ("a" * 64 + ".test", Cause.NO_SUCH_DOMAIN),
        ("192.0.2.1", Cause.NO_SUCH_DOMAIN),
        ("[nonsense]", Cause.NO_SUCH_DOMAIN),
        ("null.test", Cause.NULL_MX),
        ("servfail.test", Cause.DNS_FAILURE),
        ("refused.test", Cause.DNS_FAILURE),
        ("silent.test", Cause.DNS_FAILURE),
        ("garbage.test", Cause.DNS_FAILURE),
        ("loop.test", Cause.DNS_FAILURE),
        ("literal.test", Cause.DNS_FAILURE),
        ("hostile.test", Cause.DNS_FAILURE),
        ("only-own.test", Cause.FORBIDDEN_ADDRESS),
    ],
)
async def test_no_site(server: DnsServer, destination: str, cause: Cause) -> None:
    got = await resolver_for(server, timeout=0.3).resolve(destination)
    assert isinstance(got, Unresolved)
    assert got.outcome.stage is Stage.RESOLVE
    assert got.outcome.cause is cause
    assert got.outcome.detail.isprintable()
    assert got.outcome.detail.isascii()


async def test_no_answer_at_all_is_temporary() -> None:
    # A port nobody listens on.
    async with DnsServer(DnsOptions()) as gone:
        address = gone.address
    resolver = Resolver(ResolverOptions(nameservers=(address,), timeout=0.3))
    got = await resolver.resolve("one.test")
    assert isinstance(got, Unresolved)
    assert got.outcome.cause is Cause.DNS_FAILURE


async def test_the_next_nameserver_is_asked(server: DnsServer) -> None:
    async with DnsServer(DnsOptions(faults={"one.test": Fault.SERVFAIL})) as broken:
        resolver = resolver_for(server, nameservers=(broken.address, server.address))
        assert names(await resolver.resolve("one.test")) == MX_ONE
        assert broken.asked["one.test MX"] == 1


async def test_truncation_goes_over_to_tcp(server: DnsServer) -> None:
    await resolver_for(server).resolve("truncated.test")
    assert server.over_tcp == 1


async def test_an_alias_whose_target_is_left_out_is_asked_for(
    server: DnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Names.answer

    def only_the_alias(self: Names, query: dns.message.Message) -> dns.message.Message:
        response = whole(self, query)
        response.answer = response.answer[:1]
        return response

    monkeypatch.setattr(Names, "answer", only_the_alias)
    assert names(await resolver_for(server).resolve("alias.test")) == MX_ONE
    got = await resolver_for(server).resolve("loop.test")
    assert isinstance(got, Unresolved)
    assert got.outcome == Broke(
        Stage.RESOLVE, Cause.DNS_FAILURE, "MX of loop.test: too many aliases"
    )


async def test_at_most_twenty_hosts_and_the_best(server: DnsServer) -> None:
    got = names(await resolver_for(server).resolve("hundred.test"))
    assert got == [(at, f"mx{at}.h.test") for at in range(limits.DNS_MX_HOSTS)]


async def test_equal_hosts_change_places_and_the_site_does_not(server: DnsServer) -> None:
    resolver = resolver_for(server)
    sites = [await resolver.resolve("equal.test") for _ in range(8)]
    assert len({str(names(site)) for site in sites}) > 1
    assert {site.name for site in sites if isinstance(site, Site)} == {"(a|b|c|d|e|f|g|h).eq.test"}
    assert server.asked["equal.test MX"] == 1


async def test_destinations_with_the_same_hosts_are_one_site(server: DnsServer) -> None:
    resolver = resolver_for(server)
    two, same = await resolver.resolve("two.test"), await resolver.resolve("same.test")
    assert isinstance(two, Site)
    assert isinstance(same, Site)
    assert two.name == same.name


async def test_answers_live_as_long_as_they_say(server: DnsServer) -> None:
    clock = Clock()
    resolver = resolver_for(server, clock=clock)
    for destination, seconds in (
        ("one.test", 600.0),
        ("gone.test", limits.DNS_NEGATIVE_TTL),
        ("servfail.test", limits.DNS_FAILURE_TTL),
    ):
        begin = clock.now
        got = await resolver.resolve(destination)
        assert got.until == pytest.approx(1e9 + begin + seconds)
        clock.now = begin + seconds - 1
        assert (await resolver.resolve(destination)).until == pytest.approx(1e9 + begin + seconds)
        assert server.asked[f"{destination} MX"] == 1
        clock.now = begin + seconds
        await resolver.resolve(destination)
        assert server.asked[f"{destination} MX"] == 2


async def test_forget(server: DnsServer) -> None:
    resolver = resolver_for(server)
    await resolver.resolve("one.test")
    resolver.forget()
    await resolver.resolve("one.test")
    assert server.asked["one.test MX"] == 2


async def test_many_askers_ask_once_and_one_may_leave(server: DnsServer) -> None:
    resolver = resolver_for(server)
    askers = [asyncio.create_task(resolver.resolve("slow.test")) for _ in range(50)]
    await asyncio.sleep(0.01)
    askers[0].cancel()
    got = await asyncio.gather(*askers, return_exceptions=True)
    assert isinstance(got[0], asyncio.CancelledError)
    assert all(isinstance(site, Site) for site in got[1:])
    assert server.asked["slow.test MX"] == 1


async def test_addresses(server: DnsServer) -> None:
    four = resolver_for(server)
    assert sorted(await listed(four, "mx.one.test")) == ["192.0.2.10", "192.0.2.11"]
    assert await listed(four, "192.0.2.3") == ["192.0.2.3"]
    assert await listed(four, "six.test") == ["2001:db8::6"]
    assert await listed(four, "gone.test") == []
    assert len(await listed(four, "crowd.test")) == limits.DNS_ADDRESSES_PER_HOST
    assert sorted(await listed(four, "MXALIAS.test")) == ["192.0.2.10", "192.0.2.11"]
    both = resolver_for(server, ipv6=True)
    assert (await listed(both, "mx.one.test"))[2:] == ["2001:db8::10"]
    seen = {tuple(await listed(both, "mx.one.test")) for _ in range(20)}
    assert len(seen) == 2  # the two IPv4 addresses change places, IPv6 stays behind


async def listed(resolver: Resolver, host: str) -> list[str]:
    got = await resolver.addresses(host)
    assert isinstance(got, list)
    return got


@pytest.mark.parametrize("host", ["servfail.test", "a\r\nb.test", "", "x y"])
async def test_addresses_that_cannot_be_found_are_a_temporary_failure(
    server: DnsServer, host: str
) -> None:
    got = await resolver_for(server).addresses(host)
    assert isinstance(got, Unresolved)
    assert got.outcome.cause is Cause.DNS_FAILURE


# --- routes ---------------------------------------------------------------------------------------

ROUTES = (
    Route("special.test", "192.0.2.1", 2525),
    Route("*.inside.test", "Relay.Inside.test"),
    Route("*.日本語.test", "relay.test"),
    Route("*", "smart.test", 587, Credentials("me", "secret"), group=True),
)


@pytest.mark.parametrize(
    ("destination", "pattern", "name", "port"),
    [
        ("special.test", "special.test", "special.test via 192.0.2.1:2525", 2525),
        ("a.inside.test", "*.inside.test", "a.inside.test via relay.inside.test:25", 25),
        ("b.A.inside.test", "*.inside.test", "b.a.inside.test via relay.inside.test:25", 25),
        ("x.日本語.test", "*.日本語.test", "x.xn--wgv71a119e.test via relay.test:25", 25),
        ("inside.test", "*", "via me@smart.test:587", 587),
        ("null.test", "*", "via me@smart.test:587", 587),
    ],
)
async def test_routes_pass_dns(
    server: DnsServer, destination: str, pattern: str, name: str, port: int
) -> None:
    resolver = resolver_for(server, routes=ROUTES)
    site = await resolver.resolve(destination)
    assert isinstance(site, Site)
    assert (site.route, site.name, site.port) == (pattern, name, port)
    route = resolver.route(site.route)
    assert route is not None
    assert route.pattern == pattern
    assert not server.asked


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(ROUTES)


@pytest.mark.parametrize(("pattern", "host"), [("a b", "x.test"), ("*", "x y"), ("**", "x.test")])
def test_routes_that_are_none(pattern: str, host: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        Route(pattern, host)


# --- names and sets -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        (["mx.a.test"], "mx.a.test"),
        (["b.a.test", "a.a.test"], "(a|b).a.test"),
        (["alt1.mx.a.test", "mx.a.test", "alt2.mx.a.test"], "(alt1|alt2)?.mx.a.test"),
        (["mx.a.test", "mx.b.test"], "(mx.a.test|mx.b.test)"),
        (["a.x.n.test", "b.y.n.test"], "(a.x|b.y).n.test"),
        (["a.test", "x.a.test"], "(x)?.a.test"),
    ],
)
def test_site_names(hosts: list[str], name: str) -> None:
    assert site_name(hosts) == name
    assert site_name(hosts, 2525) == f"{name}:2525"


LABELS = st.sampled_from(["a", "b", "x", "mx"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
SETS = st.frozensets(HOSTS, min_size=1, max_size=6)


@given(SETS, SETS)
def test_different_sets_have_different_names(one: frozenset[str], other: frozenset[str]) -> None:
    assert (site_name(one) == site_name(other)) is (one == other)


def test_a_long_name_is_cut_and_still_its_own() -> None:
    many = [f"{'x' * 40}{at}.mx.test" for at in range(20)]
    assert len(site_name(many)) <= 200
    assert site_name(many) != site_name(many[:-1])


@given(st.lists(st.tuples(st.integers(0, 3), LABELS), max_size=10), st.integers())
def test_shuffling_keeps_preference(pairs: list[tuple[int, str]], seed: int) -> None:
    hosts = [MxHost(preference, name) for preference, name in pairs]
    mixed = shuffled(hosts, random.Random(seed))
    assert sorted(mixed) == sorted(hosts)
    assert [host.preference for host in mixed] == sorted(host.preference for host in hosts)


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_not(text: str) -> None:
    try:
        name = a_labels(text)
    except ValueError:
        assert address_literal(text) == "" or text.startswith("[")
        return
    assert is_host(name)
    assert a_labels(name) == name


def test_the_cache_is_bounded_and_forgets_the_least_used() -> None:
    cache: Cache[int] = Cache(3)
    for at in range(3):
        cache.put(str(at), at, 100.0)
    assert cache.get("0", 0.0) == (0, 100.0)
    cache.put("3", 3, 100.0)
    assert [cache.get(str(at), 0.0) is not None for at in range(4)] == [True, False, True, True]
    assert cache.get("3", 100.0) is None
    assert len(cache) == 2


# --- which addresses may be dialled ---------------------------------------------------------------

ALLOWED = AddressPolicy(networks(["10.1.0.0/16", "fd00::/8"]), frozenset())


@pytest.mark.parametrize(
    ("address", "fine"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("fd00::1", True),
        ("127.0.0.1", False),
        ("127.8.9.1", False),
        ("0.0.0.0", False),
        ("10.2.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:0.0.0.0", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("example.com", False),
        ("", False),
        ("2130706433", False),
    ],
)
def test_the_address_policy(address: str, fine: bool) -> None:
    assert (ALLOWED.objection(address) == "") is fine


def test_our_own_address_is_refused_even_in_an_allowed_network() -> None:
    policy = replace(ALLOWED, own=frozenset(network[1] for network in networks(["10.1.0.0/16"])))
    assert policy.objection("10.1.0.1") == "our own address"
    assert policy.objection("::ffff:10.1.0.1") == "our own address"
    assert policy.objection("10.1.0.2") == ""


pattern = st.sampled_from(
    ["*", "a.test", "*.a.test", "b.a.test", "*.b.a.test", "*.test", "A.test.", "\u4f8b.jp"]
)


@given(st.lists(pattern), st.sampled_from(["a.test", "b.a.test", "c.b.a.test", "x", "[192.0.2.1]"]))
def test_the_first_route_that_matches_is_taken(patterns: list[str], destination: str) -> None:
    def matches(pattern: str) -> bool:
        domain = pattern.removeprefix("*.")
        if pattern == "*":
            return True
        domain = a_labels(domain)
        return destination.endswith("." + domain) if "*" in pattern else destination == domain

    routes = [Route(one, f"mx{number}.example") for number, one in enumerate(patterns)]
    expected = next((route for route in routes if matches(route.pattern)), None)
    assert RouteTable(routes).find(destination) is expected
