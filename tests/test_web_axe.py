"""The pages before an independent judge: axe-core's rules for WCAG 2.2 A and AA, and its advice.

`npm install --no-save axe-core` in the repository lets these run; without it they are left out.
"""

import json
from pathlib import Path

import pytest

from chromium import BROWSER, MISSING, PHONE, Page
from test_web_admin_browser import desk
from test_web_browser import scene

AXE = Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js"
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
NARROW_DESK = (1100, 900)
WIDER = "[...document.querySelectorAll('.scroll')].map((e) => e.scrollWidth > e.clientWidth)"

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason=MISSING),
    pytest.mark.skipif(
        not AXE.is_file(), reason="no axe-core here: npm install --no-save axe-core"
    ),
    pytest.mark.parametrize("scheme", ["light", "dark"]),
    pytest.mark.parametrize("language", ["en", "ja"]),
]


async def faults(page: Page) -> list[str]:
    """What the judge finds on a page."""
    await page.run(f"{AXE.read_text('utf-8')};1")
    options = json.dumps({"runOnly": RULES})
    found = await page.run(
        f"axe.run(document, {options}).then((r) => JSON.stringify(r.violations))"
    )
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:200]}"
        for one in json.loads(found)
        for node in one["nodes"]
    ]


async def test_the_pages_of_recipients(tmp_path: Path, language: str, scheme: str) -> None:
    async with scene(tmp_path) as at:
        await at.page.size(*PHONE)
        await at.page.language(language)
        await at.page.media(prefers_color_scheme=scheme)
        for url in (
            at.urls["unsubscribe_url"],
            at.urls["preferences_url"],
            f"{at.base}/join/letters",
            f"{at.base}/u/forged",
        ):
            await at.page.open(url)
            assert await faults(at.page) == [], url
        await at.page.open(at.urls["unsubscribe_url"])
        await at.page.press("button[value=all]")
        assert await faults(at.page) == []


async def test_the_dashboard(tmp_path: Path, language: str, scheme: str) -> None:
    async with desk(tmp_path) as at:
        await at.page.media(prefers_color_scheme=scheme)
        for size in (NARROW_DESK, PHONE):
            await at.page.size(*size)
            for path in ("/", "/queue", f"/jobs/{at.job.id}", "/jobs/nobody"):
                await at.open(f"{path}?lang={language}")
                assert await faults(at.page) == [], path
                if size == NARROW_DESK:
                    assert not any(await at.page.run(WIDER)), "a table is wider than its place"
