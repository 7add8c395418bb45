"""Recipients: CSV, JSON Lines and lists, whole and in pieces, right and wrong."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden import limits
from ekiden.queue.model import NewDelivery, RefusedRow
from ekiden.spool.jobspec import JobError
from ekiden.spool.recipients import Batch, Plan, read_list, read_recipients

Found = tuple[list[tuple[str, dict[str, Any], int]], list[tuple[int, str]]]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def gather(batches: Any) -> tuple[list[NewDelivery], list[RefusedRow]]:
    rows: list[NewDelivery] = []
    refused: list[RefusedRow] = []
    for batch in batches:
        rows += batch.rows
        refused += batch.refused
    return rows, refused


def read(data: bytes, name: str = "r.csv", **plan: Any) -> Found:
    """Read whole, in small pieces and byte by byte: the same must come out."""
    found = []
    for size in (len(data) or 1, 7, 1):
        rows, refused = gather(read_recipients(cut(data, size), Plan(name, **plan)))
        assert all(row.recipient.endswith("@" + row.destination) for row in rows)
        found.append(
            (
                [(row.recipient, json.loads(row.merge), row.row) for row in rows],
                [(each.row, each.reason) for each in refused],
            )
        )
    assert found[0] == found[1] == found[2]
    return found[0]


def error(data: bytes, name: str = "r.csv", **plan: Any) -> str:
    with pytest.raises(JobError) as caught:
        gather(read_recipients(cut(data, 65536), Plan(name, **plan)))
    return str(caught.value)


def test_columns_become_merge_data_and_rows_are_numbered_as_a_spreadsheet_does() -> None:
    rows, refused = read("email,name,氏名\na@example.com,A,山田\n\nb@例え.jp,B,\n".encode())
    assert rows == [
        ("a@example.com", {"name": "A", "氏名": "山田"}, 2),
        ("b@xn--r8jz45g.jp", {"name": "B", "氏名": ""}, 4),
    ]
    assert refused == []


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_boms(end: bytes, bom: bytes) -> None:
    data = bom + end.join([b"address,n", b"a@example.com,1", b'b@example.com,"2"', b""])
    assert read(data)[0] == [
        ("a@example.com", {"n": "1"}, 2),
        ("b@example.com", {"n": "2"}, 3),
    ]


def test_quotes_as_rfc_4180_has_them() -> None:
    data = b'address,a,b\n"a@example.com","x, ""y""",z\nb@example.com,"p\nq",r\nc@example.com,s,t\n'
    rows, refused = read(data)
    assert rows == [
        ("a@example.com", {"a": 'x, "y"', "b": "z"}, 2),
        ("c@example.com", {"a": "s", "b": "t"}, 4),
    ]
    assert refused == [(3, "column `a` holds LF")]


def test_column_names_may_hold_what_json_escapes() -> None:
    rows, refused = read(b'email,"na""me",back\\slash,tab\there\na@example.com,A,B,C\n')
    assert rows == [
        ("a@example.com", {'na"me': "A", "back\\slash": "B", "tab\there": "C"}, 2),
    ]
    assert refused == []


def test_wrong_rows_are_refused_by_number_and_reason() -> None:
    data = (
        b"address,name,city\n"
        b"a@example.com,A,X\n"
        b"nobody,B,X\n"
        b",C,X\n"
        b"d@example.com,D\n"
        b"e@example.com,E,X,Y\n"
        b"f@example.com,F,X,,\n"
        b"g@example.com,,X\n"
        b"h@example.com,H\0,X\n"
        b'"i@example.com\rBcc: x@example.com",I,X\n'
        b",,\n"
        b" j@example.com ,J,X\n"
    )
    rows, refused = read(data, required=frozenset({"name"}))
    assert [row[0] for row in rows] == ["a@example.com", "f@example.com", "j@example.com"]
    assert refused == [
        (3, "there is no @"),
        (4, "no address"),
        (5, "the row has 2 fields, the header has 3"),
        (6, "the row has 4 fields, the header has 3"),
        (8, "`name` is empty, and a template needs it"),
        (9, "column `name` holds NUL"),
        (10, "column `address` holds LF"),
    ]


