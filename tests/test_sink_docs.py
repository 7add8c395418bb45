"""docs/sink.md says what the sink does: its tables are made from the code."""

from pathlib import Path

import msgspec

from ekiden.sink.record import Line
from ekiden.sink.reference import TABLES, filled

PAGE = Path(__file__).parent.parent / "docs" / "sink.md"


def test_the_tables_are_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == filled(text), "run: python -m ekiden.sink.reference docs/sink.md"
    assert all(table() in text for table in TABLES.values())


def test_every_field_of_the_record_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## The record")[2]
    for field in msgspec.structs.fields(Line):
        assert f"`{field.encode_name}`" in text
    example = next(line for line in text.splitlines() if line.startswith("{"))
    assert msgspec.json.decode(example, type=Line).accepted
