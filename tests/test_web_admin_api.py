"""The admin API: who may ask, what is answered, and that its document says the same."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import validate

import ekiden
from admin_world import NOW, admin_world
from ekiden.control.methods import REQUESTS
from ekiden.events.model import Event, EventType
from ekiden.web.admin.openapi import document, text
from ekiden.web.admin.operations import OPERATIONS

DOCUMENT = document(ekiden.__version__)
ROOT = Path(__file__).parent.parent


def operations() -> list[tuple[str, str, str]]:
    return [
        (verb, path, about.get("x-scope", ""))
        for path, verbs in DOCUMENT["paths"].items()
        for verb, about in verbs.items()
    ]


def filled(path: str) -> str:
    return path.replace("{", "").replace("}", "")


def test_the_document_is_valid() -> None:
    validate(DOCUMENT)


def test_the_document_in_docs_is_the_one_that_is_served() -> None:
    remedy = "python -m ekiden.web.admin.openapi > docs/openapi.json"
    assert (ROOT / "docs" / "openapi.json").read_bytes() == text(ekiden.__version__), remedy


async def test_the_document_names_every_route_and_no_other(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        routes = {
            (method, route.path)
            for route in there.site.routes
            for method in (route.methods or set()) - {"HEAD"}
            if route.path.startswith("/v1") or route.path in {"/health", "/metrics"}
        }
        assert routes == {(verb.upper(), path) for verb, path, _ in operations()}
        served = await there.client.get("/v1/openapi.json")
        assert served.content == text(ekiden.__version__)


@pytest.mark.parametrize(("verb", "path", "scope"), operations())
async def test_a_path_wants_its_scope(tmp_path: Path, verb: str, path: str, scope: str) -> None:
    async with admin_world(tmp_path) as there:
        at = filled(path)
        bare = await there.client.request(verb, at)
        if not scope:
            assert bare.status_code == 200
            return
        assert bare.status_code == 401
        assert bare.headers["www-authenticate"].startswith("Bearer")
        assert bare.headers["content-type"] == "application/problem+json"
        wrong = await there.client.request(verb, at, headers={"authorization": "Bearer x"})
        assert wrong.status_code == 401
        enough = {scope, "admin"} | ({"read"} if path.startswith("/v1/submissions") else set())
        for name in ("submit", "read", "admin"):
            answer = await there.client.request(verb, at, headers=there.bearer(name))
            assert (answer.status_code == 403) is (name not in enough), name
            assert answer.status_code not in {401, 500}
        await there.tokens.revoke("admin", NOW)
        answer = await there.client.request(verb, at, headers=there.bearer("admin"))
        assert answer.status_code == 401


async def test_jobs_queue_and_deliveries(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        job = await there.job("sale", ["a@x.example", "b@y.example"])
        ask = there.bearer("read")

        async def get(path: str) -> Any:
            answer = await there.client.get(path, headers=ask)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert (await get("/v1/status"))["deliveries"]["ready"] == 2
        assert [one["name"] for one in await get("/v1/jobs?states=open&states=paused")] == ["sale"]
        assert await get("/v1/jobs?states=done") == []
        assert (await get(f"/v1/jobs/{job.id}"))["total"] == 2
        assert (await get("/v1/jobs/sale"))["id"] == job.id
        assert {one["destination"] for one in await get("/v1/queue?pattern=x.example")} == {
            "x.example"
        }
        (found,) = await get("/v1/deliveries?recipient=a%40x.example")
        assert found["state"] == "ready"
        assert await get("/v1/jobs/sale/failures") == []
        assert await get("/v1/jobs/sale/reactions") == []
        for path, status in (
            ("/v1/jobs/none", 404),
            ("/v1/jobs?limit=x", 400),
            ("/v1/jobs?lmit=1", 400),
            ("/v1/jobs?states=gone", 409),
            ("/v1/deliveries", 400),
            ("/v1/nothing", 404),
        ):
            answer = await there.client.get(path, headers=ask)
            assert answer.status_code == status, path
            problem = answer.json()
            assert problem["status"] == status
            assert problem["title"]


async def test_pausing_suspending_and_suppressing(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await there.job("sale", ["a@x.example"])
        ask = there.bearer()

        async def post(path: str, body: object = None) -> Any:
            answer = await there.client.post(path, json=body, headers=ask)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert (await post("/v1/jobs/sale/pause"))["state"] == "paused"
        assert (await post("/v1/jobs/sale/resume", {}))["state"] == "open"
        assert (await post("/v1/jobs/sale/cancel"))["state"] == "cancelled"
        assert there.engine.heard == ["sale paused", "sale open", "sale cancelled"]
        await post("/v1/suspensions", {"pattern": "*.example", "reason": "moving"})
        listed = await there.client.get("/v1/suspensions", headers=ask)
        assert [one["pattern"] for one in listed.json()] == ["*.example"]
        answer = await there.client.delete("/v1/suspensions/*.example", headers=ask)
        assert answer.json() is True
        entry = {"address": "a@x.example", "reason": "manual"}
        assert (await post("/v1/suppressions", {"entries": [entry, entry]}))["added"] == 1
        await post("/v1/suppressions", {"entries": [{**entry, "address": "b@x.example"}]})
        listed = await there.client.get("/v1/suppressions?limit=1", headers=ask)
        assert [one["address"] for one in listed.json()["items"]] == ["a@x.example"]
        lines = await there.client.get(
            "/v1/suppressions", headers={**ask, "accept": "application/x-ndjson"}
        )
        assert [json.loads(one)["address"] for one in lines.text.splitlines()] == [
            "a@x.example",
            "b@x.example",
        ]
        gone = await there.client.delete("/v1/suppressions/a@x.example", headers=ask)
        assert gone.json() == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"pattern": 5}', 400),
        (b"{}", 400),
        (b'{"pattern": "x.example", "unknown": 1}', 400),
        (b'{"pattern": "not a pattern!"}', 409),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"pattern": "' + b"x" * 2_000_000 + b'"}', 413),
    ],
)
async def test_bodies_that_are_wrong(tmp_path: Path, body: bytes, status: int) -> None:
    async with admin_world(tmp_path) as there:
        answer = await there.client.post(
            "/v1/suspensions", content=body, headers=there.bearer("admin")
        )
        assert answer.status_code == status, answer.text
        assert (await there.client.get("/health")).status_code == 200


async def test_tokens_make_tokens_and_secrets_are_told_once(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        ask = there.bearer()
        body = {"name": "new", "scopes": ["read"]}
        made = (await there.client.post("/v1/tokens", json=body, headers=ask)).json()
        use = {"authorization": f"Bearer {made['secret']}"}
        assert (await there.client.get("/v1/status", headers=use)).status_code == 200
        listed = await there.client.get("/v1/tokens", headers=ask)
        assert made["secret"] not in listed.text
        assert (await there.client.delete("/v1/tokens/new", headers=ask)).json() == 1
        assert (await there.client.get("/v1/status", headers=use)).status_code == 401


async def test_guessing_is_slowed_and_the_right_token_is_not(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        codes = [
            (
                await there.client.get("/v1/status", headers={"authorization": f"Bearer x{n}"})
            ).status_code
            for n in range(40)
        ]
        assert codes.count(429) >= 15
        answer = await there.client.get("/v1/status", headers=there.bearer("read"))
        assert answer.status_code == 200


async def test_a_token_has_so_many_requests(tmp_path: Path) -> None:
    async with admin_world(tmp_path, per_minute=5) as there:
        codes = [
            (await there.client.get("/v1/status", headers=there.bearer("read"))).status_code
            for _ in range(8)
        ]
        assert codes == [200] * 5 + [429] * 3
        answer = await there.client.get("/v1/status", headers=there.bearer("admin"))
        assert answer.status_code == 200


async def test_health_and_metrics(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        assert (await there.client.get("/health")).json() == {"status": "ok"}
        there.engine.trouble = "the disk is full: /var/spool/secret"
        answer = await there.client.get("/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "trouble"})
        metrics = await there.client.get("/metrics", headers=there.bearer("read"))
        assert 'ekiden_queue{state="ready"} 3.0' in metrics.text
        assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")


def test_every_request_has_an_operation() -> None:
    # Returned mail comes by the listener; what DNS says is looked up by whoever asks.
    apart = {"inbound.take", "identity.judge"}
    apart |= {
        "forecast.jobs",
        "forecast.lanes",
        "forecast.memory",
        "forecast.volumes",
    }  # what `ekiden plan` reckons with
    served = {one.request.method for one in OPERATIONS}
    assert served == REQUESTS.keys() - apart, "a row in web/admin/operations.py is missing"


async def test_the_newest_events(tmp_path: Path) -> None:
    lines = [
        Event(
            id=f"a{n}",
            time="2027-01-15T08:00:00Z",
            type=EventType.DELIVERED if n % 2 else EventType.BOUNCED,
            job="sale",
            job_uid="j1",
            recipient=f"u{n % 3}@x.example",
            destination="x.example",
        )
        for n in range(500)
    ]
    directory = tmp_path / "events"
    directory.mkdir()
    text = b"".join(msgspec.json.encode(one) + b"\n" for one in lines)
    (directory / "events.jsonl").write_bytes(text + b'{"half a li')
    async with admin_world(tmp_path) as there:

        async def ids(query: str) -> list[str]:
            answer = await there.client.get(f"/v1/events{query}", headers=there.bearer("read"))
            assert answer.status_code == 200, answer.text
            return [one["id"] for one in answer.json()["items"]]

        assert await ids("") == [f"a{n}" for n in range(400, 500)]
        assert await ids("?limit=3") == ["a497", "a498", "a499"]
        assert await ids("?limit=2&type=bounced") == ["a496", "a498"]
        assert len(await ids("?limit=5000&type=bounced&type=delivered")) == 500
        assert await ids("?after=a497") == ["a498", "a499"]
        assert await ids("?limit=2&recipient=U1@x.example") == ["a496", "a499"]
        assert await ids("?job=other") == []
        for wrong in ("?type=none", "?limit=x", "?lines=3"):
            answer = await there.client.get(f"/v1/events{wrong}", headers=there.bearer("read"))
            assert answer.status_code == 400


def test_every_operation_has_words() -> None:
    for one in OPERATIONS:
        assert one.summary.endswith("."), one.path
