"""The daemon refuses a job for the errors of its content, where it is told to."""

import json
from pathlib import Path

from stage import Stage, free_port
from test_app_delivery import daemon, until

GOOD = """<html><body><p>{{ name }}様、十一月号です。ご愛読ありがとうございます。</p>
<p><a href="{{ unsubscribe_url }}">配信停止はこちら</a></p>
<p>株式会社駅伝 〒100-0001 東京都千代田区千代田1-1 連絡先 a@stage.example</p></body></html>"""
BAD = GOOD.replace("配信停止は", "").replace("unsubscribe_url", "recipient")


async def test_a_job_with_errors_is_refused(tmp_path: Path) -> None:
    extra = f"""
[web]
public_url = "https://news.stage.example"
public_listen = ["127.0.0.1:{free_port()}"]
[lint]
refuse = "error"
"""
    stage = Stage(tmp_path / "s", destinations=2, extra=extra)
    stage.write()
    people = ["success+a@d0.example"]
    async with stage.receivers(), stage.dns(), daemon(stage):
        stage.drop(
            "bad",
            people,
            page=BAD,
        )
        stage.drop("good", people, page=GOOD)
        error = stage.spool / "failed" / "bad.error.txt"
        await until(error.exists)
        await until(stage.result("good").exists)
    told = error.read_text()
    assert "jp-optout" in told
    assert "ekiden lint" in told
    assert stage.fates("good") == [("success+a@d0.example", "delivered", 0)]


async def test_lint_decides_nothing_unless_it_is_told_to(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=2)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage):
        stage.drop("bad", ["success+a@d0.example"], page="<script>x</script>")
        await until(stage.result("bad").exists)
    assert stage.fates("bad") == [("success+a@d0.example", "delivered", 0)]


async def test_a_field_missed_while_rendering_is_reported_with_its_row(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=2)
    stage.write()
    page = "{% if points == '1' %}{{ nobody }}{% endif %}x"
    async with stage.receivers(), stage.dns(), daemon(stage):
        stage.drop("job", [f"success+{n}@d0.example" for n in range(3)], page=page)
        await until(stage.result("job").exists)
    report = (stage.spool / "done" / "job.report.jsonl").read_text().splitlines()
    (failed,) = [row for row in map(json.loads, report) if row["fate"] != "delivered"]
    assert (failed["recipient"], failed["row"]) == ("success+1@d0.example", 3)
    assert "'nobody' has no value" in json.dumps(failed, ensure_ascii=False)