def test_an_empty_cell_may_be_a_value() -> None:
    data = b"address,name\na@example.com,\n"
    assert read(data, required=frozenset({"name"}), blank_is_missing=False)[0] == [
        ("a@example.com", {"name": ""}, 2)
    ]


def test_the_address_is_merge_data_only_for_a_template_that_names_it() -> None:
    data = b"n,address\n1,a@example.com\n"
    assert read(data)[0] == [("a@example.com", {"n": "1"}, 2)]
    both = [("a@example.com", {"n": "1", "address": "a@example.com"}, 2)]
    assert read(data, required=frozenset({"address"}))[0] == both
    assert read(data, mentioned=frozenset({"address"}))[0] == both


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_header_line_shows_the_delimiter(delimiter: str) -> None:
    data = f"name{delimiter}email\nA, b; c\t{delimiter}a@example.com\n".replace(
        delimiter + "a@", "\0"
    )
    data = data.replace(delimiter, " ", 0).replace("A, b; c\t", "A").replace("\0", delimiter + "a@")
    assert read(data.encode())[0] == [("a@example.com", {"name": "A"}, 2)]


def test_a_declared_delimiter_and_address_column() -> None:
    data = "宛先;email,x\na@example.com;1\n".encode()
    assert read(data, delimiter=";", address="宛先")[0] == [("a@example.com", {"email,x": "1"}, 2)]
    assert read(b"address\tb\na@example.com\t1,2\n", "r.tsv")[0][0][1] == {"b": "1,2"}


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("cp932", "cp932"),
        ("euc_jp", "euc_jp"),
        ("iso2022_jp_ext", "iso2022_jp"),
        ("utf-16", "utf-16"),
        ("utf-16-be", "utf-16-be"),
        ("", "utf-16"),
    ],
)
def test_other_encodings(encoding: str, codec: str) -> None:
    text = "address,氏名\na@example.com,山田 太郎\nb@example.com,能表ソ\n"
    assert read(text.encode(codec), encoding=encoding)[0] == [
        ("a@example.com", {"氏名": "山田 太郎"}, 2),
        ("b@example.com", {"氏名": "能表ソ"}, 3),
    ]


def test_a_stray_byte_refuses_its_row() -> None:
    lines = [b"address,n"] + [b"p%d@example.com,x" % n for n in range(40)]
    lines[7] = b"q@example.com,\xff"
    rows, refused = gather(read_recipients([b"\n".join(lines)], Plan("r.csv")))
    assert len(rows) == 39
    assert [(each.row, each.reason) for each in refused] == [
        (8, "column `n` holds bytes that are not of the declared encoding")
    ]


def test_a_wrongly_declared_file_is_refused_whole_with_what_would_fit() -> None:
    text = "address,氏名\n" + "".join(f"p{n}@example.com,山田\n" for n in range(20))
    assert 'encoding = "shift_jis" would fit' in error(text.encode("cp932"))
    assert 'encoding = "utf-8" would fit' in error(text.encode(), encoding="iso2022_jp_ext")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"adress,name\n", "did you mean `adress`"),
        (b"x,y\n", "known: x, y"),
        (b"address,name,name\n", "Two columns are called `name`"),
        (b"address," + b",".join(b"c%d" % n for n in range(10_000)) + b"\n", "10,001 columns"),
        (b'address,"a\nb"\n', "A column name holds LF"),
        (b'"address,name\n' + b"x" * 100, "quote opened in this row is never closed"),
    ],
)
def test_headers_that_are_refused(data: bytes, words: str) -> None:
    assert words in error(data)


def test_a_field_that_a_template_needs_and_no_column_has() -> None:
    message = error(b"address,fistname\na@example.com,A\n", required=frozenset({"firstname"}))
    assert "No column `firstname`" in message
    assert "did you mean `fistname`?" in message


def test_names_that_say_no_format() -> None:
    assert "neither CSV nor JSON Lines" in error(b"", "r.xlsx")


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    data = b'address,n\na@example.com,"x\nb@example.com,2\nc@example.com,3\n'
    rows, refused = read(data)
    assert [row[0] for row in rows] == ["b@example.com", "c@example.com"]
    assert refused == [(2, "a quote opened in this row is never closed")]


