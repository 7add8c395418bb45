"""Sender checks over a DNS server: a world where all is well, and one fault at a time."""

import asyncio
import ipaddress
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dkim_oracle import verdicts
from ekiden.check.domains import CheckedDomain, judge_domain
from ekiden.check.model import Finding, Level
from ekiden.check.resolve import Resolver, run
from ekiden.check.signatures import signature_verifies
from ekiden.check.sources import CheckedSource, judge_source
from ekiden.config import load
from ekiden.dkim.keys import Algorithm, generate, record_text
from ekiden.duties.preflight import Watch
from ekiden.sink.dns import DnsOptions, DnsServer, Fault
from stage import SENDER, Stage

KEY = generate("shop.example", "s1", Algorithm.RSA)
FOUR = CheckedSource("a1", ipaddress.ip_address("93.184.216.34"), "a1.mail.example")
SIX = CheckedSource("a6", ipaddress.ip_address("2606:2800::25"), "a6.mail.example")
LIST = "bl.example"
World = dict[str, dict[str, Sequence[str]]]


def txt(text: str) -> list[str]:
    return [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))]


def well() -> World:
    return {
        "34.216.184.93.in-addr.arpa": {"PTR": ["a1.mail.example."]},
        SIX.address.reverse_pointer: {"PTR": ["a6.mail.example."]},
        "a1.mail.example": {"A": ["93.184.216.34"]},
        "a6.mail.example": {"AAAA": ["2606:2800::25"]},
        "shop.example": {
            "MX": ["10 mx.shop.example."],
            "TXT": ['"v=spf1 ip4:93.184.216.34 ip6:2606:2800::25 -all"'],
        },
        "back.shop.example": {
            "MX": ["10 a1.mail.example."],
            "TXT": ['"v=spf1 redirect=shop.example"'],
        },
        "s1._domainkey.shop.example": {"TXT": txt(record_text(KEY))},
        "_dmarc.shop.example": {"TXT": ['"v=DMARC1; p=quarantine; rua=mailto:d@shop.example"']},
        "_mta-sts.shop.example": {"TXT": ['"v=STSv1; id=1"']},
        "_smtp._tls.shop.example": {"TXT": ['"v=TLSRPTv1; rua=mailto:t@shop.example"']},
        f"1.0.0.127.{LIST}": {"A": ["127.0.0.2"]},
    }


async def found(
    world: World, faults: Mapping[str, Fault] | None = None, **domain: Any
) -> dict[tuple[str, str], Finding]:
    options = DnsOptions(records=world, host="127.0.0.1", faults=faults or {})
    async with DnsServer(options) as server:
        resolver = Resolver([server.address], 1.0)
        checked = CheckedDomain(
            **{
                "name": "shop.example",
                "sources": (FOUR, SIX),
                "keys": (KEY,),
                "return_domain": "back.shop.example",
                "now": 1_700_000_000.0,
                **domain,
            }
        )
        parts = await asyncio.gather(
            run(judge_source(FOUR, [LIST]), resolver),
            run(judge_source(SIX, [LIST]), resolver),
            run(judge_domain(checked), resolver),
        )
    return {(one.subject.partition(" ")[0], one.check): one for part in parts for one in part}


async def test_all_is_well() -> None:
    told = await found(well())
    assert {one.level for one in told.values()} == {Level.PASS, Level.INFO}
    assert told["a1", "ptr"].what == "the PTR record is a1.mail.example"
    assert told["a1", f"dnsbl {LIST}"].level is Level.PASS
    assert told["shop.example", "dkim s1"].what.startswith("a signed test message verifies")
    assert told["shop.example", "alignment"].level is Level.PASS
    assert told["back.shop.example", "return-path"].level is Level.PASS


OTHER = generate("shop.example", "s1", Algorithm.RSA)


