"""Following a file: whole lines only, across a rename, with nothing lost on the way."""

from pathlib import Path

import pytest

from ekiden.cli.following import followed


def test_the_last_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert list(followed(path, 5, follow=False)) == []
    path.write_bytes(b"a\nb\nc\ntorn")
    assert list(followed(path, 2, follow=False)) == [b"b", b"c"]
    assert list(followed(path, 0, follow=False)) == []
    assert list(followed(path, 9, follow=False)) == [b"a", b"b", b"c"]


def test_what_is_appended_also_around_a_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old = tmp_path / "log", tmp_path / "log.1"

    def append(where: Path, data: bytes) -> None:
        with where.open("ab") as file:
            file.write(data)

    def rotate() -> None:  # between two looks: a last line, the rename, and the next file
        append(path, b"last\n")
        path.rename(old)
        append(path, b"next\n")

    steps = iter([lambda: append(path, b"b\nto"), lambda: append(path, b"rn\n"), rotate])
    monkeypatch.setattr("ekiden.cli.following.time.sleep", lambda _: next(steps)())
    append(path, b"a\nhalf")
    found = followed(path, 9, follow=True)
    assert next(found) == b"a"
    append(path, b" a line\n")
    assert [next(found) for _ in range(5)] == [b"half a line", b"b", b"torn", b"last", b"next"]
    found.close()
