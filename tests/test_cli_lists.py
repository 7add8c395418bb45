"""Commands about lists, contacts, people, identities and sets, offline and through a daemon."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from commands import Run, beside, runner
from ekiden.config import load
from ekiden.control.list_requests import AddIdentity, AddList, Lists
from ekiden.control.list_service import Confirming, ListAnswers
from ekiden.control.server import ControlServer
from ekiden.control.service import Control
from ekiden.lists.contacts import Contacts
from ekiden.lists.identities import Identities
from ekiden.lists.suppression import Suppressions
from ekiden.message.compile import compile_content
from ekiden.message.content import decode
from ekiden.message.rendered import Marks, Recipient
from ekiden.queue.model import Priority
from ekiden.queue.queue import Queue
from ekiden.store.database import Database

CSV = """\
emailAddress,unsubscribeAll,attributesData,topicPreferences.news,topicPreferences.ads,consentAt,City
Ann@a.example,false,"{""名"": ""花""}",OPT_IN,OPT_OUT,2026-01-02T03:04:05+09:00,京都
bob@a.example,true,,,,,
cat@b.example,,,,opt_in,,
not an address,,,,,,
dan@b.example,maybe,,,,,
eve@b.example,,[1],,,,
fay@b.example,,,NEVER,,,
"""


@pytest.fixture
def ekiden(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(
        '[queue]\npath = "queue.db"\n[control]\nsocket = "c/sock"\n'
        '[identities]\nsender = "postmaster@own.example"\n[configuration_set.news]\n'
    )
    monkeypatch.setenv("EKIDEN_CONFIG", str(path))
    return path


def daemon(config: Path) -> AbstractContextManager[Any]:
    """The daemon's side, without an engine."""

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        loaded = load(config)
        database = await Database.open(loaded.queue.path)
        queue = Queue(database)
        lists = ListAnswers.over(
            database,
            queue,
            clock=lambda: 1_800_000_000.0,
            confirming=Confirming("postmaster@own.example"),
        )
        control = Control(queue, Suppressions(database), lists=lists)
        async with ControlServer(loaded.control.socket, control):
            yield
        await database.close()

    return beside(service)


@pytest.mark.parametrize("live", [False, True])
def test_a_list_from_its_making_to_its_end(
    ekiden: Run, config: Path, tmp_path: Path, live: bool
) -> None:
    with daemon(config) if live else nullcontext():
        assert ekiden("lists", "add", "news", "--sunset", "180d", "--sunset-mails", "12").code == 0
        assert ekiden("lists", "add", "news").code == 1
        assert ekiden("topics", "add", "news", "news", "--default", "opt-in").code == 0
        assert ekiden("topics", "add", "news", "ads", "--display-name", "広告").code == 0
        assert ekiden("topics", "change", "news", "ads", "--description", "Offers").code == 0
        assert ekiden("topics", "list", "news").rows == [
            ["news", "opt-in", "news", ""],
            ["ads", "opt-out", "広告", "Offers"],
        ]
        file = tmp_path / "people.csv"
        file.write_text(CSV, encoding="utf-8")
        done = ekiden("contacts", "import", "news", file, "--json")
        assert done.code == 1
        assert (done.json["added"], done.json["missing_consent"]) == (3, 2)
        assert sorted(text.partition(":")[0] for text in done.json["refused"]) == [
            "line 6",
            "line 7",
            "line 8",
            "not an address",
        ]
        ann = ekiden("contacts", "show", "news", "ann@A.example", "--json").json
        assert ann["attributes"] == {"名": "花", "City": "京都"}
        assert ann["topics"] == {"news": "OPT_IN", "ads": "OPT_OUT"}
        assert ann["consent"]["method"] == "single"
        shown = dict(ekiden("lists", "show", "news").rows)
        assert shown["contacts"] == "3"
        assert shown["unsubscribed"] == "1"
        assert shown["sunset"] == "180d, 12 mails"
        assert shown["topic news"] == "2 (opt-in)"
        assert shown["topic ads"] == "1 (opt-out)"
        listed = ekiden("contacts", "list", "news", "--mailed", "ads").rows
        assert [row[0] for row in listed] == ["cat@b.example"]
        listed = ekiden("contacts", "list", "news", "*@a.example", "--mailed", "-").rows
        assert [row[0] for row in listed] == ["ann@a.example"]

        assert ekiden("contacts", "unsubscribe", "news", "cat@b.example", "-t", "ads").code == 0
        assert ekiden("contacts", "unsubscribe", "news", "new@b.example").code == 0
        back = ("contacts", "subscribe", "news", "bob@a.example", "--topic", "ads")
        assert ekiden(*back, "--source", "phone").code == 0
        listed = ekiden("contacts", "list", "news", "--mailed", "ads").rows
        assert [row[0] for row in listed] == ["bob@a.example"]
        again = ekiden("contacts", "add", "news", "new@b.example", "--topic", "ads")
        assert ["stay out", "1"] in again.rows

        assert ekiden("contacts", "remove", "news", "cat@b.example").code == 0
        assert ekiden("contacts", "remove", "news", "cat@b.example").code == 3
        assert ekiden("contacts", "show", "news", "cat@b.example").code == 3
        assert ekiden("topics", "remove", "news", "ads").code == 0
        assert ekiden("lists", "remove", "news", "--yes").code == 0
        assert ekiden("lists", "show", "news").code == 3


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_what_is_exported_is_imported(ekiden: Run, config: Path, tmp_path: Path, kind: str) -> None:
    ekiden("lists", "add", "news")
    for topic in ("news", "ads"):
        ekiden("topics", "add", "news", topic)
    source = tmp_path / "people.csv"
    source.write_text(CSV, encoding="utf-8")
    ekiden("contacts", "import", "news", source)
    first, second = tmp_path / f"first.{kind}", tmp_path / f"second.{kind}"
    assert ekiden("contacts", "export", "news", first).code == 0
    assert first.stat().st_mode & 0o077 == 0
    ekiden("lists", "remove", "news", "--yes")
    ekiden("lists", "add", "news")
    for topic in ("news", "ads"):
        ekiden("topics", "add", "news", topic)
    assert ekiden("contacts", "import", "news", first).code == 0
    ekiden("contacts", "export", "news", second)

    def without_times(file: Path) -> list[str]:
        return [
            ",".join(
                part for part in line.split(",") if "createdAt" not in part and "T" not in part
            )
            for line in file.read_text(encoding="utf-8").splitlines()
        ]

    assert without_times(first) == without_times(second)
    assert "花" in first.read_text(encoding="utf-8")
    assert "2026-01-01T18:04:05.000+00:00" in second.read_text(encoding="utf-8")


