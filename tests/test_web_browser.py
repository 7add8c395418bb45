"""The pages in a real browser: with scripts and without, two languages, phone, reader's tree."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from chromium import BROWSER, DESK, MISSING, PHONE, Browser, Page, browsing
from ekiden.lists.model import Preference, Topic
from ekiden.web.options import ServerOptions
from ekiden.web.server import HttpServer
from web_world import World, world

pytestmark = pytest.mark.skipif(BROWSER is None, reason=MISSING)

TOPICS = (
    Topic("offers", "Offers & deals", "Once a week, on Thursdays", Preference.OPT_IN),
    Topic("news", "製品のお知らせ", "新しい製品と機能", Preference.OPT_IN),
    Topic("events", "Events", "", Preference.OPT_OUT),
)
ADDRESS = "taro.yamada@mail.example"

# What text stands on, and its contrast with it, by the formula of WCAG 2.2.
CONTRAST = """
(() => {
  const bright = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const colour = (text) => { const n = text.match(/[\\d.]+/g).map(Number);
    return n.length > 3 && n[3] === 0 ? null : n.slice(0, 3); };
  const under = (one) => { for (; one; one = one.parentElement) {
    const found = colour(getComputedStyle(one).backgroundColor); if (found) return found; }
    return [255, 255, 255]; };
  const found = [];
  for (const one of document.querySelectorAll("body *")) {
    const own = [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !one.offsetParent || one.closest(".away, .skip, .quiet")) continue;
    const a = bright(colour(getComputedStyle(one).color)), b = bright(under(one));
    found.push([one.textContent.trim().slice(0, 30),
                (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
})()
"""


@dataclass
class Scene:
    """A recipient with a mail, and a browser."""

    there: World
    browser: Browser
    page: Page
    base: str
    urls: dict[str, str]

    async def topics(self) -> dict[str, str]:
        contact = await self.there.contacts.contact("letters", ADDRESS)
        return {name: str(one) for name, one in contact.topics.items()} if contact else {}

    async def left(self) -> bool:
        contact = await self.there.contacts.contact("letters", ADDRESS)
        return contact is not None and contact.unsubscribed_at is not None


@asynccontextmanager
async def scene(directory: Path) -> AsyncIterator[Scene]:
    options = ServerOptions([("127.0.0.1", 0)])
    async with (
        world(directory, topics=TOPICS) as there,
        HttpServer(there.site.app, options) as server,
        browsing(directory) as browser,
    ):
        base = f"http://127.0.0.1:{server.ports[0]}"
        job = await there.job([ADDRESS], contact_list="letters", topic="offers")
        made = there.urls(job, (await there.ids(job))[0], ADDRESS)
        urls = {name: base + path for name, path in made.items()}
        yield Scene(there, browser, await browser.page(), base, urls)


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("language", ["en", "ja"])
async def test_leaving_and_coming_back(tmp_path: Path, language: str, *, scripts: bool) -> None:
    async with scene(tmp_path) as at:
        page = at.page
        await page.size(*PHONE)
        await page.language(language)
        await page.scripts(on=scripts)
        await page.open(at.urls["unsubscribe_url"])
        assert not await at.left()
        await page.press("button[value=topic]")
        assert await at.topics() == {"offers": "OPT_OUT"}
        said = {"en": "You are unsubscribed.", "ja": "配信を停止しました。"}[language]
        tree = await page.tree()
        assert any(one["role"] == "status" for one in tree)
        assert any(one["name"] == said for one in tree)
        await page.toggle("label[for=t3]")  # the whole row is the label's
        await page.press("button[value=choose]")
        assert await at.topics() == {"offers": "OPT_OUT", "events": "OPT_IN"}
        await page.open(at.urls["unsubscribe_url"])
        await page.press("button[value=all]")
        assert await at.left()
        assert at.browser.complaints == []
        assert {url for url in at.browser.requests if not url.startswith(at.base)} == set()
        assert await page.run("document.cookie") == ""


async def test_signing_up(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        page = at.page
        await page.language("ja")
        await page.open(f"{at.base}/join/letters")
        await page.type("#address", "new@mail.example")
        await page.toggle("label[for=t1]")
        await page.press("button[type=submit]")
        assert "メールをご確認ください" in await page.run("document.body.textContent")
        job = at.there.opened[-1]
        sent = await at.there.queue.message_of((await at.there.ids(job))[0])
        assert sent is not None
        link = str(sent.merge["link"]).replace("https://news.example", at.base)
        await page.open(link)
        await page.press("button[type=submit]")
        contact = await at.there.contacts.contact("letters", "new@mail.example")
        assert contact is not None
        assert contact.topics == {"offers": Preference.OPT_IN}


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everybody_can_read_and_use_it(tmp_path: Path, scheme: str, language: str) -> None:
    async with scene(tmp_path) as at:
        await at.page.size(*PHONE)
        await at.page.language(language)
        await at.page.media(prefers_color_scheme=scheme)
        for url, boxes in (
            (at.urls["unsubscribe_url"], 3),
            (at.urls["preferences_url"], 3),
            (f"{at.base}/join/letters", 3),
            (f"{at.base}/u/wrong", 0),
        ):
            await looked_at(at.page, url, language, boxes)


async def looked_at(page: Page, url: str, language: str, boxes: int) -> None:
    await page.open(url)
    assert await page.run("document.documentElement.lang") == language
    assert await page.run("document.title")
    wide = await page.run("document.documentElement.scrollWidth")
    assert wide <= PHONE[0], f"{url} scrolls sideways"
    for text, contrast in await page.run(CONTRAST):
        assert contrast >= 4.5, (url, text)
    tree = await page.tree()
    assert [one["level"] for one in tree if one["role"] == "heading"] == [1]
    roles = [one["role"] for one in tree]
    assert {"main", "banner", "navigation"} <= set(roles)
    assert roles.count("checkbox") == boxes
    for one in tree:
        if one["role"] in {"button", "checkbox", "textbox", "link"}:
            assert one["name"], (url, one)
    # A thumb needs 44 points; the row of a check box is its label's.
    heights = await page.run(
        "[...document.querySelectorAll('button, .choice')].map((one) => one.offsetHeight)"
    )
    assert all(height >= 44 for height in heights), heights


async def test_the_brand_s_colour_can_always_be_read(tmp_path: Path) -> None:
    from ekiden.web.options import Brand  # noqa: PLC0415 - for this test alone
    from ekiden.web.pages import Pages  # noqa: PLC0415
    from ekiden.web.words import ENGLISH  # noqa: PLC0415

    async with browsing(tmp_path) as browser:
        page = await browser.page()
        for color in ("#ffe600", "#000000", "#ffffff", "#7a1f3d", "#808080", "#00a0e9", "#ff5a00"):
            made = Pages(Brand("Example", color)).make(
                "confirm.html", ENGLISH, heading="x", address="a@x.example"
            )
            html = bytes(made.body).decode()
            style = re.search(r"<style>(.*)</style>", html, re.DOTALL)
            assert style is not None
            await page.open("about:blank")
            await page.run(f"document.documentElement.innerHTML = {html!r}")
            for text, contrast in await page.run(CONTRAST):
                assert contrast >= 4.5, (color, text, contrast)


async def test_on_a_wide_screen_lines_stay_short(tmp_path: Path) -> None:
    async with scene(tmp_path) as at:
        await at.page.size(*DESK)
        await at.page.open(at.urls["unsubscribe_url"])
        assert await at.page.run("document.querySelector('main').offsetWidth") < 600
