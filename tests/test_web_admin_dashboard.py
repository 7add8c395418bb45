"""The dashboard: who sees it, what its buttons do and for whom, and whose scripts run: ours."""

import json
import re
from pathlib import Path

import httpx
import msgspec
import pytest

from admin_world import NOW, Admin, admin_world
from ekiden.bounce.classes import CLASSES
from ekiden.control.insight_requests import FailureView, ProviderView
from ekiden.control.requests import JobView
from ekiden.queue.memory import Kind
from ekiden.queue.model import Attempt, Foretold, Settlement, State
from ekiden.shaping.reactions import Act, Reaction, Scope
from ekiden.shaping.volume import Jump
from ekiden.web.admin import meanings
from ekiden.web.admin.doorkeeper import COOKIE
from ekiden.web.admin.shown import job_shown, length_of, moment, remedy_key, segments
from ekiden.web.admin.words import ENGLISH, JAPANESE

EVIL = "<script>alert(1)</script>"


async def enter(there: Admin, name: str = "admin") -> httpx.Response:
    return await there.client.post("/login", data={"token": there.secrets[name]})


async def csrf(there: Admin, path: str = "/") -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', (await there.client.get(path)).text)
    assert found is not None
    return found[1]


def attempt(code: int, reply: str, klass: str) -> Attempt:
    return Attempt(
        at=NOW, seconds=0.1, source="a", site="s", host="h", stage="rcpt", code=code, reply=reply,
        klass=klass, rule="r", outcome="rejected",
    )  # fmt: skip


