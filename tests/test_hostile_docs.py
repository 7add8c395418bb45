"""docs/hostile.md is true: what the sources cite stands there, and what it names is there."""

import re
from pathlib import Path

TOP = Path(__file__).parent.parent
PAGE = (TOP / "docs" / "hostile.md").read_text(encoding="utf-8")


def test_every_cited_id_is_on_the_page() -> None:
    cited = set()
    for path in [*(TOP / "src").rglob("*.py"), *(TOP / "tests").glob("*.py")]:
        for found in re.finditer(r"hostile\.md ([A-Z]\d)", path.read_text(encoding="utf-8")):
            cited.add(found.group(1))
    assert cited
    assert not [one for one in cited if f"| {one} |" not in PAGE]


def test_what_the_page_names_is_there() -> None:
    for test in re.findall(r"`(test_\w+\.py)`", PAGE):
        assert (TOP / "tests" / test).is_file(), test
    for source in re.findall(r"`([a-z]+/[\w/]+\.py|\w+\.py)`", PAGE):
        if not source.startswith(("test_", "bench/")):
            assert (TOP / "src" / "ekiden" / source).is_file(), source
