"""`ekiden dkim`: keys are made private, shown as records, and compared with DNS."""

import stat
from pathlib import Path

import pytest

from commands import Run, beside, runner
from ekiden.sink.dns import DnsOptions, DnsServer, Fault

NAME = "s1._domainkey.example.com"


@pytest.fixture
def ekiden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EKIDEN_CONFIG", raising=False)
    return runner(monkeypatch, capsys)


def configure(nameserver: str = "") -> None:
    dns = f'[dns]\nnameservers = ["{nameserver}"]\ntimeout = "1s"\n' if nameserver else ""
    Path("config.toml").write_text(
        f'{dns}[[dkim.key]]\ndomain = "example.com"\nselector = "s1"\n'
        'file = "dkim/example.com.s1.pem"\n',
        encoding="utf-8",
    )


def test_a_new_key(ekiden: Run) -> None:
    result = ekiden(
        "dkim", "keygen", "--domain", "Example.COM", "--selector", "s1", "-t", "ed25519"
    )
    assert result.code == 0
    path = Path("dkim/example.com.s1.pem")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert result.out.startswith(f'{NAME}. IN TXT ( "v=DKIM1; k=ed25519; p=')
    assert 'file = "dkim/example.com.s1.pem"' in result.err
    configure()
    assert ekiden("dkim", "show").out == result.out
    again = ekiden("dkim", "keygen", "-d", "example.com", "-s", "s1")
    assert again.code == 1
    assert "a key in use is not overwritten" in again.err


def test_json(ekiden: Run) -> None:
    made = ekiden("dkim", "keygen", "-d", "example.com", "-s", "s1", "--json").json
    assert made["record"] == NAME
    assert made["algorithm"] == "rsa-sha256"
    configure()
    assert (
        ekiden("dkim", "show", "--domain", "example.com", "--json").json[0]["text"] == made["text"]
    )


def test_a_domain_without_a_key(ekiden: Run) -> None:
    Path("config.toml").write_text("", encoding="utf-8")
    result = ekiden("dkim", "show", "--domain", "other.example")
    assert result.code == 3
    assert result.err.startswith("ekiden: no DKIM key of other.example is configured -- make one")


def test_a_name_that_is_none(ekiden: Run) -> None:
    result = ekiden("dkim", "keygen", "-d", "exa mple.com", "-s", "s1")
    assert result.code == 2
    assert "is not a DKIM domain" in result.err


@pytest.mark.parametrize(
    ("published", "code", "told"),
    [
        ("{text}", 0, "published as it should be"),
        ("{split}", 0, "published as it should be"),
        ("v=DKIM1; k=ed25519; p=", 1, f"{NAME} says that the key was revoked (p= is empty)"),
        ("v=DKIM1; k=ed25519; p=AAAA", 1, "the published public key belongs to another"),
        ("v=spf1 -all", 1, "v= must come first and be DKIM1; publish"),
        (None, 1, "no TXT record is published; publish what `ekiden dkim show` prints"),
        ("{text}|{text} ", 1, "2 TXT records are published; receivers accept one"),
    ],
)
def test_keys_are_compared_with_dns(
    ekiden: Run, published: str | None, code: int, told: str
) -> None:
    text = ekiden("dkim", "keygen", "-d", "example.com", "-s", "s1", "-t", "ed25519", "--json")
    record = text.json["text"]
    values = (published or "").format(text=record, split=f'{record[:20]}" "{record[20:]}')
    records = {"example.com": {"A": ["192.0.2.1"]}}
    if published is not None:
        records[NAME] = {"TXT": [f'"{one}"' for one in values.split("|")]}
    server = DnsServer(DnsOptions(records=records))
    with beside(lambda: server):
        configure("{}:{}".format(*server.address))
        result = ekiden("dkim", "check")
        assert (result.code, result.err) == (code, "")
        assert result.rows[0][0] == NAME
        assert result.rows[0][1].startswith(told)
        assert bool(ekiden("dkim", "check", "--json").json[0]["problems"]) is bool(code)


def test_dns_that_does_not_answer(ekiden: Run) -> None:
    ekiden("dkim", "keygen", "-d", "example.com", "-s", "s1", "-t", "ed25519")
    server = DnsServer(DnsOptions(faults={NAME: Fault.SERVFAIL}))
    with beside(lambda: server):
        configure("{}:{}".format(*server.address))
        result = ekiden("dkim", "check")
    assert result.code == 4
    assert result.err.startswith(f"ekiden: {NAME}: DNS does not answer")
