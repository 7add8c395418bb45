"""The DNS server, asked by dnspython's own client over UDP and TCP."""

import asyncio

import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import pytest

from ekiden.errors import UnavailableError
from ekiden.sink.dns import DnsOptions, DnsServer, Fault

RECORDS = {
    "a.test": {"MX": ["10 mx1.a.test.", "20 mx2.a.test."], "TXT": ['"v=spf1 -all"']},
    "mx1.a.test": {"A": ["127.0.10.1"], "AAAA": ["::1"]},
    "mx2.a.test": {"A": ["127.0.10.2"]},
    "null.test": {"MX": ["0 ."]},
    "www.b.test": {"CNAME": ["a.test."]},
    "loop.test": {"CNAME": ["loop.test."]},
    "big.test": {"TXT": [f'"{number:03d}{"x" * 200}"' for number in range(20)]},
}
FAULTS = {
    "servfail.test": Fault.SERVFAIL,
    "refused.test": Fault.REFUSED,
    "silent.test": Fault.SILENT,
    "slow.test": Fault.SLOW,
    "cut.test": Fault.TRUNCATED,
    "garbage.test": Fault.GARBAGE,
}


def server() -> DnsServer:
    records = {**RECORDS, "slow.test": {"A": ["127.0.0.1"]}, "cut.test": {"A": ["127.0.0.1"]}}
    return DnsServer(DnsOptions(records=records, faults=FAULTS, slow=0.01))


def resolver(address: tuple[str, int]) -> dns.asyncresolver.Resolver:
    made = dns.asyncresolver.Resolver(configure=False)
    made.nameservers, made.port = [address[0]], address[1]
    made.lifetime, made.timeout = 2.0, 1.0
    return made


async def ask(made: DnsServer, name: str, kind: str) -> dns.message.Message:
    host, port = made.address
    query = dns.message.make_query(name, kind, use_edns=False)
    return await dns.asyncquery.udp(query, host, port=port, timeout=0.2)


async def test_answers() -> None:
    async with server() as made:
        client = resolver(made.address)
        found = await client.resolve("A.test", "MX")
        assert sorted(str(one).casefold() for one in found) == ["10 mx1.a.test.", "20 mx2.a.test."]
        assert str((await client.resolve("mx1.a.test", "AAAA"))[0]) == "::1"
        assert str((await client.resolve("null.test", "MX"))[0]) == "0 ."
        alias = await client.resolve("www.b.test", "MX")
        assert str(alias.canonical_name) == "a.test."
        assert len(alias) == 2
        assert made.asked == {
            "a.test MX": 1,
            "mx1.a.test AAAA": 1,
            "null.test MX": 1,
            "www.b.test MX": 1,
        }


async def test_what_is_not_there() -> None:
    async with server() as made:
        client = resolver(made.address)
        with pytest.raises(dns.resolver.NXDOMAIN):
            await client.resolve("nobody.test", "MX")
        with pytest.raises(dns.resolver.NoAnswer):
            await client.resolve("mx2.a.test", "MX")
        with pytest.raises(dns.resolver.NoAnswer):  # empty, but b.test has www below it
            await client.resolve("b.test", "MX")
        missing = await ask(made, "nobody.test", "MX")
        assert missing.flags & dns.flags.AA
        assert missing.authority[0].rdtype.name == "SOA"
        loop = await ask(made, "loop.test", "MX")
        assert 1 <= len(loop.answer) <= 8


@pytest.mark.parametrize(
    ("name", "rcode"),
    [("servfail.test", dns.rcode.SERVFAIL), ("refused.test", dns.rcode.REFUSED)],
)
async def test_failing_names(name: str, rcode: dns.rcode.Rcode) -> None:
    async with server() as made:
        assert (await ask(made, name, "MX")).rcode() == rcode


async def test_silence_garbage_and_slowness() -> None:
    async with server() as made:
        with pytest.raises(dns.exception.Timeout):
            await ask(made, "silent.test", "MX")
        with pytest.raises(dns.exception.DNSException):
            await ask(made, "garbage.test", "MX")
        assert (await ask(made, "slow.test", "A")).answer


async def test_truncated_answers_are_whole_over_tcp() -> None:
    async with server() as made:
        for name, kind, count in (("cut.test", "A", 1), ("big.test", "TXT", 20)):
            answer = await ask(made, name, kind)
            assert answer.flags & dns.flags.TC
            assert len(await resolver(made.address).resolve(name, kind)) == count
        assert made.over_tcp == 2


async def test_nonsense_is_not_answered_and_does_no_harm() -> None:
    async with server() as made:
        host, port = made.address
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"\x00\x03abc")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(host, port)
        )
        transport.sendto(b"")
        transport.sendto(b"\xff" * 600)
        assert (await ask(made, "a.test", "MX")).answer
        transport.close()


async def test_a_taken_port_is_told() -> None:
    async with server() as made:
        taken = DnsServer(DnsOptions(port=made.address[1]))
        with pytest.raises(UnavailableError, match="cannot listen"):
            await taken.start()
