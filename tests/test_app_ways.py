"""Other ways out than an MX over IPv4: a smarthost with AUTH, IPv6 from end to end; a full disk."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.sink.dns import DnsOptions, DnsServer
from ekiden.sink.record import read_record
from ekiden.sink.server import Place, Sink, SinkOptions
from foreign import exim
from own_network import own_network
from stage import Stage
from test_app_delivery import daemon, sent, until

SMARTHOST = """
[[route]]
pattern = "*"
host = "127.0.1.1"
port = {port}
user = "mailer"
password_file = "relay.password"
tls = "required"
"""


async def test_a_smarthost_takes_all_mail_once_the_password_is_right(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=4)
    secret = stage.directory / "relay.password"
    stage.write()
    stage.config.write_text(stage.config.read_text() + SMARTHOST.format(port=stage.port))
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    people = [f"p{n}@{stage.destination(n)}" for n in range(20)] + ["unknown1@d1.example"]
    async with exim(port=stage.port, user="mailer", password="right") as server:
        async with daemon(stage) as app:
            stage.drop("news", people)
            await until(lambda: "535" in app.live.why("d0.example"))
            assert not await app.base.suppressions.contains("p0@d0.example")
            secret.write_text("right\n")
            app.reload()
            await until(stage.result("news").exists)
            assert await app.base.suppressions.contains("unknown1@d1.example")
        assert len(await server.arrived(20)) == 20
        assert "A=plain:mailer" in server.log
        assert "P=esmtpsa" in server.log
    fates = {one: fate for one, fate, _ in stage.fates("news")}
    assert fates.pop("unknown1@d1.example") == "bounced"
    assert set(fates.values()) == {"delivered"}


@pytest.fixture
def two_addresses() -> Iterator[tuple[str, str]]:
    """A network in which we have one IPv6 address and the receiver another."""
    ours, theirs = "fd00::7", "fd00::25"
    with own_network([ours, theirs]):
        yield ours, theirs


async def test_ipv6_from_source_to_receiver(two_addresses: tuple[str, str], tmp_path: Path) -> None:
    ours, theirs = two_addresses
    stage = Stage(
        tmp_path / "s",
        destinations=2,
        sites=1,
        extra=f'[[source]]\nname = "six"\naddress = "{ours}"\nehlo = "six.stage.example"\n',
    )
    stage.write()
    config = stage.config.read_text()
    stage.config.write_text(config.replace('["127.0.0.0/8"]', '["fd00::/64"]'))
    records = {
        "d0.example": {"MX": ["10 mx.s0.example."]},
        "d1.example": {"AAAA": [theirs]},  # no MX: the address itself (RFC 5321 section 5.1)
        "mx.s0.example": {"AAAA": [theirs]},
    }
    names = DnsServer(DnsOptions(records=records, host="127.0.0.1", port=stage.dns_port))
    places = [Place(host=theirs, port=stage.port, site="s0")]
    sink = Sink(SinkOptions(places=places, record=stage.record, tls=False))
    async with sink, names, daemon(stage):
        stage.drop("news", ["success+1@d0.example", "success+2@d1.example"])
        await until(stage.result("news").exists)
    assert [fate for _, fate, _ in stage.fates("news")] == ["delivered"] * 2
    lines = list(read_record(stage.record))
    assert {line.peer.rpartition(":")[0] for line in lines} == {ours}
    assert {line.ehlo for line in lines} == {"six.stage.example"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


async def test_a_full_disk_stops_all_and_costs_nothing(small_disk: Path, tmp_path: Path) -> None:
    stage = Stage(small_disk / "s", destinations=4, sites=2)
    stage.write()
    people = [f"success+{n}@{stage.destination(n)}" for n in range(200)]
    record = tmp_path / "record.jsonl"  # the receiver has a disk of its own
    stage.record.symlink_to(record)
    async with stage.receivers(), stage.dns():
        async with daemon(stage) as app:
            stage.drop("news", people, pace="40 per 1s")
            await until(lambda: sent(stage) >= 40)
            filler = small_disk / "filler"
            fill(filler)
            await until(lambda: app.live.engine().trouble != "")
            filler.unlink()
            await until(lambda: app.live.engine().trouble == "")
            fill(filler)
            await until(lambda: app.live.engine().trouble != "")
        filler.unlink()  # the daemon has ended on the full disk; the next one goes on
        async with daemon(stage):
            await until(stage.result("news").exists)
    assert [fate for _, fate, _ in stage.fates("news")] == ["delivered"] * 200
    assert stage.disagreements("news") == []


def fill(file: Path) -> None:
    """Take all that is left of the disk."""
    with file.open("wb", buffering=0) as out:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    out.write(b"x" * size)
            except OSError:
                continue
