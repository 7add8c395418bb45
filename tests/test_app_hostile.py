"""Escapes, injections and bombs, dropped on a running daemon: refused, and it goes on sending."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from stage import Stage
from test_app_delivery import daemon, until

# The known ways out of a template sandbox, one of each kind.
ESCAPES = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ name['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ name|attr('__class__') }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__ }}",
    "{{ joiner() }}",
    "{{ namespace() }}",
    "{{ config }}{{ request.application }}{{ config.__class__ }}",
    "{{ '%c'|format(97) }}",
    "{{ '{0.__class__}'.format(name) }}",
    "{{ '{0.__class__}'.format_map(x) }}",
    "{% import 'os' as os %}{{ os }}",
    "{% include '/etc/passwd' %}",
    "{% extends '/etc/passwd' %}",
    "{% from 'x' import y %}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% call m() %}x{% endcall %}",
    "{% set x.y = 1 %}",
    "{% set _budget = 1 %}{{ _budget }}",
    "{{ _tracker }}",
    "{% filter upper %}x{% endfilter %}",
    "{{ [].append(1) }}",
    "{{ {}.update(x) }}",
    "{{ loop.__init__ }}",
    "{{#with x}}{{/with}}",
    "{{> partial }}",
    "{{lookup this 'constructor'}}",
    "{{#each __proto__}}x{{/each}}",
    "{% for i in range(10) %}x{% endfor %}",
    "{{ dict(x=1) }}",
    "{{ name.format('x') }}",
    "{{ name.encode() }}",
    "{{ name|map('upper') }}",
    "{{ 2**9 }}",
    "{% autoescape false %}{{ name }}{% endautoescape %}",
    "{% block b %}{% endblock %}",
    "{% do 1 %}",
    "{% trans %}x{% endtrans %}",
    "{{ x() }}",
    "{{ debug() }}{% debug %}",
]
# What costs more than it says; refused when the job comes in, or for its recipient.
BOMBS = [
    "{{ '9' * 999999999 }}",
    "{{ 'x' ~ 'x' * 99999999 }}",
    "{{ 99999999 * 99999999 * 99999999 * 99999999 }}",
    "{% for a in big %}{% for b in big %}{% for c in big %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% for a in big %}{% for b in big %}{% endfor %}{% endfor %}" * 20,
    ("{{ big|join('" + "x" * 9000 + "') }}") * 3,
    "{% set a = 'xxxxxxxxxxxxxxxx' %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{{ name" + "|replace('', 'xxxxxxxxxxxxxxxx')" * 40 + " }}",
    "{{ name" + "|upper" * 3000 + " }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "{% if a %}" * 300 + "{% endif %}" * 300,
    "{% for a in big %}" * 30 + "{% endfor %}" * 30,
    "{{ a }}" * 20_000,
    "{{ " + "a + " * 20_000 + "a }}",
    "{{ 1" + "0" * 9000 + " }}",
    "{{ 'x'|truncate(99999999, 'y') ~ big }}",
    "{{{" + " " * 20_000,
    "{{!--" * 20_000,
    "{{#if a}}" * 2000,
    "{{" * 20_000,
    "<style>p{top:0}</style>" + "{{" * 20_000,
]
# Markup that sends a reader of HTML to the end of the text again and again: cheap, so it is sent.
MARKUP = ["<!--" * 20_000, "<div style='" * 10_000, "<![x[" * 20_000, "<p>" * 15_000]
LINE_ENDS = ["\r\n", "\n", "\r"]
EVIL = "Bcc: evil@d0.example"


def injections() -> dict[str, dict[str, object]]:
    """Jobs with a header of their own in every key and every merge field, as JSON."""
    good = {
        "from": "Desk <desk@stage.example>",
        "subject": "s {{ name }}",
        "text": "x {{ name }}",
        "recipients": [{"address": "success+x@d1.example", "name": "n"}],
    }
    found: dict[str, dict[str, object]] = {}
    for number, end in enumerate(LINE_ENDS):
        bad = f"x{end}{EVIL}"
        keys: dict[str, object] = {
            "name": bad, "id": bad, "from": f"Desk{end}{EVIL} <desk@stage.example>",
            "mail_from": f"desk@stage.example{end}{EVIL}", "reply_to": bad, "to_name": bad,
            "subject": bad, "preheader": bad, "language": bad, "charset": bad, "template": bad,
            "configuration_set": bad, "pool": bad, "list": bad, "topic": bad, "priority": bad,
            "send_at": bad, "deliver_by": bad, "pace": bad, "on_missing": bad, "tracking": bad,
            "headers": {"X-A": bad}, "defaults": {"name": bad},
            "attachments": [{"name": bad, "type": "text/plain", "content": "eA=="}],
            "images": [{"cid": bad, "name": "x", "content": "eA=="}],
        }  # fmt: skip
        for key, value in keys.items():
            found[f"key-{number}-{key}"] = {**good, key: value}
        found[f"key-{number}-header-name"] = {**good, "headers": {bad: "x"}}
        found[f"key-{number}-type"] = {
            **good,
            "attachments": [{"name": "a", "type": f"text/plain{end}{EVIL}", "content": "eA=="}],
        }  # fmt: skip
        people = [
            {"address": "success+y@d1.example", "name": bad},
            {"address": f"success+z@d1.example{end}{EVIL}", "name": "n"},
            {"address": "success+z@d1.example", "name": "n", f"more{end}{EVIL}": "n"},
            {"address": "success+z@d1.example", "name": ["a", {"b": bad}]},
        ]
        for row, person in enumerate(people):
            found[f"row-{number}-{row}"] = {**good, "recipients": [person]}
    return found


def put(stage: Stage, name: str, data: str | bytes) -> None:
    building = stage.spool / "tmp" / name
    building.write_bytes(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)
    building.rename(stage.spool / "new" / name)


def job(text: str, **more: object) -> str:
    person = {"address": "success+bomb@d1.example", "name": "n", "big": ["x" * 50] * 300}
    return json.dumps(
        {
            "from": "Desk <desk@stage.example>",
            "subject": "s",
            "text": text,
            "recipients": [person],
            **more,
        }
    )


async def still_sends(stage: Stage, name: str) -> None:
    """A good job goes through."""
    put(stage, f"{name}.json", job("x", recipients=[f"success+{name}@d2.example"]))
    await until(stage.result(name).exists)
    assert stage.fates(name) == [(f"success+{name}@d2.example", "delivered", 0)]


async def measure(lags: list[float]) -> None:
    """Note how late the daemon's own loop is; on an idle machine a bomb holds it for 0.1 s."""
    while True:
        before = time.monotonic()
        await asyncio.sleep(0.05)
        lags.append(time.monotonic() - before - 0.05)


