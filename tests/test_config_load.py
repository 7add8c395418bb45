"""Loading: what is refused, in which words, and where."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.config import (
    Backoff,
    BadConfigError,
    Config,
    ConfigurationSet,
    Nameserver,
    Rate,
    load,
    loads,
)

HERE = Path("/etc/ekiden/config.toml")


def problems(text: str) -> list[str]:
    with pytest.raises(BadConfigError) as caught:
        loads(text, HERE)
    return [line.removeprefix(str(HERE)) for line in caught.value.sentences()]


def test_an_empty_file_is_the_defaults() -> None:
    config = loads("", HERE)
    assert config.delivery == Config().delivery
    assert config.queue.path == Path("/etc/ekiden/ekiden.db")
    assert config.events.directory == Path("/etc/ekiden/events")
    assert config.limits.sessions_per_destination == 5


def test_values_arrive_as_the_program_computes_with_them() -> None:
    config = loads(
        """
        [spool]
        directory = "/var/spool/ekiden"
        [delivery]
        lifetime = "1d12h"
        retry = ["5m", "1h"]
        allow_networks = ["127.0.0.0/8", "fd00::/8"]
        [dns]
        nameservers = ["127.0.0.1:5353", "[::1]:54", "192.0.2.1", "2001:db8::1"]
        [limits]
        rates_per_site = ["100/s", "500/d"]
        [[source]]
        name = "a"
        address = "192.0.2.10"
        [[pool]]
        name = "p"
        sources = ["a"]
        [events]
        rotate = "1MiB"
        [configuration_set.news]
        pool = "p"
        priority = "bulk"
        lifetime = "4h"
        """,
        HERE,
    )
    assert config.spool.directory == Path("/var/spool/ekiden")
    assert config.delivery.lifetime == 129_600.0
    assert config.delivery.retry == (300.0, 3600.0)
    assert config.delivery.allow_networks == (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
    assert config.dns.nameservers == (
        Nameserver("127.0.0.1", 5353),
        Nameserver("::1", 54),
        Nameserver("192.0.2.1", 53),
        Nameserver("2001:db8::1", 53),
    )
    assert config.limits.rates_per_site == (Rate(100, 1.0), Rate(500, 86_400.0))
    assert config.sources[0].address == ip_address("192.0.2.10")
    assert config.sources[0].max_sessions is None
    assert config.events.rotate == 1_048_576
    assert config.configuration_sets == {
        "news": ConfigurationSet(pool="p", priority="bulk", lifetime=14_400.0)
    }


def test_a_backoff_is_a_table() -> None:
    config = loads('[delivery]\nretry = { first = "1m", ceiling = "1h" }\n', HERE)
    assert config.delivery.retry == Backoff(first=60.0, factor=2.0, ceiling=3600.0)


def test_every_problem_is_told_at_once_with_its_line() -> None:
    assert problems(
        """\
