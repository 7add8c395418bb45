"""What a terminal gets: tables, with everything from outside as plain text."""

import sys
from pathlib import Path

import pytest

from ekiden.cli import output
from ekiden.cli.output import Column, count, moment, print_facts, print_table
from ekiden.config import BadConfigError, Problem

NOW = 1_700_000_000.0


def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "dumb")


def test_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    rows = [("[red]夏[/red]", "1"), ("b\x1b[2J\nc", "1,000")]
    print_table([Column("name"), Column("count", number=True)], rows)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0].split() == ["name", "count"]
    assert lines[1].startswith("[red]夏[/red] ")
    assert lines[1].endswith("    1")
    assert lines[2].startswith("b\\x1b[2J\\nc ")
    assert len(lines) == 3


def test_nothing_is_said_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(monkeypatch)
    print_table([Column("name")], [], empty="no jobs")
    assert capsys.readouterr().out == "no jobs\n"


def test_facts_are_lined_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal(monkeypatch)
    print_facts({"a": "x\ty", "long name": count(1234567)})
    assert capsys.readouterr().out == "a          x\\ty\nlong name  1,234,567\n"


def test_times_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    assert len(moment(NOW)) == len("2023-11-14 22:13:20")
    assert moment(None) == "-"


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Column("name"), Column("count")], [("a\tb", 1)], empty="no jobs")
    print_table([Column("name")], [], empty="no jobs")
    print_facts({"a": 1})
    assert capsys.readouterr().out == "a\\tb\t1\na\t1\n"
    assert count(1234567) == "1234567"
    assert moment(NOW)[10] == "T"


def test_errors_with_many_sentences(capsys: pytest.CaptureFixture[str]) -> None:

    problems = [Problem("b", 2, "two"), Problem("a", 1, "one\x07", "mend it")]
    output.complain(BadConfigError(Path("f"), problems))
    assert capsys.readouterr().err == ("ekiden: f:1: a: one\\x07 -- mend it\nekiden: f:2: b: two\n")
