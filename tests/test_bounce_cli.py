"""`ekiden classify` and `ekiden report`: what goes in, what comes out, in which order."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ekiden.cli.classify import register

APP = typer.Typer(pretty_exceptions_enable=False)
register(APP)
RUN = CliRunner()

BOUNCE = """\
From: MAILER-DAEMON@relay.example.net
To: news@news.example.com
Subject: failure notice

<hanako@example.jp>:
Remote host said: 550 5.1.1 User unknown
"""


def lines(data: str | bytes) -> list[dict[str, object]]:
    result = RUN.invoke(APP, ["classify", "--jsonl"], input=data)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_one_reply() -> None:
    result = RUN.invoke(APP, ["classify", "550 5.1.1 User unknown", "--stage", "rcpt"])
    assert result.exit_code == 0
    facts = dict(line.split("\t") for line in result.stdout.splitlines())
    assert facts["class"] == "bad_mailbox"
    assert facts["action"] == "suppress_recipient"
    assert facts["rule"] == "recipient.unknown_plainly"


def test_stage_and_host_decide() -> None:
    said = ["classify", "550 Unknown user a@docomo.ne.jp", "--recipient", "a@docomo.ne.jp"]
    at = {
        stage: RUN.invoke(APP, [*said, "--mx", "mfsmax.docomo.ne.jp", "--stage", stage]).stdout
        for stage in ("rcpt", "body")
    }
    assert "bad_mailbox" in at["rcpt"]
    assert "recipient_refused" in at["body"]


def test_objects_come_out_in_the_order_they_went_in() -> None:
    replies = ["550 5.1.1 User unknown", "552 5.2.2 Mailbox full", "450 Greylisted", "250 ok"] * 5
    data = "".join(json.dumps({"reply": reply, "stage": "rcpt"}) + "\n" for reply in replies)
    classes = [one["class"] for one in lines(data)]
    assert classes == ["bad_mailbox", "mailbox_full", "greylisted", "delivered"] * 5


def test_all_keys_are_read_and_all_are_answered() -> None:
    asked = {
        "reply": "550 Unknown user",
        "stage": "end of DATA",
        "status": "5.0.0",
        "mx": "mfsmax.docomo.ne.jp",
        "recipient": "a@docomo.ne.jp",
        "provider": None,
    }
    answer = lines(json.dumps(asked))[0]
    assert {"class", "action", "rule", "provider", "why"} <= set(answer)
    assert (answer["provider"], answer["action"]) == ("docomo", "other")


@pytest.mark.parametrize(
    "line",
    ["", "nonsense", "[]", "3", "{}", '{"reply": 5}', '{"reply": null}', "[" * 5000, '"\\ud800"'],
)
def test_what_is_no_object_has_class_unknown(line: str) -> None:
    good = json.dumps({"reply": "550 5.1.1 User unknown"})
    answers = lines(f"{good}\n{line}\n{good}\n")
    assert [one["class"] for one in answers] == ["bad_mailbox", "unknown", "bad_mailbox"]
    assert set(answers[1]) >= {"class", "action", "rule", "provider", "why"}


def test_values_of_another_kind_are_as_if_not_there() -> None:
    asked = {"reply": "550 5.1.1 User unknown", "stage": 7, "mx": [], "status": {}, "provider": 1}
    assert lines(json.dumps(asked))[0]["class"] == "bad_mailbox"


def test_bytes_that_are_no_text_and_lines_without_end_do_no_harm() -> None:
    answers = lines(b'{"reply": "550 \xff\xfe"}\n' + b"a" * 3_000_000 + b'\n{"reply": "250 ok"}')
    assert [one["class"] for one in answers] == ["unknown", "unknown", "delivered"]


def test_a_report_for_people_and_for_programs(tmp_path: Path) -> None:
    bounce, note = tmp_path / "bounce.eml", tmp_path / "note.eml"
    bounce.write_text(BOUNCE)
    note.write_text("From: a@example.jp\nSubject: Out of office\n\nAway.\n")
    result = RUN.invoke(APP, ["report", str(bounce), str(note)])
    assert result.exit_code == 0
    assert f"{bounce}: dsn" in result.stdout
    assert "suppress_recipient" in result.stdout
    assert f"{note}: autoreply" in result.stdout
    result = RUN.invoke(APP, ["report", "--jsonl", str(bounce), str(note)])
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["kind"] == "dsn"
    assert first["recipients"][0]["address"] == "hanako@example.jp"
    assert first["recipients"][0]["class"] == "bad_mailbox"
    assert (second["kind"], second["recipients"]) == ("autoreply", [])


def test_a_report_from_standard_input() -> None:
    result = RUN.invoke(APP, ["report", "-", "--jsonl"], input=BOUNCE)
    assert json.loads(result.stdout)["kind"] == "dsn"


def test_a_missing_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    result = RUN.invoke(APP, ["report", str(tmp_path / "none.eml")])
    assert result.exit_code != 0
    assert "none.eml" in str(result.exception)
