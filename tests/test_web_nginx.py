"""Behind a real nginx, set up as documented: who asks is known, and nothing else is believed."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from admin_world import admin_world
from ekiden.web.options import ServerOptions
from ekiden.web.server import HttpServer
from proxies import proxy
from stage import free_port
from test_web_unsubscribe import ONE_CLICK
from web_world import world

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(NGINX is None, reason="no nginx here: apt install nginx-light")


def documented(number: int) -> str:
    """A `location` block of docs/web.md."""
    text = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
    blocks: list[str] = re.findall(r"    location / \{.*?\n    \}\n", text, re.DOTALL)
    return blocks[number]


@asynccontextmanager
async def proxied(directory: Path, port: int, location: str) -> AsyncIterator[str]:
    """Run nginx before a port; its own URL."""
    assert NGINX is not None
    own = free_port()
    block = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", location)
    paths = "".join(
        f"    {kind}_temp_path {directory}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = directory / "nginx.conf"
    config.write_text(
        f"daemon off;\npid {directory}/pid;\nerror_log {directory}/error.log;\n"
        f"events {{}}\nhttp {{\n    access_log off;\n{paths}"
        f"    server {{\n    listen 127.0.0.1:{own};\n{block}    }}\n}}\n"
    )
    async with proxy(NGINX, "-c", config, "-p", directory, port=own) as base:
        yield base


async def test_the_public_part(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        job = await there.job(["a@x.example"], contact_list="letters", topic="offers")
        urls = there.urls(job, (await there.ids(job))[0], "a@x.example")
        async with (
            HttpServer(there.site.app, ServerOptions([("127.0.0.1", 0)])) as server,
            proxied(tmp_path, server.ports[0], documented(0)) as base,
            httpx.AsyncClient(base_url=base, trust_env=False) as client,
        ):
            forged = {"x-forwarded-for": "198.51.100.7"}
            assert (await client.get(urls["preferences_url"], headers=forged)).status_code == 200
            answer = await client.post(urls["unsubscribe_url"], data=ONE_CLICK, headers=forged)
            assert answer.text == "unsubscribed\n"
            (record,) = await there.contacts.consents("a@x.example", "letters")
            # nginx appended the peer it saw, a proxy of ours; the client's own claim comes first.
            # On loopback both are trusted, so the claim is what is left: as with two proxies.
            assert record.ip == "198.51.100.7"
            large = await client.post(urls["unsubscribe_url"], content=b"x" * 40_000)
            assert large.status_code == 413


async def test_the_admin_part(tmp_path: Path) -> None:
    async with (
        admin_world(tmp_path) as there,
        HttpServer(there.site.app, ServerOptions([("127.0.0.1", 0)])) as server,
        proxied(tmp_path, server.ports[0], documented(1)) as base,
        httpx.AsyncClient(base_url=base, trust_env=False) as client,
    ):
        assert (await client.get("/v1/status", headers=there.bearer("read"))).status_code == 200
        job = {
            "from": "a@news.example", "subject": "s", "text": "t" * 3_000_000,
            "recipients": ["a@x.example"],
        }  # fmt: skip
        answer = await client.post(
            "/v1/jobs", json=job, headers={**there.bearer("submit"), "prefer": "wait=0"}
        )
        assert answer.status_code == 202
        entered = await client.post("/login", data={"token": there.secrets["read"]})
        assert entered.headers["location"] == "/"
        assert (await client.get("/")).status_code == 200
