"""Long lines and endless blanks in files that people import."""

import csv

import pytest

from ekiden import limits
from ekiden.cli import contact_files, suppression_csv
from ekiden.cli.lines import BLANK_MOST, Lines

LONG = "a@b.example" + "," * limits.ROW_BYTES + "\n"


def test_a_line_that_is_too_long_costs_that_line() -> None:
    lines = Lines(["a\n", LONG, "b\n"])
    assert next(lines) == "a\n"
    with pytest.raises(csv.Error, match="262,144"):
        next(lines)
    assert list(lines) == ["b\n"]


def test_blank_lines_end_somewhere() -> None:
    lines = Lines(["\n"] * (BLANK_MOST + 5))
    with pytest.raises(csv.Error, match="blank"):
        list(lines)
    assert list(lines) == []


def test_contacts_go_on_after_a_row_that_is_too_long() -> None:
    rows = list(contact_files.read(["emailAddress\n", LONG, "c@d.example\n"], jsonl=False))
    assert [bool(row.contact) for row in rows] == [False, True]
    assert "characters" in rows[0].wrong


def test_a_suppression_list_in_one_line_of_json_may_be_long() -> None:
    entries = ",".join(f'{{"EmailAddress":"a{n}@b.example"}}' for n in range(10_000))
    found = suppression_csv.read([f'{{"SuppressedDestinationSummaries":[{entries}]}}'], "import")
    assert len(list(found)) == 10_000
    with pytest.raises(csv.Error):
        list(suppression_csv.read(["a@b.example\n", LONG], "import"))
