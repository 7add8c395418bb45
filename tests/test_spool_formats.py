"""job.toml, NAME.toml and NAME.json: what they say, and how they are refused."""

import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.queue.model import Pace, Priority
from ekiden.spool.formats import job_from_json, job_from_toml
from ekiden.spool.jobspec import JobError, JobSpec, OnMissing, Shape
from ekiden.spool.keys import HEADERS, KEYS

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC).timestamp()
DOCS = Path(__file__).parent.parent / "docs" / "spool.md"

WHOLE = b"""\
name = "November"
id = "news-2026-11"
from = "\xe9\xa7\x85\xe4\xbc\x9d <news@example.co.jp>"
mail_from = "bounces@example.co.jp"
reply_to = ["Desk <desk@example.co.jp>", "second@example.co.jp"]
to_name = "{{ name }}"
subject = "{{ name }}\xe6\xa7\x98"
html = "body.html"
text = "body.txt"
preheader = "In short"
language = "ja"
recipients = "people.csv"
address = "mail"
delimiter = "tab"
encoding = "Shift_JIS"
template_encoding = "euc-jp"
charset = "iso-2022-jp"
configuration_set = "news"
pool = "warm"
priority = "bulk"
topic = "offers"
send_at = 2026-12-01T09:00:00+09:00
deliver_by = "2026-12-01T12:00:00+09:00"
pace = "500 per 10m"
attachments = ["a.pdf", {file = "b.bin", name = "\xe8\xa1\xa8.bin", type = "application/x-b"}]
images = {logo = "img/logo.png"}
on_missing = "default"
blank = "keep"
tracking = {opens = false}

[headers]
X-Campaign = "{{ code }}"

[defaults]
name = "reader"
points = 3
"""


def toml(text: str | bytes, shape: Shape = Shape.DIRECTORY) -> JobSpec:
    data = text if isinstance(text, bytes) else text.encode()
    return job_from_toml(data, "job.toml", "NAME", shape=shape, now=NOW)


def problems(text: str | bytes, shape: Shape = Shape.DIRECTORY) -> list[str]:
    with pytest.raises(JobError) as caught:
        toml(text, shape)
    return [str(problem) for problem in caught.value.problems]


KNOWN = "known: bulk, transactional"
LEAST = 'from = "a@example.com"\nsubject = "s"\ntext = "t"\nrecipients = "r.csv"\n'


def test_every_key_arrives() -> None:
    spec = toml(WHOLE)
    assert spec.name == "November"
    assert spec.id == "news-2026-11"
    assert spec.sender == "駅伝 <news@example.co.jp>"
    assert (spec.from_domain, spec.mail_from) == ("example.co.jp", "bounces@example.co.jp")
    assert spec.reply_to == ("Desk <desk@example.co.jp>", "second@example.co.jp")
    assert (spec.encoding, spec.template_encoding, spec.charset) == (
        "cp932",
        "euc_jp",
        "iso-2022-jp",
    )
    assert (spec.address, spec.delimiter, spec.recipients_file) == ("mail", "\t", "people.csv")
    assert spec.send_at == datetime(2026, 12, 1, tzinfo=UTC).timestamp()
    assert spec.deliver_by == spec.send_at + 3 * 3600
    assert spec.pace == Pace(500, 600.0)
    assert [part.name for part in spec.attachments] == ["a.pdf", "表.bin"]
    assert [(part.cid, part.file, part.name) for part in spec.images] == [
        ("logo", "img/logo.png", "logo.png")
    ]
    assert spec.headers == (("X-Campaign", "{{ code }}"),)
    assert spec.on_missing is OnMissing.DEFAULT
    assert spec.defaults == {"name": "reader", "points": "3"}
    assert (spec.blank_is_missing, spec.track_opens, spec.track_clicks) == (False, False, None)


def test_the_defaults() -> None:
    spec = toml(LEAST)
    assert (spec.name, spec.mail_from, spec.priority) == ("NAME", "a@example.com", Priority.BULK)
    assert (spec.send_at, spec.deliver_by, spec.pace) == (0.0, None, None)
    assert spec.on_missing is None  # the configuration says
    assert spec.blank_is_missing


def test_a_bom_is_no_trouble() -> None:
    assert toml(b"\xef\xbb\xbf" + LEAST.encode()) == toml(LEAST)


def test_json_says_the_same_as_toml() -> None:
    table = {
        "from": "a@example.com",
        "subject": "s",
        "html": "<p>{{ name }}</p>",
        "recipients": [{"address": "b@example.com", "name": "B"}, "c@example.com"],
        "send_at": "+90m",
        "pace": {"messages": 3, "wait": "1h"},
        "priority": "transactional",
        "attachments": [{"name": "a.txt", "content": "aGk="}],
    }
    spec = job_from_json(json.dumps(table).encode(), "x.json", "x", now=NOW)
    assert spec.shape is Shape.INLINE
    assert spec.recipients == table["recipients"]
    assert spec.send_at == NOW + 5400
    assert spec.pace == Pace(3, 3600.0)
    assert spec.priority is Priority.TRANSACTIONAL
    assert spec.attachments[0].content == b"hi"
    assert spec.html == "<p>{{ name }}</p>"


