"""A message in the browser: made again from the job's content and the recipient's own data.

It is the sender's HTML, so it is shown in a sandbox (CSP): no script, no form, no request but for
pictures and type. Inline pictures are put inside as data. It counts nothing and tracks nothing.
"""

import asyncio
import base64
import re
from collections import OrderedDict
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from typing import Final

from starlette.responses import Response

from ekiden.engine.links import LinkMaker, TrackingOptions
from ekiden.errors import EkidenError, NotFoundError, UnavailableError
from ekiden.message.compile import Compiled, compile_content
from ekiden.message.content import Content, decode
from ekiden.message.headers import RenderError
from ekiden.message.rendered import Marks, Recipient
from ekiden.message.tokens import About, job_mark
from ekiden.queue.model import JobFacts
from ekiden.queue.queue import Queue
from ekiden.queue.reactions import Sent

POLICY: Final = (
    "default-src 'none'; img-src https: http: data:; style-src 'unsafe-inline' https:; "
    "font-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
)
_KEPT: Final = 16
_UNTRACKED: Final = TrackingOptions(opens=False, clicks=False)
_CID: Final = re.compile(r"cid:([^\s\"'<>)]+)")


class Viewer:
    """Shows messages.

    Args:
        queue: Where contents and merge data are.
        links: Makes the links to leave by; None makes none.
    """

    def __init__(self, queue: Queue, links: Callable[[], LinkMaker | None]) -> None:
        self._queue = queue
        self._links = links
        self._known: OrderedDict[int, tuple[Content, Compiled]] = OrderedDict()

    async def show(self, about: About) -> Response | None:
        """Return a delivery's message as a page; None if it is no longer kept."""
        try:
            job = await self._queue.job(about.job)
            to = await self._queue.message_of(about.delivery)
            if job_mark(job.uid) != about.mark or to is None or to.job != job.id:
                return None
            content, compiled = await self._compiled(job)
            urls = self._urls(job, content, about.delivery, to.recipient)
            page = await asyncio.to_thread(_render, job, compiled, to, urls)
        except UnavailableError:
            raise
        except (NotFoundError, RenderError, EkidenError):
            return None
        headers = {"content-security-policy": POLICY, "x-frame-options": "DENY"}
        return Response(page, 200, headers, "text/html; charset=utf-8")

    async def _compiled(self, job: JobFacts) -> tuple[Content, Compiled]:
        known = self._known.get(job.id)
        if known is None:
            content = decode(await self._queue.content(job.id))
            known = content, await asyncio.to_thread(compile_content, content)
            self._known[job.id] = known
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known

    def _urls(
        self, job: JobFacts, content: Content, delivery: int, recipient: str
    ) -> dict[str, str]:
        maker = self._links()
        if maker is None:
            return {}
        _, urls, _ = maker.of(job, content, _UNTRACKED).marks(delivery, recipient)
        return urls


def _render(job: JobFacts, compiled: Compiled, to: Sent, urls: dict[str, str]) -> str:
    marks = Marks(f"<view@{job.from_domain}>", job.created_at, urls=urls)
    rendered = compiled.render(Recipient(to.recipient, to.merge), marks)
    return page_of(message_from_bytes(rendered.message()))


def page_of(message: Message) -> str:
    """Return the HTML of a message, its inline pictures inside; its text if it has no HTML."""
    pictures: dict[str, str] = {}
    html = text = None
    for part in message.walk():
        kind = part.get_content_type()
        data = part.get_payload(decode=True)
        if not isinstance(data, bytes) or part.get_content_disposition() == "attachment":
            continue
        name = part.get("Content-ID", "").strip(" <>")
        if name and part.get_content_maintype() == "image" and kind != "image/svg+xml":
            pictures[name] = f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
        elif kind == "text/html" and html is None:
            html = _text(part, data)
        elif kind == "text/plain" and text is None:
            text = _text(part, data)
    if html is None:
        escaped = (text or "").replace("&", "&amp;").replace("<", "&lt;")
        return f"<!doctype html><meta charset=utf-8><pre>{escaped}</pre>"
    return _CID.sub(lambda found: pictures.get(found[1], found[0]), html)


def _text(part: Message, data: bytes) -> str:
    try:
        return data.decode(part.get_content_charset("utf-8"), "replace")
    except LookupError:
        return data.decode("utf-8", "replace")