@pytest.mark.parametrize(
    ("name", "records", "subject", "check", "level", "words"),
    [
        ("34.216.184.93.in-addr.arpa", None, "a1", "ptr", "fail", "no PTR"),
        (
            *("34.216.184.93.in-addr.arpa", {"PTR": ["x.mail.example.", "a1.mail.example."]}),
            *("a1", "ptr", "warn", "2 PTR records"),
        ),
        (
            *("34.216.184.93.in-addr.arpa", {"PTR": ["93-184-216-34.isp.example."]}),
            *("a1", "ptr", "warn", "dial-up"),
        ),
        (
            *("34.216.184.93.in-addr.arpa", {"PTR": ["other.mail.example."]}),
            *("a1", "fcrdns", "fail", "does not lead back"),
        ),
        ("a1.mail.example", {"A": ["93.184.216.35"]}, "a1", "ehlo", "fail", "leads to 93."),
        ("a6.mail.example", None, "a6", "ehlo", "fail", "leads nowhere"),
        (
            *(f"34.216.184.93.{LIST}", {"A": ["127.0.0.4"], "TXT": ['"Spam trap hit"']}),
            *("a1", f"dnsbl {LIST}", "fail", "listed (127.0.0.4): Spam trap hit"),
        ),
        (
            *(f"34.216.184.93.{LIST}", {"A": ["127.255.255.254"]}),
            *("a1", f"dnsbl {LIST}", "unknown", "does not answer this resolver"),
        ),
        ("shop.example", {"MX": ["0 ."]}, "shop.example", "mx", "fail", "null MX"),
        ("shop.example", {"A": ["93.184.216.9"]}, "shop.example", "mx", "warn", "no MX"),
        ("shop.example", None, "shop.example", "mx", "fail", "neither MX nor address"),
        (
            *("shop.example", {"MX": ["1 m.x."], "TXT": ['"v=spf1 ip4:93.184.216.34 ~all"']}),
            *("shop.example", "spf", "fail", "softfail for a6"),
        ),
        (
            *("shop.example", {"MX": ["1 m.x."], "TXT": ['"v=spf1 bogus -all"']}),
            *("shop.example", "spf", "fail", "permerror"),
        ),
        ("back.shop.example", None, "back.shop.example", "return-path", "fail", "no MX"),
        ("s1._domainkey.shop.example", None, "shop.example", "dkim s1", "fail", "no key"),
        (
            *("s1._domainkey.shop.example", {"TXT": txt(record_text(OTHER))}),
            *("shop.example", "dkim s1", "fail", "another private key"),
        ),
        (
            *("s1._domainkey.shop.example", {"TXT": ['"v=DKIM1; p="']}),
            *("shop.example", "dkim s1", "fail", "revoked"),
        ),
        ("_dmarc.shop.example", None, "shop.example", "dmarc", "fail", "no DMARC"),
        (
            *("_dmarc.shop.example", {"TXT": ['"v=DMARC1; p=maybe"']}),
            *("shop.example", "dmarc", "fail", "'maybe'"),
        ),
        (
            *("_dmarc.shop.example", {"TXT": ['"v=DMARC1; p=none"', '"v=DMARC1; p=reject"']}),
            *("shop.example", "dmarc", "fail", "2 policies"),
        ),
        (
            *("_dmarc.shop.example", {"TXT": ['"v=DMARC1; p=none"']}),
            *("shop.example", "dmarc-reports", "info", "rua"),
        ),
        (
            *("_dmarc.shop.example", {"TXT": ['"v=DMARC1; p=none; aspf=s; rua=mailto:a@b.c"']}),
            *("shop.example", "alignment", "warn", "DKIM alone"),
        ),
        ("_mta-sts.shop.example", None, "shop.example", "mta-sts", "info", "no MTA-STS"),
    ],
)
async def test_one_fault(  # noqa: PLR0917 - a table
    name: str,
    records: dict[str, Sequence[str]] | None,
    subject: str,
    check: str,
    level: str,
    words: str,
) -> None:
    world = well()
    world.pop(name, None)
    if records is not None:
        world[name] = records
    told = (await found(world))[subject, check]
    assert told.level == level, told
    assert words in told.what
    if level == "fail":
        assert told.remedy
        assert told.source


async def test_what_dns_does_not_say_is_no_fault() -> None:
    told = await found(well(), {"shop.example": Fault.SERVFAIL, "a1.mail.example": Fault.SERVFAIL})
    assert told["shop.example", "mx"].level is Level.UNKNOWN
    assert told["shop.example", "spf"].level is Level.UNKNOWN
    assert told["a1", "fcrdns"].level is Level.UNKNOWN
    assert not [one for one in told.values() if one.level is Level.FAIL]


async def test_a_policy_of_the_domain_above_holds_below() -> None:
    world = well()
    world["_dmarc.shop.example"] = {"TXT": ['"v=DMARC1; p=reject; sp=none; rua=mailto:a@b.c"']}
    told = await found(world, name="news.shop.example", keys=())
    assert told["news.shop.example", "dmarc"].what == "p=none, published at shop.example"
    assert told["news.shop.example", "alignment"].what.startswith("DMARC passes by SPF alone")
    assert told["news.shop.example", "dkim"].level is Level.FAIL


async def test_nothing_aligned_is_a_failure() -> None:
    world = well()
    world["back.other.example"] = world.pop("back.shop.example")
    told = await found(world, return_domain="back.other.example", keys=())
    assert told["shop.example", "alignment"].level is Level.FAIL