def test_all_problems_are_told_at_once_each_with_its_line() -> None:
    text = 'fron = "a@example.com"\nsubject = 3\n\ntext = "t"\npriority = "urgent"\n'
    assert problems(text) == [
        "job.toml:1: `fron`: is not a key of a job. -- did you mean `from`?",
        "job.toml:2: `subject`: expected text in quotes, not a number.",
        "job.toml:5: `priority`: 'urgent' is not one of transactional, bulk. -- " + KNOWN,
        "job.toml: `from` is missing. -- add `from`",
        "job.toml: `recipients` is missing. -- add `recipients`",
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('reply_to = "nobody"', "reply_to`: 'nobody' is not a sender's address: there is no @"),
        ('mail_from = "<>"', "is empty|there is no @"),
        ('mail_from = "a@b@"', "domain is empty"),
        ('name = "a\\nb"', r"control character U\+000A"),
        ('pool = "a b"', "short name"),
        ("send_at = 2026-12-01T09:00:00", "no offset"),
        ("send_at = 2026-12-01", "a date without a time"),
        ('send_at = "tomorrow"', "not a time"),
        ('send_at = "+2"', "expected a duration"),
        ("send_at = 3", "expected a time, not a number"),
        ('deliver_by = "2026-10-01T00:00:00Z"', "already passed"),
        ('deliver_by = "+1h"\nsend_at = "+2h"', "not after `send_at`"),
        ('pace = "500"', "not a pace"),
        ('pace = "0 per 1h"', "whole number from 1"),
        ('pace = "5 per hour"', "expected a duration"),
        ('pace = {messages = 5, pause = "1h"}', "`pause` is not known here"),
        ('pace = {messages = true, wait = "1h"}', "whole number"),
        ('encoding = "shift-jiss"', "shift_jis"),
        ('encoding = "unicode_escape"', "is not an encoding"),
        ('encoding = "idna"', "is not an encoding"),
        ('delimiter = "x"', "is not one of"),
        ('on_missing = "emtpy"', "did you mean `empty`"),
        ('headers = {Subject = "x"}', "written by the engine"),
        ('headers = {"A b" = "x"}', "not a header name"),
        ('headers = {X-A = "a\\r\\nBcc: b"}', r"`headers\.X-A`: holds the control"),
        ('attachments = "a.pdf"', "expected a list"),
        ('attachments = [{name = "x"}]', "needs `file`"),
        ('attachments = [{file = "x", type = "png"}]', r"`attachments\[0\]\.type`: is not a media"),
        ('attachments = [{file = "x", content = "aGk="}]', "needs `file`"),
        ('images = [{file = "x"}]', "needs a `cid`"),
        ('images = [{file = "x", cid = "a"}, {file = "y", cid = "a"}]', "the same `cid`"),
        ('images = {"a b" = "x"}', "not a Content-ID"),
        ("tracking = {opens = 1}", "expected true or false"),
        ("defaults = {a = [1]}", r"`defaults\.a`: expected text"),
        ('charset = "latin1"', "not one of utf-8"),
    ],
)
def test_wrong_values_are_refused_with_key_and_reason(line: str, words: str) -> None:
    assert re.search(words, "\n".join(problems(LEAST + line + "\n")))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("recipients = []", "no recipients"),
        ("recipients = 5", "expected a list of recipients"),
        ('recipients = ["a@example.com"]\nattachments = [{name = "a", content = "%%"}]', "base64"),
        ('recipients = ["a@example.com"]\nattachments = ["a.pdf"]', "needs `content`"),
    ],
)
def test_wrong_inline_jobs(line: str, words: str) -> None:
    text = 'from = "a@example.com"\nsubject = "s"\ntext = "t"\n'
    assert words in "\n".join(problems(text + line, Shape.INLINE))


def test_syntax_errors_have_a_line() -> None:
    (problem,) = problems(LEAST + "pace = \n")
    assert problem.startswith("job.toml:5: Not valid TOML")
    (problem,) = problems(LEAST.encode() + b'name = "\x93\xfa\x96{"\n')
    assert problem.startswith("job.toml:5: Byte 0x93 is not UTF-8")
    with pytest.raises(JobError, match="Not valid JSON"):
        job_from_json(b'{"from": }', "x.json", "x", now=NOW)
    with pytest.raises(JobError, match="one JSON object"):
        job_from_json(b"[]", "x.json", "x", now=NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(KEYS)) | st.text(), json_values, max_size=8))
def test_whatever_a_json_job_says_it_is_a_job_or_a_job_error(table: dict[str, object]) -> None:
    base = {"from": "a@example.com", "subject": "s", "text": "t", "recipients": ["b@example.com"]}
    data = json.dumps({**base, **table}).encode("utf-8", "surrogatepass")
    with suppress(JobError):
        spec = job_from_json(data, "x.json", "x", now=NOW)
        assert spec.sender
        assert spec.recipients


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_bytes_a_toml_job_holds_it_is_a_job_or_a_job_error(data: bytes) -> None:
    for tail in (b"", LEAST.encode()):
        with suppress(JobError):
            assert toml(data + tail).sender


def test_the_documentation_has_every_key_with_its_default() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for key in KEYS.values():
        row = f"| `{key.name}` | {key.default} | {key.doc} |"
        assert row in text, f"docs/spool.md lacks: {row}"
    for key in HEADERS.values():
        assert f"| `{key.header}` | `{key.name}` |" in text, key.header
