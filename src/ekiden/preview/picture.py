"""A picture of an HTML part, as a browser shows it: headless Chromium, with nothing fetched.

The browser is spoken to over a pipe in its DevTools protocol: scripts are switched off, and every
request is failed before it is made and counted. Inline images travel inside the HTML.
"""

import base64
import contextlib
import fcntl
import json
import os
import re
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Final

from ekiden.errors import UnavailableError
from ekiden.message.look import File

BROWSERS: Final = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome-headless-shell", "microsoft-edge"),
)
SECONDS: Final = 30.0
HEIGHT_MOST: Final = 16_000  # pixels; a bitmap of it is 45 MB
WIDTH: Final = 700
_CHUNK: Final = 1 << 20
_LOADING: Final = 5.0
_FLAGS: Final = (
    *("--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--hide-scrollbars"),
    *("--no-first-run", "--no-default-browser-check", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-extensions", "--mute-audio"),
    *("--disable-dev-shm-usage", "--disable-domain-reliability", "--disable-breakpad"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"),
)
_CID: Final = re.compile(r"""cid:([^"'\s)>]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    Args:
        png: Its bytes.
        height: Pixels.
        blocked: What the HTML wanted to fetch, each once.
    """

    png: bytes
    height: int
    blocked: tuple[str, ...] = ()


def find_browser() -> str:
    """Return the program that draws.

    Raises:
        UnavailableError: None is installed.
    """
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    raise UnavailableError(
        "there is no browser to draw with",
        remedy="install Chromium (apt-get install chromium), or use --no-picture",
    )


def with_images(html: str, files: Iterable[File]) -> str:
    """Return HTML with its inline images inside it."""
    by_cid = {file.cid: file for file in files if file.cid}

    def inside(found: re.Match[str]) -> str:
        file = by_cid.get(found[1])
        if file is None:
            return found.group()
        return f"data:{file.media_type};base64,{base64.b64encode(file.data).decode('ascii')}"

    return _CID.sub(inside, html)


def page_of_text(text: str) -> str:
    """Return a page that shows a text as mail programs do."""
    return f'<pre style="white-space: pre-wrap; font: 14px monospace">{escape(text)}</pre>'


def draw(html: str, browser: str, *, width: int = WIDTH, seconds: float = SECONDS) -> Picture:
    """Draw an HTML text; blocking.

    Args:
        html: The text; inline images inside it.
        browser: The program.
        width: Pixels.
        seconds: Give up after so long.

    Raises:
        UnavailableError: The browser does not start, or does not answer.
    """
    with tempfile.TemporaryDirectory(
        prefix="ekiden-preview-", ignore_cleanup_errors=True
    ) as profile:
        running = _Browser(browser, profile, time.monotonic() + seconds)
        try:
            return _drawn(running, html, width)
        finally:
            running.end()


def _drawn(running: "_Browser", html: str, width: int) -> Picture:
    target = running.call("Target.createTarget", url="about:blank")["targetId"]
    attached = running.call("Target.attachToTarget", targetId=target, flatten=True)
    running.session = attached["sessionId"]
    running.call("Emulation.setScriptExecutionDisabled", value=True)
    running.call("Fetch.enable", patterns=[{"urlPattern": "*"}])
    running.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=800, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    running.call("Page.enable")
    frame = running.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
    running.call("Page.setDocumentContent", frameId=frame, html=html)
    running.until("Page.loadEventFired", _LOADING)
    size = running.call("Page.getLayoutMetrics")["cssContentSize"]
    height = max(1, min(int(size["height"]), HEIGHT_MOST))
    clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = running.call(
        "Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip
    )
    return Picture(base64.b64decode(shot["data"]), height, tuple(running.blocked))


@dataclass(slots=True)
class _Browser:
    """A browser and the pipe to it: one JSON object per message, a NUL after each."""

    program: str
    profile: str
    deadline: float
    session: str = ""
    blocked: dict[str, None] = field(default_factory=dict)
    _number: int = 0
    _pid: int = 0
    _write: int = -1
    _read: int = -1
    _buffer: bytes = b""
    _events: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        theirs_in, self._write = _pipe()
        self._read, theirs_out = _pipe()
        flags = [*_FLAGS, f"--user-data-dir={self.profile}"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium's own sandbox does not run as root
        try:
            self._pid = os.posix_spawn(
                self.program,
                [self.program, *flags],
                _environment(self.profile),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, theirs_in, 3),
                    (os.POSIX_SPAWN_DUP2, theirs_out, 4),
                ],
                setsid=True,
            )
        except OSError as error:
            raise UnavailableError(
                f"the browser cannot be started: {error.strerror}", where=self.program
            ) from error
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def end(self) -> None:
        """End the browser and all it has started."""
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, **params: Any) -> Mapping[str, Any]:
        """Ask, and return the answer.

        Raises:
            UnavailableError: It refuses, is gone, or takes too long.
        """
        number = self._send(method, params)
        while True:
            message = self._receive(self.deadline)
            if message is None:
                raise self._failed("it does not answer in time")
            if message.get("id") == number:
                if "error" in message:
                    raise self._failed(str(message["error"].get("message", "")))
                answer: Mapping[str, Any] = message.get("result", {})
                return answer
            self._heard(message)

    def until(self, event: str, seconds: float) -> None:
        """Wait for an event, but not for ever: a picture of what is there is better than none."""
        until = min(self.deadline, time.monotonic() + seconds)
        while event not in self._events:
            message = self._receive(until)
            if message is None:
                return
            self._heard(message)

    def _heard(self, message: Mapping[str, Any]) -> None:
        method = str(message.get("method", ""))
        self._events.add(method)
        if method == "Fetch.requestPaused":
            params = message["params"]
            self.blocked[str(params["request"]["url"])[:300]] = None
            self._send(
                "Fetch.failRequest",
                {"requestId": params["requestId"], "errorReason": "BlockedByClient"},
            )

    def _send(self, method: str, params: Mapping[str, Any]) -> int:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = memoryview(json.dumps(message).encode() + b"\0")
        try:
            while data:
                data = data[os.write(self._write, data) :]
        except BrokenPipeError:
            raise self._failed("it has ended") from None
        return self._number

    def _receive(self, until: float) -> Mapping[str, Any] | None:
        """Return the next message; None when the time is over."""
        while b"\0" not in self._buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                return None
            chunk = os.read(self._read, _CHUNK)
            if not chunk:
                raise self._failed("it has ended")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        decoded: Mapping[str, Any] = json.loads(message)
        return decoded

    def _failed(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"the browser draws nothing: {why}",
            where=self.program,
            remedy="try it by hand (chromium --headless --version), or use --no-picture",
        )


def _environment(profile: str) -> dict[str, str]:
    """What the browser may know of us: little."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return {**kept, "HOME": profile, "TMPDIR": profile}


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends are above those that the browser wants as 3 and 4."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends[0], ends[1]
