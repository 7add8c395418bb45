"""A real browser: headless Chromium over its debugging pipe (no port, no library)."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
MISSING = "no Chromium here: apt install chromium"
_LONG = 60.0  # a bound for a hung browser

PHONE = (390, 844)
DESK = (1280, 900)


class Page:
    """One tab."""

    def __init__(self, browser: "Browser", session: str) -> None:
        self._browser = browser
        self._session = session

    async def call(self, method: str, **params: Any) -> Any:
        return await self._browser.call(method, self._session, **params)

    async def size(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    async def media(self, **features: str) -> None:
        named = [{"name": name.replace("_", "-"), "value": text} for name, text in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=named)

    async def scripts(self, *, on: bool) -> None:
        await self.call("Emulation.setScriptExecutionDisabled", value=not on)

    async def language(self, tag: str) -> None:
        await self.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": tag})

    async def open(self, url: str) -> None:
        await self._loaded(self.call("Page.navigate", url=url))

    async def press(self, selector: str) -> None:
        """Click an element as a person does, and wait for the page that follows."""
        await self.call("DOM.enable")
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        assert node, selector
        await self.call("DOM.scrollIntoViewIfNeeded", nodeId=node)
        quads = (await self.call("DOM.getContentQuads", nodeId=node))["quads"][0]
        at = {"x": sum(quads[0::2]) / 4, "y": sum(quads[1::2]) / 4}
        common = {**at, "button": "left", "clickCount": 1}

        async def click() -> None:
            await self.call("Input.dispatchMouseEvent", type="mousePressed", **common)
            await self.call("Input.dispatchMouseEvent", type="mouseReleased", **common)

        await self._loaded(click())

    async def toggle(self, selector: str) -> None:
        """Click without a page to follow."""
        done = self._browser.expect(self._session, "never")
        done.cancel()
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        assert node, selector
        await self.call("DOM.scrollIntoViewIfNeeded", nodeId=node)
        quads = (await self.call("DOM.getContentQuads", nodeId=node))["quads"][0]
        at = {"x": sum(quads[0::2]) / 4, "y": sum(quads[1::2]) / 4}
        common = {**at, "button": "left", "clickCount": 1}
        await self.call("Input.dispatchMouseEvent", type="mousePressed", **common)
        await self.call("Input.dispatchMouseEvent", type="mouseReleased", **common)

    async def type(self, selector: str, text: str) -> None:
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.focus", nodeId=node)
        await self.call("Input.insertText", text=text)

    async def run(self, script: str) -> Any:
        """The value of an expression; works without scripts of the page, too."""
        found = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def tree(self) -> list[Mapping[str, Any]]:
        """What a screen reader is told: role, name and the like of every node."""
        await self.call("Accessibility.enable")
        nodes = (await self.call("Accessibility.getFullAXTree"))["nodes"]
        return [
            {
                "role": one["role"]["value"],
                "name": one.get("name", {}).get("value", ""),
                "description": one.get("description", {}).get("value", ""),
                **{prop["name"]: prop["value"].get("value") for prop in one.get("properties", ())},
            }
            for one in nodes
            if not one.get("ignored")
        ]

    async def picture(self) -> bytes:
        shot = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    async def _loaded(self, step: Any) -> None:
        loaded = self._browser.expect(self._session, "Page.loadEventFired")
        await step
        async with asyncio.timeout(_LONG):
            await loaded


class Browser:
    """The process."""

    def __init__(self, reader: asyncio.StreamReader, write: int) -> None:
        self._reader = reader
        self._write = write
        self._number = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._events: list[tuple[str, str, asyncio.Future[None]]] = []
        self.requests: list[str] = []  # every URL that any page asked for
        self.complaints: list[str] = []  # console errors and violations of the security policy

    async def call(self, method: str, session: str = "", **params: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        answer = asyncio.get_running_loop().create_future()
        self._answers[self._number] = answer
        os.write(self._write, json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(_LONG):
            return await answer

    def expect(self, session: str, event: str) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events.append((session, event, future))
        return future

    async def page(self) -> Page:
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, attached["sessionId"])
        for domain in ("Page", "Network", "Runtime", "Log", "DOM"):
            await page.call(f"{domain}.enable")
        return page

    async def listen(self) -> None:
        while True:
            raw = await self._reader.readuntil(b"\0")
            message = json.loads(raw[:-1])
            if "id" in message:
                answer = self._answers.pop(message["id"])
                if answer.done():
                    continue
                if "error" in message:
                    answer.set_exception(AssertionError(message["error"]))
                else:
                    answer.set_result(message.get("result"))
                continue
            self._happened(message)

    def _happened(self, message: Mapping[str, Any]) -> None:
        method, params = message["method"], message.get("params", {})
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        for one in list(self._events):
            session, event, future = one
            if (session, event) == (message.get("sessionId"), method):
                self._events.remove(one)
                if not future.done():
                    future.set_result(None)


@asynccontextmanager
async def browsing(directory: Path) -> AsyncIterator[Browser]:
    """Start a browser with a profile of its own."""
    assert BROWSER is not None, MISSING
    to_child, ours_out = os.pipe()
    ours_in, from_child = os.pipe()

    def pipes() -> None:  # descriptors 3 and 4, as --remote-debugging-pipe has them
        os.dup2(to_child, 100)
        os.dup2(from_child, 101)
        os.dup2(100, 3)
        os.dup2(101, 4)

    process = await asyncio.create_subprocess_exec(
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--hide-scrollbars",
        "--remote-debugging-pipe",
        f"--user-data-dir={directory / 'profile'}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        preexec_fn=pipes,
        close_fds=False,
    )
    os.close(to_child)
    os.close(from_child)
    reader = asyncio.StreamReader(limit=1 << 28)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb")
    )
    browser = Browser(reader, ours_out)
    listening = asyncio.create_task(browser.listen())
    try:
        yield browser
    finally:
        with contextlib.suppress(Exception):
            await browser.call("Browser.close")
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            await listening
        transport.close()
        os.close(ours_out)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