async def test_many_lookups_are_warned_about() -> None:
    world = well()
    for n in range(9):
        rest = f"include:i{n + 1}.example" if n < 8 else "ip4:93.184.216.34 ip6:2606:2800::25"
        world[f"i{n}.example"] = {"TXT": [f'"v=spf1 {rest} -all"']}
    world["shop.example"] = {"MX": ["1 m.x."], "TXT": ['"v=spf1 include:i0.example -all"']}
    told = (await found(world, return_domain=""))["shop.example", "spf"]
    assert (told.level, "9 of the 10" in told.what) == (Level.WARN, True)


async def test_a_private_address_says_so() -> None:
    inside = CheckedSource("in", ipaddress.ip_address("10.0.0.1"), "a.example")
    async with DnsServer(DnsOptions(records={}, host="127.0.0.1")) as server:
        (told,) = await run(judge_source(inside), Resolver([server.address], 1.0))
        assert not server.asked
    assert "NAT" in told.what


def test_dkimpy_judges_what_is_published() -> None:
    assert signature_verifies(KEY, "shop.example", record_text(KEY), 1_700_000_000.0) is True
    assert signature_verifies(KEY, "shop.example", record_text(OTHER), 1_700_000_000.0) is False
    assert signature_verifies(KEY, "shop.example", "nonsense", 1_700_000_000.0) is False
    assert verdicts(b"", []) == []  # the oracle lends dkimpy what it needs for Ed25519


async def ekiden(config: Path, *words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ekiden", *words, "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def configured(tmp_path: Path) -> Stage:
    stage = Stage(
        tmp_path / "s",
        extra='[[source]]\nname = "a1"\naddress = "93.184.216.34"\nehlo = "a1.mail.example"\n',
    )
    stage.write()
    return stage


def impatient(stage: Stage) -> None:
    """Wait for a DNS that is not there for a moment only, at each question."""
    text = stage.config.read_text()
    stage.config.write_text(text.replace('timeout = "2s"', 'timeout = "100ms"'))


def records_of(stage: Stage) -> World:
    world = well()
    for key in stage.keys():  # noqa: SIM118 - a method of the stage
        world[key.record_name] = {"TXT": txt(record_text(key))}
    world[SENDER] = {"MX": ["1 mx.x."], "TXT": ['"v=spf1 ip4:93.184.216.34 -all"']}
    world[f"_dmarc.{SENDER}"] = {"TXT": ['"v=DMARC1; p=none"']}
    return world


async def test_the_command(tmp_path: Path) -> None:
    stage = configured(tmp_path)
    world = records_of(stage)
    options = DnsOptions(records=world, host="127.0.0.1", port=stage.dns_port)
    async with DnsServer(options):
        code, told = await ekiden(stage.config, "check")
        assert (code, told) == (0, "")
        code, told = await ekiden(stage.config, "check", "--all", SENDER)
        assert code == 0
        assert {line.split("\t")[0] for line in told.splitlines()} == {"pass", "info"}
        assert "dkim rsa" in told
        assert (await ekiden(stage.config, "check", "nobody"))[0] == 3
    world["34.216.184.93.in-addr.arpa"] = {"PTR": ["other.example."]}
    async with DnsServer(options):
        code, told = await ekiden(stage.config, "check", "a1", "--json")
        assert code == 1
        failing = [one for one in json.loads(told) if one["level"] == "fail"]
        assert [one["check"] for one in failing] == ["fcrdns"]
        assert "a1.mail.example" in failing[0]["remedy"]
    impatient(stage)
    assert (await ekiden(stage.config, "check", SENDER))[0] == 4


async def test_the_daemon_tells_once_what_has_become_bad(tmp_path: Path) -> None:
    stage = configured(tmp_path)
    world = records_of(stage)
    told: list[tuple[str, str]] = []

    async def tell(scope: str, detail: str) -> None:
        told.append((scope, detail))

    watch = Watch(lambda: load(stage.config), now=lambda: 1_700_000_000.0, tell=tell)
    options = DnsOptions(records=world, host="127.0.0.1", port=stage.dns_port)
    dmarc = world.pop(f"_dmarc.{SENDER}")
    for _ in range(2):
        async with DnsServer(options):
            await watch.round()
    assert [scope for scope, _ in told] == [f"check:{SENDER}"]
    assert "_dmarc" in told[0][1]
    patient = stage.config.read_text()
    impatient(stage)
    await watch.round()  # no DNS at all: nothing is known, and nothing is said
    stage.config.write_text(patient)
    assert len(told) == 1
    world[f"_dmarc.{SENDER}"] = dmarc
    async with DnsServer(options):
        await watch.round()
    assert watch.failing == ()
    del world[f"_dmarc.{SENDER}"]
    async with DnsServer(options):
        await watch.round()
    assert len(told) == 2
