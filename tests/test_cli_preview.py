"""`ekiden preview` and `ekiden lint` on jobs and messages, with nothing sent or fetched."""

import base64
import struct
from email import message_from_bytes
from email.policy import default as modern
from pathlib import Path

import pytest

from broken_mails import GOOD
from commands import Run, beside, runner
from dkim_oracle import verdicts
from ekiden.errors import UnavailableError
from ekiden.message.inline import inline_css
from ekiden.message.look import File, look
from ekiden.preview.picture import draw, find_browser, page_of_text, with_images
from ekiden.sink.dns import DnsOptions, DnsServer
from mails import newsletters
from stage import Stage

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAGE = """<html><head><style>h1 { color: #c00 }</style></head><body><h1>{{ name }}様</h1>
<img src="cid:logo" width="100" height="900" alt="印"><img src="https://img.example/a.png" alt="">
<p>十一月号です。<a href="https://www.example.com/">読む</a></p></body></html>"""

try:
    BROWSER = find_browser()
except UnavailableError:
    BROWSER = ""
needs_browser = pytest.mark.skipif(not BROWSER, reason="no Chromium here")


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    stage = Stage(tmp_path / "s", destinations=2, sites=1)
    stage.write()
    return stage


@pytest.fixture
def run(stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(stage.directory)
    monkeypatch.setenv("EKIDEN_CONFIG", str(stage.config))
    return runner(monkeypatch, capsys)


@pytest.fixture
def job(stage: Stage) -> Path:
    path = stage.directory / "news"
    path.mkdir()
    (path / "body.html").write_text(PAGE)
    (path / "logo.png").write_bytes(PNG)
    (path / "people.csv").write_text(
        'email,name\na@d0.example,山田\nb@d1.example,佐藤\nbroken,x\n"c@d1.example","a\nb"\n'
    )
    (path / "job.toml").write_text(
        'from = "駅伝 <news@stage.example>"\nsubject = "{{ name }}様へ"\nhtml = "body.html"\n'
        'recipients = "people.csv"\nimages = {logo = "logo.png"}\ninline_css = true\n'
        'to_name = "{{ name }}"\n'
    )
    return path


def test_the_exact_message_signed(run: Run, stage: Stage, job: Path) -> None:
    made = run("preview", job, "--no-picture", "--json").json
    assert (made["recipient"], made["row"], made["signed"]) == ("a@d0.example", 2, True)
    raw = Path(made["message"]).read_bytes()
    assert made["bytes"] == len(raw)
    assert verdicts(raw, stage.keys()) == [True, True]
    message = message_from_bytes(raw, policy=modern)
    assert message["Subject"] == "山田様へ"
    assert message["To"].addresses[0].addr_spec == "a@d0.example"
    assert '<h1 style="color: #c00">山田様</h1>' in Path(made["html"]).read_text()
    assert "山田様" in Path(made["text"]).read_text()
    assert not (stage.directory / "queue.db").exists(), "a preview leaves no queue behind"
    assert not (stage.directory / "return.keys").exists(), "and makes no keys"


def test_of_one_recipient_and_where_it_is_written(run: Run, job: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "deep"
    facts = dict(run("preview", job, "-r", "b@d1.example", "-o", folder, "--no-picture").rows)
    assert (facts["recipient"], facts["subject"]) == ("b@d1.example", "佐藤様へ")
    assert sorted(path.name for path in folder.iterdir()) == [
        "html.html",
        "message.eml",
        "text.txt",
    ]


def test_a_row_that_chooses_its_set(run: Run, stage: Stage, job: Path) -> None:
    with stage.config.open("a") as file:
        file.write("[configuration_set.codes]\n")
    people = "email,name,configuration_set\na@d0.example,A,\nb@d1.example,B,codes\n"
    (job / "people.csv").write_text(f"{people}c@d1.example,C,none\n")
    marks = []
    for recipient in ("a@d0.example", "b@d1.example"):
        made = run("preview", job, "-r", recipient, "--no-picture", "--json").json
        message = message_from_bytes(Path(made["message"]).read_bytes(), policy=modern)
        marks.append(str(message["Feedback-ID"]).split(":")[1])
    assert marks == ["default", "codes"]
    refused = run("preview", job, "-r", "c@d1.example", "--no-picture")
    assert "there is no configuration_set 'none'" in refused.err


@pytest.mark.parametrize(
    ("recipient", "told"),
    [("nobody@d1.example", "is not among"), ("broken", "row 4"), ("c@d1.example", "holds LF")],
)
def test_a_recipient_without_a_message_is_told(
    run: Run, job: Path, recipient: str, told: str
) -> None:
    result = run("preview", job, "-r", recipient, "--no-picture")
    assert (result.code, told in result.err) == (1, True)


def test_a_field_that_only_shows_while_rendering(run: Run, job: Path) -> None:
    (job / "body.html").write_text("{% for x in [1] %}{{ nobody }}{% endfor %}")
    result = run("preview", job, "--no-picture")
    assert result.code == 1
    assert "row 2" in result.err
    assert "'nobody' has no value" in result.err


def test_other_shapes(run: Run, stage: Stage) -> None:
    Path("one.json").write_text(
        '{"from": "a@stage.example", "subject": "s", "text": "x", "recipients": ["b@d0.example"]}'
    )
    assert run("preview", "one.json", "--no-picture", "--json").json["subject"] == "s"
    Path("one.eml").write_text("From: a@stage.example\nTo: b@d0.example\nSubject: e\n\nx\n")
    made = run("preview", "one.eml", "--no-picture", "--json").json
    assert (made["subject"], made["signed"]) == ("e", True)
    assert run("preview", "nowhere", "--no-picture").code == 1
    Path("one.txt").write_text("x")
    assert "none of the shapes" in run("preview", "one.txt", "--no-picture").err


def test_a_stored_template(run: Run) -> None:
    Path("body.html").write_text("<p>{{ name }}</p>")
    run("templates", "add", "welcome", "--subject", "Hi {{ name }}", "--html", "body.html")
    Path("one.json").write_text(
        '{"from": "a@stage.example", "template": "welcome",'
        ' "recipients": [{"address": "b@d0.example", "name": "B"}]}'
    )
    made = run("preview", "one.json", "--no-picture", "--json").json
    assert (made["template"], made["subject"]) == ("welcome@1", "Hi B")


def test_keys_that_cannot_be_read_leave_it_unsigned(run: Run, stage: Stage, job: Path) -> None:
    (stage.directory / "dkim" / "rsa.pem").chmod(0o644)
    result = run("preview", job, "--no-picture", "--json")
    assert "not signed" in result.err
    assert result.json["signed"] is False


# --- The picture ---------------------------------------------------------------------------------


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@needs_browser
def test_a_picture_with_nothing_fetched(run: Run, job: Path) -> None:
    made = run("preview", job, "--width", "500", "--json").json
    assert made["not_fetched"] == 1
    width, height = size(Path(made["picture"]).read_bytes())
    assert width == 500
    assert height > 950, "the whole page, not the first screen of it"


@needs_browser
def test_scripts_do_not_run_and_frames_stay_empty() -> None:
    plain = draw("<body style='margin:0'><p>x</p></body>", BROWSER, width=300)
    hostile = draw(
        "<body style='margin:0'><p>x</p><script>document.body.innerHTML='y'.repeat(99999);"
        "fetch('http://127.0.0.1:1/')</script><img src='file:///etc/passwd' width=1 height=1>"
        "<link rel=stylesheet href='http://127.0.0.1:1/x.css'></body>",
        BROWSER,
        width=300,
    )
    assert hostile.height <= plain.height + 30
    assert all("127.0.0.1:1/" in url or "passwd" in url for url in hostile.blocked)


SHEET = """
html { background: #eee } body { margin: 20px; font: 16px serif }
h1, h2 { color: #036; margin: 0 0 8px } .card { border: 2px solid #999; padding: 10px }
.card > p { color: green } table td { padding: 4px; background: #fff } td.b { background: pink }
tr:first-child td { font-weight: bold } td:last-child { text-align: right; color: red }
#one { color: blue !important } p { color: black; line-height: 1.5 } p.x + p { margin-top: 30px }
p.x ~ em { letter-spacing: 3px } a[href^="https:"] { text-decoration: none; color: teal }
ul li { list-style: square } ul ul li, ol li { list-style: circle; margin-left: 9px }
.card p.x { font-size: 20px } [align=center] { background: gold } * { max-width: 600px }
"""
CARDS = """<div class="card"><h1>A</h1><p class="x">one</p><p id="one" style="color: red">two</p>
<em>three</em><p style="margin: 0">four <a href="https://a.example">link</a> <a href="x">other</a>
</p></div><table><tr><td>a</td><td class="b">b</td></tr><tr><td align=center>c<td>d</tr></table>
<ul><li>x<ul><li>y</ul><li>z</ul><p>five</p>"""


@needs_browser
def test_a_browser_sees_inlined_css_as_it_sees_the_style_sheet() -> None:
    """The cascade's oracle: the page with its sheet, and the inlined page without it, are one."""
    page = f"<html><head><style>{SHEET}</style></head><body>{CARDS}</body></html>"
    inlined = inline_css(page).replace(f"<style>{SHEET}</style>", "")
    pictures = [draw(html, BROWSER, width=640) for html in (page, inlined)]
    assert pictures[0].png == pictures[1].png
    bare = draw(page.replace(f"<style>{SHEET}</style>", ""), BROWSER, width=640)
    assert bare.png != pictures[0].png


@needs_browser
def test_a_page_without_end_is_cut() -> None:
    made = draw("<div style='height: 900000px'>x</div>", BROWSER, width=200)
    assert size(made.png) == (200, 16_000)


def test_a_browser_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="draws nothing"):
        draw("x", "/bin/true")
    with pytest.raises(UnavailableError, match="cannot be started"):
        draw("x", str(tmp_path / "nobody"))
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexec sleep 60\n")
    silent.chmod(0o755)
    with pytest.raises(UnavailableError, match="in time"):
        draw("x", str(silent), seconds=0.3)


def test_without_a_browser_the_rest_is_written(
    run: Run, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ekiden.preview.picture.shutil.which", lambda _: None)
    result = run("preview", job, "--json")
    assert (result.code, result.json["picture"]) == (0, "")
    assert "apt-get install chromium" in result.err


def test_images_travel_inside() -> None:
    html = with_images(
        '<img src="cid:a"><img src="cid:b">', [File("a.png", "image/png", b"x", "a")]
    )
    assert html == '<img src="data:image/png;base64,eA=="><img src="cid:b">'
    assert "&lt;b&gt;" in page_of_text("<b>")


def test_what_a_reader_sees() -> None:
    for _, raw in list(newsletters(12)):
        seen = look(raw)
        assert seen.subject
        assert seen.text
    assert look(b"\xff\xfe\n\n").html == ""


# --- Lint ----------------------------------------------------------------------------------------


def test_lint_of_a_job(run: Run, job: Path) -> None:
    result = run("lint", job, "--no-dns")
    assert result.code == 1
    found = {row[1]: row for row in result.rows}
    assert {"unsubscribe-header", "jp-optout", "jp-address"} <= found.keys()
    assert found["jp-optout"][0] == "error"
    assert found["jp-optout"][5].startswith("特定電子メール法 art. 4")
    (told,) = run("lint", job, "--no-dns", "--json").json
    assert {one["code"] for one in told["findings"]} == found.keys()


def test_lint_of_messages(run: Run) -> None:
    Path("good.eml").write_text(GOOD)
    assert run("lint", "good.eml", "--no-dns").out == ""
    assert run("lint", "good.eml", "--no-dns").code == 0
    Path("bad.eml").write_text("Subject: x\n\nx")
    result = run("lint", "good.eml", "bad.eml", "--no-dns")
    assert result.code == 1
    assert all(row[2].startswith("bad.eml: ") for row in result.rows)
    assert "unsubscribe-header" not in result.out
    assert "unsubscribe-header" in run("lint", "bad.eml", "--no-dns", "--kind", "bulk").out
    assert run("lint", "nowhere.eml").code == 1


def test_a_row_that_has_no_message_is_an_error(run: Run, job: Path) -> None:
    (job / "body.html").write_text("{% if name == '佐藤' %}{{ nobody }}{% endif %}x")
    result = run("lint", job, "--no-dns")
    (row,) = [row for row in result.rows if row[1] == "rendering"]
    assert row[2] == "row 3: message"


def test_settings_of_lint(run: Run, stage: Stage, job: Path) -> None:
    text = stage.config.read_text()
    stage.config.write_text(
        text + '\n[lint]\noff = ["jp-optout", "unsubscribe-header"]\nerrors = ["jp-address"]\n'
    )
    found = {row[1]: row[0] for row in run("lint", job, "--no-dns").rows}
    assert found["jp-address"] == "error"
    assert "jp-optout" not in found
    stage.config.write_text(text + '\n[lint]\noff = ["nobody"]\n')
    assert run("lint", job, "--no-dns").code == 2
    checked = run("config", "check")
    assert (checked.code, "lint.off: lint finds nothing called 'nobody'" in checked.err) == (
        2,
        True,
    )


@pytest.mark.parametrize(
    ("records", "finding"),
    [
        ({}, True),
        ({"stage.example": {"A": ["192.0.2.1"]}}, False),
        ({"stage.example": {"MX": ["10 mx.stage.example."]}}, False),
        ({"stage.example": {"MX": ["0 ."]}}, True),
        ({"stage.example": {"TXT": ['"x"']}}, True),
    ],
)
def test_the_domain_of_the_sender(
    run: Run, stage: Stage, job: Path, records: dict[str, dict[str, list[str]]], finding: bool
) -> None:
    options = DnsOptions(records=records, host="127.0.0.1", port=stage.dns_port)
    with beside(lambda: DnsServer(options)):
        codes = [row[1] for row in run("lint", job).rows]
    assert ("from-domain" in codes) is finding


def test_dns_that_does_not_answer_is_told_and_no_finding(run: Run, stage: Stage, job: Path) -> None:
    stage.config.write_text(stage.config.read_text().replace('timeout = "2s"', 'timeout = "300ms"'))
    result = run("lint", job)
    assert "DNS does not answer" in result.err
    assert "from-domain" not in result.out
