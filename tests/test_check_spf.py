"""SPF against RFC 7208: its examples, its limits, and pyspf as the independent judge."""

import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import spf as pyspf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ekiden.check.questions import NONE, Answer, Question, Status
from ekiden.check.spf import Result, Spf, check_host

World = Mapping[tuple[str, str], Sequence[str]]
FAILS = ("fails.example", "TXT")


def answered(world: World, question: Question) -> Answer:
    if (question.name, question.kind) == FAILS:
        return Answer(Status.FAILED, why="SERVFAIL")
    values = world.get((question.name, question.kind), ())
    return Answer(Status.FOUND, tuple(values)) if values else NONE


def evaluated(world: World, ip: str, domain: str, **who: str) -> Spf:
    asking = check_host(ipaddress.ip_address(ip), domain, **who)
    try:
        question = next(asking)
        while True:
            question = asking.send(answered(world, question))
    except StopIteration as stop:
        found: Spf = stop.value
        return found


# RFC 7208 appendix A.
ZONE: World = {
    ("example.com", "A"): ["192.0.2.10", "192.0.2.11"],
    ("example.com", "MX"): ["10 mail-a.example.com", "20 mail-b.example.com"],
    ("amy.example.com", "A"): ["192.0.2.65"],
    ("bob.example.com", "A"): ["192.0.2.66"],
    ("mail-a.example.com", "A"): ["192.0.2.129"],
    ("mail-b.example.com", "A"): ["192.0.2.130"],
    ("mail-c.example.org", "A"): ["192.0.2.140"],
    ("example.org", "MX"): ["10 mail-c.example.org"],
    ("10.2.0.192.in-addr.arpa", "PTR"): ["example.com"],
    ("65.2.0.192.in-addr.arpa", "PTR"): ["amy.example.com"],
    ("66.2.0.192.in-addr.arpa", "PTR"): ["amy.example.com"],
    ("140.2.0.192.in-addr.arpa", "PTR"): ["mail-c.example.org"],
}


@pytest.mark.parametrize(
    ("record", "passes", "fails"),
    [
        ("v=spf1 +all", ["192.0.2.129", "1.2.3.4"], []),
        ("v=spf1 a -all", ["192.0.2.10", "192.0.2.11"], ["192.0.2.12"]),
        ("v=spf1 a:example.org -all", [], ["192.0.2.10"]),
        ("v=spf1 mx -all", ["192.0.2.129", "192.0.2.130"], ["192.0.2.10"]),
        ("v=spf1 mx:example.org -all", ["192.0.2.140"], ["192.0.2.129"]),
        ("v=spf1 mx mx:example.org -all", ["192.0.2.129", "192.0.2.140"], ["192.0.2.10"]),
        ("v=spf1 mx/30 mx:example.org/30 -all", ["192.0.2.131", "192.0.2.143"], ["192.0.2.132"]),
        ("v=spf1 ptr -all", ["192.0.2.10", "192.0.2.65"], ["192.0.2.66", "192.0.2.140"]),
        ("v=spf1 ip4:192.0.2.128/28 -all", ["192.0.2.129", "192.0.2.140"], ["192.0.2.65"]),
    ],
)
def test_the_examples_of_the_rfc(record: str, passes: list[str], fails: list[str]) -> None:
    world = {**ZONE, ("example.com", "TXT"): [record]}
    assert [evaluated(world, ip, "example.com").result for ip in passes] == ["pass"] * len(passes)
    assert [evaluated(world, ip, "example.com").result for ip in fails] == ["fail"] * len(fails)