[delivery]
lifetme = "3d"
lifetime = 3
retry = ["5m", "x"]
jitter = 1.5
port = "25"
chunking = "yes"
allow_networks = ["10.0.0.1/8"]
[[route]]
pattern = "*"
host = "a b"
tls = "requird"
[[dkim.key]]
domain = "example.com"
[bounces]
[dns]
nameservers = ["127.0.0.1:53", "127.0.0.1:99999"]
[queue]
group_rows = true
[events]
rotate = "1kB"
"""
    ) == [
        ':2: delivery.lifetme: there is no such key -- did you mean "lifetime"?',
        (
            ':3: delivery.lifetime: expected a duration such as "90s", "20h" or "3d", got 3'
            ' -- write the unit: "3s"'
        ),
        ':4: delivery.retry[2]: expected a duration such as "90s", "20h" or "3d", got "x"',
        ":5: delivery.jitter: expected a value from 0 to 1, got 1.5",
        ':6: delivery.port: expected a whole number from 1 to 65535, got "25"',
        ':7: delivery.chunking: expected true or false, got "yes"',
        (
            ':8: delivery.allow_networks[1]: expected a network such as "10.0.0.0/8",'
            ' got "10.0.0.1/8" -- did you mean "10.0.0.0/8"?'
        ),
        ':11: route[1].host: expected a host name, got "a b"',
        (
            ':12: route[1].tls: expected one of "off", "opportunistic", "required", "verified",'
            ' got "requird" -- did you mean "required"?'
        ),
        (
            ':13: dkim.key[1]: the key "selector" is missing'
            " -- The selector (s=) its record is published under."
        ),
        (
            ':13: dkim.key[1]: the key "file" is missing'
            " -- The private key (PEM, RSA or Ed25519), readable by the daemon's user alone."
        ),
        ':15: bounces: there is no such key -- did you mean "bounce"?',
        (
            ":17: dns.nameservers[2]: expected an address with or without port,"
            ' such as "127.0.0.1:53", got "127.0.0.1:99999"'
        ),
        ":19: queue.group_rows: expected a whole number from 1 to 10000, got true",
        ':21: events.rotate: expected a value of at least 4KiB, got "1kB"',
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("spool = 1", ":1: spool: expected a table, got 1 -- write [spool]"),
        ("[route]", ":1: route: expected an array of tables -- write [[route]]"),
        (
            'configuration_set = "a"',
            ":1: configuration_set: expected named tables -- write [configuration_set.NAME]",
        ),
        (
            "[configuration_set]\nnews = 1",
            ":2: configuration_set.news: expected a table, got 1 -- write [configuration_set.news]",
        ),
        (
            "[log]\nlevel = 3",
            ':2: log.level: expected one of "debug", "info", "warning", "error", got 3',
        ),
        ("[control]\nsocket = ''", ":2: control.socket: expected a path, got an empty string"),
        ("[delivery]\nretry = []", ":2: delivery.retry: expected at least one value"),
        (
            '[delivery]\nretry = "5m"',
            ':2: delivery.retry: expected a list in brackets, got "5m"',
        ),
        (
            "[delivery]\njitter = nan",
            ":2: delivery.jitter: expected a number from 0 to 1, got nan",
        ),
        (
            '[delivery]\nhostname = "a\\r\\nRCPT TO"',
            ':2: delivery.hostname: control characters are not allowed, got "a\\x0d\\x0aRCPT TO"',
        ),
        (
            '[spool]\nowners = "me"',
            ':2: spool.owners: expected a list such as ["www-data"], got "me"',
        ),
        (
            '[[source]]\nname = "a"\naddress = "here"',
            ':3: source[1].address: expected an IP address, got "here"',
        ),
        (
            '[[limits.destination]]\npattern = "*x"',
            (
                ':2: limits.destination[1].pattern: expected "example.com", "*.example.com" or "*",'
                ' got "*x"'
            ),
        ),
        (
            "a = 1\na = 2",
            ":2: is not TOML: Cannot overwrite a value -- see https://toml.io for the rules",
        ),
        ('a = "', ":1: is not TOML: Unterminated string -- see https://toml.io for the rules"),
    ],
)
def test_a_wrong_value(text: str, told: str) -> None:
    assert problems(text) == [told]


SOURCE = '[[source]]\nname = "a"\naddress = "192.0.2.1"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            SOURCE + SOURCE,
            ':5: source[2].name: "a" is given twice -- every source has its own name',
        ),
        (
            SOURCE + '[[pool]]\nname = "p"\nsources = [\n"a",\n"b"]',
            ':8: pool[1].sources[2]: there is no source "b" -- known: a',
        ),
        (
            '[[pool]]\nname = "p"\nsources = []',
            ":3: pool[1].sources: a pool needs at least one source",
        ),
        (
            SOURCE + '[[pool]]\nname="p"\nsources=["a"]\ndefault=true\n'
            '[[pool]]\nname="q"\nsources=["a"]\ndefault=true',
            ":11: pool[2].default: there is a default pool already",
        ),
        (
            '[configuration_set.x]\npool = "p"',
            ':2: configuration_set.x.pool: there is no pool "p" -- add a [[pool]]',
        ),
        (
            '[configuration_set.x]\ndkim = ["example.com"]',
            (
                ":2: configuration_set.x.dkim[1]: there is no DKIM key of example.com"
                " -- add a [[dkim.key]]"
            ),
        ),
        (
            '[[route]]\npattern = "*"\nhost = "relay.example"\nuser = "me"',
            ":4: route[1].user: user and password_file belong together",
        ),
        (
            (
                '[[route]]\npattern = "*"\nhost = "relay.example"\nuser = "me"\n'
                'password_file = "pw"\ntls = "opportunistic"'
            ),
            (
                ':6: route[1].tls: a password would be sent with TLS "opportunistic"'
                ' -- set tls = "verified"'
            ),
        ),
        (
            (
                '[[route]]\npattern = "A.example"\nhost = "x"\n[[route]]\npattern = "a.example"\n'
                'host = "y"'
            ),
            ':5: route[2].pattern: "a.example" is given twice -- every route has its own pattern',
        ),
        (
            (
                '[[dkim.key]]\ndomain="a.example"\nselector="s"\nfile="k"\n'
                '[[dkim.key]]\ndomain="a.example"\nselector="S"\nfile="l"'
            ),
            (
                ':7: dkim.key[2].selector: the key "s" of a.example is given twice'
                " -- give each key its own selector"
            ),
        ),
        (
            '[delivery]\nretry = ["1m", "0s"]',
            ":2: delivery.retry[2]: must be longer than 0s",
        ),
        (
            '[delivery]\nretry = { first = "1h", ceiling = "1m" }',
            ":2: delivery.retry.ceiling: is shorter than the first delay",
        ),
        (
            "[events]\ntypes = []",
            ":2: events.types: no event would be written -- name at least one type",
        ),
        (
            f'[control]\nsocket = "/{"x" * 107}"',
            (
                ":2: control.socket: the path of a Unix socket has at most 107 bytes"
                " -- put it into a shorter directory, such as /run/ekiden"
            ),
        ),
    ],
)
def test_what_only_the_whole_shows(text: str, told: str) -> None:
    assert told in problems(text)


def test_a_password_to_this_machine_needs_no_tls() -> None:
    text = '[[route]]\npattern="*"\nhost="127.0.0.1"\nuser="me"\npassword_file="pw"\n'
    assert loads(text, HERE).routes[0].password_file == Path("/etc/ekiden/pw")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError) as caught:
        load(tmp_path / "none.toml")
    assert str(caught.value) == (
        f"{tmp_path}/none.toml: there is no such file"
        " -- name another with --config, or write one: ekiden config show --example"
    )


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes("# 設定\n".encode("shift_jis"))
    with pytest.raises(BadConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:1: is not UTF-8 -- save the file in the encoding UTF-8"


def test_a_byte_order_mark_and_carriage_returns_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'\xef\xbb\xbf[spool]\r\ndirectory = "mail"\r\n')
    assert load(path).spool.directory == tmp_path / "mail"


def test_relative_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load("config.toml").spool.directory == tmp_path / "spool"


@given(st.text(alphabet="[]{}=\"'.,\n a1deliverytslmo", max_size=60))
def test_any_text_is_a_config_or_a_config_error(text: str) -> None:
    try:
        assert isinstance(loads(text, HERE), Config)
    except BadConfigError as error:
        assert all(line.startswith(str(HERE)) for line in error.sentences())  # noqa: PT017