def test_a_giant_row_costs_one_row_and_no_memory() -> None:
    giant = b"x" * (3 * limits.ROW_BYTES)
    data = b"address,n\na@example.com," + giant + b"\nb@example.com,2\n"
    rows, refused = gather(read_recipients(cut(data, 65536), Plan("r.csv")))
    assert [(row.recipient, row.row) for row in rows] == [("b@example.com", 3)]
    assert [(each.row, each.reason) for each in refused] == [
        (2, f"the row is longer than {limits.ROW_BYTES:,} characters")
    ]
    quoted = b'address,n\na@example.com,"' + b"x\n" * limits.ROW_BYTES + b'"\nb@example.com,2\n'
    rows, refused = gather(read_recipients(cut(quoted, 65536), Plan("r.csv")))
    assert rows[-1].recipient == "b@example.com"
    assert refused[0].row == 2


def test_broken_quoting_everywhere_is_the_file_s_fault() -> None:
    data = b"address,n\n" + b'x"y,"\n' * 200_000
    assert "quoting of the file is broken" in error(data)


# --- JSON Lines and lists ------------------------------------------------------------------------


def test_json_lines() -> None:
    lines = [
        '{"email": "a@example.com", "name": "A", "points": 3, "x": null}',
        '"b@example.com"',
        "",
        '{"address": "c@example.com", "items": [{"n": "p"}, 2]}',
        "[1]",
        "{",
        '{"name": "D"}',
        '{"address": "e@example.com", "name": "E\\r\\nBcc: x"}',
        '{"address": "f@example.com", "items": [["\\u0000"]]}',
        '{"address": "g@example.com", "name": "\\ud800"}',
        '{"address": 5}',
        '{"address": "nobody"}',
        "[" * 5000,
    ]
    rows, refused = read("\n".join(lines).encode(), "r.jsonl")
    assert rows == [
        ("a@example.com", {"name": "A", "points": 3}, 1),
        ("b@example.com", {}, 2),
        ("c@example.com", {"items": [{"n": "p"}, 2]}, 4),
    ]
    assert [row for row, _ in refused] == [5, 6, 7, 8, 9, 10, 11, 12, 13]
    reasons = dict(refused)
    assert reasons[5] == "expected an object, not a list"
    assert reasons[8] == "`name` holds CR"
    assert reasons[9] == "`items` holds NUL"
    assert reasons[12] == "there is no @"
    assert all(reason.startswith("not JSON") for row, reason in refused if row in (6, 10, 13))


def test_missing_fields_in_json() -> None:
    data = b'{"address": "a@example.com"}\n{"address": "b@example.com", "n": ""}\n'
    data += b'{"address": "c@example.com", "n": null}\n{"address": "d@example.com", "n": 0}\n'
    rows, refused = read(data, "r.jsonl", required=frozenset({"n"}))
    assert [row[0] for row in rows] == ["d@example.com"]
    assert refused == [(n, "`n` is missing, and a template needs it") for n in (1, 2, 3)]


def test_a_json_file_without_the_address_field_is_refused_whole() -> None:
    message = error(b'{"mail": "a@example.com"}\n' * 3, "r.jsonl", address="mial")
    assert "did you mean `mail`?" in message


def test_a_giant_json_line_costs_one_row() -> None:
    data = b'{"address": "a@example.com", "n": "' + b"x" * (2 * limits.ROW_BYTES) + b'"}\n'
    rows, refused = gather(
        read_recipients(cut(data + b'"b@example.com"\n', 65536), Plan("r.ndjson"))
    )
    assert [(row.recipient, row.row) for row in rows] == [("b@example.com", 2)]
    assert [each.row for each in refused] == [1]


def test_inline_lists() -> None:
    values = [{"address": "a@example.com", "n": 1}, "b@example.com", 5, {"email": "c@example.com"}]
    rows, refused = gather(read_list(values, Plan("x.json"), size=2))
    assert [(row.recipient, row.row) for row in rows] == [
        ("a@example.com", 1),
        ("b@example.com", 2),
        ("c@example.com", 4),
    ]
    assert [(each.row, each.reason) for each in refused] == [
        (3, "expected an object, not a number")
    ]


