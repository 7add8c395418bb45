"""The daemon and its providers: a reload of `[provider.NAME]` reaches whoever asks who it is."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from ekiden.control.insight_requests import ProviderView
from stage import Stage
from test_app_delivery import daemon, until

SETUP = """
[[source]]
name = "a1"
address = "127.0.0.2"
ehlo = "a1.stage.example"
[[warmup.source]]
source = "a1"
provider = "*"
plan = "wide"
[[warmup.plan]]
name = "wide"
days = [100000000]
"""
PARTNER = """
[provider.partner]
destinations = ["d0.example"]
[bounce]
rules = ["own.toml"]
"""
RULES = """
[[rule]]
name = "partner.gone"
class = "rate_limited"
providers = ["partner"]
phrases = ["user unknown"]
why = "Our partner says so of anybody while it is busy."
source = "a call with its postmaster"
"""


def counted(views: Sequence[ProviderView], name: str) -> int:
    return sum(one.delivered + one.deferred for one in views if one.provider == name)


async def test_a_reload_names_a_provider_to_all_who_ask(tmp_path: Path) -> None:
    """Metrics, warm-up, rates, rules and the scheduler: one answer, before and after."""
    stage = Stage(tmp_path / "s", destinations=1, sites=1, extra=SETUP)
    stage.write()
    (stage.directory / "own.toml").write_text(RULES, encoding="utf-8")
    async with stage.receivers(), stage.dns(), daemon(stage) as app:
        stage.drop("before", ["success@d0.example"])
        await until(stage.result("before").exists)
        ramp = app.duties.warming.ramps.of("a1", "partner")
        assert ramp is not None
        assert ramp.evidence.tried == 0
        stage.config.write_text(stage.config.read_text() + PARTNER, encoding="utf-8")
        app.reload()
        stage.drop("after", ["success+1@d0.example", "bounce@d0.example"])
        async with asyncio.timeout(20):
            while counted(await app.live.providers(), "partner") < 2:  # noqa: ASYNC110 - asked over and over, as people do
                await asyncio.sleep(0.05)
        (site,) = app.delivery.scheduler.sites(app.base.now())
        assert site.provider == "partner"
        await app.duties.standings.round()
        scopes = {one.scope for one in await app.queue.reputations()}
        records = await app.queue.attempts_after(0, 100)
    assert ramp.evidence.tried == 2
    assert "provider:partner" in scopes
    refused = [one.attempt.klass for one in records if one.attempt and one.attempt.code == 550]
    assert refused[:1] == ["rate_limited"], "a rule of one's own holds at a provider of one's own"
