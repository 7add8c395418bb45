"""What a start loads. What is not needed is not loaded: it is most of what a start takes."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden import settings
from ekiden.cli.main import COMMANDS, build

# Runs a command, and prints at its end what was loaded.
RUN = (
    "import sys\n"
    "from ekiden.cli.main import main\n"
    "try: main()\n"
    "except SystemExit: pass\n"
    "print('loaded:', *sys.modules)"
)
# None of these is needed where nothing is served, no mail comes back and no event is told.
UNUSED = {
    "aio_pika", "aiokafka", "aiosmtpd", "h11", "httpx", "pydantic", "pygments",
    "rich.console", "starlette", "uvicorn",
    "ekiden.check.reach", "ekiden.cli.jobs", "ekiden.cli.status", "ekiden.events.webhook",
    "ekiden.inbound.listener", "ekiden.message.lint.check", "ekiden.preview.judgement",
    "ekiden.sink.server", "ekiden.web.admin.site", "ekiden.web.server", "ekiden.web.site",
}  # fmt: skip
# Who asks a daemon needs nothing of what a daemon is made of.
OF_THE_DAEMON = {
    "aiosmtplib", "aiosqlite", "cryptography", "dns", "jinja2", "sqlite3", "structlog", "uvloop",
    "ekiden.daemon", "ekiden.engine", "ekiden.message", "ekiden.queue", "ekiden.settings",
    "ekiden.store",
}  # fmt: skip
OF_COMMANDS = {"asyncio", "msgspec", "ekiden.config", "ekiden.control"}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(
        '[control]\nsocket = "s"\n[delivery]\nhostname = "mx.example"\n', encoding="utf-8"
    )
    (tmp_path / "config.toml").chmod(0o600)
    return tmp_path


def loaded(told: str) -> set[str]:
    return set(told.splitlines()[-1].removeprefix("loaded: ").split())


def after(here: Path, *words: str) -> set[str]:
    """What a command has loaded when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words], cwd=here, check=True, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.stderr == ""
    return loaded(done.stdout)


@contextlib.contextmanager
def daemon(here: Path) -> Iterator[list[str]]:
    """Run one; afterwards its output is in the list."""
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "run"], cwd=here, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stderr is not None
            line = "start"
            while line and "ekiden runs" not in line:
                line = process.stderr.readline()
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            said += process.communicate(timeout=60)


def test_a_daemon_and_those_who_ask_it_load_what_they_need(here: Path) -> None:
    with daemon(here) as said:
        for command in ("status", "queue", "jobs", "hours", "suspend", "reactions"):
            words = command.split()
            found = after(here, *words)
            assert found & (UNUSED | OF_THE_DAEMON) <= {f"ekiden.cli.{words[0]}"}, command
            assert found >= OF_COMMANDS, command
    found = loaded(said[0])
    assert found & UNUSED == set()
    assert found >= OF_THE_DAEMON


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["version"], ["--version"]])
def test_what_asks_nobody_loads_nothing(here: Path, words: list[str]) -> None:
    heavy = UNUSED - {"ekiden.cli.jobs", "ekiden.cli.status"} | OF_THE_DAEMON | OF_COMMANDS
    assert after(here, *words) & heavy == set()


def test_a_command_is_found_by_the_words_it_answers_to() -> None:
    for name, words in COMMANDS.items():
        app = build(words[0])
        told = [one.name for one in app.registered_commands]
        told += [one.name for one in app.registered_groups]
        assert sorted(map(str, told)) == sorted(words), name


def test_all_settings_can_be_asked_for() -> None:
    for name in settings.__all__:
        assert getattr(settings, name) is not None
    with pytest.raises(AttributeError, match="no settings called 'nonsense'"):
        settings.nonsense  # noqa: B018 - it is the asking that is tested
