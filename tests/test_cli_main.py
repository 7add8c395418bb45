"""The whole command in a process of its own: exit codes, pipes, signals, bugs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import Run, runner
from ekiden import __version__
from ekiden.errors import ConfigError, EkidenError, NotFoundError, UnavailableError

EKIDEN = [sys.executable, "-m", "ekiden"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text("", encoding="utf-8")
    return tmp_path


@pytest.fixture
def ekiden(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path) -> Run:
    monkeypatch.chdir(here)
    monkeypatch.delenv("EKIDEN_CONFIG", raising=False)
    return runner(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (ConfigError("what"), 2, "ekiden: what\n"),
        (NotFoundError("what", where="here"), 3, "ekiden: here: what\n"),
        (UnavailableError("what", remedy="do"), 4, "ekiden: what -- do\n"),
        (EkidenError("a\x1b[31m"), 1, "ekiden: a\\x1b[31m\n"),
        (
            ExceptionGroup("x", [ExceptionGroup("y", [NotFoundError("a")]), EkidenError("b")]),
            3,
            "ekiden: a\nekiden: b\n",
        ),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_become_words_and_codes(
    ekiden: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, told: str
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("ekiden.cli.run.load_config", fail)
    result = ekiden("run")
    assert (result.code, result.out, result.err) == (code, "", told)


@pytest.mark.parametrize(
    "error", [KeyError("k"), ExceptionGroup("x", [EkidenError("a"), KeyError("k")])]
)
def test_a_bug_is_shown_as_one(
    ekiden: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("ekiden.cli.run.load_config", fail)
    result = ekiden("run")
    assert result.code == 70
    assert "KeyError" in result.err
    assert result.err.endswith("This is a bug in Ekiden; please report what is above.\n")


def test_a_reader_that_leaves_is_no_error_to_shout_about(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*EKIDEN, "config", "show"], cwd=here, stdout=writing, stderr=subprocess.PIPE,
        check=False, timeout=30,
    )  # fmt: skip
    os.close(writing)
    assert done.returncode == 1
    assert done.stderr == b""


def test_jobs_are_submitted(ekiden: Run, here: Path) -> None:
    (here / "note.eml").write_text("To: a@b.example\n\nx\n", encoding="utf-8")
    early = ekiden("submit", "note.eml")
    assert early.code == 1
    assert "start the daemon once" in early.err
    for folder in ("tmp", "new"):
        (here / "spool" / folder).mkdir(parents=True)
    name = ekiden("submit", "note.eml").out.strip()
    assert name.startswith("note.")
    assert (here / "spool/new" / name).read_bytes() == b"To: a@b.example\n\nx\n"
    assert ekiden("submit", "note.eml", "--json").json[0]["path"] == "note.eml"
    wrong = ekiden("submit", "note.eml", "config.pdf")
    assert (wrong.code, wrong.out) == (1, "")
    assert len(list((here / "spool/new").iterdir())) == 2


def test_a_sink_serves_until_it_is_told_to_stop(here: Path) -> None:
    process = subprocess.Popen(
        [*EKIDEN, "sink", "--listen", "127.0.0.1:0", "--record", "r.jsonl", "--no-tls"],
        cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline().startswith("receiving on 127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert all(len(line.split("\t")) == 5 for line in out.splitlines())
    assert (here / "r.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    "options",
    [["--listen", "nowhere"], ["--domain", "a.example"], ["--domain", "a.example=nobody"]],
)
def test_a_sink_that_is_asked_for_nonsense(ekiden: Run, options: list[str]) -> None:
    result = ekiden("sink", *options)
    assert result.code in {1, 2}
    assert options[1].partition("=")[2] in result.err


def test_the_daemon_runs_answers_and_ends(here: Path) -> None:
    (here / "config.toml").write_text(
        '[delivery]\nport = 1\nhostname = "mail.test"\n[dns]\nnameservers = ["127.0.0.1:1"]\n',
        encoding="utf-8",
    )
    notify = here / "notify"
    process = subprocess.Popen(
        [*EKIDEN, "run"], cwd=here, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "NOTIFY_SOCKET": str(notify)},
    )  # fmt: skip

    def asked(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*EKIDEN, *arguments], cwd=here, capture_output=True, text=True, check=False, timeout=30
        )

    try:
        deadline = time.monotonic() + 20
        while not (here / "ekiden.sock").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        told = asked("status")
        assert told.returncode == 0, told.stderr
        assert told.stdout.startswith("daemon\trunning\n")
        assert asked("suspend", "*").returncode == 0
        second = asked("run")
        assert second.returncode == 4
        assert "Traceback" not in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    after = asked("suspend")
    assert after.stdout.split("\t")[0] == "*"


def test_the_version_is_told_both_ways(ekiden: Run) -> None:
    told = ekiden("--version").out
    assert told == f"ekiden {__version__}\n"
    assert f"ekiden\t{__version__}\n" in ekiden("version").out
