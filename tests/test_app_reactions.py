"""Reactions in the running daemon, over a restart, and through the commands."""

import json
from pathlib import Path

import pytest

from ekiden.config import load
from ekiden.control.reaction_requests import CancelReaction, ShowReactions
from ekiden.control.reaction_service import ReactionAnswers
from ekiden.engine.capsbook import profiles, reactions
from ekiden.engine.dialler import TlsRules
from ekiden.engine.tls import TlsPolicy
from ekiden.queue.model import JobState
from stage import Stage
from test_app_delivery import daemon, sent, until

RULE = """
[[reaction]]
name = "full"
class = "mailbox_full"
action = "{action}"
scope = "{scope}"
{more}
"""


def stage_with(tmp_path: Path, action: str, scope: str, more: str = "") -> Stage:
    extra = RULE.format(action=action, scope=scope, more=more)
    stage = Stage(tmp_path / "s", destinations=2, sites=2, extra=extra)
    stage.write()
    return stage


def alerts(stage: Stage) -> list[dict[str, str]]:
    lines = [
        json.loads(line)
        for path in sorted((stage.directory / "events").glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return [line for line in lines if line["type"] == "alert"]


async def test_a_reply_suspends_a_path_over_a_restart_until_it_is_cancelled(tmp_path: Path) -> None:
    stage = stage_with(tmp_path, "suspend", "path", 'for = "1h"')
    async with stage.receivers(), stage.dns():
        async with daemon(stage) as app:
            stage.drop("one", ["mailboxfull@d0.example"])
            await until(lambda: bool(app.duties.reactor.live()))
            (one,) = app.duties.reactor.live()
            assert (one.rule, one.act, one.where()) == (
                "full",
                "suspend",
                f"{one.source} to {one.site}",
            )
            assert one.reply[:1] in {"4", "5"}
            stage.drop("two", [f"a{n}@d{n % 2}.example" for n in range(10)])
            await until(lambda: sent(stage) >= 6)
        async with daemon(stage) as app:
            await until(lambda: app.duties.reactor.live() == [one])  # it holds after a restart
            await until(lambda: "reaction 1 (full)" in app.live.why("d0.example"))
            answers = ReactionAnswers(
                app.queue,
                app.base.now,
                live=app.duties.reactor.live,
                cancel=app.duties.cancel_reaction,
            ).questions()
            (shown,) = await answers[ShowReactions](ShowReactions())
            assert (shown.id, shown.reply) == (one.id, one.reply)
            job = await app.queue.job("one")  # its retry would bring about the same again
            await app.queue.cancel_job(job.id, app.base.now())
            app.live.job_changed(await app.queue.job(job.id))
            assert await answers[CancelReaction](CancelReaction(id=one.id))
            assert not await answers[CancelReaction](CancelReaction(id=one.id))
            await until(stage.result("two").exists)
    told = [line for line in alerts(stage) if line["scope"] == "reaction:full"]
    assert [line["detail"].partition(":")[0] for line in told[:2]] == ["begins", "is cancelled"]


async def test_a_reply_stops_a_job(tmp_path: Path) -> None:
    stage = stage_with(tmp_path, "stop", "job")
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("one", ["mailboxfull@d0.example"])

        async def stopped() -> bool:
            jobs = await app.queue.jobs([JobState.PAUSED], 10)
            return bool(jobs)

        await until(stopped)
        assert app.duties.reactor.live() == []
        await until(lambda: bool(alerts(stage)))


async def test_what_is_kept_is_shown_and_cancelled_without_a_daemon(tmp_path: Path) -> None:
    stage = stage_with(tmp_path, "suspend", "road", 'for = "1h"')
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("one", ["mailboxfull@d0.example"])
        await until(lambda: bool(app.duties.reactor.live()))
        await app.duties.reactor.save()
        answers = ReactionAnswers(app.queue, app.base.now).questions()
        (shown,) = await answers[ShowReactions](ShowReactions())
        assert await answers[CancelReaction](CancelReaction(id=shown.id))
        assert await answers[ShowReactions](ShowReactions()) == []


OWN = """
[provider.gmail]
provider_sessions = 50
[provider.corp]
mx = [".corp.example"]
tls = "verified"
size = 5000000
messages = ["5/s"]
[[reaction]]
name = "yahoo-tss04"
action = "none"
[[reaction]]
name = "corp-slow"
provider = "corp"
match = "calm down"
after = "2 in 5m"
scope = "road"
action = "slow"
to = "0.25"
for = "1h"
"""


def test_an_operators_words_lie_over_the_shipped_ones(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(OWN, encoding="utf-8")
    config = load(path)
    found = profiles(config)
    assert found["gmail"].limits.provider_sessions == 50
    assert found["gmail"].limits.messages_per_session == 50, "as shipped"
    assert found["corp"].limits.size == 5_000_000
    rules = {one.name: one for one in reactions(config)}
    assert rules["yahoo-tss04"].act == "none"
    assert (rules["corp-slow"].to, rules["corp-slow"].count) == (0.25, 2)


@pytest.mark.parametrize(
    ("destination", "hosts", "default", "expected"),
    [
        ("gmail.com", [], TlsPolicy.OPPORTUNISTIC, (TlsPolicy.REQUIRED, "provider gmail")),
        ("gmail.com", [], TlsPolicy.OFF, (TlsPolicy.REQUIRED, "provider gmail")),
        ("gmail.com", [], TlsPolicy.VERIFIED, (TlsPolicy.VERIFIED, "default")),
        ("example.org", ["mx"], TlsPolicy.OFF, (TlsPolicy.OFF, "default")),
        (
            "x.example",
            ["a.corp.example"],
            TlsPolicy.OFF,
            (TlsPolicy.VERIFIED, "provider corp"),
        ),
    ],
)
def test_a_profile_asks_for_tls_and_never_for_less(
    tmp_path: Path,
    destination: str,
    hosts: list[str],
    default: TlsPolicy,
    expected: tuple[TlsPolicy, str],
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(OWN, encoding="utf-8")
    rules = TlsRules(default=default, providers=profiles(load(path)))
    assert rules.explain(destination, hosts) == expected
    assert rules.of(destination, hosts, routed=True) is default
