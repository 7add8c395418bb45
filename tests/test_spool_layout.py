"""The spool directory: made, checked, moved in; and opening strangers' files without being led
astray (docs/hostile.md Q1)."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.errors import ConfigError
from ekiden.spool.layout import Folder, Spool
from ekiden.spool.safefiles import UnsafeFileError, open_entry, open_inside, read_whole


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    opened = Spool.open(tmp_path / "spool")
    yield opened
    opened.close()


def test_a_spool_is_made_with_safe_modes_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Spool.open(tmp_path / "deep" / "spool").close()
    finally:
        os.umask(before)
    for folder in ("", *Folder):
        assert (tmp_path / "deep" / "spool" / folder).stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("folder", ["", *Folder])
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
def test_a_spool_that_others_can_write_is_refused_with_the_command_that_mends_it(
    tmp_path: Path, folder: str, mode: int
) -> None:
    path = tmp_path / "spool"
    Spool.open(path).close()
    (path / folder).chmod(mode)
    with pytest.raises(ConfigError) as caught:
        Spool.open(path)
    assert caught.value.remedy == f"chmod go-w {path / folder if folder else path}"
    (path / folder).chmod(0o755)
    Spool.open(path).close()


def test_writers_may_share_tmp_and_new_by_group_when_they_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    Spool.open(path).close()
    (path / "new").chmod(0o775)
    Spool.open(path, owners=[12345]).close()
    (path / "cur").chmod(0o775)
    with pytest.raises(ConfigError, match="cur"):
        Spool.open(path, owners=[12345])


def test_a_spool_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    Spool.open(path).close()
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    with pytest.raises(ConfigError) as caught:
        Spool.open(path)
    assert caught.value.remedy == f"chown {me + 1} {path}"


def test_a_file_where_the_spool_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("x")
    with pytest.raises(ConfigError, match="install -d"):
        Spool.open(tmp_path / "spool")


def test_a_link_where_a_folder_should_be_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    Spool.open(path).close()
    (path / "new").rmdir()
    (path / "new").symlink_to(tmp_path)
    with pytest.raises(ConfigError):
        Spool.open(path)


def test_a_folder_on_another_filesystem_is_refused(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstat
    strange = (spool.path / "done").stat().st_ino

    def fstat(descriptor: int) -> os.stat_result:
        facts = real(descriptor)
        if facts.st_ino != strange:
            return facts
        fields = list(facts[:10])
        fields[2] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(ConfigError, match="another filesystem"):
        Spool.open(spool.path)


def test_a_file_is_written_whole_or_not_at_all(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool.write(Folder.DONE, "a.txt", b"one")
    spool.write(Folder.DONE, "a.txt", b"two")
    assert (spool.path / "done" / "a.txt").read_bytes() == b"two"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        spool.write(Folder.DONE, "a.txt", b"three")
    assert spool.names(Folder.DONE) == ["a.txt"]
    assert (spool.path / "done" / "a.txt").read_bytes() == b"two"


def test_every_move_is_synced_in_both_folders(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    (spool.path / "new" / "x").write_text("x")
    spool.move("x", Folder.NEW, Folder.CUR, "y")
    assert sorted(synced) == sorted([spool.folders[Folder.NEW], spool.folders[Folder.CUR]])
    assert spool.names(Folder.CUR) == ["y"]


# --- opening -----------------------------------------------------------------------------------


@pytest.fixture
def job(spool: Spool) -> Iterator[int]:
    place = spool.path / "cur" / "job"
    (place / "img").mkdir(parents=True)
    (place / "img" / "logo.png").write_bytes(b"png")
    (place / "body.txt").write_bytes(b"hello")
    descriptor = os.open(place, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


ME = frozenset({os.geteuid()})


def read(job: int, path: str) -> bytes:
    descriptor = open_inside(job, path, ME)
    try:
        return read_whole(descriptor, path, 1000)
    finally:
        os.close(descriptor)


def test_plain_files_are_read(job: int) -> None:
    assert read(job, "body.txt") == b"hello"
    assert read(job, "./img//logo.png") == b"png"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", "absolute"),
        ("../secret", r"`\.\.`"),
        ("img/../../secret", r"`\.\.`"),
        ("missing", "no such file"),
        ("img", "directory"),
        ("", "name of a file"),
        (".", "name of a file"),
        ("a\0b", "name of a file"),
        ("x" * 300, "too long"),
        ("\ud800", "encoded"),
        ("/".join("abcdefghijkl"), "deeper"),
        ("body.txt/x", "not a directory"),
    ],
)
def test_paths_that_lead_elsewhere_are_refused(job: int, path: str, words: str) -> None:
    with pytest.raises(UnsafeFileError, match=words):
        open_inside(job, path, ME)


def test_links_fifos_sockets_and_second_names_are_refused(
    spool: Spool, job: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = spool.path / "cur" / "job"
    (place / "link").symlink_to("/etc/passwd")
    (place / "way").symlink_to(place / "img")
    os.mkfifo(place / "fifo")
    os.link(place / "body.txt", place / "again.txt")
    for path, words in [
        ("link", "symbolic link"),
        ("way/logo.png", "link"),
        ("fifo", "FIFO"),
        ("again.txt", "hard links"),
        ("body.txt", "hard links"),
    ]:
        with pytest.raises(UnsafeFileError, match=words):
            open_inside(job, path, ME)
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(place)  # a socket's path is short
        listener.bind("socket")
        with pytest.raises(UnsafeFileError, match="socket"):
            open_inside(job, "socket", ME)


def test_the_terminal_and_other_devices_are_refused() -> None:
    folder = os.open("/dev", os.O_RDONLY)
    try:
        with pytest.raises(UnsafeFileError, match="device"):
            open_entry(folder, "null", {Path("/dev/null").stat().st_uid, *ME})
    finally:
        os.close(folder)


def test_files_and_directories_of_foreign_owners_are_refused(job: int) -> None:
    nobody = frozenset({987_654})
    for path in ("body.txt", "img/logo.png"):
        with pytest.raises(UnsafeFileError, match="belongs to user"):
            open_inside(job, path, nobody)
    if os.geteuid() == 0:
        os.chown("img", 987_654, -1, dir_fd=job)
        with pytest.raises(UnsafeFileError, match="987654"):
            open_inside(job, "img/logo.png", ME)


def test_a_file_larger_than_its_cap_is_refused(job: int) -> None:
    descriptor = open_inside(job, "body.txt", ME)
    try:
        with pytest.raises(UnsafeFileError, match="larger than 4 bytes"):
            read_whole(descriptor, "body.txt", 4)
    finally:
        os.close(descriptor)


def test_no_descriptor_is_lost_on_the_way(job: int) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("body.txt", "img/logo.png"):
        read(job, path)
    for path in ("missing", "img", "img/missing", "no/where", "/x"):
        with pytest.raises(UnsafeFileError):
            open_inside(job, path, ME)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
