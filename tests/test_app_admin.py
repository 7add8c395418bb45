"""The whole daemon with its admin part: a job comes in over HTTP and goes out as mail."""

import asyncio
from pathlib import Path

import httpx

from ekiden.control.client import Client
from ekiden.control.token_requests import AddToken, RevokeToken
from stage import Stage, free_port
from test_app_delivery import until
from test_app_web import running


async def test_a_job_over_http_is_delivered_once(tmp_path: Path) -> None:
    port = free_port()
    stage = Stage(
        tmp_path / "s",
        destinations=3,
        sites=1,
        extra=f'[web.admin]\nlisten = ["127.0.0.1:{port}"]\n',
    )
    stage.write()
    job = {
        "from": "Ekiden <news@stage.example>",
        "subject": "Code {{ code }}",
        "text": "{{ code }}",
        "recipients": [
            {"address": f"success+{n}@{stage.destination(n)}", "code": n} for n in range(9)
        ],
    }
    async with (
        stage.receivers(store=True),
        stage.dns(),
        running(stage) as app,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        socket = await Client.connect(app.config.control.socket)
        assert socket is not None
        made = await socket.ask(AddToken(name="shop", scopes=("submit", "read")))
        ask = {"authorization": f"Bearer {made.secret}", "idempotency-key": "order-1"}
        answers = [await client.post("/v1/jobs", json=job, headers=ask) for _ in range(3)]
        assert {one.json()["job"]["id"] for one in answers} == {1}

        async def ended() -> bool:
            shown = await client.get("/v1/jobs/1", headers=ask)
            return bool(shown.json()["state"] == "done")

        await until(ended)
        shown = (await client.get("/v1/jobs/1", headers=ask)).json()
        assert shown["counts"]["delivered"] == 9
        await asyncio.sleep(0)
        await app.events.exporter.drain()
        metrics = (await client.get("/metrics", headers=ask)).text
        assert 'ekiden_events_total{bounce_class="",provider="other",type="delivered"} 9.0' in (
            metrics
        )
        (provider,) = (await client.get("/v1/providers", headers=ask)).json()
        assert (provider["provider"], provider["delivered"]) == ("other", 9)
        assert (await client.get("/health")).json() == {"status": "ok"}
        refused = await client.post(
            "/v1/jobs", json={**job, "pool": "none"}, headers={**ask, "idempotency-key": "order-2"}
        )
        assert refused.status_code == 422
        assert "pool" in refused.json()["error"]
        # A revoked token ends in the same instant, through the socket of the same daemon.
        await socket.ask(RevokeToken(name="shop"))
        assert (await client.get("/v1/status", headers=ask)).status_code == 401
        await socket.close()
    assert len(list(stage.transactions())) == 9