async def test_nobody_sees_anything_without_a_token(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        for path in ("/", "/queue", "/jobs/1"):
            answer = await there.client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        for path in ("/jobs/1/pause", "/suspensions", "/reputation"):
            assert (await there.client.post(path)).headers["location"] == "/login"
        for wrong in ("", "x", there.secrets["submit"]):  # submit may not read
            answer = await there.client.post("/login", data={"token": wrong})
            assert answer.status_code in {401, 403}
            assert 'role="alert"' in answer.text
            assert "set-cookie" not in answer.headers


async def test_the_cookie_is_for_this_site_and_no_script(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        answer = await enter(there)
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "secure" not in cookie  # http on this machine
        assert there.secrets["admin"].lower() not in cookie
        secure = await there.client.post(
            "/login",
            data={"token": there.secrets["read"]},
            headers={"x-forwarded-proto": "https"},
        )
        assert "secure" in secure.headers["set-cookie"].lower()


async def test_a_session_ends(tmp_path: Path) -> None:
    async with admin_world(tmp_path, session=60) as there:
        await enter(there)
        assert (await there.client.get("/")).status_code == 200
        there.now[0] += 61
        assert (await there.client.get("/")).status_code == 303
        await enter(there)
        await there.tokens.revoke("admin", there.now[0])
        assert (await there.client.get("/")).status_code == 303
        await enter(there, "read")
        form = {"csrf": await csrf(there)}
        kept = there.client.cookies[COOKIE]
        await there.client.post("/logout", data=form)
        there.client.cookies.set(COOKIE, kept)
        assert (await there.client.get("/")).status_code == 303


async def test_the_overview(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there)
        assert "No job was submitted yet" in (await there.client.get("/")).text
        await there.job(EVIL, ["a@x.example", "b@y.example"])
        await there.queue.suspend("*.example.org", None, EVIL, NOW)
        await there.queue.notice("source:a1", EVIL, NOW)
        there.engine.trouble = EVIL
        there.engine.shown = [
            ProviderView(
                provider="gmail",
                sites=1,
                waiting=81_234,
                sessions=20,
                delivered=512_000,
                deferred=210,
                bounced=3120,
                why="20 sessions are open",
            )
        ]
        learned = {"window": [3, -1, 0, 2.0], "speed": [0.5, 0.5, 0, 1], "length": [20, 0, 1]}
        await there.queue.remember(
            Kind.PATH,
            {
                f"a1 to {EVIL}": json.dumps(learned),
                "a1 to mx": json.dumps({"window": [2, -1, 0, 2]}),
            },
            NOW,
        )
        page = await there.client.get("/")
        assert "20 · the receiver said so" in page.text
        assert "<td>30 per minute</td>" in page.text
        assert '<th scope="row">mx</th>' not in page.text, "nothing was found there"
        for said in ("81,234", "512,000", "20 sessions are open", "*.example.org", "source:a1"):
            assert said in page.text
        assert page.text.count("<script") == 1  # our own file
        assert page.text.count("&lt;script&gt;alert(1)") >= 4
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page.text)
        assert not re.search(r"\sstyle=|\son\w+=", page.text)


async def test_a_job_says_what_failed_and_what_to_do(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there)
        job = await there.job("sale", [f"u{n}@x.example" for n in range(5)])
        gone = attempt(550, f"5.1.1 no such user {EVIL}", "bad_mailbox")
        slow = attempt(421, "4.7.28 unusual rate", "rate_limited")
        fine = attempt(250, "ok", "")
        await there.settle(
            job,
            [
                lambda one: Settlement(one, State.BOUNCED, attempt=gone),
                lambda one: Settlement(one, State.BOUNCED, attempt=gone),
                lambda one: Settlement(one, State.READY, NOW + 60, attempt=slow),
                lambda one: Settlement(one, State.DELIVERED, attempt=fine),
            ],
        )
        for language, remedy in (
            ("en", "suppressed and not mailed"),
            ("ja", "メールボックスが存在しません"),
        ):
            page = await there.client.get(f"/jobs/{job.id}?lang={language}")
            assert "bad_mailbox" in page.text
            assert remedy in page.text
            assert "rate_limited" in page.text
            assert "<script>alert" not in page.text
        failures = await there.client.get("/v1/jobs/sale/failures", headers=there.bearer("read"))
        assert [(one["class"], one["fate"], one["number"]) for one in failures.json()] == [
            ("bad_mailbox", "bounced", 2),
            ("rate_limited", "deferred", 1),
        ]
        assert (await there.client.get("/jobs/none")).status_code == 404


async def test_buttons(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there)
        job = await there.job("sale", ["a@x.example"])
        form = {"csrf": await csrf(there)}
        for act, state in (("pause", "paused"), ("resume", "open"), ("cancel", "cancelled")):
            answer = await there.client.post(f"/jobs/{job.id}/{act}", data=form)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job.id}")
            assert (await there.queue.job(job.id)).state == state
        assert (await there.client.post(f"/jobs/{job.id}/pause", data=form)).status_code == 409
        assert (await there.client.post(f"/jobs/{job.id}/explode", data=form)).status_code == 404
        more = {**form, "pattern": "*.example.org", "reason": "why"}
        answer = await there.client.post("/suspensions", data=more)
        assert answer.headers["location"] == "/queue"
        assert [one.pattern for one in await there.queue.suspensions()] == ["*.example.org"]
        more = {**form, "pattern": "*.example.org", "act": "lift", "back": "//evil.example"}
        answer = await there.client.post("/suspensions", data=more)
        assert answer.headers["location"] == "/queue"
        assert await there.queue.suspensions() == []
        answer = await there.client.post("/reputation", data={**form, "scope": "set:none"})
        assert answer.status_code == 404


