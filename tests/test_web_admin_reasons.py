"""The daemon's reasons in Japanese: every sentence it has, and a dashboard without English."""

import ast
import re
from pathlib import Path

import msgspec
import pytest

from admin_world import NOW, admin_world
from ekiden.control.insight_requests import ProviderView
from ekiden.forecast.model import Finish, Forecast
from ekiden.forecast.words import sentence
from ekiden.queue.model import Settlement, State
from ekiden.shaping.reputation import ReputationOptions, Tally, judge
from ekiden.web.admin.reasons import in_japanese, told, where
from test_web_admin_dashboard import attempt, enter

SOURCE = Path(__file__).parent.parent / "src" / "ekiden"
# Of these files every sentence can become the reason that a person reads.
SPEAKERS = (
    "control/waiting.py",
    "engine/schedule/explain.py",
)
NO_SENTENCES = {
    "{} to {}",
    "nothing of it is due",
    "one probe at a time",
    "a window of {}",
    "{}, then wait {} s",
}


def sentences(path: Path) -> list[str]:
    """Every text with a space in it that is no docstring, with 5 for each value."""
    tree = ast.parse(path.read_text("utf-8"))
    docs = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    inside = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in node.values
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append(
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}"
                        for part in node.values)
            )  # fmt: skip
        elif isinstance(node, ast.Constant) and id(node) not in inside:
            found += [node.value] if isinstance(node.value, str) and node.value not in docs else []
    return [one for one in found if re.search(r"[a-z] [a-z({]", one) and one not in NO_SENTENCES]


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_every_sentence_has_its_japanese(speaker: str) -> None:
    found = sentences(SOURCE / speaker)
    assert len(found) > 5
    for one in found:
        english = one.replace("{} more", "5 min more").replace("{}", "5")
        english = {
            "job 5 is 5": "job 5 is paused",
            "5 sessions, 5 on 5": "5 sessions, a window of 5 on 5",
        }.get(english, english)
        assert in_japanese(english) is not None, f"web/admin/reasons.py lacks: {english}"


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("suspended: 移行中", "送信停止中: 移行中"),
        ("job 7 is paused", "ジョブ 7 が一時停止中"),
        ("its job begins later (send_at), 3 h more", "ジョブの開始時刻（send_at）前（あと3時間）"),
        (
            "messages of provider gmail are limited to 500/h, 12 min more",
            "事業者gmailの通数の上限は500/h（あと12分）",
        ),
        ("20 of 20 sessions of site mx.example", "サイトmx.exampleの接続20本のうち20本を使用中"),
        (
            "no free slot: 5 of 5 sessions of engine",
            "空きがありません: 全体の接続5本のうち5本を使用中",
        ),
        ("stopped: 12.00% bounces over 500 deliveries", "停止: 500通で不達率12.00%"),
        (
            "begins: a1 to provider gmail, slowed to 1/2 for 7200 s; 421 slow down, please",
            "開始: 送信元a1から事業者gmail、1/2に減速（7200秒間）。421 slow down, please",
        ),
        (
            "bulk mail avoids 23:00-06:00 (Asia/Tokyo) at docomo",
            "docomo宛ての一斉配信は23:00-06:00 (Asia/Tokyo)を避ける",
        ),
        (
            "warm-up at gmail held: held by hand; now 200 a day",
            "gmailへのウォームアップ held: 手動で固定。今後1日200通",
        ),
    ],
)
def test_sentences(english: str, japanese: str) -> None:
    assert in_japanese(english) == japanese
    assert told(english, "ja") == japanese
    assert told(english, "en") == english


@pytest.mark.parametrize(
    "tally",
    [Tally(1000, 120), Tally(1000, 60), Tally(1000, 120, 20), Tally(100_000, 10, 600)],
)
def test_what_reputation_says(tally: Tally) -> None:
    found = judge("source:a", tally, ReputationOptions())
    assert found.reason
    assert in_japanese(found.reason), found.reason


