"""`ekiden config`, `version`, help, and how errors come out."""

from pathlib import Path

import pytest

from commands import Result, Run, beside, runner
from ekiden import __version__, settings
from ekiden.cli import profile_page
from ekiden.cli.output import visible
from ekiden.config import example, load, loads
from ekiden.engine.capsbook import further
from ekiden.shaping.caps import Caps, Rate
from ekiden.shaping.providers import Providers
from ekiden.sink.dns import DnsOptions, DnsServer


@pytest.fixture
def ekiden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EKIDEN_CONFIG", raising=False)
    return runner(monkeypatch, capsys)


def test_nothing_is_wrong(ekiden: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(example(), encoding="utf-8")
    result = ekiden("config", "check")
    assert (result.code, result.out, result.err) == (0, "config.toml: nothing is wrong\n", "")
    result = ekiden("config", "check", "--json", "--config", path)
    assert result.json == {"file": str(path), "problems": []}


def test_everything_that_is_wrong_is_told(ekiden: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[spol]\n[log]\nlevel = "inof"\n', encoding="utf-8")
    result = ekiden("config", "check")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        'ekiden: config.toml:1: spol: there is no such key -- did you mean "spool"?\n'
        'ekiden: config.toml:3: log.level: expected one of "debug", "info", "warning", "error", '
        'got "inof" -- did you mean "info"?\n'
    )
    result = ekiden("config", "check", "--json")
    assert result.code == 2
    assert [problem["line"] for problem in result.json["problems"]] == [1, 3]
    assert result.json["problems"][0]["key"] == "spol"


def test_the_files_it_names_are_looked_at(ekiden: Run, tmp_path: Path) -> None:
    (tmp_path / "open.password").write_text("secret\n", encoding="utf-8")
    (tmp_path / "open.password").chmod(0o644)
    (tmp_path / "config.toml").write_text(
        """
        [bounce]
        rules = ["none.toml"]
        [[dkim.key]]
        domain = "example.com"
        selector = "s"
        file = "none.pem"
        [[route]]
        pattern = "a.example"
        host = "127.0.0.1"
        user = "me"
        password_file = "open.password"
        [[route]]
        pattern = "b.example"
        host = "127.0.0.1"
        user = "me"
        password_file = "none.password"
        """,
        encoding="utf-8",
    )
    result = ekiden("config", "check")
    assert result.code == 2
    lines = result.err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"ekiden: {tmp_path}/none.pem: cannot read the DKIM key")
    assert lines[1] == (
        f"ekiden: {tmp_path}/open.password: others may read the password (mode 0644)"
        f" -- chmod 600 {tmp_path}/open.password"
    )
    assert lines[2].startswith(f"ekiden: {tmp_path}/none.password: the password cannot be read")
    assert lines[3] == f"ekiden: {tmp_path}/none.toml: there is no such file"


