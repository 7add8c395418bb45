"""A file that a document names is there: what moves takes its mentions along."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
PAGES = [*sorted((TOP / "docs").glob("*.md")), TOP / "ARCHITECTURE.md", TOP / "CONTRIBUTING.md"]
NAMED = re.compile(r"`((?:[a-z_]+/)+[a-z_0-9]+\.(?:py|toml|sql))`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    roots = (TOP / "src" / "ekiden", TOP, TOP / "src")
    named = set(NAMED.findall(page.read_text(encoding="utf-8")))
    assert not {name for name in named if not any((root / name).exists() for root in roots)}