def test_the_json_lines_of_ses_are_read(ekiden: Run, config: Path, tmp_path: Path) -> None:
    ekiden("lists", "add", "news")
    ekiden("topics", "add", "news", "ads")
    file = tmp_path / "ses.ndjson"
    rows = [
        {
            "emailAddress": "a@x.example",
            "unsubscribeAll": False,
            "attributesData": '{"Name": "Amy"}',
            "topicPreferences": [{"topicName": "ads", "subscriptionStatus": "OPT_IN"}],
        },
        {"emailAddress": 5},
        ["a"],
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n{\n\n")
    done = ekiden("contacts", "import", "news", file, "--method", "confirmed", "--json")
    assert (done.code, done.json["added"], done.json["missing_consent"]) == (1, 1, 0)
    assert len(done.json["refused"]) == 3
    found = ekiden("contacts", "show", "news", "a@x.example", "--json").json
    assert (found["attributes"], found["topics"]) == ({"Name": "Amy"}, {"ads": "OPT_IN"})
    assert found["consent"]["method"] == "confirmed"
    file.write_text("name\nAmy\n")
    wrong = ekiden("contacts", "import", "news", file, "--format", "csv")
    assert wrong.code == 1
    assert "names no address column" in wrong.err


def test_batches_fit_the_socket_whatever_is_in_them(
    ekiden: Run, config: Path, tmp_path: Path
) -> None:
    form = tmp_path / "form.txt"
    form.write_text("わたしは同意します。" * 1500, encoding="utf-8")
    file = tmp_path / "people.csv"
    lines = [f"p{n}@x.example,{'é' * 2000}" for n in range(1500)]
    file.write_text("email,essay\n" + "\n".join(lines), encoding="utf-8")
    with daemon(config):
        ekiden("lists", "add", "news")
        done = ekiden(
            *("contacts", "import", "news", file, "--method", "single", "--form", form, "--json")
        )
        assert (done.code, done.json["added"], done.json["missing_consent"]) == (0, 1500, 0)


def test_a_person_asks_and_is_forgotten(ekiden: Run, config: Path) -> None:
    ekiden("lists", "add", "news")
    ekiden("topics", "add", "news", "ads")
    ekiden(
        *("contacts", "add", "news", "Me@x.example", "you@x.example", "--topic", "ads"),
        *("--method", "confirmed", "--source", "https://x.example/", "--ip", "192.0.2.1"),
    )
    ekiden("suppressions", "add", "me@x.example", "--note", "asked")
    found = ekiden("contacts", "export-person", "ME@x.example").json
    assert found["person"]["contacts"]["news"]["topics"] == {"ads": "OPT_IN"}
    assert found["person"]["consents"][0]["ip"] == "192.0.2.1"
    assert [one["note"] for one in found["suppressions"]] == ["asked"]
    erased = ekiden("contacts", "erase", "me@x.example", "--json")
    assert (erased.code, erased.json) == (0, {"rows": 3, "deliveries": 0, "busy": 0})
    found = ekiden("contacts", "export-person", "me@x.example").json
    assert found["person"]["erased"] is True
    assert found["person"]["contacts"] == {}
    assert ["erased", "1"] in ekiden("contacts", "add", "news", "me@x.example").rows
    assert ekiden("contacts", "unsubscribe", "news", "me@x.example").code == 3
    assert ekiden("contacts", "list", "news").rows[0][0] == "you@x.example"


@pytest.mark.parametrize(
    "arguments",
    [
        ("lists", "add", "x", "--sunset", "soon"),
        ("contacts", "add", "news", "a@x.example", "--attributes", "[1]"),
        ("contacts", "add", "news", "a@x.example", "--source", "no method"),
        ("contacts", "add", "news", "a@x.example", "--method", "bought"),
        ("contacts", "subscribe", "news", "a@x.example", "--at", "yesterday"),
        ("contacts", "import", "news", "x.csv", "--format", "xlsx"),
    ],
)
def test_wrong_usage_is_told(ekiden: Run, config: Path, arguments: tuple[str, ...]) -> None:
    ekiden("lists", "add", "news")
    Path(config.parent / "x.csv").touch()
    asked = [str(config.parent / one) if one == "x.csv" else one for one in arguments]
    assert ekiden(*asked).code == 2


def test_an_address_is_verified_by_the_code_that_is_mailed_there(ekiden: Run, config: Path) -> None:
    assert ekiden("identities", "add", "News@own.example").code == 0
    assert ekiden("identities", "verify", "nobody@own.example").code == 3
    assert ekiden("identities", "verify", "news@own.example").code == 0

    async def the_mail() -> str:
        database = await Database.open(load(config).queue.path)
        queue = Queue(database)
        (job,) = await queue.jobs()
        assert (job.priority, job.mail_from) == (Priority.TRANSACTIONAL, "postmaster@own.example")
        rendered = compile_content(decode(await queue.content(job.id))).render(
            Recipient("news@own.example", await merge(database)),
            Marks("<1@own.example>", 1_800_000_000.0, ()),
        )
        await database.close()
        return base64.b64decode(rendered.body).decode("utf-8")

    async def merge(database: Database) -> dict[str, str]:
        ((raw,),) = await database.read("SELECT merge FROM payload")
        found: dict[str, str] = json.loads(raw)
        code.append(found["code"])
        return found

    code: list[str] = []
    body = asyncio.run(the_mail())
    assert "24" in body
    assert ekiden("identities", "list").rows[0][1] == "pending"
    assert ekiden("identities", "verify", "news@own.example", "--code", "wrong").code == 3
    done = ekiden("identities", "verify", "news@own.example", "--code", code[0])
    assert (done.code, done.rows[0][:3]) == (0, ["news@own.example", "verified", "mail"])
    assert ekiden("identities", "remove", "news@own.example").code == 0
    assert ekiden("identities", "remove", "news@own.example").code == 3
    assert ekiden("identities", "verify", "own.example").code == 3  # no key of it is configured


def test_a_set_is_stopped_and_resumed(ekiden: Run, config: Path) -> None:
    ekiden("lists", "add", "makes-the-queue")
    assert [row[:2] for row in ekiden("sets", "list").rows] == [
        ["default", "sends"],
        ["news", "sends"],
    ]
    assert ekiden("sets", "stop", "other").code == 3
    assert ekiden("sets", "stop", "news", "--reason", "wrong template").code == 0
    assert ekiden("sets", "stop", "news").code == 1
    found = {one["name"]: one for one in ekiden("sets", "list", "--json").json}
    assert (found["news"]["sends"], found["news"]["why"]) == (False, "wrong template")
    assert ekiden("sets", "resume", "news").code == 0
    assert ekiden("sets", "resume", "news").code == 3
    assert [row[1] for row in ekiden("sets", "list").rows] == ["sends", "sends"]


async def test_the_answers_are_over_one_database(tmp_path: Path) -> None:
    """`Control.over` gives commands without a daemon the same answers."""
    database = await Database.open(tmp_path / "q.db")
    control = Control.over(database)
    await control.ask(AddList(contact_list="a"))
    await control.ask(AddIdentity(name="own.example"))
    assert [one.name for one in await control.ask(Lists())] == ["a"]
    assert [one.name for one in await Contacts(database).lists()] == ["a"]
    assert [one.name for one in await Identities(database).identities()] == ["own.example"]
    await database.close()
