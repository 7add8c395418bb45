"""Behind a real Caddy, set up as documented: who asks is known, and nothing else is believed."""

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from ekiden.web.options import ServerOptions
from ekiden.web.server import HttpServer
from proxies import proxy
from stage import free_port
from test_web_unsubscribe import ONE_CLICK
from web_world import world

CADDY = shutil.which("caddy")
ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(CADDY is None, reason="no caddy here: apt install caddy")


def documented() -> str:
    """The block of docs/web.md."""
    text = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
    found = re.search(r"```\n(news\.example\.com \{\n.*?\n\})\n```", text, re.DOTALL)
    assert found is not None
    return found.group(1)


@asynccontextmanager
async def proxied(directory: Path, port: int) -> AsyncIterator[str]:
    """Run Caddy before a port, without asking anybody for a certificate; its own URL."""
    assert CADDY is not None
    own = free_port()
    block = documented().replace("news.example.com", f"http://127.0.0.1:{own}")
    block = block.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    config = directory / "Caddyfile"
    config.write_text("{\n\tadmin off\n\tauto_https off\n}\n" + block + "\n")
    home = {"PATH": os.environ["PATH"], "HOME": str(directory), "XDG_DATA_HOME": str(directory)}
    command = (CADDY, "run", "--config", config, "--adapter", "caddyfile")
    async with proxy(*command, port=own, env=home) as base:
        yield base


async def test_the_public_part(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], contact_list="letters", topic="offers")
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        async with (
            HttpServer(there.site.app, ServerOptions([("127.0.0.1", 0)])) as server,
            proxied(tmp_path, server.ports[0]) as base,
            httpx.AsyncClient(base_url=base, trust_env=False) as client,
        ):
            forged = {"x-forwarded-for": "198.51.100.7"}
            page = await client.get(urls["preferences_url"], headers=forged)
            assert page.status_code == 200
            assert "default-src 'none'" in page.headers["content-security-policy"]
            answer = await client.post(urls["unsubscribe_url"], data=ONE_CLICK, headers=forged)
            assert answer.text == "unsubscribed\n"
            (record,) = await there.contacts.consents("a@x.example", "letters")
            # Unlike nginx, Caddy believes the header of no client: what it says is whom it saw.
            assert record.ip == "127.0.0.1"
            clicked = await client.get(urls["click"])
            assert clicked.headers["location"] == "https://shop.example/a?x=1&y=2"
            large = await client.post(urls["unsubscribe_url"], content=b"x" * 40_000)
            assert large.status_code == 413