async def test_forms_of_other_sites_do_nothing(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there)
        job = await there.job("sale", ["a@x.example"])
        genuine = await csrf(there)
        async with there.another() as other:
            await other.post("/login", data={"token": there.secrets["admin"]})
            found = re.search(r'name="csrf" value="([^"]+)"', (await other.get("/")).text)
            assert found is not None
            strange = found[1]
        path = f"/jobs/{job.id}/cancel"
        for wrong in ("", "x", strange, genuine[:-1]):
            answer = await there.client.post(path, data={"csrf": wrong})
            assert answer.status_code == 403
        answer = await there.client.post(
            path, data={"csrf": genuine}, headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403
        # A bearer token is no session, and a session is no bearer token.
        assert (await there.client.get("/v1/status")).status_code == 401
        answer = await there.client.post(
            "/login", data={"token": "x"}, headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403
        assert (await there.queue.job(job.id)).state == "open"


async def test_who_may_only_read_has_no_buttons(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there, "read")
        job = await there.job("sale", ["a@x.example"])
        await there.queue.suspend("x.example", None, "", NOW)
        for path in ("/", f"/jobs/{job.id}", "/queue"):
            page = (await there.client.get(path)).text
            assert re.findall(r'method="post" action="([^"]+)"', page) == ["/logout"], path
        form = {"csrf": await csrf(there)}
        answer = await there.client.post(f"/jobs/{job.id}/cancel", data=form)
        assert answer.status_code == 403
        assert (await there.queue.job(job.id)).state == "open"


async def test_files(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        for name, kind in (("dashboard.js", "text/javascript"), ("dashboard.css", "text/css")):
            answer = await there.client.get(f"/static/{name}")
            assert answer.headers["content-type"].startswith(kind)
            assert "http" not in answer.text
        for name in ("words.py", "..%2fwords.py", "base.html"):
            assert (await there.client.get(f"/static/{name}")).status_code == 404


async def test_estimates_and_bars(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await there.job("sale", [f"u{n}@x.example" for n in range(100)])
        answer = await there.client.get("/v1/jobs/sale", headers=there.bearer("read"))
        assert answer.json()["total"] == 100
        from ekiden.control.views import job_view  # noqa: PLC0415 - for this test alone

        view = job_view(await there.queue.job("sale"))
        assert job_shown(view, NOW).left is None  # nothing was tried yet
        assert segments(view) == []


@pytest.mark.parametrize(
    ("said", "ends", "left", "shown", "endless"),
    [
        ("", None, 3600.0, None, False),  # the pace so far: half of it in an hour
        ("all of it by then", NOW + 7200, 7200.0, NOW + 7200, False),
        ("all of it by then", NOW - 1, 3600.0, None, False),  # it was wrong
        ("not within two months", None, None, None, True),
    ],
)
def test_a_forecast_comes_before_the_pace_so_far(
    said: str, ends: float | None, left: float | None, shown: float | None, endless: bool
) -> None:
    job = JobView(
        id=1, uid="u", name="sale", state="open", priority="normal", mail_from="", from_domain="",
        configuration_set="", pool="", created_at=NOW - 3600, send_at=NOW - 3600,
        expires_at=NOW + 9e6, deliver_by=None, spool_name="", finished_at=None, total=100,
        refused=0, duplicates=0, counts={"delivered": 50, "ready": 50}, forecast=said, ends_at=ends,
    )  # fmt: skip
    found = job_shown(job, NOW)
    assert (found.left, found.ends_at, found.endless) == (left, shown, endless)
    paused = job_shown(msgspec.structs.replace(job, state="paused"), NOW)
    assert (paused.left, paused.ends_at, paused.endless) == (None, None, False)


async def test_forecasts_are_shown_in_both_languages(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there)
        soon = await there.job("soon", ["a@x.example"])
        never = await there.job("never", ["b@x.example"])
        there.engine.forecasts = {soon.id: ("by then", NOW + 7200), never.id: ("never", None)}
        for language, takes, long in (("en", "2 h", "over 2 months"), ("ja", "2時間", "2か月以上")):
            page = (await there.client.get(f"/?lang={language}")).text
            assert f"{takes} <small><time>{moment(NOW + 7200)}" in page
            assert f"<td>{long}</td>" in page
            assert takes in (await there.client.get(f"/jobs/{soon.id}")).text
            assert long in (await there.client.get(f"/jobs/{never.id}")).text


async def test_what_was_said_of_a_job_is_shown_in_both_languages(tmp_path: Path) -> None:
    forecast = {"words": "started now, 61 % of it is there by 13:00; start by 09:10 to reach 99 %"}
    jump = Jump("a<1>", 12_000, 2_000.0, 2)
    told = Foretold(msgspec.json.encode(forecast).decode(), (str(jump),))
    async with admin_world(tmp_path) as there:
        await enter(there)
        job = await there.job("sale", ["a@x.example"], told)
        await there.job("usual", ["a@x.example"])
        said = (await there.client.get("/v1/jobs/sale", headers=there.bearer("read"))).json()
        assert said["verdict"] == forecast["words"]
        assert said["volume"] == [str(jump)]
        page = (await there.client.get(f"/jobs/{job.id}?lang=en")).text
        assert forecast["words"] in page
        assert "12,000 messages from a&lt;1&gt; in one job are 6.0 times its mean" in page
        page = (await there.client.get(f"/jobs/{job.id}?lang=ja")).text
        assert "今開始すると、13:00までに61 %が届きます。" in page
        assert "1つのジョブでa&lt;1&gt;から12,000通は、30日間の1日平均2,000通の6.0倍です。" in page
        assert "2日に分ければ" in page
        usual = (await there.client.get("/jobs/usual?lang=en")).text
        assert "A jump in volume" not in usual
        assert "Said when it came in" not in usual


async def test_what_replies_hold_back(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there)
        assert "No reply holds anything back." in (await there.client.get("/?lang=en")).text
        held = Reaction(
            id=7, rule="yahoo-tss", scope=Scope.ROAD, act=Act.STOP, to="", source="a1", site="",
            provider="yahoo", job=0, since=NOW, until=NOW + 14400, reply=f"421 TSS04 {EVIL}",
            count=3,
        )  # fmt: skip
        lasting = msgspec.structs.replace(held, id=8, scope=Scope.JOB, job=3, until=0)
        kept = {str(one.id): msgspec.json.encode(one).decode() for one in (held, lasting)}
        await there.queue.remember(Kind.REACTION, kept, NOW)
        for language, heading, lifted, place, job in (
            ("en", "Held back because of replies", "until it is lifted", "a1 to provider yahoo",
             "job 3"),
            ("ja", "受信側の応答による制限", "解除するまで", "送信元a1から事業者yahoo", "ジョブ3"),
        ):  # fmt: skip
            page = (await there.client.get(f"/?lang={language}")).text
            for said in (
                heading,
                lifted,
                place,
                "yahoo-tss",
                job,
                "421 TSS04",
            ):
                assert said in page
            assert moment(held.until) in page
            assert EVIL not in page


def test_lengths() -> None:
    assert [length_of(one, ENGLISH) for one in (None, 0.0, 90.0, 7000.0, 7300.0, 2e5)] == [
        "–", "1 s", "90 s", "117 min", "2 h", "2 d",
    ]  # fmt: skip
    assert length_of(240.0, JAPANESE) == "4分"


@pytest.mark.parametrize(
    ("fate", "action", "key"),
    [
        ("bounced", "fix_sender", "remedy_fix_sender"),
        ("deferred", "", "remedy_other"),
        ("held", "retry_later", "remedy_held"),
    ],
)
def test_what_to_do(fate: str, action: str, key: str) -> None:
    failure = FailureView(
        fate=fate, klass="", rule="", number=1, code=0, reply="", meaning="", action=action,
        remedy="",
    )  # fmt: skip
    assert remedy_key(failure) == key
    assert key in ENGLISH


def test_every_class_has_a_meaning_in_both_languages() -> None:
    assert meanings.JAPANESE.keys() == CLASSES.keys()


def test_both_languages_say_the_same_things() -> None:
    assert ENGLISH.keys() == JAPANESE.keys()
    for key, phrase in ENGLISH.items():
        fields = sorted(part.partition("}")[0] for part in phrase.split("{")[1:])
        assert fields == sorted(p.partition("}")[0] for p in JAPANESE[key].split("{")[1:]), key