async def ended(stage: Stage, names: list[str]) -> None:
    def all_there() -> bool:
        failed = {path.name for path in (stage.spool / "failed").iterdir()}
        return all(f"{name}.error.txt" in failed or stage.result(name).exists() for name in names)

    await until(all_there, 100)


def refused(stage: Stage, name: str) -> bool:
    if (stage.spool / "failed" / f"{name}.error.txt").exists():
        return True
    return all(fate != "delivered" for _, fate, _ in stage.fates(name))


@pytest.mark.parametrize("part", ["text", "html", "subject", "preheader", "to_name", "headers"])
async def test_no_template_gets_out(tmp_path: Path, part: str) -> None:
    stage = Stage(tmp_path / "s", destinations=3, sites=1)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage):
        names = []
        for number, escape in enumerate(ESCAPES):
            names.append(f"escape{number}")
            value: object = {"X-A": escape} if part == "headers" else escape
            more = {"html": "<p>x</p>", "text": "x", part: value}
            put(stage, f"{names[-1]}.json", job(more.pop("text"), **more))  # type: ignore[arg-type]  # the text is text
        await ended(stage, names)
        passed = [ESCAPES[n] for n, name in enumerate(names) if not refused(stage, name)]
        assert passed == []
        await still_sends(stage, "after")
    for name in names:
        error = (stage.spool / "failed" / f"{name}.error.txt").read_text()
        assert "fault of the program" not in error
        assert "line" in error or part in error


async def test_bombs_are_refused_and_cost_little(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=3, sites=1)
    stage.write()
    async with stage.receivers(), stage.dns(), daemon(stage), asyncio.TaskGroup() as group:
        before, lags = time.process_time(), [0.0]
        watch = group.create_task(measure(lags))
        names = []
        for number, bomb in enumerate(BOMBS):
            for key in ("text", "html"):
                names.append(f"bomb{number}{key}")
                more = {"html": bomb, "inline_css": True} if key == "html" else {}
                put(stage, f"{names[-1]}.json", job(bomb if key == "text" else "", **more))
        await ended(stage, names)
        passed = [name for name in names if not refused(stage, name)]
        assert passed == []
        for number, markup in enumerate(MARKUP):
            put(stage, f"markup{number}.json", job("", html=f"x{markup}", inline_css=True))
        await ended(stage, [f"markup{number}" for number in range(len(MARKUP))])
        await still_sends(stage, "after")
        watch.cancel()
        assert time.process_time() - before < 60, "seconds of CPU for all of them"
        assert max(lags) < 15, "seconds that the event loop stood still"


async def test_no_field_forges_a_header(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "s", destinations=3, sites=1)
    stage.write()
    async with stage.receivers(store=True), stage.dns(), daemon(stage):
        names = list(injections())
        for name, each in injections().items():
            put(stage, f"{name}.json", json.dumps(each))
        csv = 'address,name\nsuccess+c@d1.example,"a\n' + EVIL + '"\nsuccess+d@d1.example,ok\n'
        directory = stage.spool / "tmp" / "table"
        directory.mkdir()
        (directory / "people.csv").write_text(csv)
        (directory / "body.txt").write_text("x {{ name }}")
        (directory / "job.toml").write_text(
            'from = "desk@stage.example"\nsubject = "s {{ name }}"\ntext = "body.txt"\n'
            'recipients = "people.csv"\n'
        )
        directory.rename(stage.spool / "new" / "table")
        # A message file is a header; what its fields hold besides is refused or is one line.
        for number, field in enumerate(("From", "To", "Subject", "X-Ekiden-Job", "X-A")):
            head = {"From": "desk@stage.example", "To": "success+e@d1.example", "Subject": "s"}
            head[field] = head.get(field, "x") + "\r" + EVIL
            raw = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            put(stage, f"mail{number}.eml", f"{raw}\r\nx\r\n")
            names.append(f"mail{number}")
        await ended(stage, [*names, "table"])
        await still_sends(stage, "after")
    assert stage.fates("table") == [
        ("success+c@d1.example", "refused", 0),
        ("success+d@d1.example", "delivered", 0),
    ]
    record = [line for line in stage.transactions() if "evil" in str(line).lower()]
    assert record == []
    for path in stage.store.rglob("*"):
        if path.is_file():
            made = path.read_bytes().partition(b"\r\n\r\n")[0].lower()
            assert b"\nbcc:" not in made
            assert b"evil" not in made
    delivered = [name for name in names if not refused(stage, name)]
    # An identity or a name is text that never reaches a message; here even those are refused.
    assert delivered == []
