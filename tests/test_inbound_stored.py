"""Keys of return addresses, and mail that lies in files, through the commands that take it."""

import errno
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from commands import Run, runner
from ekiden.errors import ConfigError, EkidenError, NotFoundError, UnavailableError
from ekiden.inbound import stored
from ekiden.inbound.keys import KEY_BYTES, load_keys, rotate
from returned_mail import DOMAIN, dsn


def test_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "return.keys"
    keys = load_keys(path)
    assert [len(key) for key in keys] == [KEY_BYTES]
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_keys(path) == keys
    assert rotate(path) == 2
    assert load_keys(path)[1:] == keys
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["return.keys"]


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "return.keys"
    load_keys(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        load_keys(path)
    for text in ("", "# nothing\n", "abcd\n", "not hexadecimal at all, is it not\n"):
        path.write_text(text)
        path.chmod(0o600)
        with pytest.raises(ConfigError, match="no list of keys"):
            load_keys(path)
    with pytest.raises(UnavailableError):
        load_keys(tmp_path / "nowhere" / "return.keys")


def test_a_maildir_is_read_and_flagged(tmp_path: Path) -> None:
    for name in ("new", "cur", "tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "1.a").write_bytes(b"one")
    (tmp_path / "cur" / "2.b:2,R").write_bytes(b"two")
    (tmp_path / "cur" / "3.c:2,S").write_bytes(b"seen")
    (tmp_path / "new" / "link").symlink_to(tmp_path / "cur" / "3.c:2,S")
    found = []
    for raw, done in stored.maildir(tmp_path):
        found.append(raw)
        done()
    assert found == [b"one", b"two"]
    assert sorted(one.name for one in (tmp_path / "cur").iterdir()) == [
        *("1.a:2,S", "2.b:2,RS", "3.c:2,S"),
    ]
    assert list(stored.maildir(tmp_path)) == []
    with pytest.raises(NotFoundError, match="no Maildir"):
        list(stored.maildir(tmp_path / "new"))


def test_an_mbox_is_split_at_its_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "mbox"
    path.write_bytes(
        b"From a@b Mon Jan  1 00:00:00 2026\nSubject: 1\n\nbody\nFrom here on\n>From quoted\n\n"
        b"From c@d Mon Jan  1 00:00:00 2026\r\nSubject: 2\r\n\r\nbody\r\n"
    )
    one, two = stored.mbox(path)
    assert one == b"Subject: 1\n\nbody\nFrom here on\nFrom quoted\n\n"
    assert two == b"Subject: 2\r\n\r\nbody\r\n"
    path.write_bytes(b"")
    assert list(stored.mbox(path)) == []
    for text in (b"Subject: no mbox\n\n", None):
        if text is None:
            path.unlink()
        else:
            path.write_bytes(text)
        with pytest.raises(EkidenError):
            list(stored.mbox(path))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


def test_commands_take_mail_without_a_daemon(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[inbound]\nreturn_domain = "{DOMAIN}"\n')
    monkeypatch.setenv("EKIDEN_CONFIG", str(config))
    assert run("suppressions", "add", "x@example.com").code == 0  # makes the queue
    (tmp_path / "mbox").write_bytes(
        b"From x Mon Jan  1 00:00:00 2026\n" + dsn("a@example.com").replace(b"\r\n", b"\n")
    )
    assert run("inbound", "mbox", tmp_path / "mbox").rows == [["unsigned", "1"]]
    for name in ("new", "cur", "tmp"):
        (tmp_path / "md" / name).mkdir(parents=True)
    (tmp_path / "md" / "new" / "1").write_bytes(b"Subject: hi\n\nho\n")
    assert run("inbound", "maildir", tmp_path / "md").rows == [["no_report", "1"]]
    assert run("inbound", "maildir", tmp_path / "md").rows == []
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(dsn("a@example.com"))))
    assert run("inbound", "--json").json["outcome"] == "unsigned"
    status = {row[0]: row[1] for row in run("inbound", "status").rows}
    assert status == {"unsigned": "2", "no_report": "1"}
    assert (tmp_path / "return.keys").exists()
    assert dict(run("inbound", "rotate").rows)["keys"] == "2"
    assert run("reputation").rows == []
    assert run("reputation", "resume", "sender:example.com").code == 3


def test_a_pipe_is_told_to_try_again(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x")))
    result = run("inbound", "--config", config)
    assert result.code == 75
    assert "there is no queue here yet" in result.err


@pytest.mark.parametrize("wrong", ['[inbound]\nreturn_domian = "x"\n', None])
def test_a_pipe_is_told_to_try_again_when_the_configuration_is_wrong(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str | None
) -> None:
    config = tmp_path / "config.toml"
    if wrong is not None:
        config.write_text(wrong)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x")))
    result = run("inbound", "--config", config)
    assert result.code == 75
    assert "config.toml" in result.err


def test_a_pipe_is_told_to_try_again_when_it_may_not_read_the_configuration(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text("")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # as to whoever is not root

    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x")))
    result = run("inbound", "--config", config)
    assert result.code == 75
    assert "as the daemon's user, or as root" in result.err


def test_a_pipe_is_told_to_try_again_after_a_bug(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("ekiden.cli.inbound._take", broken)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"x")))
    assert run("inbound", "--config", tmp_path / "none").code == 75
