"""docs/bounces.md names every class as the code has it."""

import re
from pathlib import Path

from ekiden.bounce.classes import CLASSES
from ekiden.bounce.classify import Action
from ekiden.bounce.mail import Kind

TEXT = (Path(__file__).parent.parent / "docs" / "bounces.md").read_text("utf-8")


def test_the_table_of_classes_is_the_codes() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\S*) \| (.+) \|$", TEXT, re.MULTILINE)
    assert rows == [
        (one.name, one.action.value, one.status or "-", one.meaning) for one in CLASSES.values()
    ]


def test_actions_and_kinds_are_explained() -> None:
    for name in (*Action, *Kind):
        assert f"`{name.value}`" in TEXT
