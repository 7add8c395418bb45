"""The demo's world: big enough, the same every time, and of one mind with its own DNS."""

import asyncio
import csv
import io
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import dns.asyncresolver
import pytest

from ekiden.config import load
from ekiden.dkim.keys import load_key, record_text
from ekiden.errors import UnavailableError
from ekiden.sink.behaviours import BEHAVIOURS, behaviour_of
from ekiden.sink.demo import DemoWorld, drop_campaign, make_demo, verdict
from ekiden.sink.profiles import GENERIC, Profiles, load_profiles, reply_lines
from ekiden.sink.world import (
    SENDER_DOMAIN,
    World,
    ascii_domain,
    build_world,
    many_loopbacks,
    quoted,
)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(2525)


def destination(address: str) -> str:
    return ascii_domain(address.rpartition("@")[2])


def test_it_is_as_large_as_promised(world: World) -> None:
    addresses = [person.address for person in world.recipients]
    assert len(set(addresses)) == len(addresses) == 2000
    used = {destination(address) for address in addresses}
    assert used == set(world.destinations)
    assert len(used) >= 60
    assert len({world.provider_of(one) for one in used}) >= 8
    assert world.provider_of("elsewhere.test") == "-"


def test_it_is_the_same_every_time(world: World) -> None:
    assert build_world(2525) == world
    few = build_world(2525, recipients=50)
    assert len(few.recipients) == 50


def test_most_people_just_work_and_every_oddity_is_a_behaviour(world: World) -> None:
    kinds = Counter(person.behaviour for person in world.recipients)
    assert kinds["success"] / 2000 > 0.85
    assert set(kinds) <= set(BEHAVIOURS)
    for person in world.recipients:
        assert behaviour_of(person.address.rpartition("@")[0]).name == person.behaviour
    # Waiting for these would keep the demo from ending.
    assert not {"disconnect", "reset", "drop-after-dot", "endless", "malformed"} & set(kinds)


def test_providers_are_interleaved(world: World) -> None:
    names = [world.provider_of(destination(one.address)) for one in world.recipients[:-8]]
    runs = Counter[int]()
    length = 1
    for before, after in pairwise(names):
        length = length + 1 if before == after else 1
        runs[length] += 1
    assert max(runs) <= 2


def test_domains_of_one_provider_share_its_exchangers(world: World) -> None:
    exchangers = {
        tuple(world.records[one]["MX"]) for one in ("sakura-books.example", "gmail.demo.test")
    }
    assert len(exchangers) == 1
    assert len(next(iter(exchangers))) == 3
    places = {place.host: place.profile for place in world.places}
    for name, types in world.records.items():
        for line in types.get("MX", ()):
            host = line.split()[1].rstrip(".")
            if not host or host.startswith("down."):
                continue
            (address,) = world.records[host]["A"]
            expected = world.providers.get(name, GENERIC)
            if name != SENDER_DOMAIN:
                assert places[address] == expected


def test_without_spread_everybody_is_at_one_address() -> None:
    small = build_world(2525, recipients=10, spread=False)
    assert [(place.host, place.profile) for place in small.places] == [("127.0.0.1", "")]
    assert small.records["mx.u-hokuto.example"]["A"] == ["127.0.0.1"]


def test_every_profile_has_all_its_words_and_they_can_be_said() -> None:
    profiles = load_profiles()
    occasions = set(profiles[GENERIC].replies)
    used = {behaviour.words for behaviour in BEHAVIOURS.values()}
    assert used <= occasions
    names = ["recipient", "domain", "sender", "sender_domain", "peer", "host"]
    names += ["seconds", "size", "queue_id"]
    for profile in profiles.values():
        assert set(profile.replies) >= occasions
        assert profile.source
        for occasion, words in profile.replies.items():
            said = reply_lines(words.reply.format(**dict.fromkeys(names, "x")))
            assert words.source
            for line in said.decode("ascii").split("\r\n")[:-1]:
                assert line[:3] == said[:3].decode()
                assert len(line) <= 510, (profile.name, occasion)


def test_profiles_are_found_by_domain() -> None:
    profiles = Profiles(load_profiles(), {"company.example": "gmail"})
    for domain, name in (
        ("gmail.com", "gmail"),
        ("GMAIL.com", "gmail"),
        ("company.example", "gmail"),
        ("i.softbank.jp", "softbank"),
        ("blue.ocn.ne.jp", "ocn"),
        ("yahoo.co.jp", "yahoo-jp"),
        ("yahoo.com", "yahoo"),
        ("notgmail.com", GENERIC),
        ("", GENERIC),
    ):
        assert profiles.of(domain).name == name
        assert profiles.of(domain) is profiles.of(domain)


def test_long_records_are_split() -> None:
    assert quoted("x" * 300) == f'"{"x" * 255}" "{"x" * 45}"'


async def test_a_demo_can_be_made_started_and_judged(tmp_path: Path) -> None:
    demo = await asyncio.to_thread(make_demo, tmp_path / "run", recipients=60)
    config = load(demo.config)
    assert [key.selector for key in config.dkim.keys] == ["demo-rsa", "demo-ed"]
    assert config.delivery.allow_networks
    limits = {site.mx: site for site in config.limits.sites}
    assert limits["*.docomo.demo.test"].max_sessions == 4
    assert len(limits) == 11
    assert drop_campaign(demo) == "december-newsletter"
    job = tomllib.loads(
        (demo.spool / "new" / "december-newsletter" / "job.toml").read_text("utf-8")
    )
    rows = (demo.spool / "new" / "december-newsletter" / job["recipients"]).read_bytes()
    read = list(csv.DictReader(io.StringIO(rows.decode("utf-8-sig"), newline="")))
    assert [row["address"] for row in read] == [one.address for one in demo.world.recipients]
    assert {row["language"] for row in read} == {"ja", "en"}
    async with DemoWorld(demo) as running:
        client = dns.asyncresolver.Resolver(configure=False)
        client.nameservers, client.port = [demo.host], demo.dns_port
        for key in config.dkim.keys:
            made = load_key(key.file, key.domain, key.selector)
            (text,) = await client.resolve(made.record_name, "TXT")
            assert b"".join(text.strings).decode() == record_text(made)
        place = demo.world.places[0]
        reader, writer = await asyncio.open_connection(place.host, place.port)
        assert (await reader.readline()).startswith(b"220 ")
        writer.close()
        assert running.counts
    states = [(person.address, "bounced") for person in demo.world.recipients]
    assert verdict(demo, states) == []
    assert "60" in str(verdict(demo, [])[-1])
    with pytest.raises(UnavailableError, match="not empty"):
        make_demo(tmp_path / "run")


def test_this_machine_knows_its_loopback() -> None:
    assert many_loopbacks() in {True, False}
