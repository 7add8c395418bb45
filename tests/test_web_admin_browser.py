"""The dashboard in a real browser: with scripts and without, two languages, light, dark, phone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from admin_world import NOW, Admin, admin_world
from chromium import BROWSER, DESK, MISSING, PHONE, Browser, Page, browsing
from ekiden.control.insight_requests import ProviderView
from ekiden.queue.model import JobFacts, Settlement, State
from ekiden.web.options import ServerOptions
from ekiden.web.server import HttpServer
from test_web_admin_dashboard import attempt
from test_web_browser import CONTRAST

pytestmark = pytest.mark.skipif(BROWSER is None, reason=MISSING)

GMAIL = ProviderView(
    provider="gmail", sites=1, waiting=81_234, sessions=20, delivered=512_000, deferred=210,
    bounced=3120, why="20 sessions are open, which is the most",
)  # fmt: skip


@dataclass
class Desk:
    """Somebody at the dashboard."""

    there: Admin
    browser: Browser
    page: Page
    base: str
    job: JobFacts

    async def open(self, path: str) -> None:
        await self.page.open(self.base + path)

    async def text(self) -> str:
        return str(await self.page.run("document.querySelector('main').textContent"))


@asynccontextmanager
async def desk(directory: Path, *, scripts: bool = True) -> AsyncIterator[Desk]:
    options = ServerOptions([("127.0.0.1", 0)])
    async with (
        admin_world(directory) as there,
        HttpServer(there.site.app, options) as server,
        browsing(directory) as browser,
    ):
        job = await there.job("秋のご案内", [f"u{n}@x.example" for n in range(60)])
        gone = attempt(550, "5.1.1 no such user " + "x" * 80, "bad_mailbox")
        fine = attempt(250, "ok", "")
        await there.settle(
            job,
            [
                *[lambda one: Settlement(one, State.DELIVERED, attempt=fine)] * 28,
                *[lambda one: Settlement(one, State.BOUNCED, attempt=gone)] * 2,
            ],
        )
        await there.queue.suspend("*.example.org", None, "moving", NOW)
        await there.queue.notice("source:a1", "blocked: https://list.example/" + "y" * 90, NOW)
        there.engine.shown = [GMAIL]
        there.now[0] = NOW + 5
        base = f"http://127.0.0.1:{server.ports[0]}"
        page = await browser.page()
        await page.scripts(on=scripts)
        await page.open(base + "/")
        await page.type("#token", there.secrets["admin"])
        await page.press("main button")
        yield Desk(there, browser, page, base, job)


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_day_at_the_desk(tmp_path: Path, *, scripts: bool) -> None:
    async with desk(tmp_path, scripts=scripts) as at:
        await at.page.size(*DESK)
        await at.open("/")
        assert "81,234" in await at.text()
        await at.page.press("table a")
        assert "bad_mailbox" in await at.text()
        await at.page.press(".acts form button")
        assert (await at.there.queue.job(at.job.id)).state == "paused"
        await at.page.press(".acts form button")
        assert (await at.there.queue.job(at.job.id)).state == "open"
        await at.page.toggle("details summary")  # it asks once more, without a script
        await at.page.press("details button")
        assert (await at.there.queue.job(at.job.id)).state == "cancelled"
        await at.open("/queue")
        await at.page.press("td.act button")
        assert await at.there.queue.suspensions() == []
        await at.page.press(".aside button")
        assert await at.page.run("location.pathname") == "/login"
        assert at.browser.complaints == []
        assert {url for url in at.browser.requests if not url.startswith(at.base)} == set()
        assert await at.page.run("document.cookie") == ""  # HttpOnly


async def test_it_follows_what_goes_on(tmp_path: Path) -> None:
    async with desk(tmp_path) as at:
        await at.open("/")
        at.there.engine.shown = [
            ProviderView(
                provider="docomo", sites=1, waiting=1, sessions=1, delivered=7, deferred=0,
                bounced=0, why="",
            )
        ]  # fmt: skip
        async with asyncio.timeout(60):
            while "docomo" not in await at.text():  # noqa: ASYNC110 - the page is in a browser
                await asyncio.sleep(0.2)
        assert await at.page.run("document.getElementById('live').hidden") is False
        assert at.browser.complaints == []


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_and_use_it(tmp_path: Path, scheme: str, language: str) -> None:
    async with desk(tmp_path) as at:
        await at.page.media(prefers_color_scheme=scheme)
        await at.page.language(language)
        for path in ("/", "/jobs/1", "/queue", "/login", "/jobs/none"):
            await looked_at(at, path, language)


async def looked_at(at: Desk, path: str, language: str) -> None:
    page = at.page
    for size in (PHONE, DESK):
        await page.size(*size)
        await at.open(path)
        wide = await page.run("document.documentElement.scrollWidth")
        assert wide <= size[0], f"{path} scrolls sideways"
        for text, contrast in await page.run(CONTRAST):
            assert contrast >= 4.5, (path, text, contrast)
    assert await page.run("document.documentElement.lang") == language
    tree = await page.tree()
    levels = [one["level"] for one in tree if one["role"] == "heading"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert set(levels) <= {1, 2}
    assert {"main", "banner"} <= {one["role"] for one in tree}
    for one in tree:
        if one["role"] in {"button", "link", "textbox", "columnheader", "rowheader", "region"}:
            assert one["name"], (path, one)
