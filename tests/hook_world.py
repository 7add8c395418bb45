"""A receiver of webhooks that answers as it is told to."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec


@dataclass
class Hook:
    """What was posted, and what is answered.

    Args:
        answers: Raw answers for the next requests; then 204.
        silent: Take requests and never answer.
    """

    answers: deque[bytes] = field(default_factory=deque)
    silent: bool = False
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def events(self) -> list[dict[str, object]]:
        """All events of requests that were taken, in order."""
        found: list[dict[str, object]] = []
        for _, body in self.requests:
            told = msgspec.json.decode(body)
            found += told if isinstance(told, list) else [told]
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                pairs = (line.split(": ", 1) for line in lines[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers["content-length"]))
                if self.silent:
                    await asyncio.sleep(3600)
                answer = self.answers.popleft() if self.answers else status(204)
                if answer.startswith(b"HTTP/1.1 2"):
                    self.requests.append((headers, body))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def status(code: int, *fields: str, body: bytes = b"") -> bytes:
    head = [f"HTTP/1.1 {code} said", f"content-length: {len(body)}", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def hook(port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hook]:
    made = Hook()
    server = await asyncio.start_server(made.serve, "127.0.0.1", port, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
