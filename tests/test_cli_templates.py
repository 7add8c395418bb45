"""`ekiden templates`, with and without a daemon."""

import asyncio
import email
import email.policy
import json
from pathlib import Path

import pytest

from commands import Run, beside, runner
from ekiden import limits
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


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def parts_of(raw: bytes) -> dict[str, tuple[str, object]]:
    """What Python's email makes of a message: name of the file -> Content-ID, bytes."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    return {
        str(part.get_filename()): (str(part["Content-ID"] or ""), part.get_payload(decode=True))
        for part in message.walk()
        if part.get_filename()
    }


def with_parts(path: Path) -> Path:
    directory(path)
    (path / "body.html").write_text('<p>{{ name }}様</p><img src="cid:logo" alt="">')
    (path / "logo.png").write_bytes(PICTURE)
    (path / "規約.pdf").write_bytes(b"%PDF-1.7 " + PICTURE)
    toml = (path / "template.toml").read_text().replace('configuration_set = "news"\n', "")
    (path / "template.toml").write_text(
        toml + 'attachments = ["規約.pdf"]\nimages = {logo = "logo.png"}\n'
    )
    return path


def test_images_and_attachments_belong_to_the_version(run: Run, tmp_path: Path) -> None:
    source = with_parts(tmp_path / "welcome")
    assert run("templates", "add", "welcome", source).code == 0
    (source / "logo.png").write_bytes(PICTURE[::-1])
    assert run("templates", "add", "welcome", source).rows[0][0] == "welcome@2"
    assert run("templates", "add", "welcome", source).rows[0][0] == "welcome@2", "nothing new"
    shown = run("templates", "show", "welcome@1").out
    assert f"logo=logo.png (image/png, {len(PICTURE):,} bytes)" in shown
    assert "規約.pdf (application/pdf" in shown
    for version, picture in ((1, PICTURE), (2, PICTURE[::-1])):
        made = run("templates", "render", f"welcome@{version}", "--message").out
        assert parts_of(made.encode()) == {
            "logo.png": ("<logo>", picture),
            "規約.pdf": ("", b"%PDF-1.7 " + PICTURE),
        }


def test_images_and_attachments_by_option(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PICTURE)
    Path("b.html").write_text('<p>b</p><img src="cid:a" alt="">')
    given = ("templates", "add", "x", "--subject", "s", "--html", "b.html")
    assert run(*given, "--image", "a=a.png", "--attach", "a.png").code == 0
    shown = run("templates", "show", "x", "--json").json["text"]["attachments"]
    assert [one["content_id"] for one in shown] == ["a", None]
    told = run(*given, "--image", "a.png")
    assert (told.code, "CID=FILE" in told.err) == (1, True)
    told = run(*given, "--image", "a=a.png", "--image", "a=a.png")
    assert (told.code, "two images have the content id 'a'" in told.err) == (1, True)
    (tmp_path / "large.bin").write_bytes(bytes(limits.STORED_PARTS_BYTES))
    told = run(*given, "--attach", "large.bin", "--attach", "a.png")
    assert (told.code, "8,388,608" in told.err) == (1, True)


def test_a_template_leaves_its_directory_for_no_file(run: Run, tmp_path: Path) -> None:
    source = with_parts(tmp_path / "welcome")
    toml = (source / "template.toml").read_text()
    (tmp_path / "secret").write_text("secret")
    (source / "template.toml").write_text(toml.replace("規約.pdf", "../secret"))
    told = run("templates", "add", "welcome", source)
    assert (told.code, "leaves the template's directory" in told.err) == (1, True)


def test_a_job_sends_the_parts_of_its_template(run: Run, tmp_path: Path) -> None:
    """What preview shows is composed by the code that sends."""
    run("templates", "add", "welcome", with_parts(tmp_path / "welcome"))
    job = tmp_path / "news"
    job.mkdir()
    (job / "own.png").write_bytes(b"own" + PICTURE)
    (job / "job.toml").write_text(
        'from = "a@example.com"\ntemplate = "welcome"\nrecipients = "r.csv"\n'
        'images = {logo = "own.png"}\nattachments = ["own.png"]\n'
    )
    (job / "r.csv").write_text("email,name\nb@example.org,B\n")
    assert run("preview", job, "--no-picture").code == 0
    (raw,) = (tmp_path / "news.preview").rglob("message.eml")
    message = email.message_from_bytes(raw.read_bytes(), policy=email.policy.default)
    parts = [
        (part.get_filename(), part["Content-ID"]) for part in message.walk() if part.get_filename()
    ]
    assert parts == [("own.png", "<logo>"), ("規約.pdf", None), ("own.png", None)]
    told = run("lint", job, "--no-dns")
    assert "image-cid" not in told.out, told
    assert told.out, told
    assert run("plan", job, "--no-dns").code == 0


def test_large_parts_pass_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = Stage(tmp_path / "s", destinations=3, sites=1)
    stage.write()
    run = runner(monkeypatch, capsys)
    large = tmp_path / "large.pdf"
    large.write_bytes(bytes(limits.STORED_PARTS_BYTES))
    (tmp_path / "t.txt").write_text("text")
    given = ("--subject", "s", "--text", tmp_path / "t.txt", "--attach", large)
    with beside(lambda: daemon(stage)):
        assert run("templates", "add", "x", *given, "-c", stage.config).code == 0
        shown = run("templates", "show", "x", "-c", stage.config).out
    assert "large.pdf (application/pdf, 8,388,608 bytes)" in shown


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