@pytest.mark.parametrize(
    ("macro", "expanded"),
    [  # section 7.4; the sender is strong-bad@email.example.com
        ("%{s}.x", "strong-bad@email.example.com.x"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}.x", "strong-bad.x"),
        ("%{l-}.x", "strong.bad.x"),
        ("%{lr-}.x", "bad.strong.x"),
        ("%{l1r-}.x", "strong.x"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
    ],
)
def test_macros(macro: str, expanded: str) -> None:
    world: World = {
        ("email.example.com", "TXT"): [f"v=spf1 exists:{macro} -all"],
        (expanded, "A"): ["127.0.0.2"],
    }
    found = evaluated(
        world, "192.0.2.3", "email.example.com", sender="strong-bad@email.example.com"
    )
    assert found.result is Result.PASS


def test_ipv6_macros() -> None:
    name = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
    world: World = {
        ("example.com", "TXT"): ["v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all"],
        (name, "A"): ["127.0.0.2"],
    }
    assert evaluated(world, "2001:db8::cb01", "example.com").result is Result.PASS


@pytest.mark.parametrize(
    ("records", "result"),
    [
        ([], Result.NONE),
        (["v=spf10 -all"], Result.NONE),
        (["v=spf1"], Result.NEUTRAL),
        (["V=SPF1 -ALL"], Result.FAIL),
        (["v=spf1 -all", "v=spf1 ~all"], Result.PERMERROR),
        (["something else", "v=spf1 ~all"], Result.SOFTFAIL),
        (["v=spf1 ?all"], Result.NEUTRAL),
        (["v=spf1 ipv4:1.2.3.4 -all"], Result.PERMERROR),
        (["v=spf1 ip4:1.2.3 -all"], Result.PERMERROR),
        (["v=spf1 ip4:1.2.3.4/33 -all"], Result.PERMERROR),
        (["v=spf1 ip4:1.2.3.4/08 -all"], Result.PERMERROR),
        (["v=spf1 a:/24 -all"], Result.PERMERROR),
        (["v=spf1 a/33 -all"], Result.PERMERROR),
        (["v=spf1 include -all"], Result.PERMERROR),
        (["v=spf1 include:none.example -all"], Result.PERMERROR),
        (["v=spf1 include:fails.example -all"], Result.TEMPERROR),
        (["v=spf1 redirect=none.example"], Result.PERMERROR),
        (["v=spf1 redirect=a.b redirect=a.b"], Result.PERMERROR),
        (["v=spf1 all redirect=none.example"], Result.PASS),
        (["v=spf1 unknown=fine -all"], Result.FAIL),
        (["v=spf1 -all:x"], Result.PERMERROR),
        (["v=spf1 exists:%{x}.example -all"], Result.PERMERROR),
        (["v=spf1 exists:%(d).example -all"], Result.PERMERROR),
        (["v=spf1 +all -nonsense"], Result.PERMERROR),
    ],
)
def test_records(records: list[str], result: Result) -> None:
    assert evaluated({("d.example", "TXT"): records}, "192.0.2.1", "d.example").result is result


def test_limits() -> None:
    chain: dict[tuple[str, str], Sequence[str]] = {
        (f"c{n}.example", "TXT"): [f"v=spf1 include:c{n + 1}.example ?all"] for n in range(12)
    }
    chain["c10.example", "TXT"] = ["v=spf1 -all"]
    found = evaluated(chain, "192.0.2.1", "c0.example")
    assert (found.result, found.lookups) == (Result.NEUTRAL, 10)
    found = evaluated(
        {**chain, ("c10.example", "TXT"): ["v=spf1 a -all"], ("c10.example", "A"): ["1.2.3.4"]},
        *("192.0.2.1", "c0.example"),
    )
    assert (found.result, found.lookups) == (Result.PERMERROR, 11)
    assert "more than 10 terms" in found.why
    loop: World = {("d.example", "TXT"): ["v=spf1 include:d.example -all"]}
    assert evaluated(loop, "192.0.2.1", "d.example").result is Result.PERMERROR
    void: World = {("d.example", "TXT"): ["v=spf1 a:x.y a:y.z -all"]}
    assert evaluated(void, "192.0.2.1", "d.example").result is Result.FAIL
    void = {("d.example", "TXT"): ["v=spf1 a:x.y a:y.z a:z.x -all"]}
    assert evaluated(void, "192.0.2.1", "d.example").result is Result.PERMERROR
    many: World = {
        ("d.example", "TXT"): ["v=spf1 mx -all"],
        ("d.example", "MX"): [f"{n} m{n}.example" for n in range(11)],
    }
    assert evaluated(many, "192.0.2.1", "d.example").result is Result.PERMERROR


# --- pyspf ----------------------------------------------------------------------------------------

NAMES = [f"{one}.example" for one in "abcd"]
ADDRESSES = ["192.0.2.1", "192.0.2.77", "198.51.100.9", "2001:db8::1"]


@contextmanager
def dns_of(world: World) -> Iterator[None]:
    """Let pyspf see the same world."""

    def lookup(name: str, kind: str, *_: object, **__: object) -> list[Any]:
        values = world.get((name.rstrip(".").lower(), kind), ())
        found: list[Any] = []
        for value in values:
            data: Any = value
            if kind in {"TXT", "SPF"}:
                data = (value.encode(),)
            elif kind == "MX":
                preference, host = value.split(" ")
                data = (int(preference), host)
            elif kind == "AAAA":
                data = socket.inet_pton(socket.AF_INET6, value)
            found.append(((name, kind), data))
        return found

    before, pyspf.DNSLookup = pyspf.DNSLookup, lookup
    try:
        yield
    finally:
        pyspf.DNSLookup = before


def terms() -> st.SearchStrategy[str]:
    name = st.sampled_from(NAMES)
    length = st.sampled_from(["", "/24", "/31", "//64", "/24//48", "/33"])
    sign = st.sampled_from(["", "+", "-", "~", "?"])
    body = st.one_of(
        st.just("all"),
        st.builds("ip4:{}".format, st.sampled_from(["192.0.2.0/24", "192.0.2.1", "1.2.3.4/33"])),
        st.builds("ip6:{}".format, st.sampled_from(["2001:db8::/32", "2001:db8::1", "::1/129"])),
        st.builds("a{}".format, length),
        st.builds("a:{}{}".format, name, length),
        st.builds("mx{}".format, length),
        st.builds("mx:{}{}".format, name, length),
        st.builds("include:{}".format, name),
        st.builds("exists:{}".format, name),
        st.sampled_from(["exists:%{ir}.%{d}", "exists:%{l}.%{d2}", "bogus", "ip4:x", "a:"]),
    )
    return st.builds("{}{}".format, sign, body)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    world: dict[tuple[str, str], Sequence[str]] = {}
    for name in NAMES:
        # Everything has addresses and exchangers: what counts as a void lookup inside `mx` is
        # left open by the RFC.
        world[name, "A"] = draw(st.lists(st.sampled_from(ADDRESSES[:3]), min_size=1, max_size=2))
        world[name, "AAAA"] = ["2001:db8::1"]
        world[name, "MX"] = [f"10 {draw(st.sampled_from(NAMES))}"]
        chosen = draw(st.lists(terms(), max_size=4))
        redirect = draw(st.sampled_from(["", *(f" redirect={one}" for one in NAMES)]))
        if draw(st.integers(0, 9)):
            world[name, "TXT"] = [f"v=spf1 {' '.join(chosen)}{redirect}".rstrip()]
    return world


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds(), st.sampled_from(ADDRESSES))
def test_pyspf_comes_to_the_same(world: World, ip: str) -> None:
    mine = evaluated(world, ip, "a.example", sender="me@a.example", helo="h.example")
    if "find nothing" in mine.why:
        return
    with dns_of(world):
        theirs, _, why = pyspf.query(i=ip, s="me@a.example", h="h.example", strict=True).check()
    if "recursion" in why:  # pyspf refuses what includes itself before it comes to that
        return
    assert mine.result == theirs, (world, mine)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_record_has_a_result(text: str) -> None:
    evaluated({("d.example", "TXT"): [f"v=spf1 {text}"]}, "192.0.2.1", "d.example")
