"""`ekiden templates`, with and without a daemon."""

import asyncio
import json
from pathlib import Path

import pytest

from commands import Run, beside, runner
from ekiden.cli.access import access
from ekiden.config import load
from ekiden.control.template_requests import ShowTemplate
from stage import Stage
from test_app_delivery import daemon

SES = {
    "Template": {
        "TemplateName": "ses",
        "SubjectPart": "Greetings, {{name}}!",
        "HtmlPart": "<h1>Hello {{name}},</h1>{{#if vip}}<p>&hearts;</p>{{/if}}",
        "TextPart": "Dear {{name}},",
    }
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text('[queue]\npath = "queue.db"\n')
    return runner(monkeypatch, capsys)


def directory(path: Path) -> Path:
    path.mkdir()
    (path / "template.toml").write_text(
        'subject = "{{ name }}様へ"\nhtml = "body.html"\nconfiguration_set = "news"\n'
        'on_missing = "default"\ndefaults = {name = "読者"}\n'
    )
    (path / "body.html").write_text("<p>{{ name }}様</p>")
    return path


def test_from_add_to_remove_without_a_daemon(run: Run, tmp_path: Path) -> None:
    source = directory(tmp_path / "welcome")
    assert run("templates", "list").code == 4, "no queue yet"
    (row,) = run("templates", "add", "welcome", source, "--note", "first").rows
    assert (row[0], row[1], row[3], row[4]) == ("welcome@1", "1", "news", "first")
    (source / "body.html").write_text("<p>Dear {{ name }}</p>")
    run("templates", "add", "welcome", source)
    assert [one["version"] for one in run("templates", "list", "--json").json] == [2]
    assert [row[0] for row in run("templates", "list", "welcome").rows] == [
        "welcome@2",
        "welcome@1",
    ]
    shown = run("templates", "show", "welcome@1").out
    assert "fields\tname" in shown
    assert "<p>{{ name }}様</p>" in shown
    assert run("templates", "remove", "welcome@2").code == 0
    assert run("templates", "show", "welcome@2").code == 3
    assert run("templates", "remove", "welcome", "--json").json == {"removed": 1}


def test_render(run: Run, tmp_path: Path) -> None:
    run("templates", "add", "welcome", directory(tmp_path / "welcome"))
    made = run("templates", "render", "welcome", "--data", '{"name": "<山田>"}', "--json").json
    assert made["subject"] == "<山田>様へ"
    assert made["html"] == "<p>&lt;山田&gt;様</p>"
    assert made["text"] == "<山田>様"
    Path("data.json").write_text("{}")
    assert run("templates", "render", "welcome", "--data", "data.json").out.startswith(
        "Subject: 読者様へ\n\n読者様\n"
    )
    assert run("templates", "render", "welcome", "--message").out.startswith("Date: ")
    for wrong in ("[]", "{", "nowhere.json"):
        assert run("templates", "render", "welcome", "--data", wrong).code == 1
    assert "U+" not in run("templates", "render", "welcome").err


def test_the_json_of_ses_is_taken_as_it_is(run: Run) -> None:
    Path("ses.json").write_text(json.dumps(SES))
    assert run("templates", "add", "ses", "ses.json").code == 0
    data = '{"name": "A", "vip": true}'
    made = run("templates", "render", "ses", "--data", data, "--json").json
    assert (made["subject"], made["text"].strip()) == ("Greetings, A!", "Dear A,")
    assert made["html"].strip() == "<h1>Hello A,</h1><p>&hearts;</p>"
    v2 = {"TemplateContent": {"Subject": "x", "Text": "y"}, "TemplateName": "v2"}
    Path("v2.json").write_text(json.dumps(v2))
    assert run("templates", "add", "v2", "v2.json").code == 0
    missing = run("templates", "render", "ses", "--data", '{"vip": true}')
    assert missing.code == 1
    assert "'name' has no value" in missing.err


def test_what_is_no_template_is_told(run: Run, tmp_path: Path) -> None:
    Path("body.html").write_text("<p>{{ x.__class__ }}</p>")
    refused = run("templates", "add", "x", "--subject", "s", "--html", "body.html")
    assert (refused.code, "html template, line 1" in refused.err) == (1, True)
    Path("bad.toml").write_text('subjcet = "x"\n')
    assert "did you mean `subject`?" in run("templates", "add", "x", "bad.toml").err
    Path("job.xml").write_text("")
    assert "This is no template" in run("templates", "add", "x", "job.xml").err
    source = directory(tmp_path / "t")
    (source / "template.toml").write_text('subject = "s"\nhtml = "../body.html"\n')
    assert "leaves" in run("templates", "add", "x", source).err
    assert run("templates", "add", "x", "nowhere").code == 1


def test_with_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stored through the socket, used by a job, shown by the job."""
    stage = Stage(tmp_path / "s", destinations=3, sites=1)
    stage.write()
    run = runner(monkeypatch, capsys)
    source = directory(tmp_path / "welcome")
    (source / "template.toml").write_text('subject = "{{ name }}"\nhtml = "body.html"\n')
    with beside(lambda: daemon(stage)):
        assert run("templates", "add", "welcome", source, "-c", stage.config).code == 0
        (row,) = run("templates", "list", "-c", stage.config).rows
    assert row[0] == "welcome@1"

    async def stored() -> str:
        async with access(load(stage.config)) as there:
            return (await there.ask(ShowTemplate(reference="welcome"))).facts.reference

    assert asyncio.run(stored()) == "welcome@1"
