"""Rules over the past, and what lint finds in them."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from commands import runner
from ekiden.errors import ConfigError
from ekiden.events.past import replies
from ekiden.shaping.lint import of_reactions, of_slow_patterns
from ekiden.shaping.providers import Providers
from ekiden.shaping.reactions import Rule, parse
from ekiden.shaping.slowness import BOUND, seconds


def event(minute: int, reply: str, **given: Any) -> str:
    values = {
        "id": f"a{minute}",
        "time": f"2026-11-20T08:{minute:02}:00.000Z",
        "type": "deferred",
        "job": "j",
        "job_uid": "u",
        "recipient": "a@yahoo.com",
        "destination": "yahoo.com",
        "site": "mx",
        "host": "mta5.am0.yahoodns.net",
        "source": "a1",
        "code": 421,
        "reply": reply,
        "class": "rate_limited",
    }
    return json.dumps({**values, **given})


PAST = [
    event(1, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred"),
    event(2, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred"),
    event(3, "", type="delivered", code=250),
    event(4, "4.7.0 [TSS04] a report", asynchronous=True),
]


def test_replay_says_what_when_and_for_how_long(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "events.jsonl").write_text("\n".join(PAST) + "\n\n", encoding="utf-8")
    (tmp_path / "config.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EKIDEN_CONFIG", raising=False)
    command = runner(monkeypatch, capsys)
    found = command("shaping", "replay", "events.jsonl", "--json").json
    first = found[0]
    assert (first["rule"], first["provider"]) == ("yahoo-tss04", "yahoo")
    assert first["until"] - first["since"] == 7_200
    assert [one["rule"] for one in found].count("yahoo-tss04") == 1
    assert command("shaping", "replay", "events.jsonl").rows[0][1] == "yahoo-tss04"
    (tmp_path / "events.jsonl").write_text("nonsense\n", encoding="utf-8")
    refused = command("shaping", "replay", "events.jsonl")
    assert (refused.code, "line 1" in refused.err) == (2, True)


def test_a_line_that_is_no_event_is_named() -> None:
    with pytest.raises(ConfigError, match="line 2"):
        list(replies([PAST[0].encode(), b"{}"], lambda *_: "", "f"))


def rule(name: str, provider: str = "", **given: Any) -> Rule:
    table = {"name": name, "match": "slow", "action": "suspend", "for": "1h", **given}
    return parse(table, provider, "here")


def test_shipped_rules_are_clean_and_fast() -> None:
    shipped = Providers.load()
    assert list(of_reactions(shipped.rules(), shipped)) == []
    assert list(of_slow_patterns(shipped.rules(), time.perf_counter)) == []


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([rule("a", "nobody")], "no provider"),
        ([rule("a", example="451 calm")], "own example"),
        ([rule("a"), rule("b")], "adds nothing: a"),
        ([rule("a"), rule("b", "yahoo")], "adds nothing: a"),
    ],
)
def test_what_never_fires_is_found(rules: list[Rule], words: str) -> None:
    (found,) = of_reactions(rules, Providers.load())
    assert words in found.what


def test_different_ends_are_not_the_same() -> None:
    rules = [rule("a"), rule("b", **{"for": "2h"}), rule("c", action="sessions", to=1)]
    assert list(of_reactions(rules, Providers.load())) == []


@pytest.mark.parametrize("pattern", ["(a+)+b", "(x|x)*y", r"(\d+)*$z", "(ab?a?)*c"])
def test_patterns_that_backtrack_without_end_are_slow(pattern: str) -> None:
    assert seconds(re.compile(pattern), time.perf_counter) > BOUND


@pytest.mark.parametrize("pattern", [r"\[TSS?04\]", "4\\.7\\.28", "from \\S+ temporarily"])
def test_plain_patterns_are_not(pattern: str) -> None:
    assert seconds(re.compile(pattern), time.perf_counter) < BOUND
