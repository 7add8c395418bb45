"""docs/events.md documents every field, type and metric, and its example line is one."""

import re
from pathlib import Path

import msgspec

from ekiden.events.metrics import Metrics
from ekiden.events.model import ALWAYS, FIELDS, Event, EventType

TEXT = (Path(__file__).parent.parent / "docs" / "events.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    return TEXT.partition(f"## {name}\n")[2].partition("\n## ")[0]


def test_every_field_is_documented_in_order() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \| (always|) ?\|", section("Fields"))
    assert tuple(name for name, _ in rows) == FIELDS
    assert tuple(name for name, always in rows if always) == ALWAYS


def test_every_type_is_documented() -> None:
    assert re.findall(r"(?m)^\| `(\w+)` \|", section("Types")) == list(EventType)


def test_the_example_is_an_event() -> None:
    example = next(line for line in TEXT.splitlines() if line.startswith("{"))
    event = msgspec.json.decode(example, type=Event)
    assert msgspec.json.encode(event).decode() == example


def test_every_metric_is_documented() -> None:
    exported = re.findall(r"(?m)^# HELP (\w+) ", Metrics().text().decode())
    shown = re.findall(r"(?m)^\| `(\w+)` \|", section("Metrics"))
    assert [name for name in exported if not name.endswith("_created")] == shown