def test_merge_data_are_capped() -> None:
    deep: Any = "x"
    for _ in range(20):
        deep = [deep]
    values = [
        {"address": "a@example.com", "deep": deep},
        {"address": "b@example.com", **{f"f{n}": "" for n in range(600)}},
        {"address": "c@example.com", "list": ["x" * 1000] * 400},
    ]
    rows, refused = gather(read_list(values, Plan("x.json")))
    assert rows == []
    assert [each.reason.split(" ", 1)[1][:6] for each in refused] == ["is nes", "than 5", "than 2"]


# --- Properties ----------------------------------------------------------------------------------

field = st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.lists(field, min_size=3, max_size=3), max_size=20), st.booleans())
def test_what_a_csv_library_writes_is_read_as_it_was(rows: list[list[str]], quote: bool) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL)
    writer.writerow(["address", "a", "b", "c"])
    for number, row in enumerate(rows):
        writer.writerow([f"p{number}@example.com", *row])
    found, refused = read(file.getvalue().encode())
    assert refused == []
    assert found == [
        (f"p{number}@example.com", dict(zip("abc", row, strict=True)), number + 2)
        for number, row in enumerate(rows)
    ]


address = st.sampled_from(["a@x.jp", "B@Y.example", "a..b@docomo.ne.jp", " c@x.jp", "wrong", ""])


@given(st.lists(st.tuples(address, st.sampled_from(["", " news ", "x"]), field), max_size=12))
def test_a_block_is_read_as_its_rows_are_one_by_one(rows: list[tuple[str, str, str]]) -> None:
    def read_them(of: list[tuple[str, str, str]], first: int) -> tuple[Any, Any, Any]:
        file = io.StringIO(newline="")
        csv.writer(file).writerows([("address", "configuration_set", "name"), *of])
        (batch,) = [*read_recipients([file.getvalue().encode()], Plan("r.csv"))] or [Batch()]
        by = first - 2
        return (
            [msgspec.structs.replace(row, row=row.row + by) for row in batch.rows],
            [replace(one, row=one.row + by) for one in batch.refused],
            {number + by: name for number, name in batch.chosen.items()},
        )

    alone = [read_them([row], number) for number, row in enumerate(rows, 2)]
    assert read_them(rows, 2) == (
        [row for found, _, _ in alone for row in found],
        [one for _, refused, _ in alone for one in refused],
        {number: name for _, _, chosen in alone for number, name in chosen.items()},
    )


noise = st.sampled_from(
    ["a@example.com", ",", ";", '"', '""', "\n", "\r\n", "\r", "\0", "x", " ", "é", "\x1c", "\x85"]
)


@given(st.lists(noise, max_size=60).map("".join))
def test_any_table_gives_rows_refusals_or_a_job_error(text: str) -> None:
    data = b"address,n\n" + text.encode()
    rows, refused = read(data)
    for _, merge, _ in rows:
        assert not any(bad in value for value in merge.values() for bad in "\r\n\0")
    numbers = [row for _, _, row in rows] + [row for row, _ in refused]
    assert len(numbers) == len(set(numbers))


def test_an_escape_sequence_that_ends_nowhere_costs_its_line() -> None:
    data = b"address,n\nkeep@example.com,1\n\x1b$\0\0\0\0\0\0\0,2\nalso@example.com,3\n"
    rows, refused = read(data, encoding="iso2022_jp_ext")
    assert [(address, row) for address, _, row in rows] == [
        ("keep@example.com", 2),
        ("also@example.com", 4),
    ]
    assert [row for row, _ in refused] == [3]


@given(st.binary(max_size=300))
def test_any_bytes_in_any_format_give_rows_refusals_or_a_job_error(data: bytes) -> None:
    for name, head in [("r.csv", b"address,n\n"), ("r.csv", b""), ("r.jsonl", b"")]:
        for encoding in ("", "cp932", "utf-16", "iso2022_jp_ext"):
            batches = read_recipients(cut(head + data, 50), Plan(name, encoding=encoding))
            with suppress(JobError):
                rows, refused = gather(batches)
                assert len(rows) + len(refused) <= len(data) + 1