@pytest.mark.parametrize("searched", [True, False])
@pytest.mark.parametrize("sets", [(), ("甲",)])
@pytest.mark.parametrize("start", [NOW, NOW + 3600])
@pytest.mark.parametrize(
    ("by", "end", "latest"),
    [
        (None, NOW + 7200, None),
        (None, None, None),
        (NOW + 900, NOW + 7200, None),
        (NOW + 900, NOW + 7200, NOW - 600),
        (NOW + 900, NOW + 7200, NOW + 60),
    ],
)
def test_what_a_forecast_says(  # noqa: PLR0917 - one argument for each of its parameters
    start: float,
    by: float | None,
    end: float | None,
    latest: float | None,
    sets: tuple[str, ...],
    searched: bool,
) -> None:
    whole = Finish(name="*", messages=9, half=end, most=end, end=end, in_time=by and 0.61)
    forecast = Forecast(
        job="sale",
        at=NOW,
        start=start,
        deliver_by=by,
        whole=whole,
        providers=(),
        curve=(),
        latest_start=latest,
        searched=searched,
        sets=tuple(msgspec.structs.replace(whole, name=name) for name in sets),
    )
    said = sentence(forecast)
    found = in_japanese(said)
    assert found is not None, said
    assert not re.search(r"[a-z]{3}", found), found
    assert in_japanese(f"job sale will be late: {said}") is not None


def test_what_is_not_known_is_marked_as_english() -> None:
    assert told("the disk is <full>", "ja") == '<span lang="en">the disk is &lt;full&gt;</span>'
    assert told("", "ja") == ""
    assert where("source a to provider gmail", "ja") == "送信元aから事業者gmail"
    assert where("a sentence", "en") == "a sentence"


def test_long_texts_of_others_cost_little() -> None:
    for text in ("a to " * 20_000, "begins: " + "a, b; " * 20_000, "suspended: " + "x " * 50_000):
        in_japanese(text)


async def test_no_english_is_left_on_the_japanese_dashboard(tmp_path: Path) -> None:
    async with admin_world(tmp_path) as there:
        await enter(there)
        there.client.headers["accept-language"] = "ja"
        pages = [(await there.client.get(path)).text for path in ("/", "/queue")]
        job = await there.job("秋", [f"u{n}@x.example" for n in range(40)])
        gone = attempt(550, "5.1.1 no such user here", "bad_mailbox")
        await there.settle(job, [lambda one: Settlement(one, State.BOUNCED, attempt=gone)] * 2)
        await there.queue.suspend("*.example.org", None, "移行", NOW)
        await there.queue.notice("source:a1", "stopped: 12.00% bounces over 500 deliveries", NOW)
        there.engine.shown = [
            ProviderView(
                provider="gmail", sites=1, waiting=5, sessions=20, delivered=1, deferred=0,
                bounced=0, why="20 of 20 sessions of provider gmail, 12 min more",
            )
        ]  # fmt: skip
        pages += [
            (await there.client.get(path)).text
            for path in ("/", "/queue", f"/jobs/{job.id}", "/jobs/nobody")
        ]
        there.client.cookies.clear()
        pages.append((await there.client.get("/login")).text)
    for page in pages:
        assert '<html lang="ja">' in page
        seen = re.sub(r'<td class="reply">.*?</td>|<(?:script|style|title).*?</.*?>', " ", page)
        seen = re.sub(r"ekiden [a-z]+ [-a-z ]+", " ", seen)  # commands
        seen = re.sub(r'<(\w+) lang="en".*?</\1>', " ", seen, flags=re.DOTALL)
        labels = re.findall(r'(?:aria-label|placeholder|alt|title)="([^"]+)"', seen)
        lines = [*re.sub(r"<[^>]+>", "\n", seen).splitlines(), *labels]
        assert [
            one for one in lines if re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", one)
        ] == [], "English"