def test_what_is_shown_loads_as_the_same(ekiden: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[delivery]\nlifetime = "36h"\n', encoding="utf-8")
    result = ekiden("config", "show")
    assert 'lifetime = "36h"' in result.out
    assert loads(result.out, path) == load(path)
    result = ekiden("config", "show", "--json")
    assert result.json["delivery"]["lifetime"] == 129_600.0
    assert ekiden("config", "show", "--example").out == example()


def explained(result: Result) -> dict[str, list[str]]:
    return {row[0]: row[1:3] for row in result.rows}


def test_each_limit_and_who_said_it(ekiden: Run, tmp_path: Path) -> None:
    records = {"gmail.com": {"MX": ["5 gmail-smtp-in.l.google.com."]}}
    server = DnsServer(DnsOptions(records=records))
    with beside(lambda: server):
        (tmp_path / "config.toml").write_text(
            f"""
            [dns]
            nameservers = ["{server.address[0]}:{server.address[1]}"]
            [[limits.destination]]
            pattern = "gmail.com"
            max_sessions = 2
            [[limits.site]]
            mx = "*.google.com"
            rates = ["10/s"]
            [[tls.site]]
            mx = "*.google.com"
            policy = "required"
            [[source]]
            name = "a1"
            address = "192.0.2.1"
            sessions_per_site = 20
            [configuration_set.codes]
            tls = "required"
            sessions_per_site = 30
            rates_per_site = ["2/s"]
            messages_per_session = 100
            """,
            encoding="utf-8",
        )
        result = ekiden("config", "explain", "gmail.com")
        assert result.code == 0
        assert result.err == (
            "site gmail-smtp-in.l.google.com, provider gmail (Gmail and Google Workspace)\n"
        )
        rows = explained(result)
        assert rows["destination_sessions"] == ["2", "destination gmail.com"]
        assert rows["messages"] == ["10 per second", "site *.google.com"]
        assert rows["provider_sessions"] == ["5", "provider gmail"]
        assert rows["messages_per_session"] == ["50", "provider gmail"]
        assert rows["sessions"] == ["10", "default"]
        assert rows["tls"] == ["required", "site *.google.com"]
        assert rows["sessions of a1"] == ["20", "source a1"]
        assert rows["messages of codes"] == ["2 per second", "configuration set codes"]
        one = explained(ekiden("config", "explain", "gmail.com", "--source", "a1"))
        assert one["sessions"] == one["destination_sessions"] == ["20", "source a1"]
        assert one["messages"] == ["10 per second", "site *.google.com"]
        both = explained(
            ekiden("config", "explain", "gmail.com", "--source", "a1", "--set", "codes")
        )
        for key, value in (("sessions", "30"), ("messages", "2 per second")):
            assert both[key] == [value, "configuration set codes"]
        assert both["messages_per_session"] == ["100", "configuration set codes"]
        assert both["provider_sessions"] == ["5", "provider gmail"]
        assert both["tls"] == ["required", "site *.google.com"]
        assert "sessions of a1" not in both
        assert ekiden("config", "explain", "gmail.com", "--source", "a2").code == 3
        assert rows["connections"] == ["no limit", ""]
        assert rows["size"] == ["no limit", ""]
        as_json = ekiden("config", "explain", "GMAIL.com", "--json").json
        assert as_json["provider"] == "gmail"
        assert {one["key"]: one["layer"] for one in as_json["limits"]}["sessions"] == "default"
        nobody = ekiden("config", "explain", "none.example")
        assert nobody.code == 4
        assert "to ask without a look-up: --mx HOST" in nobody.err


def test_a_limit_says_where_it_was_read(ekiden: Run, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[provider.docomo]\nsessions = 1\n", encoding="utf-8")
    explain = ("config", "explain", "docomo.ne.jp", "--mx", "MFSMAX.docomo.ne.jp.")
    result = ekiden(*explain)
    assert result.err == "site mfsmax.docomo.ne.jp, provider docomo (NTT docomo)\n"
    read = {row[0]: row[3] for row in result.rows}
    assert read["messages_per_session"].startswith("www.docomo.ne.jp/service/imode_mail/notice/")
    assert read["messages"].startswith("ours: docomo asks to send in small lots")
    assert read["sessions"] == "your configuration"
    assert read["size"] == read["destination_sessions"] == ""
    profile = ekiden(*explain, "--json").json["profile"]
    assert profile["avoid"]["bulk"] == ["*:00-*:05"]
    assert profile["reactions"][0]["what"] == (
        "docomo-recipients: on too many recipients, 20 in 10 min: sessions at most 1 for 60 min,"
        " for the source at this provider"
    )
    assert "www.docomo.ne.jp/service/docomo_mail/smtp_notice" in profile["read"]
    company = ekiden("config", "explain", "company.example", "--mx", "mx.company.example")
    assert company.err == "site mx.company.example, provider -\n"
    assert ekiden("config", "explain", "a.example", "--mx", "a", "--json").json["profile"] is None


def test_on_a_terminal_the_providers_page_stands_under_its_limits() -> None:
    providers = Providers.load()
    for provider in providers:
        page = profile_page.text(provider)
        assert page.startswith(provider.notes)
        for one in (*provider.read, *provider.unread):
            assert f"  {one}" in page
        for rule in provider.reactions:
            assert f"  {rule.name}: on " in page
    assert "Does not begin at: bulk *:00-*:05 (Asia/Tokyo)" in profile_page.text(
        providers["docomo"]
    )


def test_lint_of_shaping(ekiden: Run, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(example(), encoding="utf-8")
    assert ekiden("shaping", "lint").rows == []
    path.write_text(
        """
        [[limits.destination]]
        pattern = "*.example"
        [[limits.destination]]
        pattern = "a.example"
        [[warmup.source]]
        source = "*"
        provider = "hotmial"
        plan = "sendgrid"
        [[hours.provider]]
        provider = "gmial"
        """,
        encoding="utf-8",
    )
    result = ekiden("shaping", "lint")
    assert result.code == 1
    assert result.rows == [
        ["warmup.source", '"hotmial" never holds: there is no such provider'],
        ["hours.provider", '"gmial" never holds: there is no such provider'],
        ["limits.destination", '"a.example" never decides: "*.example" stands before it'],
    ]


def test_without_a_configuration(ekiden: Run) -> None:
    for command in (("config", "show"), ("status",), ("jobs",), ("run",)):
        result = ekiden(*command)
        assert (result.code, result.out) == (2, "")
        assert result.err == (
            "ekiden: config.toml: there is no such file"
            " -- name another with --config, or write one: ekiden config show --example\n"
        )


def test_wrong_usage(ekiden: Run) -> None:
    result = ekiden("job", "explode")
    assert result.code == 2
    assert "No such command" in result.err
    assert ekiden("suspend", "a.example", "--for", "soon").code == 2


def test_the_version(ekiden: Run) -> None:
    assert ekiden("version").rows[0] == ["ekiden", __version__]
    assert ekiden("version", "--json").json["ekiden"] == __version__


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("夏のセール", "夏のセール"),
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\tb\nc", "a\\tb\\nc"),
        ("a\u202eb", "a\\u202eb"),
        ("a\udcffb", "a\\udcffb"),
        ("[bold]x[/bold]", "[bold]x[/bold]"),
    ],
)
def test_text_from_outside_is_only_text(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_every_command_is_on_its_page(ekiden: Run) -> None:
    page = (Path(__file__).parent.parent / "docs/commands.md").read_text(encoding="utf-8")

    def commands(*group: str) -> list[str]:
        told = ekiden(*group, "--help").out.partition("Commands:")[2]
        return [line.split()[0] for line in told.splitlines() if line[:3].strip() and line.strip()]

    top = commands()
    assert len(top) > 20
    for command in [(one,) for one in top] + [(one, two) for one in top for two in commands(one)]:
        named = f"`ekiden {' '.join(command)}"
        assert named in page or f"`ekiden {command[-1]} " in page, command


def test_sources_and_sets_are_explained_as_layers_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        """
        [[source]]
        name = "a1"
        address = "192.0.2.1"
        sessions_per_site = 2
        rates_per_site = ["5/s"]
        [configuration_set.codes]
        tls = "required"
        """,
        encoding="utf-8",
    )
    config = load(path)
    assert further(config, source=False, of_set=False) == [
        ("sessions of a1", "2", "source a1"),
        ("messages of a1", "5 per second", "source a1"),
        ("tls of codes", "required", "configuration set codes"),
    ]
    assert further(config, source=True, of_set=True) == []
    (facts,) = settings.source_facts(config)
    assert facts.path_caps == Caps(sessions=2, messages=(Rate(5, 1.0),))
